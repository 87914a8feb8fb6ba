"""The listener: uvicorn on a thread of its own, started and stopped cleanly."""

import asyncio
import errno
import logging
import resource
import socket
import threading
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import uvicorn

from trunkwatch.errors import ListenError, UsageError
from trunkwatch.process import ended_threads
from trunkwatch.quoting import quoted
from trunkwatch.web.answer import is_at_most
from trunkwatch.web.connection import SECONDS, Connection, Phase
from trunkwatch.web.gateway import HEAD_LIMIT_BYTES, Gateway
from trunkwatch.web.settings import WebSettings
from trunkwatch.web.tls import Handshake

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that may wait to be accepted: a matrix that starts sends all of its webhooks at
once."""

MAX_CONNECTIONS = 1_000
"""Open connections of a listener, if the process may open twice as many files."""

STOP_SECONDS = 2
"""How long running answers may take after a stop."""

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
    if not colon or not port.isdecimal() or not is_at_most(port, 65535):
        raise UsageError(f"{flag} {quoted(address)}: must be host:port or :port")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 — Prometheus' own default


class WebServer:
    """One listening address, answered by a WSGI application."""

    def __init__(
        self,
        address: str,
        application: "WSGIApplication",
        flag: str = LISTEN_FLAG,
        count_refused: Callable[[str], None] = lambda _: None,
        settings: WebSettings | None = None,
        has_own_secret: "Callable[[WSGIEnvironment], bool] | None" = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """Start to listen.

        Args:
            address: `host:port` or `:port`.
            application: answers the requests; see `Gateway`.
            flag: the name of the flag, for errors.
            count_refused: called with the reason when a connection or a request is refused.
            settings: of the web configuration, for this listener alone; HTTP without passwords by
                default.
            has_own_secret: returns whether the application itself authenticates a request, which
                then needs no password; None if it never does.
            max_connections: that may be open; the oldest waiting one is closed beyond it.

        Raises:
            ListenError: the address is taken or may not be used.
            UsageError: the address cannot be read.
        """
        max_open = _max_open(max_connections)
        backlog = min(BACKLOG, max_open)
        host, port = parse_address(address, flag)
        try:
            self._socket = _listen(host, port, backlog)
        except OSError as error:
            raise ListenError(address, _why(error, flag)) from None
        self.port: int = self._socket.getsockname()[1]
        """The port, also where the system chose it (port 0)."""
        self._count_refused = count_refused
        self._settings = settings or WebSettings(None)
        self._max_open = max_open
        self._gateway = Gateway(application, self._refused, self._settings, has_own_secret)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._gateway,
                http=self._protocol,  # type: ignore[arg-type]  # called as a class would be
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level=logging.CRITICAL,  # it logs each malformed request
                access_log=False,
                proxy_headers=False,
                server_header=False,
                headers=[("Server", "trunkwatch")],
                backlog=backlog,
                timeout_keep_alive=int(SECONDS[Phase.HEAD]),
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def local_url(self) -> str:
        """The address of the listener for a browser on this machine."""
        scheme = "http" if self._settings.current().tls is None else "https"
        return f"{scheme}://localhost:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        address = ip_address(self._socket.getsockname()[0].partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback

    def start(self) -> None:
        """Answer requests in a thread of its own."""
        self._thread.start()

    def dead_threads(self) -> list[str]:
        """Return the name of the thread if it has ended; for use before `stop`."""
        return ended_threads([self._thread])

    def begin_stop(self) -> None:
        """Let the running answers finish; `stop` waits for them."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Finish running answers and stop listening."""
        self.begin_stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()
        self._gateway.close()
        self._settings.close()

    def _protocol(self, *args: Any, **kwargs: Any) -> Connection | Handshake:
        """Return the protocol of a connection that has been accepted."""
        connection = Connection(self._refused, self._max_open, *args, **kwargs)
        settings = self._settings.current()
        if settings.tls is None:
            return connection
        return Handshake(connection, settings.tls, settings.allowed_sans, self._refused)

    def _refused(self, reason: str) -> None:
        self._count_refused(reason)
        log.warning("connection or request refused", extra={"reason": reason})

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        await self._server.serve(sockets=[self._socket])
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count a lack of file descriptors: asyncio would log a traceback for each connection."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            self._refused("no_file_descriptor")
        else:
            loop.default_exception_handler(context)


def _max_open(most: int) -> int:
    """Return how many connections may be open: half of the files, the rest is for the program."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files // 2))


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening socket; `::` also takes IPv4 connections."""
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = family is socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address[:2], family=family, backlog=backlog, dualstack_ipv6=both)


def _why(error: OSError, flag: str) -> str:
    """Return why listening failed."""
    if error.errno == errno.EADDRINUSE:
        return f"the port is taken by another program; give another {flag}"
    return error.strerror or str(error)
