"""`trunkwatch check`: the broken jobs, once."""

import time
from functools import partial

import click
from click.core import ParameterSource

from trunkwatch.app import Once
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
)
from trunkwatch.cli.filters import Filters, filter_flags
from trunkwatch.cli.repository import choose, repo_flag
from trunkwatch.engine.snapshot import Snapshot, is_stale
from trunkwatch.errors import UsageError
from trunkwatch.report.document import document, job_fields
from trunkwatch.report.indented import indented
from trunkwatch.report.notes import all_reliable
from trunkwatch.report.schema import job_field_names
from trunkwatch.report.summary import summary
from trunkwatch.report.text import cost, print_snapshot


def _fields(context: click.Context, flag: click.Parameter, value: str | None) -> list[str] | None:
    del context
    if value is None:
        return None
    fields = [field.strip() for field in value.split(",")]
    unknown = [field for field in fields if field not in job_field_names()]
    if unknown:
        raise click.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(sorted(job_field_names()))}", param=flag
        )
    return fields


@click.command()
@config_flag
@repo_flag
@storage_flag
@now_flag
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table")
@click.option(
    "--json",
    "fields",
    metavar="FIELDS",
    callback=_fields,
    help="Print the listed jobs as a JSON array of objects with these fields: a,b,c.",
)
@filter_flags
@click.option("--all", "every", is_flag=True, help="List the jobs that do not fail as well.")
def check(
    config_file: str,
    repo: str | None,
    storage: str,
    now: str | None,
    form: str,
    fields: list[str] | None,
    group: tuple[str, ...],
    team: tuple[str, ...],
    workflow: tuple[str, ...],
    *,
    every: bool,
) -> None:
    """Print the broken jobs, once.

    Exit code 1 if any group fires, else 2 if a source or trunk failed, is stale, doubtful or has
    nothing to watch, else 0.
    """
    with reported_errors():
        source = click.get_current_context().get_parameter_source("form")
        if fields is not None and source is ParameterSource.COMMANDLINE:
            raise UsageError("--json and --format both choose the output; keep one")
        chosen = choose(config_file, repo, storage)
        form = form if fields is None else "json"
        # The object has the reason of a trunk that was not read, but none of a source.
        prints_failures = form != "json"
        once = refresh(chosen.config, chosen.storage, now, prints_failures=prints_failures)
        once.store.close()
        filters = Filters(group, team, workflow)
        snapshot = filters.of(once.engine.snapshot)
    with closed_pipe_allowed():
        click.echo(_shown(once, snapshot, form, fields, every=every), nl=False)
        if form == "table" and repo is not None:
            click.echo(cost(once.requests), nl=False)
        chosen.show_cache(err=form != "table")
    exit_with(_exit_code(snapshot, by_group=not workflow))


def _shown(
    once: Once, snapshot: Snapshot, form: str, fields: list[str] | None, *, every: bool
) -> str:
    urls, now = once.compare_urls, time.time()
    if form == "markdown":
        return "".join(f"{line}\n" for line in summary(snapshot, urls, now, every=every))
    if form == "table":
        return printed(partial(print_snapshot, snapshot, urls, now=now, every=every))
    answer = document(snapshot, urls, now)
    shown = answer if fields is None else list(job_fields(answer, fields, every=every))
    return indented(shown) + "\n"


def _exit_code(snapshot: Snapshot, *, by_group: bool) -> int:
    """Return the exit code; a group may fire because of jobs of a workflow that is left out."""
    groups = (group.firing for trunk in snapshot.trunks for group in trunk.groups)
    jobs = (job.alerting for trunk in snapshot.trunks for job in trunk.jobs)
    if any(groups if by_group else jobs):
        return FIRING
    now = time.time()
    reliable = all(source.up and not is_stale(source, now) for source in snapshot.sources)
    return 0 if reliable and all_reliable(snapshot, now) else BAD_INPUT
