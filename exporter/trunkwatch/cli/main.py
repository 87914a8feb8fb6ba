"""Every command and flag; `app` and the layers below do the work."""

import json
import logging
import os
import tempfile
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import click

from trunkwatch import __version__
from trunkwatch.app import Once, Server, WebOptions
from trunkwatch.cli.assets import assets
from trunkwatch.cli.backtest import backtest
from trunkwatch.cli.common import (
    BAD_INPUT,
    FIRING,
    closed_pipe_allowed,
    config_flag,
    exit_with,
    now_flag,
    printed,
    refresh,
    reported_errors,
    storage_flag,
    web_config_flag,
)
from trunkwatch.cli.demo import demo
from trunkwatch.cli.job_argument import find_job
from trunkwatch.cli.logs import FORMATS, LEVELS, set_up
from trunkwatch.cli.repository import choose, repo_flag
from trunkwatch.cli.tickets import tickets
from trunkwatch.config import check_routes, load_config
from trunkwatch.domain.columns import build_columns
from trunkwatch.domain.job import JobState
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, TrunkState, is_stale
from trunkwatch.errors import UsageError
from trunkwatch.process import INTERNAL_ERROR, leave
from trunkwatch.report.document import document
from trunkwatch.report.notes import all_reliable
from trunkwatch.report.text import cost, print_snapshot
from trunkwatch.report.walk import walk
from trunkwatch.sources.recorded import recorded_lines

log = logging.getLogger(__name__)

GLOBAL_FLAGS = ("--log.level", "--log.format")

OUTPUT_MODE = 0o644
"""Mode of a written file; a temporary file is readable by its owner alone."""


def run() -> NoReturn:
    """Run the command line; a TrunkwatchError is printed and ends with exit code 2."""
    try:
        code = main.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = BAD_INPUT
    except click.Abort:
        code = 130
    except Exception:
        log.critical("internal error", exc_info=True)
        code = INTERNAL_ERROR
    leave(code if isinstance(code, int) else 0)


class _Commands(click.Group):
    """The commands; every flag may stand before or after the command's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _ordered(args, self.commands))


def _ordered(arguments: Sequence[str], commands: Container[str]) -> list[str]:
    """Return arguments with the global flags before the command, and its own after it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours: list[str] = []
    rest: list[str] = []
    position = 0
    while position < end:
        argument = arguments[position]
        flag, is_set, _ = argument.partition("=")
        taken = 1 if is_set or flag not in GLOBAL_FLAGS else 2
        (ours if flag in GLOBAL_FLAGS else rest).extend(arguments[position : position + taken])
        position += taken
    if rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--version"):
        place = next((n for n, each in enumerate(rest) if each in commands), 0)
        rest.insert(0, rest.pop(place))
    return [*ours, *rest, *arguments[end:]]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trunkwatch")
@click.option("--log.level", "level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option(
    "--log.format", "form", type=click.Choice(list(FORMATS)), default="logfmt", show_default=True
)
def main(level: str, form: str) -> None:
    """Alert the right team when a CI job is broken for N commits in a row on trunk."""
    set_up(level, form)


@main.command()
@config_flag
@storage_flag
@click.option(
    "--web.listen-address",
    "listen",
    default=":10077",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /metrics and the pages are served.",
)
@web_config_flag
@click.option(
    "--web.metrics-listen-address",
    "metrics_listen",
    metavar="HOST:PORT",
    help="Where /metrics is served, and nothing else; with the pages by default.",
)
@click.option(
    "--web.metrics-config.file",
    "metrics_config",
    metavar="FILE",
    help="The web configuration of that listener.",
)
@click.option(
    "--web.webhook-listen-address",
    "webhook_listen",
    metavar="HOST:PORT",
    help="Where webhooks are taken, and nothing else; with the pages by default.",
)
@click.option(
    "--web.webhook-config.file",
    "webhook_config",
    metavar="FILE",
    help="The web configuration of that listener.",
)
def serve(
    config_file: str,
    storage: str,
    listen: str,
    web_config: str | None,
    metrics_listen: str | None,
    metrics_config: str | None,
    webhook_listen: str | None,
    webhook_config: str | None,
) -> None:
    """Poll CI servers and expose their results to Prometheus."""
    web = WebOptions(
        listen, web_config, metrics_listen, metrics_config, webhook_listen, webhook_config
    )
    with reported_errors():
        code = Server(config_file, storage, web).run()
    exit_with(code)


