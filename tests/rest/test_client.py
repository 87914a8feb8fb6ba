"""The HTTP client: one request, its retries, its redirects and its errors."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    LimitExceededError,
    NoAnswerError,
    RateLimitedError,
)
from trunkwatch.github import GithubRules
from trunkwatch.gitlab import GitlabRules
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import ApiRules, HttpContext
from trunkwatch.sources.gitea.api import GiteaRules

from tests.rest.server import Reply, Server, serving

NOW = 1_800_000_000.0
TOKEN = EnvToken("T", {"T": "s3cret"})


class Http:
    """A context whose time stands still.

    Attributes:
        slept: seconds of each wait.
        codes: of each request.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.codes: list[str] = []
        self.context = HttpContext(
            count_request=self.codes.append, clock=lambda: NOW, sleep=self.slept.append
        )


def test_a_document_is_read_and_counted() -> None:
    """The answer is parsed JSON, and its status code is counted."""
    http = Http()
    with serving(Reply(200, b'{"a": [1]}')) as server:
        assert RestClient(server.url, http.context).get("/x", [("b", "c d")]) == {"a": [1]}
    assert http.codes == ["200"]
    assert server.requests[0].path == "/x?b=c+d"


@pytest.mark.parametrize("reply", [Reply(502), Reply(200, b"<html>"), None])
def test_an_accident_is_retried_with_growing_pauses(reply: Reply | None) -> None:
    """No answer, 5xx and a body that is not JSON are tried again; each pause has jitter."""
    http = Http()
    with serving(reply, reply, Reply(200, b"[]")) as server:
        assert RestClient(server.url, http.context, tries=3).get("/x") == []
    first, second = http.slept
    assert 0.5 <= first <= 1.0 <= second <= 2.0


def test_a_request_is_sent_once_by_default() -> None:
    """A request that may have taken effect is not repeated."""
    http = Http()
    with serving(Reply(502)) as server, pytest.raises(BadAnswerError, match="HTTP 502") as caught:
        RestClient(server.url, http.context).request("POST", "/x", (), {"a": 1})
    assert caught.value.status == 502
    assert (len(server.requests), http.slept) == (1, [])


def test_a_refusal_is_not_retried() -> None:
    """A 4xx stays the same however often it is requested."""
    http = Http()
    with serving(Reply(404)) as server, pytest.raises(BadAnswerError, match="HTTP 404"):
        RestClient(server.url, http.context, tries=3).get("/x")
    assert http.codes == ["404"]


def test_an_unchanged_document_is_not_sent_again() -> None:
    """The stored ETag is sent, and a 304 returns nothing."""
    http = Http()
    with serving(Reply(304)) as server:
        assert RestClient(server.url, http.context).get_if_changed("/x", (), '"v1"') is None
    assert server.requests[0].headers["If-None-Match"] == '"v1"'


def test_a_token_goes_to_no_other_host() -> None:
    """A redirect to another host is followed without the Authorization header."""
    http = Http()
    with serving(Reply(200, b"[]")) as other:
        there = other.url.replace("127.0.0.1", "localhost")
        with serving(Reply(302, headers=(("Location", f"{there}/y"),))) as server:
            client = RestClient(server.url, http.context, authorization=TOKEN)
            assert client.get("/x") == []
    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"
    assert "Authorization" not in other.requests[0].headers


def test_redirects_can_be_refused() -> None:
    """Without redirects, a 301 is an error with its status."""
    moved = Reply(301, headers=(("Location", "/y"),))
    with serving(moved) as server, pytest.raises(BadAnswerError, match="HTTP 301") as caught:
        RestClient(server.url, Http().context, redirects=False).get("/x")
    assert caught.value.status == 301
    assert len(server.requests) == 1


def test_credentials_in_the_address_are_basic_authentication() -> None:
    """They are sent, and no error shows them."""
    with serving(Reply(500)) as server:
        url = server.url.replace("http://", "http://me:mine@")
        with pytest.raises(BadAnswerError) as caught:
            RestClient(url, Http().context).get("/x")
    assert server.requests[0].headers["Authorization"] == "Basic bWU6bWluZQ=="
    assert "mine" not in str(caught.value)


