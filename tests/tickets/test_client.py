"""The client of GitHub's issues API: pace, cache, token and errors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trunkwatch.errors import (
    TrackerError,
    TrackerLimited,
    TrackerRefused,
    TrackerUnsure,
)
from trunkwatch.rest.credentials import FileToken, NoToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.tickets.issues.api import GithubIssues

from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.issues import GONE, MOVED
from tests.github.server import GitHubServer, serving_github
from tests.support.fakehttp import Answer, as_json
from tests.support.fakehttp import serving as http

ISSUES = "/repos/o/r/issues"
NEW = {"title": "t", "body": "b"}


class Asker:
    """A client with recorded waits.

    Attributes:
        github: the stand-in server.
        slept: seconds of each wait.
        codes: status of each answer.
        token: the token file.
        api: the client.
    """

    def __init__(self, github: GitHubServer, token: Path) -> None:
        self.github = github
        self.slept: list[float] = []
        self.codes: list[str] = []
        self.token = token
        token.write_text(TOKEN)
        context = HttpContext(
            count_request=self.codes.append,
            clock=lambda: github.fake.now,
            sleep=self.slept.append,
        )
        self.api = GithubIssues(github.url, context, FileToken(str(token)))


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """Return a client of a GitHub with one repository."""
    fake = FakeGitHub()
    fake.repo("o/r")
    with serving_github(fake) as github:
        yield Asker(github, tmp_path / "token")


def test_changes_are_a_second_apart(asker: Asker) -> None:
    """Writes are at least a second apart, as GitHub requires; reads need no pause."""
    asker.api.post(ISSUES, NEW)
    asker.api.get(f"{ISSUES}/1")
    assert asker.slept == []
    asker.github.fake.now += 0.25
    asker.api.patch(f"{ISSUES}/1", {"title": "u"})
    assert asker.slept == [0.75]
    asker.github.fake.now += 5.0
    asker.api.patch(f"{ISSUES}/1", {"title": "v"})
    assert asker.slept == [0.75]


def test_an_unchanged_issue_is_cached(asker: Asker) -> None:
    """The second answer is 304, and the document is the same."""
    asker.api.post(ISSUES, NEW)
    assert asker.api.get(f"{ISSUES}/1") == asker.api.get(f"{ISSUES}/1")
    assert asker.codes == ["201", "200", "304"]


def test_a_refused_token_is_not_sent_again(asker: Asker) -> None:
    """A new token is tried at once, and no error contains a token."""
    asker.token.write_text("wr0ng-token")
    for _ in range(2):
        with pytest.raises(TrackerLimited) as caught:
            asker.api.post(ISSUES, NEW)
        assert "wr0ng-token" not in str(caught.value)
    assert asker.codes == ["401"]
    asker.token.write_text(TOKEN)
    assert asker.api.post(ISSUES, NEW)["number"] == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.SERVER_ERROR, TrackerUnsure),
        (Kind.RESET, TrackerUnsure),
        (Kind.TRUNCATED, TrackerUnsure),
        (Kind.SECONDARY_LIMIT, TrackerLimited),
        (Kind.TOO_MANY, TrackerLimited),
    ],
)
def test_an_error_says_whether_anything_may_have_happened(
    asker: Asker, kind: Kind, error: type[TrackerError]
) -> None:
    """A limited request had no effect; a lost one may have had one."""
    asker.github.fail_next(kind)
    with pytest.raises(error):
        asker.api.post(ISSUES, NEW)


def test_a_spent_limit_names_the_time_at_which_it_is_whole_again(asker: Asker) -> None:
    """The error carries the time of the reset."""
    asker.github.fake.limit = 1
    asker.api.post(ISSUES, NEW)
    with pytest.raises(TrackerLimited) as caught:
        asker.api.post(ISSUES, NEW)
    assert caught.value.until == asker.github.fake.now + 3600.0


def test_an_unknown_repository_is_a_refusal_that_says_what_to_look_at(asker: Asker) -> None:
    """The error names the permission and the repository as possible causes."""
    with pytest.raises(TrackerRefused, match="Issues: read and write") as caught:
        asker.api.post("/repos/o/none/issues", NEW)
    assert caught.value.status == 404


@pytest.mark.parametrize("instead", [GONE, MOVED])
def test_an_issue_that_is_not_there_any_more_is_not_looked_for_elsewhere(
    asker: Asker, instead: object
) -> None:
    """A redirect is not followed; the tracker finds out whether the issue is gone."""
    asker.api.post(ISSUES, NEW)
    (issue,) = asker.github.issues.all()
    issue.instead = instead  # type: ignore[assignment]  # one of the two
    with pytest.raises(TrackerRefused):
        asker.api.patch(f"{ISSUES}/1", {"title": "x"})


@pytest.mark.parametrize(
    "answer", [as_json([]), as_json("x"), Answer(200, b"<html>"), Answer(200, b"[" * 100_000)]
)
def test_an_answer_that_is_no_object_is_an_error(answer: Answer) -> None:
    """A proxy may answer instead of GitHub."""
    with http(lambda _: answer) as server, pytest.raises(TrackerUnsure):
        GithubIssues(server.url, HttpContext(), NoToken()).get("/x")


def test_an_answer_that_is_no_list_is_an_error() -> None:
    """Treated as an empty list, it would open an issue twice."""
    with http(lambda _: as_json({})) as server, pytest.raises(TrackerUnsure):
        list(GithubIssues(server.url, HttpContext(), NoToken()).rows("/x", []))
