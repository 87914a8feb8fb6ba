"""`trunkwatch init`: a configuration for what a repository on GitHub, GitLab or Gitea has."""

import shlex
from contextlib import closing
from pathlib import Path

import click

from trunkwatch.app.proposal import proposal
from trunkwatch.cli.common import (
    DEFAULT_CONFIG,
    closed_pipe_allowed,
    refresh,
    reported_errors,
    storage_flag,
)
from trunkwatch.cli.output import refuse_existing, write_whole
from trunkwatch.cli.repository import REPO_HELP, choose_repo, source_flag
from trunkwatch.config import RepoSource
from trunkwatch.config.fields import parse_duration
from trunkwatch.errors import UsageError
from trunkwatch.report.words import commits


def _duration(_context: click.Context, flag: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=flag) from None


@click.command("init")
@click.option("--repo", metavar="OWNER/NAME", required=True, help=REPO_HELP)
@source_flag
@storage_flag
@click.option("-o", "--output", metavar="FILE", help="Where to write; standard output by default.")
@click.option("--force", is_flag=True, help="Replace the file that --output names.")
@click.option(
    "--team",
    default="trunk",
    show_default=True,
    help="The team of every group, until you name the right ones.",
)
@click.option(
    "--baseline",
    metavar="DURATION",
    callback=_duration,
    help="Exempt the jobs that are broken now for this long, such as 14d.",
)
def init(
    repo: str, storage: str, output: str | None, force: bool, team: str, baseline: float | None
) -> None:
    """Write a commented configuration for a repository on GitHub or Gitea, or a GitLab project.

    It has a group per workflow, fold rules for shards, patterns of the jobs that are allowed to
    fail, and groups of nightly runs. Results that `check --repo` has read are not read again.
    """
    with reported_errors():
        if output is not None and not force:
            refuse_existing(output)  # before reading, which may take minutes
        chosen = choose_repo(repo, storage)
        (source,) = chosen.config.sources
        assert isinstance(source, RepoSource)
        once = refresh(chosen.config, chosen.storage, None)
        with closing(once.store):
            text = proposal(once, source, team, baseline)
        status = once.engine.snapshot.sources[0]
        if not status.up and not status.unread:
            raise UsageError(f"nothing was written, since it could not be read: {status.problem}")
        if output is not None:
            write_whole(Path(output), [text], replace=force)
    with closed_pipe_allowed():
        if output is None:
            click.echo(text, nl=False)
        else:
            file = "" if output == DEFAULT_CONFIG else f" --config.file {shlex.quote(output)}"
            following = f"trunkwatch check-config --live{file}"
            click.echo(f"{output}: written. Next: {following}", err=True)
    if status.unread:
        unread = f"{commits(status.unread)} are still unread: what ran there alone is missing."
        click.echo(unread, err=True)
    chosen.show_cache(err=True)
