"""`make bench`: two shards against one exporter, and what more commits and jobs cost an exporter.

Counts are the same on every machine. Each exporter is a process of its own, which reads a recorded
file of many repositories, evaluates it, and renders /metrics as for a scrape.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trunkwatch import __version__
from trunkwatch.app.parts import build_sources
from trunkwatch.config import load_config
from trunkwatch.metrics.exposition import PLAIN, Exposition
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.shards import parse_shard
from trunkwatch.store import STORES


class Size(NamedTuple):
    """A number of repositories, with the commits of each and the jobs at each commit."""

    repos: int
    commits: int
    jobs: int

    def __str__(self) -> str:
        return f"{self.repos:,} × {self.commits} commits × {self.jobs} jobs"


SHARED = Size(1_000, 30, 6)
"""What the shards share."""

GROWN = (Size(100, 25, 2), Size(100, 250, 2), Size(100, 25, 20))
"""What an exporter that starts again has in its storage."""

ALL = "all"
CASES = {ALL: "one exporter", "1/2": "shard 1/2", "2/2": "shard 2/2"}
MEBI = 1024.0


def lines(size: Size) -> Iterator[str]:
    """Yield the history of every repository; one job in fifty fails at its newest four commits."""
    for repo in range(size.repos):
        for number in range(size.commits):
            begun = f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"
            trunk = {
                "repo": f"acme/r{repo:04}",
                "branch": "main",
                "sha": f"{repo:020x}{number:020x}",
            }
            people = {"author": f"author-{number % 50}", "title": f"change {number} of {repo}"}
            line = {"kind": "commit", **trunk, "committed_at": begun, **people}
            yield json.dumps(line) + "\n"
            for job in range(size.jobs):
                failed = (repo * size.jobs + job) % 50 == 0 and number >= size.commits - 4
                run = {
                    "kind": "run",
                    **trunk,
                    "workflow": "ci",
                    "job_name": f"test ({job})",
                    "run_id": number,
                    "job_id": number * size.jobs + job,
                    "status": "completed",
                    "conclusion": "failure" if failed else "success",
                    "started_at": begun,
                    "completed_at": begun.replace(":00:00Z", ":20:00Z"),
                    "url": f"https://ci.example.org/{repo}/{number}/{job}",
                }
                yield json.dumps(run, separators=(",", ":")) + "\n"


def measure(folder: Path, case: str) -> dict[str, float]:
    """Run one exporter up to its first scrape, and return its figures."""
    shard = None if case == ALL else parse_shard("--shard", case)
    config, counters = load_config(str(folder / "trunkwatch.yml")), Counters()
    path = folder / f"{case.replace('/', '-')}.db"
    store = STORES["sqlite"](str(path))
    engine = TrunkEngine(config, store, counters, time.time, keeps_state=True, shard=shard)
    poller = Poller(engine, [], Timing(time.monotonic))
    for section, source in build_sources(config, counters, engine, shard):
        poller.refresh_until_done(section, source)
    exposition = Exposition(lambda: engine.snapshot, counters.totals, __version__)
    text = exposition.body(PLAIN, zipped=False)
    trunks = engine.snapshot.trunks
    usage = resource.getrusage(resource.RUSAGE_SELF)
    store.close()
    return {
        "repositories": len(trunks),
        "jobs": sum(len(trunk.jobs) for trunk in trunks),
        "series": sum(1 for line in text.splitlines() if line.startswith((b"ci_", b"trunkwatch_"))),
        "MiB of storage": path.stat().st_size / MEBI**2,
        "MiB of memory (peak)": usage.ru_maxrss / MEBI,
        "CPU s": usage.ru_utime + usage.ru_stime,
    }


def write_case(folder: Path, size: Size) -> None:
    """Write a history and a configuration for it."""
    with (folder / "many.ndjson").open("w") as file:
        file.writelines(lines(size))
    (folder / "trunkwatch.yml").write_text(
        "sources: [{name: many, type: recorded, path: many.ndjson}]\n"
    )


def run(folder: str, case: str) -> dict[str, float]:
    """Return the figures of one exporter, run as a program."""
    command = [sys.executable, "-m", "tools.bench_shards", folder, case]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def show(head: str, rows: Iterator[tuple[str, dict[str, float]]]) -> None:
    """Print a table."""
    for number, (name, found) in enumerate(rows):
        if not number:
            print(f"| {head} | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
        figures = (f"{value:,.0f}" for value in found.values())
        print(f"| {name} | {' | '.join(figures)} |", flush=True)


def shared() -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures of one exporter and of two shards."""
    with tempfile.TemporaryDirectory() as folder:
        write_case(Path(folder), SHARED)
        for case, name in CASES.items():
            yield name, run(folder, case)


def grown() -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures of exporters that start on a storage with everything."""
    for size in GROWN:
        with tempfile.TemporaryDirectory() as folder:
            write_case(Path(folder), size)
            run(folder, ALL)
            yield str(size), run(folder, ALL)


def main() -> int:
    """Measure and print; with a folder and a case, measure that one."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
        return 0
    show(str(SHARED), shared())
    print()
    show("a start with", grown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
