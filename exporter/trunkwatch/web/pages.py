"""The pages: a WSGI application over the newest snapshot. It sends no request to CI."""

import html
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from trunkwatch.addresses import other_readings, read_path
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.cells import CELLS_LIMIT
from trunkwatch.engine.snapshot import TrunkState, readiness_problems
from trunkwatch.html.filters import QUERY_LIMIT, number
from trunkwatch.metrics.exposition import Exposition, choose_format
from trunkwatch.report.document import Surroundings, trunk_list_object
from trunkwatch.report.schema import schema_text
from trunkwatch.report.trunk_text import TrunkTexts
from trunkwatch.web.answer import (
    JSON,
    NOT_FOUND,
    TEXT,
    Answer,
    Endpoint,
    health,
    json_error,
    method_not_allowed,
    negotiated,
    path_of,
    readiness,
    redirect_to_shard,
    respond,
)
from trunkwatch.web.attempts import attempts_answer
from trunkwatch.web.reading import ColumnReader
from trunkwatch.web.site import Site
from trunkwatch.web.view import View
from trunkwatch.web.webhook import WEBHOOK_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

METRICS_PATH = "/metrics"

API = "/api/v1"
TRUNK_PREFIX = f"{API}/trunk/"
TRUNKS_PATH = f"{API}/trunks"
SCHEMA_PATH = f"{API}/schema"


class Pages:
    """The WSGI application."""

    def __init__(
        self,
        view: Callable[[], View],
        exposition: Exposition,
        clock: Callable[[], float],
        version: str,
        webhook: Endpoint | None = None,
        *,
        has_metrics: bool = True,
        dead_threads: Callable[[], Sequence[str]] = list,
        problems: Callable[[], Sequence[str]] = list,
        before_scrape: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        view: returns the current data.
        exposition: renders `/metrics`.
        clock: seconds since the epoch, for the age of data.
        version: shown on each page.
        webhook: answers everything below /webhook/; None where a listener of its own does.
        has_metrics: False where `/metrics` has a listener of its own (`MetricsOnly`).
        dead_threads: returns the threads that must run and do not.
        problems: returns what else makes the process not ready.
        before_scrape: called before each scrape is answered.
        """
        self._view = view
        self._exposition = exposition
        self._clock = clock
        self._reader = ColumnReader()
        self._site = Site(view, clock, version, self._reader)
        self._webhook = webhook
        self._dead_threads = dead_threads
        self._problems = problems
        self._before_scrape = before_scrape
        self._texts = TrunkTexts()
        self._routes: Mapping[str, Endpoint] = MappingProxyType(
            {
                **({METRICS_PATH: self.metrics} if has_metrics else {}),
                TRUNKS_PATH: self._trunks,
                SCHEMA_PATH: self._schema,
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
            return self._trunk(environ, path.removeprefix(TRUNK_PREFIX))
        if self._site.answers(path):
            return self._site.answer(environ, path)
        page = self._routes.get(path)
        return page(environ) if page else NOT_FOUND

    # ------------------------------------------------------------------ pages

    def metrics(self, environ: "WSGIEnvironment") -> Answer:
        """Answer a scrape."""
        self._before_scrape()
        form = choose_format(environ.get("HTTP_ACCEPT", ""))
        encodings = {
            "gzip": lambda: self._exposition.answer(form, zipped=True),
            "identity": lambda: self._exposition.answer(form, zipped=False),
        }
        return negotiated(environ, form.content_type, encodings, "Accept, Accept-Encoding")

    def _trunk(self, environ: "WSGIEnvironment", name: str) -> Answer:
        view = self._view()
        snapshot = view.snapshot()
        path: str = environ["REQUEST_URI"].removeprefix(API)
        place, readings = read_path(path), other_readings(path)
        named = [place.trunk] if place is not None else []
        found = _published(named, snapshot.trunks) or _published(readings, snapshot.trunks)
        if not found:
            other = next(filter(None, map(view.other_shard, [*named, *readings])), None)
            if other is not None and other.address is not None:
                return redirect_to_shard(other.address, environ)
            error = other.text if other else _unknown_trunk(name, snapshot.trunks)
            return json_error("404 Not Found", error)
        job = place.job if place is not None and place.first_bad is None else None
        if job is not None and job.trunk == found[0].trunk:
            return attempts_answer(environ, view, found[0], job, self._reader)
        fields = parse_qs(environ.get("QUERY_STRING", "")[:QUERY_LIMIT])
        cells = number(fields.get("cells", [""])[0], 0, CELLS_LIMIT)
        text = self._texts.text(
            snapshot,
            found,
            view.compare_urls,
            self._clock(),
            cells,
            Surroundings(view.external_url, view.triage),
        )
        encodings = {"gzip": text.zipped, "identity": text.plain}
        return negotiated(environ, JSON, encodings, "Accept-Encoding", text.etag)

    def _trunks(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        listed = trunk_list_object(self._view().snapshot())
        return Answer("200 OK", JSON, json.dumps(listed, ensure_ascii=False).encode() + b"\n")

    def _schema(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        return Answer("200 OK", JSON, schema_text().encode())

    def _healthy(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        return health(self._dead_threads())

    def _ready(self, environ: "WSGIEnvironment") -> Answer:
        del environ
        problems = readiness_problems(self._view().snapshot(), self._clock())
        return readiness([*problems, *self._problems()])


class MetricsOnly:
    """A WSGI application that serves `/metrics` and nothing else, for a listener of its own."""

    def __init__(self, pages: Pages) -> None:
        """Args:
        pages: answers the scrapes.
        """
        self._pages = pages

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        if path_of(environ) != METRICS_PATH:
            answer = Answer(NOT_FOUND.status, TEXT, b"nothing but /metrics is served here\n")
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            answer = method_not_allowed("GET", "HEAD")
        else:
            answer = self._pages.metrics(environ)
        return respond(answer, environ, start_response)


def _published(names: Iterable[Trunk], trunks: Sequence[TrunkState]) -> list[TrunkState]:
    """Return the states of those of some trunks that are published.

    Args:
        names: of trunks.
        trunks: the published ones, sorted.
    """
    found = []
    for name in names:
        position = bisect_left(trunks, name, key=lambda state: state.trunk)
        if position < len(trunks) and trunks[position].trunk == name:
            found.append(trunks[position])
    return found


def _unknown_trunk(name: str, trunks: Iterable[TrunkState]) -> str:
    known = ", ".join(quote("/".join(trunk.trunk)) for trunk in trunks) or "none yet"
    return f"no trunk {html.escape(name)}; known: {known}"
