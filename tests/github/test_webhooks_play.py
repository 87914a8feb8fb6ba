"""Webhooks in any order, twice, late or not at all say the same in the end as polling."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain.model import Verdict
from exporter.errors import BadDelivery
from exporter.sources import Listener
from exporter.sources.github.parked import KEPT
from exporter.sources.github.source import SILENCE, SLOWER
from tests.github.faults import Kind
from tests.github.plan import Job, Workflow, hanging, skipped, superseded
from tests.github.player import POLL, Player, playing, truth, what_differs
from tests.github.webhooks import Delivery, deliveries
from tests.github.world import T0, World

REPO = "o/r"
CI = Workflow("ci", ".github/workflows/ci.yml")
SLOW = Workflow("slow", ".github/workflows/slow.yml")
CALLED = Workflow("called", ".github/workflows/called.yml")

BEGIN = T0 + 900
"""When the exporter starts: the first commit is done, the others have yet to be pushed."""

END = T0 + 6000
"""When everything has been said."""

HEALING = 2400.0
"""Seconds after which polling has noticed whatever no webhook told: re-runs take half an hour."""


def small_world() -> World:
    """Return four commits with a failure, a flake, a hang, a start that fails, and a fork."""
    world = World(BEGIN)
    repo = world.repo(REPO)
    for number in range(4):
        at = T0 + number * 1200
        commit = repo.commit(f"Change number {number}", at=at)
        bad = "failure" if number else "success"
        jobs = [Job("bad", end=200, conclusion=bad, failed_step="Test"), Job("good", end=250)]
        again = Job("again", end=220, conclusion="failure" if number == 2 else "success")
        run = repo.run(commit, CI, [*jobs, again], at=at + 5)
        if number == 2:
            run.rerun(at + 600, [Job("again", end=100)], copies=True)
        slow = [superseded("cut", end=650), hanging("hangs", limit=360) if number else Job("hangs")]
        if number == 1:
            repo.run(commit, SLOW, at=at + 6, startup_failure=True)
        else:
            repo.run(commit, SLOW, slow, at=at + 6)
        repo.run(commit, CALLED, [skipped("maybe", at=0.0)], at=at + 7)
        failing = [Job("good", end=100, conclusion="failure")]
        repo.run(commit, CI, failing, at=at + 8, event="pull_request", head_repo="fork/r")
    return world


@cache
def told() -> tuple[Delivery, ...]:
    """Return all that GitHub would tell of the small world, but check runs of its own."""
    found = deliveries(small_world(), BEGIN, END)
    return tuple(each for each in found if each.event != "check_run")


class Listening:
    """A player that also takes deliveries.

    Attributes:
        player: with its source.
        looks: deliveries that asked for a refresh.
    """

    def __init__(self, player: Player) -> None:
        """Args:
        player: that is told.
        """
        self.player = player
        self.looks = 0

    def hear(self, event: str, body: Mapping[str, Any]) -> bool:
        """Take one delivery as the exporter does; whether it was about anything watched."""
        source = self.player.source
        assert isinstance(source, Listener)
        heard = source.hear(event, body)
        if heard is None:
            return False
        self.player.watcher.told("gh", heard.facts)
        self.player.watcher.judge_told()
        self.looks += heard.look
        return True

    def take(self, each: Delivery) -> bool:
        """Take one delivery of the stand-in."""
        return self.hear(each.event, each.document)

    def refresh_while(self, arriving: Sequence[Delivery]) -> None:
        """Refresh, with deliveries that arrive after GitHub was asked and before that is stored."""
        watcher, source = self.player.watcher, self.player.source
        facts = list(source.refresh(watcher.memory("gh")))
        for each in arriving:
            self.take(each)
        watcher.refreshed("gh", facts, lambda: 0.0)

    def differs(self) -> dict[str, tuple[Any, Any]]:
        """Return what is said otherwise than it is."""
        return what_differs(self.player.jobs(), truth(self.player, REPO))

    def healed(self) -> dict[str, tuple[Any, Any]]:
        """Return what still differs when polling has had the time to notice everything."""
        self.player.pass_time(HEALING, every=HEALING / 20)
        assert self.player.refresh().counted == 0, "something is asked for again and again"
        return self.differs()


@contextmanager
def listening(world: World | None = None, more: str = "") -> Iterator[Listening]:
    """Start at the world's time, with everything read that is there by then."""
    with playing(world or small_world(), REPO, more) as player:
        player.refresh_to_the_end()
        yield Listening(player)


# ---------------------------------------------------------------------- the same as polling

