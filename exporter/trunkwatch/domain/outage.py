"""The outage: opened by N FAILs in a row, closed by M PASSes in a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
    walk, opened = OutageWalk(), 0
    for column, verdict in enumerate(verdicts):
        before = walk.open_from
        walk.add(column, verdict, thresholds)
        if before is None:
            opened = column
        elif walk.open_from is None:
            yield Episode(*before, opened, column)
    if walk.open_from is not None:
        yield Episode(*walk.open_from, opened, None)


def failing_after(verdicts: Sequence[Verdict], thresholds: Thresholds) -> Iterator[bool]:
    """Yield for each column whether an outage or a streak is open after it, oldest first."""
    walk = OutageWalk()
    for column, verdict in enumerate(verdicts):
        walk.add(column, verdict, thresholds)
        yield walk.open_from is not None or walk.fails > 0


@dataclass(slots=True)
class OutageWalk:
    """A walk over the columns from the oldest on (docs/policy.md, section 3.7).

    Attributes:
        fails: the streak: FAILs in a row up to the newest verdict.
        passes: PASSes in a row up to the newest verdict.
        run: the place of the streak's first FAIL, and of the PASS before it.
        latest_pass: the place of the newest PASS; None without one, or after a FLAKY.
        open_from: the `run` that opened the outage; None while none is open.
    """

    fails: int = 0
    passes: int = 0
    run: tuple[int, int | None] = (0, None)
    latest_pass: int | None = None
    open_from: tuple[int, int | None] | None = None

    def moved(self, by: int) -> "OutageWalk":
        """Return it with every place moved: older columns than the oldest have been found."""

        def run(pair: tuple[int, int | None]) -> tuple[int, int | None]:
            first, good = pair
            return first + by, None if good is None else good + by

        return replace(
            self,
            run=run(self.run) if self.fails else self.run,
            latest_pass=None if self.latest_pass is None else self.latest_pass + by,
            open_from=None if self.open_from is None else run(self.open_from),
        )

    def add(self, place: int, verdict: Verdict, thresholds: Thresholds) -> None:
        """Add the next column.

        Args:
            place: the column, or its commit.
            verdict: of the column.
            thresholds: N, M and whether a flake closes.
        """
        if verdict is Verdict.FAIL:
            self._fail(place, thresholds)
        elif verdict is Verdict.PASS:
            self._pass(place, thresholds)
        elif verdict is Verdict.FLAKY:
            self._flaky(thresholds)

    def _fail(self, place: int, thresholds: Thresholds) -> None:
        self.passes = 0
        self.fails += 1
        if self.fails == 1:
            self.run = (place, self.latest_pass)
        if self.fails >= thresholds.failures_to_open and self.open_from is None:
            self.open_from = self.run

    def _pass(self, place: int, thresholds: Thresholds) -> None:
        self.fails = 0
        self.passes += 1
        self.latest_pass = place
        if self.passes >= thresholds.passes_to_close:
            self.open_from = None

    def _flaky(self, thresholds: Thresholds) -> None:
        self.fails = self.passes = 0
        self.latest_pass = None
        if thresholds.flaky_closes:
            self.open_from = None
