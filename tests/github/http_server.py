"""HTTP/1.1 on loopback: connections that stay open, and ways to break them."""

import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.support.fakehttp import HOST, Query

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: a close sends RST, as a load balancer does that drops a connection."""


class Transfer(Enum):
    """How an answer ends."""

    COMPLETE = "whole"
    RESET = "reset"
    NEVER = "never"


class HttpRequest(NamedTuple):
    """One request.

    Attributes:
        method: GET, POST or PATCH.
        path: without the query.
        query: in its order.
        headers: with their names in lower case.
        body: as bytes.
    """

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer.

    Attributes:
        status: of HTTP.
        body: as bytes.
        headers: beside type and length.
        ending: whether all of it is sent.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    transfer: Transfer = Transfer.COMPLETE


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is what some tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection; subclasses name the wire that it belongs to."""

    listener: "LoopbackServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.listener.opened(self.connection)

    def finish(self) -> None:
        self.listener.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = HttpRequest(
            self.command,
            parts.path,
            parse_qsl(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        self._send(self.listener.answer(request))

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def _send(self, said: HttpResponse) -> None:
        if said.transfer is Transfer.NEVER:
            # Readable: the client has given up, or the server stops.
            select.select([self.connection], [], [])
            self.close_connection = True
            return
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if said.transfer is Transfer.RESET:
            self._reset(said.body)
        elif said.status != HTTPStatus.NOT_MODIFIED:
            self.wfile.write(said.body)

    def _reset(self, body: bytes) -> None:
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the log tells what came."""


class LoopbackServer:
    """Listens until it is stopped; then no connection and no thread of it is left.

    Attributes:
        answer: called once a request, in the connection's thread.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        """Args:
        answer: turns a request into an answer.
        """
        self.answer = answer
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), type("_Bound", (_Handler,), {"listener": self}))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def stop(self) -> None:
        """End every connection and wait for all threads."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            left = dict(self._open)
            for connection in left:
                _shut(connection)
        for thread in (self._thread, *left.values()):
            thread.join()

    def opened(self, connection: socket.socket) -> None:
        """Take note of a connection and of the thread that serves it."""
        with self._lock:
            self._open[connection] = threading.current_thread()

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.pop(connection, None)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was quicker
