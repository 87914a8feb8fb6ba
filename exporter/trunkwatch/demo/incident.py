"""Writes the recorded incident, inductor-incident.ndjson: `python -m trunkwatch.demo.incident`.

It is modelled on a real incident, "Inductor jobs broken for three commits in a row on trunk" of a
large ML framework: one job of the group inductor, priority P2, team broken-inductor. Job names have
the format of the real ones; commits, authors, URLs and times are invented, as `NOTE` states.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

INCIDENT = Path(__file__).with_name("inductor-incident.ndjson")

NOTE = (
    "Modelled on the incident 'Inductor jobs broken for three commits in a row on trunk' of a large"
    " ML framework: the names of jobs have the real shape, commits and times are made up."
)

REPO, BRANCH = "pytorch/pytorch", "main"
FIRST_COMMIT = datetime(2025, 12, 9, 14, 2, 11, tzinfo=UTC)
BETWEEN_COMMITS = timedelta(minutes=17)

BUILD = "linux-jammy-cpu-py3.10-gcc11-inductor / build"
TORCHBENCH = (
    "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_torchbench, {shard}, 2, {runner})"
)
HUGGINGFACE = "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_huggingface, 1, 1, {runner})"
DEFAULT = "linux-jammy-py3.10-gcc11 / test (default, {shard}, 3, {runner})"
LINT = "lintrunner-noclang / linux-job"
UNSTABLE = "rocm-jammy-py3.10 / test (inductor, 1, 1, linux.rocm.gpu.2, unstable)"

PASS, FAIL, CANCELLED, FLAKY = "success", "failure", "cancelled", "flaky"


class IncidentCommit(NamedTuple):
    """One commit of the incident, and the outcome of its relevant jobs."""

    title: str
    torchbench: str = PASS
    huggingface: str = PASS
    default: str = PASS
    everything: str = ""


COMMITS = (
    IncidentCommit("Refactor the dispatcher's key set"),
    IncidentCommit("Update the XLA pin"),
    IncidentCommit("Add a decomposition for addmv"),
    IncidentCommit("Speed up tensor indexing", default=FLAKY),
    IncidentCommit("Document export's dynamic shapes"),
    # Cancelled by a newer push: it is untested, so it stays a suspect.
    IncidentCommit("Fuse pointwise kernels across graph breaks", everything=CANCELLED),
    IncidentCommit("Enable the new loop scheduler by default", torchbench=FAIL),
    IncidentCommit("Fix a typo in the profiler's help", torchbench=FAIL),
    IncidentCommit("Bump the minimum CMake version", torchbench=FAIL),
    IncidentCommit("Add bfloat16 support to cumsum", torchbench=FAIL, huggingface=FLAKY),
    IncidentCommit("Cache the sympy expressions of guards", torchbench=FAIL),
    IncidentCommit("Revert 'Enable the new loop scheduler by default'"),
    IncidentCommit("Clean up unused includes"),
)
"""Commits, oldest first."""

LAST_GREEN, FIRST_BAD, THIRD_BAD, FIX = 4, 6, 8, 11
"""Indexes of commits that tests and the demonstration use; commit 5 is untested."""


def lines() -> Iterator[str]:
    """Yield the incident's lines: each commit, then its CI results."""
    for number, commit in enumerate(COMMITS):
        line = _commit(number, commit)
        yield _line({**line, "note": NOTE} if number == 0 else line)
        for run in _runs(number, commit):
            yield _line(run)


def sha_of(number: int) -> str:
    """Return the invented hash of a commit of the incident; 0 is the oldest."""
    return hashlib.sha1(f"trunkwatch incident {number}".encode(), usedforsecurity=False).hexdigest()


def _commit(number: int, commit: IncidentCommit) -> dict[str, object]:
    return {
        "kind": "commit",
        "repo": REPO,
        "branch": BRANCH,
        "sha": sha_of(number),
        "committed_at": _time(_pushed(number)),
        "author": f"author-{chr(ord('a') + number)}",
        "title": commit.title,
    }


def _runs(number: int, commit: IncidentCommit) -> Iterator[dict[str, object]]:
    cpu = "linux.8xlarge.amx" if number % 2 else "amz2023.linux.8xlarge.amx"
    for workflow, place, name, outcome in (
        ("lint", 1, LINT, PASS),
        ("pull", 2, DEFAULT.format(shard=1, runner="linux.4xlarge"), commit.default),
        ("pull", 2, DEFAULT.format(shard=2, runner="linux.4xlarge"), PASS),
        ("pull", 2, DEFAULT.format(shard=3, runner="linux.4xlarge"), PASS),
        ("inductor", 3, BUILD, PASS),
        ("inductor", 3, TORCHBENCH.format(shard=1, runner=cpu), commit.torchbench),
        ("inductor", 3, TORCHBENCH.format(shard=2, runner=cpu), PASS),
        ("inductor", 3, HUGGINGFACE.format(runner=cpu), commit.huggingface),
        ("inductor-rocm", 4, UNSTABLE, FAIL),
    ):
        yield from _attempts(number, workflow, place, name, commit.everything or outcome)


def _attempts(
    number: int, workflow: str, place: int, name: str, outcome: str
) -> Iterator[dict[str, object]]:
    """Yield the attempts of a job: a flake is a failure and a passing retry."""
    run_id = 20_000_000 + 10 * number + place
    conclusions = (FAIL, PASS) if outcome == FLAKY else (outcome,)
    for attempt, conclusion in enumerate(conclusions, 1):
        started = _pushed(number) + timedelta(minutes=3 + 25 * (attempt - 1))
        job_id = _job_id(run_id, attempt, name)
        run: dict[str, object] = {
            "kind": "run",
            "repo": REPO,
            "branch": BRANCH,
            "sha": sha_of(number),
            "workflow": workflow,
            "job_name": name,
            "run_id": run_id,
            "attempt": attempt,
            "job_id": job_id,
            "run_number": 4000 + number,
            "status": "completed",
            "conclusion": conclusion,
            "created_at": _time(_pushed(number)),
            "started_at": _time(started),
            "completed_at": _time(started + timedelta(minutes=22)),
            "url": f"https://ci.example.org/{REPO}/runs/{run_id}/job/{job_id}",
        }
        yield {**run, "failed_step": "Test"} if conclusion == FAIL else run


def _job_id(run_id: int, attempt: int, name: str) -> int:
    return int(hashlib.sha256(f"{run_id} {attempt} {name}".encode()).hexdigest()[:8], 16)


def _pushed(number: int) -> datetime:
    return FIRST_COMMIT + number * BETWEEN_COMMITS


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _line(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> int:
    """Write the file beside this module."""
    INCIDENT.write_text("".join(lines()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
