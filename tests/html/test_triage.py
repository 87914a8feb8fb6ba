"""Who is on it: tickets and silences on pages and in JSON, and never a guess."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.engine.triage import (
    OLD_SECONDS,
    AlertNote,
    GroupKey,
    QuestionNote,
    Reading,
    Silence,
    TicketNote,
    Tickets,
    Triage,
)
from trunkwatch.html.filters import Choice
from trunkwatch.html.pages import HtmlPages
from trunkwatch.report.schema import schema_text
from trunkwatch.report.triage import triage_object

from tests.domain.builders import NOW, TRUNK
from tests.html.reading import Page, scene, text_of
from tests.report.sample import snapshot

STATE = snapshot().trunks[0]
(JOB,) = (job for job in STATE.jobs if job.key.job_name == "a / broken")
GROUP = GroupKey(*TRUNK, "g")
URL = "https://git.example/o/r/issues/7"
TICKET = TicketNote("o/r#7", URL, "open", ("ann", "bob"), NOW - 600)
SILENCE = Silence("1f", "ann", "bisecting <it>", NOW + 3600)


def tickets(*notes: TicketNote, read_at: float | None = NOW, problem: str | None = None) -> Triage:
    """Return the report of `tickets` about the group."""
    return Triage(
        tickets=Reading(dict.fromkeys([GROUP], *notes) if notes else {}, read_at, problem)
    )


def alerts(*silences: Silence, inhibited: bool = False, key: JobKey = JOB.key) -> Triage:
    """Return the report of Alertmanager about the job."""
    return Triage(alerts=Reading({key: AlertNote(silences, inhibited)}, NOW))


SUSPECT = "a" * 40


def asked(kind: str = "which", **fields: Any) -> Triage:
    """Return the report of `confirm` about the job's outage, and about an earlier one."""
    assert JOB.blame is not None
    first_bad = JOB.blame.first_bad.sha
    note = QuestionNote(kind, first_bad, SUSPECT, "answered", NOW - 60, None, "P")
    earlier = note._replace(first_bad="e" * 40, sha="f" * 40)
    return Triage(questions=Reading({JOB.key: (earlier, note._replace(**fields))}, NOW))


def pages(triage: Triage) -> tuple[Page, Page, Page]:
    """Return the first page, the trunk's and the job's."""
    shown = replace(scene(snapshot(), []), triage=triage)
    made = HtmlPages("1")
    found = made.landing(shown), made.trunk(shown, STATE, Choice()), made.job(shown, STATE, JOB)
    first, trunk, job = map(Page, map(text_of, found))
    return first, trunk, job


@pytest.mark.parametrize(
    ("triage", "words"),
    [
        (tickets(TICKET), "Ticket o/r#7 open, assigned to ann, bob"),
        (tickets(TICKET._replace(assignees=())), "Ticket o/r#7 open, assigned to nobody"),
        (
            tickets(TICKET._replace(state="dismissed", url=None)),
            "Ticket o/r#7 closed by a person, still broken, assigned to ann, bob",
        ),
        (tickets(TICKET._replace(dry_run=True)), "Ticket o/r#7 open (dry run: not sent)"),
        (tickets(), "Ticket none Silences"),
        (alerts(SILENCE), "silenced until 2026-03-01 13:00 UTC by ann: bisecting <it>"),
        (alerts(), "none Exemption"),
        (alerts(inhibited=True), "none, another alert holds this one back"),
        (alerts(key=JOB.key._replace(job_name="x")), "none, no alert fires"),
    ],
)
def test_a_job_has_its_ticket_and_its_silences(triage: Triage, words: str) -> None:
    """The page of the job names ticket, state, assignees, and who silenced it until when."""
    assert words in pages(triage)[2].text


@pytest.mark.parametrize(
    ("triage", "words"),
    [
        (asked(), "Asked of CI asked CI to test aaaaaaaaaa: it passes Exemption"),
        (asked(answer="F"), "asked CI to test aaaaaaaaaa: it fails"),
        (asked(answer="C"), "asked CI to test aaaaaaaaaa: no result"),
        (asked(state="asked", answer=None), "asked CI to test aaaaaaaaaa: no result yet"),
        (asked(state="expired", answer=None), "asked CI to test aaaaaaaaaa: no result came"),
        (asked(state="proposed", answer=None), "would ask CI to test aaaaaaaaaa Exemption"),
        (asked(state="proposed", answer=None, reason="its run has not ended"),
         "would ask CI to test aaaaaaaaaa, waits: its run has not ended"),
        (asked(state="refused", answer=None, reason="<b> has an environment"),
         "does not ask CI to test aaaaaaaaaa: <b> has an environment"),
        (asked("real", answer="K"), "run first bad aaaaaaaaaa again: it passes, so it is a flake"),
        (asked("real", answer="F"), "run first bad aaaaaaaaaa again: it fails again"),
        (asked("outside", answer="K"), "it fails now, so the cause is outside the repository"),
        (Triage(questions=Reading({}, NOW)), "Asked of CI none"),
        (Triage(questions=Reading(problem="no answer")), "Asked of CI not known: no answer"),
    ],
)  # fmt: skip
def test_a_job_has_the_questions_about_its_outage(triage: Triage, words: str) -> None:
    """The page of the job names commit, answer, or why it waits; earlier outages are left out."""
    job = pages(triage)[2].text
    assert words in job
    assert "ffffffffff" not in job


