"""Small HTTP servers on loopback: a fake Buildbot 4.3, and handlers that misbehave.

The fake Buildbot supports only the requests that the source makes; it answers others with the real
one's errors, so that a new request fails a test. tests/e2e/test_buildbot.py compares its responses
with those of a real Buildbot.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

HOST = "127.0.0.1"

Query = Sequence[tuple[str, str]]


class Request(NamedTuple):
    """One received request.

    Attributes:
        path: without the query.
        query: the pairs in order; a key may be repeated.
        headers: by name, in the case in which they were sent.
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
    """A response.

    Attributes:
        status: the HTTP status.
        body: as bytes.
        kind: the content type.
        length: a false Content-Length; None for the true one.
        headers: further ones.
    """

    status: int
    body: bytes
    kind: str = "application/json; charset=utf-8"
    length: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})


def as_json(
    document: object, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """Return a response with a JSON document."""
    return Answer(status, json.dumps(document).encode(), headers=headers)


class HangUp(Exception):  # noqa: N818 — an instruction to the server, not an error
    """Raised by a handler to close the connection without a response."""


Handler = Callable[[Request], Answer]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect: some tests do so on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class HttpServer:
    """A server that answers every GET with the result of `handler` and records the requests.

    Attributes:
        handler: may be replaced at any time.
        requests: the received requests, in order.
    """

    def __init__(self, handler: Handler) -> None:
        """Args:
        handler: returns the response to a request.
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
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Write no log lines: `requests` has the requests."""

        self._server = _Server((HOST, 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def address(self) -> str:
        """The address: host and port."""
        return f"{HOST}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.address}"

    def paths(self) -> list[str]:
        """Return the requested paths."""
        return [request.path for request in self.requests]

    def start(self) -> None:
        """Start serving in background threads."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait for the threads."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(handler: Handler) -> Iterator[HttpServer]:
    """Run a server for a `with` block."""
    server = HttpServer(handler)
    server.start()
    try:
        yield server
    finally:
        server.stop()


# ---------------------------------------------------------------------- Buildbot


IDS = ("buildid", "buildrequestid", "bsid")

SUPPORTED_KEYS = frozenset(
    {"complete", "complete_at__ge", "started_at__ge", *IDS}
    | {"field", "limit", "offset", "order", "property"}
)


def source_stamp(
    codebase: str = "",
    branch: str | None = "main",
    revision: str | None = None,
    *,
    patched: bool = False,
) -> dict[str, Any]:
    """Return a source stamp in the API's format, which has no text of the patch."""
    patch = {"patchid": 1, "level": 1, "subdir": "", "author": "dev", "comment": "", "body": None}
    return {
        "branch": branch,
        "codebase": codebase,
        "created_at": 1_800_000_000,
        "patch": patch if patched else None,
        "project": "",
        "repository": "",
        "revision": revision,
        "ssid": 1,
    }


@dataclass
class FakeBuildbot:
    """A fake master's REST API, with builds that tests declare.

    Attributes:
        builders: names by id.
        builds: in any order, in the API's format with all properties; see `build`.
        steps: per build id, names and results.
        stamps: per build request id, the source stamps of its build set.
        build_set: the id of a request's build set is so much greater.
    """

    builders: dict[int, object] = field(default_factory=lambda: {1: "unit", 2: "inductor"})
    builds: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[int, list[tuple[object, int | None]]] = field(default_factory=dict)
    stamps: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    build_set: int = 5000

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
        at: int = 1_700_000_000,
        took: int = 10,
        stamps: Sequence[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Add a build.

        Args:
            number: its id.
            sha: the property `got_revision`; None before the checkout.
            results: None while it runs.
            builder: its builder's id.
            request: the id of its build request; 1000 + `number` by default.
            branch: the property; None if the request has no branch.
            revision: the property that is set from the start; `sha` by default.
            at: when it completed, or will (seconds since the epoch).
            took: its duration (seconds).
            stamps: of its request; by default one for `branch` and `revision`.

        Returns:
            The stored build; changes of it change the responses.
        """
        requested = sha if revision is None else revision
        request_id = 1000 + number if request is None else request
        only = source_stamp(branch=branch, revision=str(requested) if requested else None)
        self.stamps[request_id] = [only] if stamps is None else list(stamps)
        properties: dict[str, list[object]] = {
            "branch": [branch, "Build"],
            "revision": [requested or "", "Build"],
        }
        if sha is not None:
            properties["got_revision"] = [sha, "Git"]
        build = {
            "builderid": builder,
            "buildid": number,
            "buildrequestid": request_id,
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
            if name not in SUPPORTED_KEYS:
                return as_json({"error": f"unrecognized query parameter '{name}'"}, 400)
        match request.path.removeprefix("/api/v2/").split("/"):
            case ["builders"]:
                return self._collection("builders", [self._builder(b) for b in self.builders])
            case ["buildrequests"]:
                requests = [
                    {"buildrequestid": number, "buildsetid": self.build_set + number}
                    for number in self.stamps
                ]
                return self._collection("buildrequests", _with_ids(requests, request))
            case ["buildsets"]:
                sets = [
                    {"bsid": self.build_set + number, "sourcestamps": stamps}
                    for number, stamps in self.stamps.items()
                ]
                return self._collection("buildsets", _with_ids(sets, request))
            case ["builds"]:
                return self._collection("builds", self.selected(request))
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
        # As in the real one, the total is that of the page.
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

    def selected(self, request: Request) -> list[dict[str, Any]]:
        """Return the builds of a query; None never passes a comparison, as in SQL."""
        builds = _with_ids(self.builds, request)
        complete, since = request.one("complete"), request.one("complete_at__ge")
        if complete is not None:
            builds = [b for b in builds if b["complete"] == (complete == "true")]
        started = request.one("started_at__ge")
        if started is not None:
            builds = [b for b in builds if b["started_at"] >= int(started)]
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
        found = build["properties"]
        if not isinstance(found, dict):
            return build
        return {**build, "properties": {name: found[name] for name in wanted if name in found}}


def _with_ids(rows: Sequence[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Return the rows that have one of the ids in the query, if there are any."""
    for key in IDS:
        if wanted := request.all(key):
            rows = [row for row in rows if str(row[key]) in wanted]
    return list(rows)
