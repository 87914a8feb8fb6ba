"""How GitHub is asked: politely, with one token, and without a word about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trunkwatch.errors import (
    IssueGone,
    TrackerError,
    TrackerLimited,
    TrackerRefused,
    TrackerUnsure,
)
from trunkwatch.rest import FileToken, HttpContext, NoToken
from trunkwatch.tickets.github import GithubIssues

from tests.github.faults import Kind
from tests.github.issues import GONE, MOVED
from tests.github.server import StandIn, serving_github
from tests.github.world import TOKEN, World
from tests.support.fakehttp import Answer, as_json
from tests.support.fakehttp import serving as http

ISSUES = "/repos/o/r/issues"
NEW = {"title": "t", "body": "b"}


class Asker:
    """A client whose waits are written down.

    Attributes:
        github: that is asked.
        slept: seconds of each wait.
        codes: of each answer.
        token: the file.
        api: the client.
    """

    def __init__(self, github: StandIn, token: Path) -> None:
        self.github = github
        self.slept: list[float] = []
        self.codes: list[str] = []
        self.token = token
        token.write_text(TOKEN)
        context = HttpContext(
            count_request=self.codes.append,
            clock=lambda: github.world.now,
            sleep=self.slept.append,
        )
        self.api = GithubIssues(github.url, context, FileToken(str(token)))


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """Return a client of a GitHub with one repository."""
    world = World()
    world.repo("o/r")
    with serving_github(world) as github:
        yield Asker(github, tmp_path / "token")


def test_changes_are_a_second_apart(asker: Asker) -> None:
    """GitHub asks for that; reading needs no pause."""
    asker.api.post(ISSUES, NEW)
    asker.api.get(f"{ISSUES}/1")
    assert asker.slept == []
    asker.github.world.now += 0.25
    asker.api.patch(f"{ISSUES}/1", {"title": "u"})
    assert asker.slept == [0.75]
    asker.github.world.now += 5.0
    asker.api.patch(f"{ISSUES}/1", {"title": "v"})
    assert asker.slept == [0.75]


def test_what_has_not_changed_is_known(asker: Asker) -> None:
    """The second answer is 304, and the document the same."""
    asker.api.post(ISSUES, NEW)
    assert asker.api.get(f"{ISSUES}/1") == asker.api.get(f"{ISSUES}/1")
    assert asker.codes == ["201", "200", "304"]


def test_a_refused_token_is_not_sent_again(asker: Asker) -> None:
    """A new one is tried at once, and neither is told to anybody."""
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
    """What is limited was not done; what got lost may have been."""
    asker.github.fail_next(kind)
    with pytest.raises(error):
        asker.api.post(ISSUES, NEW)


def test_a_spent_limit_names_the_time_at_which_it_is_whole_again(asker: Asker) -> None:
    """Nothing is asked before that."""
    asker.github.world.limit = 1
    asker.api.post(ISSUES, NEW)
    with pytest.raises(TrackerLimited) as caught:
        asker.api.post(ISSUES, NEW)
    assert caught.value.until == asker.github.world.now + 3600.0


def test_an_unknown_repository_is_a_refusal_that_says_what_to_look_at(asker: Asker) -> None:
    """The token may lack a right, or the name may be wrong."""
    with pytest.raises(TrackerRefused, match="Issues: read and write") as caught:
        asker.api.post("/repos/o/none/issues", NEW)
    assert caught.value.status == 404


@pytest.mark.parametrize("instead", [GONE, MOVED])
def test_an_issue_that_is_not_there_any_more_is_not_looked_for_elsewhere(
    asker: Asker, instead: object
) -> None:
    """A redirect is an answer, and not followed."""
    asker.api.post(ISSUES, NEW)
    (issue,) = asker.github.issues.all()
    issue.instead = instead  # type: ignore[assignment]  # one of the two
    with pytest.raises(IssueGone):
        asker.api.patch(f"{ISSUES}/1", {"title": "x"})


@pytest.mark.parametrize(
    "answer", [as_json([]), as_json("x"), Answer(200, b"<html>"), Answer(200, b"[" * 100_000)]
)
def test_what_is_no_document_is_no_answer(answer: Answer) -> None:
    """A proxy may answer in the place of GitHub."""
    with http(lambda _: answer) as server, pytest.raises(TrackerUnsure):
        GithubIssues(server.url, HttpContext(), NoToken()).get("/x")


def test_what_is_no_list_is_no_answer() -> None:
    """An empty conclusion would open an issue twice."""
    with http(lambda _: as_json({})) as server, pytest.raises(TrackerUnsure):
        list(GithubIssues(server.url, HttpContext(), NoToken()).rows("/x", []))