def test_a_netrc_does_not_replace_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured token wins over an entry for the host."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(Reply(200, b"[]")) as server:
        RestClient(server.url, Http().context, authorization=TOKEN).get("/x")
    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"


def test_a_refused_token_is_an_error_of_the_token() -> None:
    """The second request is not sent: the server refused this token before."""
    token = EnvToken("T", {"T": "wr0ng"})
    http = Http()
    with serving(Reply(401)) as server:
        client = RestClient(server.url, http.context, authorization=token)
        for _ in range(2):
            with pytest.raises(CredentialsError, match="token_env T"):
                client.get("/x")
    assert http.codes == ["401"]


@pytest.mark.parametrize("length", [64, 65])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_body_has_a_size_limit(length: int, pack: Callable[[bytes], bytes]) -> None:
    """The limit is of the decompressed body, and a body of just this size is read."""
    body = b'"%s"' % (b"a" * (length - 2))
    headers = (("Content-Encoding", "gzip"),) if pack is gzip.compress else ()
    with serving(Reply(200, pack(body), headers)) as server:
        client = RestClient(server.url, replace(Http().context, max_answer_bytes=64))
        if length == 64:
            assert client.get("/x") == "a" * 62
        else:
            with pytest.raises(LimitExceededError, match="larger than 64 bytes") as caught:
                client.get("/x")
            assert caught.value.reason == "too_large"


def test_a_rate_limit_names_the_end_of_the_wait() -> None:
    """A vendor without rules of its own is limited by 429 and Retry-After."""
    http = Http()
    limited = Reply(429, headers=(("Retry-After", "90"),))
    with serving(limited) as server, pytest.raises(RateLimitedError) as caught:
        RestClient(server.url, http.context, tries=3).get("/x")
    assert caught.value.until == NOW + 90
    assert http.codes == ["429"]


def test_a_short_limit_is_waited_for() -> None:
    """A few seconds are spent within the request if it may be tried again."""
    http = Http()
    with serving(Reply(429, headers=(("Retry-After", "5"),)), Reply(200, b"[]")) as server:
        assert RestClient(server.url, http.context, tries=2).get("/x") == []
    assert 5 <= http.slept[0] <= 6


@pytest.mark.parametrize("quotes", [True, False])
def test_a_body_that_may_hold_a_secret_is_not_quoted(*, quotes: bool) -> None:
    """The vendor's rules decide whether the log shows the beginning of an odd body."""
    rules = ApiRules()
    rules.quotes_body = quotes
    with serving(Reply(200, b"plain text")) as server, pytest.raises(BadAnswerError) as caught:
        RestClient(server.url, Http().context, rules=rules).get("/x")
    assert "plain text" not in str(caught.value)
    assert ("plain text" in caught.value.detail) is quotes


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"message": "no such\\nproject"}', "no such project"),
        (b'{"message": {"name": ["is taken"]}}', "{'name': ['is taken']}"),
        (b'{"message": null}', ""),
        (b'{"message": "no", "n": ' + b"9" * 5000 + b"}", "no"),
        (b"[" * 100_000, ""),
        (b'["message"]', ""),
        (b'"message"', ""),
        (b"\xff", ""),
    ],
)
@pytest.mark.parametrize("rules", [GithubRules(), GitlabRules(""), GiteaRules()])
def test_the_message_of_an_error_is_for_the_log(rules: ApiRules, body: bytes, detail: str) -> None:
    """An error has the vendor's own message as its detail, and none for a body without one."""
    with serving(Reply(400, body)) as server, pytest.raises(BadAnswerError) as caught:
        RestClient(server.url, Http().context, rules=rules).get("/x")
    assert caught.value.detail == detail
    assert "no such" not in str(caught.value)


def test_nothing_that_listens_is_no_answer() -> None:
    """A refused connection is counted as an error and named with its address."""
    http = Http()
    with serving() as server:
        pass
    with pytest.raises(NoAnswerError, match=rf"GET {server.url}/x: .*refused"):
        RestClient(server.url, http.context).get("/x")
    assert http.codes == ["error"]


def test_a_document_that_must_be_an_object_is_checked() -> None:
    """A list is no object."""
    with serving(Reply(200, b"[]")) as server, pytest.raises(BadAnswerError, match="JSON object"):
        RestClient(server.url, Http().context).object("GET", "/x")
    assert isinstance(server, Server)
