"""The dashboard *Trunk*: its panels, in the order in which a paged engineer needs them."""

from dashboards import queries
from dashboards.firing import PRIORITIES, firing_table
from dashboards.grafana import (
    Json,
    collapsed,
    graph,
    override,
    stat,
    table,
    target,
    thresholds,
    timeline,
    value_map,
)
from dashboards.links import (
    ADDRESSES,
    TRUNK_UID,
    to_column,
    to_job,
    to_page_of_job,
    to_page_of_trunk,
    to_trunk,
    to_value,
)
from dashboards.settings import (
    BAD,
    DIMMED,
    GOOD,
    HOLD,
    LATE_AFTER_SECONDS,
    NO_DATA,
    NOT_CONFIGURED,
    STALE_AFTER_SECONDS,
    UNKNOWN,
    WARN,
    WORST_IN_TIMELINE,
    WORST_IN_TREND,
)
from dashboards.variables import addresses, annotations, common_variables, dashboard

IDENTITY = {"workflow": "Workflow", "repo": "Repo", "branch": "Branch"}
OWNER = {"team": "Team", "priority": "Priority"}
COLORED = {"type": "color-text"}


def tiles() -> list[Json]:
    """Return the numbers at the top."""
    return [
        stat(
            "Broken jobs",
            "Jobs whose outage is open: they failed N commits in a row and no pass has closed it "
            "since. "
            "'none' is said only while the data of every chosen trunk is fresh. After a failed "
            "scrape a "
            f"broken job counts on for {HOLD}. Alert: TrunkJobBroken.",
            "12 3",
            target("A", queries.number_of_broken_jobs()),
            {
                "mappings": [value_map({0: ("✔ none", GOOD), -1: ("? data is old", UNKNOWN)})],
                "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, BAD)),
                "unit": "none",
            },
        ),
        stat(
            "Age of the oldest data",
            "Time since the results of the chosen trunks were last read in full; the oldest "
            "counts. "
            "Everything else here is as old as this. It grows on while a source or the exporter is "
            f"silent; after {HOLD} without a scrape it says '{NO_DATA}'. Orange: the exporter is "
            "no "
            "longer ready. Red: too old to say that nothing is broken. Alert: TrunkDataStale.",
            "12 3",
            target("A", queries.oldest_data()),
            {
                "decimals": 1,
                "thresholds": thresholds(
                    (None, UNKNOWN),
                    (0, GOOD),
                    (LATE_AFTER_SECONDS, WARN),
                    (STALE_AFTER_SECONDS, BAD),
                ),
                "unit": "s",
            },
        ),
    ]


def trunks() -> Json:
    """Return the table with a row for each trunk."""
    states = {
        queries.BROKEN: ("✖ broken", BAD),
        queries.STALE: ("? data is old", UNKNOWN),
        queries.DOUBTFUL: ("? results missing", WARN),
        queries.FINE: ("✔ nothing broken", GOOD),
        queries.NO_GREEN: (NOT_CONFIGURED, UNKNOWN),
        0: ("✔ none", GOOD),
    }
    return table(
        "Trunks",
        "One row per trunk, worst first. Broken: jobs with an open outage. Since green: commits "
        "after the "
        "newest one on which every required job passed; known only where 'green:' is configured. "
        "Data "
        "age: since the results were last read. Results missing: the newest commits have none "
        "although "
        "earlier ones had. Alerts: TrunkNotGreen, TrunkDataStale, TrunkDataDoubtful.",
        "24 7",
        queries=[
            queries.trunk_states(),
            queries.broken_by_trunk(),
            queries.commits_since_green(),
            queries.age_by_trunk(),
        ],
        columns={
            "repo": "Repo",
            "Value #A": "State",
            "Value #B": "Broken",
            "Value #C": "Since green",
            "age": "Data age",
            "branch": "Branch",
        },
        mappings=[value_map(states)],
        wide=["Repo", "State"],
        overrides=[override("State", "Broken", "Since green", custom_cellOptions=COLORED)],
        linked=["Repo"],
        links=[to_trunk(), to_page_of_trunk()],
        hidden=["Value #D"],
        sort_by=[("State", False), ("Broken", True), ("Repo", False)],
        empty=f"{NO_DATA}: no exporter was scraped in the last {HOLD}",
    )


