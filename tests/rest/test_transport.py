"""Answers without an end: each request ends, with little memory and an error that names it."""

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from trunkwatch.errors import BadAnswerError, NoAnswerError
from trunkwatch.rest import client
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.lists import ListClient, Listing

from tests.rest.server import Reply, serving

HTTP = HttpContext(sleep=lambda _seconds: None)
LIMIT = 1_000_000
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def dribbling(first: bytes, then: bytes) -> Iterator[str]:
    """Answer each request with a text, and then with a byte every 20 ms, for a minute."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(first)
                try:
                    for _ in range(3000):
                        if ended.wait(0.02):
                            break
                        connection.sendall(then)
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (OK, b"A: b\r\n"),
        (OK + b"Content-Length: 100000000\r\n\r\n", b" "),
        (OK + b"\r\n", b" "),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 9999\r\n\r\n", b" "),
    ],
    ids=["status", "headers", "length", "no length", "chunked", "redirect"],
)
def test_an_answer_that_never_ends_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
) -> None:
    """Bytes that keep coming do not extend it; it counts once, and is not tried again."""
    codes: list[str] = []
    # A whole answer has 0.3 s, and each part of it far longer than a busy machine needs.
    monkeypatch.setattr(client, "ANSWER_TIMEOUT_FACTOR", 0.01)
    context = HttpContext(count_request=codes.append)
    with dribbling(first, then) as url, pytest.raises(NoAnswerError) as caught:
        RestClient(url, context, timeout=30.0, tries=3).get("/x")
    assert f"GET {url}/x: no whole answer within 0.3 s" in str(caught.value)
    assert codes == ["error"]


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return 100 MB of JSON, compressed."""
    return gzip.compress(b"[" + b"0," * 50_000_000, 1)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_a_bomb_takes_no_more_memory_than_the_limit(bomb: bytes, status: int) -> None:
    """A body is decompressed in pieces up to the limit, those of redirects and errors too."""
    headers = (("Content-Encoding", "gzip"), ("Location", "/y"))
    with serving(Reply(status, bomb, headers)) as server:
        api = RestClient(server.url, replace(HTTP, max_answer_bytes=LIMIT), tries=3)
        tracemalloc.start()
        with pytest.raises(BadAnswerError, match=f"GET {server.url}/x: .* larger than {LIMIT} "):
            api.get("/x")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * LIMIT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"[1,", mtime=0) + gzip.compress(b"2]", mtime=0)),
        ("gzip", gzip.compress(b"[1,2]", mtime=0) + b"\0\0"),
        ("identity", b"[1,2]"),
    ],
)
def test_a_compressed_body_is_read_to_its_end(coding: str, body: bytes) -> None:
    """It may have several members, and padding."""
    with serving(Reply(200, body, (("Content-Encoding", coding),))) as server:
        assert RestClient(server.url, HTTP).get("/x") == [1, 2]


@pytest.mark.parametrize(("coding", "body"), [("gzip, gzip", b"[]"), ("br", b"x"), ("gzip", b"[]")])
def test_a_coding_that_was_not_asked_for_is_no_answer(coding: str, body: bytes) -> None:
    """Only gzip is asked for, and only once."""
    reply = Reply(200, body, (("Content-Encoding", coding),))
    with serving(reply) as server, pytest.raises(NoAnswerError, match=f"{server.url}/x"):
        RestClient(server.url, HTTP).get("/x")


@pytest.mark.parametrize("headers", [(), (("Content-Encoding", "gzip"),)])
def test_a_body_of_just_the_limit_is_read(headers: tuple[tuple[str, str], ...]) -> None:
    """One more byte is too much."""
    body = b"[" + b" " * (LIMIT - 2) + b"]"
    with serving(Reply(200, gzip.compress(body) if headers else body, headers)) as server:
        assert RestClient(server.url, replace(HTTP, max_answer_bytes=LIMIT)).get("/x") == []
        with pytest.raises(BadAnswerError, match="larger than"):
            RestClient(server.url, replace(HTTP, max_answer_bytes=LIMIT - 1)).get("/x")


def test_three_redirects_are_followed() -> None:
    """A server may move twice, and change its scheme."""
    moved = Reply(302, headers=(("Location", "/y"),))
    with serving(moved, moved, moved, Reply(200, b"[]")) as server:
        assert RestClient(server.url, HTTP).get("/x") == []


def test_redirects_in_a_circle_end() -> None:
    """At most three are followed."""
    with serving(Reply(302, headers=(("Location", "/x"),))) as server, pytest.raises(NoAnswerError):
        RestClient(server.url, HTTP).get("/x")
    assert len(server.requests) == 4


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_a_list_without_end_has_a_last_page(*, whole: bool) -> None:
    """A server that always answers a full page is stopped; the error names the limit."""
    rows: Listing[object] = Listing(lambda row: row, id)
    with serving(Reply(200, b"[1]")) as server:
        api = ListClient(server.url, HTTP)
        api.per_page = 1
        with pytest.raises(BadAnswerError, match=f"{server.url}/x: .* more than 300 pages"):
            list(api.whole_list("/x", (), rows) if whole else api.rows("/x", (), rows))
    assert len(server.requests) == 300
