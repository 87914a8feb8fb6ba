"""The JSON object of `/api/v1/tickets`, which `trunkwatch serve` reads."""

from typing import Any

from trunkwatch.tickets.metrics import Health
from trunkwatch.tickets.model import Ticket
from trunkwatch.times import format_time, format_time_or_none


def tickets_object(health: Health, *, dry_run: bool) -> dict[str, Any]:
    """Return the tickets that are open, and those that a person closed during their outage.

    Args:
        health: the result of the last round.
        dry_run: whether they are only printed.
    """
    return {
        "as_of": format_time_or_none(health.round_at),
        "problem": health.errors.get(health.tracker),
        "dry_run": dry_run,
        "tickets": [_ticket(ticket) for ticket in health.tickets],
    }


def _ticket(ticket: Ticket) -> dict[str, Any]:
    return {
        **ticket.key._asdict(),
        "issue_repo": ticket.repo,
        "number": ticket.number,
        "url": ticket.url,
        "state": str(ticket.state),
        "assignees": list(ticket.assignees),
        "opened_at": format_time(ticket.opened_at),
    }
