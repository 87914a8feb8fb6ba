"""The objects of the GraphQL schema, as mappings from field names to values or functions.

A field that is missing here fails the test that asks for it, and so does an unsupported argument.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tests.github.checks import CheckRun, Step, WorkflowJob
from tests.github.commits import CommitNode, reachable
from tests.github.graphql_errors import ApiError
from tests.github.graphql_pages import Object, Pages, decoded
from tests.github.json_parts import node_id, time_text
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.runs import Run
from tests.github.suites import CheckSuite


class GraphqlObjects:
    """The objects of one query."""

    def __init__(self, renderer: Renderer, pages: Pages) -> None:
        """Args:
        renderer: the state to render, and the addresses of its pages.
        pages: the pages of the query's connections.
        """
        self._pages = pages
        self._renderer = renderer
        self._fake = renderer.fake
        self._now = renderer.now
        self._html = renderer.parts.html

    def query(self, rate_limit: Object) -> Object:
        """Return the root object."""
        return {
            "rateLimit": rate_limit,
            "repository": self._find_repository,
            "repositoryOwner": self._owner,
            "node": lambda _info, id: self._node(id),
            "nodes": lambda _info, ids: [self._node_or_error(one) for one in ids],
        }

    def _require(self, repo: Repo, permission: str) -> None:
        """Raise the error of a field or row for which the tokens lack a permission."""
        if self._fake.lacks(repo, permission):
            raise ApiError("FORBIDDEN", self._fake.rights.message)

    # ------------------------------------------------------------------ nodes

    def _node_or_error(self, identity: str) -> Object | ApiError:
        try:
            return self._node(identity)
        except ApiError as error:
            return error

    def _node(self, identity: str) -> Object:
        kind, _, key = identity.partition("_")
        number = int(digits) if (digits := key.removeprefix("kw")).isdecimal() else 0
        for repo in self._fake.repos.values():
            if self._fake.lacks(repo, "metadata"):
                continue
            found = self._node_in(repo, kind, key, number)
            if found is not None:
                return found
        message = f"Could not resolve to a node with the global id of '{identity}'."
        raise ApiError("NOT_FOUND", message)

    def _node_in(self, repo: Repo, kind: str, key: str, number: int) -> Object | None:
        match kind:
            case "R" if repo.id == number:
                return self.repository(repo)
            case "C" if key in repo.commits:
                self._require(repo, "contents")
                return self.commit(repo, repo.commits[key])
            case "CS" if (suite := repo.suites.get(number)) and suite.exists(self._now):
                self._require(repo, "checks")
                return self.suite(repo, suite)
            case "CR" if (row := repo.row(number, self._now)) is not None:
                self._require(repo, "checks")
                return self.check_run(repo, row)
            case "WFR" if (run := repo.runs_by_id.get(number)) and run.exists(self._now):
                self._require(repo, "actions")
                return self.run(repo, run)
        return None

    # ------------------------------------------------------------------ repositories

    def _find_repository(self, _info: Any, owner: str, name: str, **_renames: bool) -> Object:
        full_name = f"{owner}/{name}"
        repo = self._fake.moved.get(full_name) or self._fake.find(full_name)
        if repo is None or self._fake.lacks(repo, "metadata"):
            message = f"Could not resolve to a Repository with the name '{full_name}'."
            raise ApiError("NOT_FOUND", message)
        return self.repository(repo)

    def _owner(self, _info: Any, login: str) -> Object | None:
        owned = [
            repo
            for repo in self._fake.repos.values()
            if repo.full_name.lower().startswith(f"{login.lower()}/")
            and not self._fake.lacks(repo, "metadata")
        ]
        if not owned:
            return None

        def repositories(
            _info: Any,
            isArchived: bool | None = None,
            isFork: bool | None = None,
            ownerAffiliations: object = None,  # noqa: ARG001 — none is a collaborator here
            **page: Any,
        ) -> Object:
            found = [
                repo
                for repo in owned
                if isArchived in (None, repo.archived) and isFork in (None, repo.fork)
            ]
            return self._pages.connection(
                found, self.repository, lambda repo: repo.full_name, **page
            )

        number = 1000 + sum(login.encode())
        return {
            "__typename": "Organization",
            "id": node_id("U", number),
            "login": login,
            "repositories": repositories,
        }

    def repository(self, repo: Repo) -> Object:
        return {
            "__typename": "Repository",
            "id": node_id("R", repo.id),
            "databaseId": repo.id,
            "nameWithOwner": repo.full_name,
            "url": f"{self._html}/{repo.full_name}",
            "isPrivate": repo.private,
            "isArchived": repo.archived,
            "isDisabled": False,
            "isFork": repo.fork,
            "isEmpty": repo.head(repo.default_branch, self._now) is None,
            "defaultBranchRef": lambda _info: self._ref(repo, repo.default_branch),
            "ref": lambda _info, qualifiedName: self._ref(
                repo, qualifiedName.removeprefix("refs/heads/")
            ),
            "refs": lambda _info, refPrefix, **page: self._refs(repo, refPrefix, **page),
            "object": lambda _info, oid=None, expression=None: self._object(
                repo, oid or expression
            ),
        }

    def _ref(self, repo: Repo, branch: str) -> Object | None:
        self._require(repo, "contents")
        head = repo.head(branch, self._now)
        if head is None:
            return None
        return {
            "__typename": "Ref",
            "id": f"REF_{repo.id}_{branch}",
            "name": branch,
            "prefix": "refs/heads/",
            "target": lambda _info: self.commit(repo, head),
        }

    def _refs(self, repo: Repo, prefix: str, query: str = "", **page: Any) -> Object:
        self._require(repo, "contents")
        below = prefix.removeprefix("refs/heads/")
        names = [name for name in sorted(repo.branches) if repo.head(name, self._now)]
        found = [name for name in names if name.startswith(below) and query in name]
        return self._pages.connection(found, lambda name: self._ref(repo, name), str, **page)

    def _object(self, repo: Repo, expression: str) -> Object | None:
        self._require(repo, "contents")
        node = repo.find(expression, self._now)
        return self.commit(repo, node) if node else None

    # ------------------------------------------------------------------ commits

    def commit(self, repo: Repo, node: CommitNode) -> Object:
        user = {"__typename": "User", "login": node.author}
        return {
            "__typename": "Commit",
            "id": f"C_{node.sha}",
            "oid": node.sha,
            "url": f"{self._html}/{repo.full_name}/commit/{node.sha}",
            "committedDate": time_text(node.date),
            "authoredDate": time_text(node.date),
            "messageHeadline": node.title,
            "author": {"name": node.author, "user": user},
            "parents": lambda _info, **page: self._pages.connection(
                node.parents, lambda parent: self.commit(repo, parent), node.parents.index, **page
            ),
            "history": lambda _info, **page: self._history(repo, node, **page),
            "checkSuites": lambda _info, **page: self._suites(repo, node, **page),
            "status": lambda _info: self._status(repo, node),
        }

    def _status(self, repo: Repo, node: CommitNode) -> Object | None:
        latest = {
            each.context: each
            for each in sorted(repo.statuses, key=lambda each: each.at)
            if each.sha == node.sha and each.at <= self._now
        }
        contexts = [
            {
                "__typename": "StatusContext",
                "context": each.context,
                "state": each.state.upper(),
                "createdAt": time_text(each.at),
            }
            for each in latest.values()
        ]
        return {"contexts": contexts} if contexts else None

    def _history(
        self, repo: Repo, head: CommitNode, first: int, after: str | None = None
    ) -> Object:
        """Return the commits in the order of `git log`; a cursor names the head of its list."""
        if after is not None:
            head = repo.commits.get(decoded(after).partition(" ")[0], head)
        found = reachable(head)
        return self._pages.connection(
            range(len(found)),
            lambda number: self.commit(repo, found[number]),
            lambda number: f"{head.sha} {number}",
            first=first,
            after=after,
        )

    def _suites(
        self,
        repo: Repo,
        node: CommitNode,
        filterBy: Object | None = None,
        **page: Any,
    ) -> Object:
        found = repo.suites_of(node.sha, self._now)
        for key, value in (filterBy or {}).items():
            match key:
                case "appId":
                    found = [suite for suite in found if self._app_id(suite.app) == value]
                case "checkName":
                    found = [s for s in found if any(r.name == value for r in s.rows_at(self._now))]
        # Without the permission each row of the list is an error of its own.
        refused = ApiError("FORBIDDEN", self._fake.rights.message)
        lacking = self._fake.lacks(repo, "checks")
        return self._pages.connection(
            found,
            lambda suite: refused if lacking else self.suite(repo, suite),
            lambda suite: suite.id,
            **page,
        )

    # ------------------------------------------------------------------ checks

    def suite(self, repo: Repo, suite: CheckSuite) -> Object:
        now = self._now
        page = f"/{repo.full_name}/commit/{suite.sha}/checks?check_suite_id={suite.id}"
        return {
            "__typename": "CheckSuite",
            "id": node_id("CS", suite.id),
            "databaseId": suite.id,
            "url": f"{self._html}{page}",
            "resourcePath": page,
            "app": lambda _info: self._app(suite.app),
            "branch": lambda _info: self._ref(repo, suite.head_branch),
            "status": suite.status(now).upper(),
            "conclusion": _upper(suite.conclusion(now)),
            "createdAt": time_text(suite.created_at),
            "updatedAt": time_text(suite.updated_at(now)),
            "commit": lambda _info: self.commit(repo, repo.commits[suite.sha]),
            "repository": lambda _info: self.repository(repo),
            "workflowRun": lambda _info: self._run_of(repo, suite),
            "checkRuns": lambda _info, **page: self._check_runs(repo, suite, **page),
        }

    def _app_id(self, slug: str | None) -> int | None:
        return self._renderer.parts.app(slug)["id"] if slug else None

    def _app(self, slug: str | None) -> Object | None:
        if slug is None:
            return None
        app = self._renderer.parts.app(slug)
        return {
            "__typename": "App",
            "id": app["node_id"],
            "databaseId": app["id"],
            "slug": slug,
            "name": app["name"],
        }

    def _check_runs(
        self,
        repo: Repo,
        suite: CheckSuite,
        filterBy: Object | None = None,
        **page: Any,
    ) -> Object:
        wanted = {"checkType": "LATEST", **(filterBy or {})}
        rows = suite.rows_at(self._now, latest=wanted.pop("checkType") == "LATEST")
        tests: Mapping[str, Callable[[CheckRun, Any], bool]] = {
            "checkName": lambda row, name: row.name == name,
            "status": lambda row, word: row.status(self._now).upper() == word,
            "statuses": lambda row, words: row.status(self._now).upper() in words,
            "conclusions": lambda row, words: _upper(row.conclusion(self._now)) in words,
            "appId": lambda row, number: self._app_id(row.app) == number,
        }
        for key, value in wanted.items():
            rows = [row for row in rows if tests[key](row, value)]
        return self._pages.connection(
            rows, lambda row: self.check_run(repo, row), lambda row: row.id, **page
        )

    def check_run(self, repo: Repo, row: CheckRun) -> Object:
        now = self._now
        page = f"{self._html}/{repo.full_name}/runs/{row.id}"
        if isinstance(row, WorkflowJob):
            page = self._renderer.job_url(row, repo.full_name)
        return {
            "__typename": "CheckRun",
            "id": node_id("CR", row.id),
            "databaseId": row.id,
            "name": row.name,
            "status": row.status(now).upper(),
            "conclusion": _upper(row.conclusion(now)),
            "startedAt": time_text(row.started_at(now)),
            "completedAt": time_text(row.completed_at(now)),
            "externalId": f"external-{row.id}",
            "detailsUrl": row.url or page,
            "permalink": page,
            "url": page,
            "title": None,
            "text": None,
            "summary": None,
            "checkSuite": lambda _info: self.suite(repo, repo.suites[row.suite]),
            "steps": lambda _info, **page: self._pages.connection(
                row.steps(now) if isinstance(row, WorkflowJob) else (),
                _step,
                lambda step: step.number,
                **page,
            ),
            "annotations": lambda _info, **page: self._pages.connection(
                row.annotations_at(now),
                partial(_annotation, row),
                row.annotations_at(now).index,
                **page,
            ),
        }

    def _run_of(self, repo: Repo, suite: CheckSuite) -> Object | None:
        if suite.run is None:
            return None
        self._require(repo, "actions")
        return self.run(repo, suite.run)

    def run(self, repo: Repo, run: Run) -> Object:
        page = f"/{repo.full_name}/actions/runs/{run.id}"
        path = run.workflow.path
        number = repo.workflow_ids[path]
        return {
            "__typename": "WorkflowRun",
            "id": node_id("WFR", run.id),
            "databaseId": run.id,
            "runNumber": run.number,
            "event": run.event,
            "url": f"{self._html}{page}",
            "resourcePath": page,
            "createdAt": time_text(run.created_at),
            "updatedAt": time_text(run.updated_at(self._now)),
            "checkSuite": lambda _info: self.suite(repo, repo.suites[run.suite]),
            "file": {"__typename": "WorkflowRunFile", "path": path},
            "workflow": lambda _info: {
                "__typename": "Workflow",
                "id": node_id("W", number),
                "databaseId": number,
                "name": repo.workflow_name(path, self._now),
                "resourcePath": f"/{repo.full_name}/actions/workflows/{path.rpartition('/')[2]}",
                "state": repo.workflow_states.get(path, "active").upper(),
            },
        }


def _upper(word: str | None) -> str | None:
    return word.upper() if word else None


def _step(step: Step) -> Object:
    return {
        "number": step.number,
        "name": step.name,
        "status": step.status.upper(),
        "conclusion": _upper(step.conclusion),
        "startedAt": time_text(step.started_at),
        "completedAt": time_text(step.completed_at),
    }


def _annotation(row: CheckRun, message: str) -> Object:
    return {
        "annotationLevel": "FAILURE",
        "message": message,
        "path": row.annotation_path(message),
        "title": "",
    }
