"""The effect of single deliveries: jobs before their run, stale events, pushes, invalid bodies."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.errors import BadDelivery
from trunkwatch.sources.github.jobs.pending_jobs import KEPT_SECONDS
from trunkwatch.sources.github.runs.run_list import REPLICA_LAG_SECONDS
from trunkwatch.sources.github.source import WEBHOOK_INTERVAL_FACTOR, WEBHOOK_QUIET_SECONDS
from trunkwatch.sources.github.state import Kind as StateKind

from tests.github.exporter import POLL
from tests.github.fake import T0
from tests.github.faults import Kind
from tests.github.webhook_harness import (
    BEGIN,
    END,
    REPO,
    WebhookHarness,
    entries_without_pending_jobs,
    small_deliveries,
    small_trunk,
    webhook_harness,
)
from tests.github.webhooks import Delivery, deliveries

# ---------------------------------------------------------------------- jobs before their run


def of_kind(event: str, action: str, name: str) -> list[Delivery]:
    """Return the deliveries of one event and action about a job or a workflow, in order."""
    found = []
    for each in small_deliveries():
        document = each.document
        if each.event == event and document.get("action") == action:
            row = document[event]
            if row["name"] == name and row.get("event", "push") == "push":
                found.append(each)
    return found


def shown(harness: WebhookHarness, name: str = "bad") -> str:
    """Return the first letters of a job's verdicts, oldest first."""
    return "".join(verdict.value[0] for verdict in harness.exporter.job(name).verdicts)


@pytest.fixture
def harness() -> Iterator[WebhookHarness]:
    """Return an exporter that has read the first commit just before the second one is pushed."""
    with webhook_harness() as found:
        assert shown(found) == "P"
        found.exporter.fake.now = T0 + 1200
        found.exporter.refresh()
        yield found


def test_a_job_waits_for_its_run_by_webhook(harness: WebhookHarness) -> None:
    """A completed job counts only once a delivery has described its run."""
    job = of_kind("workflow_job", "completed", "bad")[0]
    run = of_kind("workflow_run", "completed", "ci")[0]
    harness.deliver(job)
    assert harness.exporter.job("bad").last_verdict is Verdict.PASS
    harness.deliver(run)
    assert shown(harness) == "PF"


def test_a_job_waits_for_its_run_by_poll(harness: WebhookHarness) -> None:
    """A pending job counts once a poll has found its run, even if the run's list of jobs cannot be
    read; a restart keeps it.
    """
    job = of_kind("workflow_job", "completed", "bad")[0]
    harness.deliver(job)
    harness.exporter.restart()
    harness.exporter.fake.now = job.at
    harness.exporter.server.fail_next(Kind.BAD_GATEWAY, "check-runs|jobs", times=100)
    harness.exporter.refresh()
    assert shown(harness) == "PF"


@pytest.mark.parametrize(
    ("graphql", "later", "verdicts"),
    [(True, 0.0, "PP"), (False, 0.0, "PP"), (True, REPLICA_LAG_SECONDS, "P")],
)
def test_a_run_that_github_does_not_find_yet_keeps_its_jobs(
    graphql: bool, later: float, verdicts: str
) -> None:
    """Jobs of a run that a webhook reported count, although a refresh did not find that run; once
    it would be found, it was deleted, and only its stored results stay.
    """
    with webhook_harness(more="" if graphql else ", graphql: false") as harness:
        fake = harness.exporter.fake
        fake.now = T0 + 1200
        harness.exporter.refresh()
        run = of_kind("workflow_run", "in_progress", "ci")[0]
        run_id = run.document["workflow_run"]["id"]
        before, after = (
            next(each for each in of_kind("workflow_job", "completed", name)
                 if each.document["workflow_job"]["run_id"] == run_id)
            for name in ("bad", "good")
        )  # fmt: skip
        harness.deliver(run)
        harness.deliver(before)
        harness.exporter.restart()
        fake.now = run.at + later
        fake.repos[REPO].runs_by_id[run_id].delete(0.0)
        harness.exporter.refresh_until_idle(at_most=2)
        harness.deliver(after)
        assert shown(harness) == "PF"
        assert shown(harness, "good") == verdicts


