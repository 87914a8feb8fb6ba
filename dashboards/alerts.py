"""The lower panels of the dashboard *Trunk*: the state behind the alerts other than broken jobs."""

from dashboards.grafana import Json, link, override, stat, table, target, thresholds, value_map
from dashboards.queries import (
    alerts_firing,
    exporters,
    jobs_refused,
    mass_breakage,
    quota_left,
    reload_success,
    removed_while_broken,
    silent_jobs,
    storage_up,
    tickets_up,
    truncated_outages,
    unknown_conclusions,
    unread_commits,
    webhook_outcomes,
)
from dashboards.settings import (
    BAD,
    GOOD,
    HOLD,
    NO_DATA,
    QUOTA_MEMORY,
    QUOTA_NEARLY_SPENT,
    UNKNOWN,
    WARN,
)

RUNBOOK = "https://github.com/trunkwatch/trunkwatch/blob/main/rules/runbooks/${__value.raw}.md"
BRANCH_LEGEND = "{{repo}} {{branch}}"


def _none_or(color: str, *, base: str = "✔ none") -> Json:
    """Return the field settings of a number that should be 0."""
    return {
        "mappings": [value_map(v0=(base, GOOD))],
        "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, color)),
        "unit": "none",
    }


def mass_tile() -> Json:
    """Return the tile that shows whether one commit broke most jobs."""
    return stat(
        8,
        "One commit broke most jobs",
        "Whether one commit broke more than half of the jobs that ran on it; while it did, the "
        f"alerts of single jobs are silenced. A yes is held for {HOLD} after a failed scrape. "
        "Alert: TrunkCommitBrokeEverything.",
        "0 23 6 4",
        target("A", mass_breakage(), BRANCH_LEGEND),
        {
            "mappings": [value_map(v0=("✔ no", GOOD), v1=("✖ yes, revert it", BAD))],
            "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, BAD)),
            "unit": "none",
        },
    )


def silent_tile() -> Json:
    """Return the tile of jobs without a recent verdict."""
    return stat(
        9,
        "Silent jobs",
        "Jobs without a pass, a failure or a flake for longer than 'silent_after' of their group, "
        "as of the last refresh. Alert: TrunkJobSilent.",
        "6 23 6 4",
        target("A", silent_jobs(), BRANCH_LEGEND),
        _none_or(WARN),
    )


def removed_tile() -> Json:
    """Return the tile of outages that ended because their job was removed."""
    return stat(
        10,
        "Removed while broken",
        "Jobs that disappeared within a day while their outage was open. Alert: TrunkJobRetired.",
        "12 23 6 4",
        target("A", removed_while_broken(), BRANCH_LEGEND),
        _none_or(WARN),
    )


def truncated_tile() -> Json:
    """Return the tile of outages whose first bad commit may be older than the read history."""
    return stat(
        11,
        "Outages older than the window",
        "Broken jobs that failed on every commit that was read: their first bad commit may be "
        "older. Alert: TrunkStreakTruncated.",
        "18 23 6 4",
        target("A", truncated_outages(), BRANCH_LEGEND),
        _none_or(WARN),
    )


