"""What the commands share: flags, errors, exit codes, one refresh of everything, and printing."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trunkwatch.app import Once, refresh_all
from trunkwatch.config import Config
from trunkwatch.errors import TrunkwatchError, UsageError
from trunkwatch.store import MEMORY
from trunkwatch.times import parse_time

FIRING, BAD_INPUT = 1, 2
"""Exit codes; 0 is all well."""

PIPE_WIDTH = 10_000
"""Columns of a table that a program reads: a name that is cut in two cannot be searched for."""

PROGRESS_AFTER = 1.0
"""Seconds after which a person at a terminal is shown that something is going on."""

Command = Callable[..., Any]


class _Error(click.ClickException):
    """An error of ours, as click shows it."""

    exit_code = BAD_INPUT

    def show(self, file: Any = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"trunkwatch: {line}", file=file or sys.stderr)


@contextmanager
def our_errors() -> Iterator[None]:
    """Show an error of ours as one line per problem, and end with the code of bad input."""
    try:
        yield
    except TrunkwatchError as error:
        raise _Error(str(error)) from None


def config_flag(command: Command) -> Command:
    """Give a command the flag that names the configuration."""
    return click.option(
        "--config.file",
        "config_file",
        default="trunkwatch.yml",
        show_default=True,
        metavar="FILE",
        help="The configuration (docs/configuration.md).",
    )(command)


def storage_flag(command: Command) -> Command:
    """Give a command the flag that names the storage file."""
    return click.option(
        "--storage.path",
        "storage",
        default=MEMORY,
        metavar="FILE",
        help="The storage file; kept in memory when not given.",
    )(command)


def now_flag(command: Command) -> Command:
    """Give a command the flag that says at which moment to judge."""
    return click.option(
        "--now", metavar="TIME", help="Judge as of this time (RFC 3339) instead of the present."
    )(command)


def end_with(code: int) -> None:
    """End the command with an exit code, whoever called it."""
    click.get_current_context().exit(code)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Whoever reads our output may have seen enough (`| head`); the exit code is still the answer.

    Neither click nor rich may see the broken pipe: both would end with code 1, which here says
    that something is broken on trunk.
    """
    try:
        yield
    except BrokenPipeError:
        # What Python still holds back must not fail either when it is flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printed(write: Callable[[Console], None]) -> str:
    """Return tables: coloured for a terminal; plain and as wide as they need to be for a pipe."""
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH, no_color=True)
    with console.capture() as captured:
        write(console)
    return captured.get()


def refresh(config: Config, storage: str, now: str | None) -> Once:
    """Refresh every source once; what failed is logged and in the snapshot.

    Raises:
        StoreError: the storage cannot be used.
        UsageError: `now` is no time.
    """
    at = _moment(now)
    with _progress() as tell:
        return refresh_all(config, storage, at, tell)


def _moment(now: str | None) -> float | None:
    if now is None:
        return None
    try:
        return parse_time(now)
    except ValueError:
        raise UsageError(f"--now {now!r}: must be a time such as 2025-12-09T16:02:11Z") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Show what is read, once it takes longer than a moment, to a person at a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _name, _count: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("reading {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} results"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", visible=False, total=None)
        appear = threading.Timer(PROGRESS_AFTER, bar.update, args=(task,), kwargs={"visible": True})
        appear.daemon = True
        appear.start()
        try:
            yield lambda name, count: bar.update(task, description=name, completed=count)
        finally:
            appear.cancel()
