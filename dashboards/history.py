"""What happened over the time range: the pictures of *Trunk*, and the outages that ended."""

from dashboards import queries
from dashboards.grafana import Json, graph, override, table, timeline, value_map
from dashboards.links import to_job
from dashboards.settings import (
    BAD,
    GOOD,
    NO_DATA,
    WARN,
    WORST_IN_TIMELINE,
    WORST_IN_TREND,
)
from dashboards.shared import COLORED, IDENTITY, PRIORITIES

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
            f"The {WORST_IN_TREND} jobs with the longest streaks of the range. Dashed: the jobs' "
            "own N, at which an outage opens. A line ends with a pass or a flake. A line at 0 "
            "means that nothing failed, a gap that there was no fresh data.",
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
            f"The {WORST_IN_TIMELINE} jobs that were broken for most of the range. The first "
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
        wide=["Job"],
        overrides=[override("How", "Priority", custom_cellOptions=COLORED)],
        linked=["Job"],
        links=[to_job()],
        sort_by=[("Closed", True)],
        empty=NO_DATA,
    )
