"""`trunkwatch assets`: the files of this release, for one installation."""

from collections.abc import Sequence
from pathlib import Path

import click

from trunkwatch import __version__
from trunkwatch.assets import parse_settings, render_files, write_folder
from trunkwatch.assets.content import is_scraped, scrape_job, tests_apply
from trunkwatch.cli.common import reported_errors
from trunkwatch.config import Config, load_config
from trunkwatch.domain.groups import DEFAULT_GROUP


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--config.file",
    "config_file",
    metavar="FILE",
    help="A configuration: each of its teams gets routes and receivers.",
)
@click.option(
    "--set",
    "given",
    metavar="KEY=VALUE",
    multiple=True,
    help="Write the files for this value (docs/operations.md); may be repeated.",
)
@click.option(
    "--prometheus",
    type=click.Choice(["2", "3"]),
    default="3",
    show_default=True,
    help="The major version of Prometheus.",
)
@click.option("--force", is_flag=True, help="Replace files in a folder that is not empty.")
def assets(
    folder: Path, config_file: str | None, given: Sequence[str], prometheus: str, *, force: bool
) -> None:
    """Write rules, routes, dashboards and deployment files of this version into DIR."""
    with reported_errors():
        config = None if config_file is None else load_config(config_file)
        name = None if config is None else config.name
        given = (*([f"name={name}"] if name and not _sets_name(given) else []), *given)
        settings = parse_settings(given, prometheus, () if config is None else _teams(config))
        files = render_files(settings)
        write_folder(folder, files, force=force)
    click.echo(f"{folder}: {len(files)} files of trunkwatch {__version__}")
    if not tests_apply(settings):
        click.echo(
            "rules/tests: left out, since promtool's tests are of one selector without patterns",
            err=True,
        )
    selector = settings.which.selector
    if not is_scraped(selector):
        click.echo(
            f"warning: the rules select {{{selector}}}, and the exporter is scraped as"
            f' job="{scrape_job(selector)}" without further labels: make these match in'
            " deploy/prometheus/prometheus.yml, deploy/chart/values.yaml and"
            " deploy/kubernetes/trunkwatch.yaml",
            err=True,
        )


def _sets_name(given: Sequence[str]) -> bool:
    return any(text.startswith("name=") for text in given)


def _teams(config: Config) -> Sequence[str]:
    """Return the teams of a configuration, without the one that the catch-all routes are for."""
    teams = dict.fromkeys(group.team for group in config.groups)
    return [team for team in teams if team != DEFAULT_GROUP.team]