def exporters_tile() -> Json:
    """Return the tile of running exporters."""
    return stat(
        12,
        "Exporters",
        f"Exporters that are scraped, by version; '{NO_DATA}' when there is none. "
        "Alert: TrunkwatchExporterDown.",
        "0 27 6 4",
        target("A", exporters(), "{{version}}"),
        {"thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)), "unit": "none"},
    )


def quota_tile() -> Json:
    """Return the tile of each source's remaining quota."""
    return stat(
        13,
        "Quota left",
        f"Remaining requests as a share of the largest quota seen in {QUOTA_MEMORY}; only for "
        "sources with a quota. Red: a tenth or less. Alert: TrunkwatchQuotaNearlySpent.",
        "6 27 6 4",
        target("A", quota_left(), "{{source}}"),
        {
            "thresholds": thresholds((None, UNKNOWN), (0, BAD), (QUOTA_NEARLY_SPENT, GOOD)),
            "unit": "percentunit",
        },
    )


def refused_tile() -> Json:
    """Return the tile of jobs that were refused because of a limit."""
    return stat(
        14,
        "Jobs refused",
        "Jobs that are not evaluated because a limit on jobs was reached, since the exporter "
        "started. Alert: TrunkwatchJobsDropped.",
        "12 27 6 4",
        target("A", jobs_refused()),
        _none_or(BAD),
    )


def webhook_tile() -> Json:
    """Return the tile of webhook deliveries."""
    return stat(
        15,
        "Webhooks of the last hour",
        f"Deliveries by outcome; '{NO_DATA}' if there was none. Alert: TrunkwatchWebhooksRejected.",
        "18 27 6 4",
        target("A", webhook_outcomes(), "{{outcome}}"),
        # The number is neither good nor bad; the alert covers deliveries that are all rejected.
        {"thresholds": thresholds((None, UNKNOWN), (1, "text")), "unit": "none"},
    )


def own_tiles() -> list[Json]:
    """Return the tiles of the exporter's own state."""
    bad_or_good = {
        "mappings": [value_map(v0=("✖ failing", BAD), v1=("✔ well", GOOD))],
        "thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)),
        "unit": "none",
    }
    return [
        stat(
            17,
            "Configuration",
            "Whether the last reload of the configuration was accepted. "
            "Alert: TrunkwatchReloadFailed.",
            "0 31 5 4",
            target("A", reload_success()),
            bad_or_good,
        ),
        stat(
            18,
            "Storage",
            "Whether the last results could be stored. Alert: TrunkwatchStorageFailing.",
            "5 31 5 4",
            target("A", storage_up()),
            bad_or_good,
        ),
        stat(
            19,
            "Unread commits",
            "Commits of the window that a cold start has yet to read. Alert: TrunkwatchColdStart.",
            "10 31 5 4",
            target("A", unread_commits(), "{{source}}"),
            _none_or(WARN),
        ),
        stat(
            20,
            "Unknown results",
            "Results whose conclusion is not in the evidence table, since the exporter started. "
            "Alert: TrunkwatchUnknownConclusions.",
            "15 31 5 4",
            target("A", unknown_conclusions(), "{{conclusion}}"),
            _none_or(WARN),
        ),
        stat(
            21,
            "Tickets",
            f"Whether 'trunkwatch tickets' reaches its peers; '{NO_DATA}' where it does not run. "
            "Alert: TrunkwatchTicketsFailing.",
            "20 31 4 4",
            target("A", tickets_up(), "{{peer}}"),
            bad_or_good,
        ),
    ]


def firing_table() -> Json:
    """Return the table of firing alerts with links to their runbooks."""
    return table(
        16,
        "Alerts that fire",
        "One row per alert, repository, branch and group, as in notifications; a name links to its "
        "runbook. The rows are the results of the rules in rules/. Alert: TrunkwatchWatchdog, "
        "which always fires: without its row the rules are not evaluated, and the table is "
        "incomplete.",
        "0 35 24 7",
        targets=[target("A", alerts_firing(), table=True)],
        columns={
            "alertname": "Alert",
            "priority": "Priority",
            "team": "Team",
            "group": "Group",
            "repo": "Repo",
            "branch": "Branch",
            "Value": "Alerts",
        },
        hidden=["Time"],
        mappings=[
            value_map(P0=("P0", BAD), P1=("P1", BAD), P2=("P2", WARN), P3=("P3", GOOD)),
        ],
        overrides=[
            override("Priority", custom_cellOptions={"type": "color-text"}),
            override("Alert", "Repo", custom_width=None),
            override("Alert", mode="exclude", links=None),
        ],
        links=[link("Open the runbook", RUNBOOK)],
        sort_by=[("Priority", False), ("Alert", False)],
        empty="Not even TrunkwatchWatchdog fires: the rules are not evaluated.",
    )


def alert_panels() -> list[Json]:
    """Return the panels, in the order of their positions."""
    return [
        mass_tile(),
        silent_tile(),
        removed_tile(),
        truncated_tile(),
        exporters_tile(),
        quota_tile(),
        refused_tile(),
        webhook_tile(),
        *own_tiles(),
        firing_table(),
    ]
