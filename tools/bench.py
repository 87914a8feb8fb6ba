"""`make bench`: check on 10,000 jobs and 60 commits, printed as a table.

Times depend on the machine and its load; compare ratios, and only within one run.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

JOBS, COMMITS = 10_000, 60
PER_WORKFLOW = 500
FIRING = 1
"""Exit code of `check` for a history that ends with broken jobs."""

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


def cpu_of_children() -> float:
    """Return the CPU time of the programs that have ended (seconds)."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check(config: Path) -> Iterator[Row]:
    """Run `trunkwatch check` as a program."""
    command = [sys.executable, "-m", "trunkwatch", "check", "--config.file", str(config)]

    def run() -> None:
        done = subprocess.run(
            [*command, "--format", "json"], stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != FIRING:
            raise SystemExit(f"check exited with {done.returncode}, not {FIRING} for broken jobs")

    begun = cpu_of_children()
    run()
    seconds = cpu_of_children() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEBI
    rows = JOBS * COMMITS
    yield Row(
        f"check, {JOBS:,} jobs × {COMMITS} commits", f"{seconds:.1f} s of CPU, {peak:.0f} MiB"
    )
    yield Row("the same, per second", f"{rows / seconds:,.0f} results")


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_case(Path(folder))
        print("| what | figure |\n|---|---|")
        for row in check(config):
            print(f"| {row.what} | {row.figure} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
