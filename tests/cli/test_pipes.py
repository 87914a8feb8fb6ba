"""Readers that close the pipe before the end."""

import shlex
import subprocess
from pathlib import Path

import pytest
from trunkwatch.domain.model import Observation

from tests.cli.program import PROGRAM, SECONDS, environment
from tests.support.rows import history, named, write_recorded

pytestmark = pytest.mark.slow

JOBS = 1500
"""Enough for each command to print more than a pipe buffers."""

CONFIG = "sources: [{name: ci, type: recorded, path: ci.ndjson}]\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two folders with many jobs: in one of them all are broken."""
    made = {}
    for letters in ("P F F", "F F F"):
        folder = tmp_path_factory.mktemp("many")
        (folder / "trunkwatch.yml").write_text(CONFIG)
        jobs = [history(letters, named(f"job {number}")) for number in range(JOBS)]
        runs = [fact for fact in jobs[0] if isinstance(fact, Observation)]
        retries = [row.changed(attempt=number) for row in runs for number in range(2, JOBS)]
        write_recorded(folder / "ci.ndjson", *jobs, retries)
        made[letters] = folder
    return made


@pytest.mark.parametrize(
    ("letters", "command", "expected"),
    [
        ("P F F", "check", 0),
        pytest.param("F F F", "check", 1, marks=pytest.mark.large),
        ("F F F", "check --format json", 1),
        ("F F F", "explain 'job 0'", 0),
        ("F F F", "record", 0),
    ],
)
def test_a_reader_that_leaves(
    folders: dict[str, Path], letters: str, command: str, expected: int
) -> None:
    """`| head` ends a command without an error and with its usual exit code."""
    with subprocess.Popen(
        [*PROGRAM, *shlex.split(command)],
        cwd=folders[letters],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        complaint = process.stderr.read()
        code = process.wait(SECONDS)
    assert complaint == b""
    assert code == expected
