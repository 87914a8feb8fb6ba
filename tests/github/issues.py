"""The issues of a world: what GitHub's endpoints do to them, and what people do."""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import count
from typing import Any

from tests.github.http_server import HttpRequest
from tests.github.issue_model import Comment, Issue, IssueDocuments
from tests.github.json_parts import Json, time_text
from tests.github.render import Renderer
from tests.github.responses import (
    NOT_FOUND,
    PER_PAGE_DEFAULT,
    PER_PAGE_LIMIT,
    Document,
    ErrorResponse,
    ListPage,
    Response,
)

TITLE_LIMIT, BODY_LIMIT, LABEL_LIMIT = 256, 65_536, 50
"""What GitHub takes: characters of a title, of a body and of a label."""

OF_ISSUES = frozenset({"state", "labels", "since", "sort", "direction", "per_page", "page"})
OF_COMMENTS = frozenset({"since", "per_page", "page"})

GONE = ErrorResponse(HTTPStatus.GONE, "This issue was deleted")
MOVED = ErrorResponse(HTTPStatus.MOVED_PERMANENTLY, "Moved Permanently")
CREATE, CHANGE, COMMENT = (
    "ReposOwnerRepoIssuesPostBody",
    "ReposOwnerRepoIssuesIssueNumberPatchBody",
    "ReposOwnerRepoIssuesIssueNumberCommentsPostBody",
)


class UnsupportedIssueRequestError(Exception):
    """Nothing that the stand-in plays; the product asks for something new."""


