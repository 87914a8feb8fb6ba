"""The dashboard *Trunk*: its panels, in the order in which a paged engineer needs them."""

from dashboards import queries
from dashboards.closed_rows import flaky, removed, silent, truncated
from dashboards.grafana import (
    Json,
    override,
    stat,
    table,
    target,
    thresholds,
    value_map,
)
from dashboards.history import pictures, recent_outages, share_green
from dashboards.links import (
    ADDRESSES,
    TRUNK_UID,
    to_job,
    to_page_of_job,
    to_page_of_trunk,
    to_value,
)
from dashboards.settings import (
    BAD,
    DIMMED,
    GOOD,
    HOLD,
    NO_DATA,
    NOT_CONFIGURED,
    UNKNOWN,
    WARN,
)
from dashboards.shared import COLORED, IDENTITY, OWNER, PRIORITIES, data_age, firing_table
from dashboards.variables import addresses, annotations, common_variables, dashboard


def tiles() -> list[Json]:
    """Return the numbers at the top."""
    return [
        stat(
            "Broken jobs",
            "Jobs whose outage is open: they failed N commits in a row and no pass has closed it "
            "since. 'none' is shown only while the data of every chosen trunk is fresh. After a "
            f"failed scrape a broken job still counts for {HOLD}. Alert: TrunkJobBroken.",
            "12 3",
            target("A", queries.number_of_broken_jobs()),
            {
                "mappings": [value_map({0: ("✔ none", GOOD), -1: ("? data is old", UNKNOWN)})],
                "thresholds": thresholds((None, UNKNOWN), (0, GOOD), (1, BAD)),
                "unit": "none",
            },
        ),
        data_age(
            "Age of the oldest data",
            "Time since the results of the chosen trunks were last read in full; the oldest "
            "counts. Everything else here is as old as this. It keeps growing while a source or "
            f"the exporter is silent; after {HOLD} without a scrape it shows '{NO_DATA}'. Orange: "
            "the exporter is no longer ready. Red: too old to state that nothing is broken. "
            "Alert: TrunkDataStale.",
            "12 3",
        ),
    ]


def trunks() -> Json:
    """Return the table with a row for each trunk."""
    # One mapping for all columns: the values of State are negative, and the others count.
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
        "after the newest one on which every required job passed; known only where 'green:' is "
        "configured. Data age: time since the results were last read. Results missing: the newest "
        "commits have none although earlier ones had. Alerts: TrunkNotGreen, TrunkDataStale, "
        "TrunkDataDoubtful. Click a repository to open the grid of its trunk.",
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
        wide=["Repo"],
        overrides=[override("State", "Broken", "Since green", custom_cellOptions=COLORED)],
        linked=["Repo"],
        links=[to_page_of_trunk()],
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
        "since first bad. N: how many in a row open an outage. First bad by: author of the first "
        "failing commit; 'or earlier' where no last good commit is known. Suspects: number of "
        "commits after last good up to first bad. Running: newer commits at which the job is "
        "running or queued. "
        f"Known-broken jobs are dimmed. After a failed scrape the rows stay for {HOLD}, as the "
        "alerts do. A click opens: on a job the dashboard Job, on a commit or run its page at the "
        "CI, on a number of suspects the job's page. Alert: TrunkJobBroken.",
        "24 10",
        queries=[
            queries.broken_jobs(),
            queries.broken_for(),
            queries.failures(),
            queries.failures_to_open(),
            queries.known_or_not(),
            queries.running(),
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
            "Value #F": "Running",
            "Value #E": "State",
            **OWNER,
            **IDENTITY,
            "opened": "Opened (UTC)",
            "title": "Commit title",
        },
        hidden=["Value #A", "Value #B", "group"],
        mappings=[PRIORITIES, value_map(states), *ADDRESSES],
        wide=["Job", "Commit title"],
        overrides=[
            override("Priority", custom_cellOptions=COLORED),
            override("State", custom_cellOptions=whole_row),
            override("Job", links=[to_job()]),
            override("Suspects", links=[to_page_of_job()]),
        ],
        linked=["Commit", "Run"],
        links=[to_value("Open it")],
        sort_by=[("State", False), ("Priority", False), ("Opened (UTC)", False)],
        empty=NO_DATA,
    )


def who_is_on_it() -> Json:
    """Return the table of the tickets and silences of groups that alert."""
    return table(
        "Who is on it",
        "The ticket of each group with a broken job, and the silences of its alerts, as Trunkwatch "
        "last read them: a row each. A silence may be of some of the group's jobs.",
        "24 5",
        queries=[queries.who_is_on_it()],
        columns={
            "group": "Group",
            "ticket": "Ticket",
            "assignees": "Assignees",
            "state": "State",
            "created_by": "Silenced by",
            "comment": "Comment",
            "url": "Address",
            **OWNER,
            "repo": "Repo",
            "branch": "Branch",
        },
        hidden=["Value"],
        mappings=[PRIORITIES, *ADDRESSES],
        wide=["Group", "Comment"],
        linked=["Address"],
        links=[to_value("Open the ticket")],
        sort_by=[("Priority", False), ("Group", False)],
        empty=f"{NOT_CONFIGURED}: tickets.url and alertmanager.url. Or {NO_DATA}.",
    )


def suspect_commits() -> Json:
    """Return the table of suspect commits."""
    return table(
        "Suspect commits",
        "The commits after last good up to first bad of each open outage, oldest first, at most "
        "ten per job. Result: of the job at the commit; all but first bad are not tested.",
        "24 8",
        queries=[queries.suspects()],
        columns={
            "job_name": "Job",
            "Value": "#",
            "commit": "Commit",
            "author": "Author",
            "result": "Result",
            "title": "Title",
            **OWNER,
            **IDENTITY,
        },
        hidden=["group"],
        mappings=[PRIORITIES, *ADDRESSES],
        wide=["Job", "Title"],
        overrides=[override("Priority", custom_cellOptions=COLORED)],
        linked=["Commit"],
        links=[to_value("Open the commit")],
        sort_by=[("Priority", False), ("Job", False), ("Workflow", False), ("#", False)],
        empty=f"No suspects: no last good commit is known. Or {NO_DATA}: see Trunks.",
    )


def build() -> Json:
    """Return the dashboard."""
    return dashboard(
        TRUNK_UID,
        "Trunk",
        "What is broken on the trunks now, since when, by which commits, who is on it, and "
        "whether these data can be trusted.",
        [
            *tiles(),
            trunks(),
            broken_now(),
            who_is_on_it(),
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
