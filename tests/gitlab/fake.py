"""The REST API of the fake GitLab: authentication, paging, rate limits, redirects and lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

import yaml

from tests.gitlab.world import Pipeline, Project, Row, project
from tests.support.fakehttp import Answer, Request, as_json

TOKEN = "glpat-of-the-tests"

PAGING = frozenset({"page", "per_page"})
MAX_PER_PAGE = 100

KEYS: Mapping[str, frozenset[str]] = {
    "project": frozenset(),
    "projects": frozenset(
        {"archived", "order_by", "sort", "include_subgroups", "with_shared"} | PAGING
    ),
    "commits": frozenset({"ref_name", "first_parent"} | PAGING),
    "branches": frozenset({"search"} | PAGING),
    "branch": frozenset(),
    "pipelines": frozenset(
        {"ref", "sha", "source", "status", "updated_after", "order_by", "sort"} | PAGING
    ),
    "pipeline": frozenset(),
    "jobs": frozenset({"include_retried", "scope[]"} | PAGING),
    "project jobs": frozenset({"scope", "scope[]"} | PAGING),
    "bridges": frozenset({"scope[]"} | PAGING),
    "lint": frozenset({"content_ref", "include_jobs", "dry_run", "dry_run_ref"}),
}
"""The documented parameters of each list that anybody uses here; another one fails the test."""


@dataclass(eq=False)
class FakeGitLab:
    """A server.

    Attributes:
        prefix: the path below which it is served.
        projects: by id.
        tokens: the scopes of each token.
        closed: projects that a token may not see at all.
        version: of the server.
        limit: requests a minute, None for no headers; and how many are left.
        before: called before each request is answered, to let rows move.
    """

    prefix: str = ""
    projects: dict[int, Project] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: "read_api"})
    closed: set[int] = field(default_factory=set)
    version: str = "18.6.0-ee"
    limit: int | None = None
    remaining: int = 0
    before: Callable[[Request], None] = lambda _request: None

    def project(self, path: str) -> Project:
        """Add an empty project."""
        number = len(self.projects) + 1
        self.projects[number] = project(number, path)
        return self.projects[number]

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        self.before(request)
        root = f"{self.prefix}/api/v4/"
        if not request.path.startswith(root):
            return Answer(200, b"<!DOCTYPE html><html></html>", "text/html")
        refused = self._refused(request)
        if refused is not None:
            return refused
        answer = self._answer(request, request.path.removeprefix(root).split("/"))
        return answer._replace(headers={**answer.headers, **self._limit_headers()})

    # ------------------------------------------------------------------ rights and limits

    def _refused(self, request: Request) -> Answer | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        token = headers.get("private-token") or bearer
        if token not in self.tokens:
            return as_json({"message": "401 Unauthorized"}, 401)
        if self.tokens[token] not in ("api", "read_api"):
            error = "insufficient_scope"
            text = "The request requires higher privileges than provided by the access token."
            return as_json({"error": error, "error_description": text, "scope": "api"}, 403)
        if self.limit is not None:
            self.remaining -= 1
            if self.remaining < 0:
                headers = {"Retry-After": "30", **self._limit_headers()}
                return Answer(429, b"Retry later\n", "text/plain", headers=headers)
        return None

    def _limit_headers(self) -> dict[str, str]:
        if self.limit is None:
            return {}
        left = max(0, self.remaining)
        return {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": str(left)}

    # ------------------------------------------------------------------ paths

    def _answer(self, request: Request, path: Sequence[str]) -> Answer:
        match path:
            case ["version"]:
                return as_json({"version": self.version, "revision": "4e963fe"})
            case ["groups" | "users" as kind, name, "projects"]:
                return self._projects(request, kind, unquote(name))
            case ["projects", name, *rest]:
                found = self._found(unquote(name))
                if isinstance(found, Answer):
                    return found
                return self._of_project(request, found, rest)
        return NOT_FOUND

    def _found(self, name: str) -> Project | Answer:
        for number, each in self.projects.items():
            if number in self.closed:
                continue
            if name.lower() in (str(number), each.path.lower()):
                return each
            if name == each.former:
                url = f"{self.prefix}/api/v4/projects/{number}"
                return Answer(301, b"moved", "text/plain", headers={"Location": url})
        return as_json({"message": "404 Project Not Found"}, 404)

    def _of_project(self, request: Request, found: Project, path: Sequence[str]) -> Answer:
        match path:
            case []:
                return _only(request, "project", found.row)
            case ["repository", "commits"]:
                return self._commits(request, found)
            case ["repository", "branches"]:
                return self._branches(request, found)
            case ["repository", "branches", name]:
                if unquote(name) not in found.branches:
                    return as_json({"message": "404 Branch Not Found"}, 404)
                return _only(request, "branch", found.branch_row(unquote(name)))
            case ["pipelines"]:
                return _page(request, "pipelines", _selected(found.pipelines, request))
            case ["ci", "lint"]:
                return _lint(request, found)
            case ["jobs"]:
                return _page(request, "project jobs", _newest_jobs(found.pipelines, request))
            case ["pipelines", number, *rest]:
                runs = (each for each in found.pipelines if str(each.id) == number)
                run = next(runs, None)
                return NOT_FOUND if run is None else _of_pipeline(request, run, rest)
        return NOT_FOUND

    def _projects(self, request: Request, kind: str, name: str) -> Answer:
        if not any(
            each.path.startswith(f"{name}/") and f"{each.row['namespace']['kind']}s" == kind
            for each in self.projects.values()
        ):
            return as_json({"message": f"404 {kind} Not Found"}, 404)
        deep = _flag(request, "include_subgroups")
        rows = [
            each.row
            for number, each in self.projects.items()
            if number not in self.closed
            and (each.path.startswith(f"{name}/") if deep else each.path.rpartition("/")[0] == name)
            and not ((request.one("archived") or "").lower() == "false" and each.row["archived"])
        ]
        return _page(request, "projects", rows)

    def _commits(self, request: Request, found: Project) -> Answer:
        chain = found.branches.get(request.one("ref_name") or found.row["default_branch"])
        if chain is None:
            return as_json({"message": "404 Repository Not Found"}, 404)
        rows = [found.commits[each] for each in reversed(chain)]
        return _page(request, "commits", rows, total=False)

    def _branches(self, request: Request, found: Project) -> Answer:
        search = (request.one("search") or "").lower()
        begin = search.removeprefix("^") if search.startswith("^") else ""
        names = [
            name
            for name in sorted(found.branches)
            if name.lower().startswith(begin) and (begin or search in name.lower())
        ]
        return _page(request, "branches", [found.branch_row(name) for name in names])


NOT_FOUND = as_json({"error": "404 Not Found"}, 404)


def _of_pipeline(request: Request, run: Pipeline, path: Sequence[str]) -> Answer:
    match path:
        case []:
            return _only(request, "pipeline", _detailed(run))
        case ["jobs"]:
            hidden = set() if _flag(request, "include_retried") else run.retried
            rows = [row for row in run.jobs if row["id"] not in hidden]
            return _page(request, "jobs", rows[::-1])
        case ["bridges"]:
            return _page(request, "bridges", run.bridges[::-1])
    return NOT_FOUND


def _selected(runs: Iterable[Pipeline], request: Request) -> list[Row]:
    rows = [each.row for each in runs]
    source = request.one("source")
    rows = [
        row
        for row in rows
        if (row["source"] == source if source else row["source"] != "parent_pipeline")
        and all(row[key] == request.one(key) for key in ("ref", "sha") if request.one(key))
    ]
    after = request.one("updated_after")
    if after is not None:
        begin = datetime.fromisoformat(after)
        rows = [row for row in rows if datetime.fromisoformat(row["updated_at"]) > begin]
    key = request.one("order_by") or "id"
    # As in a database, the rows of one time have no order of their own.
    return sorted(rows, key=lambda row: row[key], reverse=request.one("sort") != "asc")


def _newest_jobs(runs: Iterable[Pipeline], request: Request) -> list[Row]:
    wanted = {value for key, value in request.query if key in ("scope", "scope[]")}
    rows = (row for run in runs for row in run.jobs if not wanted or row["status"] in wanted)
    return sorted(rows, key=lambda row: row["id"], reverse=True)


GLOBAL_KEYWORDS = frozenset({"default", "include", "stages", "variables", "workflow"})


def _lint(request: Request, found: Project) -> Answer:
    """Answer with the configuration at a commit: https://docs.gitlab.com/api/lint/."""
    _check(request, "lint")
    ref = request.one("content_ref") or found.branches[found.row["default_branch"]][-1]
    if ref not in found.commits:
        return as_json({"message": "404 Commit Not Found"}, 404)
    text = found.configurations.get(ref)
    try:
        loaded = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        loaded = None
    is_valid = isinstance(loaded, dict)
    document: Row = loaded if isinstance(loaded, dict) else {}
    errors = [] if is_valid else ["Please provide content of .gitlab-ci.yml"]
    answer: Row = {
        "valid": is_valid,
        "errors": errors,
        "warnings": [],
        "merged_yaml": yaml.safe_dump(document, sort_keys=False) if is_valid else None,
        "includes": [],
    }
    if _flag(request, "include_jobs"):
        answer["jobs"] = [
            _linted(name, job)
            for name, job in document.items()
            if isinstance(job, dict) and not name.startswith(".") and name not in GLOBAL_KEYWORDS
        ]
    return as_json(answer)


