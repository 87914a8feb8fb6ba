"""What confirm does not do, or not now: doubt, concurrency, and people who were faster."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from trunkwatch.confirm.model import State

from tests.confirm.builders import (
    CI,
    HOUR,
    NAME,
    SHARED,
    accepted,
    breaks_at,
    history,
    reasons,
    suspects,
)
from tests.confirm.stage import MINUTE, REPO, Stage, stage
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.workflows import Job, superseded


@pytest.fixture
def made(fake: FakeGitHub) -> Iterator[Stage]:
    """Return the stage."""
    with stage(fake) as made:
        yield made
        assert made.server.unexpected == []


# ---------------------------------------------------------------------- never


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"never": (".*",)}, None),
        ({"groups": ("other",)}, None),
        ({"questions": ("outside",)}, None),
        ({"events": ("pull_request",)}, None),
        ({}, "jobs: {test: {environment: prod}}"),
        ({}, "jobs: {test: {uses: 'o/b/.github/workflows/c.yml@v1'}}"),
    ],
)
def test_nothing_is_asked_that_is_not_allowed(
    fake: FakeGitHub, section: dict[str, Any], text: str | None
) -> None:
    """By the configuration, or by the workflow file: GitHub receives no request that changes."""
    history(fake.repos[REPO], "PCFFF")
    if text is not None:
        fake.repos[REPO].workflow_texts[CI.path] = text
    with stage(fake, **section) as made:
        made.exporter.refresh_until_idle()
        made.advance(30)
        assert accepted(made) == 0
        assert all(asked.state is State.REFUSED for asked in made.questions())
        assert not [
            entry for entry in made.server.log if entry.method != "GET" and "rerun" in entry.path
        ]


def test_a_refusal_ends_with_a_restart(fake: FakeGitHub) -> None:
    """With another configuration the question may be asked."""
    history(fake.repos[REPO], "PCFFF")
    fake.repos[REPO].workflow_texts[CI.path] = "jobs: {test: {environment: prod}}"
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.advance(20)
        assert [asked.state for asked in made.questions()] == [State.REFUSED]
        fake.repos[REPO].workflow_texts[CI.path] = "jobs: {test: {}}"
        made.advance(20)
        assert accepted(made) == 0
        made.restart()
        made.advance(5)
        assert accepted(made) == 1


def test_the_next_suspect_follows_a_refused_one(fake: FakeGitHub) -> None:
    """One that was skipped by its own condition would be skipped again."""
    history(fake.repos[REPO], "PCSFFF")
    breaks_at(fake.repos[REPO], 1)
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.advance(60)
        assert reasons(made) == ["the job was skipped by its own condition"]
        assert suspects(made) == ["change 1"]


def test_nothing_is_asked_without_the_right(made: Stage) -> None:
    """The question waits, and is asked once the token may."""
    history(made.fake.repos[REPO], "PCFFF")
    rights = made.fake.rights
    made.fake.rights = rights.without("actions").with_write()
    made.fake.repos[REPO].private = False
    made.exporter.refresh_until_idle()
    made.advance(15)
    assert accepted(made) == 0
    assert "may the token run it again" in reasons(made)[0]
    made.fake.rights = rights
    made.advance(15)
    assert accepted(made) == 1


# ---------------------------------------------------------------------- doubt


def stale(document: dict[str, Any]) -> None:
    document["trunks"][0]["data"] = "stale"


def doubtful(document: dict[str, Any]) -> None:
    document["trunks"][0]["data"] = "doubtful"


def mass_broken(document: dict[str, Any]) -> None:
    document["trunks"][0]["mass_breakage"] = True


def unread(document: dict[str, Any]) -> None:
    document["sources"][0]["up"] = False


def of_an_old_version(document: dict[str, Any]) -> None:
    del document["trunks"]


@pytest.mark.parametrize("change", [stale, doubtful, mass_broken, unread, of_an_old_version])
def test_a_trunk_in_doubt_is_not_asked_about(
    made: Stage, change: Callable[[dict[str, Any]], None]
) -> None:
    """The reason is listed, and the question follows once the doubt has ended."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    made.change_documents(change)
    made.advance(20)
    assert accepted(made) == 0
    (held,) = made.listed()["held"]
    assert held["reason"]
    made.change_documents(None)
    made.advance(5)
    assert accepted(made) == 1


def known_broken(document: dict[str, Any]) -> None:
    document["jobs"][0]["known_broken"] = {"reason": "being repaired"}


def removed(document: dict[str, Any]) -> None:
    document["jobs"] = []


