"""`trunkwatch check-config`: a configuration alone, beside Alertmanager's, or beside the jobs."""

from collections.abc import Iterator
from contextlib import closing

import click

from trunkwatch.app import Once
from trunkwatch.app.running_routes import unrouted_teams
from trunkwatch.cli.common import (
    BAD_INPUT,
    closed_pipe_allowed,
    config_flag,
    exit_with,
    refresh,
    reported_errors,
    storage_flag,
)
from trunkwatch.cli.repository import choose_cached
from trunkwatch.config import Config, check_routes, load_config
from trunkwatch.report.live_check import group_lines, live_warnings, results_of
from trunkwatch.report.notes import trunk_notes

WARNED = 1
"""Exit code where something of the configuration fits nothing."""

UNFIT = frozenset({"branches", "empty", "renamed", "repositories"})
"""The limitations of a source by which its configuration does not fit what the CI has."""


@click.command("check-config")
@config_flag
@storage_flag
@click.option(
    "--alertmanager",
    metavar="FILE",
    help="Alertmanager's configuration: list the teams that none of its routes matches.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Read every source, and the Alertmanager of alertmanager.url: list the jobs of each group,"
    " what matches none, and the teams without a route.",
)
def check_config(config_file: str, storage: str, alertmanager: str | None, live: bool) -> None:
    """Check a configuration file; every problem is named.

    Exit code 2 if it is invalid or, with --live, a source could not be read; 1 if --live has a
    warning.
    """
    with reported_errors():
        config = load_config(config_file)
        routes = () if alertmanager is None else check_routes(config, alertmanager)
    click.echo(
        f"{config_file}: valid; sources: {len(config.sources)}, groups: {len(config.groups)}"
    )
    for route in routes:
        click.echo(f"{alertmanager}: {route}")
    if not live:
        return
    with reported_errors():
        chosen = choose_cached(config, storage)
        once = refresh(config, chosen.storage, None, prints_failures=True)
        with closing(once.store):
            warnings = list(_warnings(config, once))
        if alertmanager is None:
            warnings += unrouted_teams(config)
    with closed_pipe_allowed():
        for line in group_lines(config, once.engine.snapshot):
            click.echo(line)
        for warning in warnings:
            click.echo(f"warning: {warning}")
        chosen.show_cache(err=True)
    was_read = once.engine.snapshot.was_read
    exit_with(BAD_INPUT if not was_read else WARNED if warnings else 0)


def _warnings(config: Config, once: Once) -> Iterator[str]:
    snapshot, rules = once.engine.snapshot, once.engine.policy.evidence
    results = {
        trunk.trunk: results_of(trunk.order, once.store.observations(trunk.trunk), rules)
        for trunk in snapshot.trunks
    }
    for source in snapshot.sources:
        if not source.up:
            because = source.problem or f"source {source.name}: not read"
            yield f"{because}; jobs may be missing"
        for name in sorted(UNFIT & source.limitations.keys()):
            yield f"source {source.name}: {source.limitations[name]}"
    for trunk in snapshot.trunks:
        yield from (f"{trunk.trunk}: {note.strip()}" for note in trunk_notes(trunk, snapshot.as_of))
    yield from live_warnings(config, snapshot, results)
