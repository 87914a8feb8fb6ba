"""The cost of one new result in rows read."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import pytest
from trunkwatch.domain.model import Observation, RawJob, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator

from tests.domain.builders import NOW, TRUNK, MemoryRows, row, trunk

JOBS = 12
LONGEST = 251
LARGE = 20
"""Workflows that have more rows at one commit than one job has in its history."""

OWN = 20
"""Number of the newest commits on which the job itself ran."""


class CountingRows(MemoryRows):
    """Stored rows that count every row that is read, by kind of query."""

    def __init__(self, rows: Iterable[Observation]) -> None:
        self.read: Counter[str] = Counter()
        super().__init__(rows)

    def of_jobs(self, jobs: Collection[RawJob]) -> Iterable[Observation]:
        return self._counted("jobs", super().of_jobs(jobs))

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        return self._counted("commits", super().of_commits(shas))

    def all_rows(self) -> Iterable[Observation]:
        return self._counted("all", super().all_rows())

    def _counted(self, kind: str, rows: Iterable[Observation]) -> Iterator[Observation]:
        for each in rows:
            self.read[kind] += 1
            yield each


def order_of(commits: int) -> TrunkOrder:
    """Return the oldest commits of one trunk, so that a longer one extends a shorter one."""
    return TrunkOrder(TRUNK, trunk(LONGEST).commits[:commits])


def rows_of(commits: int, workflows: int) -> list[Observation]:
    """Return many jobs on all commits, and one that ran on the newest `OWN` only."""
    rows = [
        row(place, f"job-{number}", "failure" if place % 7 == 0 else "success", workflow=f"w{flow}")
        for place in range(commits)
        for flow in range(workflows)
        for number in range(JOBS)
    ]
    own = [row(place, "own", workflow="w0") for place in range(commits - OWN, commits)]
    return rows + own


def cost(commits: int, *, workflows: int = 2, pushed: bool = False) -> Counter[str]:
    """Return the rows read for one new result of one job, at the tip or on a new commit."""
    stored, order = CountingRows(rows_of(commits, workflows)), order_of(commits)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    evaluator.update(order, {}, NOW)
    stored.read.clear()
    length = commits + 1 if pushed else commits
    touched = stored.add([row(length - 1, "own", "failure", workflow="w0", run_id=9999)])
    state = evaluator.update(order_of(length), touched, NOW)
    assert any(job.key.job_name == "own" for job in state.jobs)
    return stored.read


@pytest.mark.parametrize("pushed", [False, True], ids=["at the tip", "on a new commit"])
def test_the_cost_does_not_grow_with_other_histories(pushed: bool) -> None:
    """Ten times the history of other jobs, on ten times the commits, costs no further row."""
    assert cost(25, pushed=pushed) == cost(250, pushed=pushed)


def test_the_cost_is_the_jobs_own_rows_and_the_commits() -> None:
    """One new result reads the rows of its commit and of its own job, and no others."""
    read = cost(100, workflows=2)
    assert read == {"commits": 2 * JOBS + 1 + 1, "jobs": OWN + 1}


def test_a_second_result_of_a_commit_reads_its_own_job_only() -> None:
    """Further results of a large cached commit read only the rows of their own jobs."""
    stored, order = CountingRows(rows_of(30, LARGE)), order_of(30)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    evaluator.update(order, {}, NOW)
    for run in range(3):
        stored.read.clear()
        touched = stored.add([row(29, "own", "failure", workflow="w0", run_id=9000 + run)])
        evaluator.update(order, touched, NOW)
        rows = OWN + 1 + run
        # Once for the workflow at the commit, and once for the job.
        again = {"jobs": 2 * rows}
        assert stored.read == (again if run else {"commits": LARGE * JOBS + 2, "jobs": rows})


def test_nothing_new_reads_nothing() -> None:
    """An update without changes reads no row."""
    stored, order = CountingRows(rows_of(30, 1)), order_of(30)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    assert evaluator.update(order, {}, NOW).jobs
    stored.read.clear()
    assert evaluator.update(order, {}, NOW).jobs
    assert stored.read == {}


def test_a_bare_push_reads_the_new_commits_only() -> None:
    """A push without results reads no row of earlier commits."""
    stored = CountingRows(rows_of(30, 1))
    evaluator = TrunkEvaluator(order_of(30), Policy(), stored)
    evaluator.update(order_of(30), {}, NOW)
    stored.read.clear()
    assert len(evaluator.update(order_of(33), {}, NOW).order.commits) == 33
    assert stored.read == {}
