"""Listening: addresses, ports that are taken, and letting go of them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import bcrypt
import pytest
import requests
from trunkwatch.errors import ListenError, UsageError
from trunkwatch.web import WebServer, WebSettings, gateway, parse_address
from trunkwatch.web.answer import SECURITY_HEADERS
from trunkwatch.web.gateway import HEAD_LIMIT_BYTES

from tests.web.conftest import listening


def answer(environ: object, start_response: object) -> Iterator[bytes]:
    """A WSGI application that answers ok."""
    del environ
    assert callable(start_response)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    yield b"ok"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10077", ("0.0.0.0", 10077)),  # noqa: S104 — the default that is tested
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:9090", ("::1", 9090)),
        ("[::]:9090", ("::", 9090)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    """Addresses are written as for Prometheus."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "9090", "localhost", "localhost:", ":x", ":65536", ":-1", ":²"]
)
def test_addresses_that_are_none(text: str) -> None:
    """An invalid address is refused with an example of a valid one."""
    with pytest.raises(UsageError, match=r"must be host:port or :port$"):
        parse_address(text)


def test_an_address_is_refused_by_its_flag() -> None:
    """The error about an invalid address names its flag."""
    with pytest.raises(UsageError, match=r"^--web\.webhook-listen-address 'x': must be"):
        WebServer("x", answer, "--web.webhook-listen-address")


def test_a_port_that_is_taken() -> None:
    """The error names the address and what to do, and nothing is left listening."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError) as caught:
            WebServer(address, answer)
    assert caught.value.address == address
    assert str(caught.value) == (
        f"cannot listen on {address}: the port is taken by another program;"
        " give another --web.listen-address"
    )


def test_an_address_of_another_machine() -> None:
    """An address that is not of this machine is refused in one line."""
    with pytest.raises(ListenError, match=r"^cannot listen on 192\.0\.2\.1:0: .+"):
        WebServer("192.0.2.1:0", answer)


def test_stop_lets_go_of_the_port() -> None:
    """After stop, another server listens on the same port at once, and no thread is left."""
    server = WebServer("127.0.0.1:0", answer)
    for _ in range(2):
        server.start()
        url = f"http://127.0.0.1:{server.port}/"
        assert requests.get(url, timeout=30).text == "ok"
        port = server.port
        server.stop()
        assert "web" not in {thread.name for thread in threading.enumerate()}
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=30)
        server = WebServer(f"127.0.0.1:{port}", answer)
    server.start()
    server.stop()


def test_it_listens_before_it_is_started() -> None:
    """A taken port is an error before anything starts; an early request is answered."""
    server = WebServer("127.0.0.1:0", answer)
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=30)) as early:
        early.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.start()
        assert early.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    server.stop()


def test_many_ask_at_once() -> None:
    """More scrapes at once than there are threads are all answered."""
    server = WebServer("127.0.0.1:0", answer)
    server.start()
    answers: list[str] = []

    def ask() -> None:
        answers.append(requests.get(f"http://127.0.0.1:{server.port}/", timeout=30).text)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()
    assert answers == ["ok"] * 24


@pytest.mark.parametrize(
    ("length", "status"), [(HEAD_LIMIT_BYTES // 2, b"200"), (HEAD_LIMIT_BYTES, b"431")]
)
def test_headers_have_an_end(length: int, status: bytes) -> None:
    """A request whose headers do not end is refused before they fill the memory."""
    with listening(answer) as server:
        address = ("127.0.0.1", server.port)
        with closing(socket.create_connection(address, timeout=30)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ")
            connection.sendall(b"x" * length)
            connection.sendall(b"\r\n\r\n")
            assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("target", ["http://[", "a://b]/metrics", "http://[x]/", "http://[::1"])
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_target_that_is_no_address(tmp_path: Path, target: str, is_protected: bool) -> None:
    """It is a malformed request: counted, and answered with the headers of every answer."""
    refused: list[str] = []
    settings = None
    if is_protected:
        users = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()
        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ann: {users}}}")
        settings = WebSettings(str(tmp_path / "web.yml"))
    server = WebServer("127.0.0.1:0", answer, "", refused.append, settings)
    server.start()
    address = ("127.0.0.1", server.port)
    with closing(socket.create_connection(address, timeout=30)) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        lines = connection.makefile("rb").read().lower().split(b"\r\n")
    server.stop()
    assert lines[0] == b"http/1.1 400 bad request"
    for name, value in SECURITY_HEADERS:
        assert f"{name}: {value}".lower().encode() in lines
    assert refused == ["malformed"]


def test_an_error_before_the_application_is_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An internal error while a request is read is logged, and answered as any other."""

    def broken(_target: bytes) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway, "unquote_to_bytes", broken)
    with listening(answer) as server:
        found = requests.get(f"http://127.0.0.1:{server.port}/", timeout=30)
    assert found.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert "request failed" in caplog.messages


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:0", True), ("localhost:0", True), (":0", False), ("0.0.0.0:0", False)],
)
def test_a_loopback_listener_is_recognized(address: str, expected: bool) -> None:
    """It is the bound address that counts, also for a host name."""
    server = WebServer(address, lambda _environ, _start: [])
    try:
        assert server.is_loopback is expected
    finally:
        server.stop()
