"""`trunkwatch confirm`: its flags."""

import click

from trunkwatch.cli.common import (
    config_flag,
    exit_with,
    interval_flag,
    refuse_visible_password,
    reported_errors,
    seconds_of,
    web_config_flag,
)
from trunkwatch.confirming import ConfirmOptions, ConfirmServer


@click.command()
@config_flag
@click.option(
    "--storage.path",
    "storage",
    required=True,
    metavar="FILE",
    help="The storage file; without it, a restart could ask CI twice.",
)
@click.option(
    "--web.listen-address",
    "listen",
    default=":10080",
    show_default=True,
    metavar="HOST:PORT",
    help="The address of its pages and metrics.",
)
@web_config_flag
@click.option(
    "--exporter.url",
    "exporter",
    default="http://127.0.0.1:10077",
    show_default=True,
    metavar="URL",
    help="The base URL of trunkwatch serve.",
)
@interval_flag
@click.option(
    "--token-file",
    metavar="FILE",
    help="A file with the token of the CI; default: GITHUB_TOKEN or GITLAB_TOKEN.",
)
def confirm(
    config_file: str,
    storage: str,
    listen: str,
    web_config: str | None,
    exporter: str,
    interval: str,
    token_file: str | None,
) -> None:
    """Ask CI to run failing jobs again, to find the commit that broke them.

    It needs the section `confirm` of the configuration (docs/confirm.md), and only shows what it
    would ask unless its mode is `act`.
    """
    with reported_errors():
        refuse_visible_password("--exporter.url", "exporter", exporter)
        options = ConfirmOptions(
            config_file, storage, listen, exporter, token_file, web_config, seconds_of(interval)
        )
        code = ConfirmServer(options).run()
    exit_with(code)
