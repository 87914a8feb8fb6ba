"""The supported endpoints, as GitHub documents them (version 2022-11-28)."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from tests.github.app_endpoints import AppEndpoints, Caller
from tests.github.checks import CheckRun, WorkflowJob
from tests.github.commits import reachable, sha_of
from tests.github.content_endpoints import ContentEndpoints
from tests.github.limits import ANONYMOUS, AccessControl
from tests.github.owner_endpoints import branch, matching_refs, owned, repositories
from tests.github.render import Renderer
from tests.github.repo import Repo, Status
from tests.github.repo_request import RepoRequest
from tests.github.responses import (
    NOT_FOUND,
    Document,
    ErrorResponse,
    ListPage,
    Response,
    UnsupportedRequestError,
)
from tests.github.run_filters import RUN_FILTERS, UnsupportedFilterError, created_within, run_passes
from tests.github.runs import Run

FILTERED_RUNS_LIMIT = 1000
"""Results of a filtered list of runs that paging can reach; GitHub's own limit."""

RUNS = "ReposOwnerRepoActionsRunsGetResponse200"
RUNS_OF_WORKFLOW = "ReposOwnerRepoActionsWorkflowsWorkflowIdRunsGetResponse200"


class Endpoints:
    """The dispatcher from paths to responses."""

    def __init__(self, renderer: Renderer, access: AccessControl) -> None:
        """Args:
        renderer: renders the documents.
        access: the rate limits and the App's credentials.
        """
        self._renderer = renderer
        self._app = AppEndpoints(renderer, access)
        self._contents = ContentEndpoints(renderer)
        self._fake = renderer.fake

    @property
    def _now(self) -> float:
        return self._fake.now

    def find(self, method: str, path: str, query: Mapping[str, str], caller: Caller) -> Response:
        """Return the response to a request.

        Raises:
            UnsupportedRequestError: the fake GitHub does not support it.
        """
        match (method, path.strip("/").split("/")):
            case ("GET", ["rate_limit"]):
                return self._app.rate_limit(caller)
            case ("POST", ["app", "installations", number, "access_tokens"]):
                return self._app.access_token(number, caller)
            case ("GET", ["repos", owner, name, *rest]):
                full_name = f"{owner}/{name}"
                if moved := self._fake.moved.get(full_name):
                    return self._redirection(moved, rest, query)
                return self._repo_endpoint(self._fake.find(full_name), rest, query, caller)
            case ("GET", ["orgs" | "users" as kind, owner, "repos"]):
                return repositories(self._renderer, kind, owner, query, caller.who)
            case ("GET", ["orgs" | "users" as kind, owner, "installation"]):
                is_person = owner in self._fake.people
                found = owned(self._renderer, owner, caller.who)
                right = is_person == (kind == "users") and bool(found)
                return self._app.installation(found[0] if right else None, caller)
            case ("GET", ["repositories", number, *rest]):
                by_id = {str(repo.id): repo for repo in self._fake.repos.values()}
                return self._repo_endpoint(by_id.get(number), rest, query, caller)
        raise UnsupportedRequestError(f"{method} {path}")

    def _redirection(self, repo: Repo, rest: list[str], query: Mapping[str, str]) -> ErrorResponse:
        """Return the redirection from a former name to the repository's id."""
        place = "/".join([self._renderer.parts.api, "repositories", str(repo.id), *rest])
        if query:
            place = f"{place}?{urlencode(query)}"
        return ErrorResponse(HTTPStatus.MOVED_PERMANENTLY, "Moved Permanently", {"Location": place})

    def _repo_endpoint(
        self, repo: Repo | None, rest: list[str], query: Mapping[str, str], caller: Caller
    ) -> Response:
        if rest == ["installation"]:
            return self._app.installation(repo, caller)
        if repo is None or (repo.private and caller.who == ANONYMOUS):
            return NOT_FOUND
        if self._fake.lacks(repo, "metadata"):
            return NOT_FOUND
        permission = _permission(rest)
        if self._fake.lacks(repo, permission):
            headers = {"X-Accepted-GitHub-Permissions": f"{permission}=read"}
            return ErrorResponse(HTTPStatus.FORBIDDEN, self._fake.rights.message, headers)
        request = RepoRequest(repo, query)
        match rest:
            case []:
                request.allow_keys()
                return Document(self._renderer.repository(repo))
            case ["actions", *more]:
                return self._actions(request, more)
            case ["commits", *more]:
                return self._commits(request, more)
            case ["contents", ".github", "workflows"]:
                return self._contents.workflow_files(request)
            case ["contents", ".github", "workflows", *name]:
                return self._contents.workflow_file(request, "/".join(name))
            case ["compare", *refs]:
                return self._contents.comparison(request, "/".join(refs))
            case ["git", "matching-refs", *prefix]:
                return matching_refs(self._renderer, repo, "/".join(prefix))
            case ["branches", *name]:
                return branch(self._renderer, repo, "/".join(name))
            case ["check-runs", number, *more] if number.isdecimal():
                return self._check_run(request, int(number), more)
        raise UnsupportedRequestError("/".join(["repos", repo.full_name, *rest]))

    # ------------------------------------------------------------------ actions

    def _actions(self, request: RepoRequest, rest: list[str]) -> Response:
        match rest:
            case ["runs"]:
                return self._runs(request, request.repo.runs)
            case ["runs", number, *more] if number.isdecimal():
                run = request.repo.runs_by_id.get(int(number))
                if run is None or not run.exists(self._now):
                    return NOT_FOUND
                return self._run(request, run, more)
            case ["workflows"]:
                return self._workflows(request)
            case ["workflows", workflow, "runs"]:
                path = request.repo.workflow_path(workflow)
                if path is None:
                    return NOT_FOUND
                runs = [run for run in request.repo.runs if run.workflow.path == path]
                return self._runs(request, runs, RUNS_OF_WORKFLOW)
            case ["jobs", number] if number.isdecimal():
                request.allow_keys()
                row = request.repo.row(int(number), self._now)
                return (
                    Document(self._renderer.job(request.repo, row))
                    if isinstance(row, WorkflowJob)
                    else NOT_FOUND
                )
        raise UnsupportedRequestError("/".join(["actions", *rest]))

    def _run(self, request: RepoRequest, run: Run, rest: list[str]) -> Response:
        if not rest:
            request.allow_keys("exclude_pull_requests")
            return Document(self._renderer.run(request.repo, run))
        if rest != ["jobs"]:
            raise UnsupportedRequestError("/".join(["runs", *rest]))
        request.allow_keys("filter")
        rows = list(run.rows(self._now))
        if request.query.get("filter", "latest") == "latest":
            newest = run.attempt(self._now).number
            rows = [row for row in rows if row.attempt == newest]
        rows.sort(key=lambda row: row.id)
        kind = "ReposOwnerRepoActionsRunsRunIdJobsGetResponse200"
        return ListPage(
            kind, "jobs", rows, lambda row: self._renderer.job(request.repo, row), *request.page
        )

    def _workflows(self, request: RepoRequest) -> Response:
        request.allow_keys()
        kind = "ReposOwnerRepoActionsWorkflowsGetResponse200"
        return ListPage(
            kind,
            "workflows",
            list(request.repo.workflow_ids),
            lambda path: self._renderer.workflow(request.repo, path),
            *request.page,
        )

    def _runs(self, request: RepoRequest, runs: Iterable[Run], kind: str = RUNS) -> Response:
        """Answer from the database, or with a filter from the search index."""
        request.allow_keys(*RUN_FILTERS, "exclude_pull_requests")
        filters = {key: request.query[key] for key in RUN_FILTERS if key in request.query}
        try:
            wanted = created_within(filters.pop("created", "*"))
        except UnsupportedFilterError as error:
            raise UnsupportedRequestError(str(error)) from None
        filtered = bool(request.query.keys() & RUN_FILTERS)
        then = self._fake.index.time(self._now) if filtered else self._now
        found = [
            run
            for run in runs
            if run.exists(self._now)
            and run.created_at <= then
            and wanted(run.created_at)
            and run_passes(run, filters, then)
        ]
        found.sort(key=_time_of if filtered else self._place_of, reverse=True)
        if filtered:
            found = self._fake.index.remaining(found)
        reachable = found[:FILTERED_RUNS_LIMIT] if filtered else found
        return ListPage(
            kind, "workflow_runs", reachable, lambda run: self._renderer.run(request.repo, run),
            *request.page, total=len(found),
        )  # fmt: skip

    def _place_of(self, run: Run) -> tuple[float, int]:
        """Return the key by which the database sorts runs, which is not exactly the time."""
        at, identity = _time_of(run)
        share = int(sha_of(identity)[:4], 16) / 0xFFFF
        return at + self._fake.run_order_jitter * share, identity

    # ------------------------------------------------------------------ commits

    def _commits(self, request: RepoRequest, rest: list[str]) -> Response:
        if not rest:
            return self._history(request)
        match rest:
            case [*ref, "check-runs"]:
                act: Callable[[RepoRequest, str], Response] = self._check_runs
            case [*ref, "check-suites"]:
                act = self._check_suites
            case [*ref, "status"]:
                act = self._combined
            case [*ref, "statuses"]:
                act = self._statuses
            case ref:
                act = self._commit
        node = request.repo.find("/".join(ref), self._now)
        if node is None:
            message = f"No commit found for SHA: {'/'.join(ref)}"
            return ErrorResponse(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        return act(request, node.sha)

    def _history(self, request: RepoRequest) -> Response:
        request.allow_keys("sha")
        ref = request.query.get("sha", request.repo.default_branch)
        head = request.repo.find(ref, self._now)
        if head is None:
            empty = request.repo.head(request.repo.default_branch, self._now) is None
            return ErrorResponse(409, "Git Repository is empty.") if empty else NOT_FOUND
        found = reachable(head)
        return ListPage(
            "Commit",
            None,
            found,
            lambda node: self._renderer.commit(request.repo, node),
            *request.page,
        )

    def _commit(self, request: RepoRequest, sha: str) -> Response:
        request.allow_keys()
        return Document(self._renderer.commit(request.repo, request.repo.commits[sha], alone=True))

    # ------------------------------------------------------------------ checks

    def _check_runs(self, request: RepoRequest, sha: str) -> Response:
        request.allow_keys("filter", "status", "app_id", "check_name")
        rows = request.repo.rows_of(sha, self._now)
        if request.query.get("filter", "latest") == "latest":
            rows = _latest(rows)
        for key, value_of in (
            ("status", lambda row: row.status(self._now)),
            ("check_name", lambda row: row.name),
            ("app_id", lambda row: str(self._renderer.parts.app(row.app)["id"])),
        ):
            if key in request.query:
                rows = [row for row in rows if value_of(row) == request.query[key]]
        rows = rows[::-1]
        kind = "ReposOwnerRepoCommitsRefCheckRunsGetResponse200"
        return ListPage(
            kind,
            "check_runs",
            rows,
            lambda row: self._renderer.check_run(request.repo, row),
            *request.page,
        )

    def _check_suites(self, request: RepoRequest, sha: str) -> Response:
        request.allow_keys()
        return ListPage(
            "ReposOwnerRepoCommitsRefCheckSuitesGetResponse200",
            "check_suites",
            request.repo.suites_of(sha, self._now),
            lambda suite: self._renderer.check_suite(request.repo, suite),
            *request.page,
        )

    def _check_run(self, request: RepoRequest, number: int, rest: list[str]) -> Response:
        request.allow_keys()
        row = request.repo.row(number, self._now)
        if row is None:
            return NOT_FOUND
        if not rest:
            return Document(self._renderer.check_run(request.repo, row))
        if rest != ["annotations"]:
            raise UnsupportedRequestError("/".join(["check-runs", *rest]))
        messages = row.annotations_at(self._now)
        return ListPage(
            "CheckAnnotation", None, messages,
            lambda text: self._renderer.annotation(request.repo, row, text),
            *request.page,
        )  # fmt: skip

    # ------------------------------------------------------------------ statuses

    def _statuses_of(self, repo: Repo, sha: str) -> list[Status]:
        found = [s for s in repo.statuses if s.sha == sha and s.at <= self._now]
        return sorted(found, key=lambda status: (status.at, status.id), reverse=True)

    def _statuses(self, request: RepoRequest, sha: str) -> Response:
        request.allow_keys()
        found = self._statuses_of(request.repo, sha)
        return ListPage(
            "Status", None, found, lambda s: self._renderer.status(request.repo, s), *request.page
        )

    def _combined(self, request: RepoRequest, sha: str) -> Response:
        request.allow_keys()
        latest = {
            status.context: status for status in reversed(self._statuses_of(request.repo, sha))
        }
        states = {status.state for status in latest.values()}
        base = f"{self._renderer.base(request.repo.full_name)}/commits/{sha}"
        envelope = {
            "state": "failure" if states & {"failure", "error"}
            else "pending" if "pending" in states or not states else "success",
            "sha": sha,
            "commit_url": base,
            "url": f"{base}/status",
            "repository": self._renderer.parts.small_repo(request.repo.full_name, request.repo.id),
        }  # fmt: skip
        return ListPage(
            "CombinedCommitStatus", "statuses", list(latest.values()),
            lambda s: self._renderer.status(request.repo, s, combined=True),
            *request.page, envelope=envelope,
        )  # fmt: skip


def _time_of(run: Run) -> tuple[float, int]:
    return int(run.created_at), run.id


def _permission(rest: list[str]) -> str:
    """Return the permission that an endpoint below a repository needs."""
    match rest:
        case ["actions", *_]:
            return "actions"
        case ["check-runs", *_] | ["commits", *_, "check-runs" | "check-suites"]:
            return "checks"
        case ["commits", *_, "status" | "statuses"]:
            return "statuses"
        case ["commits" | "compare" | "contents" | "git" | "branches", *_]:
            return "contents"
    return "metadata"


def _latest(rows: Iterable[CheckRun]) -> list[CheckRun]:
    """Keep the newest check run of each name in each suite."""
    newest = {(row.suite, row.name): row for row in rows}
    return sorted(newest.values(), key=lambda row: (row.created_at, row.id))
