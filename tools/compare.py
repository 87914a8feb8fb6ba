"""Runs an exporter against the tests' stand-in of its CI server: its cost, and its answers.

    python -m tools.compare PROGRAM [--history traps|large] [--seconds N]

PROGRAM is a key of `PROGRAMS`, on PATH or beside the interpreter. docs/comparison.md has the
results.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import requests

from tests.support.fakehttp import HOST
from tools.compare_history import TRAPS, standing_in

START = 60
"""Seconds within which a program must send its first request, from which the time counts."""

PAUSE = 10
"""Seconds without a request that end the first round."""

OWN = """printf '%s' "sources: [{{name: ci, type: {0}, {1}: '$URL', token_env: TOKEN, \
repos: [$REPO]}}]" > own.yml; exec trunkwatch serve --config.file own.yml \
--storage.path own.db --web.listen-address 127.0.0.1:$PORT"""
OWN_QUERY = """grep "^ci_job_consecutive_failures{.*job_name=\\"$JOB\\"" metrics | sed 's/.* //'"""

INGESTER = """exec env GHA_GITHUB_API_BASE=$URL GHA_GITHUB_TOKEN=$TOKEN GHA_REPOS=$REPO \
GHA_DATABASE_SCHEMA=compare_$PORT GHA_SYNC_SCHEDULES=false GHA_LISTEN_PORT=$PORT \
github-actions-ingester run"""
INGESTER_QUERY = """psql -At "$GHA_DATABASE_URL" -c "
WITH verdict AS (
  SELECT r.workflow_id AS workflow, r.head_sha, min(r.created_at) AS at,
    coalesce(bool_or(j.conclusion = 'success'), false) AS passed,
    coalesce(bool_or(j.conclusion IN ('failure', 'timed_out')), false) AS failed
  FROM compare_$PORT.workflow_jobs j JOIN compare_$PORT.workflow_runs r ON r.id = j.run_id
  WHERE j.name = '$JOB' AND r.head_branch = 'main' AND r.event = 'push' GROUP BY 1, 2)
SELECT count(*) FILTER (WHERE failed AND NOT passed AND at > coalesce(
  (SELECT max(p.at) FROM verdict p WHERE p.workflow = v.workflow AND p.passed AND NOT p.failed),
  '-infinity')) FROM verdict v GROUP BY workflow" """


class Program(NamedTuple):
    """How an exporter is run and queried.

    Attributes:
        source: the stand-in.
        command: a shell command, with the variables URL, TOKEN, REPO and PORT.
        query: a shell command that prints the failing commits in a row of each job named `$JOB`,
            from the file `metrics` in its folder, or a database; None where nothing exported
            names a job.
    """

    source: str
    command: str
    query: str | None = None


PROGRAMS = {
    "trunkwatch": Program("github", OWN.format("github", "api_url"), OWN_QUERY),
    "trunkwatch-gitlab": Program("gitlab", OWN.format("gitlab", "url"), OWN_QUERY),
    "github-actions-ingester": Program("github", INGESTER, INGESTER_QUERY),
    "gitlab-jobs-exporter": Program(
        "gitlab",
        "ACCESS_TOKEN=$TOKEN exec gitlab_jobs_exporter --url $URL --project 1 --port $PORT",
    ),
}


def measure(program: Program, history: str, seconds: int, folder: Path) -> None:
    """Run a program for some seconds; print its cost and its answers."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = str(free.getsockname()[1])
    with standing_in(program.source, history) as (found, count), (folder / "log").open("w") as log:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {**os.environ, **found, "PATH": path, "PORT": port}
        process = subprocess.Popen(
            ["/bin/sh", "-c", program.command], cwd=folder, env=own, stdout=log, stderr=log
        )
        try:
            received: list[int] = []
            for _ in range(START + seconds):
                if len(received) < seconds and process.poll() is None:
                    time.sleep(1)
                    received += [count()[0]] if count()[0] else []
            if process.returncode is not None:
                raise SystemExit(f"it ended by itself: {(folder / 'log').read_text()}")
            body = requests.get(f"http://{HOST}:{port}/metrics", timeout=60).content
            cpu, peak = _usage(process.pid)
        finally:
            process.terminate()
            process.wait()
        series = sum(not line.startswith(b"#") for line in body.splitlines())
        print("| sent | counted | first round | CPU | peak memory | series | /metrics |")
        print("|---|---|---|---|---|---|---|")
        print(f"| {count()[0]} | {count()[1]} | {_first_pause(received)} s "
              f"| {cpu:.1f} s | {peak:.0f} MiB | {series} | {len(body)} bytes |")  # fmt: skip
    (folder / "metrics").write_bytes(body)
    if history == "traps" and program.query:
        _print_answers(program.source, program.query, folder, own)


def _first_pause(received: list[int]) -> int:
    """Return the second after which no request came for `PAUSE` seconds, of counts by second."""
    later = received[PAUSE:] + received[-1:] * PAUSE
    pauses = (n for n, sent in enumerate(received) if sent and sent == later[n])
    return next(pauses, len(received)) + 1


def _usage(pid: int) -> tuple[float, float]:
    """Return the CPU of a process (seconds) and its peak memory (MiB)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024


def _print_answers(source: str, query: str, folder: Path, own: Mapping[str, str]) -> None:
    print("\n| trap | results | right | answer |\n|---|---|---|---|")
    for name, trap in TRAPS.items():
        if source not in trap.sources:
            continue
        text = subprocess.check_output(
            ["/bin/sh", "-c", query], cwd=folder, env={**own, "JOB": name}, text=True
        )
        answer = sorted(int(float(line)) for line in text.split())
        mark = "" if answer == trap.right else " (wrong)"
        print(f"| {name} | {trap.results} | {trap.right} | {answer}{mark} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--history", choices=("traps", "large"), default="traps")
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measure(PROGRAMS[chosen.program], chosen.history, chosen.seconds, Path(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
