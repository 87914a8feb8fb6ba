"""`POST /alerts` and what watches it: the web of `trunkwatch tickets`."""

import hmac
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trunkwatch.errors import BadDelivery, SourceError, StoreError
from trunkwatch.web.answer import NOT_FOUND, TEXT, Answer, method_not_allowed, path_of, respond

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

ALERTS_PATH = "/alerts"

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a body; an alert of ours has about three thousand, so five thousand of them fit."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = tuple[str, str, str, Iterable[tuple[dict[str, str], float]]]
"""Name, `counter` or `gauge`, help, and the samples by their labels."""


class _Refused(Exception):  # noqa: N818 — an answer on its way out
    """A request that goes no further."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class AlertPages:
    """A WSGI application that takes Alertmanager's webhook and tells how it goes."""

    def __init__(
        self,
        deliver: Callable[[Any], str],
        secret: Callable[[], bytes] | None,
        problems: Callable[[], list[str]],
        families: Callable[[], Iterable[Family]],
        count: Callable[[str], None],
    ) -> None:
        """Args:
        deliver: stores a delivery and says what it took; raises BadDelivery for one that is not
            what Alertmanager documents, and StoreError when it could not be stored.
        secret: returns the bearer token that deliveries have to bring, read anew; None for none.
            Raises SourceError where it cannot be read.
        problems: says what is not to be relied on; nothing when all is well.
        families: of the process' own metrics.
        count: is told how each delivery ended.
        """
        self._deliver = deliver
        self._secret = secret
        self._problems = problems
        self._families = families
        self._count = count

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        return respond(self._answer(environ), environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        path, method = path_of(environ), environ["REQUEST_METHOD"]
        if path == ALERTS_PATH:
            return self._alerts(environ) if method == "POST" else method_not_allowed("POST")
        pages = {"/-/healthy": self._healthy, "/-/ready": self._ready, "/metrics": self._metrics}
        if path not in pages:
            return NOT_FOUND
        return pages[path]() if method in ("GET", "HEAD") else method_not_allowed("GET", "HEAD")

    # ------------------------------------------------------------------ deliveries

    def _alerts(self, environ: "WSGIEnvironment") -> Answer:
        try:
            self._check_token(environ)
            said = self._deliver(_document(_body(environ)))
        except _Refused as refused:
            return self._refusal(refused.status, str(refused))
        except BadDelivery as error:
            return self._refusal(HTTPStatus.BAD_REQUEST, str(error))
        except StoreError as error:
            log.error("a delivery was not stored: %s", error)
            said = "not stored; deliver it again"
            return self._refusal(HTTPStatus.SERVICE_UNAVAILABLE, said)
        self._count("accepted")
        return Answer("200 OK", TEXT, f"{said}\n".encode())

    def _refusal(self, status: HTTPStatus, text: str) -> Answer:
        late = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        unknown = status is HTTPStatus.UNAUTHORIZED
        self._count("failed" if late else "unauthorized" if unknown else "malformed")
        log.warning("a delivery was refused: %s", text)
        asks = (("WWW-Authenticate", "Bearer"),) if unknown else ()
        return Answer(f"{status.value} {status.phrase}", TEXT, f"{text}\n".encode(), asks)

    def _check_token(self, environ: "WSGIEnvironment") -> None:
        if self._secret is None:
            return
        try:
            wanted = b"Bearer " + self._secret()
        except SourceError as error:
            log.error("%s", error)
            text = "the token cannot be read, see the log; deliver it again"
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, text) from None
        given: str = environ.get("HTTP_AUTHORIZATION", "")
        if not hmac.compare_digest(given.encode("latin-1"), wanted):
            raise _Refused(
                HTTPStatus.UNAUTHORIZED,
                "the bearer token is missing or wrong; give the receiver's http_config the token of"
                " --auth.token-file",
            )

    # ------------------------------------------------------------------ how it goes

    def _healthy(self) -> Answer:
        return Answer("200 OK", TEXT, b"healthy\n")

    def _ready(self) -> Answer:
        problems = self._problems()
        if problems:
            text = "".join(f"not ready: {problem}\n" for problem in problems)
            return Answer("503 Service Unavailable", TEXT, text.encode())
        return Answer("200 OK", TEXT, b"ready\n")

    def _metrics(self) -> Answer:
        return Answer("200 OK", METRICS_TYPE, generate_latest(_Collected(self._families())))


class _Collected(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for name, kind, text, samples in self._families:
            made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family: Metric = made(name, text)
            for labels, value in samples:
                family.add_sample(name, labels, value)
            yield family


def _body(environ: "WSGIEnvironment") -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or "HTTP_TRANSFER_ENCODING" in environ:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
    if int(length) > BODY_LIMIT:
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
