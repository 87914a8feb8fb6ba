"""The issues of a fake GitHub: their endpoints, and actions of people."""

import json
import re
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
"""GitHub's limits: characters of a title, of a body and of a label."""

OF_ISSUES = frozenset({"state", "labels", "since", "sort", "direction", "per_page", "page"})
OF_COMMENTS = frozenset({"since", "per_page", "page"})

LOCKED = ErrorResponse(HTTPStatus.FORBIDDEN, "Unable to create comment because issue is locked.")
ARCHIVED = ErrorResponse(HTTPStatus.FORBIDDEN, "Repository was archived so is read-only.")
INVALID = ErrorResponse(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed")
GONE = ErrorResponse(HTTPStatus.GONE, "This issue was deleted")
MOVED = ErrorResponse(HTTPStatus.MOVED_PERMANENTLY, "Moved Permanently")
CREATE, CHANGE, COMMENT = (
    "ReposOwnerRepoIssuesPostBody",
    "ReposOwnerRepoIssuesIssueNumberPatchBody",
    "ReposOwnerRepoIssuesIssueNumberCommentsPostBody",
)


class UnsupportedIssueRequestError(Exception):
    """A request that the fake GitHub does not support: the product sends a new one."""


class IssueTracker:
    """The issues of all repositories.

    Attributes:
        collaborators: logins that may be assigned.
        list_lag: seconds until a new issue or comment appears in lists.
        fail_late: whether injected errors are sent after the change was applied, not instead of it.
        refusals: error responses by a pattern of the `METHOD path` that they are for.
        writes: every change made through the API, as `METHOD path`.
    """

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: provides the state, URLs and the documents of users.
        """
        self._renderer = renderer
        self._documents = IssueDocuments(renderer)
        self._ids = count(1)
        self._issues: dict[str, dict[int, Issue]] = {}
        self.collaborators = {"author-a", "author-b"}
        self.list_lag = 0.0
        self.fail_late = False
        self.refusals: dict[str, ErrorResponse] = {}
        self.writes: list[str] = []

    @property
    def _now(self) -> float:
        return self._renderer.fake.now

    def all(self, repo: str = "o/r") -> list[Issue]:
        """Return a repository's issues that were neither deleted nor moved, oldest first."""
        found = self._issues.setdefault(repo, {}).values()
        return [issue for issue in found if issue.instead is None]

    def handles(self, path: str) -> bool:
        """Return whether a path belongs to the issues endpoints."""
        parts = path.strip("/").split("/")
        return len(parts) > 3 and parts[0] == "repos" and parts[3] == "issues"

    # ------------------------------------------------------------------ actions of people

    def open_by(self, who: str, title: str, body: str, *labels: str, repo: str = "o/r") -> Issue:
        """Open an issue as a person."""
        found = self._issues.setdefault(repo, {})
        now = self._now
        issue = Issue(len(found) + 1, who, title, body, list(labels), [], now, now)
        found[issue.number] = issue
        return issue

    def close_by(self, who: str, issue: Issue) -> None:
        """Close an issue as a person."""
        issue.closed_at, issue.closed_by, issue.reason = self._now, who, "completed"
        issue.updated_at = self._now

    def reopen_by(self, issue: Issue) -> None:
        """Reopen an issue as a person."""
        issue.closed_at = issue.closed_by = None
        issue.reason, issue.updated_at = "reopened", self._now

    # ------------------------------------------------------------------ requests to the API

    def answer(self, request: HttpRequest, path: str, who: str) -> Response:
        """Handle one request.

        Raises:
            UnsupportedIssueRequestError: the fake GitHub does not support it.
        """
        _, owner, name, _, *rest = path.strip("/").split("/")
        repo = f"{owner}/{name}"
        if repo not in self._renderer.fake.repos:
            return NOT_FOUND
        if request.method != "GET":
            self.writes.append(f"{request.method} {path}")
        for pattern, refusal in self.refusals.items():
            if re.search(pattern, f"{request.method} {path}"):
                return refusal
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
        error = self._validation_error(body)
        if error is not None:
            return error
        issue = self.open_by(
            who, body["title"], body.get("body") or "", *body.get("labels", ()), repo=repo
        )
        issue.assignees = list(body.get("assignees", ()))
        return Document(self._documents.issue(repo, issue), HTTPStatus.CREATED)

    def _change(self, repo: str, issue: Issue, body: Json, who: str) -> Response:
        error = self._validation_error(body)
        if error is not None:
            return error
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
        error = self._validation_error(body)
        if error is not None:
            return error
        comment = Comment(next(self._ids), who, body["body"], self._now)
        issue.comments.append(comment)
        issue.updated_at = self._now
        return Document(self._documents.comment(repo, issue, comment), HTTPStatus.CREATED)

    def _validation_error(self, body: Json) -> ErrorResponse | None:
        """Return GitHub's validation error, if the body violates a limit."""
        not_assignable = set(body.get("assignees", ())) - self.collaborators
        problems = {
            "title": len(body.get("title", "x")) > TITLE_LIMIT or not body.get("title", "x"),
            "body": len(body.get("body") or "") > BODY_LIMIT,
            "labels": any(not 0 < len(label) <= LABEL_LIMIT for label in body.get("labels", ())),
            "assignees": bool(not_assignable),
        }
        wrong = [name for name, is_wrong in problems.items() if is_wrong]
        message = f"Validation Failed: {', '.join(wrong)}"
        return ErrorResponse(HTTPStatus.UNPROCESSABLE_ENTITY, message) if wrong else None

    # ------------------------------------------------------------------ lists

    def _list(self, repo: str, query: Mapping[str, str]) -> Response:
        _allow_keys(query, OF_ISSUES)
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
        _allow_keys(query, OF_COMMENTS)
        found = [
            comment
            for comment in issue.comments
            if _since(query, comment.at) and comment.at + self.list_lag <= self._now
        ]
        return self._listing(
            "IssueComment",
            found,
            lambda comment: self._documents.comment(repo, issue, comment),
            query,
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


def _allow_keys(query: Mapping[str, str], supported: frozenset[str]) -> None:
    """Raise `UnsupportedIssueRequestError` if the query has other keys than these."""
    if query.keys() - supported:
        raise UnsupportedIssueRequestError(f"query keys {sorted(query.keys() - supported)}")


def _since(query: Mapping[str, str], at: float) -> bool:
    return (time_text(at) or "") >= query.get("since", "")
