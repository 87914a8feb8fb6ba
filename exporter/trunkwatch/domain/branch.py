"""The state of a trunk over all its jobs: groups, mass breakage, the newest green commit."""

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
"""Jobs with a verdict at a commit; with fewer, a breakage there is no mass breakage."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of one group on one trunk.

    Attributes:
        trunk: the trunk.
        group: the group.
        consecutive_failures: the longest streak of its jobs.
        failing: number of jobs with an open outage that are not known broken.
    """

    trunk: Trunk
    group: Group
    consecutive_failures: int
    failing: int

    @property
    def firing(self) -> bool:
        """Whether `failing` reaches the group's threshold."""
        return self.failing >= self.group.failure_threshold


@dataclass(frozen=True, slots=True)
class Green:
    """The distance to the newest green commit.

    Attributes:
        commits_since: number of trunk commits newer than it; where no commit is green, the number
            of all commits read, a lower bound.
        commit: the newest green commit, or None.
    """

    commits_since: int
    commit: Commit | None


def group_states(trunk: Trunk, jobs: Iterable[JobState]) -> tuple[GroupState, ...]:
    """Return every group with a job on the trunk, sorted by name."""
    return Tally(jobs).groups(trunk)


def mass_breakage(jobs: Iterable[JobState]) -> bool:
    """Return whether one commit broke more than half of the jobs with a verdict at it.

    At least four jobs must have a verdict at it. A job counts as broken by it if it passed just
    before and has not passed since, so that the breakage ends once half of the jobs recovered.
    """
    return Tally(jobs).mass_breakage()


class _GroupTally:
    """The counts of one group: its jobs by streak, and those that alert."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.streaks: Counter[int] = Counter()
        self.alerting = 0


class Tally:
    """Counts over jobs, updated per job so that a change costs no pass over all jobs."""

    def __init__(self, jobs: Iterable[JobState] = ()) -> None:
        """Args:
        jobs: the first jobs to count.
        """
        self._groups: dict[str, _GroupTally] = {}
        self._decided: Counter[int] = Counter()
        self._broke: Counter[int] = Counter()
        for job in jobs:
            self.add(job)

    def add(self, job: JobState) -> None:
        """Add a job to the counts."""
        self._count(job, 1)

    def remove(self, job: JobState) -> None:
        """Remove a job from the counts; its state must be the one that was added."""
        self._count(job, -1)

    def groups(self, trunk: Trunk) -> tuple[GroupState, ...]:
        """Return every group with a job, sorted by name."""
        return tuple(
            GroupState(trunk, tally.group, max(+tally.streaks), tally.alerting)
            for _, tally in sorted(self._groups.items())
        )

    def mass_breakage(self) -> bool:
        """Return whether one commit broke most jobs; see the function `mass_breakage`."""
        return any(
            _is_mass(count, self._decided[commit_index])
            for commit_index, count in self._broke.items()
        )

    def _count(self, job: JobState, amount: int) -> None:
        name = job.group.name
        tally = self._groups.setdefault(name, _GroupTally(job.group))
        tally.streaks[job.consecutive_failures] += amount
        tally.alerting += amount * job.alerting
        if not any(tally.streaks.values()):
            del self._groups[name]
        for commit_index in _decided_commits(job):
            self._decided[commit_index] += amount
        if job.blame is not None and job.consecutive_failures > 0 and _streak_follows_pass(job):
            self._broke[job.blame.commit_index] += amount


def _decided_commits(job: JobState) -> set[int]:
    columns = zip(job.commit_indexes, job.verdicts, strict=True)
    return {commit_index for commit_index, verdict in columns if verdict in DECIDED}


def _is_mass(broken: int, decided: int) -> bool:
    return decided >= MASS_BREAKAGE_JOBS and broken > decided / 2


def _streak_follows_pass(job: JobState) -> bool:
    return job.stopped_by is StoppedBy.PASS and (
        not job.broken or job.failures_in_outage == job.consecutive_failures
    )


def newest_green(
    jobs: Sequence[JobState], order: TrunkOrder, required: Sequence[re.Pattern[str]]
) -> Green:
    """Find the newest commit at which every required pattern has jobs, all PASS or FLAKY.

    Args:
        jobs: of the trunk.
        order: the trunk.
        required: patterns over "workflow / job_name", full match.
    """
    matching = [
        [job for job in jobs if pattern.fullmatch(job.key.display_name)] for pattern in required
    ]
    for commit_index in range(len(order.commits) - 1, -1, -1):
        if all(_green_at(members, commit_index) for members in matching):
            return Green(len(order.commits) - 1 - commit_index, order.commits[commit_index])
    return Green(len(order.commits), None)


def _green_at(members: Sequence[JobState], commit_index: int) -> bool:
    """Return whether a pattern's jobs are green at a commit; jobs without a column are skipped."""
    verdicts = [
        job.verdicts[column]
        for job in members
        for column in range(
            bisect_left(job.commit_indexes, commit_index),
            bisect_left(job.commit_indexes, commit_index + 1),
        )
    ]
    return bool(verdicts) and all(verdict in (Verdict.PASS, Verdict.FLAKY) for verdict in verdicts)
