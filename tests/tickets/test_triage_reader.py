"""The exporter's reader of tickets and of Alertmanager."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from trunkwatch.app.triage import TriageReader
from trunkwatch.config import Config, parse_config
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.triage import GroupKey, QuestionNote, TicketNote
from trunkwatch.times import format_time, parse_time

from tests.support.fakehttp import Answer, Request, as_json, serving
from tests.tickets.around import LABELS

AT = 1_772_366_400.0
KEY = JobKey(*(LABELS[name] for name in JobKey._fields))
ROW = {
    "repo": "o/r", "branch": "main", "group": "builders", "issue_repo": "o/issues", "number": 7,
    "url": "https://git.example/7", "state": "open", "assignees": ["ann"],
    "opened_at": format_time(AT - 60),
}  # fmt: skip


QUESTION = {
    **KEY._asdict(), "kind": "which", "first_bad": "b" * 40, "sha": "a" * 40, "state": "asked",
    "at": format_time(AT - 60), "reason": None, "answer": None,
}  # fmt: skip


def alert(*silences: str, inhibited: bool = False, **labels: str) -> dict[str, Any]:
    """Return an alert in Alertmanager's list."""
    status = {"silencedBy": list(silences), "inhibitedBy": ["x"] if inhibited else []}
    return {"labels": LABELS | labels, "status": status}


@dataclass
class Peers:
    """All programs at one address; an answer may be replaced.

    Attributes:
        path: of the address in the configuration.
        name: the line of the configuration with its name, if any.
    """

    path: str = ""
    name: str = ""

    tickets: Any = field(
        default_factory=lambda: {
            "as_of": format_time(AT), "problem": None, "dry_run": False, "tickets": [ROW],
        }
    )  # fmt: skip
    alerts: Any = field(default_factory=lambda: [alert("1f")])
    confirm: Any = field(
        default_factory=lambda: {
            "as_of": format_time(AT), "problem": None, "mode": "act", "questions": [QUESTION],
        }
    )  # fmt: skip
    silences: Any = field(
        default_factory=lambda: [
            {"id": "1f", "createdBy": "bob", "comment": "known", "endsAt": format_time(AT)}
        ]
    )

    def __call__(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        found = getattr(self, name)
        return found if isinstance(found, Answer) else as_json(found)


@pytest.fixture
def peers() -> Peers:
    """Return the answers."""
    return Peers()


@pytest.fixture
def reader(peers: Peers) -> Iterator[TriageReader]:
    """Return a reader of all programs."""
    with serving(peers) as server:

        def config() -> Config:
            text = (
                f"sources: [{{name: a, type: recorded, path: a}}]\n{peers.name}\n"
                f"tickets: {{url: '{server.url}{peers.path}'}}\n"
                f"alertmanager: {{url: '{server.url}{peers.path}/'}}\n"
                f"confirm: {{url: '{server.url}{peers.path}'}}\n"
            )
            return parse_config(text, "t.yml")

        yield TriageReader(config)


def test_both_are_read(reader: TriageReader) -> None:
    """Tickets have the time of their round, and alerts the silences that hold them back."""
    reader.read()
    tickets, alerts = reader.triage.tickets, reader.triage.alerts
    assert tickets is not None
    assert alerts is not None
    note = TicketNote("o/issues#7", "https://git.example/7", "open", ("ann",), AT - 60)
    assert tickets.value == {GroupKey("o/r", "main", "builders"): note}
    assert tickets.read_at == AT
    assert alerts.value is not None
    (silence,) = alerts.value[KEY].silences
    assert (silence.created_by, silence.comment, silence.ends_at) == ("bob", "known", AT)
    questions = reader.triage.questions
    assert questions is not None
    asked = QuestionNote("which", "b" * 40, "a" * 40, "asked", AT - 60, None, None)
    assert (questions.value, questions.read_at) == ({KEY: (asked,)}, AT)


def test_a_job_is_silent_when_each_of_its_alerts_is(peers: Peers, reader: TriageReader) -> None:
    """Of two alerts of one job, one that notifies is enough."""
    peers.alerts = [alert("1f"), alert(inhibited=True, trunkwatch="b")]
    reader.read()
    assert reader.triage.alerts is not None
    assert reader.triage.alerts.value is not None
    assert reader.triage.alerts.value[KEY] == ((), False)
    peers.alerts = [alert("1f"), alert("2f", trunkwatch="b")]
    reader.read()
    held = reader.triage.alerts.value[KEY].silences
    assert [(each.ident, each.created_by) for each in held] == [("1f", "bob"), ("2f", "")]


def listing(**changes: Any) -> dict[str, Any]:
    """Return the object of `tickets`."""
    return {"as_of": format_time(AT), "problem": None, "dry_run": False, "tickets": [ROW]} | changes


BROKEN = [
    Answer(503, b"later"),
    Answer(200, b"<html>"),
    [],
    {},
    listing(as_of=None),
    listing(as_of="yesterday"),
    listing(tickets=None),
    listing(tickets=[{**ROW, "number": "x"}]),
]


@pytest.mark.parametrize("answer", BROKEN)
def test_an_answer_that_cannot_be_read_leaves_the_last_one(
    answer: Any, peers: Peers, reader: TriageReader
) -> None:
    """The old report stays with its time and the reason, and the other program is read."""
    reader.read()
    before = reader.triage.tickets
    assert before is not None
    peers.tickets = answer
    reader.read()
    after = reader.triage.tickets
    assert after is not None
    assert after.problem
    assert (after.value, after.read_at) == (before.value, before.read_at)
    assert reader.triage.alerts is not None
    assert reader.triage.alerts.problem is None


@pytest.mark.parametrize(
    "changes", [{"questions": None}, {"questions": [{**QUESTION, "sha": 5}]}, {"as_of": None}]
)
def test_questions_that_cannot_be_read_are_not_known(
    changes: dict[str, Any], peers: Peers, reader: TriageReader
) -> None:
    """One question that cannot be read may be about any job."""
    peers.confirm |= changes
    reader.read()
    assert reader.triage.questions is not None
    assert reader.triage.questions.known(AT) is None
    assert reader.triage.questions.problem


@pytest.mark.parametrize(("path", "name"), [("/new", ""), ("", "name: staging")])
def test_a_report_of_another_address_is_not_kept(
    peers: Peers, reader: TriageReader, path: str, name: str
) -> None:
    """After a reload with other addresses or another name, no report of the old ones is left."""
    reader.read()
    peers.path, peers.name = path, name
    peers.tickets = peers.alerts = Answer(503, b"")
    reader.read()
    for reading in (reader.triage.tickets, reader.triage.alerts):
        assert reading is not None
        assert reading.problem
        assert (reading.value, reading.read_at) == (None, None)


@pytest.mark.parametrize(
    "answer", [Answer(500, b""), {}, [{"labels": LABELS}], [{**alert(), "labels": {"repo": 5}}], 7]
)
def test_alerts_that_cannot_be_read_are_not_known(
    answer: Any, peers: Peers, reader: TriageReader
) -> None:
    """One alert that cannot be read may be of any job."""
    if answer == {}:
        peers.alerts, peers.silences = [alert("1f")], {"error": "no list"}
    else:
        peers.alerts = answer
    reader.read()
    assert reader.triage.alerts is not None
    assert reader.triage.alerts.known(parse_time(format_time(AT))) is None
    assert reader.triage.alerts.problem