PLACES = range(len(told()))


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(PLACES),
    lost=st.sets(st.sampled_from(PLACES)),
    twice=st.sets(st.sampled_from(PLACES)),
    polls=st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 6)), max_size=3),
)
def test_any_order_twice_and_with_some_missing(
    order: list[int], lost: set[int], twice: set[int], polls: list[tuple[int, int]]
) -> None:
    """Whatever order deliveries come in, some twice, some never, with refreshes between and around
    them: when polling has healed what was lost, everything is as it is.
    """
    arriving = [told()[place] for place in order if place not in lost]
    arriving += [told()[place] for place in sorted(twice)]
    with listening() as play:
        play.player.world.now = END
        inside = dict(polls)
        while arriving:
            if len(arriving) in inside:
                number = inside[len(arriving)]
                play.refresh_while(arriving[:number])
                arriving = arriving[number:] if number else arriving[1:]
            else:
                play.take(arriving.pop(0))
        assert play.healed() == {}


@settings(max_examples=15, deadline=None)
@given(
    delays=st.lists(
        st.sampled_from([0.0, 1.0, 30.0, 300.0, 2000.0, None]),
        min_size=len(told()),
        max_size=len(told()),
    ),
    every=st.sampled_from([60.0, 300.0, 1200.0]),
)
def test_late_deliveries_beside_polls(delays: list[float | None], every: float) -> None:
    """Deliveries that come late or never, while GitHub is polled often or seldom, heal likewise."""
    pairs = zip(told(), delays, strict=True)
    arrivals = [(each.at + late, place) for place, (each, late) in enumerate(pairs)
                if late is not None]  # fmt: skip
    with listening() as play:
        world = play.player.world
        events = sorted(arrivals + [(at, -1) for at in polls_at(every)])
        for world.now, place in events:
            if place < 0:
                play.player.refresh()
            else:
                play.take(told()[place])
        world.now = max(world.now, END)
        assert play.healed() == {}


def polls_at(every: float) -> list[float]:
    """Return the moments at which GitHub is polled."""
    return [BEGIN + every * number for number in range(1, int((END - BEGIN) / every) + 1)]


def test_without_polls() -> None:
    """While only pushes are followed by a refresh, each of the other deliveries says at once what
    a poll would have said.
    """
    with listening() as play:
        for each in told():
            play.player.world.now = each.at
            looks = play.looks
            play.take(each)
            if play.looks > looks:
                play.player.refresh()
        play.player.world.now = END
        # Only annotations tell which of the cancelled jobs hung: a refresh asks for them.
        assert {key.partition(":")[0] for key in play.differs()} == {"slow / cut", "slow / hangs"}
        play.player.refresh()
        assert play.differs() == {}


def notes_of(play: Listening) -> dict[str, str]:
    """Return what is kept, but for the jobs of pull requests, whose run never becomes known."""
    notes = play.player.watcher.memory("gh").notes
    return {key: text for key, text in notes.items() if " parked " not in key}


def test_what_is_known_already_changes_nothing() -> None:
    """When everything has been read, deliveries that come late, the newest first, leave the rows
    and the notes as they are.
    """
    with listening() as play:
        play.player.world.now = END
        assert play.healed() == {}
        before, state = notes_of(play), play.player.jobs()
        for each in reversed(told()):
            play.take(each)
        assert notes_of(play) == before
        assert what_differs(play.player.jobs(), state) == {}


# ---------------------------------------------------------------------- jobs before their run


def of_kind(event: str, action: str, name: str) -> list[Delivery]:
    """Return the deliveries of a kind about a job or a workflow, in their order."""
    found = []
    for each in told():
        document = each.document
        if each.event == event and document.get("action") == action:
            row = document[event]
            if row["name"] == name and row.get("event", "push") == "push":
                found.append(each)
    return found


def shown(play: Listening, name: str = "bad") -> str:
    """Return the verdicts of a job, oldest first, by their first letters."""
    return "".join(verdict.value[0] for verdict in play.player.job(name).verdicts)


@pytest.fixture
def play() -> Iterator[Listening]:
    """Return a player that has read the first commit, and sees the second one pushed."""
    with listening() as found:
        assert shown(found) == "P"
        found.player.world.now = T0 + 1200
        found.player.refresh()
        yield found


def test_a_job_waits_for_its_run_by_webhook(play: Listening) -> None:
    """A finished job of a run that is not known says nothing, until a delivery tells the run."""
    job = of_kind("workflow_job", "completed", "bad")[0]
    run = of_kind("workflow_run", "completed", "ci")[0]
    play.take(job)
    assert play.player.job("bad").last_verdict is Verdict.PASS
    play.take(run)
    assert shown(play) == "PF"


