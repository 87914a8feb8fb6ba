"""The dashboard *Job*: everything about one job of one trunk."""

from dashboards import job_queries as queries
from dashboards.grafana import (
    Json,
    graph,
    link,
    override,
    stat,
    table,
    target,
    thresholds,
    timeline,
    value_map,
)
from dashboards.history import ENDED_COLUMNS, HOW, JOB_LEGEND, THRESHOLD_LEGEND
from dashboards.links import ADDRESSES, JOB_UID, to_job, to_value
from dashboards.promql import IN_JOBS, OF_JOBS, ONE_JOB, label_values, selector
from dashboards.queries import ended_outages
from dashboards.settings import (
    BAD,
    GOOD,
    NO_DATA,
    UNKNOWN,
    WARN,
)
from dashboards.shared import data_age
from dashboards.variables import (
    addresses,
    annotation,
    common_variables,
    dashboard,
    label_variable,
)

STATES = {
    queries.PASSES: ("✔ passes", GOOD),
    queries.FAILS: ("fails", WARN),
    queries.BROKEN: ("✖ broken", BAD),
    queries.FLAKES: ("flaky since the last pass", "yellow"),
    queries.PENDING: ("pending", "purple"),
}
PLAIN = thresholds((None, UNKNOWN), (0, "text"))
SHORT_LEGEND = "{{job_name}} · {{repo}} {{branch}}"

# In PromQL and in Alertmanager's filter alike.
_SILENCED = ",".join(
    f"{name}%3D%22${{{name}:percentencode}}%22"
    for name in ("repo", "branch", "workflow", "job_name")
)


def tiles() -> list[Json]:
    """Return the numbers at the top."""
    return [
        stat(
            "State",
            "Broken: an outage is open. Fails: the newest verdict is a failure, and there are "
            "fewer than N. "
            "'passes' is said only while the data is fresh.",
            "6 4",
            target("A", queries.state_now(), SHORT_LEGEND),
            {
                "mappings": [value_map({**STATES, queries.OLD: ("? data is old", UNKNOWN)})],
                "thresholds": thresholds((None, UNKNOWN)),
                "unit": "none",
            },
        ),
        stat(
            "Failing commits in a row, and N",
            "The streak at the tip of the trunk, and the number at which an outage opens.",
            "6 4",
            [
                target("A", queries.family("consecutive_failures"), "in a row"),
                target("B", queries.family("failures_to_open"), "N"),
            ],
            {"thresholds": PLAIN, "unit": "none"},
        ),
        stat(
            "Broken for",
            "The age of the open outage: since the first failing run ended.",
            "6 4",
            target("A", queries.broken_for(), SHORT_LEGEND),
            {
                "decimals": 1,
                "mappings": [value_map({queries.NOT_BROKEN: ("✔ not broken", GOOD)})],
                "thresholds": thresholds((None, UNKNOWN), (0, BAD)),
                "unit": "s",
            },
        ),
        data_age(
            "Data age",
            "Time since the results of the trunk were last read in full.",
            "6 4",
        ),
    ]


def outage() -> list[Json]:
    """Return the tables of the open outage."""
    return [
        table(
            "Outage",
            "What is known of the open outage. A commit, run or comparison opens with a click; "
            "where the "
            "CI has no address for it, the page of Trunkwatch does.",
            "24 5",
            queries=[queries.outage()],
            columns={
                "author": "First bad by",
                "commit": "Commit",
                "title": "Commit title",
                "failed_step": "Failed step",
                "url": "Run",
                "suspects": "Suspects",
                "compare": "Compare",
                "last_good": "Last good",
                "opened": "Opened",
                "team": "Team",
                "group": "Group",
                "priority": "Priority",
            },
            hidden=["Value", "repo", "branch", "workflow", "job_name"],
            mappings=ADDRESSES,
            wide=["Commit title"],
            linked=["Commit", "Run", "Compare"],
            links=[to_value("Open it")],
            sort_by=[("Opened", True)],
            empty=NO_DATA,
        ),
        table(
            "Suspects",
            "The commits after last good up to first bad, oldest first, at most ten. Result: of "
            "the job at the commit; all but first bad are not tested.",
            "24 6",
            queries=[queries.suspects()],
            columns={
                "title": "Title",
                "author": "Author",
                "commit": "Commit",
                "result": "Result",
                "Value": "#",
            },
            mappings=ADDRESSES,
            wide=["Title"],
            linked=["Commit"],
            links=[to_value("Open the commit")],
            sort_by=[("#", False)],
            empty=f"No suspects are known: last good is not, or {NO_DATA}.",
        ),
    ]