def _linted(name: str, job: Row) -> Row:
    environment = job.get("environment")
    return {
        "name": name,
        "stage": job.get("stage", "test"),
        "before_script": [],
        "script": job.get("script", []),
        "after_script": [],
        "tag_list": [],
        "only": None,
        "except": None,
        "environment": environment.get("name") if isinstance(environment, dict) else environment,
        "when": job.get("when", "on_success"),
        "allow_failure": job.get("allow_failure", False),
        "needs": [
            {"name": each, "artifacts": True, "optional": False} for each in job.get("needs", ())
        ]
        or None,
    }


def _detailed(run: Pipeline) -> Row:
    return {
        **run.row,
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": run.yaml_errors,
        "user": run.jobs[0]["user"] if run.jobs else {"id": 1, "name": "author-a"},
        "started_at": run.row["created_at"],
        "finished_at": run.row["updated_at"],
        "committed_at": None,
        "duration": 10,
        "queued_duration": 1,
        "coverage": None,
        "detailed_status": {
            "icon": "status_failed",
            "text": run.row["status"],
            "label": run.row["status"],
            "group": run.row["status"],
            "tooltip": run.row["status"],
            "has_details": False,
            "details_path": f"/{run.project.path}/-/pipelines/{run.id}",
            "illustration": None,
            "favicon": "/assets/ci_favicons/favicon.png",
        },
    }


