"""Compare what the source reads from the real engine with the rows of random tables.

    python -m tests.clickhouse.compare --rows 5000 --seed 1

The results are read in bundles; they are expected from the rows one by one, by the rules of
docs/clickhouse.md. What the exporter shows follows from them alone.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.sources.clickhouse import api
from trunkwatch.sources.clickhouse.rows import ID_DIGITS, without_versions

from tests.clickhouse.engine import JOBS, Engine, insert, running_engine, stored
from tests.clickhouse.fake import config
from tests.sources.reading import Reader, sha
from tests.support.clock import Clock

NOW = 1_790_000_000
TABLE = "histories"
ROWS_OF_A_TIME = 3
"""Rows that are written in the same millisecond; none of them is a version of another."""

PAGE_ROWS = 200
"""Rows of one answer, a fraction of the usual number."""

URLS = ("", "https://ci/{run}/job/{job}", "https://ci/{job}#{run}.{job}", "https://ci/log", "{x}")
"""Addresses with the ids, without them, and one that has control characters."""


def table_row(pick: random.Random, number: int) -> dict[str, Any]:
    """Return a row, often another version of a row before it, as the fake has it."""
    run = pick.choice([1, 2, 12, 10**17])
    job = f"{pick.choice(['', 'a', '0', '4'])}{run * 10 + number % ROWS_OF_A_TIME}"
    status = pick.choice(["completed"] * 4 + ["queued", "in_progress"])
    ended = status == "completed"
    row: dict[str, Any] = {
        "repo": "o/r",
        "branch": pick.choice(["main", "it's \\ odd"]),
        "sha": pick.choice([sha(1), sha(2), sha(3).upper()] * 9 + ["v1"]),
        "workflow": pick.choice(["ci", None, "nightly"]),
        "job_name": pick.choice(["test", "build (1, 2)"] * 9 + [""]),
        "status": status,
        "conclusion": pick.choice(["success", "failure", "cancelled"]) if ended else None,
        "run_id": run,
        "attempt": pick.choice([1, 1, 2]),
        "job_id": job,
        "event": pick.choice(["push", "schedule", ""]),
        "url": pick.choice(URLS).format(run=run, job=job, x="\x01\x02"),
        "written": NOW - 1000 + number // ROWS_OF_A_TIME / 1000,
    }
    for key in ("created_at", "started_at", "completed_at"):
        row[key] = pick.choice([float(NOW - pick.randrange(10**6)), 0, None])
    row["created_at"] = row["created_at"] or 0
    if ended and row["conclusion"] == "failure":
        row |= {"failed_step": pick.choice(["", "Test"]), "infra": pick.random() < 0.2}
    return row


def expected(rows: Iterable[dict[str, Any]]) -> list[Observation]:
    """Return the results of rows, in the order in which they were written."""
    found: dict[tuple[Any, ...], dict[str, Observation]] = {}
    for values in rows:
        if values["sha"] == "v1" or not values["job_name"]:
            continue
        row = _result(values)
        identity = (row.trunk, row.sha, row.job, row.run_id, row.attempt, row.job_id)
        versions = found.setdefault(identity, {})
        versions.pop(row.conclusion or "", None)
        versions[row.conclusion or ""] = row
        if len(versions) > 1:
            versions.pop("", None)
    return [row for versions in found.values() for row in versions.values()]


def _result(row: dict[str, Any]) -> Observation:
    job_id = row["job_id"]
    is_number = job_id.isdecimal() and len(job_id) <= ID_DIGITS and job_id == str(int(job_id))
    ended = row["completed_at"] if row["status"] == "completed" else None
    return Observation(
        trunk=Trunk(row["repo"], row["branch"]),
        sha=row["sha"].lower(),
        job=RawJob(row["workflow"] or "ci", None, row["job_name"]),
        status=row["status"],
        conclusion=row["conclusion"],
        run_id=row["run_id"],
        attempt=row["attempt"],
        job_id=int(job_id) if is_number else job_id,
        event=row["event"] or "push",
        head_branch=row["branch"],
        head_repo=row["repo"],
        created_at=row["created_at"] or None,
        started_at=row["started_at"] or None,
        completed_at=ended or None,
        url=row["url"].translate({1: " ", 2: " "}) or None,
        failed_step=row.get("failed_step") or None,
        infra=row.get("infra", False),
    )


def compare(engine: Engine, rows: int, seed: int) -> int:
    """Compare a random table; return the number of results.

    Raises:
        AssertionError: one is another than expected.
    """
    pick = random.Random(seed)
    history = [table_row(pick, number) for number in range(rows)]
    engine.run(f"DROP TABLE IF EXISTS ci.{TABLE}")
    # No engine that replaces rows: each version is read.
    engine.run(JOBS.replace("ReplacingMergeTree", "MergeTree").replace("ci.jobs", f"ci.{TABLE}"))
    insert(engine, f"ci.{TABLE}", [stored(row) for row in history])
    branches = sorted({row["branch"] for row in history})
    with mock.patch.object(api, "PAGE_ROWS", PAGE_ROWS):
        reader = Reader(config(engine.url, table=TABLE, branches=branches), Clock(NOW))
        facts = reader.refresh()
        while reader.report.retry_after == 0.0:
            facts += reader.refresh()
    # A version may be in a later refresh.
    read = without_versions(fact for fact in facts if isinstance(fact, Observation))
    wanted = expected(history)
    assert sorted(map(repr, read)) == sorted(map(repr, wanted))
    return len(wanted)


def main() -> int:
    """Compare, and print the number of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable()  # Of each row that cannot be used.
    with tempfile.TemporaryDirectory() as folder, running_engine(Path(folder)) as engine:
        engine.run("CREATE DATABASE ci")
        print(f"{compare(engine, given.rows, given.seed):,} results, none different")
    return 0


if __name__ == "__main__":
    sys.exit(main())
