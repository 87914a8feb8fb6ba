"""`POST /webhook/<source name>`: receives the webhook deliveries of sources.

The source verifies and parses its deliveries; limits, repeats and answers are the same for all.
Nothing is parsed before the source has verified the signature of the whole body.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from cachetools import TTLCache

from trunkwatch.errors import BadDelivery, BadSignature, SourceError, StoreError
from trunkwatch.sources import Delivery, DeliveryUpdate, WebhookSource
from trunkwatch.web.answer import (
    TEXT,
    Answer,
    Endpoint,
    is_at_most,
    method_not_allowed,
    path_of,
    respond,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

WEBHOOK_PREFIX = "/webhook/"

BODY_LIMIT_BYTES = 25 * 1024 * 1024
"""The largest body that is read; GitHub sends no larger one."""

REMEMBERED_DELIVERIES = 20_000
"""Deliveries by which repeats are detected, some ten megabytes: seven minutes at fifty a second. An
older one is stored again, which changes nothing: each result is stored once."""

REMEMBERED_SECONDS = 3 * 86_400.0
"""GitHub redelivers on request for three days."""

OFF = Answer(
    "404 Not Found",
    TEXT,
    b"no webhook here: a source with a webhook_secret_file has /webhook/<source name>\n",
)


@dataclass(frozen=True, slots=True)
class Hook:
    """The receiver of one path.

    Attributes:
        name: of the source; unique.
        source: verifies and parses its deliveries.
        ingest: stores an update; when it returns, the update cannot be lost. Raises StoreError.
    """

    name: str
    source: WebhookSource
    ingest: Callable[[DeliveryUpdate], None]


class _Reply(NamedTuple):
    """The end of a request.

    Attributes:
        status: of the answer.
        outcome: the label that it is counted by.
        text: of the answer.
    """

    status: HTTPStatus
    outcome: str
    text: str


class _Rejected(Exception):  # noqa: N818 — a reply that ends the request
    """A request that goes no further."""

    def __init__(self, status: HTTPStatus, outcome: str, text: str) -> None:
        super().__init__(text)
        self.reply = _Reply(status, outcome, text)


class Webhook:
    """The endpoint of all paths below /webhook/; every request is answered and counted once."""

    def __init__(
        self,
        hooks: Callable[[], Mapping[str, Hook]],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        hooks: returns the current receivers by path; a reload replaces them.
        count: counts a request by its outcome: accepted, ignored, duplicate, unsigned,
            bad_signature, too_large, malformed or failed.
        clock: seconds, for how long a delivery is remembered.
        """
        self._hooks = hooks
        self._count = count
        self._seen: TTLCache[tuple[str, str], None] = TTLCache(
            REMEMBERED_DELIVERIES, REMEMBERED_SECONDS, clock
        )
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment") -> Answer:
        """Answer one request."""
        hook = self._hooks().get(path_of(environ))
        if hook is None:
            return OFF
        if environ["REQUEST_METHOD"] != "POST":
            return method_not_allowed("POST")
        if not hook.source.webhook_enabled:
            return OFF
        try:
            reply = self._received(hook, environ)
        except _Rejected as rejected:
            reply = rejected.reply
        self._count(reply.outcome)
        status = f"{reply.status.value} {reply.status.phrase}"
        return Answer(status, TEXT, f"{reply.text}\n".encode())

    def _received(self, hook: Hook, environ: "WSGIEnvironment") -> _Reply:
        headers = _headers(environ)
        _check_length_and_type(environ)
        try:
            hook.source.check_headers(headers)
            delivery = hook.source.parse_delivery(headers, self._body(environ))
        except BadDelivery as error:
            raise _rejected(error, environ) from None
        except SourceError as error:
            raise self._secret_unreadable(hook, error) from None
        if delivery.is_ping:
            return _Reply(HTTPStatus.OK, "ignored", "pong")
        # Serialise deliveries, so that a concurrent duplicate is detected; the store takes one
        # at a time anyway.
        with self._lock:
            outcome = self._ingest_once(hook, delivery)
        return _Reply(HTTPStatus.ACCEPTED, outcome, outcome)

    def _secret_unreadable(self, hook: Hook, error: SourceError) -> _Rejected:
        problem = error.of(hook.name)
        log.error("webhook secret unreadable", extra={"source": hook.name, "error": problem})
        text = "a secret cannot be read, see the log; deliver it again later"
        return _Rejected(HTTPStatus.SERVICE_UNAVAILABLE, "failed", text)

    def _body(self, environ: "WSGIEnvironment") -> bytes:
        length = int(environ["CONTENT_LENGTH"])
        try:
            body: bytes = environ["wsgi.input"].read(length)
        except OSError:
            # The sender was too slow or has disconnected; the server closes the connection.
            self._count("malformed")
            raise
        if len(body) < length:
            raise _Rejected(HTTPStatus.BAD_REQUEST, "malformed", "the body is cut off")
        return body

    def _ingest_once(self, hook: Hook, delivery: Delivery) -> str:
        key = (hook.name, delivery.id)
        if key in self._seen:
            return "duplicate"
        if delivery.update is None:
            # Not remembered: the configuration may watch its trunk when it is sent again.
            return "ignored"
        self._ingest(hook, delivery.update)
        self._seen[key] = None
        return "accepted"

    def _ingest(self, hook: Hook, update: DeliveryUpdate) -> None:
        try:
            hook.ingest(update)
        except StoreError as error:
            log.error("delivery not stored", extra={"source": hook.name, "error": error})
            text = "not stored; deliver it again later"
            raise _Rejected(HTTPStatus.SERVICE_UNAVAILABLE, "failed", text) from None
        except Exception:
            # The server answers 500 and logs the traceback.
            self._count("failed")
            raise


class WebhookOnly:
    """A WSGI application that serves webhooks and nothing else, for a listener of its own."""

    def __init__(self, webhook: Endpoint) -> None:
        """Args:
        webhook: answers the deliveries.
        """
        self._webhook = webhook

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        if path_of(environ).startswith(WEBHOOK_PREFIX):
            answer = self._webhook(environ)
        else:
            answer = Answer("404 Not Found", TEXT, b"nothing is served here\n")
        return respond(answer, environ, start_response)


# ---------------------------------------------------------------------- one request


def _headers(environ: "WSGIEnvironment") -> Mapping[str, str]:
    """Return the headers of a request by their lower-case names."""
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def _check_length_and_type(environ: "WSGIEnvironment") -> None:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or "HTTP_TRANSFER_ENCODING" in environ:
        raise _Rejected(HTTPStatus.LENGTH_REQUIRED, "malformed", "Content-Length is missing")
    if not is_at_most(length, BODY_LIMIT_BYTES):
        text = f"the body is larger than {BODY_LIMIT_BYTES} bytes"
        raise _Rejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", text)
    media_type = (environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        text = "choose the content type application/json in the webhook's settings"
        raise _Rejected(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "malformed", text)


def _rejected(error: BadDelivery, environ: "WSGIEnvironment") -> _Rejected:
    if isinstance(error, BadSignature):
        log.info("signature does not match", extra={"remote": environ.get("REMOTE_ADDR")})
    malformed = error.outcome == BadDelivery.outcome
    status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNAUTHORIZED
    return _Rejected(status, error.outcome, str(error))
