"""`make bench`: the cost of one new result, and of a restart, as tables of growth.

Counts are the same on every machine. Times are CPU of this process; compare ratios, and only within
one run.
"""

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from trunkwatch.config import parse_config
from trunkwatch.domain.groups import Group
from trunkwatch.domain.model import Commit, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.store import SqliteStore, StoredRows

from tests.support.counting_store import CountingStore
from tools.bench_serving import Row, table

TRUNK = Trunk("bench/large", "main")
START = 1.7e9
JOBS_PER_WORKFLOW = 500
RESULTS = 21
"""Number of new results, one after the other, of which the median is shown."""

RED = Policy(groups=(Group("g", "t", "P2", Thresholds(passes_to_close=2)),))
"""Two passes close an outage: where every other result is a failure, one stays open for ever."""


class Shape(NamedTuple):
    """The size of a trunk, and how often each job fails: at every n-th commit."""

    jobs: int
    commits: int
    fails_every: int = 1


def order_of(commits: int) -> TrunkOrder:
    """Return commits, one an hour."""
    return TrunkOrder(
        TRUNK, tuple(Commit(f"{n + 1:040x}", START + n * 3600) for n in range(commits))
    )


def result(place: int, job: int, run: int, *, failed: bool) -> Observation:
    """Return the result of a job at a commit."""
    at, workflow = START + place * 3600, job // JOBS_PER_WORKFLOW
    return Observation(
        TRUNK, f"{place + 1:040x}",
        RawJob(f"workflow {workflow}", f"w/{workflow}.yml", f"test ({job})"),
        "completed", "failure" if failed else "success",
        run_id=run, head_branch=TRUNK.branch, head_repo=TRUNK.repo,
        started_at=at, completed_at=at + 1200,
    )  # fmt: skip


def filled(store: SqliteStore, shape: Shape) -> None:
    """Store a whole trunk, one commit a refresh."""
    for place in range(shape.commits):
        failed = place % shape.fails_every == 0
        rows = (result(place, job, place, failed=failed) for job in range(shape.jobs))
        store.apply("ci", [order_of(shape.commits), *rows] if place == 0 else rows, START)


def one_result(shape: Shape) -> Row:
    """Return the cost of one new result at the tip, until the state of the trunk is there."""
    store, order = CountingStore(), order_of(shape.commits)
    filled(store, shape)
    evaluator = TrunkEvaluator(order, RED, StoredRows(store, TRUNK))
    now = START + shape.commits * 3600
    evaluator.update(order, {}, now)
    seconds, rows, profile = [], 0, cProfile.Profile()
    for number in range(RESULTS):
        new = result(shape.commits - 1, number % shape.jobs, 10**6 + number, failed=True)
        touched = store.apply("ci", [new], None).touched[TRUNK]
        store.rows_read, is_last = 0, number == RESULTS - 1
        begun = time.process_time()
        if is_last:
            profile.enable()
        evaluator.update(order, touched, now)
        profile.disable()
        if number and not is_last:
            seconds.append(time.process_time() - begun)
            rows = max(rows, store.rows_read)
    store.close()
    calls = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return {"rows read, at most": rows, "calls": calls, "ms": 1000 * median(seconds)}


def restart(jobs: int) -> Row:
    """Return the cost of the first start, which evaluates every row, and of a restart."""
    shape = Shape(jobs, 100, fails_every=97)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "results.db"))
        config = parse_config("sources: [{name: ci, type: recorded, path: x.ndjson}]", "bench.yml")
        figures: dict[str, float] = {"results": shape.jobs * shape.commits}
        for name in ("first", "again"):
            store = CountingStore(path)
            if name == "first":
                filled(store, shape)
            begun = time.process_time()
            TrunkEngine(config, store, Counters(), lambda: START + 10**6, keeps_state=True)
            figures[f"{name}: rows read"] = store.rows_read
            figures[f"{name}: s"] = time.process_time() - begun
            store.close()
        return figures


def main() -> int:
    """Print the tables."""
    tables = (
        table(
            "one new result, commits of failures",
            (100, 1_000, 10_000),
            lambda n: one_result(Shape(5, n)),
        ),
        table(
            "the same, passes and failures alternate",
            (100, 1_000, 10_000),
            lambda n: one_result(Shape(5, n, fails_every=2)),
        ),
        table(
            "one new result, jobs of the trunk",
            (500, 5_000, 50_000),
            lambda n: one_result(Shape(n, 3, fails_every=2)),
        ),
        table("restart, jobs with 100 commits each", (10, 100, 1_000), restart),
    )
    for lines in tables:
        print(*lines, sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
