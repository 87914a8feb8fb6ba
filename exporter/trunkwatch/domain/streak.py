"""The streak: consecutive FAIL columns up to the newest verdict."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.model import Verdict


class StoppedBy(StrEnum):
    """The reason why a streak is not longer: a PASS, a FLAKY, or the oldest column."""

    PASS = "pass"
    FLAKY = "flaky"
    WINDOW = "window"


class Streak(NamedTuple):
    """The FAILs in a row before the newest column.

    Attributes:
        length: number of FAIL columns.
        stopped_by: the reason why it is not longer.
        oldest: the column of its oldest FAIL; None when the length is 0.
        last_good: the column of the PASS that stopped it, if any.
    """

    length: int
    stopped_by: StoppedBy
    oldest: int | None
    last_good: int | None


def streak_of(verdicts: Sequence[Verdict]) -> Streak:
    """Return the streak; NONE and PENDING neither count nor stop it.

    Args:
        verdicts: one per column, oldest first.
    """
    length, oldest = 0, None
    for column in range(len(verdicts) - 1, -1, -1):
        verdict = verdicts[column]
        if verdict is Verdict.FAIL:
            length, oldest = length + 1, column
        elif verdict is Verdict.PASS:
            return Streak(length, StoppedBy.PASS, oldest, column)
        elif verdict is Verdict.FLAKY:
            return Streak(length, StoppedBy.FLAKY, oldest, None)
    return Streak(length, StoppedBy.WINDOW, oldest, None)
