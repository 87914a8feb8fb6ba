"""Columns and panels that several dashboards have."""

from dashboards.grafana import Json, link, override, stat, table, target, thresholds, value_map
from dashboards.queries import alerts_firing, oldest_data
from dashboards.settings import (
    BAD,
    GOOD,
    LATE_AFTER_SECONDS,
    STALE_AFTER_SECONDS,
    UNKNOWN,
    WARN,
)

PRIORITIES = value_map(
    {"P0": ("P0", BAD), "P1": ("P1", BAD), "P2": ("P2", WARN), "P3": ("P3", GOOD)}
)
IDENTITY = {"workflow": "Workflow", "repo": "Repo", "branch": "Branch"}
OWNER = {"team": "Team", "priority": "Priority"}
COLORED = {"type": "color-text"}
RUNBOOK = "${page:raw}/runbooks/${__value.raw:raw}"


def firing_table() -> Json:
    """Return the table of firing alerts with links to their runbooks."""
    return table(
        "Alerts that fire",
        "One row per alert, repository, branch and group, as in notifications; a name links to its "
        "runbook. The rows are the results of the rules in rules/. Alert: TrunkwatchWatchdog, "
        "which "
        "always fires: without its row the rules are not evaluated, and the table is incomplete.",
        "24 7",
        queries=[alerts_firing()],
        columns={
            "alertname": "Alert",
            "priority": "Priority",
            "team": "Team",
            "group": "Group",
            "repo": "Repo",
            "branch": "Branch",
            "Value": "Alerts",
        },
        mappings=[PRIORITIES],
        wide=["Alert", "Repo"],
        overrides=[override("Priority", custom_cellOptions=COLORED)],
        linked=["Alert"],
        links=[link("Open the runbook", RUNBOOK)],
        sort_by=[("Priority", False), ("Alert", False)],
        empty="no data: not even TrunkwatchWatchdog fires, so the rules are not evaluated",
    )


def data_age(title: str, description: str, size: str) -> Json:
    """Return the tile of the age of the oldest data of the chosen trunks."""
    steps = ((None, UNKNOWN), (0, GOOD), (LATE_AFTER_SECONDS, WARN), (STALE_AFTER_SECONDS, BAD))
    field = {"decimals": 1, "thresholds": thresholds(*steps), "unit": "s"}
    return stat(title, description, size, target("A", oldest_data()), field)


def none_or(color: str) -> Json:
    """Return the field settings of a number that should be 0."""
    return {
        "mappings": [value_map({0: ("✔ none", GOOD)})],
        "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, color)),
        "unit": "none",
    }
