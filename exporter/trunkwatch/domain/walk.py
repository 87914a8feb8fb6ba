"""What the columns of a job up to one commit decide about it (docs/policy.md, section 3.15).

The walk goes over the commits from the oldest on and keeps no column. So it can stop at any commit,
be stored, and go on from there: a new result needs the columns of its commit and of later ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.blame import FirstBad, first_bad_at
from trunkwatch.domain.columns import Column
from trunkwatch.domain.history import Place
from trunkwatch.domain.model import Evidence, TrunkOrder, Verdict
from trunkwatch.domain.outage import OutageWalk, Thresholds
from trunkwatch.times import earliest

DECISIVE = (Evidence.PASS, Evidence.FAIL)
"""The evidence that decides whether a job is broken."""


class StoppedBy(StrEnum):
    """The reason why a streak is not longer: a PASS, a FLAKY, or the oldest column."""

    PASS = "pass"
    FLAKY = "flaky"
    WINDOW = "window"


class Decision(NamedTuple):
    """The newest PASS, FAIL or FLAKY.

    Attributes:
        verdict: the verdict.
        ended_at: when its last run ended (seconds since the epoch), or None.
        duration: run time of its longest shard (seconds), or None.
    """

    verdict: Verdict
    ended_at: float | None
    duration: float | None


class EndedOutage(NamedTuple):
    """A closed outage.

    Attributes:
        first_bad: the index of the commit at which it began in the trunk's order.
        ended_by: the index of the commit that closed it.
        ended_at: when the last run of the column that closed it ended (seconds since the epoch);
            None where unknown.
    """

    first_bad: int
    ended_by: int
    ended_at: float | None = None

    def moved(self, by: int) -> "EndedOutage":
        """Return it with the indexes of its commits moved."""
        return self._replace(first_bad=self.first_bad + by, ended_by=self.ended_by + by)


@dataclass(slots=True)
class JobWalk:
    """A job as of one commit.

    Attributes:
        newest: index of the newest commit with a column; -1 before the first.
        columns: number of columns.
        outages: the streak and the outage, by the indexes of commits.
        streak: the first of the FAILs in a row, if any.
        outage: the first FAIL of the open outage, if one is open.
        ended: the newest outage that was closed.
        stopped_by: the reason why the streak is not longer.
        pending: number of PENDING columns newer than the newest PASS.
        flaky: number of FLAKY columns newer than the newest PASS.
        decision: the newest column with a verdict.
        last_success_at: when the newest PASS's last run ended (seconds since the epoch), or None.
        events: the streak by the runs of each event alone.
        names: the raw names of its rows.
        only_skips: every row of it is a skip.
        changes_at: when time alone will change any column (seconds since the epoch), or None.
    """

    newest: int = -1
    columns: int = 0
    outages: OutageWalk = field(default_factory=OutageWalk)
    streak: FirstBad | None = None
    outage: FirstBad | None = None
    ended: EndedOutage | None = None
    stopped_by: StoppedBy = StoppedBy.WINDOW
    pending: int = 0
    flaky: int = 0
    decision: Decision | None = None
    last_success_at: float | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    only_skips: bool = True
    changes_at: float | None = None

    def copy(self) -> "JobWalk":
        """Return an independent copy."""
        return replace(self, outages=replace(self.outages))

    def moved(self, by: int) -> "JobWalk":
        """Return a copy with the indexes of all commits moved: the trunk has got older commits."""
        return replace(
            self,
            newest=self.newest + by if self.columns else self.newest,
            outages=self.outages.moved(by),
            streak=self.streak.moved(by) if self.streak else None,
            outage=self.outage.moved(by) if self.outage else None,
            ended=self.ended.moved(by) if self.ended else None,
        )

    def add(
        self,
        columns: Sequence[Column],
        events: Mapping[str, Sequence[Verdict]],
        order: TrunkOrder,
        thresholds: Thresholds,
    ) -> None:
        """Add the next commit.

        Args:
            columns: all columns of the commit, oldest first; at least one.
            events: the verdicts by the runs of each event, see `event_verdicts`.
            order: the trunk.
            thresholds: when outages open and close.
        """
        self.newest = columns[0].commit_index
        self.columns += len(columns)
        for position, column in enumerate(columns):
            self.outages.add(self.newest, column.verdict, thresholds)
            self._count(column, order)
            self._follow_streak(columns[position:])
            self._follow_outage(column, order)
        self._follow_events(events)
        self._note(columns)

    def outline(self, thresholds: Thresholds) -> list[Place]:
        """Return few columns after which outages go on as after this walk.

        Args:
            thresholds: when outages open and close.
        """
        outages = self.outages
        if outages.open_from is None:
            fails = min(outages.fails, thresholds.failures_to_open - 1)
            return [Place(outages.run[0], Verdict.FAIL)] * fails
        passes = min(outages.passes, thresholds.passes_to_close - 1)
        opening = [Place(outages.open_from[0], Verdict.FAIL)] * thresholds.failures_to_open
        return [*opening, *[Place(self.newest, Verdict.PASS)] * passes]

    @property
    def is_green(self) -> bool:
        """Whether nothing is left of any failure that one more PASS could change."""
        outages = self.outages
        return not (outages.fails or outages.open_from or any(self.events.values()))

    def add_passes(self, columns: Sequence[Column], order: TrunkOrder) -> None:
        """Add commits of one PASS each to a green walk.

        The same as `add` of one after the other, at a fraction of its cost: of most jobs, most
        columns are such, and each replaces what the one before it decided.

        Args:
            columns: one of each commit, oldest first; at least one.
            order: the trunk.
        """
        self.newest = columns[-1].commit_index
        self.columns += len(columns)
        self.outages.passes += len(columns)
        self.outages.latest_pass = self.newest
        self._count(columns[-1], order)
        self._note(columns)

    def _note(self, columns: Sequence[Column]) -> None:
        """Note what does not depend on the order of columns."""
        names = {shard.name for column in columns for shard in column.shards}
        if not names <= self.names:  # Copies share the set.
            self.names |= names
        if self.only_skips:
            rows = (row for column in columns for shard in column.shards for row in shard.rows)
            self.only_skips = all(evidence is Evidence.SKIP for _, evidence in rows)
        for column in columns:
            if column.changes_at is not None:
                self.changes_at = earliest((self.changes_at, column.changes_at))

    def _count(self, column: Column, order: TrunkOrder) -> None:
        verdict = column.verdict
        if verdict is Verdict.PENDING:
            self.pending += 1
        if not verdict.decided:
            return
        self.decision = Decision(verdict, ended_at(column, order), _duration(column))
        if verdict is Verdict.PASS:
            self.stopped_by = StoppedBy.PASS
            self.pending = self.flaky = 0
            self.last_success_at = self.decision.ended_at
        elif verdict is Verdict.FLAKY:
            self.stopped_by = StoppedBy.FLAKY
            self.flaky += 1

    def _follow_streak(self, columns: Sequence[Column]) -> None:
        """Follow the streak to the first of some columns of one commit."""
        if self.outages.fails == 0:
            self.streak = None
        elif columns[0].verdict is not Verdict.FAIL:
            return
        elif self.streak is None:
            self.streak = first_bad_at(columns, self.outages.run[1])
        else:
            self.streak = self.streak.with_failure(columns[0])

    def _follow_outage(self, column: Column, order: TrunkOrder) -> None:
        is_open = self.outages.open_from is not None
        if is_open and self.outage is None:
            self.outage = self.streak
        elif is_open and self.outage is not None and column.verdict is Verdict.FAIL:
            self.outage = self.outage.with_failure(column)
        elif not is_open and self.outage is not None:
            first_bad, ended_by = self.outage.commit_index, column.commit_index
            self.ended = EndedOutage(first_bad, ended_by, ended_at(column, order))
            self.outage = None

    def _follow_events(self, events: Mapping[str, Sequence[Verdict]]) -> None:
        for event, verdicts in events.items():
            before = length = self.events.get(event, 0)
            for verdict in verdicts:
                if verdict is Verdict.FAIL:
                    length += 1
                elif verdict.decided:
                    length = 0
            if length != before:  # Copies share the mapping.
                self.events = {**self.events, event: length}


def ended_at(column: Column, order: TrunkOrder) -> float | None:
    """Return when the last result that decides a column ended (seconds since the epoch).

    Without any such time it is the commit's time; None where that is unknown too.
    """
    ends = [row.ended_at for row in column.rows(*DECISIVE)]
    times = [time for time in ends if time is not None]
    return max(times) if times else order.commits[column.commit_index].committed_at


def _duration(column: Column) -> float | None:
    spans = [
        row.completed_at - row.started_at
        for row in column.rows(*DECISIVE)
        if row.completed_at is not None and row.started_at is not None
    ]
    return max((span for span in spans if span >= 0), default=None)
