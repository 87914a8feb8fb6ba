"""A server on loopback that sends prepared replies."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, cycle
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """One reply.

    Attributes:
        status: the status code.
        body: as bytes.
        headers: beside Content-Length.
    """

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Request(NamedTuple):
    """One request.

    Attributes:
        method: of HTTP.
        path: with its query.
        headers: by name.
    """

    method: str
    path: str
    headers: dict[str, str]


class Server:
    """Sends what a function returns for each request; None closes the connection.

    Attributes:
        requests: in the order of their arrival.
    """

    def __init__(self, reply_to: Callable[[Request], Reply | None]) -> None:
        self.requests: list[Request] = []
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                request = Request(self.command, self.path, dict(self.headers.items()))
                outer.requests.append(request)
                reply = reply_to(request)
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.status != 304:
                    self.wfile.write(reply.body)

            do_POST = do_GET  # noqa: N815 — the name that http.server calls

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(*replies: Reply | None) -> Iterator[Server]:
    """Serve replies on a free port, in order, and the last one for ever."""
    remaining = chain(replies, cycle(replies[-1:]))
    server = Server(lambda _: next(remaining))
    try:
        yield server
    finally:
        server.close()
