"""Results that are dropped change nothing that is published."""

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum, auto

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain import retention as rules
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Observation, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine import retention
from trunkwatch.engine.saved_state import order_digest
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.store import Basis, EvaluationUpdate

from tests.domain.builders import TRUNK, MemoryRows, evaluate
from tests.domain.scripts import Step, policies, removals, scripts, thorough
from tests.engine.test_incremental import _close_walks  # noqa: F401 — a fixture


@pytest.fixture(autouse=True, scope="module")
def _small_steps() -> object:
    """Drop in portions of which short histories have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "COLUMNS_PER_STEP", 2)
        patch.setattr(retention, "COMMITS_PER_STEP", 2)
        patch.setattr(retention, "TRIMMED_COLUMNS", 2)
        patch.setattr(rules, "SHOWN_COMMITS", 3)
        yield


class End(StrEnum):
    """How a process ends after a step: not at all, or with its state stored or lost."""

    RUNS_ON, STOPS, CRASHES = auto(), auto(), auto()


class Kept:
    """A trunk of which results are dropped."""

    def __init__(self, order: TrunkOrder, policy: Policy, seed: int) -> None:
        self.rows = MemoryRows(seed=seed)
        self.policy = policy
        self._generation = self.rows.store.claim_states()
        self.trunk = TrunkEvaluator(order, policy, self.rows)

    def update(self, step: Step) -> TrunkState:
        touched = self.rows.add(step.rows)
        return self.trunk.update(step.order, touched, step.now, step.reported)

    def drop(self, keep: int, now: float, steps: int) -> None:
        """Drop results before the newest commits; go only some steps of the way."""
        dropping = self.trunk.retention()
        if dropping is None:
            return
        dropping.advance(float("inf"), keep)
        for _ in zip(range(steps), dropping.steps(now), strict=False):
            pass
        before, store = self.trunk, self.rows.store
        store.put_base(TRUNK, before.base, before.base_changes)
        before.base_saved()
        old = {commit.sha for commit in before.order.commits[: before.base.since]}
        for _ in store.drop_rows(TRUNK, old, dropping.is_dropped):
            pass

    def restart(self, order: TrunkOrder, now: float, *, with_state: bool) -> None:
        """Start anew with the rows, the labels and the base, and perhaps with the saved state."""
        before, store = self.trunk, self.rows.store
        store.put_base(TRUNK, before.base, before.base_changes)
        before.base_saved()
        if with_state:
            commits = before.order.commits
            basis = Basis("", len(commits), order_digest(commits))
            update = EvaluationUpdate(basis, before.changes, {})
            store.put_evaluated({}, {TRUNK: update}, self._generation)
            before.changes_saved()
        base = store.base(TRUNK)
        self.trunk = TrunkEvaluator(order, self.policy, self.rows, before.labels, base)
        found = store.evaluation(TRUNK) if with_state else None
        if found is not None:
            self.trunk.restore(found.saved, now)


def accepted(rows: Collection[Observation], trunk: TrunkEvaluator) -> list[Observation]:
    """Return the rows that are not of a commit before the horizon."""
    index = trunk.order.index
    return [row for row in rows if index.get(row.sha, trunk.base.since) >= trunk.base.since]


def differences(wanted: TrunkState, found: TrunkState) -> list[tuple[str, object, object]]:
    """Return the values that differ."""
    before = {job.key: job for job in wanted.jobs}
    after = {job.key: job for job in found.jobs}
    pairs: list[tuple[str, object, object]] = [("", wanted, found)]
    pairs += [(str(key), before.get(key), after.get(key)) for key in before | after]
    return [
        (f"{name} {field}", getattr(one, field, None), getattr(other, field, None))
        for name, one, other in pairs
        for field in (TrunkState if name == "" else JobState).__slots__
        if field != "jobs" and getattr(one, field, None) != getattr(other, field, None)
    ]


def published(state: TrunkState, since: int) -> TrunkState:
    """Return a state without what is not published, or named as lost."""
    jobs = [replace(job, history=job.history.trimmed(since)) for job in state.jobs]
    green = state.green
    if green is not None and green.commits_since >= len(state.order.commits) - since:
        green = None  # An old commit does not become green, or red, any more.
    return replace(state, jobs=tuple(jobs), green=green)


drops = st.tuples(st.integers(0, 6), st.sampled_from((0, 1, 3, 100)), st.sampled_from(End))


@thorough
@given(
    st.one_of(scripts(), scripts(), removals()),
    policies(),
    st.lists(drops, min_size=8, max_size=8),
    st.integers(0, 2**16),
)
def test_dropped_results_change_nothing(
    steps: list[Step], policy: Policy, drops: list[tuple[int, int, End]], seed: int
) -> None:
    """Every state equals one with all results, also after restarts, with and without state."""
    kept, full = Kept(steps[0].order, policy, seed), MemoryRows(seed=seed)
    for step, (keep, portions, end) in zip(steps, drops, strict=False):
        step = replace(step, rows=accepted(step.rows, kept.trunk))  # noqa: PLW2901 — as it counts
        full.add(step.rows)
        state = kept.update(step)
        if kept.trunk.base.is_void:
            return  # The trunk was rewritten before the horizon.
        wanted = evaluate(full, step.order, policy, step.now, kept.trunk.labels, step.reported)
        since = kept.trunk.base.since
        assert not differences(published(wanted, since), published(state, since))
        assert published(wanted, since) == published(state, since)
        kept.drop(keep, step.now, portions)
        if end is not End.RUNS_ON:
            kept.restart(step.order, step.now, with_state=end is End.STOPS)
