"""Retired jobs."""

import pytest
from trunkwatch.domain.policy import RETIRE_AFTER
from trunkwatch.domain.retirement import has_left, is_expected_on_pushes, is_retired


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


@pytest.mark.parametrize(("without", "left"), [(49, False), (50, True), (51, True)])
def test_a_workflow_of_every_commit_is_missed_after_fifty(without: int, left: bool) -> None:
    """49 busy commits without a workflow that ran on each commit keep it, the 50th does not."""
    assert has_left(10, 1, range(11 + without), RETIRE_AFTER) is left


def test_a_rare_workflow_is_missed_later() -> None:
    """A workflow that ran on every third commit is missed after three times as many."""
    assert not has_left(10, 3, range(11 + 149), RETIRE_AFTER)
    assert has_left(10, 3, range(11 + 150), RETIRE_AFTER)


def test_one_commit_shows_no_habit() -> None:
    """A workflow that ran on one commit only is never missed."""
    assert not has_left(10, 0, range(1000), RETIRE_AFTER)


@pytest.mark.parametrize(
    ("workflow", "events", "expected"),
    [
        (".github/workflows/ci.yml", {"push"}, True),
        ("ci.yaml", {"push"}, True),
        ("ci.yml", {"push", "schedule"}, False),
        ("ci.yml", {"workflow_dispatch"}, False),
        ("buildbot", {"push"}, False),
        ("app/checks", {"push"}, False),
    ],
)
def test_only_a_file_is_missed_on_pushes(workflow: str, events: set[str], expected: bool) -> None:
    """Commits without a workflow prove nothing where it has no file, or other events start it."""
    assert is_expected_on_pushes(workflow, events) is expected
