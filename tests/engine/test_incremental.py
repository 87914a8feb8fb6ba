"""The incremental evaluation gives the same state as an evaluation from scratch."""

from collections.abc import Iterator, Sequence
from enum import StrEnum, auto
from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.config import parse_config, policy_of
from trunkwatch.domain import branch
from trunkwatch.domain.model import Observation, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine import checkpoints
from trunkwatch.engine.row_cache import Touched, union
from trunkwatch.engine.saved_state import order_digest
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.store import Basis, EvaluationUpdate, SqliteStore, StoredRows

from tests.domain.builders import TRUNK, MemoryRows, evaluate
from tests.domain.scripts import Step, policies, removals, scripts
from tests.reference.histories import generate
from tests.reference.recorded import recorded
from tests.support.examples import examples

FEW = range(4)
MANY = range(len(FEW), 40)
"""Seeds of generated CI histories."""


@pytest.fixture(autouse=True, scope="module")
def _close_walks() -> Iterator[None]:
    """Keep walks at distances of 1, 2, 4, ... commits, so that short histories have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "SPACING", 2)
        patch.setattr(branch, "LOWER_BY", 1)
        yield


class End(StrEnum):
    """How a process ends after a step: not at all, or with its state stored or lost."""

    RUNS_ON, STOPS, CRASHES = auto(), auto(), auto()


STEPS = 8
"""The most steps of a script."""

ends_of_steps = st.one_of(
    st.just([End.RUNS_ON] * STEPS),
    st.lists(st.sampled_from(End), min_size=STEPS, max_size=STEPS),
)


@pytest.mark.slow
@settings(max_examples=examples(900))
@given(st.one_of(scripts(), removals()), policies(), ends_of_steps, st.integers(0, 2**16))
def test_steps_end_like_one_evaluation(
    steps: list[Step], policy: Policy, ends: list[End], seed: int
) -> None:
    """After each report, push, force push, wait or restart the state equals a fresh evaluation."""
    # A process that restarts has the stored state, and the rows that were marked since.
    # Results come before their commits and after them, again, from elsewhere and too late.
    assert len(steps) <= STEPS
    stored = MemoryRows(seed=seed)
    generation = stored.store.claim_states()
    kept = TrunkEvaluator(steps[0].order, policy, stored)
    evaluated: Touched = {}
    for step, end in zip(steps, ends, strict=False):
        if end is End.STOPS:
            commits = kept.order.commits
            basis = Basis("", len(commits), order_digest(commits))
            update = EvaluationUpdate(basis, kept.changes, evaluated)
            stored.store.put_evaluated({TRUNK: kept.labels}, {TRUNK: update}, generation)
            kept.changes_saved()
            evaluated = {}
        touched = stored.add(step.rows)
        marked = stored.store.unevaluated(TRUNK)
        found = stored.store.evaluation(TRUNK) if end is not End.RUNS_ON else None
        if found is not None and _is_of(step.order, found.basis):
            labels = stored.store.load().labels.get(TRUNK, {})
            kept = TrunkEvaluator(step.order, policy, stored, labels)
            kept.restore(found.saved, step.now)
            touched = union(touched, marked)
        state = kept.update(step.order, touched, step.now, step.reported)
        evaluated = union(evaluated, touched)
        args = (stored, step.order, policy, step.now, kept.labels, step.reported)
        assert state == evaluate(*args)


def _is_of(order: TrunkOrder, basis: Basis) -> bool:
    return order_digest(order.commits[: basis.commits]) == basis.order


def _chunks(rows: Sequence[Observation], rng: Random) -> Iterator[list[Observation]]:
    """Yield shuffled rows in pieces that may overlap, since sources repeat rows."""
    shuffled = list(rows)
    rng.shuffle(shuffled)
    cuts = sorted(rng.randrange(len(shuffled) + 1) for _ in range(5))
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        yield shuffled[max(0, start - 3) : end]


@pytest.mark.parametrize(
    "seed", [*FEW, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY)]
)
def test_recorded_histories_end_like_one_evaluation(seed: int) -> None:
    """Generated CI histories, stored in pieces, end in the same state as a fresh evaluation."""
    lines, config, now = generate(seed)
    text = yaml.safe_dump({"sources": [{"name": "x", "type": "recorded", "path": "x"}], **config})
    policy = policy_of(parse_config(text, "trunkwatch.yml"))
    rng, moment = Random(seed), now.timestamp()
    found = recorded(lines)
    for trunk, order in found.orders.items():
        store = SqliteStore()
        reader = StoredRows(store, trunk)
        rows = [row for row in found.rows if row.trunk == trunk]
        known = rng.randrange(len(order.commits) + 1)
        grown = TrunkOrder(trunk, order.commits[:known])
        kept = TrunkEvaluator(grown, policy, reader)
        for piece in _chunks(rows, rng):
            touched = store.apply("x", [*piece, grown], moment).touched.get(trunk, {})
            state = kept.update(grown, touched, moment - 3600 * rng.randrange(3))
            known = rng.randrange(known, len(order.commits) + 1)
            grown = TrunkOrder(trunk, order.commits[:known])
        state = kept.update(order, {}, moment)
        assert state == evaluate(reader, order, policy, moment, kept.labels)
        store.close()


def test_the_histories_are_read() -> None:
    """The generated histories of the test above contain rows."""
    found = [recorded(generate(seed)[0]) for seed in FEW]
    assert sum(len(each.rows) for each in found) > 80 * len(FEW)
