"""Who is on it, as JSON and in words."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.triage import (
    AlertNote,
    GroupKey,
    JobTriage,
    QuestionNote,
    Questions,
    Reading,
    Silence,
    TicketNote,
    Triage,
)
from trunkwatch.report.words import ago, plain, short
from trunkwatch.times import format_minute, format_time, format_time_or_none

COMMENT_CHARACTERS = 80
"""Characters of a silence's comment in a line."""

K = TypeVar("K", GroupKey, JobKey, "QuestionKey")
T = TypeVar("T")


class QuestionKey(NamedTuple):
    """What identifies a question in the JSON object: its job, its kind and two commits."""

    repo: str
    branch: str
    workflow: str
    job_name: str
    kind: str
    first_bad: str
    sha: str


def triage_object(triage: Triage, trunks: Collection[Trunk], now: float) -> dict[str, Any]:
    """Return the JSON object of the tickets, alerts and questions of some trunks; null is unknown.

    Args:
        triage: who is on it.
        trunks: shown.
        now: seconds since the epoch.
    """
    return {
        "tickets": _report(triage.tickets, _ticket, trunks, now),
        "alerts": _report(triage.alerts, _alert, trunks, now),
        "questions": _report(_by_question(triage.questions), _question, trunks, now),
    }


def _report(
    reading: Reading[Mapping[K, T]] | None,
    fields_of: Callable[[T], Mapping[str, Any]],
    trunks: Collection[Trunk],
    now: float,
) -> dict[str, Any]:
    """Return the JSON object of one program's report.

    Args:
        reading: of the program; None where it is not configured.
        fields_of: returns the fields of an item beside those of its key.
        trunks: whose items are shown.
        now: seconds since the epoch.
    """
    known = reading.known(now) if reading is not None else None
    return {
        "configured": reading is not None,
        "read_at": format_time_or_none(reading.read_at) if reading else None,
        "problem": reading.problem if reading else None,
        "items": None
        if known is None
        else [
            {**key._asdict(), **fields_of(item)}
            for key, item in sorted(known.items())
            if Trunk(key.repo, key.branch) in trunks
        ],
    }


def _by_question(
    reading: Reading[Questions] | None,
) -> Reading[Mapping[QuestionKey, QuestionNote]] | None:
    """Return the questions of all jobs, each an item of its own."""
    if reading is None:
        return None
    value = reading.value
    items = {
        QuestionKey(*key, note.kind, note.first_bad, note.sha): note
        for key, notes in (value or {}).items()
        for note in notes
    }
    return Reading(None if value is None else items, reading.read_at, reading.problem)


def _question(note: QuestionNote) -> dict[str, Any]:
    return {
        "state": note.state,
        "at": format_time(note.at),
        "reason": note.reason,
        "answer": note.answer,
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


def _alert(note: AlertNote) -> dict[str, Any]:
    return {"inhibited": note.inhibited, "silences": [_silence(each) for each in note.silences]}


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


_ASKED = {
    "real": "to run first bad {sha} again",
    "which": "to test {sha}",
    "outside": "to run last good {sha} again",
}
_ANSWERS = {
    ("real", "F"): "it fails again",
    ("real", "K"): "it passes, so it is a flake",
    ("outside", "K"): "it fails now, so the cause is outside the repository",
}
_RESULTS = {"F": "it fails", "P": "it passes", "K": "it fails and passes", "S": "it is skipped"}


def question_words(note: QuestionNote) -> str:
    """Return a question and its answer in words."""
    request = _ASKED.get(note.kind, "to run {sha} again").format(sha=short(note.sha))
    reason = f": {plain(note.reason)}" if note.reason else ""
    if note.state == "proposed":
        return f"would ask CI {request}{', waits' if reason else ''}{reason}"
    if note.state == "refused":
        return f"does not ask CI {request}{reason}"
    if note.state == "expired":
        return f"asked CI {request}: no result came"
    if note.answer is None:
        return f"asked CI {request}: no result yet"
    result = _RESULTS.get(note.answer, "no result")
    return f"asked CI {request}: {_ANSWERS.get((note.kind, note.answer), result)}"


def note_words(found: JobTriage) -> str:
    """Return the marks of a job in a list, such as `#7` and `silenced`; empty for none."""
    marks = [f"#{found.ticket.name.rpartition('#')[2]}"] if found.ticket is not None else []
    return ", ".join(marks + (["silenced"] if found.silences else []))
