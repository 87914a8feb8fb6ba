"""Runs a program as a person does: it prints to a screen, and Ctrl-C ends it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually

END_SECONDS = 30
"""The timeout for the end after a Ctrl-C."""


@contextmanager
def in_session(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, so that a Ctrl-C reaches its whole process group."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a program stop its own children, which a SIGKILL would leave behind; else kill it."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Screen:
    """A program that prints to a file.

    Attributes:
        process: the program.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        """Args:
        process: the program.
        output: the file.
        """
        self.process = process
        self._output = output

    @property
    def text(self) -> str:
        """The output until now."""
        return self._output.read_text(encoding="utf-8")

    def wait_for(self, *texts: str, seconds: float = 120) -> None:
        """Wait until each text has been printed, with a timeout for each."""
        for text in texts:
            eventually(partial(self._shows, text), f"{text!r} on the screen", seconds)

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(END_SECONDS)

    def _shows(self, text: str) -> bool:
        return text in self.text


@contextmanager
def on_screen(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    cwd: Path | None = None,
) -> Iterator[Screen]:
    """Run a program that prints into a file of `folder`, where its temporary files are too."""
    output = folder / "output.txt"
    variables = {**environment, "TMPDIR": str(folder)}
    with (
        output.open("wb") as file,
        in_session(command, stdout=file, stderr=file, env=variables, cwd=cwd) as process,
    ):
        yield Screen(process, output)


@contextmanager
def open_terminal(columns: int) -> Iterator[tuple[int, int]]:
    """Yield both sides of a terminal of a width; the caller closes the second, the program's."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        yield ours, theirs
    finally:
        os.close(ours)


def environment_at(terminal: str) -> dict[str, str]:
    """Return the environment of a program at a kind of terminal."""
    environment = {**os.environ, "TERM": terminal}
    environment.pop("COLUMNS", None)  # It would be taken for the width.
    return environment


def read_terminal(ours: int, into: bytearray) -> None:
    """Read what a program shows until it closes the terminal."""
    with suppress(OSError):  # Linux reports the end of the other side as an error.
        while part := os.read(ours, 65_536):
            into += part