def broken_now() -> Json:
    """Return the table of broken jobs."""
    states = {
        queries.KNOWN: ("known broken", DIMMED),
        queries.ALERTS: ("broken", "transparent"),
    }
    whole_row = {"applyToRow": True, "mode": "basic", "type": "color-background"}
    return table(
        "Broken now",
        "One row per job with an open outage. Since: age of the outage. Failures: failing commits "
        "since "
        "first bad, N: how many in a row open an outage. First bad by: author of the first "
        "failing commit. "
        "Suspects: number of commits after last good up to first bad. Known-broken jobs are "
        "dimmed. "
        f"After a failed scrape the rows stay for {HOLD}, as the alerts do. Click a job, commit "
        "or run to "
        "open the dashboard Job, the run, the commit or the page. Alert: TrunkJobBroken.",
        "24 10",
        queries=[
            queries.broken_jobs(),
            queries.broken_for(),
            queries.failures(),
            queries.failures_to_open(),
            queries.known_or_not(),
        ],
        columns={
            "job_name": "Job",
            "age": "Since",
            "Value #C": "Failures",
            "Value #D": "N",
            "author": "First bad by",
            "commit": "Commit",
            "failed_step": "Failed step",
            "url": "Run",
            "suspects": "Suspects",
            "Value #E": "State",
            **OWNER,
            **IDENTITY,
            "opened": "Opened (UTC)",
            "title": "Commit title",
        },
        hidden=["Value #A", "Value #B", "group"],
        mappings=[PRIORITIES, value_map(states), *ADDRESSES],
        wide=["Job", "Commit title", "Opened (UTC)"],
        overrides=[
            override("Priority", custom_cellOptions=COLORED),
            override("State", custom_cellOptions=whole_row),
        ],
        linked=["Job", "Commit", "Run"],
        links=[
            to_job(),
            to_column("First failing run", "Run"),
            to_column("First bad commit", "Commit"),
            to_page_of_job(),
        ],
        sort_by=[("State", False), ("Priority", False), ("Opened (UTC)", False)],
        empty=NO_DATA,
    )


def suspect_commits() -> Json:
    """Return the table of suspect commits."""
    return table(
        "Suspect commits",
        "The commits after last good up to first bad of each open outage, oldest first, at most "
        "ten per "
        "job. Untested commits count.",
        "24 8",
        queries=[queries.suspects()],
        columns={
            "job_name": "Job",
            "Value": "#",
            "commit": "Commit",
            "author": "Author",
            "title": "Title",
            "workflow": "Workflow",
            "repo": "Repo",
            "branch": "Branch",
        },
        hidden=["group", "team", "priority"],
        mappings=ADDRESSES,
        wide=["Job", "Title"],
        linked=["Commit"],
        links=[to_value("Open the commit")],
        sort_by=[("Job", False), ("Workflow", False), ("#", False)],
        empty=f"No suspects are known: no last good is. Or {NO_DATA}: see Trunks.",
    )


JOB_LEGEND = "{{job_name}} · {{workflow}} · {{repo}} {{branch}}"
FRESH_LEGEND = "fresh data"
THRESHOLD_LEGEND = "N: failures in a row that open an outage"


