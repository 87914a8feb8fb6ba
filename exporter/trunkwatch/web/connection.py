"""One connection: uvicorn's HTTP/1.1 protocol, with deadlines for what the client has to do.

uvicorn closes a connection that is idle between two requests, but waits without end for the rest of
a request and for a client to read an answer.
"""

import asyncio
import sys
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from trunkwatch.web.answer import SECURITY_HEADERS
from trunkwatch.web.tls import Handshake

if TYPE_CHECKING:
    from uvicorn.server import ServerState


class Phase(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    READER = "reader"
    CLOSE = "close"


SECONDS = {Phase.HEAD: 10.0, Phase.BODY: 30.0, Phase.READER: 30.0, Phase.CLOSE: 10.0}
"""How long a client may take: to send the head of a request, the body, to read the buffered part of
an answer, and to read the rest after the connection is closed here."""


class Connection(H11Protocol):
    """A connection that is closed when its client is late, or when newer ones need its place."""

    def __init__(
        self,
        refused: Callable[[str], None],
        max_open: int,
        config: Config,
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Args:
        refused: called with the reason when a client is refused.
        max_open: connections of the listener that may be open.
        config: as every protocol of uvicorn gets it; likewise the rest.
        server_state: holds the open connections.
        app_state: not used here.
        """
        super().__init__(config, server_state, app_state, _loop)
        self._refused = refused
        self._max_open = max_open
        self._waits: tuple[Phase, object, bool] | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ events of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection."""
        super().connection_made(transport)
        self._watch()
        self.admit(self)

    def data_received(self, data: bytes) -> None:
        """Parse data from the client."""
        super().data_received(data)
        self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]  # as in asyncio
        """Refuse half a request; keep the connection for the answer to a whole one."""
        phase = self._phase()
        if phase is Phase.BODY or (phase is Phase.HEAD and self._has_part_of_head()):
            self._refuse(HTTPStatus.BAD_REQUEST)
        elif phase in (Phase.ANSWER, Phase.READER) and self.scheme == "http":
            self.cycle.keep_alive = False
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_timer()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._watch()

    def admit(self, newest: "Connection | Handshake") -> None:
        """Count a new connection; close the one that has waited for longest if need be."""
        self.connections.add(newest)  # type: ignore[arg-type]  # uvicorn only calls `shutdown`
        if len(self.connections) > self._max_open:
            self._make_room(newest)

    # ------------------------------------------------------------------ events of uvicorn

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, with the status that h11 proposes."""
        del msg
        error = sys.exception()
        status = HTTPStatus.BAD_REQUEST
        if isinstance(error, h11.RemoteProtocolError):
            status = HTTPStatus(error.error_status_hint)
        is_long = status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refused("head_too_large" if is_long else "malformed")
        self._refuse(status)

    def shutdown(self) -> None:
        """Close at once, unless an answer is under way."""
        if self._phase() in (Phase.ANSWER, Phase.READER):
            self.cycle.keep_alive = False
        else:
            self.transport.abort()

    # ------------------------------------------------------------------ deadlines

    def _phase(self) -> Phase:
        if self.transport.is_closing():
            return Phase.CLOSE
        if self.flow.write_paused:
            return Phase.READER
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY
        return Phase.HEAD if self.conn.their_state is h11.IDLE else Phase.ANSWER

    def _has_part_of_head(self) -> bool:
        return bool(self.conn.trailing_data[0])

    def _watch(self) -> None:
        """Start the timer anew if the connection waits for something else than before."""
        phase = self._phase()
        # The first byte after a pause between requests starts the time of a head.
        waits = (phase, self.cycle, phase is Phase.HEAD and self._has_part_of_head())
        if waits == self._waits:
            return
        self._waits, self._since = waits, self.loop.time()
        self._stop_timer()
        if phase in SECONDS and self in self.connections:
            self._timer = self.loop.call_later(SECONDS[phase], self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        phase = self._phase()
        is_between_requests = phase is Phase.HEAD and self.cycle and not self._has_part_of_head()
        if phase is not Phase.CLOSE and not is_between_requests:
            self._refused(f"late_{phase.value}")
        if phase is Phase.BODY or (phase is Phase.HEAD and self._has_part_of_head()):
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        elif phase is Phase.HEAD and not self.transport.get_write_buffer_size():
            self.transport.close()
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer the request unless an answer has begun, and close the connection."""
        if self.cycle is not None:
            # What its application sends from now on is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = f"{status.phrase}\n".encode()
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(text))),
                ("Connection", "close"),
                *SECURITY_HEADERS,
            ]
            response = h11.Response(
                status_code=status.value, headers=headers, reason=status.phrase.encode()
            )
            for event in (response, h11.Data(data=text), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._watch()

    # ------------------------------------------------------------------ the number of connections

    def _make_room(self, newest: "Connection | Handshake") -> None:
        """Close the connection that has waited for its client for longest; idle ones first."""
        self._refused("too_many_connections")
        places = [(_place(other), other) for other in self.connections if other is not newest]
        waiting = [(place, other) for place, other in places if place is not None]
        _, closed = min(waiting, key=lambda pair: pair[0], default=((False, 0.0), newest))
        closed.transport.abort()
        # The transport reports the loss later, and more may be accepted until then.
        self.connections.discard(closed)

    @property
    def place(self) -> tuple[bool, float] | None:
        """When it is closed for others: whether it has begun a request, and since when it waits."""
        if self._waits is None or self._waits[0] is Phase.ANSWER:
            return None
        return self._waits[0] is not Phase.HEAD, self._since


def _place(other: object) -> tuple[bool, float] | None:
    if isinstance(other, Handshake):
        return False, other.since
    return other.place if isinstance(other, Connection) else None
