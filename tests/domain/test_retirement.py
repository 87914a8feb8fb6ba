"""Retired jobs."""

import pytest
from trunkwatch.domain.policy import RETIRE_AFTER
from trunkwatch.domain.retirement import is_retired


def test_the_default_is_fifty_commits() -> None:
    """By default a job is retired after 50 commits."""
    assert RETIRE_AFTER == 50


@pytest.mark.parametrize(("without", "retired"), [(0, False), (49, False), (50, True), (51, True)])
def test_fifty_completed_commits_retire(without: int, retired: bool) -> None:
    """49 completed commits without a job keep it, the 50th retires it."""
    assert is_retired(10, range(11, 11 + without), RETIRE_AFTER) is retired


def test_only_newer_completed_commits_count() -> None:
    """Commits up to the last row and commits without a completed workflow do not count."""
    # The commits 0..10 completed, and of those after the last appearance only every second one.
    completed = [*range(11), *range(12, 110, 2)]
    assert not is_retired(10, completed, RETIRE_AFTER)
    assert is_retired(10, [*completed, 111], RETIRE_AFTER)