def test_a_job_waits_for_its_run_by_poll(play: Listening) -> None:
    """A run that a poll finds lets the jobs speak that waited for it, though its own list of jobs
    cannot be read; a restart in between forgets none.
    """
    job = of_kind("workflow_job", "completed", "bad")[0]
    play.take(job)
    play.player.restart()
    play.player.world.now = job.at
    play.player.server.fail_next(Kind.BAD_GATEWAY, "check-runs|jobs", times=100)
    play.player.refresh()
    assert shown(play) == "PF"


def test_the_job_of_a_pull_request_never_counts(play: Listening) -> None:
    """A fork's pull request from its own `main` looks like trunk in the body of a job; its run
    says that it is none, and after a day it is forgotten.
    """
    forked = [
        each
        for each in told()
        if each.event == "workflow_job" and each.document["workflow_job"]["name"] == "good"
        and each.document["workflow_job"]["conclusion"] == "failure"
    ]  # fmt: skip
    assert len(forked) == 3
    play.take(forked[0])
    play.player.world.now = END
    assert play.healed() == {}
    assert any("parked" in key for key in play.player.watcher.memory("gh").notes)
    play.player.world.now += KEPT
    play.player.refresh()
    assert not any("parked" in key for key in play.player.watcher.memory("gh").notes)


def test_an_older_run_does_not_undo_a_newer_one(play: Listening) -> None:
    """A run that has ended stays so when the word of its begin arrives after that of its end, be it
    of the same second.
    """
    requested, begun, ended = (
        of_kind("workflow_run", action, "ci")[0].document
        for action in ("requested", "in_progress", "completed")
    )
    end = ended["workflow_run"]["updated_at"]
    at_once = {**begun, "workflow_run": {**begun["workflow_run"], "updated_at": end}}
    for body in (ended, at_once, begun, requested):
        play.hear("workflow_run", body)
    name = f" run {ended['workflow_run']['id']}"
    (note,) = [json.loads(text) for key, text in notes_of(play).items() if key.endswith(name)]
    assert (note["status"], note["conclusion"]) == ("completed", "failure")


# ---------------------------------------------------------------------- when to look


def test_a_push_asks_for_a_look(play: Listening) -> None:
    """A push to the trunk asks for a refresh at once; one to another branch is about nothing."""
    push = next(each for each in told() if each.event == "push")
    play.take(push)
    assert play.looks == 1
    assert not play.hear("push", {**push.document, "ref": "refs/heads/topic"})
    assert not play.hear("push", {**push.document, "ref": "refs/tags/main"})
    assert play.looks == 1


def test_polls_slow_down_while_deliveries_come(play: Listening) -> None:
    """After a delivery GitHub is asked three times less often, until ten minutes have passed
    without any.
    """
    player = play.player

    def pause() -> float | None:
        player.refresh()
        return player.watcher.asks_again("gh")

    assert pause() is None
    play.take(of_kind("workflow_run", "requested", "ci")[0])
    assert pause() == SLOWER * POLL
    player.world.now += SILENCE
    assert pause() == SLOWER * POLL
    player.world.now += 1
    assert pause() is None


def test_what_is_not_watched_slows_nothing_down(play: Listening) -> None:
    """Deliveries of another repository, another branch or an unknown kind are about nothing."""
    run = of_kind("workflow_run", "requested", "ci")[0].document
    elsewhere = {**run, "repository": {**run["repository"], "full_name": "o/other"}}
    topic = {**run, "workflow_run": {**run["workflow_run"], "head_branch": "topic"}}
    assert not play.hear("workflow_run", elsewhere)
    assert not play.hear("workflow_run", topic)
    assert not play.hear("star", run)
    play.player.refresh()
    assert play.player.watcher.asks_again("gh") is None


# ---------------------------------------------------------------------- bodies that make no sense


@pytest.mark.parametrize("event", ["push", "workflow_run", "workflow_job", "check_run"])
@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [None], {"id": None}, True, 1e400])
def test_a_spoilt_body_is_taken_or_refused(event: str, value: object) -> None:
    """Whatever stands in the place of any member, a delivery is taken, is about nothing, or is
    refused as bad; it is never a mistake of ours, and what is known afterwards can be read.
    """
    whole = next(d for d in deliveries(small_world(), BEGIN, END) if d.event == event).document
    with listening(more=", checks: [github-actions, other]") as play:
        for spoilt in spoilt_bodies(whole, event, value):
            with suppress(BadDelivery):
                play.hear(event, spoilt)
        play.player.world.now = END
        assert play.healed() == {}


def spoilt_bodies(whole: dict[str, Any], event: str, value: object) -> Iterator[dict[str, Any]]:
    """Yield a body with one member after the other in another shape."""
    for key in whole:
        yield {**whole, key: value}
    for outer in {event, "repository"} & whole.keys():
        for key in whole[outer]:
            yield {**whole, outer: {**whole[outer], key: value}}
