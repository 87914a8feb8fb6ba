"""Listens: cheroot, a production WSGI server, started and stopped cleanly."""

import errno
import logging
import threading
from typing import TYPE_CHECKING, Any

from cheroot import wsgi

from exporter.errors import ListenError, UsageError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

THREADS = 8
"""Requests answered at once: a few Prometheus replicas and a few people."""

REQUEST_SECONDS = 10
"""Seconds after which a silent connection is dropped."""


def parse_address(address: str) -> tuple[str, int]:
    """Read `host:port` or `:port`, as in Prometheus' `--web.listen-address`.

    Raises:
        UsageError: it is neither.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--web.listen-address {address!r}: must be host:port or :port")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 — Prometheus' own default


class WebServer:
    """One listening address, answered by a WSGI application."""

    def __init__(self, address: str, application: "WSGIApplication") -> None:
        """Start to listen.

        Raises:
            ListenError: the address is taken or may not be used.
            UsageError: the address cannot be read.
        """
        self._server = wsgi.Server(
            parse_address(address),
            application,
            numthreads=THREADS,
            timeout=REQUEST_SECONDS,
            server_name="trunkwatch",
        )
        # cheroot documents `error_log` as the place to hook in a logger of one's own.
        self._server.error_log = _log_error  # type: ignore[method-assign]  # documented
        try:
            self._server.prepare()
        except OSError as error:
            self._server.stop()
            raise ListenError(address, _why(error)) from None
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        bound: tuple[Any, ...] = self._server.bind_addr
        return int(bound[1])

    def start(self) -> None:
        """Answer requests in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Let running answers finish and stop listening."""
        self._server.stop()
        self._thread.join()


def _why(error: OSError) -> str:
    """Cheroot wraps the socket's error in one of its own that only has a text."""
    text = str(error)
    if error.errno == errno.EADDRINUSE or "in use" in text:
        return "the port is taken by another program; give another --web.listen-address"
    return text


def _log_error(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    log.log(level, "%s", msg.strip(), exc_info=traceback)