def pictures() -> list[Json]:
    """Return the job over time."""
    return [
        timeline(
            "Verdicts over time",
            "Broken, failing with fewer than N in a row, flaky or pending since the last pass, or "
            "passing. "
            "A gap means that nothing was scraped.",
            "24 5",
            [(queries.verdicts(), SHORT_LEGEND)],
            STATES,
        ),
        graph(
            "Streak and N",
            "Failing commits in a row; the dashed line is N, at which an outage opens.",
            "12 8",
            [
                (queries.family("consecutive_failures"), JOB_LEGEND),
                (queries.family("failures_to_open"), THRESHOLD_LEGEND),
            ],
            overrides=[
                override(
                    THRESHOLD_LEGEND,
                    custom_lineStyle={"dash": [8, 8], "fill": "dash"},
                    color={"fixedColor": BAD, "mode": "fixed"},
                )
            ],
        ),
        graph(
            "Duration",
            "Run time of the newest verdict; the longest shard's. A job that was never timed has "
            "no line.",
            "12 8",
            [(queries.family("duration_seconds"), JOB_LEGEND)],
            unit="s",
            empty="no duration is known",
        ),
        graph(
            "Flakes and pending commits",
            "Commits since the newest pass that failed and passed, and that have no result yet.",
            "12 8",
            [
                (queries.family("flaky_commits"), "flaky"),
                (queries.family("pending_commits"), "pending"),
            ],
        ),
    ]


def standing() -> list[Json]:
    """Return what explains a missing alert."""
    never = {queries.NEVER: ("never", WARN)}
    yes = {
        "mappings": [value_map({0: ("no", GOOD), 1: ("yes", WARN)})],
        "thresholds": thresholds((None, UNKNOWN)),
        "unit": "none",
    }
    aged = {
        "decimals": 1,
        "mappings": [value_map(never)],
        "thresholds": PLAIN,
        "unit": "s",
    }
    return [
        stat(
            "Known broken",
            "Whether the configuration exempts the job from alerting.",
            "6 4",
            target("A", queries.exempt(), SHORT_LEGEND),
            yes,
        ),
        stat(
            "Mostly flaky",
            "Whether more than half of the newest 20 verdicts failed and passed: such a job "
            "may never alert.",
            "6 4",
            target("A", queries.mostly_flaky(), SHORT_LEGEND),
            yes,
        ),
        stat(
            "Since the last pass",
            "Time since the newest pass ended.",
            "6 4",
            target("A", queries.since_pass(), SHORT_LEGEND),
            aged,
        ),
        stat(
            "Since the last verdict",
            "Time since the newest pass, failure or flake ended.",
            "6 4",
            target("A", queries.since_verdict(), SHORT_LEGEND),
            aged,
        ),
    ]


def ended() -> Json:
    """Return the table of the job's outages whose alert ended."""
    return table(
        "Outages that ended",
        "Outages of the job whose alert ended in the range. Times are UTC.",
        "12 8",
        queries=[ended_outages(ONE_JOB)],
        columns=ENDED_COLUMNS,
        hidden=["Value", "group"],
        mappings=[HOW],
        wide=["Job"],
        linked=["Job"],
        links=[to_job()],
        sort_by=[("Closed", True)],
        empty=NO_DATA,
    )


def links() -> list[Json]:
    """Return the links of the dashboard."""
    labels = "&".join(
        f"{name}=${{{name}:percentencode}}" for name in ("repo", "branch", "workflow", "job_name")
    )
    silence = (
        "${alertmanager:raw}/#/silences/new?filter=%7Balertname%3D%22TrunkJobBroken%22,"
        f"{_SILENCED},trunkwatch%3D~%22${{trunkwatch:pipe}}%22%7D"
    )
    return [
        link("Page of the job", f"${{page:raw}}/job?{labels}"),
        link("Runbook", "${page:raw}/runbooks/TrunkJobBroken"),
        link("Silence the job", silence),
    ]


def build() -> Json:
    """Return the dashboard."""
    names = selector("job", *OF_JOBS, "workflow")
    one, two = (
        label_variable(
            "workflow",
            "Workflow",
            label_values("workflow", "ci_job_failures_to_open", IN_JOBS),
            one=True,
        ),
        label_variable(
            "job_name", "Job", label_values("job_name", "ci_job_failures_to_open", names), one=True
        ),
    )
    return dashboard(
        JOB_UID,
        "Job",
        "One job: whether it is broken, since which commit, by whom, and how it has been over "
        "time.",
        [*tiles(), *outage(), *pictures(), ended(), *standing()],
        [*common_variables(), one, two, *addresses()],
        links=links(),
        annotated=[
            annotation(
                "Alerts of the job", BAD, queries.alerts_of_job(), "{{alertname}}", "{{job_name}}"
            )
        ],
    )
