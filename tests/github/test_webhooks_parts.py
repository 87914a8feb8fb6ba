"""What single deliveries do: jobs before their run, old news, pushes, bodies without sense."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.errors import BadDelivery
from trunkwatch.sources.github.jobs.pending_jobs import KEPT_SECONDS
from trunkwatch.sources.github.source import WEBHOOK_INTERVAL_FACTOR, WEBHOOK_QUIET_SECONDS

from tests.github.faults import Kind
from tests.github.hearing import BEGIN, END, Listening, listening, notes_of, small_world, told
from tests.github.player import POLL
from tests.github.webhooks import Delivery, deliveries
from tests.github.world import T0

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
    assert any(" pending " in key for key in play.player.watcher.state("gh").entries)
    play.player.world.now += KEPT_SECONDS
    play.player.refresh()
    assert not any(" pending " in key for key in play.player.watcher.state("gh").entries)


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
        return player.watcher.retry_after("gh")

    assert pause() is None
    play.take(of_kind("workflow_run", "requested", "ci")[0])
    assert pause() == WEBHOOK_INTERVAL_FACTOR * POLL
    player.world.now += WEBHOOK_QUIET_SECONDS
    assert pause() == WEBHOOK_INTERVAL_FACTOR * POLL
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
    assert play.player.watcher.retry_after("gh") is None


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
