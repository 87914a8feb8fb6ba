"""Small HTTP servers on loopback: one that answers as Buildbot 4.3 does, and ways to misbehave.

The Buildbot that is played here knows only the requests that the source makes; anything else is
answered as the real one answers what it does not know, so that a new request fails a test. Whether
the shapes are the real ones is asked of a real Buildbot in tests/e2e/test_buildbot.py.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

HOST = "127.0.0.1"

Query = Sequence[tuple[str, str]]


class Request(NamedTuple):
    """One request, as it came.

    Attributes:
        path: without the query.
        query: in its order; a key may stand several times.
        headers: by their names as sent.
    """

    path: str
    query: Query
    headers: Mapping[str, str]

    def all(self, key: str) -> list[str]:
        """Return every value of a key of the query."""
        return [value for name, value in self.query if name == key]

    def one(self, key: str) -> str | None:
        """Return the first value of a key of the query."""
        return next(iter(self.all(key)), None)


class Answer(NamedTuple):
    """What is sent back.

    Attributes:
        status: the HTTP status.
        body: as bytes.
        kind: the content type.
        length: the Content-Length that is claimed; None for the true one.
    """

    status: int
    body: bytes
    kind: str = "application/json; charset=utf-8"
    length: int | None = None


def as_json(document: object, status: int = 200) -> Answer:
    """Return an answer that holds a JSON document."""
    return Answer(status, json.dumps(document).encode())


class HangUp(Exception):  # noqa: N818 — an instruction to the server, not an error
    """Raised by a handler to close the connection without a word."""


Handler = Callable[[Request], Answer]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is what some tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class HttpServer:
    """Answers every GET with what `handler` returns, and remembers the requests.

    Attributes:
        handler: may be replaced at any time.
        requests: what was asked, in the order of arrival.
    """

    def __init__(self, handler: Handler) -> None:
        """Args:
        handler: turns a request into an answer.
        """
        self.handler = handler
        self.requests: list[Request] = []
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qsl(parts.query, keep_blank_values=True)
                request = Request(parts.path, query, dict(self.headers.items()))
                outer.requests.append(request)
                try:
                    answer = outer.handler(request)
                except HangUp:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                length = len(answer.body) if answer.length is None else answer.length
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: `requests` tells what came."""

        self._server = _Server((HOST, 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens: host and port."""
        return f"{HOST}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Where it listens, as a URL."""
        return f"http://{self.address}"

    def paths(self) -> list[str]:
        """Return the paths that were asked for."""
        return [request.path for request in self.requests]

    def start(self) -> None:
        """Answer in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait for the threads."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(handler: Handler) -> Iterator[HttpServer]:
    """Run a server for the length of a block."""
    server = HttpServer(handler)
    server.start()
    try:
        yield server
    finally:
        server.stop()


# ---------------------------------------------------------------------- Buildbot


KNOWN_KEYS = frozenset(
    {"complete", "complete_at__ge", "field", "limit", "offset", "order", "property"}
)


@dataclass
class FakeBuildbot:
    """A master's REST API over builds that a test writes down.

    Attributes:
        builders: names by id.
        builds: in any order, as the API gives them but with every property; see `build`.
        steps: per build id, names and results.
    """

    builders: dict[int, object] = field(default_factory=lambda: {1: "unit", 2: "inductor"})
    builds: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[int, list[tuple[object, int | None]]] = field(default_factory=dict)

    def build(
        self,
        number: int,
        sha: str | None,
        results: int | None = 0,
        *,
        builder: int = 1,
        request: int | None = None,
        branch: str | None = "main",
        revision: object = None,
        at: int = 1_800_000_000,
        took: int = 10,
    ) -> dict[str, Any]:
        """Add a build.

        Args:
            number: its id.
            sha: `got_revision`; None while nothing is checked out.
            results: None while it runs.
            builder: its builder's id.
            request: its build request; its own id and a thousand by default.
            branch: the property, None where the request named none.
            revision: the property that is there from the start; `sha` by default.
            at: when it ended, or would (seconds since the epoch).
            took: how long it ran (seconds).

        Returns:
            The build as it is kept: what a test changes in it is what is told.
        """
        asked = sha if revision is None else revision
        properties: dict[str, list[object]] = {
            "branch": [branch, "Build"],
            "revision": [asked or "", "Build"],
        }
        if sha is not None:
            properties["got_revision"] = [sha, "Git"]
        build = {
            "builderid": builder,
            "buildid": number,
            "buildrequestid": 1000 + number if request is None else request,
            "complete": results is not None,
            "complete_at": None if results is None else at,
            "locks_duration_s": 0,
            "masterid": 1,
            "number": number,
            "properties": properties,
            "results": results,
            "started_at": at - took,
            "state_string": "building" if results is None else "build ended",
            "workerid": 1,
        }
        self.builds = [b for b in self.builds if b["buildid"] != number]
        self.builds.append(build)
        return build

    def __call__(self, request: Request) -> Answer:
        """Answer as Buildbot does."""
        if not request.path.startswith("/api/v2/"):
            return Answer(200, b"<!DOCTYPE html><html></html>", "text/html")
        for name, _ in request.query:
            if name not in KNOWN_KEYS:
                return as_json({"error": f"unrecognized query parameter '{name}'"}, 400)
        match request.path.removeprefix("/api/v2/").split("/"):
            case ["builders"]:
                return self._collection("builders", [self._builder(b) for b in self.builders])
            case ["builds"]:
                return self._collection("builds", self._selected(request))
            case ["builds", number, "steps"] if number.isdigit():
                steps = self.steps.get(int(number), [])
                return self._collection(
                    "steps",
                    [
                        {"name": name, "number": place, "results": results}
                        for place, (name, results) in enumerate(steps)
                    ],
                )
            case path:
                return as_json({"error": f"Invalid path: {'/'.join(path)}"}, 404)

    def _collection(self, name: str, items: list[dict[str, Any]]) -> Answer:
        # The total is that of the page, as on the real one.
        return as_json({name: items, "meta": {"total": len(items)}})

    def _builder(self, number: int) -> dict[str, Any]:
        return {
            "builderid": number,
            "description": None,
            "description_format": None,
            "description_html": None,
            "masterids": [1],
            "name": self.builders[number],
            "projectid": None,
            "tags": [],
        }

    def _selected(self, request: Request) -> list[dict[str, Any]]:
        """Filter, order and cut as the query says; None never passes a comparison, as in SQL."""
        builds = list(self.builds)
        complete, since = request.one("complete"), request.one("complete_at__ge")
        if complete is not None:
            builds = [b for b in builds if b["complete"] == (complete == "true")]
        if since is not None:
            builds = [
                b for b in builds if b["complete_at"] is not None and b["complete_at"] >= int(since)
            ]
        for key in reversed(request.all("order")):
            builds.sort(key=lambda build: build[key])
        offset, limit = int(request.one("offset") or 0), request.one("limit")
        builds = builds[offset : None if limit is None else offset + int(limit)]
        return [self._with_properties(build, request.all("property")) for build in builds]

    def _with_properties(self, build: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        known = build["properties"]
        if not isinstance(known, dict):
            return build
        return {**build, "properties": {name: known[name] for name in wanted if name in known}}
