"""`trunkwatch tickets`: its flags, and the output of a dry run."""

import sys
from dataclasses import replace

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.rule import Rule
from rich.text import Text

from trunkwatch.cli.common import (
    BAD_INPUT,
    alertmanager_flag,
    config_flag,
    exit_with,
    interval_flag,
    refuse_visible_password,
    reported_errors,
    seconds_of,
    web_config_flag,
)
from trunkwatch.errors import UsageError
from trunkwatch.ticketing import TicketOptions, TicketServer, print_once


class _Urls(click.types.StringParamType):
    """Addresses; in an environment variable they are separated by commas or spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of a variable; one without any address stays, and is refused."""
        return rv.replace(",", " ").split() or [rv]


@click.command()
@config_flag
@click.option(
    "--storage.path",
    "storage",
    metavar="FILE",
    help="The storage file; required unless --dry-run.",
)
@click.option(
    "--web.listen-address",
    "listen",
    default=":10079",
    show_default=True,
    metavar="HOST:PORT",
    help="The address of /alerts, for Alertmanager's webhook.",
)
@web_config_flag
@alertmanager_flag
@click.option(
    "--exporter.url",
    "exporters",
    multiple=True,
    type=_Urls(),
    default=("http://127.0.0.1:10077",),
    show_default=True,
    metavar="URL",
    help="The base URL of trunkwatch serve; may be repeated: the first that has a trunk counts.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="A file with the token of GitHub or GitLab; default: GITHUB_TOKEN or GITLAB_TOKEN.",
)
@click.option(
    "--auth.token-file",
    "auth_token_file",
    metavar="FILE",
    help="A file with the bearer token of deliveries; required unless the address is loopback.",
)
@interval_flag
@click.option("--dry-run", is_flag=True, help="Print issues and comments instead of sending them.")
@click.option(
    "--once", is_flag=True, help="With --dry-run: print what would be done now, and exit."
)
def tickets(
    config_file: str,
    storage: str | None,
    listen: str,
    web_config: str | None,
    alertmanager: str,
    exporters: tuple[str, ...],
    token_file: str | None,
    auth_token_file: str | None,
    interval: str,
    dry_run: bool,
    once: bool,
) -> None:
    """Open, update and close an issue per broken group, as Alertmanager notifies.

    The issues are those of GitHub, or of GitLab.
    """
    with reported_errors():
        seconds = seconds_of(interval)
    options = TicketOptions(
        config_file=config_file,
        storage=storage,
        listen=listen,
        web_config=web_config,
        alertmanager=alertmanager,
        exporters=exporters,
        token_file=token_file,
        auth_token_file=auth_token_file,
        show=show if dry_run else None,
        interval=seconds,
    )
    with reported_errors():
        refuse_visible_password("--alertmanager.url", "alertmanager", alertmanager)
        for url in exporters:
            refuse_visible_password("--exporter.url", "exporters", url)
        if once and not dry_run:
            raise UsageError("--once prints what would be done: add --dry-run")
        code = _print_once(options) if once else TicketServer(options).run()
    exit_with(code)


def _print_once(options: TicketOptions) -> int:
    """Print what would be done now; return the exit code."""
    shown: list[str] = []

    def print_request(head: str, text: str) -> None:
        shown.append(head)
        show(head, text)

    errors = print_once(replace(options, show=print_request))
    for peer, error in sorted(errors.items()):
        click.echo(f"trunkwatch: {peer}: {error}", err=True)
    if not shown:
        click.echo("Nothing to do." if not errors else "Nothing could be decided.")
    return BAD_INPUT if errors else 0


def show(head: str, text: str) -> None:
    """Print a request of a dry run: rendered Markdown on a terminal, else the raw text."""
    if not sys.stdout.isatty():
        click.echo(f"--- {head}\n{text}\n")
        return
    console = Console()
    console.print(Rule(Text(head)))
    console.print(Markdown(text))
