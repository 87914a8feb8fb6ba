"""`trunkwatch backtest`: which alerts would the policy have raised on the stored history?"""

import re
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
from trunkwatch.engine.comparison import Comparison
from trunkwatch.errors import UsageError
from trunkwatch.report.backtest import Replay, back_test_document, print_back_test
from trunkwatch.report.comparison import comparison_document, print_comparison
from trunkwatch.report.indented import indented


def _refuse_renamed(context: click.Context, flag: click.Parameter, value: str | None) -> None:
    del context
    if value is not None:
        raise click.UsageError(f"{flag.opts[0]}: this flag is now --failures-to-open")


def _numbers(
    _context: click.Context, flag: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(re.fullmatch("0*[1-9][0-9]{0,8}", part) for part in parts):
        raise click.BadParameter("must be numbers such as 1,2,3,5", param=flag)
    return tuple(sorted({int(part) for part in parts}))


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
@click.option(
    "--compare",
    metavar="N,N,...",
    callback=_numbers,
    help="Compare these numbers of failures in a row: whom each would have alerted, and how late.",
)
@click.option("--consecutive-failures", hidden=True, expose_value=False, callback=_refuse_renamed)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def backtest(
    config_file: str,
    repo: str | None,
    storage: str,
    failures_to_open: int | None,
    compare: tuple[int, ...] | None,
    form: str,
) -> None:
    """Replay the history: every outage, the teams it would have alerted, and the silent ones.

    Exit code 2 if a source or trunk could not be read, else 0.
    """
    with reported_errors():
        if failures_to_open is not None and compare is not None:
            raise UsageError("--failures-to-open and --compare exclude each other; keep one")
        chosen = choose(config_file, repo, storage)
        once = refresh(chosen.config, chosen.storage, None)
        snapshot = once.engine.snapshot
        tried = compare or ([None] if failures_to_open is None else [None, failures_to_open])
        with closing(once.store):
            replays = [Replay(number, once.engine.back_test(number)) for number in tried]
    by_number = {each.failures_to_open: each.trunks for each in replays if each.failures_to_open}
    comparison = Comparison(by_number) if compare is not None else None
    with closed_pipe_allowed():
        if form == "json":
            answer = back_test_document(replays, snapshot.as_of)
            if comparison is not None:
                answer["comparison"] = comparison_document(comparison)
            click.echo(indented(answer))
        elif comparison is not None:
            click.echo(printed(partial(print_comparison, comparison)), nl=False)
        else:
            click.echo(printed(partial(print_back_test, replays)), nl=False)
        chosen.show_cache(err=form != "table")
    exit_with(0 if snapshot.was_read else BAD_INPUT)
