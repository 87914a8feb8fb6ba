"""The dashboard *Trunkwatch*: the exporter, its sources, its storage, tickets and confirm."""

from dashboards import own_queries as queries
from dashboards.grafana import Json, graph, stat, table, target, thresholds, value_map
from dashboards.own_sources import sources, traffic
from dashboards.queries import other_alerts
from dashboards.settings import BAD, GOOD, NO_EXPORTER, NOT_CONFIGURED, UNKNOWN, WARN
from dashboards.shared import firing_table, none_or
from dashboards.variables import annotation, common_variables, dashboard, page_variable

OK_OR_NOT = {
    "mappings": [
        value_map(
            {0: ("✖ failing", BAD), 1: ("✔ well", GOOD), queries.ABSENT: (NOT_CONFIGURED, UNKNOWN)}
        )
    ],
    "thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)),
    "unit": "none",
}
ABSENT = value_map({queries.ABSENT: (NOT_CONFIGURED, UNKNOWN)})


def own_state() -> list[Json]:
    """Return the tiles of the exporter's own state."""
    return [
        stat(
            "Exporters",
            "Exporters that are scraped, by version. Alerts: TrunkwatchExporterDown, "
            "TrunkwatchShardMissing, TrunkwatchShardDoubled.",
            "6 4",
            target("A", queries.exporters(), "{{version}}"),
            {"thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)), "unit": "none"},
        ),
        stat(
            "Targets that answer",
            "Targets of the scrape job that answer; '0' if none does, 'no data' if there is no "
            "such target.",
            "6 4",
            target("A", queries.targets_up()),
            {"thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)), "unit": "none"},
        ),
        stat(
            "Rules",
            "Whether Prometheus evaluates the rules: TrunkwatchWatchdog always fires.",
            "6 4",
            target("A", queries.rules_evaluated()),
            {
                **OK_OR_NOT,
                "mappings": [value_map({0: ("✖ not evaluated", BAD), 1: ("✔ evaluated", GOOD)})],
            },
        ),
        stat(
            "Tickets",
            "Whether 'trunkwatch tickets' reaches its peers. Alert: TrunkwatchTicketsFailing.",
            "6 4",
            target("A", queries.tickets_up(), "{{peer}}"),
            OK_OR_NOT,
        ),
        stat(
            "Confirm",
            "Whether 'trunkwatch confirm' reaches its peers. Alert: TrunkwatchConfirmFailing.",
            "5 4",
            target("A", queries.confirm_up(), "{{peer}}"),
            OK_OR_NOT,
        ),
        stat(
            "Configuration",
            "Whether the last reload of the configuration was accepted. Alert: "
            "TrunkwatchReloadFailed.",
            "5 4",
            target("A", queries.reload_success()),
            OK_OR_NOT,
        ),
        stat(
            "Web configuration",
            "Whether the newest web configuration and certificates are used. Alert: "
            "TrunkwatchReloadFailed.",
            "5 4",
            target("A", queries.web_reload_success()),
            OK_OR_NOT,
        ),
        stat(
            "Storage",
            "Whether the last results could be stored. Alert: TrunkwatchStorageFailing.",
            "5 4",
            target("A", queries.storage_up()),
            OK_OR_NOT,
        ),
        stat(
            "Jobs refused",
            "Jobs that are not evaluated because a limit on jobs was reached, since the "
            "exporter started. "
            "Alert: TrunkwatchJobsDropped.",
            "4 4",
            target("A", queries.jobs_refused()),
            none_or(BAD),
        ),
    ]


def results() -> list[Json]:
    """Return the tables of results that do not count, and of what sources lack."""

    def counted(title: str, description: str, query: str, label: str, header: str) -> Json:
        return table(
            title,
            description,
            "8 7",
            queries=[query],
            columns={label: header, "Value": "Results", "repo": "Repo", "branch": "Branch"},
            wide=[header, "Repo"],
            sort_by=[("Results", True)],
            empty=NO_EXPORTER,
        )

    return [
        counted(
            "Unknown results",
            "Results whose conclusion is not in the evidence table, since the exporter started. "
            "Alert: "
            "TrunkwatchUnknownConclusions.",
            queries.of_trunks("unknown_conclusions_total", "conclusion"),
            "conclusion",
            "Conclusion",
        ),
        counted(
            "Off-trunk results",
            "Runs that do not count, by reason: their commit, branch or repository is not the "
            "trunk's, or "
            "their event is not configured.",
            queries.of_trunks("off_trunk_runs_total", "reason"),
            "reason",
            "Reason",
        ),
        table(
            "What sources lack",
            "Rights that credentials lack, addresses that a server refuses; 'trunkwatch check' "
            "explains them.",
            "8 7",
            queries=[queries.limitations()],
            columns={"limitation": "Limitation", "source": "Source"},
            hidden=["Value"],
            wide=["Limitation", "Source"],
            sort_by=[("Source", False)],
            empty=NO_EXPORTER,
        ),
    ]


def size() -> list[Json]:
    """Return series, scrape and storage."""
    plain = {
        "mappings": [ABSENT],
        "thresholds": thresholds((None, UNKNOWN), (queries.ABSENT, UNKNOWN), (0, "text")),
    }
    return [
        graph(
            "Series",
            "Samples of the last scrape.",
            "12 7",
            [(queries.samples_scraped(), "samples")],
            empty=NO_EXPORTER,
        ),
        graph(
            "Scrape time",
            "How long a scrape takes; it must stay below scrape_timeout.",
            "12 7",
            [(queries.scrape_duration(), "scrape")],
            unit="s",
            empty=NO_EXPORTER,
        ),
        stat(
            "Rows stored",
            "Results in the storage file, counted once an hour.",
            "6 4",
            target("A", queries.store("rows")),
            {**plain, "unit": "short"},
        ),
        stat(
            "Storage file",
            "Size of the storage file with its log.",
            "6 4",
            target("A", queries.store("bytes")),
            {**plain, "decimals": 1, "unit": "bytes"},
        ),
        stat(
            "Oldest stored commit",
            "Age of the oldest commit whose results are all stored.",
            "6 4",
            target("A", queries.store_age()),
            {**plain, "decimals": 1, "unit": "s"},
        ),
        stat(
            "Labels cut",
            "Values of labels that were longer than limits.max_label_bytes, since the start.",
            "6 4",
            target("A", queries.labels_cut()),
            none_or(WARN),
        ),
        table(
            "Force pushes",
            "Times since the exporter started that the last tip of the trunk was gone.",
            "24 5",
            queries=[queries.rewrites()],
            columns={"repo": "Repo", "Value": "Force pushes", "branch": "Branch"},
            wide=["Repo"],
            sort_by=[("Force pushes", True)],
            empty=NO_EXPORTER,
        ),
    ]


def build() -> Json:
    """Return the dashboard."""
    return dashboard(
        "trunkwatch-own",
        "Trunkwatch",
        "Whether Trunkwatch itself works: exporters, sources, storage, webhooks, tickets and "
        "rules.",
        [
            *own_state(),
            *sources(),
            firing_table(),
            *traffic(),
            *results(),
            *size(),
        ],
        [*common_variables(), page_variable()],
        annotated=[
            annotation("Alerts", WARN, other_alerts(), "{{alertname}}", "{{repo}} {{branch}}")
        ],
    )
