"""A matrix that is skipped as a whole: one row under its bare name, which is no job."""

from random import Random

import pytest
from trunkwatch.domain.evidence import EvidenceRules, NameRule
from trunkwatch.domain.model import Evidence, JobKey, Observation
from trunkwatch.domain.names import FoldRule, Naming
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    HOUR,
    NOW,
    TRUNK,
    MemoryRows,
    evaluate,
    jobs_of,
    row,
    trunk,
    unfinished,
)

COMMITS = 8
FEW = 5


def names(rows: list[Observation], policy: Policy | None = None) -> list[str]:
    return [name.removeprefix("ci / ") for name in jobs_of(evaluate(rows, trunk(COMMITS), policy))]


@pytest.mark.parametrize("conclusion", ["skipped", "neutral"])
def test_a_collapsed_matrix_is_no_job(conclusion: str) -> None:
    """A skipped row under the bare name of a matrix with jobs is not listed as a job."""
    rows = [row(0, "test", conclusion), row(1, "test (a)"), row(1, "test (b)")]
    state = evaluate(rows, trunk(COMMITS))
    assert [job.key.job_name for job in state.jobs] == ["test (a)", "test (b)"]
    assert state.retired == {"removed": 0, "removed_broken": 0}


def test_without_jobs_of_its_matrix_it_is_a_job() -> None:
    """A job that was always skipped is listed while the workflow has no job of its matrix."""
    assert names([row(0, "test", "skipped")]) == ["test"]
    strangers = [row(1, "tests (a)"), row(1, "test [a]"), row(1, "(a)")]
    assert "test" in names([row(0, "test", "skipped"), *strangers])
    assert "test" in names([row(0, "test", "skipped"), row(1, "test (a)", workflow="other")])
    assert "test" in names([row(0, "test", "skipped"), row(1, "test (a)", head_repo="fork/r")])


@pytest.mark.parametrize(
    "other",
    [
        row(2, "test", "success"),
        row(2, "test", "failure"),
        row(2, "test", "cancelled"),
        row(0, "test", "failure", run_id=99),
        unfinished(2, "test", created_at=NOW),
        unfinished(2, "test", created_at=NOW - 40 * HOUR),
    ],
    ids=["passed", "failed", "cancelled", "another run", "pending", "expired"],
)
def test_a_bare_name_with_another_result_is_a_job(other: Observation) -> None:
    """A bare name with any row that is no skip is a job."""
    rows = [row(0, "test", "skipped"), row(1, "test (a)"), other]
    assert names(rows) == ["test", "test (a)"]


def test_the_configuration_decides_about_skips() -> None:
    """The configured evidence table decides which rows are skips."""
    moved = EvidenceRules(names=(NameRule(Pattern("test"), Evidence.SKIP),))
    rows = [row(0, "test", "failure"), row(1, "test (a)")]
    assert names(rows) == ["test", "test (a)"]
    assert names(rows, Policy(evidence=moved)) == ["test (a)"]


def test_the_watched_names_decide() -> None:
    """The parent of folded jobs is that of their folded name."""
    fold = FoldRule(Pattern(r"(.*) \(([a-z]+), \d+\)"), r"\1 (\2)")
    rows = [row(0, "a / test", "skipped"), row(1, "a / test (core, 1)")]
    assert names(rows, Policy(naming=Naming(fold=(fold,)))) == ["a / test (core)"]


def test_a_matrix_in_a_matrix_may_collapse_twice() -> None:
    """Neither the outer nor the inner bare name is a job when a job of the matrix exists."""
    rows = [row(0, "a", "skipped"), row(0, "a (x)", "skipped"), row(1, "a (x) (y)")]
    assert names(rows) == ["a (x) (y)"]


def test_it_is_in_no_group_and_keeps_no_commit_from_green() -> None:
    """A bare name neither creates a group nor prevents a green commit."""
    policy = Policy(green={TRUNK: (Pattern("ci / test.*"),)})
    newest = COMMITS - 1
    rows = [row(newest, "test", "skipped"), row(newest, "test (a)")]
    state = evaluate(rows, trunk(COMMITS), policy)
    assert len(state.groups) == 1
    assert state.green is not None
    assert state.green.commits_since == 0


def test_it_is_never_counted_as_removed() -> None:
    """A bare name without new rows is not counted as retired, while its jobs are."""
    rows = [row(0, "test", "skipped"), row(0, "test (a)")]
    rows += [row(place, "stays") for place in range(COMMITS)]
    state = evaluate(rows, trunk(COMMITS), Policy(retire_after=FEW))
    assert list(jobs_of(state)) == ["ci / stays"]
    assert state.retired == {"removed": 1, "removed_broken": 0}


def test_its_rows_keep_its_jobs_listed() -> None:
    """Jobs of a matrix are not retired while its bare name is skipped now and then."""
    rows = [row(0, "test (a)"), *(row(place, "stays") for place in range(COMMITS))]
    policy = Policy(retire_after=FEW)
    assert "test (a)" not in names(rows, policy)
    assert names([*rows, row(3, "test", "skipped")], policy) == ["stays", "test (a)"]


STEPS = (
    ([row(0, "test", "skipped")], ["test"]),
    ([row(1, "test (a)")], ["test (a)"]),
    ([row(2, "test", "neutral")], ["test (a)"]),
    ([row(3, "test", "cancelled")], ["test", "test (a)"]),
)


def test_later_rows_change_it() -> None:
    """A job of the matrix hides the bare name, and a row of it that is no skip lists it again."""
    stored, order = MemoryRows(), trunk(COMMITS)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    evaluator.update(order, {}, NOW)
    for rows, expected in STEPS:
        state = evaluator.update(order, stored.add(rows), NOW)
        assert [job.key.job_name for job in state.jobs] == expected


@pytest.mark.parametrize("conclusion", ["success", "cancelled"])
def test_a_job_of_the_same_commit_hides_it(conclusion: str) -> None:
    """A later job hides the bare name also without completing a further commit."""
    stored, order = MemoryRows([row(0, "test", "skipped")]), trunk(COMMITS)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    assert len(evaluator.update(order, {}, NOW).jobs) == 1
    state = evaluator.update(order, stored.add([row(0, "test (a)", conclusion)]), NOW)
    assert [job.key.job_name for job in state.jobs] == ["test (a)"]


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    """Any order of arrival gives the same state."""
    rows = [each for step, _ in STEPS[:3] for each in step]
    Random(seed).shuffle(rows)
    stored, order = MemoryRows(), trunk(COMMITS)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    for each in rows:
        state = evaluator.update(order, stored.add([each]), NOW)
    assert [job.key.job_name for job in state.jobs] == ["test (a)"]


def test_it_has_no_rows_of_a_job() -> None:
    """The bare name is not watched and has no rows, while its jobs have."""
    order = trunk(COMMITS)
    evaluator = TrunkEvaluator(
        order, Policy(), MemoryRows([row(0, "test", "skipped"), row(1, "test (a)")])
    )
    evaluator.update(order, {}, NOW)
    assert evaluator.rows_of(JobKey(*TRUNK, "ci", "test")) == []
    assert len(evaluator.rows_of(JobKey(*TRUNK, "ci", "test (a)"))) == 1
