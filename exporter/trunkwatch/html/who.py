"""Who is on a job, as pages show it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trunkwatch.domain.job import JobState
from trunkwatch.engine.triage import JobTriage, TicketNote, Triage
from trunkwatch.report.triage import doubt, question_words, silence_words, ticket_words
from trunkwatch.report.words import ago, plain


class Who(NamedTuple):
    """Who is on a job, in words.

    Attributes:
        ticket: of its group; None for none, or where that is unknown.
        ticket_words: its state and assignees, or why there is none.
        silences: a line for each silence, or why there is none.
        is_ticket_known: whether tickets could be read.
        are_silences_known: whether silences could be read.
        read: when they were read.
        questions: a line for each question asked of CI, or why there is none; None where
            `trunkwatch confirm` is not configured.
    """

    ticket: TicketNote | None
    ticket_words: str
    silences: Sequence[str]
    is_ticket_known: bool
    are_silences_known: bool
    read: str
    questions: Sequence[str] | None


_NAMES = {
    "tickets": ("ticket", "Tickets"),
    "alertmanager": ("silences", "Silences"),
    "confirm": ("questions", "Questions of trunkwatch confirm"),
}
"""What each program reports, of a job and of a trunk."""


def who_is_on(job: JobState, triage: Triage, now: float) -> Who:
    """Return who is on a job.

    Args:
        job: its state.
        triage: the last readings.
        now: seconds since the epoch.
    """
    found = triage.at(now).of(job)
    no_ticket = doubt(triage.tickets, "tickets.url", now) or "none"
    no_silence = doubt(triage.alerts, "alertmanager.url", now) or _without_silence(found)
    return Who(
        found.ticket,
        no_ticket if found.ticket is None else ticket_words(found.ticket),
        [silence_words(each) for each in found.silences] or [no_silence],
        found.ticket_known,
        found.alert_known,
        ", ".join(_ages(triage, now)),
        _questions(found, triage, now) if triage.questions is not None else None,
    )


def _questions(found: JobTriage, triage: Triage, now: float) -> list[str]:
    missing = doubt(triage.questions, "confirm.url", now) or "none"
    return [question_words(each) for each in found.questions] or [missing]


def _without_silence(found: JobTriage) -> str:
    """Return why a job has no silence, where the silences could be read."""
    if not found.alert_known:
        return "not known: the name is longer than limits.max_label_bytes"
    if found.alert is None:
        return "none, no alert fires"
    return "none, another alert holds this one back" if found.alert.inhibited else "none"


def _ages(triage: Triage, now: float) -> Iterator[str]:
    """Yield when each configured program was read."""
    for peer, reading in triage.readings():
        if reading.read_at is not None:
            yield f"{_NAMES[peer][0]} as of {ago(reading.read_at, now)}"


def triage_notes(triage: Triage, now: float) -> Iterator[str]:
    """Yield a line for each configured program whose report is missing, too old or incomplete.

    Args:
        triage: the last readings.
        now: seconds since the epoch.
    """
    for peer, reading in triage.readings():
        why, name = doubt(reading, "", now), _NAMES[peer][1]
        if why is None and reading.problem and reading.read_at is not None:
            why = f"as of {ago(reading.read_at, now)}: {plain(reading.problem)}"
        if why is not None:
            yield f"{name} are {why}"
