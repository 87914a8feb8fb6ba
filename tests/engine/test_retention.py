"""Results that are dropped change nothing that is published."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.columns import Count
from trunkwatch.domain.groups import DEFAULT_GROUP, Group, Match
from trunkwatch.domain.model import Commit, TrunkOrder, WorkflowState
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.walk import EndedOutage
from trunkwatch.engine.facts import ReportedState
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    HOUR,
    NOW,
    TRUNK,
    MemoryRows,
    evaluate,
    history,
    row,
    trunk,
    unfinished,
)
from tests.domain.scripts import Step, chain, policies, removals, scripts, thorough
from tests.engine.retained import End, Kept, accepted, differences, published
from tests.reference.dropped import compare, small_steps
from tests.vectors.notation import sha_of


@pytest.fixture(autouse=True, scope="module")
def _small_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_steps(patch)
        yield


drops = st.tuples(st.integers(0, 6), st.sampled_from((0, 1, 3, 100)), st.sampled_from(End))


@pytest.mark.slow
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
    kept, full = Kept(TRUNK, policy), MemoryRows(seed=seed)
    for step, (keep, portions, end) in zip(steps, drops, strict=False):
        rows = accepted(step.rows, kept.trunk)
        full.add(rows)
        state = kept.update(step.order, rows, step.now, step.reported)
        if kept.trunk.base.is_void:
            return  # The trunk was rewritten before the horizon.
        labels, since = kept.trunk.labels, kept.trunk.base.since
        wanted = evaluate(full, step.order, policy, step.now, labels, step.reported)
        assert not differences(published(wanted, since), published(state, since))
        kept.drop(keep, step.now, portions)
        if end is not End.RUNS_ON:
            kept.restart(step.order, step.now, with_state=end is End.STOPS)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 30))]
)
def test_histories_with_dropped_results_equal_whole_ones(seed: int) -> None:
    """Generated CI histories, of which old results are dropped again and again, end the same."""
    assert compare(seed) == []


RED = "P P P F F F F F P F F F F F F F F F"
"""Settled at the third commit, and broken ever since for every M above 1."""


def dropped(text: str, policy: Policy | None = None, keep: int = 2) -> Kept:
    """Return a trunk with the history of one job, of which old results were dropped."""
    kept = Kept(TRUNK, policy or Policy())
    kept.update(trunk(len(text.split())), history(text), NOW)
    kept.drop(keep, NOW, 1000)
    return kept


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("P P P P P P P P P P", "P P P P"),
        ("s s s s s s s s s s", "s s"),
        ("S S S S S S S S S S", "S S"),
        ("P P P F F F F F F F", "P P F F F F F F F"),
        ("P P P K K K K K K K", "P P K K K K K K K"),
        ("F F F F F F F F F F", "F F F F F F F F F F"),
        ("P s s s s s s s s s", "s s"),
        ("- - - - - - - - - -", "- -"),
    ],
)
def test_results_after_the_last_settled_point_are_kept(text: str, left: str) -> None:
    """Of a job that fails or flakes, results are kept from its last two passes before on."""
    kept = dropped(text)
    assert len({row.sha for row in kept.rows.all_rows()}) == len(left.split())


@pytest.mark.parametrize("failures_to_open", [1, 5, 6, 10])
@pytest.mark.parametrize("passes_to_close", [1, 2])
def test_an_old_outage_follows_a_changed_number(
    failures_to_open: int, passes_to_close: int
) -> None:
    """With another N or M, a job that has been red for long is evaluated as over all results."""
    kept, order = dropped(RED), trunk(len(RED.split()))
    thresholds = Thresholds(failures_to_open, passes_to_close)
    kept.policy = Policy(groups=(replace(DEFAULT_GROUP, thresholds=thresholds),))
    kept.restart(order, NOW, with_state=False)
    wanted = evaluate(history(RED), order, kept.policy)
    assert not differences(published(wanted, 15), published(kept.update(order, [], NOW), 15))


def test_older_commits_that_are_found_move_what_is_kept() -> None:
    """Where a source learns older commits, an outage before the horizon keeps its place."""
    policy = Policy(groups=(replace(DEFAULT_GROUP, count=Count.RUNS),))
    kept = dropped("P P P F F F F", policy)
    older = tuple(Commit(f"{n:040x}", NOW - 900 * HOUR) for n in range(1000, 1003))
    order = TrunkOrder(TRUNK, older + trunk(7).commits)
    (before,) = kept.update(trunk(7), [], NOW).jobs
    (job,) = kept.update(order, [], NOW).jobs
    assert before.blame is not None
    assert job.blame is not None
    assert job.blame.first_bad == before.blame.first_bad
    assert job.blame.last_good == before.blame.last_good
    assert (job.failures_in_outage, kept.trunk.base.since) == (4, 5 + 3)
    kept.restart(order, NOW, with_state=False)
    assert kept.update(order, [], NOW).jobs == (job,)
    closed = dropped("P F F F P P P P P", policy)
    (before,) = closed.update(trunk(9), [], NOW).jobs
    (job,) = closed.update(replace(order, commits=older + trunk(9).commits), [], NOW).jobs
    assert before.ended is not None
    assert job.ended == EndedOutage(1 + 3, 4 + 3, before.ended.ended_at)
    assert job.ended.ended_at is not None


def test_a_streak_behind_a_rewritten_horizon_is_truncated() -> None:
    """After a force push before the horizon, a streak over all kept results is truncated."""
    kept = dropped("F F F F F F F F", Policy(groups=(replace(DEFAULT_GROUP, count=Count.RUNS),)))
    order = chain([0, 9, *range(3, 8)], older_unread=False)
    (job,) = kept.update(order, [], NOW).jobs
    assert (job.consecutive_failures, job.truncated) == (2, True)
    kept.restart(order, NOW, with_state=True)
    assert kept.update(order, [], NOW).jobs == (job,)


def test_a_result_that_will_expire_is_kept_until_then() -> None:
    """A pending result is dropped once time has made it unknown, and not before."""
    kept, rows = Kept(TRUNK, Policy()), history("P P P . F F F F")
    waiting = unfinished(3, created_at=NOW)
    kept.update(trunk(8), [*rows, waiting], NOW)
    kept.drop(2, NOW, 1000)
    assert waiting.sha in {row.sha for row in kept.rows.all_rows()}
    state = kept.update(trunk(8), [], NOW + 37 * HOUR)
    wanted = evaluate([*rows, waiting], trunk(8), now=NOW + 37 * HOUR)
    assert not differences(published(wanted, 6), published(state, 6))


def test_a_job_that_was_removed_before_the_horizon_is_forgotten() -> None:
    """Of a removed job nothing is left in the end; one that comes back is a new job."""
    other, gone = history("P P P P P P P P P P", "other"), history("P F F F . . . . . .", "gone")
    kept, policy = Kept(TRUNK, Policy(retire_after=3)), Policy(retire_after=3)
    state = kept.update(trunk(10), [*other, *gone], NOW)
    assert state.retired == {"removed": 0, "removed_broken": 1}
    for _ in range(2):
        kept.drop(3, NOW, 1000, forgets=True)
    (name,) = kept.trunk.base.jobs
    assert name.job_name == "other"
    assert {row.job.job_name for row in kept.rows.all_rows()} == {"other"}
    assert kept.update(trunk(10), [], NOW).retired == {"removed": 0, "removed_broken": 0}
    kept.restart(trunk(10), NOW, with_state=True)
    state = kept.update(trunk(10), [row(9, "gone", "failure")], NOW)
    wanted = evaluate([*other, row(9, "gone", "failure")], trunk(10), policy)
    assert not differences(published(wanted, 7), published(state, 7))


@pytest.mark.parametrize(
    ("text", "passes_to_close", "alerts"),
    [
        ("F F", 1, True),
        ("F . F", 1, True),
        ("F F P", 2, True),
        ("F F P", 1, False),
        ("F", 1, False),
    ],
)
@pytest.mark.parametrize("end", End)
def test_an_outage_before_the_horizon_alerts_with_a_later_one(
    text: str, passes_to_close: int, alerts: bool, end: End
) -> None:
    """An outage of which all results were dropped counts in its group until it is closed."""
    thresholds = Thresholds(2, passes_to_close)
    group = replace(DEFAULT_GROUP, thresholds=thresholds, failure_threshold=2, count=Count.RUNS)
    policy = Policy(groups=(group,))
    kept, order = Kept(TRUNK, policy), trunk(12)
    older = [*history(text, "older"), *history("P P P P P P", "later")]
    newer = [*history(". . . . . . . F F P P", "later"), row(10, "older", "cancelled")]
    kept.update(trunk(6), older, NOW)
    kept.drop(1, NOW, 1000)
    if end is not End.RUNS_ON:
        kept.restart(trunk(6), NOW, with_state=end is End.STOPS)
    state = kept.update(order, newer, NOW)
    wanted = evaluate([*older, *newer], order, policy)
    assert not differences(published(wanted, 5), published(state, 5))
    assert bool(state.alerting) is alerts


@pytest.mark.parametrize("end", End)
def test_a_job_that_was_removed_stays_so_when_its_workflow_comes_back(end: End) -> None:
    """What completed while a workflow was gone retires its jobs, also if it returns much later."""
    nightly = Group("nightly", "team", "P3", match=Match(event=Pattern("schedule")))
    policy, file = Policy(groups=(nightly,), retire_after=3), "w/gone.yml"
    rows = [row(0, "removed", path=file), *(row(place, path=file) for place in range(4))]
    gone = {file: ReportedState(WorkflowState.DELETED, sha_of(3))}
    kept = Kept(TRUNK, policy)
    for commits in (4, 8, 12):
        kept.update(trunk(commits), rows, NOW, gone)
        kept.drop(1, NOW, 1000)
        rows = []
        if end is not End.RUNS_ON:
            kept.restart(trunk(commits), NOW, with_state=end is End.STOPS)
    state = kept.update(trunk(12), [], NOW)
    assert [job.key.job_name for job in state.jobs] == ["job"]
    assert state.retired == {"removed": 1, "removed_broken": 0}


def test_starts_before_the_horizon_keep_the_numbers_of_their_runs() -> None:
    """A failed start that is counted by runs follows the run with the highest number before it."""
    policy = Policy(groups=(replace(DEFAULT_GROUP, count=Count.RUNS),))
    rows = [
        row(0, "a", run_id=5, started_at=NOW - 9, completed_at=NOW - 3),
        row(0, "b", run_id=5, started_at=NOW - 8, completed_at=NOW - 3, run_number=2),
        row(0, "a", run_id=7, started_at=NOW - 7, completed_at=NOW - 5, run_number=1),
    ]
    kept, failed = Kept(TRUNK, policy), row(7, "x", "startup_failure")
    kept.update(trunk(8), rows, NOW)
    kept.drop(2, NOW, 1000)
    state = kept.update(trunk(8), [failed], NOW)
    wanted = evaluate([*rows, failed], trunk(8), policy)
    assert not differences(published(wanted, 6), published(state, 6))
    startup = next(job for job in state.jobs if job.key.job_name == "(startup)")
    assert startup.last_success_at == NOW - 3
