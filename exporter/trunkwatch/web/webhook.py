"""`POST /webhook/github`: takes what GitHub tells on its own.

What GitHub sends stands at https://docs.github.com/en/webhooks/webhook-events-and-payloads. Nothing
is believed, and nothing parsed, before the signature of the whole body has been checked.
"""

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import TTLCache

from trunkwatch.errors import BadDelivery, SourceError, StoreError
from trunkwatch.web.answer import TEXT, Answer, Endpoint, give, only, path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

WEBHOOK_PATH = "/webhook/github"

BODY_LIMIT = 25 * 1024 * 1024
"""Bytes of a body; GitHub itself sends no larger one."""

SEEN_LIMIT = 20_000
"""Deliveries that are remembered, some ten megabytes: seven minutes at fifty a second. An older one
that comes again is taken again, which changes nothing: results are stored once each."""

SEEN_SECONDS = 3 * 86_400.0
"""Seconds that a delivery is remembered: GitHub sends one again on request for three days."""

LONGEST_NAME = 100
"""Characters of an event's name and of a delivery's id; GitHub's ids have 36."""

UNREADABLE = b""
"""Stands for a secret that should be there and cannot be read; it signs nothing."""

OFF = Answer("404 Not Found", TEXT, b"webhooks are off: no source has a webhook_secret_file\n")


class Delivery(Enum):
    """What became of a delivery."""

    TAKEN = "accepted"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Hook:
    """One receiver of deliveries.

    Attributes:
        name: unique; of its source.
        secret: returns what deliveries for it are signed with, read anew; None while it is off.
            Raises SourceError where there should be one and it cannot be read.
        deliver: stores a delivery, given its event, its id and its body. Raises BadDelivery for a
            body that is not what GitHub documents, and StoreError when it could not be stored.
    """

    name: str
    secret: Callable[[], bytes | None]
    deliver: Callable[[str, str, Mapping[str, Any]], Delivery]


class _Reply(NamedTuple):
    """How a request ends.

    Attributes:
        status: of the answer.
        outcome: the word that it is counted by.
        text: of the answer.
    """

    status: HTTPStatus
    outcome: str
    text: str


class _Refused(Exception):  # noqa: N818 — an answer on its way out
    """A request that goes no further."""

    def __init__(self, status: HTTPStatus, outcome: str, text: str) -> None:
        super().__init__(text)
        self.reply = _Reply(status, outcome, text)


class Webhook:
    """The endpoint: every request ends in one answer and one count."""

    def __init__(
        self,
        hooks: Callable[[], Sequence[Hook]],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        hooks: returns who receives deliveries now; a reload changes that.
        count: is told how each request ended: accepted, ignored, duplicate, unsigned,
            bad_signature, too_large, malformed or failed.
        clock: seconds, for how long a delivery is remembered.
        """
        self._hooks = hooks
        self._count = count
        self._seen: TTLCache[tuple[str, str], None] = TTLCache(SEEN_LIMIT, SEEN_SECONDS, clock)
        self._lock = threading.Lock()
        self._unreadable = ""

    def __call__(self, environ: "WSGIEnvironment") -> Answer:
        """Answer one POST."""
        secrets = [(hook, self._secret(hook)) for hook in self._hooks()]
        if all(secret is None for _, secret in secrets):
            return OFF
        try:
            signature = _checked_headers(environ)
            body = self._body(environ)
            takers = [hook for hook, secret in secrets if _signed(body, secret, signature)]
            if not takers:
                raise _unsigned(environ, unreadable=UNREADABLE in [s for _, s in secrets])
            reply = self._told(environ, takers, body)
        except _Refused as refused:
            reply = refused.reply
        self._count(reply.outcome)
        status = f"{reply.status.value} {reply.status.phrase}"
        return Answer(status, TEXT, f"{reply.text}\n".encode())

    def _secret(self, hook: Hook) -> bytes | None:
        """Return a hook's secret, or None while it is off."""
        try:
            return hook.secret()
        except SourceError as error:
            # Once, and not at each of the requests that anybody may send.
            if str(error) != self._unreadable:
                log.error("webhook: %s", error)
            self._unreadable = str(error)
            return UNREADABLE

    def _body(self, environ: "WSGIEnvironment") -> bytes:
        length = int(environ["CONTENT_LENGTH"])
        try:
            body: bytes = environ["wsgi.input"].read(length)
        except OSError:
            # The sender was too slow or has gone; the server closes the connection.
            self._count("malformed")
            raise
        if len(body) < length:
            raise _Refused(HTTPStatus.BAD_REQUEST, "malformed", "the body is cut off")
        return body

    def _told(self, environ: "WSGIEnvironment", takers: Sequence[Hook], body: bytes) -> _Reply:
        """Hand on a delivery to those whose secret it is signed with."""
        event, number = _named(environ, "Event"), _named(environ, "Delivery")
        if event == "ping":
            return _Reply(HTTPStatus.OK, "ignored", "pong")
        document = _object(body)
        with self._lock:
            # One at a time, so that one that comes twice at once is taken once. That costs nothing:
            # the store takes them one at a time too.
            return self._delivered(takers, event, number, document)

    def _delivered(
        self, takers: Sequence[Hook], event: str, number: str, document: Mapping[str, Any]
    ) -> _Reply:
        new = [hook for hook in takers if (hook.name, number) not in self._seen]
        became: set[Delivery] = set()
        for hook in new:
            became.add(self._deliver(hook, event, number, document))
            self._seen[hook.name, number] = None
        if not new:
            return _Reply(HTTPStatus.ACCEPTED, "duplicate", "duplicate")
        word = (Delivery.TAKEN if Delivery.TAKEN in became else Delivery.IGNORED).value
        return _Reply(HTTPStatus.ACCEPTED, word, word)

    def _deliver(
        self, hook: Hook, event: str, number: str, document: Mapping[str, Any]
    ) -> Delivery:
        try:
            return hook.deliver(event, number, document)
        except BadDelivery as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "malformed", str(error)) from None
        except StoreError as error:
            log.error("webhook: a delivery for %s was not stored: %s", hook.name, error)
            raise _Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "failed", "not stored; deliver it again later"
            ) from None
        except Exception:
            # A mistake of ours: the server says 500 and logs it.
            self._count("failed")
            raise


