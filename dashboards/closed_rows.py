"""The closed rows of *Trunk*: the state behind the alerts other than broken jobs.

Their panels read families of all jobs, but only while a row is open.
"""

from dashboards import queries
from dashboards.grafana import Json, collapsed, stat, table, target
from dashboards.links import to_job
from dashboards.settings import NO_DATA, WARN
from dashboards.shared import IDENTITY, OWNER, PRIORITIES, none_or


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
    return collapsed(
        "Removed while broken, and commits that broke most jobs",
        stat(
            "Removed while broken",
            "Jobs that disappeared within a day while their outage was open. Alert: "
            "TrunkJobRetired.",
            "8 6",
            target("A", queries.removed_while_broken(), "{{repo}} {{branch}}"),
            none_or(WARN),
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
    """Return the closed row of outages that may be older than the commits that were read."""
    return collapsed(
        "Truncated: outages that are older than what was read",
        stat(
            "Outages older than the window",
            "Outages that alert and whose first bad commit may be older than the oldest that was "
            "read. "
            "Alert: TrunkStreakTruncated.",
            "8 6",
            target("A", queries.truncated_by_trunk(), "{{repo}} {{branch}}"),
            none_or(WARN),
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
