"""A program that is killed at chosen moments and started again on its storage and port."""

import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import requests

from tests.cli.program import PROGRAM, environment

LISTEN_SECONDS = 30.0
LOOK_SECONDS = 0.02


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Killable:
    """`trunkwatch serve` or `trunkwatch tickets`.

    Attributes:
        storage: its file.
        log: its standard error, of all processes.
        kills: how often it was killed.
    """

    def __init__(self, folder: Path, command: str, *arguments: str) -> None:
        """Args:
        folder: its working directory.
        command: `serve` or `tickets`.
        arguments: more flags.
        """
        self.storage = folder / f"{command}.db"
        self.log = folder / f"{command}.log"
        self.kills = 0
        self._folder, self._port = folder, free_port()
        self._command: Sequence[str] = (
            *PROGRAM,
            command,
            f"--web.listen-address=127.0.0.1:{self._port}",
            f"--storage.path={self.storage}",
            *arguments,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL, the same for each process."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the program; it does not listen yet."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends the load, not the programs
            )

    def wait_until_ready(self, path: str = "/-/healthy") -> None:
        """Wait until a page answers with 200."""
        deadline = time.monotonic() + LISTEN_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"it has ended: {self.log.read_text()[-2000:]}"
            try:
                if requests.get(f"{self.url}{path}", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"no answer of {path} within {LISTEN_SECONDS} s")

    def reload(self) -> None:
        """Send SIGHUP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Kill the process, and wait for its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    def end(self) -> int:
        """End it with SIGTERM; return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(LISTEN_SECONDS)

    def is_corrupt(self) -> bool:
        """Return whether a copy of the storage fails SQLite's integrity check.

        A copy, since opening the file would recover its write-ahead log, which is the product's.
        """
        if not self.storage.exists():
            return False
        with tempfile.TemporaryDirectory() as name:
            for each in self.storage.parent.glob(f"{self.storage.name}*"):
                if not each.name.endswith("-shm"):
                    shutil.copy(each, name)
            with closing(sqlite3.connect(Path(name) / self.storage.name)) as connection:
                found = connection.execute("PRAGMA integrity_check").fetchall()
        return found != [("ok",)]

    def tracebacks(self) -> int:
        """Return the number of tracebacks in the log."""
        return self.log.read_text().count("Traceback")
