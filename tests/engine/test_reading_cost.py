"""The cost of one new result in rows read."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import pytest
from trunkwatch.domain.groups import Group
from trunkwatch.domain.model import Observation, RawJob, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator

from tests.domain.builders import NOW, TRUNK, MemoryRows, row, trunk

JOBS = 12
LONGEST = 5001
AT_MOST = 20
"""Rows that one new result may cost; its workflow has more jobs than the bound allows for."""


class CountingRows(MemoryRows):
    """Stored rows that count every row that is read, by kind of query."""

    def __init__(self, rows: Iterable[Observation]) -> None:
        self.read: Counter[str] = Counter()
        super().__init__(rows)

    def of_jobs(
        self, jobs: Collection[RawJob], shas: Collection[str] | None = None
    ) -> Iterable[Observation]:
        return self._counted("jobs", super().of_jobs(jobs, shas))

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


ALWAYS_RED = Policy(groups=(Group("g", "t", "P2", Thresholds(passes_to_close=2)),))


def conclusion(kind: str, place: int) -> str:
    """Return the result of a history of one kind; none of them has two passes in a row."""
    kinds = {"red": "failure", "alternating": "failure" if place % 2 else "success"}
    return kinds.get(kind, "failure" if place % 7 == 0 else "success")


def rows_of(commits: int, workflows: int, kind: str = "") -> list[Observation]:
    """Return many jobs on all commits."""
    return [
        row(place, f"job-{number}", conclusion(kind, place), workflow=f"w{flow}")
        for place in range(commits)
        for flow in range(workflows)
        for number in range(JOBS)
    ]


def cost(commits: int, late: int, *, workflows: int = 2, kind: str = "") -> int:
    """Return the rows read for one new result of one job.

    Args:
        commits: of the history.
        late: commits between the result and the newest result; -1 for a new commit.
        workflows: number of them.
        kind: of the history, see `conclusion`.
    """
    stored = CountingRows(rows_of(commits, workflows, kind))
    evaluator = TrunkEvaluator(order_of(commits), ALWAYS_RED, stored)
    evaluator.update(order_of(commits), {}, NOW)
    read = 0
    # The first result at a commit reads its workflow there, later ones do not.
    for run in range(2):
        stored.read.clear()
        place = commits - 1 - late
        touched = stored.add([row(place, "job-0", "failure", workflow="w0", run_id=9000 + run)])
        evaluator.update(order_of(max(commits, place + 1)), touched, NOW)
        read = sum(stored.read.values())
    return read


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["", "red", "alternating"])
@pytest.mark.parametrize("late", [-1, 0], ids=["on a new commit", "at the tip"])
@pytest.mark.parametrize("commits", [50, 500])
def test_a_new_result_costs_few_rows_at_any_history(kind: str, late: int, commits: int) -> None:
    """A result at the tip reads a few rows, also in an outage as long as the history."""
    assert cost(commits, late, kind=kind) <= AT_MOST


@pytest.mark.slow
def test_an_outage_of_5000_commits_costs_no_more() -> None:
    """A result costs no more rows after 5,000 failures than after 50."""
    assert cost(5000, 0, workflows=1, kind="red") <= AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize(("late", "at_most"), [(5, 8 * 8), (60, 8 * 64)])
def test_a_late_result_is_read_from_the_walk_before_it(late: int, at_most: int) -> None:
    """A late result reads rows in proportion to how late it is, not to the history."""
    few, many = cost(600, late, workflows=1), cost(1200, late, workflows=1)
    assert max(few, many) <= at_most


@pytest.mark.slow
def test_the_first_result_of_an_old_commit_reads_its_workflow_only() -> None:
    """Other workflows of the commit, however large, are not read."""
    stored = CountingRows(rows_of(30, 20))
    evaluator = TrunkEvaluator(order_of(30), Policy(), stored)
    evaluator.update(order_of(30), {}, NOW)
    stored.read.clear()
    touched = stored.add([row(10, "job-0", "failure", workflow="w0", run_id=9000)])
    evaluator.update(order_of(30), touched, NOW)
    workflow, job = JOBS + 1, 30 + 1
    assert stored.read == {"jobs": workflow + job}


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