class IssueTracker:
    """Every issue of a world.

    Attributes:
        collaborators: logins that may be assigned.
        list_lag: seconds until something new is in a list.
        fail_late: server errors come after the change was made, and not instead of it.
        writes: every change that came through the API, as `METHOD path`.
    """

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: knows the world, and how users look.
        """
        self._renderer = renderer
        self._documents = IssueDocuments(renderer)
        self._ids = count(1)
        self._issues: dict[str, dict[int, Issue]] = {}
        self.collaborators = {"author-a", "author-b"}
        self.list_lag = 0.0
        self.fail_late = False
        self.writes: list[str] = []

    @property
    def _now(self) -> float:
        return self._renderer.fake.now

    def all(self, repo: str = "o/r") -> list[Issue]:
        """Return the issues of a repository that are there, oldest first."""
        found = self._issues.setdefault(repo, {}).values()
        return [issue for issue in found if issue.instead is None]

    def handles(self, path: str) -> bool:
        """Whether a path is about issues."""
        parts = path.strip("/").split("/")
        return len(parts) > 3 and parts[0] == "repos" and parts[3] == "issues"

    # ------------------------------------------------------------------ what people do

    def open_by(self, who: str, title: str, body: str, *labels: str, repo: str = "o/r") -> Issue:
        """Let a person open an issue."""
        found = self._issues.setdefault(repo, {})
        now = self._now
        issue = Issue(len(found) + 1, who, title, body, list(labels), [], now, now)
        found[issue.number] = issue
        return issue

    def close_by(self, who: str, issue: Issue) -> None:
        """Let a person close an issue."""
        issue.closed_at, issue.closed_by, issue.reason = self._now, who, "completed"
        issue.updated_at = self._now

    def reopen_by(self, issue: Issue) -> None:
        """Let a person open an issue again."""
        issue.closed_at = issue.closed_by = None
        issue.reason, issue.updated_at = "reopened", self._now

    # ------------------------------------------------------------------ what the API does

    def answer(self, request: HttpRequest, path: str, who: str) -> Response:
        """Carry out one request.

        Raises:
            UnknownIssueRequestError: the stand-in does not play this.
        """
        _, owner, name, _, *rest = path.strip("/").split("/")
        repo = f"{owner}/{name}"
        if repo not in self._renderer.fake.repos:
            return NOT_FOUND
        if request.method != "GET":
            self.writes.append(f"{request.method} {path}")
        match (request.method, rest):
            case ("GET", []):
                return self._list(repo, dict(request.query))
            case ("POST", []):
                return self._create(repo, self._body(CREATE, request), who)
        issue = self._issues.get(repo, {}).get(int(rest[0])) if rest[0].isdecimal() else None
        if issue is None:
            return NOT_FOUND
        if issue.instead is not None:
            return issue.instead
        match (request.method, rest[1:]):
            case ("GET", []):
                return Document(self._documents.issue(repo, issue))
            case ("PATCH", []):
                return self._change(repo, issue, self._body(CHANGE, request), who)
            case ("GET", ["comments"]):
                return self._comments(repo, issue, dict(request.query))
            case ("POST", ["comments"]):
                return self._comment(repo, issue, self._body(COMMENT, request), who)
        raise UnsupportedIssueRequestError(f"{request.method} {path}")

    def _body(self, kind: str, request: HttpRequest) -> Json:
        self._renderer.validator.check(kind, request.body.decode())
        document: Json = json.loads(request.body)
        return document

    def _create(self, repo: str, body: Json, who: str) -> Response:
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        issue = self.open_by(
            who, body["title"], body.get("body") or "", *body.get("labels", ()), repo=repo
        )
        issue.assignees = list(body.get("assignees", ()))
        return Document(self._documents.issue(repo, issue), HTTPStatus.CREATED)

    def _change(self, repo: str, issue: Issue, body: Json, who: str) -> Response:
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        issue.title = body.get("title", issue.title)
        issue.body = body.get("body", issue.body)
        if body.get("state") == "closed" and issue.closed_at is None:
            self.close_by(who, issue)
        elif body.get("state") == "open" and issue.closed_at is not None:
            self.reopen_by(issue)
        issue.reason = body.get("state_reason", issue.reason)
        issue.updated_at = self._now
        return Document(self._documents.issue(repo, issue))

    def _comment(self, repo: str, issue: Issue, body: Json, who: str) -> Response:
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        said = Comment(next(self._ids), who, body["body"], self._now)
        issue.comments.append(said)
        issue.updated_at = self._now
        return Document(self._documents.comment(repo, issue, said), HTTPStatus.CREATED)

    def _wrong(self, body: Json) -> ErrorResponse | None:
        """Return the refusal of what GitHub does not take."""
        strangers = set(body.get("assignees", ())) - self.collaborators
        problems = {
            "title": len(body.get("title", "x")) > TITLE_LIMIT or not body.get("title", "x"),
            "body": len(body.get("body") or "") > BODY_LIMIT,
            "labels": any(not 0 < len(label) <= LABEL_LIMIT for label in body.get("labels", ())),
            "assignees": bool(strangers),
        }
        wrong = [name for name, is_wrong in problems.items() if is_wrong]
        said = f"Validation Failed: {', '.join(wrong)}"
        return ErrorResponse(HTTPStatus.UNPROCESSABLE_ENTITY, said) if wrong else None

    # ------------------------------------------------------------------ lists

    def _list(self, repo: str, query: Mapping[str, str]) -> Response:
        _only(query, OF_ISSUES)
        state = query.get("state", "open")
        wanted = {label for label in query.get("labels", "").split(",") if label}
        found = [
            issue
            for issue in self.all(repo)
            if state in ("all", issue.state)
            and wanted <= set(issue.labels)
            and _since(query, issue.updated_at)
            and issue.created_at + self.list_lag <= self._now
        ]
        key = {"created": lambda i: (i.created_at, i.number), "updated": lambda i: i.updated_at}
        found.sort(
            key=key[query.get("sort", "created")], reverse=query.get("direction", "desc") == "desc"
        )
        return self._listing(
            "Issue", found, lambda issue: self._documents.issue(repo, issue), query
        )

    def _comments(self, repo: str, issue: Issue, query: Mapping[str, str]) -> Response:
        _only(query, OF_COMMENTS)
        found = [
            said
            for said in issue.comments
            if _since(query, said.at) and said.at + self.list_lag <= self._now
        ]
        return self._listing(
            "IssueComment", found, lambda said: self._documents.comment(repo, issue, said), query
        )

    def _listing(
        self,
        kind: str,
        items: Sequence[Any],
        render: Callable[[Any], str],
        query: Mapping[str, str],
    ) -> ListPage:
        page, size = int(query.get("page", 1)), int(query.get("per_page", PER_PAGE_DEFAULT))
        return ListPage(kind, None, items, render, page, min(PER_PAGE_LIMIT, size))


def _only(query: Mapping[str, str], known: frozenset[str]) -> None:
    """Refuse to guess what an unknown key of the query would do."""
    if query.keys() - known:
        raise UnsupportedIssueRequestError(f"query keys {sorted(query.keys() - known)}")


def _since(query: Mapping[str, str], at: float) -> bool:
    return (time_text(at) or "") >= query.get("since", "")