@pytest.mark.parametrize(
    "change", [stale, doubtful, mass_broken, unread, of_an_old_version, known_broken, removed]
)
def test_a_change_just_before_the_request_prevents_it(
    made: Stage, change: Callable[[dict[str, Any]], None]
) -> None:
    """What the exporter reports while CI is asked about the run counts, until it has ended."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    made.before("GET .*/actions/runs/[0-9]+", lambda: made.change_documents(change))
    made.confirmer.round()
    assert (accepted(made), reasons(made)) == (0, ["its job or its trunk has changed just now"])
    made.confirmer.round()
    assert (accepted(made), made.questions()) == (0, [])
    made.change_documents(None)
    made.confirmer.round()
    assert accepted(made) == 1


@pytest.mark.parametrize("status", [404, 503])
def test_nothing_is_sent_without_the_exporter(made: Stage, status: int) -> None:
    """It goes away, or loses the trunk, while CI is asked about the run."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()

    def fails() -> None:
        made.exporter_answer = HttpResponse(status, b"{}")

    made.before("GET .*/actions/runs/[0-9]+", fails)
    made.confirmer.round()
    assert accepted(made) == 0
    assert bool(made.metrics.problems()) == (status == 503)
    made.exporter_answer = None
    made.confirmer.round()
    assert accepted(made) == 1


def test_the_result_of_a_job_that_is_known_to_be_broken_now_is_taken_up(made: Stage) -> None:
    """Its question is answered, and no other suspect is asked about."""
    history(made.fake.repos[REPO], "PCCCFFF")
    breaks_at(made.fake.repos[REPO], 1)
    made.exporter.refresh_until_idle()
    made.confirmer.round()
    made.change_documents(known_broken)
    made.advance(30)
    assert [asked.state for asked in made.questions()] == [State.ANSWERED]
    assert accepted(made) == 1


@pytest.mark.parametrize("section", [{"never": ("ci / test",)}, {"groups": ("other",)}])
def test_a_lost_request_is_not_repeated_once_it_is_forbidden(
    made: Stage, section: dict[str, Any]
) -> None:
    """After a restart with another configuration, a request that was not received is given up."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    made.instead = lambda request: HttpResponse(500, b"{}") if request.method == "POST" else None
    made.confirmer.round()
    assert [asked.state for asked in made.questions()] == [State.SENDING]
    made.instead = lambda _: None
    made.reconfigure(**section)
    made.advance(30)
    assert (accepted(made), made.questions()) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("section", [{"never": (".*",)}, {"events": ("pull_request",)}])
def test_a_run_that_is_forbidden_after_the_request_is_waited_for(
    fake: FakeGitHub, section: dict[str, Any]
) -> None:
    """A job that was skipped is not taken to be left out while the run that has it goes on."""
    repo = fake.repos[REPO]

    def jobs(letter: str) -> list[Job]:
        if letter == "S":
            return [superseded("build"), Job(NAME, 400, 400, "skipped", needs=("build",))]
        return [Job("build"), Job(NAME, 310, 600, "success" if letter == "P" else "failure")]

    history(repo, "PSFFF", jobs=jobs)
    repo.workflow_texts[CI.path] = "jobs: {build: {}, test: {needs: [build]}}"
    repo.outcome = lambda _run, job: Job(job.name, 0, HOUR)
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.confirmer.round()
        (asked,) = made.questions()
        assert asked.target is not None
        assert asked.target.is_skipped
        made.reconfigure(**section)
        made.advance(40, step=10)
        assert [asked.state for asked in made.questions()] == [State.ASKED]
        made.advance(120, step=40)
        assert [asked.answer for asked in made.questions()] == ["P"]


# ---------------------------------------------------------------------- concurrency and people


def test_a_shared_group_is_waited_for(made: Stage) -> None:
    """A run of the newest commit would be cancelled by that of an older one."""
    repo = made.fake.repos[REPO]
    runs = history(repo, "PCFFF")
    repo.workflow_texts[CI.path] = SHARED
    repo.run(runs[-1].commit, CI, [Job("long", end=2 * HOUR)], at=made.fake.now)
    made.exporter.refresh_until_idle()
    made.advance(100, step=20)
    assert accepted(made) == 0
    assert "concurrency group" in reasons(made)[0]
    made.advance(40, step=20)
    assert accepted(made) == 1


def by_hand(made: Stage, number: int, name: str = NAME) -> None:
    """Repeat a job of a run as a person does, which takes five minutes."""
    run = made.fake.repos[REPO].runs[number]
    run.rerun(made.fake.now, [made.fake.repos[REPO].outcome(run, Job(name))], copies=True)  # type: ignore[attr-defined]


def test_a_run_that_somebody_repeated_before_is_waited_for(made: Stage) -> None:
    """Its result is taken up, and no request is sent."""
    history(made.fake.repos[REPO], "PCFFF")
    breaks_at(made.fake.repos[REPO], 1)
    made.exporter.refresh_until_idle()
    by_hand(made, 1)
    made.advance(60)
    assert (accepted(made), suspects(made)) == (0, ["change 1"])


@pytest.mark.parametrize("when", ["examined", "refused"])
def test_somebody_may_be_faster(made: Stage, when: str) -> None:
    """Between the exporter's reading and the request, GitHub or the run itself shows it."""
    history(made.fake.repos[REPO], "PCFFF")
    breaks_at(made.fake.repos[REPO], 1)
    made.exporter.refresh_until_idle()
    made.before(
        r"GET .*/runs/\d+$" if when == "examined" else "POST .*/rerun", lambda: by_hand(made, 1)
    )
    made.confirmer.round()
    assert accepted(made) == 0
    assert [asked.state for asked in made.questions()] == [State.PROPOSED]
    made.advance(60)
    assert (accepted(made), suspects(made)) == (0, ["change 1"])


