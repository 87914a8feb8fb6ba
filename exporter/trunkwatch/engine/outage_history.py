"""The outages of one job over its whole history, open or closed."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.columns import Column
from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import (
    Commit,
    Evidence,
    JobKey,
    TrunkOrder,
    Verdict,
    oldest_first,
)
from trunkwatch.domain.outage import Episode, Thresholds, episodes
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.walk import ended_at


@dataclass(frozen=True, slots=True)
class JobHistory:
    """One job with the facts that its past outages are computed from.

    Attributes:
        state: the job's current state.
        columns: returns its columns, oldest first; reads rows at the first call.
        present: indexes of the commits at which it, or its skipped caller, has a row, ascending.
        completed: indexes of the commits at which its workflow completed, ascending.
        gone_at: index of the newest commit when its workflow was deleted, disabled or missed for
            too long; None if it was not, or came back.
    """

    state: JobState
    columns: Callable[[], Sequence[Column]]
    present: Sequence[int]
    completed: Sequence[int]
    gone_at: int | None = None


class Moment(NamedTuple):
    """A position on the trunk at which something changed, with its time.

    Attributes:
        commit_index: of the commit; one more than the tip's for a change after all results.
        run_index: of the job's column among its columns at that commit, from 0; above 0 only where
            columns are runs.
        commit: the commit, or the tip.
        at: seconds since the epoch, or None where it is unknown.
    """

    commit_index: int
    run_index: int
    commit: Commit
    at: float | None

    @property
    def position(self) -> tuple[int, int]:
        """The sort key of moments: the order of the trunk, never the time."""
        return self.commit_index, self.run_index


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
        group: the job's group.
        failures_to_open: N at which it opened.
        first_bad: the oldest FAIL of the streak that opened it.
        last_good: the PASS just before it; None where unknown.
        suspects: number of commits after last good up to and including first bad; None where
            unknown.
        failures_in_outage: FAILs from first bad until it ended.
        broken_since: when the earliest-started failing run at first bad ended (seconds since the
            epoch), or None.
        opened: when the N-th FAIL was reported.
        closed: when it ended; None while it is open.
        ending: how it ended.
        alerting_from: when it began to count towards its group; None where it never did.
        known_broken: the reason of the exemption that held when it opened, if any.
        notifications: number of those that named the job while the outage was open.
    """

    key: JobKey
    group: Group
    failures_to_open: int
    first_bad: Commit
    last_good: Commit | None
    suspects: int | None
    failures_in_outage: int
    broken_since: float | None
    opened: Moment
    closed: Moment | None
    ending: Ending
    alerting_from: Moment | None
    known_broken: str | None
    notifications: int = 0


class Span(NamedTuple):
    """The time from `start` until just before `end`; no end is None."""

    start: Moment
    end: Moment | None


