"""The dashboard *Trunk*: its panels, in the order in which a paged engineer needs them."""

from dashboards.alerts import alert_panels
from dashboards.grafana import (
    Json,
    datasource_variable,
    label_variable,
    link,
    override,
    panel,
    regex_map,
    stat,
    table,
    target,
    thresholds,
    value_map,
)
from dashboards.queries import (
    IN_BRANCH,
    IN_JOB,
    IN_REPO,
    SUSPECT,
    commits_since_green,
    data_age,
    label_values,
    number_of_broken_jobs,
    of_broken_jobs,
    outage,
    sources_up,
    streaks,
)
from dashboards.settings import (
    BAD,
    FAILURES_TO_OPEN,
    GOOD,
    HOLD,
    LATE_AFTER_SECONDS,
    NO_DATA,
    STALE_AFTER_SECONDS,
    UNKNOWN,
    WARN,
)

CELL_TEXTS = [
    value_map(P0=("P0", BAD), P1=("P1", BAD), P2=("P2", WARN), P3=("P3", GOOD)),
    # Hashes are shortened, as git does.
    regex_map("/^([0-9a-f]{12})[0-9a-f]{28}$/", "$1"),
    # URLs are too long for a cell.
    regex_map("/^https?:\\/\\/\\S+$/", "open run ↗"),
]


def broken_count() -> Json:
    """Return the tile of the number of broken jobs."""
    return stat(
        1,
        "Broken jobs",
        "Jobs whose outage is open: they failed N commits in a row (default "
        f"{FAILURES_TO_OPEN}) and no pass has closed it since. 'none' is said only while the data "
        f"is fresh (see Data age). After a failed scrape a broken job counts on for {HOLD}. "
        "Alert: TrunkJobBroken.",
        "0 0 6 4",
        target("A", number_of_broken_jobs()),
        {
            "mappings": [value_map(v0=("✔ none", GOOD))],
            "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, BAD)),
            "unit": "none",
        },
    )


def age_tile() -> Json:
    """Return the tile of the age of each branch's data."""
    return stat(
        2,
        "Data age",
        "Time since the results of the branch were last read in full. Everything else here is as "
        "old as this. It grows on while a source or the exporter is silent; after "
        f"{HOLD} without a scrape it says '{NO_DATA}'. Orange: the exporter is no longer ready. "
        "Red: too old to say that nothing is broken. Alert: TrunkDataStale. Where the newest "
        "commits have no results although earlier ones had, nothing on this dashboard is green "
        "either. Alert: TrunkDataDoubtful.",
        "6 0 6 4",
        target("A", data_age(), "{{repo}} {{branch}}"),
        {
            "thresholds": thresholds(
                (None, UNKNOWN), (0, GOOD), (LATE_AFTER_SECONDS, WARN), (STALE_AFTER_SECONDS, BAD)
            ),
            "decimals": 1,
            "unit": "s",
        },
    )


def source_tile() -> Json:
    """Return the tile of each source's last refresh."""
    return stat(
        3,
        "Source up",
        "Whether the last refresh of each source succeeded. While a source is down its last known "
        f"results stay. It is never held: a silent exporter gives '{NO_DATA}'. "
        "Alert: TrunkwatchSourceFailing.",
        "12 0 6 4",
        target("A", sources_up(), "{{source}}"),
        {
            "mappings": [value_map(v0=("✖ down", BAD), v1=("✔ up", GOOD))],
            "thresholds": thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)),
            "unit": "none",
        },
    )


def green_tile() -> Json:
    """Return the tile of the commits since the last green one."""
    return stat(
        4,
        "Commits since green",
        "Commits on the trunk after the newest one on which every required job passed; all known "
        "commits where there is none. Known only where 'green:' is configured, and only while the "
        "data is fresh (see Data age). Alert: TrunkNotGreen.",
        "18 0 6 4",
        target("A", commits_since_green(), "{{repo}} {{branch}}"),
        {
            "mappings": [value_map(v0=("✔ tip is green", GOOD))],
            "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, WARN)),
            "unit": "none",
        },
    )


RUN = "First failing run"
OUTAGE_COLUMNS = {
    "group": "Group",
    "team": "Team",
    "priority": "Priority",
    "workflow": "Workflow",
    "job_name": "Job",
    "Value #A": "Failures",
    "Value #B": "Streak",
    "first_bad": "First bad",
    "last_good": "Last good",
    "Value #C": "Suspects",
    "url": RUN,
    "repo": "Repo",
    "branch": "Branch",
}


