"""The state of a trunk over all its jobs: groups, mass breakage, the newest green commit."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trunkwatch.domain.groups import Group
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, JobKey, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.walk import StoppedBy

LOWER_BY = 64
"""Commits to look for a green commit in at first; then as many as were looked through."""

UNCOUNTED = 1 << 30
"""The oldest counted commit before any is counted: above the index of every commit."""

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
        self._jobs: dict[JobKey, JobState] = {}
        self._groups: dict[str, _GroupTally] = {}
        self._broke: Counter[int] = Counter()
        self._decided: dict[int, int] = {}
        for job in jobs:
            self.replace(None, job)

    def replace(self, before: JobState | None, after: JobState | None) -> None:
        """Count the new state of a job instead of the one that was counted.

        Args:
            before: the state that is counted now; None for a job that is not counted yet.
            after: its new state; None to count it no more.
        """
        for job, amount in ((before, -1), (after, 1)):
            if job is not None:
                self._count(job, amount)
                for commit_index in self._decided:
                    self._decided[commit_index] += amount * _is_decided(job, commit_index)

    def groups(self, trunk: Trunk) -> tuple[GroupState, ...]:
        """Return every group with a job, sorted by name."""
        return tuple(
            GroupState(trunk, tally.group, max(tally.streaks), tally.alerting)
            for _, tally in sorted(self._groups.items())
        )

    def mass_breakage(self) -> bool:
        """Return whether one commit broke most jobs; see the function `mass_breakage`.

        Jobs with a verdict are counted only at the commits that broke enough jobs.
        """
        suspects = [index for index, broken in self._broke.items() if _may_be_mass(broken)]
        self._decided = {
            index: self._decided[index] if index in self._decided else self._decided_at(index)
            for index in suspects
        }
        return any(_is_mass(self._broke[index], self._decided[index]) for index in suspects)

    def _decided_at(self, commit_index: int) -> int:
        return sum(_is_decided(job, commit_index) for job in self._jobs.values())

    def _count(self, job: JobState, amount: int) -> None:
        if amount > 0:
            self._jobs[job.key] = job
        else:
            del self._jobs[job.key]
        name = job.group.name
        tally = self._groups.setdefault(name, _GroupTally(job.group))
        _add(tally.streaks, job.consecutive_failures, amount)
        tally.alerting += amount * job.alerting
        if not tally.streaks:
            del self._groups[name]
        if job.blame is not None and job.consecutive_failures > 0 and _streak_follows_pass(job):
            _add(self._broke, job.blame.commit_index, amount)


def _add(counts: Counter[int], item: int, amount: int) -> None:
    """Count without keeping zeros, so that passes over the counts stay short."""
    counts[item] += amount
    if not counts[item]:
        del counts[item]


def _is_decided(job: JobState, commit_index: int) -> bool:
    return any(verdict.decided for verdict in job.history.at(commit_index))


def _may_be_mass(broken: int) -> bool:
    return _is_mass(broken, MASS_BREAKAGE_JOBS)


def _is_mass(broken: int, decided: int) -> bool:
    return decided >= MASS_BREAKAGE_JOBS and broken > decided / 2


def _streak_follows_pass(job: JobState) -> bool:
    return job.stopped_by is StoppedBy.PASS and (
        not job.broken or job.failures_in_outage == job.consecutive_failures
    )


class GreenTally:
    """The green commits: every required pattern has jobs there, and all are PASS or FLAKY.

    A job without a column at a commit is skipped there. Only the newest commits are
    counted, and more of them until a green commit is found.
    """

    def __init__(self, required: Sequence[re.Pattern[str]]) -> None:
        """Args:
        required: patterns over "workflow / job_name", full match.
        """
        self._required = tuple(required)
        self._jobs: dict[JobKey, JobState] = {}
        self._columns = tuple(Counter[int]() for _ in required)
        self._not_green = tuple(Counter[int]() for _ in required)
        self._green: list[int] = []
        self._counted_from = UNCOUNTED

    def replace(self, before: JobState | None, after: JobState | None) -> None:
        """Count the new state of a job instead of the one that was counted; see `Tally.replace`."""
        job = after or before
        if job is None or not self._patterns(job):
            return
        if after is not None:
            self._jobs[job.key] = after
        else:
            del self._jobs[job.key]
        nothing = ColumnHistory()
        old = before.history if before is not None else nothing
        lost, gained = (after.history if after is not None else nothing).changes(old)
        self._count(job, lost, -1)
        self._count(job, gained, 1)

    def newest(self, order: TrunkOrder) -> Green | None:
        """Return the newest green commit of a trunk; None where no pattern is required."""
        if not self._required:
            return None
        length = len(order.commits)
        self._counted_from = min(self._counted_from, length)
        while not self._green and self._counted_from > 0:
            self._lower(max(0, self._counted_from - max(LOWER_BY, length - self._counted_from)))
        if not self._green:
            return Green(length, None)
        commit_index = self._green[-1]
        return Green(length - 1 - commit_index, order.commits[commit_index])

    def _lower(self, counted_from: int) -> None:
        """Count more commits.

        Args:
            counted_from: index of the oldest one.
        """
        before, self._counted_from = self._counted_from, counted_from
        for job in self._jobs.values():
            places = job.history.since(counted_from)
            self._count(job, (place for place in places if place.commit_index < before), 1)

    def _patterns(self, job: JobState) -> list[int]:
        name = job.key.display_name
        return [n for n, pattern in enumerate(self._required) if pattern.fullmatch(name)]

    def _count(self, job: JobState, places: Iterable[Place], amount: int) -> None:
        patterns = self._patterns(job)
        for commit_index, verdict, _ in places:
            if commit_index < self._counted_from:
                continue
            for number in patterns:
                _add(self._columns[number], commit_index, amount)
                if verdict not in (Verdict.PASS, Verdict.FLAKY):
                    _add(self._not_green[number], commit_index, amount)
            self._list(commit_index)

    def _list(self, commit_index: int) -> None:
        is_green = all(counts[commit_index] for counts in self._columns) and not any(
            counts[commit_index] for counts in self._not_green
        )
        place = bisect_left(self._green, commit_index)
        is_listed = place < len(self._green) and self._green[place] == commit_index
        if is_green and not is_listed:
            self._green.insert(place, commit_index)
        elif is_listed and not is_green:
            del self._green[place]
