"""An HTTP/1.1 server on loopback with persistent connections that it can break on request."""

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
"""SO_LINGER value with which a close sends RST, as a load balancer does that drops a connection."""


class Transfer(Enum):
    """How much of a response is sent."""

    COMPLETE = "complete"
    RESET = "reset"
    NEVER = "never"


class HttpRequest(NamedTuple):
    """One request.

    Attributes:
        method: GET, POST, PATCH or PUT.
        path: without the query.
        query: the pairs, in order.
        headers: by lower-case name.
        body: as bytes.
    """

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response.

    Attributes:
        status: the HTTP status.
        body: as bytes.
        headers: all but Content-Length.
        transfer: how much of it is sent.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    transfer: Transfer = Transfer.COMPLETE


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect: some tests do so on purpose."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection; a subclass per server sets `listener`."""

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

    def do_PUT(self) -> None:
        self.do_GET()

    def _send(self, response: HttpResponse) -> None:
        if response.transfer is Transfer.NEVER:
            # The socket becomes readable when the client gives up or the server stops.
            select.select([self.connection], [], [])
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if response.transfer is Transfer.RESET:
            self._reset(response.body)
        elif response.status != HTTPStatus.NOT_MODIFIED:
            self.wfile.write(response.body)

    def _reset(self, body: bytes) -> None:
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log lines: `GitHubServer.log` has the requests."""


class LoopbackServer:
    """A server on a free port of loopback; `stop` leaves no connection and no thread behind.

    Attributes:
        answer: called for each request, in the connection's thread.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        """Args:
        answer: returns the response to a request.
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
        """The base URL."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Close every connection and wait for all threads."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            left = dict(self._open)
            for connection in left:
                _shut(connection)
        for thread in (self._thread, *left.values()):
            thread.join()

    def opened(self, connection: socket.socket) -> None:
        """Register a connection and the current thread, which serves it."""
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
        return  # The client has disconnected already.
