"""The web pages of a program that acts on the exporter's state: its JSON, health and metrics."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trunkwatch.web.answer import (
    JSON,
    NOT_FOUND,
    Answer,
    health,
    method_not_allowed,
    path_of,
    readiness,
    respond,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONFIRM_PATH = "/api/v1/confirm"
TICKETS_PATH = "/api/v1/tickets"

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = tuple[str, str, str, Iterable[tuple[dict[str, str], float]]]
"""Name, `counter` or `gauge`, help, and samples with their labels."""


class ProgramPages:
    """A WSGI application."""

    def __init__(
        self,
        path: str,
        listed: Callable[[], Mapping[str, Any]],
        problems: Callable[[], list[str]],
        families: Callable[[], Iterable[Family]],
        dead_threads: Callable[[], Sequence[str]] = list,
    ) -> None:
        """Args:
        path: of the JSON object.
        listed: returns the JSON object.
        problems: returns the reasons for not being ready; empty if ready.
        families: returns the metrics of the process.
        dead_threads: returns the threads that must run and do not.
        """
        self._pages: Mapping[str, Callable[[], Answer]] = {
            "/-/healthy": lambda: health(dead_threads()),
            "/-/ready": lambda: readiness(problems()),
            "/metrics": lambda: Answer(
                "200 OK", METRICS_TYPE, generate_latest(_Collected(families()))
            ),
            path: lambda: Answer("200 OK", JSON, json.dumps(listed(), indent=2).encode() + b"\n"),
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        return respond(self.answer(environ), environ, start_response)

    def answer(self, environ: "WSGIEnvironment") -> Answer:
        """Return the answer to a request."""
        page, method = self._pages.get(path_of(environ)), environ["REQUEST_METHOD"]
        if page is None:
            return NOT_FOUND
        return page() if method in ("GET", "HEAD") else method_not_allowed("GET", "HEAD")


class _Collected(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for name, kind, text, samples in self._families:
            make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family: Metric = make(name, text)
            for labels, value in samples:
                family.add_sample(name, labels, value)
            yield family
