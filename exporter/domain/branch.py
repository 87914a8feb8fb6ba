"""What all jobs of a trunk say together: groups, mass breakage, the newest green commit."""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.domain.groups import Group
from exporter.domain.job import JobState
from exporter.domain.model import Commit, Trunk, TrunkOrder, Verdict
from exporter.domain.streak import StoppedBy

MASS_BREAKAGE_JOBS = 4
"""Jobs with a verdict at a commit, below which one commit cannot have broken "everything"."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group on one trunk.

    Attributes:
        trunk: the trunk.
        group: the group.
        streak: the longest streak of its jobs.
        failing: jobs with an open outage, known-broken ones apart.
        firing: whether enough jobs are broken for it to alert.
    """

    trunk: Trunk
    group: Group
    streak: int
    failing: int

    @property
    def firing(self) -> bool:
        """Whether as many jobs are broken as the group's threshold asks for."""
        return self.failing >= self.group.jobs_threshold


@dataclass(frozen=True, slots=True)
class Green:
    """How far the newest green commit is away.

    Attributes:
        commits_since: trunk commits newer than it; where no commit is green, all that are known,
            which is the least that it can be.
        commit: the newest green commit, or None.
    """

    commits_since: int
    commit: Commit | None


def group_states(trunk: Trunk, jobs: Sequence[JobState]) -> tuple[GroupState, ...]:
    """Return every group that has a job here, by name."""
    members: dict[str, list[JobState]] = defaultdict(list)
    for job in jobs:
        members[job.group.name].append(job)
    return tuple(
        GroupState(
            trunk,
            members[name][0].group,
            max(job.streak for job in members[name]),
            sum(job.alerting for job in members[name]),
        )
        for name in sorted(members)
    )


def mass_breakage(jobs: Sequence[JobState]) -> bool:
    """Whether one commit broke more than half of the jobs that have a verdict there.

    At least four jobs must have a verdict at it, and those it broke had a PASS just before and
    have not passed since: once half of them recovered, it is each job's own story again.
    """
    broke = Counter(
        job.blame.place
        for job in jobs
        if job.blame is not None and job.streak > 0 and _streak_follows_pass(job)
    )
    return any(
        _mass(count, sum(verdict_at(job, place) is not None for job in jobs))
        for place, count in broke.items()
        if count > MASS_BREAKAGE_JOBS // 2
    )


def _mass(broken: int, answered: int) -> bool:
    return answered >= MASS_BREAKAGE_JOBS and broken > answered / 2


def _streak_follows_pass(job: JobState) -> bool:
    return job.stopped_by is StoppedBy.PASS and (
        not job.broken or job.failures_in_outage == job.streak
    )


def verdict_at(job: JobState, place: int) -> Verdict | None:
    """Return the job's newest answer (PASS, FAIL or FLAKY) at one commit, if it has one."""
    column = bisect_left(job.places, place + 1) - 1
    while column >= 0 and job.places[column] == place:
        if job.verdicts[column].decided:
            return job.verdicts[column]
        column -= 1
    return None


def newest_green(
    jobs: Sequence[JobState], order: TrunkOrder, required: Sequence[re.Pattern[str]]
) -> Green:
    """Find the newest commit on which every required pattern has a job, all PASS or FLAKY.

    Args:
        jobs: of the trunk.
        order: the trunk.
        required: patterns over "workflow / job_name", full match.
    """
    matching = [
        [job for job in jobs if pattern.fullmatch(f"{job.key.workflow} / {job.key.job_name}")]
        for pattern in required
    ]
    for place in range(len(order.commits) - 1, -1, -1):
        if all(_green_at(members, place) for members in matching):
            return Green(len(order.commits) - 1 - place, order.commits[place])
    return Green(len(order.commits), None)


def _green_at(members: Sequence[JobState], place: int) -> bool:
    """Whether a pattern's jobs are green at a commit; a job without a column there is not there."""
    verdicts = [
        job.verdicts[column]
        for job in members
        for column in range(bisect_left(job.places, place), bisect_left(job.places, place + 1))
    ]
    return bool(verdicts) and all(verdict in (Verdict.PASS, Verdict.FLAKY) for verdict in verdicts)
