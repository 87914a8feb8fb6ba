"""The listener: cheroot, a production WSGI server, started and stopped cleanly."""

import errno
import logging
import threading
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest

from trunkwatch.errors import ListenError, UsageError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

THREADS = 16
"""Requests answered at once. A client of a large JSON object keeps one until it has read it, and
scrapes should not wait for eight of them."""

BACKLOG = 128
"""Connections that may wait to be accepted. A matrix that starts sends all of its webhooks at once;
with cheroot's default of five some of them are reset."""

REQUEST_SECONDS = 10
"""Seconds after which a silent connection is dropped."""


DRAIN_LIMIT_BYTES = 65_536
"""An unwanted body up to this length is read and dropped, so that the sender sees the answer and
can reuse the connection; after a longer one the connection is closed."""

HEAD_LIMIT_BYTES = 65_536
"""The longest headers of a request; legitimate clients send less than a hundredth of that."""

LISTEN_FLAG = "--web.listen-address"


def parse_address(address: str, flag: str = LISTEN_FLAG) -> tuple[str, int]:
    """Read `host:port` or `:port`, as in Prometheus' `--web.listen-address`.

    Args:
        address: as given.
        flag: its name, for errors.

    Raises:
        UsageError: it is something else.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{flag} {address!r}: must be host:port or :port")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 — Prometheus' own default


class WebServer:
    """One listening address, answered by a WSGI application."""

    def __init__(
        self, address: str, application: "WSGIApplication", flag: str = LISTEN_FLAG
    ) -> None:
        """Start to listen.

        Args:
            address: `host:port` or `:port`.
            application: answers the requests.
            flag: the name of the flag, for errors.

        Raises:
            ListenError: the address is taken or may not be used.
            UsageError: the address cannot be read.
        """
        self._server = wsgi.Server(
            parse_address(address, flag),
            application,
            numthreads=THREADS,
            request_queue_size=BACKLOG,
            timeout=REQUEST_SECONDS,
            server_name="trunkwatch",
        )
        self._server.max_request_header_size = HEAD_LIMIT_BYTES
        self._server.ConnectionClass = _Connection
        # cheroot documents `error_log` as the place to hook in a logger of one's own.
        self._server.error_log = _log_error  # type: ignore[method-assign]  # documented
        try:
            self._server.prepare()
        except OSError as error:
            self._server.stop()
            raise ListenError(address, _why(error, flag)) from None
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port, also where the system chose it (port 0)."""
        bound: tuple[Any, ...] = self._server.bind_addr
        return int(bound[1])

    def start(self) -> None:
        """Answer requests in a thread of its own."""
        self._thread.start()

    def dead_threads(self) -> list[str]:
        """Return the name of the thread if it has ended; for use before `stop`."""
        ended = self._thread.ident is not None and not self._thread.is_alive()
        return [self._thread.name] if ended else []

    def stop(self) -> None:
        """Finish running answers and stop listening."""
        self._server.stop()
        self._thread.join()


class _Request(HTTPRequest):
    """A request that closes its connection unless the start of the next request is certain.

    cheroot reads the rest of an unread body into memory, of any length, and loses its position
    after a chunked one: the rest of that body would be parsed as a request.
    """

    def send_headers(self) -> None:
        """Decide whether the connection is kept, before the headers are sent."""
        if self.chunked_read or not 0 <= getattr(self.rfile, "remaining", 0) <= DRAIN_LIMIT_BYTES:
            self.close_connection = True
        super().send_headers()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


def _why(error: OSError, flag: str) -> str:
    """Return why listening failed; cheroot wraps the socket's error, which leaves only its text."""
    text = str(error)
    if error.errno == errno.EADDRINUSE or "in use" in text:
        return f"the port is taken by another program; give another {flag}"
    return text


def _log_error(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    log.log(level, "%s", msg.strip(), exc_info=traceback)
