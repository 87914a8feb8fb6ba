"""The real engine, as a process of the interpreter that tools/fetch-engines installs it for."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.engines import find_engine

SERVER = Path(__file__).with_name("server.py")


class Engine:
    """A running engine.

    Attributes:
        url: of its HTTP interface.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, sql: str) -> str:
        """Execute a statement; return its output."""
        answer = requests.post(self.url, data=sql.encode(), timeout=60)
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
            yield Engine(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
