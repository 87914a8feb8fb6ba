"""`trunkwatch backtest`: which alerts would the policy have raised on the stored history?"""

import json
from contextlib import closing
from functools import partial

import click

from trunkwatch.cli.common import (
    BAD_INPUT,
    closed_pipe_allowed,
    config_flag,
    exit_with,
    printed,
    refresh,
    reported_errors,
    storage_flag,
)
from trunkwatch.cli.repository import choose, repo_flag
from trunkwatch.report.backtest import Replay, back_test_document, print_back_test


def _refuse_renamed(context: click.Context, flag: click.Parameter, value: str | None) -> None:
    del context
    if value is not None:
        raise click.UsageError(f"{flag.opts[0]}: this flag is now --failures-to-open")


@click.command()
@config_flag
@repo_flag
@storage_flag
@click.option(
    "--failures-to-open",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compare with an outage after N failures in a row, for every job.",
)
@click.option("--consecutive-failures", hidden=True, expose_value=False, callback=_refuse_renamed)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def backtest(
    config_file: str, repo: str | None, storage: str, failures_to_open: int | None, form: str
) -> None:
    """Replay the history: every outage, the teams it would have alerted, and the silent ones.

    Exit code 2 if a source or trunk could not be read, else 0.
    """
    with reported_errors():
        chosen = choose(config_file, repo, storage)
        once = refresh(chosen.config, chosen.storage, None)
        snapshot = once.engine.snapshot
        tried = [None] if failures_to_open is None else [None, failures_to_open]
        with closing(once.store):
            replays = [Replay(number, once.engine.back_test(number)) for number in tried]
    with closed_pipe_allowed():
        if form == "json":
            answer = back_test_document(replays, snapshot.as_of)
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            click.echo(printed(partial(print_back_test, replays)), nl=False)
        chosen.show_cache(form)
    exit_with(0 if snapshot.was_read else BAD_INPUT)
