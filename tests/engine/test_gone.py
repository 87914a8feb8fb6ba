"""Workflows that are gone: by the word of their CI, or missed for too long on pushes."""

import pytest
from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.model import Observation, WorkflowState
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.facts import ReportedState
from trunkwatch.engine.outage_history import Ending
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator

from tests.domain.builders import NOW, MemoryRows, evaluate, jobs_of, row, trunk
from tests.vectors.notation import sha_of

FILE = "w/old.yml"
DELETED, DISABLED, INACTIVE = (
    WorkflowState.DELETED, WorkflowState.DISABLED, WorkflowState.INACTIVE,
)  # fmt: skip
FEW = 5
SOON = Policy(retire_after=FEW)
BROKEN = [row(place, conclusion="failure", path=FILE) for place in range(3)]


def reported(state: WorkflowState, tip: int | None = 2) -> dict[str, ReportedState]:
    return {FILE: ReportedState(state, None if tip is None else sha_of(tip))}


def others(count: int) -> list[Observation]:
    return [row(place, workflow="other") for place in range(count)]


@pytest.mark.parametrize("state", [DELETED, DISABLED])
def test_a_workflow_that_is_gone(state: WorkflowState) -> None:
    """Jobs of a deleted or disabled workflow are not listed, and outages end as removed."""
    found = evaluate(BROKEN, trunk(3), reported=reported(state))
    assert found.jobs == ()
    assert found.groups == ()
    assert found.retired == {"removed": 0, "removed_broken": 1}
    assert found.workflow_states == {"ci": state}


def test_an_inactive_workflow_keeps_its_outage() -> None:
    """A workflow that its CI stopped for inactivity is shown as that, with its outage."""
    found = evaluate(BROKEN, trunk(3), reported=reported(INACTIVE))
    assert found.jobs[0].broken
    assert found.workflow_states == {"ci": INACTIVE}


def test_results_of_a_gone_workflow_are_no_habit() -> None:
    """That a deleted workflow ran on every commit makes no newer commit doubtful."""
    rows = [*BROKEN, *others(1)]
    assert list(evaluate(rows, trunk(9)).reported) == [sha_of(place) for place in range(3)]
    gone = evaluate(rows, trunk(9), reported=reported(DELETED))
    assert list(gone.reported) == [sha_of(0)]
    assert evaluate(BROKEN, trunk(9), reported=reported(DELETED)).reported == {}


def test_the_newest_results_are_found_however_old_they_are() -> None:
    """The commits of `reported` end at the newest result, not at the tip."""
    found = evaluate(others(RECENT_COMMITS + 2), trunk(3 * RECENT_COMMITS)).reported
    assert list(found) == [sha_of(place) for place in range(2, RECENT_COMMITS + 2)]


@pytest.mark.parametrize("state", WorkflowState)
@pytest.mark.parametrize(("place", "back"), [(2, False), (3, True)])
def test_a_newer_run_brings_it_back(state: WorkflowState, place: int, back: bool) -> None:
    """A run on a commit after the report ends the state, a late result of an older one does not."""
    stored, order = MemoryRows(BROKEN), trunk(4)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    evaluator.update(order, {}, NOW, reported(state))
    late = stored.add([row(place, conclusion="failure", path=FILE, run_id=99)])
    found = evaluator.update(order, late, NOW, reported(state))
    is_shown = back or state in (INACTIVE, WorkflowState.ACTIVE)
    assert [job.broken for job in found.jobs] == [True] * is_shown
    assert bool(found.workflow_states) is (not back and state is not WorkflowState.ACTIVE)


@pytest.mark.parametrize("tip", [None, 77], ids=["no commit", "not on the trunk"])
def test_without_its_commit_only_a_report_ends_a_state(tip: int | None) -> None:
    """Where the commit of a report is missing, no run counts as newer."""
    rows = [*BROKEN, row(3, path=FILE)]
    assert evaluate(rows, trunk(4), reported=reported(DELETED, tip)).jobs == ()


def test_the_state_of_a_workflow_without_results() -> None:
    """A workflow that has no result here is not shown."""
    assert evaluate([row()], trunk(1), reported=reported(DELETED)).workflow_states == {}


@pytest.mark.parametrize(("commits", "listed"), [(3 + FEW - 1, True), (3 + FEW, False)])
def test_a_workflow_that_is_missed(commits: int, listed: bool) -> None:
    """A file of every push is gone after enough commits at which others completed."""
    found = evaluate([*BROKEN, *others(commits)], trunk(commits), SOON)
    assert ("ci / job" in jobs_of(found)) is listed
    assert found.retired["removed_broken"] == (not listed)


def test_it_is_missed_and_found_again() -> None:
    """A workflow leaves when another one completes, and comes back with its next run."""
    stored, order = MemoryRows([*BROKEN, *others(3 + FEW - 1)]), trunk(3 + FEW)
    evaluator = TrunkEvaluator(order, SOON, stored)

    def update(*rows: Observation) -> TrunkState:
        return evaluator.update(order, stored.add(rows), NOW)

    assert "ci / job" in jobs_of(update())
    assert "ci / job" not in jobs_of(update(row(3 + FEW - 1, workflow="other")))
    assert jobs_of(update(row(3 + FEW - 1, conclusion="failure", path=FILE)))["ci / job"].broken


def test_a_commit_that_is_pending_again_is_not_busy() -> None:
    """Commits count only as long as a workflow completed there."""
    commits = 3 + FEW
    stored, order = MemoryRows([*BROKEN, *others(commits)]), trunk(commits)
    evaluator = TrunkEvaluator(order, SOON, stored)
    assert "ci / job" not in jobs_of(evaluator.update(order, {}, NOW))
    rerun = row(commits - 1, "x", workflow="other", run_id=99, status="queued")
    touched = stored.add([rerun])
    assert "ci / job" in jobs_of(evaluator.update(order, touched, NOW))


def replay(
    rows: list[Observation], commits: int, states: dict[str, ReportedState], policy: Policy
) -> BackTest:
    evaluator = TrunkEvaluator(trunk(commits), policy, MemoryRows(rows))
    evaluator.update(trunk(commits), {}, NOW, states)
    return evaluator.back_test(NOW)


@pytest.mark.parametrize(
    ("commits", "states", "closed"),
    [(4, reported(DELETED, 3), 4), (3 + FEW, {}, 3 + FEW), (4, reported(DELETED, 2), 3)],
    ids=["deleted", "missed", "deleted at the last failure"],
)
def test_the_back_test_ends_its_outage(
    commits: int, states: dict[str, ReportedState], closed: int
) -> None:
    """In the back-test, the outage of a workflow that is gone ends as removed."""
    (outage,) = replay([*BROKEN, *others(commits)], commits, states, SOON).outages
    assert outage.ending is Ending.REMOVED
    assert outage.closed is not None
    assert outage.closed.commit_index == closed
    assert outage.failures_in_outage == 3


def test_the_back_test_keeps_an_earlier_end() -> None:
    """An outage that ended before its workflow was gone has its own end."""
    rows = [*BROKEN, row(3, path=FILE)]
    (outage,) = replay(rows, 4, reported(DELETED, 3), Policy()).outages
    assert outage.ending is Ending.PASSED