def pictures() -> list[Json]:
    """Return what happened over the time range."""
    return [
        graph(
            "Broken jobs by group",
            "Jobs with an open outage, stacked by group. A line at 0 means that nothing was "
            "broken, a gap "
            "that there was no fresh data.",
            "12 9",
            [
                (queries.broken_by_group(), "{{group}} · {{team}} · {{repo}} {{branch}}"),
                (queries.known(), FRESH_LEGEND),
            ],
            stacked=True,
        ),
        graph(
            "Failing commits in a row",
            f"At each time the {WORST_IN_TREND} longest streaks. Dashed: the jobs' own N, at which "
            "an outage opens. A line ends with a pass or a flake. A line at 0 means that "
            "nothing failed, a gap that there was no fresh data.",
            "12 9",
            [
                (queries.streaks(), JOB_LEGEND),
                (queries.thresholds_of_jobs(), THRESHOLD_LEGEND),
                (queries.known(), FRESH_LEGEND),
            ],
            overrides=[
                override(
                    THRESHOLD_LEGEND,
                    custom_lineStyle={"dash": [8, 8], "fill": "dash"},
                    custom_hideFrom={"legend": True, "tooltip": True, "viz": False},
                    color={"fixedColor": BAD, "mode": "fixed"},
                ),
                override(
                    FRESH_LEGEND, custom_hideFrom={"legend": True, "tooltip": True, "viz": False}
                ),
            ],
        ),
        timeline(
            "How long red",
            f"At each time the {WORST_IN_TIMELINE} jobs that were broken for longest. The first "
            "row is of all jobs together, known-broken ones apart; a gap in it means that there "
            "was no fresh data.",
            "24 12",
            [
                (queries.any_broken(), "any job that may alert"),
                (queries.red_times(), JOB_LEGEND),
            ],
            {0: ("nothing broken", GOOD), 1: ("broken", BAD)},
        ),
    ]


def share_green() -> Json:
    """Return the share of green time of each trunk."""
    return table(
        "Share of time green, 7 days",
        "The share of the last seven days in which no job of the trunk was broken, known-broken "
        "jobs "
        "apart; of the time for which there was fresh data.",
        "8 8",
        queries=[queries.share_green()],
        columns={"repo": "Repo", "Value": "Green", "branch": "Branch"},
        wide=["Repo"],
        timed=["Green"],
        unit="percentunit",
        sort_by=[("Green", False)],
        empty=f"{NO_DATA}: the rules have recorded nothing yet",
    )


ENDED_COLUMNS = {
    "job_name": "Job",
    "ended": "How",
    "opened": "Opened",
    "closed": "Closed",
    "lasted": "Duration",
    "team": "Team",
    "fixed_by": "Fixed by",
    "priority": "Priority",
    **IDENTITY,
}
HOW = value_map(
    {
        "fixed": ("✔ fixed", GOOD),
        "flaky": ("flaked", WARN),
        "removed": ("removed", WARN),
        "muted": ("known broken", WARN),
        "moved": ("moved", WARN),
        "unwatched": ("not watched", WARN),
        "revised": ("denied by results", WARN),
    }
)


def recent_outages() -> Json:
    """Return the table of outages whose alert ended."""
    return table(
        "Recent outages",
        "Outages whose alert ended in the range: how, when, how long they lasted, and whose they "
        "were. "
        "Times are UTC.",
        "16 8",
        queries=[queries.ended_outages()],
        columns=ENDED_COLUMNS,
        hidden=["Value", "group"],
        mappings=[HOW, PRIORITIES],
        wide=["Job", "Opened", "Closed"],
        overrides=[override("How", "Priority", custom_cellOptions=COLORED)],
        linked=["Job"],
        links=[to_job()],
        sort_by=[("Closed", True)],
        empty=NO_DATA,
    )


def silent() -> Json:
    """Return the closed row of silent jobs."""
    return collapsed(
        "Silent jobs",
        table(
            "Silent jobs",
            "Jobs without a pass, a failure or a flake for longer than 'silent_after' of their "
            "group, as of "
            "the last refresh. Alert: TrunkJobSilent.",
            "16 8",
            queries=[queries.silent_for(), queries.silence_allowed()],
            columns={
                "job_name": "Job",
                "Value #A": "Silent for",
                "Value #B": "Allowed",
                **OWNER,
                **IDENTITY,
            },
            hidden=["group"],
            mappings=[PRIORITIES],
            wide=["Job"],
            linked=["Job"],
            links=[to_job()],
            timed=["Silent for", "Allowed"],
            sort_by=[("Silent for", True)],
            empty=NO_DATA,
        ),
        table(
            "Disabled workflows",
            "Workflows that their CI has disabled for inactivity: their jobs do not run.",
            "8 8",
            queries=[queries.inactive_workflows()],
            columns={"workflow": "Workflow", "repo": "Repo", "branch": "Branch"},
            hidden=["Value"],
            wide=["Workflow"],
            sort_by=[("Workflow", False)],
            empty=NO_DATA,
        ),
    )


