"""Removed jobs, and such as come back."""

import pytest

from exporter.domain.policy import RETIRE_AFTER
from exporter.domain.retirement import is_long_absent, is_retired, reborn_at


def test_the_default_is_fifty_commits() -> None:
    """A job is removed after 50 commits."""
    assert RETIRE_AFTER == 50


@pytest.mark.parametrize(("without", "retired"), [(0, False), (49, False), (50, True), (51, True)])
def test_fifty_completed_commits_retire(without: int, retired: bool) -> None:
    """49 commits without it leave a job, the 50th retires it."""
    assert is_retired(10, range(11, 11 + without), RETIRE_AFTER) is retired


def test_only_newer_completed_commits_count() -> None:
    """Commits up to the one where it was last seen, and those that did not complete, do not count.

    The commits 0..10 completed, and of those after the last appearance only every second one.
    """
    completed = [*range(11), *range(12, 110, 2)]
    assert not is_retired(10, completed, RETIRE_AFTER)
    assert is_retired(10, [*completed, 111], RETIRE_AFTER)


def test_a_job_that_comes_back_is_a_new_one() -> None:
    """After an absence of 50 completed commits the history begins anew, after 49 it goes on."""
    assert reborn_at([0, 1, 52], range(53), RETIRE_AFTER) == 52
    assert reborn_at([0, 1, 51], range(52), RETIRE_AFTER) == 0


def test_the_newest_absence_decides() -> None:
    """Of several long absences the history begins after the newest."""
    assert reborn_at([0, 60, 61, 120, 125], range(126), RETIRE_AFTER) == 120


def test_an_absence_needs_completed_commits() -> None:
    """A gap in which the workflow did not complete is no absence."""
    assert reborn_at([0, 99], [0, *range(51, 100)], RETIRE_AFTER) == 0
    assert reborn_at([0, 100], [0, *range(50, 100), 100], RETIRE_AFTER) == 100


def test_a_job_never_seen_has_no_birth() -> None:
    """Without any appearance the history begins where the trunk does."""
    assert reborn_at([], range(90), RETIRE_AFTER) == 0


@pytest.mark.parametrize(
    ("place", "absent"), [(0, False), (2, False), (3, True), (53, True), (54, False), (60, False)]
)
def test_where_a_job_was_long_absent(place: int, absent: bool) -> None:
    """A place is within a long absence when it lies strictly between two distant appearances."""
    assert is_long_absent((0, 1, 2, 54), place, RETIRE_AFTER) is absent


def test_a_short_absence_is_none() -> None:
    """Between two appearances at least `retire_after` commits must lie."""
    assert not is_long_absent((0, 50), 25, 50)
    assert is_long_absent((0, 51), 25, 50)
