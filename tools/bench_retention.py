"""`make bench`: a year of a large trunk, with all results and with those of 90 days.

The year has fewer commits than a real one; sizes are also shown for one of 25,000 commits. One job
in a hundred is red all year, so that its results are all kept.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trunkwatch.config import parse_config
from trunkwatch.domain.model import Commit, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.store import SqliteStore

TRUNK = Trunk("bench/large", "main")
DAY = 86_400.0
START, YEAR, KEEP = 1.7e9, 365 * DAY, 90 * DAY
COMMITS, REAL_COMMITS = 730, 25_000
JOBS, JOBS_PER_WORKFLOW = 450, 30
RED = 100
"""One job in so many fails at every commit."""

KEPT_COMMITS = 100
MEBI = 2**20
WRITES = ("INSERT", "DELETE", "UPDATE")


class Step(NamedTuple):
    """The cost of one step.

    Attributes:
        statements: statements that write; each deletes the rows of one job at one commit at most.
        ms: CPU until the lock is free again, in milliseconds.
    """

    statements: int
    ms: float


def order() -> TrunkOrder:
    """Return the commits of a year."""
    spacing = YEAR / COMMITS
    return TrunkOrder(
        TRUNK, tuple(Commit(f"{n + 1:040x}", START + n * spacing) for n in range(COMMITS))
    )


def result(place: int, job: int) -> Observation:
    """Return the result of a job at a commit, as GitHub reports it."""
    at, workflow = START + place * YEAR / COMMITS, job // JOBS_PER_WORKFLOW
    run = 10_000_000_000 + place * 100 + workflow
    job_id = 40_000_000_000 + place * 1000 + job
    failed = job % RED == 0 or (place + job) % 97 == 0
    return Observation(
        TRUNK, f"{place + 1:040x}",
        RawJob(f"workflow {workflow}", f".github/workflows/{workflow}.yml", f"test ({job}, linux)"),
        "completed", "failure" if failed else "success",
        run, 1, job_id, place, "push", TRUNK.branch, TRUNK.repo, at, at + 10, at + 1200,
        f"https://github.com/bench/large/actions/runs/{run}/job/{job_id}",
        "Run the tests" if failed else None,
    )  # fmt: skip


def engine(store: SqliteStore) -> TrunkEngine:
    """Return an engine that has evaluated all stored results, at the end of the year."""
    config = parse_config("sources: [{name: ci, type: recorded, path: x.ndjson}]", "bench.yml")
    return TrunkEngine(config, store, Counters(), lambda: START + YEAR, keeps_state=True)


def steps(store: SqliteStore) -> Iterator[Step]:
    """Drop results older than 90 days; yield the cost of each step."""
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    dropping = engine(store).drop_results(KEEP, KEPT_COMMITS)
    statements.clear()
    begun = time.process_time()
    for _ in dropping:
        seconds = time.process_time() - begun
        yield Step(sum(text.startswith(WRITES) for text in statements), 1000 * seconds)
        statements.clear()
        begun = time.process_time()


def show(name: str, path: Path, rows: int) -> None:
    """Print the size of a file, and the memory of a process that starts with it."""
    size = path.stat().st_size
    command = [sys.executable, "-m", "tools.bench_retention", "--start", str(path)]
    figures = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    real = size * REAL_COMMITS / COMMITS
    print(
        f"| {name} | {rows:,} | {size / MEBI:.0f} | {size / rows:.0f} | {real / MEBI:,.0f}"
        f" | {float(figures[0]):.0f} | {float(figures[1]):.1f} |"
    )


def start(path: str) -> None:
    """Start with a file; print the memory (MiB) and the CPU (s) that this took."""
    begun = time.process_time()
    engine(SqliteStore(path))
    seconds = time.process_time() - begun
    # Unlike `ru_maxrss`, this is not inherited from the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024, seconds)


def count(store: SqliteStore) -> int:
    """Return the number of stored rows."""
    return max(store.count_rows(), default=0)


def main() -> int:
    """Print the tables."""
    if sys.argv[1:2] == ["--start"]:
        start(sys.argv[2])
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.db")
        store = SqliteStore(str(path))
        for place in range(COMMITS):
            rows = [result(place, job) for job in range(JOBS)]
            store.apply("ci", [order(), *rows] if place == 0 else rows, START)
        engine(store)
        before = count(store)
        store.close()
        print(f"a year of {JOBS} jobs, {COMMITS} commits, x{REAL_COMMITS / COMMITS:.1f}\n")
        print("| results | rows | MiB | bytes a row | MiB of 25,000 commits | RSS MiB | start s |")
        print("|---|---|---|---|---|---|---|")
        show("all", path, before)
        store = SqliteStore(str(path))
        found = list(steps(store))
        after = count(store)
        store.close()
        show("of 90 days", path, after)
        print("\n| steps | statements in one, at most | ms in one, at most | 99 % | ms in all |")
        print("|---|---|---|---|---|")
        costs = sorted(step.ms for step in found)
        most, usual = max(step.statements for step in found), costs[len(costs) * 99 // 100]
        print(f"| {len(found):,} | {most} | {costs[-1]:.1f} | {usual:.1f} | {sum(costs):,.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
