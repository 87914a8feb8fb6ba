"""Who is on it, as JSON and in words."""

from collections.abc import Collection, Mapping
from typing import Any

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.triage import JobTriage, Reading, Silence, TicketNote, Triage
from trunkwatch.report.words import ago, plain
from trunkwatch.times import format_minute, format_time, format_time_or_none

COMMENT_CHARACTERS = 80
"""Characters of a silence's comment in a line."""


def triage_object(triage: Triage, trunks: Collection[Trunk], now: float) -> dict[str, Any]:
    """Return the JSON object of the tickets and alerts of some trunks; null is unknown.

    Args:
        triage: who is on it.
        trunks: shown.
        now: seconds since the epoch.
    """
    tickets = triage.tickets.known(now) if triage.tickets is not None else None
    alerts = triage.alerts.known(now) if triage.alerts is not None else None
    return {
        "tickets": {
            **_reading(triage.tickets),
            "items": None
            if tickets is None
            else [
                {**key._asdict(), **_ticket(note)}
                for key, note in sorted(tickets.items())
                if Trunk(key.repo, key.branch) in trunks
            ],
        },
        "alerts": {
            **_reading(triage.alerts),
            "items": None
            if alerts is None
            else [
                {
                    **key._asdict(),
                    "inhibited": note.inhibited,
                    "silences": list(map(_silence, note.silences)),
                }
                for key, note in sorted(alerts.items())
                if Trunk(key.repo, key.branch) in trunks
            ],
        },
    }


def _reading(reading: Reading[Any] | None) -> dict[str, Any]:
    return {
        "configured": reading is not None,
        "read_at": format_time_or_none(reading.read_at) if reading else None,
        "problem": reading.problem if reading else None,
    }


def _ticket(note: TicketNote) -> dict[str, Any]:
    return {
        "ticket": note.name,
        "url": note.url,
        "state": note.state,
        "assignees": list(note.assignees),
        "opened_at": format_time(note.opened_at),
        "dry_run": note.dry_run,
    }


def _silence(silence: Silence) -> Mapping[str, Any]:
    return {
        "id": silence.ident,
        "created_by": silence.created_by,
        "comment": silence.comment,
        "ends_at": format_time_or_none(silence.ends_at),
    }


# ---------------------------------------------------------------------- in words


def doubt(reading: Reading[Any] | None, key: str, now: float) -> str | None:
    """Return why a report is missing or too old; None for a usable one.

    Args:
        reading: of a program; None where it is not configured.
        key: of the configuration that names its address.
        now: seconds since the epoch.
    """
    if reading is None:
        return f"not read: {key} is not configured"
    if reading.known(now) is not None:
        return None
    read = f", last read {ago(reading.read_at, now)}" if reading.read_at is not None else ""
    return f"not known{read}: {plain(reading.problem or 'not read yet')}"


def ticket_words(ticket: TicketNote) -> str:
    """Return the state and the assignees of a ticket."""
    people = ", ".join(ticket.assignees)
    state = "closed by a person, still broken" if ticket.state == "dismissed" else ticket.state
    dry = " (dry run: not sent)" if ticket.dry_run else ""
    return f"{state}{dry}, {f'assigned to {people}' if people else 'assigned to nobody'}"


def silence_words(silence: Silence) -> str:
    """Return until when, by whom and why an alert is silenced."""
    until = "" if silence.ends_at is None else f" until {format_minute(silence.ends_at)}"
    by = f" by {silence.created_by}" if silence.created_by else ""
    comment = silence.comment[:COMMENT_CHARACTERS]
    return f"silenced{until}{by}{f': {comment}' if comment else ''}"


def note_words(found: JobTriage) -> str:
    """Return the marks of a job in a list, such as `#7` and `silenced`; empty for none."""
    marks = [f"#{found.ticket.name.rpartition('#')[2]}"] if found.ticket is not None else []
    return ", ".join(marks + (["silenced"] if found.silences else []))
