"""`trunkwatch test-alert`: a test whether the alerts of a team arrive."""

import math
import time

import click

from trunkwatch.app.delivery_test import DeliveryTest
from trunkwatch.cli.common import BAD_INPUT, alertmanager_flag, exit_with, reported_errors
from trunkwatch.config.alertmanager import SEVERITIES
from trunkwatch.errors import RequestError
from trunkwatch.report.words import duration
from trunkwatch.ticketing import check_url
from trunkwatch.times import format_minute

UNDELIVERED = 1
"""Exit code if the alert is kept back, or no route takes it."""


@click.command("test-alert")
@click.option("--team", required=True, help="The team whose alerts are tried.")
@alertmanager_flag
@click.option(
    "--priority",
    type=click.Choice(list(SEVERITIES)),
    default="P2",
    show_default=True,
    help="The priority of the alert; P0 and P1 page.",
)
@click.option("--name", help="The name in the configuration, if it has one.")
def test_alert_command(team: str, alertmanager: str, priority: str, name: str | None) -> None:
    """Send a test alert to a team through Alertmanager, and end it.

    Exit code 1 if a silence or an inhibition keeps it back, or if no route takes it; 2 if
    Alertmanager does not answer.
    """
    with reported_errors():
        check_url("--alertmanager.url", alertmanager)
        test = DeliveryTest(alertmanager, team, priority, name=name)
        is_ended = True
        try:
            accepted = test.begin()
            receivers = ", ".join(accepted.receivers)
            click.echo(f"Sent: {test.labels['alertname']}, team {team}, priority {priority}.")
            click.echo(f"Receivers: {receivers}")
            for reason in accepted.suppressed_by:
                click.echo(f"warning: kept back by {reason}")
            if not accepted.is_routed:
                click.echo("warning: no route takes it, so that the root's receiver gets it")
            if not accepted.suppressed_by:
                click.echo(f"Look for: {test.title}")
                arrives = format_minute(math.ceil((time.time() + accepted.wait) / 60) * 60)
                click.echo(f"It arrives before {arrives}; wait {duration(accepted.wait)} ...")
                time.sleep(accepted.wait)
        finally:
            if test.may_fire:
                is_ended = _end(test)
    if not is_ended:
        exit_with(BAD_INPUT)
    exit_with(UNDELIVERED if accepted.suppressed_by or not accepted.is_routed else 0)


def _end(test: DeliveryTest) -> bool:
    """End the alert; return whether Alertmanager takes that."""
    try:
        test.end()
    except RequestError as error:
        click.echo(
            f"trunkwatch: the alert could not be ended: {error}; it ends within 15 minutes",
            err=True,
        )
        return False
    click.echo("Ended: it is resolved after the group_interval, where the receiver reports that.")
    return True
