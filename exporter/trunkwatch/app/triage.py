"""Reads `trunkwatch tickets`, Alertmanager and `trunkwatch confirm`, in the background."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from trunkwatch.config import Config
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.triage import (
    AlertNote,
    Alerts,
    GroupKey,
    QuestionNote,
    Questions,
    Reading,
    Silence,
    TicketNote,
    Tickets,
    Triage,
)
from trunkwatch.errors import ReadingError, TrunkwatchError
from trunkwatch.process import Background
from trunkwatch.report.triage import doubt, question_words
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import checked_text, text_or_none
from trunkwatch.tickets.alerts import jobs_path
from trunkwatch.times import parse_time
from trunkwatch.web.program import CONFIRM_PATH, TICKETS_PATH

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0
"""From one reading to the next."""

TIMEOUT_SECONDS = 5.0
"""For a connection and each part of an answer; a whole answer may take four times as long."""

SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""Raised by a parser of an answer that has another shape."""

T = TypeVar("T")


class TriageReader(Background):
    """A thread that reads the configured programs; `triage` never waits for it."""

    def __init__(self, config: Callable[[], Config]) -> None:
        """Args:
        config: returns the current configuration.
        """
        super().__init__("triage")
        self._config = config
        self._triage = Triage()
        self._source: tuple[str | None, ...] = (None, None, None, None)

    @property
    def triage(self) -> Triage:
        """The last readings."""
        return self._triage

    def read(self) -> None:
        """Read each configured program once."""
        config, before = self._config(), self._triage
        manager_url = config.alertmanager.url if config.alertmanager is not None else None
        confirm_url = config.confirm.url if config.confirm is not None else None
        source = (config.tickets.url, manager_url, config.name, confirm_url)
        if self._source != source:
            # After a reload: nothing has been read at the new addresses yet, or of the new name.
            self._source, before = source, Triage()
        http = HttpContext(max_answer_bytes=config.limits.max_answer_bytes)
        tickets = alerts = questions = None
        if config.tickets.url is not None:
            client = RestClient(config.tickets.url, http, timeout=TIMEOUT_SECONDS)
            tickets = _attempt("tickets", lambda: read_tickets(client), before.tickets)
        if manager_url is not None:
            manager = RestClient(manager_url, http, timeout=TIMEOUT_SECONDS)
            alerts = _attempt(
                "alertmanager", lambda: read_alerts(manager, config.name), before.alerts
            )
        if confirm_url is not None:
            confirm = RestClient(confirm_url, http, timeout=TIMEOUT_SECONDS)
            questions = _attempt("confirm", lambda: read_questions(confirm), before.questions)
        self._triage = Triage(tickets, alerts, config.limits.max_label_bytes, questions)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.read()
            self._stopping.wait(INTERVAL_SECONDS)


def _attempt(peer: str, read: Callable[[], Reading[T]], before: Reading[T] | None) -> Reading[T]:
    """Return what a program reports, or what it reported last and the problem."""
    try:
        return read()
    except Exception as error:
        expected = isinstance(error, TrunkwatchError)
        problem = str(error) if expected else f"internal error ({type(error).__name__})"
        fields = {"peer": peer, "error": problem}
        if before is None or before.problem != problem:
            log.warning(
                "tickets, silences or questions cannot be read",
                extra=fields,
                exc_info=None if expected else error,
            )
        return replace(before or Reading(), problem=problem)


def question_lines(config: Config, job: JobState) -> Iterator[str]:
    """Yield a line for each question about a job, if the configuration has `confirm.url`.

    Args:
        config: the configuration.
        job: the job.
    """
    if config.confirm is None or config.confirm.url is None:
        return
    client = RestClient(config.confirm.url, HttpContext(), timeout=TIMEOUT_SECONDS)
    reading = _attempt("confirm", lambda: read_questions(client), None)
    missing = doubt(reading, "confirm.url", time.time())
    if missing is not None:
        yield f"Asked of CI: {missing}"
    for note in Triage(questions=reading).at(time.time()).of(job).questions:
        words = question_words(note)
        yield f"{words[0].upper()}{words[1:]}."


