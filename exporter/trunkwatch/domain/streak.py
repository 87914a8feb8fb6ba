"""The streak: consecutive FAIL columns, newest first."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.model import Verdict


class StoppedBy(StrEnum):
    """What ended the walk."""

    PASS = "pass"
    FLAKY = "flaky"
    WINDOW = "window"


class Streak(NamedTuple):
    """A walk from the newest column.

    Attributes:
        length: how many columns FAIL in a row.
        stopped_by: what ended the walk.
        oldest: the column of the oldest FAIL of the streak, None when the length is 0.
        last_good: the column of the PASS that stopped it, if one did.
    """

    length: int
    stopped_by: StoppedBy
    oldest: int | None
    last_good: int | None


def streak_of(verdicts: Sequence[Verdict]) -> Streak:
    """Count the FAILs from the newest verdict back; NONE and PENDING are transparent.

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