@main.command()
@config_flag
@repo_flag
@storage_flag
@now_flag
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("--all", "every", is_flag=True, help="List the jobs that do not fail as well.")
def check(
    config_file: str, repo: str | None, storage: str, now: str | None, form: str, *, every: bool
) -> None:
    """Print the broken jobs, once.

    Exit code 1 if any group fires, else 2 if a source or trunk failed, is stale, doubtful or has
    nothing to watch, else 0.
    """
    with reported_errors():
        chosen = choose(config_file, repo, storage)
        once = refresh(chosen.config, chosen.storage, now)
        once.store.close()
        snapshot = once.engine.snapshot
    with closed_pipe_allowed():
        if form == "json":
            answer = document(snapshot, once.compare_urls, time.time())
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            write = partial(
                print_snapshot, snapshot, once.compare_urls, now=time.time(), every=every
            )
            click.echo(printed(write), nl=False)
            if repo is not None:
                click.echo(cost(once.requests), nl=False)
        chosen.show_cache(form)
    exit_with(_exit_code(snapshot))


@main.command()
@config_flag
@repo_flag
@storage_flag
@now_flag
@click.argument("job")
def explain(config_file: str, repo: str | None, storage: str, now: str | None, job: str) -> None:
    """Print the walk over a job's commits, and why its streak is what it is.

    JOB is a job's name, or "workflow / name", or "repo branch: workflow / name", or a part of that
    which only one job has; small and capital letters are the same.
    """
    with reported_errors():
        chosen = choose(config_file, repo, storage)
        once = refresh(chosen.config, chosen.storage, now)
        with closing(once.store), closed_pipe_allowed():
            state, trunk = find_job(once.engine.snapshot, job)
            for line in _walk(once, state, trunk):
                click.echo(line)
            chosen.show_cache("table")


@main.command("check-config")
@config_flag
@click.option(
    "--alertmanager",
    metavar="FILE",
    help="Alertmanager's configuration: list the teams that none of its routes matches.",
)
def check_config(config_file: str, alertmanager: str | None) -> None:
    """Check a configuration file; every problem is named."""
    with reported_errors():
        config = load_config(config_file)
        warnings = () if alertmanager is None else check_routes(config, alertmanager)
    click.echo(
        f"{config_file}: valid; sources: {len(config.sources)}, groups: {len(config.groups)}"
    )
    for warning in warnings:
        click.echo(f"{alertmanager}: {warning}")


@main.command()
@config_flag
@storage_flag
@click.option("-o", "--output", metavar="FILE", help="Where to write; standard output by default.")
def record(config_file: str, storage: str, output: str | None) -> None:
    """Write all results as a recorded file (docs/recorded.md), from any source."""
    with reported_errors():
        once = refresh(load_config(config_file), storage, None)
        complete = once.engine.snapshot.was_read
        with closing(once.store):
            _write(output, _recorded(once), complete=complete)
    exit_with(0 if complete else BAD_INPUT)


main.add_command(assets)
main.add_command(backtest)
main.add_command(demo)
main.add_command(tickets)

# ---------------------------------------------------------------------- helpers


def _exit_code(snapshot: Snapshot) -> int:
    if any(group.firing for trunk in snapshot.trunks for group in trunk.groups):
        return FIRING
    now = time.time()
    reliable = all(source.up and not is_stale(source, now) for source in snapshot.sources)
    return 0 if reliable and all_reliable(snapshot, now) else BAD_INPUT


def _walk(once: Once, state: JobState, trunk: TrunkState) -> Iterator[str]:
    rows, policy = once.engine.rows_of(state.key), once.engine.policy
    as_of = once.engine.snapshot.as_of
    columns = build_columns(rows, trunk.order, policy.evidence, state.group.count, as_of)
    return walk(state, columns, trunk.order, CoFailures(trunk.jobs).with_job(state))


def _recorded(once: Once) -> Iterator[str]:
    reported = once.store.load().workflow_states
    for trunk in once.engine.snapshot.trunks:
        rows = once.store.observations(trunk.trunk)
        states = reported.get(trunk.trunk, {}).items()
        yield from recorded_lines(trunk.order, rows, {key: each.state for key, each in states})


def _write(output: str | None, lines: Iterator[str], *, complete: bool) -> None:
    if output is None:
        with closed_pipe_allowed():
            for line in lines:
                click.echo(line, nl=False)
    elif complete:
        _write_whole(Path(output), lines)
    else:
        # The existing file may be the only copy of results that its source no longer has.
        raise UsageError(f"--output {output}: not written, since a source could not be read")


def _write_whole(path: Path, lines: Iterator[str]) -> None:
    """Write a file atomically."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                file.writelines(lines)
                file.flush()
                os.fchmod(file.fileno(), OUTPUT_MODE)
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from None
