"""What all jobs of a trunk say together: groups, mass breakage, the newest green commit."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import DECIDED, Commit, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.streak import StoppedBy

MASS_BREAKAGE_JOBS = 4
"""Jobs with a verdict at a commit, below which one commit cannot have broken "everything"."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group on one trunk.

    Attributes:
        trunk: the trunk.
        group: the group.
        consecutive_failures: the longest streak of its jobs.
        failing: jobs with an open outage, known-broken ones apart.
        firing: whether enough jobs are broken for it to alert.
    """

    trunk: Trunk
    group: Group
    consecutive_failures: int
    failing: int

    @property
    def firing(self) -> bool:
        """Whether as many jobs are broken as the group's threshold asks for."""
        return self.failing >= self.group.failure_threshold


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


def group_states(trunk: Trunk, jobs: Iterable[JobState]) -> tuple[GroupState, ...]:
    """Return every group that has a job here, by name."""
    return Tally(jobs).groups(trunk)


def mass_breakage(jobs: Iterable[JobState]) -> bool:
    """Whether one commit broke more than half of the jobs that have a verdict there.

    At least four jobs must have a verdict at it, and those it broke had a PASS just before and
    have not passed since: once half of them recovered, it is each job's own story again.
    """
    return Tally(jobs).mass_breakage()


class _GroupTally:
    """Counts of one group, known by its name: its jobs by streak, and those that alert."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.streaks: Counter[int] = Counter()
        self.alerting = 0


class Tally:
    """Counts over jobs, from which it is told at once what all of them say together."""

    def __init__(self, jobs: Iterable[JobState] = ()) -> None:
        """Args:
        jobs: counted from the start.
        """
        self._groups: dict[str, _GroupTally] = {}
        self._answered: Counter[int] = Counter()
        self._broke: Counter[int] = Counter()
        for job in jobs:
            self.add(job)

    def add(self, job: JobState) -> None:
        """Count a job."""
        self._count(job, 1)

    def remove(self, job: JobState) -> None:
        """Count a job no longer; it is as it was when it was added."""
        self._count(job, -1)

    def groups(self, trunk: Trunk) -> tuple[GroupState, ...]:
        """Return every group that has a job, by name."""
        return tuple(
            GroupState(trunk, tally.group, max(+tally.streaks), tally.alerting)
            for _, tally in sorted(self._groups.items())
        )

    def mass_breakage(self) -> bool:
        """Whether one commit broke more than half of the jobs with a verdict there."""
        return any(
            _mass(count, self._answered[commit_index])
            for commit_index, count in self._broke.items()
        )

    def _count(self, job: JobState, amount: int) -> None:
        name = job.group.name
        tally = self._groups.setdefault(name, _GroupTally(job.group))
        tally.streaks[job.consecutive_failures] += amount
        tally.alerting += amount * job.alerting
        if not any(tally.streaks.values()):
            del self._groups[name]
        for commit_index in _answered_places(job):
            self._answered[commit_index] += amount
        if job.blame is not None and job.consecutive_failures > 0 and _streak_follows_pass(job):
            self._broke[job.blame.commit_index] += amount


def _answered_places(job: JobState) -> set[int]:
    columns = zip(job.commit_indexes, job.verdicts, strict=True)
    return {commit_index for commit_index, verdict in columns if verdict in DECIDED}


def _mass(broken: int, answered: int) -> bool:
    return answered >= MASS_BREAKAGE_JOBS and broken > answered / 2


def _streak_follows_pass(job: JobState) -> bool:
    return job.stopped_by is StoppedBy.PASS and (
        not job.broken or job.failures_in_outage == job.consecutive_failures
    )


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
    for commit_index in range(len(order.commits) - 1, -1, -1):
        if all(_green_at(members, commit_index) for members in matching):
            return Green(len(order.commits) - 1 - commit_index, order.commits[commit_index])
    return Green(len(order.commits), None)


def _green_at(members: Sequence[JobState], commit_index: int) -> bool:
    """Whether a pattern's jobs are green at a commit; a job without a column there is not there."""
    verdicts = [
        job.verdicts[column]
        for job in members
        for column in range(
            bisect_left(job.commit_indexes, commit_index),
            bisect_left(job.commit_indexes, commit_index + 1),
        )
    ]
    return bool(verdicts) and all(verdict in (Verdict.PASS, Verdict.FLAKY) for verdict in verdicts)
