"""A stand-in for the REST API of a Buildbot master, as far as confirm uses it.

What a real one does with a rebuild or a forced build is tested in tests/e2e.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.github.http_server import HttpRequest, HttpResponse

Row = dict[str, Any]


@dataclass
class FakeMaster:
    """A master with the builders `unit` (1) and `deploy` (2), and rows that tests declare.

    Attributes:
        requests: build requests.
        sets: build sets.
        builds: builds.
        triggered: the builds that a build triggered, by its id.
        scheduler: the force scheduler `commit`.
        login: the status of `/auth/login`.
        refusal: the status of every request that makes a build; 0 to accept it.
        rebuilds: whether a rebuild has an effect: a request that goes on.
        accepted: paths and parameters of the requests that made a build.
        change: returns each document of an answer as it is sent.
        log: methods and paths of all requests.
    """

    requests: list[Row] = field(default_factory=list)
    sets: list[Row] = field(default_factory=list)
    builds: list[Row] = field(default_factory=list)
    triggered: dict[int, list[Row]] = field(default_factory=dict)
    scheduler: Row = field(init=False)
    login: int = 501
    refusal: int = 0
    rebuilds: bool = False
    accepted: list[tuple[str, Row]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scheduler = force_scheduler()
        self.change: Callable[[object], object] = lambda found: found

    def build(
        self,
        number: int,
        sha: str,
        *,
        results: int | None = 6,
        has_build: bool = True,
        ended: int = 1000,
        claimed: bool = True,
        **stamp: object,
    ) -> None:
        """Add a request of `unit` with an id and, if it has one, its build.

        Args:
            number: the id of the request; that of the build is greater by 100.
            sha: the revision.
            results: of both; None while they go on.
            has_build: whether it has begun.
            ended: when it ended (seconds since the epoch).
            claimed: whether a worker has taken it.
            stamp: further keys of the source stamp.
        """
        is_complete = results is not None
        ends = {"complete": is_complete, "complete_at": ended if is_complete else None}
        row = {"buildrequestid": number, "builderid": 1, "buildsetid": number, "claimed": claimed}
        self.requests.append({**row, **ends})
        stamps = [{"codebase": "", "branch": "main", "revision": sha, "patch": None, **stamp}]
        self.sets.append({"bsid": number, "sourcestamps": stamps})
        if has_build:
            made = {"buildid": number + 100, "builderid": 1, "buildrequestid": number}
            self.builds.append({**made, **ends, "results": results})

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        self.log.append(f"{request.method} {request.path}")
        if request.path == "/auth/login":
            return HttpResponse(self.login)
        path = request.path.removeprefix("/api/v2/")
        if request.method == "POST":
            if self.refusal:
                return HttpResponse(self.refusal, b'{"error": {"message": "no"}}')
            self.accepted.append((path, json.loads(request.body)["params"]))
            if self.rebuilds and path.startswith("builds/"):
                self._rebuild(int(path.removeprefix("builds/")))
            return _json({"jsonrpc": "2.0", "id": 1, "result": [9, {"1": 9}]})
        if path.startswith("forceschedulers/") and path != "forceschedulers/commit":
            return HttpResponse(404, b'{"error": "not found"}')
        rows, key = self._rows(path.split("/"))
        # The limit comes last.
        for name, value in sorted(request.query, key=lambda pair: pair[0] == "limit"):
            rows = _filtered(rows, name, value, [v for n, v in request.query if n == name])
        return _json(self.change({key: rows}))

    def finish(self, results: int, at: float) -> None:
        """End whatever goes on."""
        for row in (*self.builds, *self.requests):
            if not row["complete"]:
                row.update(complete=True, complete_at=int(at), results=results)

    def sha_of(self, request: int) -> str:
        """Return the revision of a build request."""
        (found,) = [row for row in self.sets if row["bsid"] == request]
        return str(found["sourcestamps"][0]["revision"])

    def _rebuild(self, build: int) -> None:
        (old,) = [row for row in self.builds if row["buildid"] == build]
        newest = max(row["buildrequestid"] for row in self.requests)
        self.build(newest + 1, self.sha_of(old["buildrequestid"]), results=None)

    def _rows(self, path: list[str]) -> tuple[list[Row], str]:
        builders = [{"builderid": 1, "name": "unit"}, {"builderid": 2, "name": "deploy"}]
        match path:
            case ["builders"]:
                return builders, "builders"
            case ["builders", number, kind]:
                rows = self.builds if kind == "builds" else self.requests
                return [row for row in rows if row["builderid"] == int(number)], kind
            case ["buildrequests", number, "builds"]:
                return [b for b in self.builds if b["buildrequestid"] == int(number)], "builds"
            case ["builds", number, "triggered_builds"]:
                return self.triggered.get(int(number), []), "builds"
            case ["forceschedulers", "commit"]:
                return [self.scheduler], "forceschedulers"
        return {"buildrequests": self.requests, "buildsets": self.sets}[path[0]], path[0]


def force_scheduler(*codebases: str, **changes: object) -> Row:
    """Return a force scheduler of `unit` with these codebases, or the only one."""
    names = [f"{name}_" for name in codebases] or [""]
    parts = ("branch", "project", "repository", "revision")
    fields = [
        {"fullName": name.rstrip("_"), "type": "nested", "fields": [
            {"fullName": f"{name}{part}", "type": "text"} for part in parts]}
        for name in names
    ]  # fmt: skip
    own = {"fullName": None, "type": "nested", "fields": [{"fullName": "reason", "type": "text"}]}
    return {"enabled": True, "builder_names": ["unit"], "all_fields": [own, *fields], **changes}


def _filtered(rows: list[Row], name: str, value: str, values: list[str]) -> list[Row]:
    """Return the rows that a key of the query leaves, in the order that it asks for.

    Any of several values of a key suffices.
    """
    match name.split("__"):
        case ["field"]:
            return rows
        case ["limit"]:
            return rows[: int(value)]
        case ["order"]:
            return sorted(rows, key=lambda r: int(r[value.lstrip("-")]), reverse=value[0] == "-")
        case [key, "gt"]:
            return [row for row in rows if row[key] > int(value)]
        case [key, "ge"]:
            return [row for row in rows if (row[key] or 0) >= int(value)]
    return [row for row in rows if str(row[name]).lower() in values]


def _json(document: object) -> HttpResponse:
    return HttpResponse(200, json.dumps(document).encode())
