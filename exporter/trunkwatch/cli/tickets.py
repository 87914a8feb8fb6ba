"""`trunkwatch tickets`: its flags, and the output of a dry run."""

import sys

import click
from click.core import ParameterSource
from rich.console import Console
from rich.markdown import Markdown
from rich.rule import Rule
from rich.text import Text

from trunkwatch.cli.common import config_flag, exit_with, reported_errors, web_config_flag
from trunkwatch.errors import UsageError
from trunkwatch.ticketing import TicketOptions, TicketServer

URL_VARIABLES = {
    "alertmanager": "TRUNKWATCH_ALERTMANAGER_URL",
    "exporter": "TRUNKWATCH_EXPORTER_URL",
}
"""Environment variables that replace the flags of addresses: these may have a password."""


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
@click.option(
    "--alertmanager.url",
    "alertmanager",
    default="http://127.0.0.1:9093",
    show_default=True,
    envvar=URL_VARIABLES["alertmanager"],
    show_envvar=True,
    metavar="URL",
    help="The base URL of Alertmanager.",
)
@click.option(
    "--exporter.url",
    "exporter",
    default="http://127.0.0.1:10077",
    show_default=True,
    envvar=URL_VARIABLES["exporter"],
    show_envvar=True,
    metavar="URL",
    help="The base URL of trunkwatch serve.",
)
@click.option(
    "--token-file", metavar="FILE", help="A file with GitHub's token; default: GITHUB_TOKEN."
)
@click.option(
    "--auth.token-file",
    "auth_token_file",
    metavar="FILE",
    help="A file with the bearer token of deliveries; required unless the address is loopback.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the requests to GitHub instead of sending them."
)
def tickets(
    config_file: str,
    storage: str | None,
    listen: str,
    web_config: str | None,
    alertmanager: str,
    exporter: str,
    token_file: str | None,
    auth_token_file: str | None,
    dry_run: bool,
) -> None:
    """Open, update and close one GitHub issue per broken group, as Alertmanager notifies."""
    with reported_errors():
        _refuse_visible_password("alertmanager", alertmanager)
        _refuse_visible_password("exporter", exporter)
        code = TicketServer(
            TicketOptions(
                config_file=config_file,
                storage=storage,
                listen=listen,
                web_config=web_config,
                alertmanager=alertmanager,
                exporter=exporter,
                token_file=token_file,
                auth_token_file=auth_token_file,
                show=show if dry_run else None,
            )
        ).run()
    exit_with(code)


def _refuse_visible_password(name: str, url: str) -> None:
    """Refuse an argument with a password, which every user of the machine can read.

    Raises:
        UsageError: it has one.
    """
    source = click.get_current_context().get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE and "@" in url:
        raise UsageError(
            f"--{name}.url: users of this machine can see a password in an argument; leave the flag"
            f" out and set the environment variable {URL_VARIABLES[name]} to the address"
        )


def show(head: str, text: str) -> None:
    """Print a request of a dry run: rendered Markdown on a terminal, else the raw text."""
    if not sys.stdout.isatty():
        click.echo(f"--- {head}\n{text}\n")
        return
    console = Console()
    console.print(Rule(Text(head)))
    console.print(Markdown(text))
