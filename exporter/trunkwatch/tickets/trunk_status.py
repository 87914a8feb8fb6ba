"""The exporter's JSON of one trunk, parsed into values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.errors import ReadingError
from trunkwatch.tickets.model import JobName
from trunkwatch.times import parse_time


class CommitLine(NamedTuple):
    """A commit as an issue names it; author and title are None where the source has none."""

    sha: str
    author: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job in the exporter's JSON (docs/policy.md, 4.3).

    Attributes:
        name: the job.
        group: its group.
        broken: an outage is open.
        streak: FAILs in a row at the tip (`consecutive_failures`).
        failures: FAILs of the open outage (`failures_in_outage`).
        first_bad: the commit at which it broke; None if nothing fails.
        last_good: hash of the PASS before it; None if there is none in the window.
        suspects: number of suspect commits; None without last good.
        tested: number of suspects with a verdict.
        also_suspect: the suspects except first bad, oldest first.
        broken_since: end of the earliest-started failing run at first bad (seconds since the
            epoch).
        url: of that run.
        compare_url: comparison of last good and first bad.
        failed_step: of that run.
        annotations: error messages of that run.
        same_step: every failure of the outage is in this step.
        infra: that run looks like an infrastructure failure.
        confirmed: first bad failed in more than one attempt.
        co_failures: jobs of other groups with the same first bad.
        pending: number of commits that wait for a result.
        last_verdict: PASS, FAIL, FLAKY, or None.
        known_broken: reason of its exemption; None if it is not exempt.
        last_outage: first bad (hash) and ending commit of its newest closed outage.
    """

    name: JobName
    group: str
    broken: bool
    streak: int
    failures: int
    first_bad: CommitLine | None
    last_good: str | None
    suspects: int | None
    tested: int | None
    also_suspect: tuple[CommitLine, ...]
    broken_since: float | None
    url: str | None
    compare_url: str | None
    failed_step: str | None
    annotations: tuple[str, ...]
    same_step: bool
    infra: bool
    confirmed: bool
    co_failures: tuple[str, ...]
    pending: int
    last_verdict: str | None
    known_broken: str | None
    last_outage: tuple[str, CommitLine] | None


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group in the exporter's JSON.

    Attributes:
        team: that owns its jobs.
        priority: P0 to P3.
        failure_threshold: number of broken jobs at which it alerts.
        failing: number of broken jobs that are not exempt.
    """

    team: str
    priority: str
    failure_threshold: int
    failing: int


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """One trunk in the exporter's JSON.

    Attributes:
        reliable: each source of the trunk has read it: a missing job is removed, not unread.
        groups: by name.
        jobs: by name.
    """

    reliable: bool
    groups: Mapping[str, GroupStatus]
    jobs: Mapping[JobName, JobStatus]

    def broken(self, group: str) -> tuple[JobStatus, ...]:
        """Return the broken jobs of a group that are not exempt, most failures first."""
        found = [
            job
            for job in self.jobs.values()
            if job.group == group and job.broken and job.known_broken is None
        ]
        return tuple(sorted(found, key=lambda job: (-job.failures, job.name)))


def parse_trunk_status(document: Any) -> TrunkStatus:
    """Parse the answer of `/api/v1/trunk/<repo>/<branch>`.

    Raises:
        ReadingError: it has another shape.
    """
    try:
        jobs = [_job(row) for row in document["jobs"]]
        return TrunkStatus(
            reliable=all(bool(source["up"]) for source in document["sources"]),
            groups={row["group"]: _group(row) for row in document["groups"]},
            jobs={job.name: job for job in jobs},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadingError(
            f"the exporter's JSON is not the object of docs/policy.md ({error!r}); do both"
            " run the same version?"
        ) from None


def _group(row: Mapping[str, Any]) -> GroupStatus:
    return GroupStatus(
        str(row["team"]), str(row["priority"]), int(row["failure_threshold"]),
        int(row["jobs_failing"]),
    )  # fmt: skip


def _job(row: Mapping[str, Any]) -> JobStatus:
    exempt = row.get("known_broken")
    first_bad = row.get("first_bad")
    suspects = [_commit(commit) for commit in row.get("suspect_commits") or ()]
    return JobStatus(
        name=JobName(str(row["workflow"]), str(row["job_name"])),
        group=str(row["group"]),
        broken=bool(row["broken"]),
        streak=int(row["consecutive_failures"]),
        failures=int(row["failures_in_outage"]),
        first_bad=_first_bad(first_bad, suspects),
        last_good=row.get("last_good"),
        suspects=row.get("suspects"),
        tested=row.get("tested_suspects"),
        also_suspect=tuple(line for line in suspects if line.sha != first_bad),
        broken_since=parse_time(row["broken_since"]) if row["broken_since"] else None,
        url=row.get("url"),
        compare_url=row.get("compare_url"),
        failed_step=row.get("failed_step"),
        annotations=annotation_lines(str(line) for line in row.get("annotations") or ()),
        same_step=row.get("same_step") is not None,
        infra=bool(row.get("infra")),
        confirmed=bool(row.get("confirmed")),
        co_failures=tuple(str(name) for name in row.get("also_broken_since") or ()),
        pending=int(row.get("pending_commits") or 0),
        last_verdict=row.get("last_verdict"),
        known_broken=None if exempt is None else str(exempt["reason"]),
        last_outage=_last_outage(row.get("last_outage")),
    )


def _first_bad(sha: str | None, suspects: list[CommitLine]) -> CommitLine | None:
    """Return first bad, with author and title if it is among the suspects."""
    if not sha:
        return None
    return next((line for line in suspects if line.sha == sha), CommitLine(sha))


def _last_outage(row: Mapping[str, Any] | None) -> tuple[str, CommitLine] | None:
    return None if row is None else (str(row["first_bad"]), _commit(row["ended_by"]))


def _commit(row: Mapping[str, Any]) -> CommitLine:
    return CommitLine(str(row["sha"]), row.get("author"), row.get("title"))