def removed() -> Json:
    """Return the closed row of removed jobs and mass breakage."""
    counted = {
        "mappings": [value_map({0: ("✔ none", GOOD)})],
        "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, WARN)),
        "unit": "none",
    }
    return collapsed(
        "Removed while broken, and commits that broke most jobs",
        stat(
            "Removed while broken",
            "Jobs that disappeared within a day while their outage was open. Alert: "
            "TrunkJobRetired.",
            "8 6",
            target("A", queries.removed_while_broken(), "{{repo}} {{branch}}"),
            counted,
        ),
        table(
            "One commit broke most jobs",
            "The commit that broke more than half of the jobs that ran on it, and how many. While "
            "it does, "
            "the alerts of single jobs are inhibited. Alert: TrunkCommitBrokeEverything.",
            "16 6",
            queries=[queries.mass_breakage()],
            columns={
                "title": "Commit title",
                "Value": "Jobs",
                "author": "Author",
                "sha": "Commit",
                "repo": "Repo",
                "branch": "Branch",
            },
            wide=["Commit title", "Commit"],
            sort_by=[("Jobs", True)],
            empty=NO_DATA,
        ),
    )


def truncated() -> Json:
    """Return the closed row of outages that are older than what was read."""
    return collapsed(
        "Truncated: outages that are older than what was read",
        stat(
            "Outages older than the window",
            "Outages that alert and whose first bad commit may be older than the oldest that was "
            "read. "
            "Alert: TrunkStreakTruncated.",
            "8 6",
            target("A", queries.truncated_by_trunk(), "{{repo}} {{branch}}"),
            {
                "mappings": [value_map({0: ("✔ none", GOOD)})],
                "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, WARN)),
                "unit": "none",
            },
        ),
        table(
            "Truncated outages",
            "Broken jobs that failed on every commit that was read.",
            "16 6",
            queries=[queries.truncated_outages()],
            columns={"job_name": "Job", "Value": "Failures", **OWNER, **IDENTITY},
            hidden=["group"],
            mappings=[PRIORITIES],
            wide=["Job"],
            linked=["Job"],
            links=[to_job()],
            sort_by=[("Failures", True)],
            empty=NO_DATA,
        ),
    )


def flaky() -> Json:
    """Return the closed row of jobs that are mostly flaky."""
    return collapsed(
        "Mostly flaky: jobs that may never alert",
        table(
            "Mostly flaky",
            "Jobs of whose newest 20 verdicts more than half failed and passed on one commit.",
            "24 7",
            queries=[queries.mostly_flaky(), queries.flakes_since_pass()],
            columns={"job_name": "Job", "Value #B": "Flakes", **OWNER, **IDENTITY},
            hidden=["Value #A", "group"],
            mappings=[PRIORITIES],
            wide=["Job"],
            linked=["Job"],
            links=[to_job()],
            sort_by=[("Flakes", True)],
            empty=NO_DATA,
        ),
    )


def build() -> Json:
    """Return the dashboard."""
    return dashboard(
        TRUNK_UID,
        "Trunk",
        "What is broken on the trunks now, since when, by which commits, who is on it, and "
        "whether these "
        "data can be trusted.",
        [
            *tiles(),
            trunks(),
            broken_now(),
            suspect_commits(),
            *pictures(),
            recent_outages(),
            share_green(),
            firing_table(),
            silent(),
            removed(),
            truncated(),
            flaky(),
        ],
        [*common_variables(), *addresses()],
        annotated=annotations(),
    )