def read_tickets(client: RestClient) -> Reading[Tickets]:
    """Read the tickets of `trunkwatch tickets`.

    Raises:
        TrunkwatchError: it does not answer, or one ticket cannot be read.
    """
    address = client.address(TICKETS_PATH)
    document = client.object("GET", TICKETS_PATH)
    try:
        rows = [_ticket(row, dry_run=document["dry_run"] is True) for row in document["tickets"]]
        return _reading(dict(rows), document, address)
    except SHAPE_ERRORS as error:
        raise _unreadable(address, error) from None


def _ticket(row: Mapping[str, Any], *, dry_run: bool) -> tuple[GroupKey, TicketNote]:
    url = text_or_none(row["url"])
    name = f"{checked_text(row['issue_repo'])}#{row['number']:d}"
    people = tuple(checked_text(login) for login in row["assignees"])
    opened_at = parse_time(row["opened_at"])
    note = TicketNote(name, url, checked_text(row["state"]), people, opened_at, dry_run)
    return GroupKey(*(checked_text(row[field]) for field in GroupKey._fields)), note


def read_questions(client: RestClient) -> Reading[Questions]:
    """Read the questions of `trunkwatch confirm`.

    Raises:
        TrunkwatchError: it does not answer, or one question cannot be read.
    """
    address = client.address(CONFIRM_PATH)
    document = client.object("GET", CONFIRM_PATH)
    found: dict[JobKey, tuple[QuestionNote, ...]] = {}
    try:
        for row in document["questions"]:
            key = JobKey(*(checked_text(row[field]) for field in JobKey._fields))
            found[key] = (*found.get(key, ()), _question(row))
        return _reading(found, document, address)
    except SHAPE_ERRORS as error:
        raise _unreadable(address, error) from None


def _question(row: Mapping[str, Any]) -> QuestionNote:
    names = ("kind", "first_bad", "sha", "state")
    kind, first_bad, sha, state = (checked_text(row[name]) for name in names)
    reason, answer = text_or_none(row["reason"]), text_or_none(row["answer"])
    return QuestionNote(kind, first_bad, sha, state, parse_time(row["at"]), reason, answer)


def read_alerts(client: RestClient, name: str | None = None) -> Reading[Alerts]:
    """Read the alerts of jobs and their silences from Alertmanager.

    Args:
        client: of Alertmanager.
        name: of the Trunkwatch; None for the one without.

    Raises:
        TrunkwatchError: it does not answer, or one alert cannot be read.
    """
    path = jobs_path(name)
    now = time.time()
    rows = client.get(path)
    try:
        is_silenced = any(row["status"]["silencedBy"] for row in rows)
        silences = _silences(client) if is_silenced else {}
        found: dict[JobKey, AlertNote] = {}
        for row in rows:
            key = JobKey(*(checked_text(row["labels"][field]) for field in JobKey._fields))
            note = _alert(row["status"], silences)
            found[key] = _both(found[key], note) if key in found else note
    except SHAPE_ERRORS as error:
        raise _unreadable(client.address(path), error) from None
    return Reading(found, now)


def _silences(client: RestClient) -> Mapping[str, Silence]:
    return {
        checked_text(row["id"]): Silence(
            row["id"], _words(row["createdBy"]), _words(row["comment"]), parse_time(row["endsAt"])
        )
        for row in client.get("/api/v2/silences")
    }


def _alert(status: Mapping[str, Any], silences: Mapping[str, Silence]) -> AlertNote:
    # A silence may be new since the list of silences was read.
    held = (
        silences.get(name, Silence(checked_text(name), "", "", None))
        for name in status["silencedBy"]
    )
    return AlertNote(tuple(held), bool(status["inhibitedBy"]))


def _both(one: AlertNote, other: AlertNote) -> AlertNote:
    """Return the note of a job with two alerts, of which one that notifies is enough."""
    is_silent = bool(one.silences and other.silences)
    held = tuple(dict.fromkeys((*one.silences, *other.silences))) if is_silent else ()
    return AlertNote(held, one.inhibited and other.inhibited)


def _reading(value: T, document: Mapping[str, Any], address: str) -> Reading[T]:
    """Return what a program reports, with the time and the problem of its last round."""
    if document["as_of"] is None:
        raise ReadingError(f"{address}: the first round has not ended yet")
    return Reading(value, parse_time(document["as_of"]), text_or_none(document["problem"]))


def _words(value: object) -> str:
    """Return a text that may be empty or unreadable."""
    return text_or_none(value) or ""


def _unreadable(address: str, error: Exception) -> ReadingError:
    return ReadingError(f"{address}: the answer has another shape ({type(error).__name__})")
