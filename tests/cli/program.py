"""Starts the real program as its own process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.support.secrets import WATCH

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "trunkwatch")
SECONDS = 30.0
"""Longer than anything here takes on a busy machine; what takes longer hangs."""


def environment() -> dict[str, str]:
    """Return what the program needs, and nothing of the user's settings."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


def run_program(
    arguments: Sequence[str], folder: Path, *, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which must be a certain exit code."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    WATCH.look("what a program printed", done.stdout + done.stderr)
    assert done.returncode == code, done.stderr
    return done


class Served:
    """A running `trunkwatch serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self.port = int(self.wait_for_log(r"\blistening\b.*?\bports?[= ](\d+)").group(1))

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Read the log until a line matches; one that ends without it fails the test."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            WATCH.look("the log of a program", line)
            self.log.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"{pattern!r} was never logged: {''.join(self.log)}")

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        answer = requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=SECONDS)
        WATCH.look(f"the page {path} of a program", answer.content)
        return answer

    def samples(self, name: str) -> dict[str, float]:
        """Return a family's samples, by their labels as they are written."""
        pattern = rf"^{name}(\{{.*\}})? (\S+)$"
        found = re.findall(pattern, self.get("/metrics").text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def send(self, signum: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(signum)

    def end(self) -> int:
        """Ask it to end and return its exit code."""
        self.send(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=SECONDS)
        WATCH.look("the log of a program", rest)
        self.log += rest.splitlines(keepends=True)
        return self.process.returncode


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """Run `trunkwatch serve` on a free loopback port."""
    listen = "--web.listen-address=127.0.0.1:0"
    process = subprocess.Popen(
        [*PROGRAM, "serve", listen, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Served(process)
        finally:
            process.kill()
            WATCH.look_at_files(folder)
