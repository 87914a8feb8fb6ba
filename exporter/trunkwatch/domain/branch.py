"""The state of a trunk over all its jobs: groups, mass breakage, the newest green commit."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from trunkwatch.domain.groups import Group
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, JobKey, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.walk import StoppedBy
from trunkwatch.patterns import Pattern
from trunkwatch.times import earliest

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
        alerting: of the jobs that alert; None if none does.
    """

    trunk: Trunk
    group: Group
    consecutive_failures: int
    failing: int
    alerting: "AlertingJobs | None" = None

    @property
    def firing(self) -> bool:
        """Whether any of its jobs alerts."""
        return self.alerting is not None


@dataclass(frozen=True, slots=True)
class AlertingJobs:
    """What the jobs of a group that alert have in common in a title.

    Attributes:
        failures_in_outage: the most failures of one of them.
        consecutive_failures: the longest streak of one of them.
        broken_since: the earliest time of those with the most failures (seconds since the epoch).
        truncated: number of those whose outage may have begun before the oldest commit read.
    """

    failures_in_outage: int
    consecutive_failures: int
    broken_since: float | None
    truncated: int


def _alerting(jobs: Iterable[JobState]) -> AlertingJobs | None:
    """Return what the jobs that alert have in common; None without any."""
    alerting = [job for job in jobs if job.alerting]
    if not alerting:
        return None
    most = max(job.failures_in_outage for job in alerting)
    oldest = (job.blame for job in alerting if job.failures_in_outage == most)
    return AlertingJobs(
        failures_in_outage=most,
        consecutive_failures=max(job.consecutive_failures for job in alerting),
        broken_since=earliest(blame.broken_since for blame in oldest if blame is not None),
        truncated=sum(job.truncated for job in alerting),
    )


class MassBreakage(NamedTuple):
    """A commit that broke most jobs.

    Attributes:
        commit_index: of the commit in the trunk's order.
        jobs: number of jobs that it broke and that have not passed since.
    """

    commit_index: int
    jobs: int


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


def mass_breakage(jobs: Iterable[JobState]) -> MassBreakage | None:
    """Return the commit that broke more than half of the jobs with a verdict at it, if any.

    At least four jobs must have a verdict at it. A job counts as broken by it if it passed just
    before and has not passed since, so that the breakage ends once half of the jobs recovered.
    """
    return Tally(jobs).mass_breakage()


class _GroupTally:
    """The counts of one group: its jobs by streak, and those that count towards its threshold."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.streaks: Counter[int] = Counter()
        self.failing: dict[JobKey, JobState] = {}

    def state(self, trunk: Trunk, gated: Collection[JobKey]) -> GroupState:
        alerting = _alerting(job for key, job in self.failing.items() if key not in gated)
        return GroupState(trunk, self.group, max(self.streaks), len(self.failing), alerting)


class Tally:
    """Counts over jobs, updated per job so that a change costs no pass over all jobs."""

    def __init__(self, jobs: Iterable[JobState] = ()) -> None:
        """Args:
        jobs: the first jobs to count.
        """
        self.since = 0
        """Index of the oldest commit of which every job has its columns."""
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

    def groups(self, trunk: Trunk, gated: Collection[JobKey] = ()) -> tuple[GroupState, ...]:
        """Return every group with a job, sorted by name.

        Args:
            trunk: of the jobs.
            gated: jobs that do not alert although they are not counted as gated.
        """
        return tuple(tally.state(trunk, gated) for _, tally in sorted(self._groups.items()))

    def failing(self) -> dict[JobKey, JobState]:
        """Return the jobs that count towards the threshold of their group."""
        return dict(chain.from_iterable(each.failing.items() for each in self._groups.values()))

    def short_of_threshold(self) -> Mapping[str, Collection[JobKey]]:
        """Return the groups with fewer failing jobs than their threshold, with these jobs."""
        return {
            name: tally.failing.keys()
            for name, tally in self._groups.items()
            if 0 < len(tally.failing) < tally.group.failure_threshold
        }

    def mass_breakage(self) -> MassBreakage | None:
        """Return the commit that broke most jobs, if any; see the function `mass_breakage`.

        Of several it is the one that broke the most jobs, and of these the oldest. Jobs with a
        verdict are counted only at the commits that broke enough jobs.
        """
        found = self._mass_breakages()
        worst = min(found, key=lambda index: (-self._broke[index], index), default=None)
        return None if worst is None else MassBreakage(worst, self._broke[worst])

    def oldest_mass_breakage(self) -> int | None:
        """Return the index of the oldest commit that broke most jobs, if any did."""
        return min(self._mass_breakages(), default=None)

    def _mass_breakages(self) -> list[int]:
        suspects = [index for index, n in self._broke.items() if self._may_be_mass(index, n)]
        self._decided = {
            index: self._decided[index] if index in self._decided else self._decided_at(index)
            for index in suspects
        }
        return [index for index in suspects if _is_mass(self._broke[index], self._decided[index])]

    def _may_be_mass(self, commit_index: int, broken: int) -> bool:
        return commit_index >= self.since and _is_mass(broken, MASS_BREAKAGE_JOBS)

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
        if job.failing and amount > 0:
            tally.failing[job.key] = job
        elif job.failing:
            del tally.failing[job.key]
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

    def __init__(
        self, required: Sequence[Pattern], since: int = 0, older: int | None = None
    ) -> None:
        """Args:
        required: patterns over "workflow / job_name", full match.
        since: index of the oldest commit of which every job has its columns.
        older: index of the newest green commit before it, if there is one.
        """
        self.since = since
        self.older = older
        self.required = tuple(required)
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
        if not self.required:
            return None
        length = len(order.commits)
        self._counted_from = min(self._counted_from, length)
        while not self._green and self._counted_from > self.since:
            self._lower(length)
        commit_index = self._green[-1] if self._green else self.older
        if commit_index is None:
            return Green(length, None)
        return Green(length - 1 - commit_index, order.commits[commit_index])

    def close_before(self, since: int, length: int) -> None:
        """Keep only the newest green commit of those before another, which may lose columns.

        Args:
            since: index of the oldest commit of which every job keeps its columns.
            length: number of commits of the trunk.
        """
        self._counted_from = min(self._counted_from, length)
        while self._counted_from > self.since and not (self._green and self._green[0] < since):
            self._lower(length)
        closed = bisect_left(self._green, since)
        self.older = self._green[closed - 1] if closed else self.older
        self.since, self._counted_from = since, max(since, self._counted_from)
        del self._green[:closed]
        for counts in (*self._columns, *self._not_green):
            for commit_index in [index for index in counts if index < since]:
                del counts[commit_index]

    def _lower(self, length: int) -> None:
        """Count more commits.

        Args:
            length: number of commits of the trunk.
        """
        before = self._counted_from
        self._counted_from = max(self.since, before - max(LOWER_BY, length - before))
        for job in self._jobs.values():
            places = job.history.since(self._counted_from)
            self._count(job, (place for place in places if place.commit_index < before), 1)

    def _patterns(self, job: JobState) -> list[int]:
        name = job.key.display_name
        return [n for n, pattern in enumerate(self.required) if pattern.fullmatch(name)]

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
