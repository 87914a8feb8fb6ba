"""Builders of histories: `history("P F F . F")`.

One letter stands for one commit, oldest first, separated by spaces:

    P passed   F failed   K flaky: failed, then passed   S skipped   C cancelled
    ? running  . no row
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trunkwatch.domain.model import Commit, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact
from trunkwatch.times import format_time

TRUNK = Trunk("o/r", "main")
JOB = RawJob("ci", None, "build")
NOW = 1_772_366_400.0
"""2026-03-01T12:00:00Z, in seconds since the epoch; histories end an hour before it."""
HOUR = 3600.0

ATTEMPTS: Mapping[str, tuple[str, ...]] = {
    "P": ("success",),
    "F": ("failure",),
    "K": ("failure", "success"),
    "S": ("skipped",),
    "C": ("cancelled",),
    "?": ("in_progress",),
    ".": (),
}
"""The conclusions of each letter's attempts."""


def sha(place: int) -> str:
    """Return the hash of the commit at an index; 0 is the oldest."""
    return f"{place + 1:040x}"


def commit(place: int, count: int) -> Commit:
    """Return a commit of a trunk with `count` commits, one per hour."""
    return Commit(sha(place), NOW - (count - place) * HOUR, f"author-{place}", f"change {place}")


def order(count: int, trunk: Trunk = TRUNK, *, older_unread: bool = False) -> TrunkOrder:
    """Return a trunk with `count` commits."""
    return TrunkOrder(trunk, tuple(commit(place, count) for place in range(count)), older_unread)


def run(place: int, conclusion: str | None = "success", **changes: Any) -> Observation:
    """Return the completed result of one job at one commit; every commit has its own run id."""
    number = 100 + place
    row = Observation(
        TRUNK,
        sha(place),
        JOB,
        "completed",
        conclusion,
        run_id=number,
        run_number=number,
        head_branch=TRUNK.branch,
        head_repo=TRUNK.repo,
        url=f"https://ci.example/{number}",
    )
    return row.changed(**changes)


def pending(place: int, status: str = "in_progress", **changes: Any) -> Observation:
    """Return a job that has no result yet."""
    return run(place, None, status=status, **changes)


def history(letters: str, job: RawJob = JOB, trunk: Trunk = TRUNK) -> list[Fact]:
    """Return the trunk's order and the results of one job on it."""
    commits = letters.split()
    facts: list[Fact] = [order(len(commits), trunk)]
    for place, letter in enumerate(commits):
        began = NOW - (len(commits) - place) * HOUR + 60
        for attempt, word in enumerate(ATTEMPTS[letter], 1):
            row = run(
                place,
                word,
                trunk=trunk,
                job=job,
                attempt=attempt,
                head_branch=trunk.branch,
                head_repo=trunk.repo,
                started_at=began + 600 * attempt,
                completed_at=began + 600 * attempt + 300,
            )
            if word in ("in_progress", "queued"):
                row = row.changed(status=word, conclusion=None, created_at=began, completed_at=None)
            facts.append(row)
    return facts


def named(name: str, workflow: str = "ci") -> RawJob:
    """Return a job with a name."""
    return RawJob(workflow, None, name)


# ---------------------------------------------------------------------- recorded files


def ndjson(facts: Iterable[Fact]) -> str:
    """Return facts as the lines of a recorded file."""
    return "".join(
        json.dumps({key: value for key, value in line.items() if value is not None}) + "\n"
        for fact in facts
        for line in _lines(fact)
    )


def write_recorded(path: Path, *histories: Iterable[Fact]) -> Path:
    """Write a recorded file atomically: the first history with its commits, then further jobs."""
    first, *others = histories
    runs = [fact for facts in others for fact in facts if isinstance(fact, Observation)]
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(ndjson([*first, *runs]), encoding="utf-8")
    return fresh.replace(path)


def _lines(fact: Fact) -> Iterator[dict[str, object]]:
    if isinstance(fact, TrunkOrder):
        for member in fact.commits:
            yield {
                "kind": "commit",
                **fact.trunk._asdict(),
                "sha": member.sha,
                "committed_at": _time(member.committed_at),
                "author": member.author,
                "title": member.title,
            }
    elif isinstance(fact, Observation):
        yield _run_line(fact)
    else:
        raise TypeError(f"a recorded file has no {type(fact).__name__}")


def _run_line(row: Observation) -> dict[str, object]:
    return {
        "kind": "run",
        **row.trunk._asdict(),
        "sha": row.sha,
        "workflow": row.job.workflow_name,
        "workflow_path": row.job.workflow_path,
        "job_name": row.job.job_name,
        "run_id": row.run_id,
        "attempt": row.attempt,
        "job_id": row.job_id,
        "run_number": row.run_number,
        "status": row.status,
        "conclusion": row.conclusion,
        "created_at": _time(row.created_at),
        "started_at": _time(row.started_at),
        "completed_at": _time(row.completed_at),
        "url": row.url,
        "failed_step": row.failed_step,
        "annotations": list(row.annotations) or None,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_time(seconds)
