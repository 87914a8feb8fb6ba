"""The server refuses a step: the others are executed, and a refusal is not repeated each round."""

from dataclasses import replace

import pytest

from tests.github.faults import Kind
from tests.github.issues import ARCHIVED, INVALID, LOCKED
from tests.tickets.builders import fixed, job
from tests.tickets.stage import MINUTE, Stage, each_vendor, opened

COMMENTS, ANY_WRITE = "POST .*/comments", "(POST|PATCH) "


def locked(stage: Stage) -> None:
    """Open an issue, and lock it: edits stay possible."""
    opened(stage, "a")
    stage.server.issues.refusals = {COMMENTS: LOCKED}


def refusals(stage: Stage) -> dict[str, float]:
    """Return the number of refusals by operation, without zeros."""
    (samples,) = (
        samples
        for name, _, _, samples in stage.metrics.families()
        if name == "trunkwatch_tickets_refusals_total"
    )
    return {labels["operation"]: value for labels, value in samples if value}


@each_vendor
def test_a_locked_issue_is_edited_and_closed(stage: Stage) -> None:
    """Each comment is sent once, refused and counted; the body stays true to the end."""
    locked(stage)
    stage.set_status(job("a"), job("b"))
    stage.settle()
    assert "`pull / b`" in stage.issue.body
    assert stage.writes() == ["POST /1/comments", "PATCH /1"]
    stage.set_status(fixed("a"), fixed("b"))
    stage.settle()
    assert stage.issue.state == "closed"
    assert stage.writes() == ["POST /1/comments", "PATCH /1"]
    assert refusals(stage) == {"comment": 2}
    assert stage.metrics.health.errors == {}
    assert stage.metrics.health.waiting == 0


def test_a_locked_issue_is_reopened(stage: Stage) -> None:
    """The comment comes after the change, and its refusal does not repeat the change."""
    locked(stage)
    stage.set_status(fixed("a"))
    stage.settle()
    stage.writes()
    opened(stage, "a")
    assert stage.issue.state == "open"
    assert stage.store.plans() == {}


def test_an_unlocked_issue_gets_the_next_comment(stage: Stage) -> None:
    """A refused comment is left out for good; later ones are sent."""
    locked(stage)
    stage.set_status(job("a"), job("b"))
    stage.settle()
    stage.server.issues.refusals = {}
    stage.set_status(job("a"), fixed("b"))
    stage.settle()
    (comment,) = stage.issue.comments
    assert "Not broken any more" in comment.body


@each_vendor
def test_a_comment_whose_answer_was_lost_is_left_out_if_it_cannot_be_looked_for(
    stage: Stage,
) -> None:
    """Sent again, it could be there twice."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"))
    stage.server.issues.fail_late = True
    stage.server.fail_next(Kind.SERVER_ERROR, COMMENTS)
    stage.round()
    stage.server.issues.refusals = {"GET .*/comments": ARCHIVED}
    for _ in range(2):
        stage.wait(2 * MINUTE)
        stage.round()
    assert len(stage.issue.comments) == 1
    assert "`pull / b`" in stage.issue.body


@pytest.mark.slow
def test_a_repository_that_takes_no_write_is_asked_ever_less_often(stage: Stage) -> None:
    """The delay grows to an hour; afterwards everything is made up for, with its comment."""
    opened(stage, "a")
    stage.server.issues.refusals = {ANY_WRITE: ARCHIVED}
    stage.set_status(job("a"), job("b"))
    for _ in range(24 * 60):
        stage.round()
        stage.wait(MINUTE)
    assert len(stage.writes()) < 2 * 32
    assert stage.metrics.health.waiting == 1
    stage.server.issues.refusals = {}
    stage.wait(3600.0)
    stage.settle()
    (comment,) = stage.issue.comments
    assert "`pull / b`" in comment.body
    assert "`pull / b`" in stage.issue.body


def test_a_refused_edit_does_not_repeat_its_comment(stage: Stage) -> None:
    """Only the edit is tried again, with the text of its time."""
    opened(stage, "a")
    stage.server.issues.refusals = {"PATCH": ARCHIVED}
    stage.set_status(job("a"), job("b"))
    stage.settle()
    stage.server.issues.refusals = {}
    stage.set_status(job("a"), job("b"), job("c"))
    stage.wait(3600.0)
    stage.settle()
    assert len(stage.issue.comments) == 2
    assert "`pull / c`" in stage.issue.body


@each_vendor
def test_a_refused_closing_does_not_repeat_its_comment(stage: Stage) -> None:
    """The issue stays open for this program, and is closed once the server allows it."""
    opened(stage, "a")
    stage.server.issues.refusals = {"PATCH": ARCHIVED}
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issue.state == "open"
    stage.server.issues.refusals = {}
    stage.wait(3600.0)
    stage.settle()
    assert stage.issue.state == "closed"
    assert len(stage.issue.comments) == 1


@each_vendor
def test_a_text_that_is_rejected_is_not_sent_again(stage: Stage) -> None:
    """The next text is, and so is the closing; GitLab answers 400 where GitHub answers 422."""
    opened(stage, "a")
    status = {"github": INVALID.status, "gitlab": 400}[stage.config.type]
    stage.server.issues.refusals = {"PATCH": replace(INVALID, status=status)}
    stage.set_status(job("a", failures_in_outage=4))
    stage.settle()
    assert stage.writes() == ["PATCH /1"]
    stage.server.issues.refusals = {}
    stage.set_status(job("a", failures_in_outage=5))
    stage.settle()
    assert "for 5 commits" in stage.issue.title


def test_a_refused_issue_does_not_use_up_the_limit_of_new_ones(stage: Stage) -> None:
    """`max_new_per_hour` counts issues, so that another repository's issue can be opened."""
    stage.server.issues.refusals = {"POST": ARCHIVED}
    opened(stage, "a")
    assert refusals(stage)["open"] > 1
    assert stage.store.created_in_last_hour(stage.now) == 0


def test_one_issue_that_cannot_be_served_does_not_hold_up_the_others(stage: Stage) -> None:
    """A group that failed is reconciled after the others."""
    opened(stage, "a")
    document = stage.status.document
    assert document is not None
    (group,) = document["groups"]
    jobs = [job("a"), job("z", group="zzz")]
    stage.status.document = {**document, "groups": [group, {**group, "group": "zzz"}], "jobs": jobs}
    stage.status.alertmanager_up = False
    ((alert, *_),) = stage.store.firing_alerts().values()
    stage.store.add_firing([alert._replace(
        key=alert.key._replace(group="zzz"), job=alert.job._replace(job_name="z")
    )], stage.now)  # fmt: skip
    stage.server.fail_next(Kind.SERVER_ERROR, "GET .*/issues/1$", times=100)
    stage.settle()
    assert len(stage.issues) == 2
