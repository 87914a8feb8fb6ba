"""The sources on the dashboard *Trunkwatch*: what they feed, requests, errors and webhooks."""

from dashboards import own_queries as queries
from dashboards.grafana import Json, graph, override, stat, table, target, thresholds, value_map
from dashboards.promql import data_age_limit
from dashboards.settings import (
    BAD,
    GOOD,
    NO_EXPORTER,
    NOT_CONFIGURED,
    QUOTA_NEARLY_SPENT,
    UNKNOWN,
    WARN,
)
from dashboards.shared import COLORED, none_or


def sources() -> list[Json]:
    """Return the tables of sources and of what they feed."""
    states = value_map(
        {0: ("✖ down", BAD), 1: ("✔ up", GOOD), queries.ABSENT: (NOT_CONFIGURED, UNKNOWN)}
    )
    return [
        table(
            "Sources",
            "One row per source. Up: whether its last refresh has read any of its trunks; while "
            "it is down, "
            "its last results stay. Age: since its last refresh that succeeded. Alert: "
            "TrunkwatchSourceFailing.",
            "12 7",
            queries=[
                queries.by_source("up", "min"),
                queries.source_age(),
                queries.by_source("refresh_duration_seconds"),
                queries.by_source("poll_interval_seconds"),
            ],
            columns={
                "source": "Source",
                "Value #A": "Up",
                "Value #B": "Age",
                "Value #C": "Refresh takes",
                "Value #D": "Interval",
            },
            mappings=[states],
            wide=["Source"],
            overrides=[override("Up", custom_cellOptions=COLORED)],
            timed=["Age", "Refresh takes", "Interval"],
            sort_by=[("Up", False), ("Age", True)],
            empty=NO_EXPORTER,
        ),
        table(
            "What sources feed",
            "One row per trunk and source: whether its last refresh has read the trunk, and the "
            "age of that. "
            "Data is stale at the age at which the alert fires. Alert: TrunkDataStale.",
            "12 7",
            queries=[queries.feeds_up(), queries.feeds_age(), queries.newest_commit()],
            columns={
                "repo": "Repo",
                "Value #A": "Up",
                "Value #B": "Age",
                "Value #C": "Newest commit",
                "source": "Source",
                "branch": "Branch",
            },
            mappings=[states],
            wide=["Repo"],
            overrides=[override("Up", custom_cellOptions=COLORED)],
            timed=["Age", "Newest commit"],
            sort_by=[("Up", False), ("Age", True)],
            empty=NO_EXPORTER,
        ),
        stat(
            "Quota left",
            "Remaining requests as a share of the largest quota seen in two hours. Red: a tenth "
            "or less. "
            "Alert: TrunkwatchQuotaNearlySpent.",
            "8 4",
            target("A", queries.quota_left(), "{{source}}"),
            {
                "mappings": [value_map({queries.ABSENT: ("no quota", UNKNOWN)})],
                "thresholds": thresholds((None, UNKNOWN), (0, BAD), (QUOTA_NEARLY_SPENT, GOOD)),
                "unit": "percentunit",
            },
        ),
        stat(
            "Unread commits",
            "Commits of the window that a cold start has yet to read. Alert: TrunkwatchColdStart.",
            "8 4",
            target("A", queries.by_source("unread_commits"), "{{source}}"),
            none_or(WARN),
        ),
        stat(
            "Data is stale at",
            "The age at which TrunkDataStale fires: 15 minutes, or three poll intervals.",
            "8 4",
            target("A", data_age_limit()),
            {"thresholds": thresholds((None, UNKNOWN), (0, "text")), "unit": "s"},
        ),
    ]


def traffic() -> list[Json]:
    """Return the graphs of requests, errors and webhooks."""
    return [
        graph(
            "Requests by code",
            "Requests to each source by HTTP status; error where there was no answer. 'none': no "
            "request yet.",
            "12 8",
            [(queries.rate("source_requests_total", "source", "code"), "{{source}} {{code}}")],
            unit="reqps",
            empty=NO_EXPORTER,
        ),
        graph(
            "Quota",
            "Remaining requests of each source that counts them. 'none': no source does.",
            "12 8",
            [(queries.quota(), "{{source}}")],
            empty=NO_EXPORTER,
        ),
        graph(
            "Errors by reason",
            "Refreshes that failed, as a whole or for a trunk. 'none': no error yet.",
            "12 8",
            [(queries.rate("source_errors_total", "source", "reason"), "{{source}} {{reason}}")],
            unit="cps",
            empty=NO_EXPORTER,
        ),
        graph(
            "Refresh time",
            "How long the last refresh of each source took.",
            "12 8",
            [(queries.by_source("refresh_duration_seconds"), "{{source}}")],
            unit="s",
            empty=NO_EXPORTER,
        ),
        graph(
            "Webhooks by outcome",
            "Deliveries by what became of them. 'none': no delivery yet, or webhooks are not "
            "configured. "
            "Alert: TrunkwatchWebhooksRejected.",
            "12 8",
            [(queries.rate("webhook_deliveries_total", "outcome"), "{{outcome}}")],
            unit="cps",
            empty=NO_EXPORTER,
        ),
        graph(
            "Rows dropped, connections refused",
            "Rows of sources that cannot be used, and connections and requests that were refused, "
            "by reason. "
            "'none': none yet.",
            "12 8",
            [
                (
                    queries.rate("source_rows_dropped_total", "source", "reason"),
                    "row: {{source}} {{reason}}",
                ),
                (queries.rate("http_refused_total", "reason"), "connection: {{reason}}"),
            ],
            unit="cps",
            empty=NO_EXPORTER,
        ),
    ]
