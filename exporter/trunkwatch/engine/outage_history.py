"""One job's past: every outage that it had, open or not, as the policy would have told of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.columns import Column
from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState, ended
from trunkwatch.domain.model import Commit, JobKey, TrunkOrder, Verdict
from trunkwatch.domain.outage import Episode, Thresholds, episodes
from trunkwatch.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class JobHistory:
    """One job, with what only its outages need to be told of.

    Attributes:
        state: the job as it is now.
        columns: its columns, oldest first.
        present: places of the commits at which it, or a skipped parent of it, appeared, ascending.
        completed: places at which its workflow completed, ascending.
    """

    state: JobState
    columns: Sequence[Column]
    present: Sequence[int]
    completed: Sequence[int]


class Moment(NamedTuple):
    """Where on the trunk something changed, and when.

    Attributes:
        place: of the commit; one more than the tip's for what came after all results.
        turn: of the job's columns at that commit, which one; 0 is the first.
        commit: the commit, or the tip.
        at: seconds since the epoch, or None where it is unknown.
    """

    commit_index: int
    turn: int
    commit: Commit
    at: float | None

    @property
    def step(self) -> tuple[int, int]:
        """Sorts moments by the trunk, never by time."""
        return self.commit_index, self.turn


class Ending(StrEnum):
    """How an outage ended."""

    PASSED = "passed"
    FLAKED = "flaked"
    REMOVED = "removed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class PastOutage:
    """One outage of a history.

    Attributes:
        key: the job.
        group: the group it is in.
        failures_to_open: N that it was opened by.
        first_bad: the oldest FAIL of the run that opened it.
        last_good: the PASS just before it; None where unknown.
        suspects: commits after last good up to and including first bad; None where unknown.
        failures_in_outage: FAILs in it, from first bad on.
        opened: when it would have been known.
        closed: when it ended; None while it is open.
        ending: how.
        loud: from when on it counted towards its group; None where it never did.
        known_broken: why it was not loud from the start, if an exemption held.
        notifications: that named the job as broken or as no longer broken.
    """

    key: JobKey
    group: Group
    failures_to_open: int
    first_bad: Commit
    last_good: Commit | None
    suspects: int | None
    failures_in_outage: int
    opened: Moment
    closed: Moment | None
    ending: Ending
    loud: Moment | None
    known_broken: str | None
    notifications: int = 0


class Span(NamedTuple):
    """From a moment until just before another; None for no end."""

    start: Moment
    end: Moment | None


@dataclass(frozen=True, slots=True)
class OutageHistory:
    """Reads one job's past.

    Attributes:
        history: the job.
        thresholds: when its outages open and close.
        order: the trunk.
        policy: removals and exemptions.
        now: seconds since the epoch.
    """

    history: JobHistory
    thresholds: Thresholds
    order: TrunkOrder
    policy: Policy
    now: float

    def outages(self) -> Iterator[PastOutage]:
        """Yield every outage, oldest first.

        One of a job that was removed and came back is two: it was told of twice.
        """
        for episode in episodes(self.history.state.verdicts, self.thresholds):
            for span in self._spans(episode):
                yield self._outage(episode, span)

    # ------------------------------------------------------------------ removals

    def _spans(self, episode: Episode) -> Iterator[Span]:
        """Cut out of an outage the commits over which its job was removed."""
        start = self._at_column(episode.opened)
        end = self._at_column(episode.closed) if episode.closed is not None else None
        for removed, back in self._removals():
            if removed < start.commit_index or (end is not None and removed > end.commit_index):
                continue
            yield Span(start, self._at_commit(removed))
            if back is None:
                return
            start = self._at_commit(back)
            if end is not None and end.step <= start.step:
                return
        yield Span(start, end)

    def _removals(self) -> Iterator[tuple[int, int | None]]:
        """Yield from where to where the job was removed; None for until now."""
        present, completed = self.history.present, self.history.completed
        for seen, following in zip(present, [*present[1:], None], strict=True):
            decisive = bisect_right(completed, seen) + self.policy.retire_after - 1
            if decisive < len(completed) and (following is None or completed[decisive] < following):
                yield completed[decisive], following

    # ------------------------------------------------------------------ one outage

    def _outage(self, episode: Episode, span: Span) -> PastOutage:
        state, commits = self.history.state, self.order.commits
        commit_index = state.commit_indexes[episode.first_bad]
        good = state.commit_indexes[episode.last_good] if episode.last_good is not None else None
        loud, reason = self._loud(span)
        return PastOutage(
            key=state.key,
            group=state.group,
            failures_to_open=self.thresholds.failures_to_open,
            first_bad=commits[commit_index],
            last_good=commits[good] if good is not None else None,
            suspects=commit_index - good if good is not None else None,
            failures_in_outage=self._failures(episode.first_bad, span.end),
            opened=span.start,
            closed=span.end,
            ending=self._ending(episode, span),
            loud=loud,
            known_broken=reason,
        )

    def _ending(self, episode: Episode, span: Span) -> Ending:
        if span.end is None:
            return Ending.OPEN
        if episode.closed is None or span.end.step != self._step(episode.closed):
            return Ending.REMOVED
        flaked = self.history.state.verdicts[episode.closed] is Verdict.FLAKY
        return Ending.FLAKED if flaked else Ending.PASSED

    def _failures(self, first_bad: int, end: Moment | None) -> int:
        verdicts = self.history.state.verdicts
        return sum(
            verdicts[column] is Verdict.FAIL and (end is None or self._step(column) < end.step)
            for column in range(first_bad, len(verdicts))
        )

    def _loud(self, span: Span) -> tuple[Moment | None, str | None]:
        """Say from when on an outage counted, and what exempted it before."""
        exemption = self._exemption()
        if exemption is None:
            return span.start, None
        until, reason = exemption
        opened_at = span.start.at
        if until <= self.now and opened_at is not None and opened_at >= until:
            return span.start, None
        ends = self._after(span.start.commit_index, until) if until <= self.now else None
        if ends is not None and (span.end is None or ends.step < span.end.step):
            return ends, reason
        return None, reason

    def _exemption(self) -> tuple[float, str] | None:
        """Of the exemptions that cover the job: when the last one ends, and why it is there."""
        covering = [each for each in self.policy.known_broken if each.match.covers(self._key)]
        ends = [(float("inf") if e.until is None else e.until, e.reason) for e in covering]
        return max(ends, key=lambda end: end[0], default=None)

    # ------------------------------------------------------------------ moments

    @property
    def _key(self) -> JobKey:
        return self.history.state.key

    def _step(self, column: int) -> tuple[int, int]:
        commit_indexes = self.history.state.commit_indexes
        return commit_indexes[column], column - bisect_left(commit_indexes, commit_indexes[column])

    def _at_column(self, column: int) -> Moment:
        commit_index, turn = self._step(column)
        at = ended(self.history.columns[column], self.order)
        return Moment(commit_index, turn, self.order.commits[commit_index], at)

    def _at_commit(self, commit_index: int) -> Moment:
        commit = self.order.commits[commit_index]
        return Moment(commit_index, 0, commit, commit.committed_at)

    def _after(self, commit_index: int, moment: float) -> Moment:
        """The first commit behind a place that is as new as a moment, else what follows the tip."""
        for later in range(commit_index + 1, len(self.order.commits)):
            committed_at = self.order.commits[later].committed_at
            if committed_at is not None and committed_at >= moment:
                return Moment(later, 0, self.order.commits[later], moment)
        return Moment(len(self.order.commits), 0, self.order.commits[-1], moment)
