"""The real engine, as a process of the interpreter that tools/fetch-engines installs it for."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.times import format_time

from tests.support.engines import find_engine

JOBS = """
CREATE TABLE ci.jobs (
    repo LowCardinality(String), branch String, sha String, workflow Nullable(String),
    job_name String, status Enum8('completed' = 1, 'queued' = 2, 'in_progress' = 3),
    conclusion LowCardinality(Nullable(String)), run_id UInt64, attempt UInt8, job_id String,
    event String, created_at DateTime64(9), started_at Nullable(DateTime('Asia/Tokyo')),
    completed_at String, url String, failed_step String, infra Bool, allow_failure UInt8,
    written DateTime64(3)
) ENGINE = ReplacingMergeTree ORDER BY (run_id, job_id)
"""
"""The table of the fake."""

SERVER = Path(__file__).with_name("server.py")


class Engine:
    """A running engine.

    Attributes:
        url: of its HTTP interface.
        pid: of its process.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def run(self, sql: str) -> str:
        """Execute a statement; return its output."""
        answer = requests.post(self.url, data=sql.encode(), timeout=600)
        assert answer.ok, answer.text
        return answer.text.strip()


@contextmanager
def running_engine(folder: Path) -> Iterator[Engine]:
    """Run an engine with its data in a folder; skip the test where there is none."""
    python = find_engine("newest", "bin/python3")
    process = subprocess.Popen(
        [str(python), str(SERVER), str(folder)], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                pytest.fail("the engine did not start")
            yield Engine(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()


def insert(engine: Engine, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows as one part, so that equal ones stay until a merge."""
    engine.run(f"INSERT INTO {table} FORMAT JSONEachRow {json.dumps(rows)[1:-1]}")


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the fake as the table `ci.jobs` has it."""
    values = {key: value for key, value in row.items() if value is not None}
    if "completed_at" in values:
        values["completed_at"] = format_time(values["completed_at"])
    return values
