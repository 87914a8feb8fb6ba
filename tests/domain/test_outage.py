"""The outage: opened by N FAILs in a row, closed by M PASSes in a row."""

from typing import NamedTuple

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.domain.outage import Thresholds, failing_after

from tests.domain.builders import job_state, place_of

LETTERS = {
    "P": Verdict.PASS,
    "F": Verdict.FAIL,
    "K": Verdict.FLAKY,
    "?": Verdict.PENDING,
    ".": Verdict.NONE,
}


class Outage(NamedTuple):
    """The open outage of a job: the indexes of two commits, and the number of failures."""

    first_bad: int | None
    last_good: int | None
    failures: int


def outage(
    text: str, failures_to_open: int = 3, passes_to_close: int = 1, flaky_closes: bool = False
) -> Outage | None:
    job = job_state(
        " ".join(text),
        failures_to_open=failures_to_open,
        passes_to_close=passes_to_close,
        flaky_closes=flaky_closes,
    )
    if job.blame is None or not job.broken:
        return None
    first_bad, last_good = job.blame.first_bad, job.blame.last_good
    return Outage(place_of(first_bad), place_of(last_good), job.failures_in_outage)


@pytest.mark.parametrize("threshold", range(1, 8))
def test_n_fails_open(threshold: int) -> None:
    """N - 1 FAILs in a row leave it closed, N open it."""
    assert outage("P" + "F" * (threshold - 1), threshold) is None
    assert outage("P" + "F" * threshold, threshold) == Outage(1, 0, threshold)


@pytest.mark.parametrize("threshold", range(1, 5))
def test_m_passes_close(threshold: int) -> None:
    """M - 1 PASSes in a row leave it open, M close it."""
    assert outage("PFFF" + "P" * (threshold - 1), passes_to_close=threshold) == Outage(1, 0, 3)
    assert outage("PFFF" + "P" * threshold, passes_to_close=threshold) is None


def test_the_defaults() -> None:
    """Three FAILs open, one PASS closes, a flake does not."""
    assert Thresholds() == Thresholds(failures_to_open=3, passes_to_close=1, flaky_closes=False)


def test_no_answer_changes_nothing() -> None:
    """NONE and PENDING neither count nor stop a count, for FAILs and for PASSes."""
    assert outage("P.F?.F.?F") == Outage(2, 0, 3)
    assert outage("PFFFP.?P", passes_to_close=2) is None
    assert outage("PFFF.?P.?", passes_to_close=2) == Outage(1, 0, 3)


def test_a_fail_restarts_the_passes() -> None:
    """With M = 2 a FAIL between two PASSes leaves the outage open, and counts in it."""
    assert outage("PFFFPFP", passes_to_close=2) == Outage(1, 0, 4)


def test_a_pass_restarts_the_fails() -> None:
    """A PASS between FAILs restarts their count."""
    assert outage("PFFPFF") is None
    assert outage("PFFPFFF") == Outage(4, 3, 3)


def test_a_flake_does_not_close() -> None:
    """A flake at the tip leaves the outage as it is."""
    assert outage("PFFFK") == Outage(1, 0, 3)


def test_a_flake_restarts_both_counts() -> None:
    """A flake restarts the FAILs before an outage opens, and the PASSes that would close it."""
    assert outage("PFFKF") is None
    assert outage("PFFFPKP", passes_to_close=2) == Outage(1, 0, 3)


def test_a_flake_can_close() -> None:
    """With flaky_closes one flake closes the outage, whatever M is."""
    assert outage("PFFFK", passes_to_close=3, flaky_closes=True) is None
    assert outage("PFFFKFFF", flaky_closes=True) == Outage(5, None, 3)


def test_a_flake_hides_last_good() -> None:
    """Last good is unknown if a flake lies between the PASS and first bad."""
    assert outage("PKFFF") == Outage(2, None, 3)
    assert outage("KPFFF") == Outage(2, 1, 3)


def test_last_good_is_the_pass_just_before() -> None:
    """Last good is the newest PASS before first bad, over commits without an answer."""
    assert outage("PP.?FFF") == Outage(4, 1, 3)


def test_nothing_before_is_unknown() -> None:
    """An outage without an earlier PASS has no last good."""
    assert outage(".FFF") == Outage(1, None, 3)


def test_further_fails_move_nothing() -> None:
    """A FAIL on top of an open outage adds to it and moves neither first bad nor last good."""
    assert outage("PFFF") == Outage(1, 0, 3)
    assert outage("PFFFF") == Outage(1, 0, 4)
    assert outage("PFFFKFFFF") == Outage(1, 0, 7)


def test_a_pass_within_does_not_move_first_bad() -> None:
    """Fewer than M PASSes followed by N FAILs do not move first bad."""
    assert outage("PFFFPFFFF", passes_to_close=2) == Outage(1, 0, 7)


def test_the_newest_outage_is_returned() -> None:
    """After a closed outage the next one that opens is returned."""
    assert outage("PFFFPPFFF") == Outage(6, 5, 3)


@pytest.mark.parametrize(
    ("text", "failing"),
    [("PFPFFFKFP", ".1.11111."), ("FFF.?P", "11111."), ("FK", "1."), ("P", ".")],
)
def test_failing_after_a_column(text: str, failing: str) -> None:
    """A job fails after a column while a streak or an outage is open; a flake ends no outage."""
    verdicts = [LETTERS[letter] for letter in text]
    found = failing_after(verdicts, Thresholds(3))
    assert list(found) == [letter == "1" for letter in failing]