@dataclass(frozen=True, slots=True)
class OutageHistory:
    """Computes the outages of one job's history.

    Attributes:
        history: the job.
        thresholds: when its outages open and close.
        order: the trunk.
        policy: decides about retirement and exemptions.
        now: seconds since the epoch.
        is_timed: whether the times of columns are needed, which costs reading rows. Without them
            a moment has none, unless an exemption needs it.
    """

    history: JobHistory
    thresholds: Thresholds
    order: TrunkOrder
    policy: Policy
    now: float
    is_timed: bool = True

    def outages(self) -> Iterator[PastOutage]:
        """Yield every outage, oldest first.

        An outage of a job that was retired and came back yields two: it caused an alert twice.
        """
        for episode in episodes(self.history.state.verdicts, self.thresholds):
            for span in self._spans(episode):
                yield self._outage(episode, span)

    # ------------------------------------------------------------------ retirement

    def _spans(self, episode: Episode) -> Iterator[Span]:
        """Yield the parts of an outage in which the job was not retired."""
        start = self._at_column(episode.opened)
        end = self._at_column(episode.closed) if episode.closed is not None else None
        for retired, back in self._retirements():
            if retired.position < start.position or (
                end is not None and retired.commit_index > end.commit_index
            ):
                continue
            yield Span(start, retired)
            if back is None:
                return
            start = self._at_commit(back)
            if end is not None and end.position <= start.position:
                return
        yield Span(start, end)

    def _retirements(self) -> Iterator[tuple[Moment, int | None]]:
        """Yield when the job was retired and the commit index at which it came back, if it did."""
        present, completed = self.history.present, self.history.completed
        for seen, following in zip(present, [*present[1:], None], strict=True):
            decisive = bisect_right(completed, seen) + self.policy.retire_after - 1
            if decisive < len(completed) and (following is None or completed[decisive] < following):
                yield self._at_commit(completed[decisive]), following
        if self.history.gone_at is not None:
            tip = self._at_commit(self.history.gone_at)
            yield tip._replace(commit_index=tip.commit_index + 1), None

    # ------------------------------------------------------------------ one outage

    def _outage(self, episode: Episode, span: Span) -> PastOutage:
        state, commits = self.history.state, self.order.commits
        commit_index = state.commit_indexes[episode.first_bad]
        good = state.commit_indexes[episode.last_good] if episode.last_good is not None else None
        alerting_from, reason = self._alerting_from(span)
        return PastOutage(
            key=state.key,
            group=state.group,
            failures_to_open=self.thresholds.failures_to_open,
            first_bad=commits[commit_index],
            last_good=commits[good] if good is not None else None,
            suspects=commit_index - good if good is not None else None,
            failures_in_outage=self._failures(episode.first_bad, span.end),
            broken_since=self._broken_since(episode.first_bad),
            opened=span.start,
            closed=span.end,
            ending=self._ending(episode, span),
            alerting_from=alerting_from,
            known_broken=reason,
        )

    def _ending(self, episode: Episode, span: Span) -> Ending:
        if span.end is None:
            return Ending.OPEN
        if episode.closed is None or span.end.position != self._position(episode.closed):
            return Ending.REMOVED
        flaked = self.history.state.verdicts[episode.closed] is Verdict.FLAKY
        return Ending.FLAKED if flaked else Ending.PASSED

    def _failures(self, first_bad: int, end: Moment | None) -> int:
        verdicts = self.history.state.verdicts
        return sum(
            verdicts[column] is Verdict.FAIL
            and (end is None or self._position(column) < end.position)
            for column in range(first_bad, len(verdicts))
        )

    def _alerting_from(self, span: Span) -> tuple[Moment | None, str | None]:
        """Return when an outage began to count, and the reason of the exemption before that."""
        exemption = self._exemption()
        if exemption is None:
            return span.start, None
        until, reason = exemption
        opened_at = span.start.at
        if until <= self.now and opened_at is not None and opened_at >= until:
            return span.start, None
        ends = self._after(span.start.commit_index, until) if until <= self.now else None
        if ends is not None and (span.end is None or ends.position < span.end.position):
            return ends, reason
        return None, reason

    def _exemption(self) -> tuple[float, str] | None:
        """Return the end and the reason of the job's exemption that ends last, if any."""
        covering = [each for each in self.policy.known_broken if each.match.covers(self._key)]
        ends = [(float("inf") if e.until is None else e.until, e.reason) for e in covering]
        return max(ends, key=lambda end: end[0], default=None)

    # ------------------------------------------------------------------ moments

    @property
    def _key(self) -> JobKey:
        return self.history.state.key

    def _position(self, column: int) -> tuple[int, int]:
        commit_indexes = self.history.state.commit_indexes
        return commit_indexes[column], column - bisect_left(commit_indexes, commit_indexes[column])

    def _broken_since(self, column: int) -> float | None:
        if not self.is_timed:
            return None
        failed = self.history.columns()[column].rows(Evidence.FAIL)
        return min(failed, key=oldest_first).ended_at

    def _at_column(self, column: int) -> Moment:
        commit_index, run_index = self._position(column)
        is_timed = self.is_timed or self._exemption() is not None
        at = ended_at(self.history.columns()[column], self.order) if is_timed else None
        return Moment(commit_index, run_index, self.order.commits[commit_index], at)

    def _at_commit(self, commit_index: int) -> Moment:
        commit = self.order.commits[commit_index]
        return Moment(commit_index, 0, commit, commit.committed_at)

    def _after(self, commit_index: int, time: float) -> Moment:
        """Return the first later commit not older than a time, else the end of the trunk."""
        for later in range(commit_index + 1, len(self.order.commits)):
            committed_at = self.order.commits[later].committed_at
            if committed_at is not None and committed_at >= time:
                return Moment(later, 0, self.order.commits[later], time)
        return Moment(len(self.order.commits), 0, self.order.commits[-1], time)
