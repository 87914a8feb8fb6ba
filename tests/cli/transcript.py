"""Runs a transcript: commands, their output and exit codes, and the files that they read.

    One sentence that states what the transcript shows.

    $ trunkwatch check --config.file trunkwatch.yml
      standard output, indented by two spaces
    ! standard error
    [2]

    -- trunkwatch.yml --
    sources: ...

A command is a line for bash. No [code] is code 0. What differs from run to run is masked, see
`MASKS`. `python -m tests.cli.transcript FILE...` writes down what the commands print now.
"""

import contextlib
import io
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

from trunkwatch import __version__
from trunkwatch.cli import run

ROOT = Path(__file__).parents[2]
MASKS: tuple[tuple[str, str], ...] = (
    (r"\bts=\S+", "ts=TIME"),
    (r'"(ts|last_success|data_at)": "[^"]+"', r'"\1": "TIME"'),
    (rf"\b{re.escape(__version__)}\b", "VERSION"),
    (r" +$", ""),
)
"""Patterns and their replacements: the present, the version, a table's trailing spaces."""

_SIMPLE = re.compile(r"trunkwatch ([^|;&<>]*)(?:\| ([^;&<>]*))?")
"""A command that needs no shell but for a filter of its output."""

TIMEOUT_SECONDS = 60


class Result(NamedTuple):
    """The outcome of a command."""

    code: int
    stdout: str
    stderr: str


Runner = Callable[[str, Path], Result]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript as it stands in its file."""

    title: str
    script: str
    files: Mapping[str, str]

    @property
    def commands(self) -> list[str]:
        """The lines to run."""
        return re.findall(r"^\$ (.*)$", self.script, re.MULTILINE)

    @property
    def needs_processes(self) -> bool:
        """Whether a shell starts the program, so that `in_process` would not be faster."""
        shells = [command for command in self.commands if not _SIMPLE.fullmatch(command)]
        return any("trunkwatch" in command for command in shells)

    def replay(self, folder: Path, runner: Runner) -> str:
        """Run the commands in an empty folder; return the script with their present output."""
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        program = folder / ".bin" / "trunkwatch"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkwatch "$@"\n')
        program.chmod(0o755)
        return "\n\n".join(_shown(command, runner(command, folder)) for command in self.commands)


def read(path: Path) -> Transcript:
    """Read a transcript."""
    head, *parts = re.split(r"^-- (\S+) --\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title, _, script = head.partition("\n\n")
    files = dict(zip(parts[::2], map(_without_blank_end, parts[1::2]), strict=True))
    return Transcript(title, script.strip("\n"), files)


def _without_blank_end(text: str) -> str:
    """Drop the blank line before the next file, which is for reading."""
    return text.rstrip("\n") + "\n" if text.strip() else ""


def in_process(command: str, folder: Path) -> Result:
    """Run a command in this process where no shell is needed: twenty times as fast."""
    simple = _SIMPLE.fullmatch(command)
    if simple is None:
        return as_program(command, folder)
    arguments, filter_command = simple.groups()
    done = _call(shlex.split(arguments), folder)
    if filter_command is None:
        return done
    filtered = _bash(filter_command, folder, done.stdout)
    # As with `pipefail`: the last command that fails decides.
    return Result(filtered.code or done.code, filtered.stdout, done.stderr + filtered.stderr)


def as_program(command: str, folder: Path) -> Result:
    """Run a command in a shell, each `trunkwatch` as a process."""
    return _bash(command, folder)


def _call(arguments: list[str], folder: Path) -> Result:
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, _environment(folder), clear=True),
        # How click finds the program's name after `python -m trunkwatch`.
        mock.patch.object(sys.modules["__main__"], "__package__", "trunkwatch"),
        # It ends the process without the threads of the tests.
        mock.patch.object(sys.modules["trunkwatch.cli.main"], "leave", sys.exit),
        mock.patch.object(sys, "argv", ["__main__.py", *arguments]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        _logging_restored(),
    ):
        try:
            run()
        except SystemExit as end:
            code = int(end.code or 0)
    return Result(code, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Restore the handlers and levels of logging, which a command sets up anew."""
    loggers = [logging.getLogger(name) for name in (None, "trunkwatch", "urllib3")]
    levels = [logger.level for logger in loggers]
    loggers[1].setLevel(logging.NOTSET)  # the tests read every line of it, a program does not
    handlers, loggers[0].handlers = loggers[0].handlers, []
    try:
        yield
    finally:
        loggers[0].handlers = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _environment(folder: Path) -> dict[str, str]:
    """Return only what a command needs: no colour, no settings of the user."""
    return {
        "PATH": f"{folder / '.bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "exporter"),
        "LC_ALL": "C.UTF-8",
    }


def _bash(command: str, folder: Path, stdin: str = "") -> Result:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=_environment(folder),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _shown(command: str, done: Result) -> str:
    code = [f"[{done.code}]"] if done.code else []
    shown = [f"$ {command}", *_lines(done.stdout, "  "), *_lines(done.stderr, "! "), *code]
    return "\n".join(line.rstrip() for line in shown)


def _lines(text: str, mark: str) -> list[str]:
    for pattern, shown in MASKS:
        text = re.sub(pattern, shown, text, flags=re.MULTILINE)
    return [mark + line for line in text.removesuffix("\n").split("\n")] if text else []


def _rewrite(path: Path) -> None:
    transcript = read(path)
    with TemporaryDirectory() as folder:
        script = transcript.replay(Path(folder), as_program)
    files = "".join(f"\n-- {name} --\n{text.strip()}\n" for name, text in transcript.files.items())
    path.write_text(f"{transcript.title}\n\n{script}\n{files}", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _rewrite(Path(name))
