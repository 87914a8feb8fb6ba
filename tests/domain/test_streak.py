"""The streak: consecutive FAILs up to the newest verdict."""

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.domain.streak import StoppedBy, Streak, streak_of

LETTERS = {
    "P": Verdict.PASS,
    "F": Verdict.FAIL,
    "K": Verdict.FLAKY,
    "?": Verdict.PENDING,
    ".": Verdict.NONE,
}


def streak(text: str) -> Streak:
    return streak_of([LETTERS[letter] for letter in text])


@pytest.mark.parametrize(
    ("verdicts", "length", "stopped_by"),
    [
        ("", 0, "window"),
        ("P", 0, "pass"),
        ("K", 0, "flaky"),
        ("F", 1, "window"),
        ("PF", 1, "pass"),
        ("PFFF", 3, "pass"),
        ("KFFF", 3, "flaky"),
        ("FFF", 3, "window"),
        ("PFFFP", 0, "pass"),
        ("PFFFK", 0, "flaky"),
        ("PF.?F", 2, "pass"),
        ("PFF.?", 2, "pass"),
        ("P.?", 0, "pass"),
        ("..?", 0, "window"),
        (".?FF", 2, "window"),
        ("PFFKFF", 2, "flaky"),
    ],
)
def test_the_walk(verdicts: str, length: int, stopped_by: str) -> None:
    """FAILs count, NONE and PENDING are skipped, and PASS, FLAKY or the end stop the streak."""
    found = streak(verdicts)
    assert (found.length, found.stopped_by) == (length, stopped_by)


def test_the_streak_has_its_ends() -> None:
    """The streak has its oldest FAIL and the PASS that stopped it."""
    assert streak("P.F?F") == Streak(2, StoppedBy.PASS, oldest=2, last_good=0)


def test_a_flake_is_no_last_good() -> None:
    """A streak that a flake stopped has no last good."""
    assert streak("PKF") == Streak(1, StoppedBy.FLAKY, oldest=2, last_good=None)


def test_an_empty_streak_has_no_oldest() -> None:
    """An empty streak has no oldest FAIL, but the PASS that stopped it."""
    assert streak("FP") == Streak(0, StoppedBy.PASS, oldest=None, last_good=1)