def _only(request: Request, kind: str, row: Row) -> Answer:
    _check(request, kind)
    return as_json(row)


def _page(request: Request, kind: str, rows: Sequence[Row], *, total: bool = True) -> Answer:
    _check(request, kind)
    size = min(int(request.one("per_page") or 20), MAX_PER_PAGE)
    number = int(request.one("page") or 1)
    shown = rows[size * (number - 1) : size * number]
    more = size * number < len(rows)
    headers = {"X-Page": str(number), "X-Per-Page": str(size)}
    headers["X-Next-Page"] = str(number + 1) if more else ""
    if more:
        host = request.headers.get("Host", "")
        query = [(key, value) for key, value in request.query if key != "page"]
        text = "&".join(f"{key}={value}" for key, value in [*query, ("page", str(number + 1))])
        headers["Link"] = f'<http://{host}{request.path}?{text}>; rel="next"'
    if total:
        headers |= {"X-Total": str(len(rows)), "X-Total-Pages": str(-(-len(rows) // size))}
    return as_json(list(shown), headers=headers)


def _flag(request: Request, key: str) -> bool:
    return (request.one(key) or "").lower() == "true"


def _check(request: Request, kind: str) -> None:
    unknown = {key for key, _ in request.query} - KEYS[kind]
    assert not unknown, f"GET {request.path}: {unknown} is no documented parameter that is used"
