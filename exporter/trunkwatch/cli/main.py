"""Every command and flag; `app` and the layers below do the work."""

import logging
from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import NoReturn

import click

from trunkwatch import __version__
from trunkwatch.app import Once, Server, Sharding, WebOptions, question_lines
from trunkwatch.cli.assets import assets
from trunkwatch.cli.backtest import backtest
from trunkwatch.cli.check import check
from trunkwatch.cli.check_config import check_config
from trunkwatch.cli.common import (
    BAD_INPUT,
    closed_pipe_allowed,
    config_flag,
    exit_with,
    now_flag,
    refresh,
    reported_errors,
    storage_flag,
    terminal_width,
    web_config_flag,
)
from trunkwatch.cli.confirm import confirm
from trunkwatch.cli.delivery import test_alert_command
from trunkwatch.cli.demo import demo
from trunkwatch.cli.init import init
from trunkwatch.cli.job_argument import find_job
from trunkwatch.cli.logs import FORMATS, LEVELS, set_up
from trunkwatch.cli.output import write_whole
from trunkwatch.cli.repository import choose, next_command, repo_flag
from trunkwatch.cli.tickets import tickets
from trunkwatch.cli.variables import add_variables
from trunkwatch.config import load_config
from trunkwatch.domain.columns import build_columns
from trunkwatch.domain.job import JobState
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.errors import UsageError
from trunkwatch.process import INTERNAL_ERROR, leave
from trunkwatch.quoting import without_logins
from trunkwatch.report.walk import walk
from trunkwatch.sources.recorded import recorded_lines

log = logging.getLogger(__name__)

GLOBAL_FLAGS = ("--log.level", "--log.format")


def run() -> NoReturn:
    """Run the command line; a TrunkwatchError is printed and ends with exit code 2."""
    try:
        code = main.main(standalone_mode=False)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        click.echo(without_logins(shown.getvalue()), err=True, nl=False)  # arguments are quoted
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
@click.option(
    "--web.external-url",
    "external_url",
    metavar="URL",
    help="The address of the pages as browsers reach it, for links in alerts and tickets;"
    " http://localhost with the port by default.",
)
@click.option(
    "--shard",
    metavar="K/N",
    help="Read only the repositories of the K-th of N exporters, K from 1 (docs/scale.md).",
)
@click.option(
    "--shard.peers",
    "shard_peers",
    metavar="URL",
    help="The address of each of them, with {shard} for its number: requests for a trunk of another"
    " one are redirected to it.",
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
    external_url: str | None,
    shard: str | None,
    shard_peers: str | None,
) -> None:
    """Poll CI servers and expose their results to Prometheus."""
    web = WebOptions(
        listen,
        web_config,
        metrics_listen,
        metrics_config,
        webhook_listen,
        webhook_config,
        external_url,
    )
    with reported_errors():
        sharding = Sharding.parse(shard, shard_peers)
        code = Server(config_file, storage, web, sharding).run()
    exit_with(code)


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
            state, trunk = find_job(once.engine.snapshot, job, next_command("check", "--all"))
            for line in (*_walk(once, state, trunk), *question_lines(chosen.config, state)):
                click.echo(line)
            chosen.show_cache(err=False)


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
main.add_command(check)
main.add_command(backtest)
main.add_command(check_config)
main.add_command(confirm)
main.add_command(demo)
main.add_command(init)
main.add_command(test_alert_command)
main.add_command(tickets)
add_variables(main)

# ---------------------------------------------------------------------- helpers


def _walk(once: Once, state: JobState, trunk: TrunkState) -> Iterator[str]:
    rows, policy = once.engine.rows_of(state.key), once.engine.policy
    as_of = once.engine.snapshot.as_of
    columns = build_columns(rows, trunk.order, policy.evidence, state.group.count, as_of)
    broken_with = CoFailures(trunk.jobs).with_job(state)
    return walk(state, columns, trunk.order, broken_with, terminal_width(), trunk.files)


def _recorded(once: Once) -> Iterator[str]:
    reported = once.store.load().workflow_states
    for trunk in once.engine.snapshot.trunks:
        rows = once.store.observations(trunk.trunk)
        states = reported.get(trunk.trunk, {}).items()
        of_states = {key: each.state for key, each in states}
        yield from recorded_lines(trunk.order, rows, of_states, trunk.files)


def _write(output: str | None, lines: Iterator[str], *, complete: bool) -> None:
    if output is None:
        with closed_pipe_allowed():
            for line in lines:
                click.echo(line, nl=False)
    elif complete:
        write_whole(Path(output), lines)
    else:
        # The existing file may be the only copy of results that its source no longer has.
        raise UsageError(f"--output {output}: not written, since a source could not be read")