def test_the_job_of_a_pull_request_never_counts(harness: WebhookHarness) -> None:
    """A job of a fork's pull request, whose branch is also called `main`, does not count, and is
    dropped after a day.
    """
    forked = [
        each
        for each in small_deliveries()
        if each.event == "workflow_job" and each.document["workflow_job"]["name"] == "good"
        and each.document["workflow_job"]["conclusion"] == "failure"
    ]  # fmt: skip
    assert len(forked) == 3
    harness.deliver(forked[0])
    harness.exporter.fake.now = END
    assert harness.differences_after_polling() == {}
    assert any(" pending " in key for key in harness.exporter.engine.state("gh").entries)
    harness.exporter.fake.now += KEPT_SECONDS
    harness.exporter.refresh()
    assert not any(" pending " in key for key in harness.exporter.engine.state("gh").entries)


def test_an_older_run_does_not_undo_a_newer_one(harness: WebhookHarness) -> None:
    """A completed run stays completed when earlier events arrive later, even with the same
    timestamp.
    """
    requested, begun, ended = (
        of_kind("workflow_run", action, "ci")[0].document
        for action in ("requested", "in_progress", "completed")
    )
    end = ended["workflow_run"]["updated_at"]
    at_once = {**begun, "workflow_run": {**begun["workflow_run"], "updated_at": end}}
    for body in (ended, at_once, begun, requested):
        harness.deliver_body("workflow_run", body)
    name = f" {StateKind.RUN} {ended['workflow_run']['id']}"
    (note,) = [
        json.loads(text)
        for key, text in entries_without_pending_jobs(harness).items()
        if key.endswith(name)
    ]
    assert (note["status"], note["conclusion"]) == ("completed", "failure")


# ---------------------------------------------------------------------- refreshes and polling


def test_a_push_requests_a_refresh(harness: WebhookHarness) -> None:
    """A push to the trunk requests a refresh; a push to another branch is ignored."""
    push = next(each for each in small_deliveries() if each.event == "push")
    harness.deliver(push)
    assert harness.refresh_requests == 1
    assert not harness.deliver_body("push", {**push.document, "ref": "refs/heads/topic"})
    assert not harness.deliver_body("push", {**push.document, "ref": "refs/tags/main"})
    assert harness.refresh_requests == 1


def test_polls_slow_down_while_deliveries_come(harness: WebhookHarness) -> None:
    """After a delivery GitHub is polled three times less often, until there was none for ten
    minutes.
    """
    exporter = harness.exporter

    def pause() -> float | None:
        exporter.refresh()
        return exporter.engine.retry_after("gh")

    assert pause() is None
    harness.deliver(of_kind("workflow_run", "requested", "ci")[0])
    assert pause() == WEBHOOK_INTERVAL_FACTOR * POLL
    exporter.fake.now += WEBHOOK_QUIET_SECONDS
    assert pause() == WEBHOOK_INTERVAL_FACTOR * POLL
    exporter.fake.now += 1
    assert pause() is None


def test_deliveries_of_other_branches_do_not_slow_polling(harness: WebhookHarness) -> None:
    """Deliveries of another repository, another branch or another event do not slow polling."""
    run = of_kind("workflow_run", "requested", "ci")[0].document
    elsewhere = {**run, "repository": {**run["repository"], "full_name": "o/other"}}
    topic = {**run, "workflow_run": {**run["workflow_run"], "head_branch": "topic"}}
    assert not harness.deliver_body("workflow_run", elsewhere)
    assert not harness.deliver_body("workflow_run", topic)
    assert not harness.deliver_body("star", run)
    harness.exporter.refresh()
    assert harness.exporter.engine.retry_after("gh") is None


# ---------------------------------------------------------------------- invalid bodies


@pytest.mark.slow
@pytest.mark.parametrize("event", ["push", "workflow_run", "workflow_job", "check_run"])
def test_a_spoilt_body_is_taken_or_refused(event: str) -> None:
    """A delivery with any value in place of any member is processed, ignored or refused; it causes
    no internal error, and the stored state stays readable.
    """
    whole = next(d for d in deliveries(small_trunk(), BEGIN, END) if d.event == event).document
    with webhook_harness(more=", checks: [github-actions, other]") as harness:
        for value in (None, 7, "text", [], {}, [None], {"id": None}, True, 1e400):
            for spoilt in spoilt_bodies(whole, event, value):
                with suppress(BadDelivery):
                    harness.deliver_body(event, spoilt)
            harness.exporter.restart()
        harness.exporter.fake.now = END
        assert harness.differences_after_polling() == {}


def spoilt_bodies(whole: dict[str, Any], event: str, value: object) -> Iterator[dict[str, Any]]:
    """Yield a body with each member in turn replaced by a value."""
    for key in whole:
        yield {**whole, key: value}
    for outer in {event, "repository"} & whole.keys():
        for key in whole[outer]:
            yield {**whole, outer: {**whole[outer], key: value}}
