"""Connections that are late, too many or hanging."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest
from trunkwatch.web import WebServer, gateway
from trunkwatch.web import connection as web_connection
from trunkwatch.web import server as web_server
from trunkwatch.web.answer import SECURITY_HEADERS
from trunkwatch.web.connection import Phase

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECONDS = 30.0
LARGE = 16 * 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
Connect = Callable[[bytes], socket.socket]


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    """Echo the length of a body; answer /large with many bytes."""
    body = b"x" * LARGE if environ["PATH_INFO"] == "/large" else b"ok"
    assert environ["PATH_INFO"] != "/broken"
    if environ["REQUEST_METHOD"] == "POST":
        body = b"%d" % len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    with io.BytesIO(body) as file:
        yield from iter(lambda: file.read(65_536), b"")


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def connect(refused: list[str]) -> Iterator[Connect]:
    """Return a function that opens a connection and sends something."""
    with ExitStack() as stack:
        server = WebServer("127.0.0.1:0", application, count_refused=refused.append)
        server.start()
        stack.callback(server.stop)

        def opened(first: bytes) -> socket.socket:
            address = ("127.0.0.1", server.port)
            connection = stack.enter_context(socket.create_connection(address, SECONDS))
            connection.sendall(first)
            return connection

        yield opened


def rest_of(connection: socket.socket) -> bytes:
    """Return what arrives until the connection is closed."""
    found = b""
    try:
        while data := connection.recv(65_536):
            found += data
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    ("phase", "first", "reason", "status"),
    [
        (Phase.HEAD, b"", "late_head", b""),
        (Phase.HEAD, GET[:-2], "late_head", b"HTTP/1.1 408 "),
        (Phase.BODY, POST + b"1234", "late_body", b"HTTP/1.1 408 "),
        pytest.param(
            Phase.READER,
            GET.replace(b"/", b"/large", 1),
            "late_reader",
            b"HTTP/1.1 200 ",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_late_client_is_closed(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    refused: list[str],
    phase: Phase,
    first: bytes,
    reason: str,
    status: bytes,
) -> None:
    """After its time a connection ends, with 408 if a part of a request had come."""
    monkeypatch.setitem(web_connection.SECONDS, phase, 0.2)
    connection = request.getfixturevalue("connect")(first)
    if phase is Phase.READER:
        eventually(lambda: refused, "the server has closed it")  # The client reads nothing.
    answer = rest_of(connection)
    assert answer.startswith(status)
    assert bool(answer) is bool(status)
    assert len(answer) < LARGE
    assert refused == [reason]


@pytest.mark.slow
def test_a_byte_now_and_then_gains_no_time(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The time of a head runs from its beginning, whatever arrives."""
    monkeypatch.setitem(web_connection.SECONDS, Phase.HEAD, 0.5)
    connection = request.getfixturevalue("connect")(GET[:-2])
    begin = time.monotonic()
    with suppress(OSError):
        while time.monotonic() < begin + SECONDS:
            connection.sendall(b"x")
            time.sleep(0.05)
    assert 0.3 < time.monotonic() - begin < SECONDS / 2


def test_the_oldest_silent_connection_makes_room(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, refused: list[str]
) -> None:
    """Only above the limit one that has sent nothing is closed, so that a new one is served."""
    monkeypatch.setattr(web_server, "_max_open", lambda _: 3)
    connect = request.getfixturevalue("connect")
    body = connect(POST.replace(b"Content", b"Expect: 100-continue\r\nContent"))
    assert body.recv(100).startswith(b"HTTP/1.1 100 ")
    silent = connect(b"")
    for expected in ([], ["too_many_connections"]):
        assert connect(GET).recv(100).startswith(b"HTTP/1.1 200 ")
        assert refused == expected
    assert rest_of(silent) == b""
    body.sendall(b"123456789")
    assert body.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (GET.replace(b"Host", b"Connection: close\r\nHost"), 200),
        (b"nonsense\r\n\r\n", 400),
        (POST, 408),
        (GET[:-2] + b"X: " + b"x" * 70_000, 431),
        (GET.replace(b"/", b"/broken", 1).replace(b"Host", b"Connection: close\r\nHost"), 500),
    ],
)
def test_every_answer_has_the_headers_for_security(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, first: bytes, status: int
) -> None:
    """Also those that no application has seen, or that it failed to give."""
    monkeypatch.setitem(web_connection.SECONDS, Phase.BODY, 0.2)
    head = rest_of(request.getfixturevalue("connect")(first)).partition(b"\r\n\r\n")[0]
    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    assert {f"{name}: {value}" for name, value in SECURITY_HEADERS} <= set(lines)


def test_bodies_in_memory_are_bounded(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, refused: list[str]
) -> None:
    """A body that does not fit is answered 503; memory is free again afterwards."""
    monkeypatch.setattr(gateway, "BODIES_LIMIT_BYTES", 8)
    closing_post = POST.replace(b"Content", b"Connection: close\r\nContent") + b"123456789"
    assert rest_of(connect(closing_post)).startswith(b"HTTP/1.1 503 ")
    assert refused == ["too_many_bodies"]
    monkeypatch.setattr(gateway, "BODIES_LIMIT_BYTES", 9)
    assert rest_of(connect(closing_post)).endswith(b"\r\n\r\n9")


@pytest.mark.slow
def test_stop_does_not_wait_for_hanging_clients() -> None:
    """Silent, half sent and unread requests end with the server, long before their own time."""
    server = WebServer("127.0.0.1:0", application)
    server.start()
    with ExitStack() as stack:
        for first in (b"", GET[:-2], POST, GET.replace(b"/", b"/large", 1)):
            address = ("127.0.0.1", server.port)
            connection = stack.enter_context(closing(socket.create_connection(address, SECONDS)))
            connection.sendall(first)
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < SECONDS / 2
    assert "web" not in {thread.name for thread in threading.enumerate()}