def test_lists_of_jobs_mark_who_is_on_it() -> None:
    """First page, card and row have the ticket; the row has a mark of the silence."""
    both = replace(tickets(TICKET), alerts=alerts(SILENCE).alerts)
    first, trunk, job = pages(both)
    assert "ticket as of 0 s ago, silences as of 0 s ago" in job.text
    assert URL in first.links
    assert URL in trunk.links
    assert "o/r#7 open, assigned to ann, bob, silenced until 2026-03-01 13:00 UTC" in first.text
    assert "a / broken #7, silenced" in " ".join(trunk.text.split())


UNKNOWN: Sequence[Reading[Tickets]] = (
    Reading(problem="no answer"),
    Reading({}, NOW - OLD_SECONDS - 1, "no answer"),
    Reading({}, NOW + OLD_SECONDS + 1),  # its clock is wrong
)


@pytest.mark.parametrize("reading", UNKNOWN)
def test_what_is_not_known_is_not_nobody(reading: Reading[Tickets]) -> None:
    """A report that is missing or too old is unknown, on each page and in JSON."""
    triage = Triage(reading, Reading(problem="no answer"))
    first, trunk, job = pages(triage)
    assert "not known" in first.text
    assert "Tickets are not known" in trunk.text
    assert "Silences are not known: no answer" in trunk.text
    for page in (first, trunk, job):
        assert "nobody" not in page.text
        assert "Ticket none" not in page.text
    shown = triage_object(triage, {TRUNK}, NOW)
    assert (shown["tickets"]["items"], shown["alerts"]["items"]) == (None, None)


def test_a_failure_is_shown_while_the_last_report_counts() -> None:
    """Until the report is too old, it is shown with its age and the reason."""
    trunk = pages(tickets(TICKET, read_at=NOW - 120, problem="GitHub: HTTP 502"))[1]
    assert "Tickets are as of 2 min ago: GitHub: HTTP 502" in trunk.text
    assert "o/r#7 open" in trunk.text


def test_nothing_is_said_where_nothing_is_configured() -> None:
    """The job's page names the key; the others have no column and no note."""
    first, trunk, job = pages(Triage())
    assert "Asked of CI" not in job.text
    assert "Ticket not read: tickets.url is not configured" in job.text
    assert "not read: alertmanager.url is not configured" in job.text
    assert "Ticket" not in first.text + trunk.text


def test_a_name_that_alerts_cut_is_not_taken_for_another() -> None:
    """The alert of a job with a longer name than a label may have is unknown."""
    known = replace(alerts(SILENCE), max_label_bytes=5)
    assert "not known: the name is longer than limits.max_label_bytes" in pages(known)[2].text


def test_the_object_fits_its_schema() -> None:
    """Tickets and alerts of other trunks are left out, and each value has its published form."""
    schema = json.loads(schema_text())["properties"]["triage"]
    both = replace(
        tickets(TICKET),
        alerts=alerts(SILENCE, SILENCE._replace(ends_at=None)).alerts,
        questions=asked().questions,
    )
    for triage in (both, Triage(), *(Triage(reading) for reading in UNKNOWN)):
        shown = triage_object(triage, {TRUNK}, NOW)
        Draft202012Validator(schema).validate(shown)
    found = triage_object(both, {TRUNK}, NOW)
    assert [row["sha"] for row in found["questions"]["items"]] == [SUSPECT, "f" * 40]
    assert found["tickets"]["items"][0]["assignees"] == ["ann", "bob"]
    assert found["alerts"]["items"][0]["silences"][0]["created_by"] == "ann"
    elsewhere = triage_object(both, {TRUNK._replace(branch="x")}, NOW)
    assert (elsewhere["tickets"]["items"], elsewhere["alerts"]["items"]) == ([], [])


def test_pages_change_with_the_report() -> None:
    """A kept page is not served after who is on it has changed."""
    made = HtmlPages("1")
    shown = Snapshot(NOW, (STATE,), (), complete=True)
    texts = [
        text_of(made.trunk(replace(scene(shown), triage=triage), STATE, Choice()))
        for triage in (tickets(), tickets(TICKET), tickets())
    ]
    assert [f"{URL}" in text for text in texts] == [False, True, False]
    assert ["#7</span></th>" in text for text in texts] == [False, True, False]
