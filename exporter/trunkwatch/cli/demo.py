"""`trunkwatch demo`: the recorded incident on this machine."""

import click

from trunkwatch.cli.common import exit_with


@click.command()
@click.option("--config", metavar="FILE", help="Your own configuration instead of the incident.")
@click.option("--exporter-port", default=10077, show_default=True, help="Its port on loopback.")
@click.option("--prometheus-port", default=9090, show_default=True, help="Its port on loopback.")
@click.option("--alertmanager-port", default=9093, show_default=True, help="Its port on loopback.")
@click.option("--interval", default=8.0, show_default=True, help="Seconds between commits.")
@click.option("--pace", type=float, help="Seconds until the fix, instead of a wait for Enter.")
def demo(config: str | None, **flags: float | None) -> None:
    """Play a recorded incident through Prometheus and Alertmanager, which must be on PATH."""
    # Imported here: the start of every other command would take a tenth of a second longer.
    from trunkwatch.demo.run import main

    given = {**flags, "config": config}
    arguments = [
        f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None
    ]
    exit_with(main(arguments, "trunkwatch demo"))
