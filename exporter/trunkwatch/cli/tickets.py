"""`trunkwatch tickets`: its flags, and what a dry run prints."""

import sys

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.rule import Rule
from rich.text import Text

from trunkwatch.cli.common import config_flag, reported_errors
from trunkwatch.ticketing import TicketOptions, TicketServer


@click.command()
@config_flag
@click.option(
    "--storage.path",
    "storage",
    metavar="FILE",
    help="What must survive a restart; needed unless --dry-run.",
)
@click.option(
    "--web.listen-address",
    "listen",
    default=":10079",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /alerts takes Alertmanager's webhook.",
)
@click.option(
    "--alertmanager.url",
    "alertmanager",
    default="http://127.0.0.1:9093",
    show_default=True,
    metavar="URL",
    help="Where alerts are asked for.",
)
@click.option(
    "--exporter.url",
    "exporter",
    default="http://127.0.0.1:10077",
    show_default=True,
    metavar="URL",
    help="Where trunkwatch serve answers.",
)
@click.option("--token-file", metavar="FILE", help="GitHub's token; GITHUB_TOKEN when not given.")
@click.option(
    "--auth.token-file",
    "auth_token_file",
    metavar="FILE",
    help="The bearer token that deliveries have to bring; none when not given.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done and ask GitHub nothing.")
def tickets(
    config_file: str,
    storage: str | None,
    listen: str,
    alertmanager: str,
    exporter: str,
    token_file: str | None,
    auth_token_file: str | None,
    dry_run: bool,
) -> None:
    """Keep one GitHub issue per group that is broken, told of by Alertmanager."""
    with reported_errors():
        TicketServer(
            TicketOptions(
                config_file=config_file,
                storage=storage,
                listen=listen,
                alertmanager=alertmanager,
                exporter=exporter,
                token_file=token_file,
                auth_token_file=auth_token_file,
                tell=show if dry_run else None,
            )
        ).run()


def show(head: str, text: str) -> None:
    """Print what would be done: to a terminal as a page shows it, else as it would be sent."""
    if not sys.stdout.isatty():
        click.echo(f"--- {head}\n{text}\n")
        return
    console = Console()
    console.print(Rule(Text(head)))
    console.print(Markdown(text))
