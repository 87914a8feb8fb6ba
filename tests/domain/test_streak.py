"""The streak: consecutive FAILs up to the newest verdict."""

import pytest

from tests.domain.builders import job_state, place_of


@pytest.mark.parametrize(
    ("verdicts", "length", "stopped_by"),
    [
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
    found = job_state(" ".join(verdicts))
    assert (found.consecutive_failures, found.stopped_by) == (length, stopped_by)


@pytest.mark.parametrize(
    ("verdicts", "first_bad", "last_good"), [("P.F?F", 2, 0), ("PKF", 2, None), ("FFK.F", 4, None)]
)
def test_the_streak_has_its_ends(verdicts: str, first_bad: int, last_good: int | None) -> None:
    """The streak has its oldest FAIL and the PASS that stopped it; a flake is no last good."""
    blame = job_state(" ".join(verdicts)).blame
    assert blame is not None
    assert (place_of(blame.first_bad), place_of(blame.last_good)) == (first_bad, last_good)


def test_an_empty_streak_has_no_blame() -> None:
    """A job that does not fail has no first bad."""
    assert job_state("F P").blame is None
