"""Shared by the commands: flags, errors, exit codes, one refresh of everything, and printing."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trunkwatch.app import Once, refresh_all
from trunkwatch.cli.variables import variable_of
from trunkwatch.config import Config
from trunkwatch.config.fields import parse_duration
from trunkwatch.errors import TrunkwatchError, UsageError
from trunkwatch.poller.poller import FAILED_REFRESH, POLLER
from trunkwatch.store import MEMORY
from trunkwatch.times import parse_time

FIRING, BAD_INPUT = 1, 2
"""Exit codes; 0 means that nothing fires and every source is fresh."""

PIPE_WIDTH = 10_000
"""Columns of a table in a pipe: programs cannot search for a name that is wrapped."""

PROGRESS_AFTER_SECONDS = 1.0
"""How long a refresh at a terminal takes before its progress is shown."""

DEFAULT_CONFIG = "trunkwatch.yml"
"""The configuration that is read without `--config.file`."""

Command = Callable[..., Any]


class _Error(click.ClickException):
    """A TrunkwatchError, as click shows it."""

    exit_code = BAD_INPUT

    def show(self, file: Any = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"trunkwatch: {line}", file=file or sys.stderr)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print a TrunkwatchError, one line per problem, and exit with the code of bad input."""
    try:
        yield
    except TrunkwatchError as error:
        raise _Error(str(error)) from None


def config_flag(command: Command) -> Command:
    """Add the flag `--config.file` to a command."""
    return click.option(
        "--config.file",
        "config_file",
        default=DEFAULT_CONFIG,
        show_default=True,
        metavar="FILE",
        help="The configuration (docs/configuration.md).",
    )(command)


def storage_flag(command: Command) -> Command:
    """Add the flag `--storage.path` to a command."""
    return click.option(
        "--storage.path",
        "storage",
        default=MEMORY,
        metavar="FILE",
        help="The storage file; without it, memory, or with --repo a cache.",
    )(command)


def web_config_flag(command: Command) -> Command:
    """Add the flag `--web.config.file` to a command."""
    return click.option(
        "--web.config.file",
        "web_config",
        metavar="FILE",
        help="TLS and passwords of the listeners (docs/configuration.md); default: neither.",
    )(command)


def alertmanager_flag(command: Command) -> Command:
    """Add the flag `--alertmanager.url` to a command."""
    return click.option(
        "--alertmanager.url",
        "alertmanager",
        default="http://127.0.0.1:9093",
        show_default=True,
        metavar="URL",
        help="The base URL of Alertmanager.",
    )(command)


def interval_flag(command: Command) -> Command:
    """Add the flag `--interval` to a command."""
    return click.option(
        "--interval",
        default="1m",
        show_default=True,
        metavar="DURATION",
        help="From one round to the next.",
    )(command)


def seconds_of(interval: str) -> float:
    """Return the seconds of the flag `--interval`.

    Raises:
        UsageError: it is not a duration.
    """
    try:
        return parse_duration(interval)
    except ValueError as error:
        raise UsageError(f"--interval: {error}") from None


def now_flag(command: Command) -> Command:
    """Add the flag `--now` to a command."""
    return click.option(
        "--now", metavar="TIME", help="Evaluate at this time (RFC 3339) instead of the present."
    )(command)


def exit_with(code: int) -> None:
    """End the command with an exit code."""
    click.get_current_context().exit(code)


def refuse_visible_password(flag: str, name: str, url: str) -> None:
    """Refuse an argument with a password, which every user of the machine can read.

    Raises:
        UsageError: it has one.
    """
    source = click.get_current_context().get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE and "@" in url:
        raise UsageError(
            f"{flag}: users of this machine can see a password in an argument; leave the flag"
            f" out and set the environment variable {variable_of(flag)} to the address"
        )


@contextmanager
def closed_pipe_allowed() -> Iterator[None]:
    """Let the reader of standard output close it early (`| head`); the exit code stays correct.

    Neither click nor rich may see the broken pipe: both exit with code 1, which means here that a
    group fires.
    """
    try:
        yield
    except BrokenPipeError:
        # Python flushes its buffer at exit; that must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def terminal_width() -> int | None:
    """Return the columns of standard output; None if it is no terminal."""
    return Console().width if sys.stdout.isatty() else None


def printed(write: Callable[[Console], None]) -> str:
    """Return tables: coloured for a terminal, plain and as wide as necessary for a pipe."""
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH, no_color=True)
    with console.capture() as captured:
        write(console)
    return captured.get()


def refresh(
    config: Config, storage: str, now: str | None, *, prints_failures: bool = False
) -> Once:
    """Refresh every source; failures are logged and in the snapshot.

    Args:
        config: what to read.
        storage: path of the storage.
        now: the flag `--now`.
        prints_failures: the command prints the failures of sources, so that they are not logged as
            well, unless for debugging.

    Raises:
        StoreError: the storage cannot be used.
        UsageError: `now` is not a time.
    """
    at = _moment(now)
    quiet = prints_failures and not logging.getLogger().isEnabledFor(logging.DEBUG)
    with _progress() as progress, _no_log_of(FAILED_REFRESH) if quiet else nullcontext():
        return refresh_all(config, storage, at, progress)


@contextmanager
def _no_log_of(message: str) -> Iterator[None]:
    logger = logging.getLogger(POLLER)

    def is_other(record: logging.LogRecord) -> bool:
        return record.msg != message

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _moment(now: str | None) -> float | None:
    if now is None:
        return None
    try:
        return parse_time(now)
    except ValueError:
        raise UsageError(f"--now {now!r}: must be a time such as 2025-12-09T16:02:11Z") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Yield a function that shows the progress of a long refresh at a terminal."""
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
        appear = threading.Timer(
            PROGRESS_AFTER_SECONDS, bar.update, args=(task,), kwargs={"visible": True}
        )
        appear.daemon = True
        appear.start()
        try:
            yield lambda name, count: bar.update(task, description=name, completed=count)
        finally:
            appear.cancel()
