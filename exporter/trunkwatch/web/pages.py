"""The pages: a WSGI application over the newest snapshot. It sends no request to CI."""

import html
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from trunkwatch.engine.snapshot import Snapshot, TrunkState, readiness_problems
from trunkwatch.metrics.exposition import Exposition, choose_format
from trunkwatch.report.document import CompareUrls, document_of_trunks
from trunkwatch.report.page import landing_page
from trunkwatch.web.answer import (
    NOT_FOUND,
    TEXT,
    Answer,
    Endpoint,
    method_not_allowed,
    path_of,
    respond,
)
from trunkwatch.web.webhook import WEBHOOK_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

TRUNK_PREFIX = "/api/v1/trunk/"


@dataclass(frozen=True)
class View:
    """The data behind the pages; replaced as a whole when the configuration is reloaded.

    Attributes:
        snapshot: returns the newest snapshot.
        compare_urls: per trunk, the address that compares two commits.
    """

    snapshot: Callable[[], Snapshot]
    compare_urls: CompareUrls = field(default_factory=dict)


class Pages:
    """The WSGI application."""

    def __init__(
        self,
        view: Callable[[], View],
        exposition: Exposition,
        clock: Callable[[], float],
        version: str,
        webhook: Endpoint | None = None,
    ) -> None:
        """Args:
        view: returns the current data.
        exposition: renders `/metrics`.
        clock: seconds since the epoch, for the age of data.
        version: shown on the landing page.
        webhook: answers everything below /webhook/; None where a listener of its own does.
        """
        self._view = view
        self._exposition = exposition
        self._clock = clock
        self._version = version
        self._webhook = webhook
        self._routes: Mapping[str, Endpoint] = MappingProxyType(
            {
                "/": self._landing,
                "/metrics": self._metrics,
                "/-/healthy": self._healthy,
                "/-/ready": self._ready,
            }
        )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        return respond(self._answer(environ), environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        path, method = path_of(environ), environ["REQUEST_METHOD"]
        if self._webhook is not None and path.startswith(WEBHOOK_PREFIX):
            return self._webhook(environ)
        if method not in ("GET", "HEAD"):
            return method_not_allowed("GET", "HEAD")
        if path.startswith(TRUNK_PREFIX):
            return self._trunk(path.removeprefix(TRUNK_PREFIX))
        page = self._routes.get(path)
        return page(environ) if page else NOT_FOUND

    # ------------------------------------------------------------------ pages

    def _metrics(self, environ: "WSGIEnvironment") -> Answer:
        form = choose_format(environ.get("HTTP_ACCEPT", ""))
        zipped = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        body = self._exposition.answer(form, zipped=zipped)
        encoding = (("Content-Encoding", "gzip"),) if zipped else ()
        return Answer(
            "200 OK", form.content_type, body, (("Vary", "Accept, Accept-Encoding"), *encoding)
        )

    def _trunk(self, name: str) -> Answer:
        """Find a trunk by comparing: both a repo and a branch may contain slashes."""
        view = self._view()
        snapshot = view.snapshot()
        # The server does not decode %2F; clients may encode any of the slashes.
        plain = name.replace("%2F", "/").replace("%2f", "/")
        found = _called(name, snapshot.trunks) or _called(plain, snapshot.trunks)
        if not found:
            return _json("404 Not Found", {"error": _unknown_trunk(name, snapshot.trunks)})
        answer = document_of_trunks(snapshot, found, view.compare_urls, self._clock())
        return _json("200 OK", answer)

    def _landing(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        view = self._view()
        page = landing_page(view.snapshot(), view.compare_urls, self._version, self._clock())
        return Answer("200 OK", "text/html; charset=utf-8", page.encode())

    def _healthy(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        return Answer("200 OK", TEXT, b"healthy\n")

    def _ready(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        problems = readiness_problems(self._view().snapshot(), self._clock())
        if problems:
            text = "".join(f"not ready: {problem}\n" for problem in problems)
            return Answer("503 Service Unavailable", TEXT, text.encode())
        return Answer("200 OK", TEXT, b"ready\n")


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3)."""
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name in ("gzip", "*"):
            return not any(
                p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters
            )
    return False


def _called(name: str, trunks: Iterable[TrunkState]) -> list[TrunkState]:
    return [trunk for trunk in trunks if "/".join(trunk.trunk) == name]


def _json(status: str, content: object) -> Answer:
    body = json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"
    return Answer(status, "application/json; charset=utf-8", body)


def _unknown_trunk(name: str, trunks: Iterable[TrunkState]) -> str:
    known = ", ".join(quote("/".join(trunk.trunk)) for trunk in trunks) or "none yet"
    return f"no trunk {html.escape(name)}; known: {known}"