class WebhookOnly:
    """A WSGI application that serves the webhook and nothing else, for a listener of its own."""

    def __init__(self, webhook: Endpoint) -> None:
        """Args:
        webhook: answers the deliveries.
        """
        self._webhook = webhook

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        return give(self._answer(environ), environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        if path_of(environ) != WEBHOOK_PATH:
            return Answer("404 Not Found", TEXT, b"nothing is served here\n")
        return self._webhook(environ) if environ["REQUEST_METHOD"] == "POST" else only("POST")


# ---------------------------------------------------------------------- one request


def _checked_headers(environ: "WSGIEnvironment") -> bytes:
    """Return the signature, when the headers leave a reason to read the body."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or "HTTP_TRANSFER_ENCODING" in environ:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED, "malformed", "Content-Length is missing")
    if int(length) > BODY_LIMIT:
        text = f"the body is larger than {BODY_LIMIT} bytes"
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", text)
    media_type = (environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise _Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "malformed",
            "choose the content type application/json in the webhook's settings",
        )
    signature: str | None = environ.get("HTTP_X_HUB_SIGNATURE_256")
    if not signature:
        raise _Refused(
            HTTPStatus.UNAUTHORIZED,
            "unsigned",
            "X-Hub-Signature-256 is missing; give the webhook the secret of the configuration",
        )
    return signature.encode("latin-1")


def _unsigned(environ: "WSGIEnvironment", *, unreadable: bool) -> _Refused:
    """Return the answer to a signature that fits no secret."""
    if unreadable:
        text = "a secret cannot be read, see the log; deliver it again later"
        return _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "failed", text)
    log.info("webhook: a signature from %s fits no secret", environ.get("REMOTE_ADDR"))
    text = "the signature fits no secret: is the webhook's secret that of the configuration?"
    return _Refused(HTTPStatus.UNAUTHORIZED, "bad_signature", text)


def _signed(body: bytes, secret: bytes | None, signature: bytes) -> bool:
    """Whether a body is signed with a secret, found out in a time that does not tell how nearly."""
    if not secret:
        return False
    right = b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(right, signature)


def _named(environ: "WSGIEnvironment", what: str) -> str:
    """Return what one of GitHub's own headers says."""
    value: str = environ.get(f"HTTP_X_GITHUB_{what.upper()}", "")
    if not 0 < len(value) <= LONGEST_NAME:
        text = f"X-GitHub-{what} is missing or too long"
        raise _Refused(HTTPStatus.BAD_REQUEST, "malformed", text)
    return value


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _Refused(HTTPStatus.BAD_REQUEST, "malformed", "the body is not a JSON object")
    return document
