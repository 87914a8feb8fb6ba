"""The outage: opened by N FAILs in a row, closed by M PASSes in a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.domain.model import Verdict


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The conditions under which an outage opens and closes.

    Attributes:
        failures_to_open: N, FAILs in a row that open it; at least 1.
        passes_to_close: M, PASSes in a row that close it; at least 1.
        flaky_closes: whether a FLAKY closes it too.
    """

    failures_to_open: int = 3
    passes_to_close: int = 1
    flaky_closes: bool = False


class Outage(NamedTuple):
    """An open outage, in columns.

    Attributes:
        first_bad: the first of the FAILs in a row that opened it.
        last_good: the PASS before it; None without one, or if a FLAKY lies between.
        failures_in_outage: number of FAILs from first bad on.
    """

    first_bad: int
    last_good: int | None
    failures_in_outage: int


def open_outage(verdicts: Sequence[Verdict], thresholds: Thresholds) -> Outage | None:
    """Return the outage that is open at the newest column, if any.

    Args:
        verdicts: one per column, oldest first.
        thresholds: N, M and whether a flake closes.
    """
    walk = _Walk(thresholds)
    for column, verdict in enumerate(verdicts):
        walk.step(column, verdict)
    if walk.open_from is None:
        return None
    first_bad, last_good = walk.open_from
    failures = sum(verdict is Verdict.FAIL for verdict in verdicts[first_bad:])
    return Outage(first_bad, last_good, failures)


class Episode(NamedTuple):
    """One outage of a history, open or closed, in columns.

    Attributes:
        first_bad: the first of the FAILs in a row that opened it.
        last_good: the PASS before it; None without one, or if a FLAKY lies between.
        opened: the N-th FAIL in a row.
        closed: the column that closed it; None while it is open.
    """

    first_bad: int
    last_good: int | None
    opened: int
    closed: int | None


def episodes(verdicts: Sequence[Verdict], thresholds: Thresholds) -> Iterator[Episode]:
    """Yield every outage of a history, oldest first; only the last can be open.

    Args:
        verdicts: one per column, oldest first.
        thresholds: N, M and whether a flake closes.
    """
    walk, opened = _Walk(thresholds), 0
    for column, verdict in enumerate(verdicts):
        before = walk.open_from
        walk.step(column, verdict)
        if before is None:
            opened = column
        elif walk.open_from is None:
            yield Episode(*before, opened, column)
    if walk.open_from is not None:
        yield Episode(*walk.open_from, opened, None)


def failing_after(verdicts: Sequence[Verdict], thresholds: Thresholds) -> Iterator[bool]:
    """Yield for each column whether an outage or a streak is open after it, oldest first."""
    walk = _Walk(thresholds)
    for column, verdict in enumerate(verdicts):
        walk.step(column, verdict)
        yield walk.open_from is not None or walk.fails > 0


class _Walk:
    """A walk over the columns from the oldest on (docs/policy.md, section 3.7)."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.fails = 0
        self.passes = 0
        self.run: tuple[int, int | None] = (0, None)
        self.latest_pass: int | None = None
        self.open_from: tuple[int, int | None] | None = None

    def step(self, column: int, verdict: Verdict) -> None:
        if verdict is Verdict.FAIL:
            self._fail(column)
        elif verdict is Verdict.PASS:
            self._pass(column)
        elif verdict is Verdict.FLAKY:
            self._flaky()

    def _fail(self, column: int) -> None:
        self.passes = 0
        self.fails += 1
        if self.fails == 1:
            self.run = (column, self.latest_pass)
        if self.fails >= self.thresholds.failures_to_open and self.open_from is None:
            self.open_from = self.run

    def _pass(self, column: int) -> None:
        self.fails = 0
        self.passes += 1
        self.latest_pass = column
        if self.passes >= self.thresholds.passes_to_close:
            self.open_from = None

    def _flaky(self) -> None:
        self.fails = self.passes = 0
        self.latest_pass = None
        if self.thresholds.flaky_closes:
            self.open_from = None
