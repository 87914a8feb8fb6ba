"""From uvicorn's event loop (ASGI) to applications that are plain functions (WSGI, PEP 3333).

A thread runs an application for as long as it computes: a client that is slow to send a body or to
read an answer keeps a connection, but no thread.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from trunkwatch.web.answer import is_at_most, with_security
from trunkwatch.web.login import Login
from trunkwatch.web.settings import Settings, WebSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

log = logging.getLogger(__name__)

PAGE_THREADS = 8
"""Requests without a body that are answered at once."""

DELIVERY_THREADS = 8
"""Requests with a body that are handled at once; they wait for the store, and scrapes must not wait
for them."""

HEAD_LIMIT_BYTES = 65_536
"""The longest headers of a request; legitimate clients send less than a hundredth of that."""

BURST_BYTES = 1024 * 1024
"""Bytes of an answer that are sent before other answers have their turn: a scrape must not wait
after each chunk for clients that read megabytes."""

DRAIN_LIMIT_BYTES = 65_536
"""An unwanted body up to this length is read and dropped, so that the sender sees the answer and
can reuse the connection; after a longer one the connection is closed."""

BODIES_LIMIT_BYTES = 128 * 1024 * 1024
"""Bodies that are in memory at once; five of the largest that GitHub sends."""


class BodyLostError(ConnectionError):
    """The client was too slow or has disconnected before its body was complete."""


class _BadTargetError(ValueError):
    """The target of a request has the absolute form, and is no address."""


class _BodyNeeded(Exception):  # noqa: N818 — not an error
    """The application accepts the body of its request."""


class _Input:
    """`wsgi.input` before the body has arrived."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        del size
        raise self._error


