"""The commands at a real terminal: a name is whole at every width."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trunkwatch.domain.model import Observation

from tests.support.rows import history, named, write_recorded
from tests.support.screen import environment_at, open_terminal, read_terminal

pytestmark = pytest.mark.slow

NAME = "linux-jammy-cuda12.8-py3.10-gcc11-sm86 / test (inductor_torchbench_smoketest)"
URL = "https://github.com/acme/framework/actions/runs/23456789012/job/67890123456?pr=0"
COMMANDS = (
    ["check", "--all"],
    ["backtest"],
    ["backtest", "--compare", "1,2,3,5"],
    ["explain", "LINUX"],
)
STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def at_terminal(folder: Path, columns: int, arguments: list[str]) -> list[str]:
    """Return the lines that a command prints at a terminal of some width, without styles."""
    command, environment = [sys.executable, "-m", "trunkwatch", *arguments], environment_at("xterm")
    found = bytearray()
    with (
        open_terminal(columns) as (ours, theirs),
        subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ),
    ):
        os.close(theirs)
        read_terminal(ours, found)
    return STYLES.sub("", found.decode()).replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_name_is_never_cut(tmp_path: Path, columns: int) -> None:
    """A name or an address may be wider than the terminal; what else is in a line is not."""
    (tmp_path / "trunkwatch.yml").write_text(
        "sources: [{name: ci, type: recorded, path: ci.ndjson}]\n"
        "groups: [{name: inductor, team: broken-inductor, priority: P2}]\n"
    )
    order, *rows = history("P F F F", named(NAME))
    linked = [row.changed(url=URL) for row in rows if isinstance(row, Observation)]
    write_recorded(tmp_path / "ci.ndjson", [order, *linked], history("P P P P"))
    for arguments in COMMANDS:
        lines = at_terminal(tmp_path, columns, arguments)
        assert any(NAME in line for line in lines), (arguments, lines)
        if arguments[0] in ("backtest", "explain"):
            wide = [line for line in lines if len(line.rstrip()) > columns]
            assert [line for line in wide if NAME not in line and line.strip() != URL] == []
        if arguments[0] == "explain":
            assert [line for line in lines if line.strip() == URL] != []