def broken_table() -> Json:
    """Return the table of broken jobs with owner, first bad commit and failing run."""
    queries = [
        of_broken_jobs("ci_job_failures_in_outage"),
        of_broken_jobs("ci_job_consecutive_failures"),
        of_broken_jobs("ci_job_suspect_commits"),
        outage(),
    ]
    return table(
        5,
        "What is broken now",
        "One row per job with an open outage. Failures: failing commits since first bad. Streak: "
        "failing commits at the tip; 0 means that a flake stands there. Suspects: commits after "
        "last good up to first bad; 'unknown' where no last good is known. After a failed scrape "
        f"the rows stay for {HOLD}, as the alerts do: see Data age.",
        "0 4 24 8",
        targets=[target(ref, expr, table=True) for ref, expr in zip("ABCD", queries, strict=True)],
        columns=OUTAGE_COLUMNS,
        hidden=["Time", "Value #D"],
        mappings=CELL_TEXTS,
        overrides=[
            override("Priority", custom_cellOptions={"type": "color-text"}),
            override("Job", custom_width=None),
            override(RUN, mode="exclude", links=None),
        ],
        links=[link("Open the first failing run", "${__value.raw}")],
        sort_by=[("Priority", False), ("Failures", True)],
        empty="No broken job is known. Check Data age: old data may hide one.",
    )


def suspect_table() -> Json:
    """Return the table of suspect commits."""
    return table(
        6,
        "Suspect commits",
        "The commits after last good up to first bad of each open outage, oldest first, at most "
        "ten per job. Untested commits count. A job without a known last good has none here.",
        "0 12 14 11",
        targets=[target("A", of_broken_jobs("ci_job_suspect_info", SUSPECT), table=True)],
        columns={
            "workflow": "Workflow",
            "job_name": "Job",
            "Value": "#",
            "sha": "Commit",
            "author": "Author",
            "title": "Title",
        },
        hidden=["Time", "repo", "branch", "group", "team", "priority"],
        mappings=CELL_TEXTS,
        overrides=[override("Job", "Title", custom_width=None)],
        sort_by=[("Workflow", False), ("Job", False), ("#", False)],
        empty="No suspects. A job of the table above without a known last good has none.",
    )


def streak_trend() -> Json:
    """Return the graph of streaks over time."""
    trend = {
        **target("A", streaks(), "{{workflow}} / {{job_name}} · {{repo}} {{branch}}"),
        "instant": False,
        "range": True,
    }
    custom = {
        "drawStyle": "line",
        "fillOpacity": 0,
        "lineInterpolation": "stepAfter",
        "lineWidth": 2,
        # The threshold line stays visible while every streak is short.
        "axisSoftMax": FAILURES_TO_OPEN + 1,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed"},
    }
    defaults = {
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "decimals": 0,
        "min": 0,
        "noValue": "No job failed in this range, or there is no data: see Data age.",
        "thresholds": thresholds((None, "transparent"), (FAILURES_TO_OPEN, BAD)),
        "unit": "none",
    }
    legend = {
        "calcs": ["lastNotNull", "max"],
        "displayMode": "table",
        "placement": "bottom",
        "showLegend": True,
        "sortBy": "Last *",
        "sortDesc": True,
    }
    return panel(
        7,
        "timeseries",
        "Failing commits in a row",
        "ci_job_consecutive_failures of the jobs that failed at least once in the range. The "
        f"dashed line stands at {FAILURES_TO_OPEN}, the default at which an outage opens; a group "
        "may have its own number. A gap means that nothing was scraped.",
        "14 12 10 11",
        fieldConfig={"defaults": defaults, "overrides": []},
        options={"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        targets=[trend],
    )


def dashboard() -> Json:
    """Return the dashboard."""
    return {
        "annotations": {"list": []},
        "description": "What is broken on the trunk now, since when, by which commits, and whether "
        "these data can be trusted.",
        "editable": False,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "panels": [
            broken_count(),
            age_tile(),
            source_tile(),
            green_tile(),
            broken_table(),
            suspect_table(),
            streak_trend(),
            *alert_panels(),
        ],
        "refresh": "1m",
        "schemaVersion": 41,
        "tags": ["trunkwatch"],
        "templating": {
            "list": [
                datasource_variable(),
                label_variable("job", "Scrape job", "label_values(trunkwatch_build_info, job)"),
                label_variable("repo", "Repo", label_values("repo", IN_JOB)),
                label_variable("branch", "Branch", label_values("branch", IN_REPO)),
                label_variable("group", "Group", label_values("group", IN_BRANCH)),
            ]
        },
        # A day covers the last working evening before a broken morning.
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "title": "Trunk",
        "uid": "trunkwatch-trunk",
    }