class _Reply(NamedTuple):
    """An answer of which the first part is rendered.

    Attributes:
        status: of the answer.
        headers: of the answer.
        first: part of its body.
        rest: further parts, rendered while they are sent.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    first: bytes
    rest: Iterator[bytes]


def _plain(status: HTTPStatus, text: str = "", *more: tuple[bytes, bytes]) -> _Reply:
    body = f"{text or status.phrase}\n".encode()
    headers = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", str(len(body)).encode()),
        *more,
    ]
    return _Reply(status.value, headers, body, iter(()))


class Gateway:
    """An ASGI application that runs a WSGI application in a bounded number of threads.

    The application is called before the body has arrived. If it reads the body, it is called once
    more when the body is complete: until it reads, it must not change anything.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        refused: Callable[[str], None],
        settings: WebSettings,
        has_own_secret: "Callable[[WSGIEnvironment], bool] | None" = None,
    ) -> None:
        """Args:
        application: answers the requests; reads `wsgi.input` only by `read(CONTENT_LENGTH)`.
        refused: called with the reason when a request is refused here.
        settings: passwords and headers.
        has_own_secret: returns whether the application itself authenticates a request; None if
            it never does.
        """
        self._settings = settings
        self._has_own_secret = has_own_secret
        self._application = application
        self._refused = refused
        self._pages = ThreadPoolExecutor(PAGE_THREADS, "web-page")
        self._deliveries = ThreadPoolExecutor(DELIVERY_THREADS, "web-delivery")
        self._held_bytes = 0

    def close(self) -> None:
        """Start no more requests."""
        for pool in (self._pages, self._deliveries):
            pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(
        self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable"
    ) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        settings = self._settings.current()
        environ: WSGIEnvironment = {}
        try:
            environ = _environ(scope)
            refusal = await self._refusal(scope, environ, settings)
            if refusal is None:
                reply, is_read = await self._reply(environ, receive)
            else:
                reply, is_read = refusal, False
        except BodyLostError:
            return
        except _BadTargetError:
            self._refused("malformed")
            reply, is_read = _plain(HTTPStatus.BAD_REQUEST), False
        except Exception as error:
            path = environ.get("PATH_INFO", "")
            log.error("request failed", extra={"path": path}, exc_info=error)
            reply, is_read = _plain(HTTPStatus.INTERNAL_SERVER_ERROR), False
        headers = reply.headers
        if not is_read and not (environ and _can_skip_body(environ)):
            headers = [*headers, (b"Connection", b"close")]
        headers = with_security(headers, settings.headers)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        chunk, sent = reply.first, 0
        for following in reply.rest:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent += len(chunk)
            if sent >= BURST_BYTES:
                await asyncio.sleep(0)  # `send` waits for slow clients alone.
            chunk = following
        await send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def _refusal(
        self, scope: "HTTPScope", environ: "WSGIEnvironment", settings: Settings
    ) -> _Reply | None:
        """Return the answer to a request that the application must not see; None for others."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_LIMIT_BYTES:
            self._refused("head_too_large")
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not settings.logins or (self._has_own_secret and self._has_own_secret(environ)):
            return None
        header, client = environ.get("HTTP_AUTHORIZATION", ""), environ["REMOTE_ADDR"]
        login = await settings.logins.check(header, client)
        if login is Login.ACCEPTED:
            return None
        if login is Login.BUSY:
            self._refused("too_many_logins")
            text = "too many passwords are being checked; try again later"
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, text, (b"Retry-After", b"5"))
        self._refused("unauthorized")
        challenge = (b"WWW-Authenticate", b'Basic realm="trunkwatch", charset="UTF-8"')
        return _plain(HTTPStatus.UNAUTHORIZED, "", challenge)

    async def _reply(
        self, environ: "WSGIEnvironment", receive: "ASGIReceiveCallable"
    ) -> tuple[_Reply, bool]:
        """Return the answer, and whether the body has been read."""
        try:
            return await self._run(environ, _Input(_BodyNeeded())), False
        except _BodyNeeded:
            pass
        parts: list[bytes] = []
        try:
            async for part in _body(receive):
                parts.append(part)
                self._held_bytes += len(part)
                if self._held_bytes > BODIES_LIMIT_BYTES:
                    self._refused("too_many_bodies")
                    text = "too many large bodies at once; deliver it again later"
                    return _plain(HTTPStatus.SERVICE_UNAVAILABLE, text), False
            return await self._run(environ, BytesIO(b"".join(parts))), True
        except BodyLostError as error:
            return await self._run(environ, _Input(error)), True
        finally:
            self._held_bytes -= sum(map(len, parts))

    async def _run(self, environ: "WSGIEnvironment", body: Any) -> _Reply:
        """Call the application in a thread."""
        has_body = environ["REQUEST_METHOD"] not in ("GET", "HEAD")
        pool = self._deliveries if has_body else self._pages
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            pool, _called, self._application, {**environ, "wsgi.input": body}
        )


def _called(application: "WSGIApplication", environ: "WSGIEnvironment") -> _Reply:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        del exc_info
        started.append((status, headers))
        return lambda _: None  # nothing here uses the obsolete `write`

    body: Iterable[bytes] = application(environ, start_response)
    chunks = iter(body)
    first = next(chunks, b"")
    status, headers = started[-1]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return _Reply(int(status.split()[0]), encoded, first, chunks)


async def _body(receive: "ASGIReceiveCallable") -> Any:
    """Yield the body in parts.

    Raises:
        BodyLostError: it will not be complete.
    """
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BodyLostError("the body is cut off")
        yield message["body"]
        if not message["more_body"]:
            return


def _can_skip_body(environ: "WSGIEnvironment") -> bool:
    length = environ.get("CONTENT_LENGTH", "0")
    is_short = length.isdecimal() and is_at_most(length, DRAIN_LIMIT_BYTES)
    return is_short and "HTTP_TRANSFER_ENCODING" not in environ


def _environ(scope: "HTTPScope") -> "WSGIEnvironment":
    """Return the environment of a request without its body.

    Raises:
        _BadTargetError: the target is no address.
    """
    target = scope["raw_path"] or b"/"
    if not target.startswith(b"/"):
        try:
            target = urlsplit(target).path or b"/"  # RFC 9112, 3.2.2: a proxy's absolute form
        except ValueError:  # brackets that do not close, or hold no address
            raise _BadTargetError from None
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": unquote_to_bytes(target).decode("latin-1"),
        "REQUEST_URI": target.decode("latin-1"),  # not decoded: %2F is no slash
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.url_scheme": scope["scheme"],
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # It would hide the header with hyphens.
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    return environ
