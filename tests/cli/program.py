"""Starts the real program as its own process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.support.secrets import DETECTOR

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "trunkwatch")
SECONDS = 30.0
"""Timeout: longer than any command takes on a busy machine."""


def environment() -> dict[str, str]:
    """Return the variables that the program needs, and no setting of the user."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "exporter"), "LC_ALL": "C.UTF-8"}


def run_program(
    arguments: Sequence[str],
    folder: Path,
    *,
    code: int = 0,
    seconds: float = SECONDS,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command without input and assert its exit code."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**environment(), **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    DETECTOR.search("what a program printed", done.stdout + done.stderr)
    assert done.returncode == code, done.stderr
    return done


class Served:
    """A running `trunkwatch serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self.port = int(self.wait_for_log(r"listening on port (\d+)").group(1))

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Read the log until a line matches, and fail the test if none does."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            DETECTOR.search("the log of a program", line)
            self.log.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"{pattern!r} was never logged: {''.join(self.log)}")

    def get(self, path: str) -> requests.Response:
        """Request a page."""
        answer = requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=SECONDS)
        DETECTOR.search(f"the page {path} of a program", answer.content)
        return answer

    def samples(self, name: str) -> dict[str, float]:
        """Return the samples of a family by their labels as exposed."""
        pattern = rf"^{name}(\{{.*\}})? (\S+)$"
        found = re.findall(pattern, self.get("/metrics").text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def send(self, signum: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(signum)

    def end(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.send(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=SECONDS)
        DETECTOR.search("the log of a program", rest)
        self.log += rest.splitlines(keepends=True)
        return self.process.returncode


@contextmanager
def acting(
    command: str, folder: Path, *arguments: str, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command that acts on trunks, `tickets` or `confirm`, on a free loopback port."""
    with subprocess.Popen(
        [*PROGRAM, command, "--web.listen-address=127.0.0.1:0", *arguments],
        cwd=folder,
        env={**environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    files: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Run `trunkwatch serve` on a free loopback port."""
    with starting(folder, *arguments, files=files, variables=variables) as process:
        yield Served(process)


@contextmanager
def starting(
    folder: Path,
    *arguments: str,
    files: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start `trunkwatch serve`, and do not wait until it listens.

    Args:
        folder: to run it in.
        arguments: further ones.
        files: that it may open (`ulimit -n`).
        variables: further ones of its environment.
    """
    limited = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files else ()
    listen = "--web.listen-address=127.0.0.1:0"
    process = subprocess.Popen(
        [*limited, *PROGRAM, "serve", listen, *arguments],
        cwd=folder,
        env={**environment(), **(variables or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
            DETECTOR.search_files(folder)
