"""The clients of issues APIs: pace, cache, token and errors."""

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
from trunkwatch.tickets.model import Change, Create

from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.issues import GONE
from tests.github.server import GitHubServer
from tests.support.fakehttp import Answer, as_json
from tests.support.fakehttp import serving as http
from tests.tickets.stage import CLIENTS, SERVERS

REPO = "o/r"
NEW = Create("0f", "t", "b", ("l",), ())
only_github = pytest.mark.parametrize("asker", ["github"], indirect=True)


class Asker:
    """A client with recorded waits.

    Attributes:
        server: the stand-in.
        slept: seconds of each wait.
        codes: status of each answer.
        token: the token file.
        api: the client.
    """

    def __init__(self, vendor: str, server: GitHubServer, token: Path) -> None:
        self.server = server
        self.slept: list[float] = []
        self.codes: list[str] = []
        self.token = token
        token.write_text(TOKEN)
        context = HttpContext(
            count_request=self.codes.append,
            clock=lambda: server.fake.now,
            sleep=self.slept.append,
        )
        self.api = CLIENTS[vendor](server.url, context, FileToken(str(token)))

    def create(self, repo: str = REPO) -> int | None:
        """Create an issue."""
        return self.api.execute(repo, None, NEW)

    def rename(self, title: str) -> None:
        """Change the title of the first issue."""
        self.api.execute(REPO, 1, Change({"title": title}))


@pytest.fixture(params=list(CLIENTS))
def asker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asker]:
    """Return a client of a server with one repository."""
    fake = FakeGitHub()
    fake.repo(REPO)
    with SERVERS[request.param](fake) as server:
        yield Asker(request.param, server, tmp_path / "token")


def test_changes_are_a_second_apart(asker: Asker) -> None:
    """Writes are at least a second apart, as GitHub requires; reads need no pause."""
    asker.create()
    asker.api.issue(REPO, 1)
    assert asker.slept == []
    asker.server.fake.now += 0.25
    asker.rename("u")
    assert asker.slept == [0.75]
    asker.server.fake.now += 5.0
    asker.rename("v")
    assert asker.slept == [0.75]


def test_an_unchanged_issue_is_cached(asker: Asker) -> None:
    """The second answer is 304, and the document is the same."""
    asker.create()
    assert asker.api.issue(REPO, 1) == asker.api.issue(REPO, 1)
    assert asker.codes == ["201", "200", "304"]


def test_a_refused_token_is_not_sent_again(asker: Asker) -> None:
    """A new token is tried at once, and no error contains a token."""
    asker.token.write_text("wr0ng-token")
    for _ in range(2):
        with pytest.raises(TrackerLimited) as caught:
            asker.create()
        assert "wr0ng-token" not in str(caught.value)
    assert asker.codes == ["401"]
    asker.token.write_text(TOKEN)
    assert asker.create() == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.SERVER_ERROR, TrackerUnsure),
        (Kind.RESET, TrackerUnsure),
        (Kind.TRUNCATED, TrackerUnsure),
        (Kind.TOO_MANY, TrackerLimited),
    ],
)
def test_an_error_says_whether_anything_may_have_happened(
    asker: Asker, kind: Kind, error: type[TrackerError]
) -> None:
    """A limited request had no effect; a lost one may have had one."""
    asker.server.fail_next(kind)
    with pytest.raises(error):
        asker.create()


@only_github
def test_a_spent_limit_names_the_time_at_which_it_is_whole_again(asker: Asker) -> None:
    """The error carries the time of the reset; a secondary limit is one too."""
    asker.server.fake.limit = 1
    asker.create()
    with pytest.raises(TrackerLimited) as caught:
        asker.create()
    assert caught.value.until == asker.server.fake.now + 3600.0
    asker.server.fake.limit = 5000
    asker.server.fail_next(Kind.SECONDARY_LIMIT)
    with pytest.raises(TrackerLimited):
        asker.create()


def test_an_unknown_repository_is_a_refusal_that_says_what_to_look_at(asker: Asker) -> None:
    """The error names the right and the repository as possible causes."""
    with pytest.raises(TrackerRefused, match=r"Issues: read and write|scope api, role") as caught:
        asker.create("o/none")
    assert caught.value.status == 404


def test_an_issue_that_is_not_there_any_more_is_refused(asker: Asker) -> None:
    """The tracker finds out whether the issue is gone."""
    asker.create()
    (issue,) = asker.server.issues.all()
    issue.instead = GONE
    with pytest.raises(TrackerRefused):
        asker.rename("x")


@pytest.mark.parametrize(
    "answer",
    [as_json([]), as_json("x"), as_json({}), Answer(200, b"<html>"), Answer(200, b"[" * 100_000)],
)
@pytest.mark.parametrize("vendor", list(CLIENTS))
def test_an_answer_of_another_shape_is_an_error(vendor: str, answer: Answer) -> None:
    """A proxy may answer instead; taken for an empty list, it would open an issue twice."""
    with http(lambda _: answer) as server:
        api = CLIENTS[vendor](server.url, HttpContext(), NoToken())
        with pytest.raises(TrackerUnsure):
            api.issue(REPO, 1)
        if answer.body != b"[]":
            with pytest.raises(TrackerUnsure):
                list(api.issues(REPO, "all", None))
            with pytest.raises(TrackerUnsure):
                list(api.comments(REPO, 1, 0.0))
