"""`make bench`: check and /metrics on 10,000 jobs and 60 commits, printed as a table.

Times depend on the machine and its load; compare ratios, and only within one run.
"""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from trunkwatch.app import refresh_all
from trunkwatch.config import parse_config
from trunkwatch.engine.snapshot import Snapshot, Totals
from trunkwatch.metrics.collector import branch_families, job_families
from trunkwatch.metrics.exposition import OPENMETRICS, Exposition
from trunkwatch.store import MEMORY

JOBS, COMMITS = 10_000, 60
PER_WORKFLOW = 500
FIRING = 1
"""Exit code of `check` for a history that ends with broken jobs."""

CHANGES = 21
"""Number of jobs that are changed, one after the other."""

MEBI = 1024.0


class Row(NamedTuple):
    """One line of the table."""

    what: str
    figure: str


def lines(jobs: int, commits: int) -> Iterator[str]:
    """Yield a history in which one job in 50 fails on the newest four commits."""
    for number in range(commits):
        sha = f"{number + 1:040x}"
        trunk = {"repo": "bench/large", "branch": "main", "sha": sha}
        committed = f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"
        yield json.dumps({"kind": "commit", **trunk, "committed_at": committed}) + "\n"
        for job in range(jobs):
            failed = job % 50 == 0 and number >= commits - 4
            run = {
                "kind": "run",
                **trunk,
                "workflow": f"workflow-{job // PER_WORKFLOW:02d}",
                "job_name": f"linux-jammy-py3.10 / test (suite-{job:05d}, 1, 1, linux.4xlarge)",
                "run_id": number * 100 + job // PER_WORKFLOW,
                "job_id": number * jobs + job,
                "status": "completed",
                "conclusion": "failure" if failed else "success",
                "started_at": committed,
                "completed_at": committed.replace(":00:00Z", ":20:00Z"),
                "url": f"https://ci.example.org/bench/large/runs/{number}/job/{job}",
            }
            yield json.dumps(run, separators=(",", ":")) + "\n"


def write_case(folder: Path) -> Path:
    """Write the history and a configuration for it; return the configuration."""
    with (folder / "large.ndjson").open("w") as file:
        file.writelines(lines(JOBS, COMMITS))
    config = folder / "trunkwatch.yml"
    config.write_text(
        "sources: [{name: large, type: recorded, path: large.ndjson}]\njobs: {preset: pytorch}\n"
    )
    return config


def timed(work: Callable[[], object]) -> float:
    """Return the duration of a call (seconds)."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def check(config: Path) -> Iterator[Row]:
    """Run `trunkwatch check` as a program."""
    command = [sys.executable, "-m", "trunkwatch", "check", "--config.file", str(config)]

    def run() -> None:
        done = subprocess.run(
            [*command, "--format", "json"], stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != FIRING:
            raise SystemExit(f"check exited with {done.returncode}, not {FIRING} for broken jobs")

    seconds = timed(run)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEBI
    rows = JOBS * COMMITS
    yield Row(f"check, {JOBS:,} jobs × {COMMITS} commits", f"{seconds:.1f} s, {peak:.0f} MiB")
    yield Row("the same, per second", f"{rows / seconds:,.0f} results")


def exposition(config: Path) -> Iterator[Row]:
    """Compare serving the rendered exposition with rendering it for each scrape."""
    once = refresh_all(parse_config(config.read_text(), str(config)), MEMORY, None)
    snapshot = once.engine.snapshot

    def render() -> bytes:
        families = [*job_families(snapshot.trunks), *branch_families(snapshot.trunks)]
        return gzip.compress(OPENMETRICS.bytes_of(families), 1)

    served = Exposition(lambda: snapshot, Totals, "bench")
    rendering = timed(render)
    first = timed(lambda: served.body(OPENMETRICS, zipped=True))
    scrapes = sorted(timed(lambda: served.body(OPENMETRICS, zipped=True)) for _ in range(50))
    plain = len(served.body(OPENMETRICS, zipped=False)) / MEBI / MEBI
    zipped = len(served.body(OPENMETRICS, zipped=True)) / MEBI / MEBI
    yield Row("/metrics", f"{plain:.1f} MiB, {zipped:.2f} MiB gzipped")
    yield Row("rendered and compressed, per scrape", f"{rendering:.2f} s")
    yield Row("the first scrape after a start", f"{first:.2f} s")
    yield Row("a scrape of the snapshot, median of 50", f"{scrapes[25] * 1000:.1f} ms")
    yield Row("ratio", f"{rendering / scrapes[25]:,.0f} ×")
    change = one_change(snapshot)
    yield Row("one job changed, until it can be served", f"{change * 1000:.1f} ms")
    yield Row("ratio to rendering it all", f"{rendering / change:,.0f} ×")
    once.store.close()


def one_change(snapshot: Snapshot) -> float:
    """Return the median time until the change of one job can be served (seconds)."""
    shown = [snapshot]
    served = Exposition(lambda: shown[-1], Totals, "bench")
    served.body(OPENMETRICS, zipped=True)
    seconds = []
    for turn in range(1, CHANGES + 1):
        (trunk,) = shown[-1].trunks
        place = turn * len(trunk.jobs) // (CHANGES + 1)
        job = replace(
            trunk.jobs[place], consecutive_failures=trunk.jobs[place].consecutive_failures + 1
        )
        jobs = (*trunk.jobs[:place], job, *trunk.jobs[place + 1 :])
        shown.append(replace(shown[-1], trunks=(replace(trunk, jobs=jobs),)))
        seconds.append(timed(served.update) + timed(lambda: served.body(OPENMETRICS, zipped=True)))
    return sorted(seconds)[CHANGES // 2]


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_case(Path(folder))
        print("| what | figure |\n|---|---|")
        for row in (*check(config), *exposition(config)):
            print(f"| {row.what} | {row.figure} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
