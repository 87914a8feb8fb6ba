"""The endpoints that the stand-in knows, as GitHub documents them (version 2022-11-28)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from tests.github.app_endpoints import AppEndpoints, Caller
from tests.github.history import reachable
from tests.github.limits import ANONYMOUS, Gate
from tests.github.render import Renderer
from tests.github.repo import Repo, Status
from tests.github.results import (
    MOST_A_PAGE,
    NOT_FOUND,
    USUAL_A_PAGE,
    Document,
    Listing,
    Refusal,
    Result,
)
from tests.github.rows import CheckRow, JobRow
from tests.github.runs import Run
from tests.github.runs_filter import RUN_FILTERS, UnknownFilterError, created_within, run_passes

MOST_FILTERED = 1000
"""Results of a filtered list of runs that can be reached at all."""

PAGING = frozenset({"per_page", "page"})


class UnknownRequestError(Exception):
    """Nothing that the stand-in plays; the product asks for something new."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for something below a repository.

    Attributes:
        repo: that it is about.
        query: the last value of each key.
    """

    repo: Repo
    query: Mapping[str, str]

    def only(self, *known: str) -> None:
        """Refuse to guess what an unknown key of the query would do."""
        unknown = self.query.keys() - PAGING - set(known)
        if unknown:
            raise UnknownRequestError(f"query keys {sorted(unknown)}")

    def number(self, key: str, default: int) -> int:
        text = self.query.get(key, "")
        return max(1, int(text)) if text.isdecimal() else default

    @property
    def page(self) -> tuple[int, int]:
        """Page and rows a page."""
        return self.number("page", 1), min(MOST_A_PAGE, self.number("per_page", USUAL_A_PAGE))


class Endpoints:
    """Finds what a path names."""

    def __init__(self, renderer: Renderer, gate: Gate) -> None:
        """Args:
        renderer: makes the documents.
        gate: knows the limits and the App.
        """
        self._r = renderer
        self._app = AppEndpoints(renderer, gate)
        self._world = renderer.world

    @property
    def _now(self) -> float:
        return self._world.now

    def find(self, method: str, path: str, query: Mapping[str, str], caller: Caller) -> Result:
        """Return what is at a path.

        Raises:
            UnknownRequestError: the stand-in does not play this.
        """
        match (method, path.strip("/").split("/")):
            case ("GET", ["rate_limit"]):
                return self._app.rate_limit(caller)
            case ("POST", ["app", "installations", number, "access_tokens"]):
                return self._app.access_token(number, caller)
            case ("GET", ["repos", owner, name, *rest]):
                return self._below(f"{owner}/{name}", rest, query, caller)
        raise UnknownRequestError(f"{method} {path}")

    def _below(
        self, full_name: str, rest: list[str], query: Mapping[str, str], caller: Caller
    ) -> Result:
        repo = self._world.repos.get(full_name)
        if rest == ["installation"]:
            return self._app.installation(repo, caller)
        if repo is None or (repo.private and caller.who == ANONYMOUS):
            return NOT_FOUND
        ask = Ask(repo, query)
        match rest:
            case []:
                ask.only()
                return Document(self._r.repository(repo))
            case ["actions", *more]:
                return self._actions(ask, more)
            case ["commits", *more]:
                return self._commits(ask, more)
            case ["check-runs", number, *more] if number.isdecimal():
                return self._check_run(ask, int(number), more)
        raise UnknownRequestError("/".join(["repos", full_name, *rest]))

    # ------------------------------------------------------------------ actions

    def _actions(self, ask: Ask, rest: list[str]) -> Result:
        match rest:
            case ["runs"]:
                return self._runs(ask)
            case ["runs", number, *more] if number.isdecimal():
                run = ask.repo.runs_by_id.get(int(number))
                if run is None or not run.exists(self._now):
                    return NOT_FOUND
                return self._run(ask, run, more)
            case ["jobs", number] if number.isdecimal():
                ask.only()
                row = ask.repo.row(int(number), self._now)
                return (
                    Document(self._r.job(ask.repo, row)) if isinstance(row, JobRow) else NOT_FOUND
                )
        raise UnknownRequestError("/".join(["actions", *rest]))

    def _run(self, ask: Ask, run: Run, rest: list[str]) -> Result:
        if not rest:
            ask.only("exclude_pull_requests")
            return Document(self._r.run(ask.repo, run))
        if rest != ["jobs"]:
            raise UnknownRequestError("/".join(["runs", *rest]))
        ask.only("filter")
        rows = list(run.rows(self._now))
        if ask.query.get("filter", "latest") == "latest":
            newest = run.attempt(self._now).number
            rows = [row for row in rows if row.attempt == newest]
        rows.sort(key=lambda row: row.id)
        kind = "ReposOwnerRepoActionsRunsRunIdJobsGetResponse200"
        return Listing(kind, "jobs", rows, lambda row: self._r.job(ask.repo, row), *ask.page)

    def _runs(self, ask: Ask) -> Result:
        ask.only(*RUN_FILTERS, "exclude_pull_requests")
        filters = {key: ask.query[key] for key in RUN_FILTERS if key in ask.query}
        try:
            wanted = created_within(filters.pop("created", "*"))
        except UnknownFilterError as error:
            raise UnknownRequestError(str(error)) from None
        now = self._now
        found = [
            run
            for run in ask.repo.runs
            if run.exists(now) and wanted(run.created_at) and run_passes(run, filters, now)
        ]
        found.sort(key=lambda run: (int(run.created_at), run.id), reverse=True)
        filtered = bool(ask.query.keys() & RUN_FILTERS)
        reachable = found[:MOST_FILTERED] if filtered else found
        kind = "ReposOwnerRepoActionsRunsGetResponse200"
        return Listing(
            kind, "workflow_runs", reachable, lambda run: self._r.run(ask.repo, run),
            *ask.page, total=len(found),
        )  # fmt: skip

    # ------------------------------------------------------------------ commits

    def _commits(self, ask: Ask, rest: list[str]) -> Result:
        if not rest:
            return self._history(ask)
        match rest:
            case [*ref, "check-runs"]:
                act: Callable[[Ask, str], Result] = self._check_runs
            case [*ref, "status"]:
                act = self._combined
            case [*ref, "statuses"]:
                act = self._statuses
            case ref:
                act = self._commit
        node = ask.repo.find("/".join(ref), self._now)
        if node is None:
            said = f"No commit found for SHA: {'/'.join(ref)}"
            return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, said)
        return act(ask, node.sha)

    def _history(self, ask: Ask) -> Result:
        ask.only("sha")
        ref = ask.query.get("sha", ask.repo.default_branch)
        head = ask.repo.find(ref, self._now)
        if head is None:
            empty = ask.repo.head(ask.repo.default_branch, self._now) is None
            return Refusal(409, "Git Repository is empty.") if empty else NOT_FOUND
        found = reachable(head)
        return Listing(
            "Commit", None, found, lambda node: self._r.commit(ask.repo, node), *ask.page
        )

    def _commit(self, ask: Ask, sha: str) -> Result:
        ask.only()
        return Document(self._r.commit(ask.repo, ask.repo.commits[sha], alone=True))

    # ------------------------------------------------------------------ checks

    def _check_runs(self, ask: Ask, sha: str) -> Result:
        ask.only("filter", "status", "app_id", "check_name")
        rows = ask.repo.rows_of(sha, self._now)
        if ask.query.get("filter", "latest") == "latest":
            rows = _latest(rows)
        for key, said in (
            ("status", lambda row: row.status(self._now)),
            ("check_name", lambda row: row.name),
            ("app_id", lambda row: str(self._r.shapes.app(row.app)["id"])),
        ):
            if key in ask.query:
                rows = [row for row in rows if said(row) == ask.query[key]]
        rows = rows[::-1]
        kind = "ReposOwnerRepoCommitsRefCheckRunsGetResponse200"
        return Listing(
            kind, "check_runs", rows, lambda row: self._r.check_run(ask.repo, row), *ask.page
        )

    def _check_run(self, ask: Ask, number: int, rest: list[str]) -> Result:
        ask.only()
        row = ask.repo.row(number, self._now)
        if row is None:
            return NOT_FOUND
        if not rest:
            return Document(self._r.check_run(ask.repo, row))
        if rest != ["annotations"]:
            raise UnknownRequestError("/".join(["check-runs", *rest]))
        said = row.said(self._now)
        return Listing(
            "CheckAnnotation", None, said, lambda text: self._r.annotation(ask.repo, row, text),
            *ask.page,
        )  # fmt: skip

    # ------------------------------------------------------------------ statuses

    def _set(self, repo: Repo, sha: str) -> list[Status]:
        found = [s for s in repo.statuses if s.sha == sha and s.at <= self._now]
        return sorted(found, key=lambda status: (status.at, status.id), reverse=True)

    def _statuses(self, ask: Ask, sha: str) -> Result:
        ask.only()
        found = self._set(ask.repo, sha)
        return Listing("Status", None, found, lambda s: self._r.status(ask.repo, s), *ask.page)

    def _combined(self, ask: Ask, sha: str) -> Result:
        ask.only()
        latest = {status.context: status for status in reversed(self._set(ask.repo, sha))}
        states = {status.state for status in latest.values()}
        base = f"{self._r.base(ask.repo.full_name)}/commits/{sha}"
        around = {
            "state": "failure" if states & {"failure", "error"}
            else "pending" if "pending" in states or not states else "success",
            "sha": sha,
            "commit_url": base,
            "url": f"{base}/status",
            "repository": self._r.shapes.small_repo(ask.repo.full_name, ask.repo.id),
        }  # fmt: skip
        return Listing(
            "CombinedCommitStatus", "statuses", list(latest.values()),
            lambda s: self._r.status(ask.repo, s, combined=True), *ask.page, around=around,
        )  # fmt: skip


def _latest(rows: Iterable[CheckRow]) -> list[CheckRow]:
    """Keep the newest check run of each name in each suite."""
    newest = {(row.suite, row.name): row for row in rows}
    return sorted(newest.values(), key=lambda row: (row.created_at, row.id))
