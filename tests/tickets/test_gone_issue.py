"""An issue that is not where it was: let go if it is gone, kept if its repository is."""

from collections.abc import Callable

import pytest
from trunkwatch.errors import IssueGone, TrackerRefused, TrackerUnsure
from trunkwatch.rest.credentials import NoToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.tickets.issues.github import GithubIssues
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.model import State, Ticket, TicketKey

from tests.github.issues import GONE, MOVED
from tests.github.responses import NOT_FOUND, ErrorResponse
from tests.support.fakehttp import Answer, Request, as_json
from tests.support.fakehttp import serving as http
from tests.tickets.builders import fixed, job
from tests.tickets.stage import MINUTE, Stage, each_vendor, opened

TICKET = Ticket(TicketKey("o/r", "main", "g"), "o/r", 7, "0f", State.OPEN, "", "", {}, "t", "P2")
HERE = as_json({"full_name": "O/r", "has_issues": True})
NOTHING = as_json({"message": "Not Found"}, 404)


def github(issue: Answer, repo: Answer, issues: Answer) -> Callable[[Request], Answer]:
    """Return a GitHub with one issue, and what it answers for it and around it."""
    answers = {"/repos/o/r/issues/7": issue, "/repos/o/r": repo, "/repos/o/r/issues": issues}
    return lambda request: answers[request.path]


@pytest.mark.parametrize("status", [301, 404, 410])
def test_an_issue_is_gone_if_only_itself_is_not_there(status: int) -> None:
    """It was transferred, made a discussion, or deleted."""
    answers = github(as_json({"message": "m"}, status), HERE, as_json([]))
    with http(answers) as server, pytest.raises(IssueGone):
        IssueTracker(GithubIssues(server.url, HttpContext(), NoToken())).read(TICKET)


@pytest.mark.parametrize(
    ("repo", "issues", "error", "reason"),
    [
        (NOTHING, NOTHING, TrackerRefused, "does the repository exist"),
        (as_json({}, 403), as_json([]), TrackerRefused, "Issues: read and write"),
        (as_json({}, 502), as_json([]), TrackerUnsure, "502"),
        (HERE, NOTHING, TrackerRefused, "may the token write"),
        (HERE, as_json({}, 403), TrackerRefused, "may the token write"),
        (as_json({"full_name": "o/new"}), as_json([]), TrackerRefused, "o/r is called o/new now"),
        (
            as_json({"full_name": "o/r", "has_issues": False}),
            as_json([]), TrackerRefused, "issues are switched off in the repository o/r",
        ),
    ],
)  # fmt: skip
def test_an_issue_is_kept_if_its_repository_is_the_cause(
    repo: Answer, issues: Answer, error: type[Exception], reason: str
) -> None:
    """Its issues come back with it; the error names what to do."""
    with http(github(NOTHING, repo, issues)) as server, pytest.raises(error, match=reason) as found:
        IssueTracker(GithubIssues(server.url, HttpContext(), NoToken())).read(TICKET)
    assert not isinstance(found.value, IssueGone)


@each_vendor
@pytest.mark.parametrize("instead", [GONE, NOT_FOUND, MOVED])
def test_the_next_broken_job_opens_a_new_issue(stage: Stage, instead: ErrorResponse) -> None:
    """A person who removed the issue has seen what it listed; the new one lists all of it."""
    opened(stage, "a")
    stage.issue.instead = instead
    stage.round()
    assert (stage.metrics.health.open, stage.metrics.health.errors) == (0, {})
    stage.set_status(job("a", failures_in_outage=9))
    stage.settle()
    assert stage.issues == []
    stage.set_status(job("a"), job("b"))
    stage.deliver("a", "b")
    stage.round()
    assert stage.issue.number == 2
    assert "`pull / a`" in stage.issue.body
    assert "`pull / b`" in stage.issue.body
    assert "#1" not in stage.issue.body


@each_vendor
def test_an_issue_that_vanishes_while_it_is_written_to_is_let_go(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that was to be reported opens a new one in the same round."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"))

    def vanish(stage: Stage, name: str) -> None:
        if name == "comment: step 1 is about to be sent":
            stage.issue.instead = NOT_FOUND

    monkeypatch.setattr(Stage, "_checkpoint", vanish)
    stage.restart()
    stage.round()
    assert stage.issue.number == 2


def test_an_issue_that_may_only_be_read_is_not_gone(stage: Stage) -> None:
    """GitHub answers 404 to a write of a token without the right to it."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"))
    stage.server.issues.refusals = {"(POST|PATCH) .*/issues/1": NOT_FOUND}
    stage.settle()
    assert stage.metrics.health.open == 1
    assert stage.metrics.health.waiting == 1
    assert len(stage.issues) == 1


@each_vendor
def test_a_closed_issue_that_is_gone_is_not_missed_by_the_next_outage(stage: Stage) -> None:
    """It cannot be reopened, so a new one is opened."""
    opened(stage, "a")
    stage.set_status(fixed("a"))
    stage.settle()
    stage.issue.instead = NOT_FOUND
    opened(stage, "a")
    assert (stage.issue.number, stage.issue.state) == (2, "open")


@each_vendor
def test_nothing_is_let_go_while_the_repository_does_not_answer(stage: Stage) -> None:
    """The token lost the repository for an hour; then all goes on in the same issue."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"))
    repo = stage.server.fake.repos.pop("o/r")
    for _ in range(60):
        stage.round()
        stage.wait(MINUTE)
    assert stage.metrics.health.open == 1
    assert "exist, does it have issues" in stage.reconciler._backoff.last_error
    stage.server.fake.repos["o/r"] = repo
    stage.wait(3600.0)
    stage.settle()
    assert "`pull / b`" in stage.issue.body
