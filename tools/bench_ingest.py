"""`make bench`: recorded files and the store, counts first, times as CPU and as ratios.

Recorded files are compared with `json.loads` of each line into a dictionary, the store with
`executemany` of the same rows into a table without any index but the key.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from trunkwatch.app import refresh_all
from trunkwatch.config import Config, parse_config, policy_of
from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.engine.facts import Cursor, Fact, SourceState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.sources.recorded import RecordedFile
from trunkwatch.store import MEMORY, STORES, Store, StoredRows

TRUNK = Trunk("bench/large", "main")
JOBS_PER_BATCH = 450
"""Jobs of one commit of a large trunk on GitHub, which arrive together."""

BATCHES = 40
"""Batches over which a figure is averaged."""

SOURCE = "bench"


class Cost(NamedTuple):
    """The cost of some work.

    Attributes:
        seconds: of CPU.
        bytes: written, as the kernel counts them.
    """

    seconds: float
    bytes: int


def cost_of(work: Callable[[], object]) -> Cost:
    """Return the cost of a call."""
    written, begun = _bytes_written(), time.process_time()
    work()
    return Cost(time.process_time() - begun, _bytes_written() - written)


def _bytes_written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def row(place: int, job: int) -> Observation:
    """Return the result of a job at a commit, as GitHub reports it."""
    run, job_id, began = 10_000_000_000 + place, 40_000_000_000 + place * 1000 + job, 1.7e9
    return Observation(
        TRUNK,
        f"{place + 1:040x}",
        RawJob(
            "linux", ".github/workflows/linux.yml", f"linux-jammy / test ({job}, linux.4xlarge)"
        ),
        "completed",
        "success",
        run,
        1,
        job_id,
        place,
        "push",
        "main",
        TRUNK.repo,
        began + place * 600,
        began + place * 600 + job,
        began + place * 600 + job + 1200,
        f"https://github.com/bench/large/actions/runs/{run}/job/{job_id}",
        run_completed=True,
    )


def batch(place: int) -> list[Observation]:
    """Return the results of all jobs at a commit."""
    return [row(place, job) for job in range(JOBS_PER_BATCH)]


# ---------------------------------------------------------------------- the store


def ingest(sizes: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Yield the cost of batches beside a number of stored rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/results.db"
        store, place = STORES["sqlite"](path), 0
        for size in sizes:
            place = _fill(store, place, size // JOBS_PER_BATCH)
            batches = [batch(place + number) for number in range(BATCHES)]
            cost = cost_of(partial(_apply_all, store, batches))
            again = cost_of(partial(_apply_all, store, batches))
            place += BATCHES
            rows = BATCHES * JOBS_PER_BATCH
            floor = cost_of(partial(_floor, folder, batches)).seconds
            yield (
                f"{place * JOBS_PER_BATCH:,}",
                f"{cost.bytes / rows:,.0f}",
                f"{rows / cost.seconds:,.0f}",
                f"{rows / again.seconds:,.0f}",
                f"{cost.seconds / floor:.1f}",
                f"{Path(path).stat().st_size / place / JOBS_PER_BATCH:,.0f}",
            )
        store.close()


def _fill(store: Store, place: int, commits: int) -> int:
    """Store batches until there are some commits; return the next one."""
    for number in range(place, commits):
        store.apply(SOURCE, batch(number), 0.0)
    return max(place, commits)


def _apply_all(store: Store, batches: Sequence[Sequence[Fact]]) -> None:
    for facts in batches:
        store.apply(SOURCE, facts, 0.0)


def _floor(folder: str, batches: Sequence[Sequence[Observation]]) -> None:
    connection = sqlite3.connect(f"{folder}/floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("DROP TABLE IF EXISTS rows")
    connection.execute(
        "CREATE TABLE rows (sha, job, run, attempt, id, status, conclusion, number, event, a, b,"
        " c, d, e, url, PRIMARY KEY (sha, job, run, attempt, id)) WITHOUT ROWID"
    )
    for rows in batches:
        connection.execute("BEGIN")
        values = [
            (
                each.sha, each.job.job_name, each.run_id, each.attempt, each.job_id, each.status,
                each.conclusion, each.run_number, each.event, each.head_branch, each.head_repo,
                each.created_at, each.started_at, each.completed_at, each.url,
            )
            for each in rows
        ]  # fmt: skip
        insert = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        connection.executemany(insert, values)
        connection.execute("COMMIT")
    connection.close()


# ---------------------------------------------------------------------- a recorded file


def lines(count: int) -> Iterator[str]:
    """Yield a recorded file of some runs at 60 commits."""
    commits = 60
    trunk = {"repo": TRUNK.repo, "branch": TRUNK.branch}
    for place in range(commits):
        yield json.dumps({"kind": "commit", **trunk, "sha": f"{place + 1:040x}"}) + "\n"
    for number in range(count):
        yield run_line(number % commits, number // commits)


def run_line(place: int, job: int) -> str:
    """Return the line of a result."""
    each = row(place, job)
    run = {
        "kind": "run",
        "repo": TRUNK.repo,
        "branch": TRUNK.branch,
        "sha": each.sha,
        "workflow": each.job.workflow_name,
        "workflow_path": each.job.workflow_path,
        "job_name": each.job.job_name,
        "status": each.status,
        "conclusion": each.conclusion,
        "run_id": each.run_id,
        "job_id": each.job_id,
        "run_number": each.run_number,
        "started_at": "2026-01-05T10:00:00Z",
        "completed_at": f"2026-01-05T10:{job % 60:02d}:{place % 60:02d}Z",
        "url": each.url,
    }
    return json.dumps(run, separators=(",", ":")) + "\n"


def growth(sizes: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Yield the cost of reading a file, and of one line that is appended to it."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.ndjson"
            path.write_text("".join(lines(size)), encoding="utf-8")
            text = path.read_bytes().splitlines()
            floor = cost_of(partial(_parse, text)).seconds
            source, store = RecordedFile(path), STORES["sqlite"](f"{folder}/results.db")
            whole = cost_of(partial(source.refresh, SourceState())).seconds
            source = RecordedFile(path)
            cursor = _refresh(source, store, None)[1]
            appended = []
            for number in range(20):
                with path.open("a") as file:
                    file.write(run_line(number, size))
                begun = time.process_time()
                facts, cursor = _refresh(source, store, cursor)
                appended.append(time.process_time() - begun)
            store.close()
            yield (
                f"{size:,}",
                f"{path.stat().st_size / 1e6:.1f}",
                f"{facts - 1}",
                f"{sorted(appended)[len(appended) // 2] * 1000:.2f}",
                f"{size / whole:,.0f}",
                f"{whole / floor:.2f}",
            )


def _parse(lines: Sequence[bytes]) -> list[object]:
    return [json.loads(line) for line in lines]


def _refresh(source: RecordedFile, store: Store, cursor: str | None) -> tuple[int, str | None]:
    """Store a refresh; return the number of facts, and the cursor."""
    facts = list(source.refresh(SourceState(cursor)).facts)
    store.apply(SOURCE, facts, 0.0)
    texts = [fact.text for fact in facts if isinstance(fact, Cursor)]
    return len(facts), texts[-1] if texts else cursor


def stages(size: int) -> Iterator[tuple[str, ...]]:
    """Yield the cost of each stage of a command that ends, per result of a recorded file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.ndjson"
        path.write_text("".join(lines(size)), encoding="utf-8")
        text = path.read_bytes().splitlines()
        floor = cost_of(partial(_parse, text)).seconds
        facts: list[Fact] = []
        store, config = STORES["memory"](MEMORY), _config(path)
        read = cost_of(lambda: facts.extend(RecordedFile(path).refresh(SourceState()).facts))
        put = cost_of(lambda: store.apply(SOURCE, facts, 0.0))
        order = store.load().orders[TRUNK]
        evaluator = TrunkEvaluator(order, policy_of(config), StoredRows(store, TRUNK))
        evaluated = cost_of(lambda: evaluator.update(order, {}, time.time()))
        whole = cost_of(lambda: refresh_all(config, MEMORY, None))
        named = {"read": read, "store": put, "evaluate": evaluated, "check, as a whole": whole}
        for stage, cost in named.items():
            share = f"{cost.seconds / size * 1e6:.1f}", f"{cost.seconds / floor:.2f}"
            yield (stage, *share, f"{size / cost.seconds:,.0f}")


def _config(path: Path) -> Config:
    section = f"{{name: {SOURCE}, type: recorded, path: {path.name}}}"
    return parse_config(f"sources: [{section}]", str(path.with_name("trunkwatch.yml")))


# ---------------------------------------------------------------------- the tables


def table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    """Print a table."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |", flush=True)
    print()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000, help="stored rows at the end")
    given = parser.parse_args()
    table(
        ["lines", "MB", "facts of an appended line", "its CPU, ms", "lines/s", "× json.loads"],
        growth([600, 6_000, 60_000]),
    )
    table(["stage", "µs/result", "× json.loads", "results/s"], stages(60_000))
    table(
        ["stored rows", "bytes written/row", "rows/s", "repeated rows/s", "× executemany",
         "bytes of file/row"],
        ingest([given.rows // 100, given.rows // 10, given.rows]),
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
