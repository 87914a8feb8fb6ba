"""Killed or without an answer at any point, confirm asks for nothing twice."""

from collections.abc import Callable

import pytest
from trunkwatch.confirm.model import State

from tests.confirm.builders import accepted, breaks_at, history, suspects
from tests.confirm.kills import Killed, Killer, SteppedRunner, stepped_store
from tests.confirm.stage import MINUTE, REPO, stage
from tests.github.fake import FakeGitHub
from tests.github.faults import Kind
from tests.github.http_server import HttpRequest, HttpResponse, Transfer

CI_TYPES = ("github", "gitlab")


def played(ci: str, kill_at: int) -> list[str]:
    """Find one commit with a kill; return the steps that were passed."""
    fake = FakeGitHub()
    history(fake.repo(REPO), "PCFFF")
    breaks_at(fake.repos[REPO], 1)
    killer = Killer(kill_at)
    with stage(fake, type=ci) as made:
        made.exporter.refresh_until_idle()
        made.restart(SteppedRunner(made.runner, killer))
        with stepped_store(killer):
            for _ in range(10):
                try:
                    made.advance(5)
                except Killed:
                    made.restart(SteppedRunner(made.runner, killer))
        assert accepted(made) == 1, killer.steps[:kill_at]
        assert suspects(made) == ["change 1"]
        assert {asked.state for asked in made.questions()} == {State.ANSWERED}
    return killer.steps


@pytest.mark.slow
@pytest.mark.parametrize("ci", CI_TYPES)
def test_a_kill_at_any_step_changes_nothing(ci: str) -> None:
    """Killed before or after each write and each request, it ends with as many requests."""
    steps = played(ci, 0)
    assert {"before save", "after save", "before run", "after run"} <= set(steps)
    for kill_at in range(1, len(steps) + 1):
        played(ci, kill_at)


@pytest.fixture
def fake() -> FakeGitHub:
    """Return a stand-in with one suspect that was cancelled."""
    made = FakeGitHub()
    history(made.repo(REPO), "PCFFF")
    breaks_at(made.repos[REPO], 1)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("ci", CI_TYPES)
@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("kind", [Kind.HANG, Kind.RESET, Kind.SERVER_ERROR, Kind.BAD_GATEWAY])
def test_a_lost_answer_is_found_out(fake: FakeGitHub, kind: Kind, is_done: bool, ci: str) -> None:
    """With and without an effect of the request, it ends with exactly one accepted request."""
    with stage(fake, type=ci) as made:
        made.exporter.refresh_until_idle()
        made.server.reruns.fail_late = is_done
        if is_done or kind in (Kind.SERVER_ERROR, Kind.BAD_GATEWAY):
            made.server.fail_next(kind, "POST .*/(rerun|retry)")
        else:
            made.instead = _lost_before(kind)
        made.confirmer.round()
        assert [asked.state for asked in made.questions()] == [State.SENDING]
        made.restart()
        made.confirmer.round()
        made.advance(60)
        assert (accepted(made), suspects(made)) == (1, ["change 1"])


def _lost_before(kind: Kind) -> Callable[[HttpRequest], HttpResponse | None]:
    """Return what loses the next request before it has an effect."""
    left = [Transfer.NEVER if kind is Kind.HANG else Transfer.RESET]

    def instead(request: HttpRequest) -> HttpResponse | None:
        if request.method == "POST" and left:
            return HttpResponse(200, b"{}", transfer=left.pop())
        return None

    return instead


@pytest.mark.parametrize("shared", [False, True])
def test_a_lost_answer_is_found_out_although_the_exporter_is_behind(
    fake: FakeGitHub, shared: bool
) -> None:
    """The run itself shows the new attempt, also where another run of its group goes on."""
    if shared:
        fake.repos[REPO].workflow_texts[".github/workflows/ci.yml"] = (
            "concurrency: ci\njobs: {test: {}}"
        )
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.server.reruns.fail_late = True
        made.server.fail_next(Kind.HANG, "POST .*/(rerun|retry)")
        made.confirmer.round()
        newest = fake.repos[REPO].runs[-1]
        newest.rerun(fake.now, [])  # type: ignore[attr-defined]
        for _ in range(4):
            fake.now += MINUTE
            made.confirmer.round()
        assert [asked.state for asked in made.questions()] == [State.ASKED]
        made.advance(30)
        assert (accepted(made), suspects(made)) == (1, ["change 1"])


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-86_400.0, -120.0, 3600.0])
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("ci", CI_TYPES)
def test_a_clock_that_is_set_asks_nothing_twice(
    fake: FakeGitHub, ci: str, seconds: float, lost: bool
) -> None:
    """The clock of confirm alone is set, before a result is there."""
    with stage(fake, type=ci) as made:
        made.exporter.refresh_until_idle()
        if lost:
            made.server.reruns.fail_late = True
            made.server.fail_next(Kind.HANG, "POST .*/(rerun|retry)")
        made.confirmer.round()
        made.ahead = seconds
        for _ in range(3):
            made.confirmer.round()
            made.restart()
        made.advance(40)
        assert (accepted(made), suspects(made)) == (1, ["change 1"])
        assert {asked.state for asked in made.questions()} == {State.ANSWERED}


@pytest.mark.parametrize("ci", CI_TYPES)
def test_rounds_are_repeatable(fake: FakeGitHub, ci: str) -> None:
    """Any number of rounds and restarts at one time ask once."""
    with stage(fake, type=ci) as made:
        made.exporter.refresh_until_idle()
        for _ in range(5):
            made.confirmer.round()
            made.restart()
        assert accepted(made) == 1


@pytest.mark.parametrize(("ci", "run"), [("github", "run"), ("gitlab", "pipeline")])
def test_a_run_that_is_deleted_while_it_is_unknown_blocks_nothing(
    fake: FakeGitHub, ci: str, run: str
) -> None:
    """Its question ends, and other trunks and questions go on."""
    with stage(fake, type=ci) as made:
        made.exporter.refresh_until_idle()
        made.server.fail_next(Kind.SERVER_ERROR, "POST .*/(rerun|retry)")
        made.confirmer.round()
        fake.repos[REPO].runs[1].delete(fake.now)
        for _ in range(5):
            fake.now += MINUTE
            made.confirmer.round()
        (asked,) = made.questions()
        assert (asked.state, asked.reason) == (State.EXPIRED, f"its {run} was deleted")
        assert made.metrics.problems() == []
