"""The web pages of `trunkwatch tickets`: `POST /alerts`, the tickets, health and metrics."""

import hmac
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from trunkwatch.errors import (
    BadDelivery,
    QueueFullError,
    SourceError,
    StoreError,
    TrunkwatchError,
)
from trunkwatch.web.answer import (
    TEXT,
    Answer,
    is_at_most,
    method_not_allowed,
    path_of,
)
from trunkwatch.web.program import TICKETS_PATH, Family, ProgramPages

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

ALERTS_PATH = "/alerts"

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a body; one alert takes about three thousand, so five thousand alerts fit."""

RETRY_SECONDS = 60
"""When a delivery that was not stored may be sent again: the next round has ended."""


class _Refused(Exception):  # noqa: N818 — an answer, not a failure
    """A rejected request, with the status and text of its answer."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class AlertPages(ProgramPages):
    """A WSGI application that receives Alertmanager's webhook."""

    def __init__(
        self,
        deliver: Callable[[Any], str],
        secret: Callable[[], bytes] | None,
        problems: Callable[[], list[str]],
        families: Callable[[], Iterable[Family]],
        count: Callable[[str], None],
        dead_threads: Callable[[], Sequence[str]] = list,
        tickets: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Args:
        deliver: stores a delivery and returns a summary; raises BadDelivery for an invalid one,
            StoreError or QueueFullError if it was not stored as a whole.
        secret: reads the bearer token of deliveries; None to accept all. Raises SourceError if
            it cannot be read.
        problems: returns the reasons for not being ready; empty if ready.
        families: returns the metrics of the process.
        count: called with the outcome of each delivery.
        dead_threads: returns the threads that must run and do not.
        tickets: returns the JSON object of the tickets.
        """
        super().__init__(TICKETS_PATH, tickets, problems, families, dead_threads)
        self._deliver = deliver
        self._secret = secret
        self._count = count

    def answer(self, environ: "WSGIEnvironment") -> Answer:
        """Return the answer to a request."""
        if path_of(environ) != ALERTS_PATH:
            return super().answer(environ)
        if environ["REQUEST_METHOD"] != "POST":
            return method_not_allowed("POST")
        return self._alerts(environ)

    # ------------------------------------------------------------------ deliveries

    def _alerts(self, environ: "WSGIEnvironment") -> Answer:
        try:
            self._check_token(environ)
            summary = self._delivered(_document(_body(environ)))
        except _Refused as refused:
            return self._refusal(refused.status, str(refused))
        except BadDelivery as error:
            return self._refusal(HTTPStatus.BAD_REQUEST, str(error))
        except StoreError as error:
            log.error("delivery not stored", extra={"error": error})
            text = "not stored; deliver it again"
            return self._refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
        except QueueFullError as error:
            return self._refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "overflow")
        self._count("accepted")
        return Answer("200 OK", TEXT, f"{summary}\n".encode())

    def _delivered(self, document: Any) -> str:
        try:
            return self._deliver(document)
        except TrunkwatchError:
            raise
        except Exception:
            # The server answers 500 and logs the traceback.
            self._count("failed")
            raise

    def _refusal(self, status: HTTPStatus, text: str, outcome: str = "") -> Answer:
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        unauthorized = status is HTTPStatus.UNAUTHORIZED
        usual = "failed" if failed else "unauthorized" if unauthorized else "malformed"
        self._count(outcome or usual)
        log.warning("delivery refused", extra={"status": status.value, "error": text})
        headers = (("WWW-Authenticate", "Bearer"),) if unauthorized else ()
        if failed:
            headers = (("Retry-After", str(RETRY_SECONDS)),)
        return Answer(f"{status.value} {status.phrase}", TEXT, f"{text}\n".encode(), headers)

    def _check_token(self, environ: "WSGIEnvironment") -> None:
        if self._secret is None:
            return
        try:
            expected = b"Bearer " + self._secret()
        except SourceError as error:
            log.error("token unreadable", extra={"error": error})
            text = "the token cannot be read, see the log; deliver it again"
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, text) from None
        given: str = environ.get("HTTP_AUTHORIZATION", "")
        if not hmac.compare_digest(given.encode("latin-1"), expected):
            raise _Refused(
                HTTPStatus.UNAUTHORIZED,
                "the bearer token is missing or wrong; give the receiver's http_config the token of"
                " --auth.token-file",
            )


def is_delivery(environ: "WSGIEnvironment") -> bool:
    """Return whether a request is a delivery, which may have a token of its own."""
    return path_of(environ) == ALERTS_PATH


def _body(environ: "WSGIEnvironment") -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or "HTTP_TRANSFER_ENCODING" in environ:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
    if not is_at_most(length, BODY_LIMIT):
        text = f"the body is larger than {BODY_LIMIT} bytes; set max_alerts in webhook_configs"
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    body: bytes = environ["wsgi.input"].read(int(length))
    if len(body) < int(length):
        raise _Refused(HTTPStatus.BAD_REQUEST, "the body is cut off")
    return body


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