def test_another_job_of_the_run_is_repeated_by_hand(made: Stage) -> None:
    """The job has another id since, under which it is repeated once the exporter has read it."""
    history(made.fake.repos[REPO], "PCFFF", names=(NAME, "other"))
    breaks_at(made.fake.repos[REPO], 1, NAME)
    made.exporter.refresh_until_idle()
    by_hand(made, 1, "other")
    made.advance(90)
    assert accepted(made) == 1
    assert suspects(made) == ["change 1"]


def test_a_result_by_hand_counts_while_ours_is_queued(made: Stage) -> None:
    """The run is repeated a second time by a person after ours: the question is answered."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    made.advance(10)
    by_hand(made, 1)
    made.advance(60)
    assert accepted(made) == 1
    assert [asked.answer for asked in made.questions()] == ["P"]


# ---------------------------------------------------------------------- the exporter and GitHub


@pytest.mark.parametrize(
    "answer", [(503, b""), (200, b"<html>"), (200, b"[]"), (404, b"{}"), (200, b'{"trunks": [1]}')]
)
def test_an_exporter_that_cannot_be_read_loses_nothing(
    made: Stage, answer: tuple[int, bytes]
) -> None:
    """While it answers nothing useful, nothing is asked and no question ends."""
    history(made.fake.repos[REPO], "PCFFF")
    breaks_at(made.fake.repos[REPO], 1)
    made.exporter.refresh_until_idle()
    made.advance(5)
    made.exporter_answer = HttpResponse(*answer)
    made.advance(30)
    assert made.listed()["problem"].startswith("exporter: ")
    assert [asked.state for asked in made.questions()] == [State.ASKED]
    made.exporter_answer = None
    made.advance(10)
    assert (accepted(made), suspects(made)) == (1, ["change 1"])


def test_a_rate_limit_is_waited_for(made: Stage) -> None:
    """Nothing is sent until GitHub allows it, and no question is lost."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    until = made.fake.now + 30 * MINUTE
    sent: list[float] = []

    def limited(request: HttpRequest) -> HttpResponse | None:
        del request
        sent.append(made.fake.now)
        headers = {"Retry-After": str(int(until - made.fake.now))}
        return HttpResponse(429, b"{}", headers) if made.fake.now < until else None

    made.instead = limited
    made.advance(25)
    assert len(sent) == 1
    assert made.metrics.problems()[0].startswith("ci: ")
    assert made.listed()["questions"][0]["state"] == "proposed"
    made.advance(10)
    assert accepted(made) == 1
    assert made.metrics.problems() == []


@pytest.mark.parametrize("status", [500, 502, 404, 401])
def test_an_error_of_github_is_waited_for(made: Stage, status: int) -> None:
    """The question stays, and is asked when GitHub answers again."""
    history(made.fake.repos[REPO], "PCFFF")
    made.exporter.refresh_until_idle()
    made.instead = lambda _: HttpResponse(status, b"{}")
    made.advance(20)
    assert [asked.state for asked in made.questions()] == [State.PROPOSED]
    assert str(status) in str(made.listed()["problem"]) or status == 401
    made.instead = lambda _: None
    made.advance(10)
    assert accepted(made) == 1
