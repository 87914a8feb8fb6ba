"""The issues of a fake GitLab: the endpoints of issues, notes and users.

https://docs.gitlab.com/api/issues/, https://docs.gitlab.com/api/notes/,
https://docs.gitlab.com/api/users/. Clock, faults, requests and people are those of the fake GitHub.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from json import loads
from typing import Any
from urllib.parse import unquote

from tests.github import issues as github
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpRequest
from tests.github.issue_model import Comment, Issue
from tests.github.issues import UnsupportedIssueRequestError
from tests.github.json_parts import Json, dumps
from tests.github.render import Renderer
from tests.github.responses import Document, ErrorResponse, ListPage, Response
from tests.github.server import GitHubServer, serving_github
from tests.gitlab.world import USER, project, time_text

TITLE_LIMIT, PER_PAGE_DEFAULT, PER_PAGE_LIMIT = 255, 20, 100

OF_ISSUES = frozenset(
    {"state", "labels", "updated_after", "order_by", "sort", "per_page", "page", "scope"}
)
OF_NOTES = frozenset({"order_by", "sort", "activity_filter", "per_page", "page"})
OF_NEW = frozenset({"title", "description", "labels", "assignee_ids", "confidential"})
OF_CHANGE = frozenset({"title", "description", "state_event"})

NO_ISSUE = ErrorResponse(HTTPStatus.NOT_FOUND, "404 Issue Not Found")
NO_PROJECT = ErrorResponse(HTTPStatus.NOT_FOUND, "404 Project Not Found")
RENAMED = ErrorResponse(
    HTTPStatus.METHOD_NOT_ALLOWED, "Non GET methods are not allowed for moved projects"
)


class GitlabIssueTracker(github.IssueTracker):
    """The issues of all projects.

    Attributes:
        unreadable: notes that no list shows, as those of other projects which the token may not
            read; they take places of a page all the same.
        facts: of each project's document, that differ from the usual ones.
        ignored: events of the state that the token may not cause.
    """

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(renderer)
        self._fake: FakeGitHub = renderer.fake
        self.unreadable: set[int] = set()
        self.facts: Json = {}
        self.ignored: set[str] = set()

    def handles(self, path: str) -> bool:
        """Return whether a path belongs to these endpoints."""
        return path.startswith(("/projects/", "/users"))

    def answer(self, request: HttpRequest, path: str, who: str) -> Response:
        """Handle one request.

        Raises:
            UnsupportedIssueRequestError: the fake GitLab does not support it.
        """
        if path == "/users":
            return self._users(dict(request.query)["username"])
        _, encoded, *rest = path.strip("/").split("/")
        names = {str(number): name for number, name in enumerate(self._fake.repos, 1)}
        repo = names.get(encoded, unquote(encoded))
        moved = self._fake.moved.get(repo)
        if moved is not None and (request.method != "GET" or rest):
            headers = {"Location": f"{request.path}"}
            elsewhere = ErrorResponse(HTTPStatus.FOUND, "moved", headers)
            return elsewhere if request.method == "GET" else RENAMED
        name = moved.full_name if moved is not None else repo
        if name not in self._fake.repos:
            return NO_PROJECT
        if not rest:
            return Document(dumps(self._project(name)))
        operation = _as_on_github(request.method, repo, rest)
        if request.method != "GET":
            self.writes.append(operation)
        for pattern, refusal in self.refusals.items():
            if re.search(pattern, operation):
                return refusal
        match (request.method, rest):
            case ("GET", ["issues"]):
                return self._listed(repo, dict(request.query), who)
            case ("POST", ["issues"]):
                return self._new(repo, _body(request, OF_NEW), who)
        number = int(rest[1]) if rest[1].isdecimal() else 0
        issue = self._issues.get(repo, {}).get(number)
        if issue is None or (issue.instead is not None and issue.instead != github.MOVED):
            return NO_ISSUE
        match (request.method, rest[2:]):
            case ("GET", []):
                return self._one(repo, issue)
            case ("PUT", []):
                return self._put(repo, issue, _body(request, OF_CHANGE), who)
            case ("GET", ["notes"]):
                return self._notes(repo, issue, dict(request.query))
            case ("POST", ["notes"]):
                text = _body(request, frozenset({"body"}))["body"]
                comment = Comment(next(self._ids), who, text.rstrip(), self._now)
                issue.comments.append(comment)
                issue.updated_at = self._now
                return Document(dumps(self._note(repo, issue, comment)), HTTPStatus.CREATED)
        raise UnsupportedIssueRequestError(f"{request.method} {path}")

    def _new(self, repo: str, body: Json, who: str) -> Response:
        if invalid := _invalid(body):
            return invalid
        labels = [label for label in body.get("labels", "").split(",") if label]
        text = (body.get("description") or "").rstrip()
        issue = self.open_by(who, body["title"], text, *labels, repo=repo)
        known = {_user_id(login): login for login in self.collaborators}
        issue.assignees = [known[n] for n in body.get("assignee_ids", ()) if n in known]
        issue.confidential = body.get("confidential", False)
        return self._one(repo, issue, HTTPStatus.CREATED)

    def _put(self, repo: str, issue: Issue, body: Json, who: str) -> Response:
        if invalid := _invalid(body):
            return invalid
        issue.title = body.get("title", issue.title)
        issue.body = body.get("description", issue.body).rstrip()
        event = body.get("state_event")
        if event == "close" and event not in self.ignored and issue.closed_at is None:
            self.close_by(who, issue)
        elif event == "reopen" and event not in self.ignored and issue.closed_at is not None:
            self.reopen_by(issue)
        issue.updated_at = self._now
        return self._one(repo, issue)

    # ------------------------------------------------------------------ lists

    def _listed(self, repo: str, query: Mapping[str, str], who: str) -> Response:
        _allow(query, OF_ISSUES)
        wanted = {label for label in query.get("labels", "").split(",") if label}
        found = [
            issue
            for issue in self._issues.get(repo, {}).values()
            if issue.instead in (None, github.MOVED)
            and query.get("state", "all") in ("all", _state(issue))
            and wanted <= set(issue.labels)
            and (query.get("scope", "all") == "all" or issue.by == who)
            and (time_text(issue.updated_at) or "") >= query.get("updated_after", "")
            and issue.created_at + self.list_lag <= self._now
        ]
        return _page(found, lambda issue: self._issue(repo, issue), query)

    def _notes(self, repo: str, issue: Issue, query: Mapping[str, str]) -> Response:
        _allow(query, OF_NOTES)
        found = [each for each in issue.comments if each.at + self.list_lag <= self._now]
        page = _page(found, lambda note: self._note(repo, issue, note), query)
        # GitLab leaves out what the token may not read after it has chosen a page.
        shown = page.items[page.start : page.start + page.per_page]
        readable = [note for note in shown if note.id not in self.unreadable]
        return replace(page, items=readable, page=1)

    def _users(self, login: str) -> Response:
        rows = [_user(login)] if login in {*self.collaborators, "author-x"} else []
        return Document(dumps(rows))

    # ------------------------------------------------------------------ documents

    def _one(self, repo: str, issue: Issue, status: int = HTTPStatus.OK) -> Document:
        row = {**self._issue(repo, issue), "subscribed": False}
        return Document(dumps(row), status)

    def _project(self, name: str) -> Json:
        usual = {
            "issues_enabled": True,
            "issues_access_level": "enabled",
            "permissions": {"project_access": {"access_level": 20}, "group_access": None},
        }
        number = list(self._fake.repos).index(name) + 1
        return {**project(number, name).row, **usual, **self.facts}

    def _issue(self, repo: str, issue: Issue) -> Json:
        place = f"https://gitlab.example.com/api/v4/projects/1/issues/{issue.number}"
        people = [_user(login) for login in issue.assignees]
        short = f"#{issue.number}"
        return {
            "id": 70_000 + issue.number,
            "iid": issue.number,
            "project_id": 1,
            "title": issue.title,
            "description": issue.body,
            "state": _state(issue),
            "created_at": time_text(issue.created_at),
            "updated_at": time_text(issue.updated_at),
            "closed_at": time_text(issue.closed_at),
            "closed_by": _user(issue.closed_by) if issue.closed_by else None,
            "labels": sorted(issue.labels),
            "milestone": None,
            "assignees": people,
            "author": _user(issue.by),
            "type": "ISSUE",
            "assignee": people[0] if people else None,
            "user_notes_count": len(issue.comments),
            "merge_requests_count": 0,
            "upvotes": 0,
            "downvotes": 0,
            "due_date": None,
            "confidential": issue.confidential,
            "discussion_locked": None,
            "issue_type": "issue",
            "web_url": f"https://gitlab.example.com/{repo}/-/issues/{issue.number}",
            "time_stats": {
                "time_estimate": 0,
                "total_time_spent": 0,
                "human_time_estimate": None,
                "human_total_time_spent": None,
            },
            "task_completion_status": {"count": 0, "completed_count": 0},
            "has_tasks": True,
            "task_status": "0 of 0 checklist items completed",
            "_links": {
                "self": place,
                "notes": f"{place}/notes",
                "award_emoji": f"{place}/award_emoji",
                "project": "https://gitlab.example.com/api/v4/projects/1",
            },
            "references": {"short": short, "relative": short, "full": f"{repo}{short}"},
            "severity": "UNKNOWN",
            "moved_to_id": 9 if issue.instead == github.MOVED else None,
            "imported": False,
            "imported_from": "none",
            "service_desk_reply_to": None,
        }

    def _note(self, repo: str, issue: Issue, comment: Comment) -> Json:
        del repo
        return {
            "id": comment.id,
            "type": None,
            "body": comment.body,
            "attachment": None,
            "author": _user(comment.by),
            "created_at": time_text(comment.at),
            "updated_at": time_text(comment.at),
            "system": False,
            "noteable_id": 70_000 + issue.number,
            "noteable_type": "Issue",
            "project_id": 1,
            "resolvable": False,
            "confidential": False,
            "internal": False,
            "imported": False,
            "imported_from": "none",
            "noteable_iid": issue.number,
            "commands_changes": {},
        }


def _as_on_github(method: str, repo: str, rest: Sequence[str]) -> str:
    """Return an operation as GitHub names it, so that one test serves both."""
    words = {"PUT": "PATCH", "notes": "comments"}
    place = "/".join(words.get(part, part) for part in rest)
    return f"{words.get(method, method)} /repos/{repo}/{place}"


def _state(issue: Issue) -> str:
    return "opened" if issue.closed_at is None else "closed"


def _user_id(login: str) -> int:
    return sum(login.encode())


def _user(login: str) -> Json:
    return {**USER, "id": _user_id(login), "username": login, "name": login}


def _body(request: HttpRequest, known: frozenset[str]) -> Json:
    document: Json = loads(request.body)
    _allow(document, known)
    return document


def _invalid(body: Json) -> ErrorResponse | None:
    title = body.get("title", "x")
    if 0 < len(title) <= TITLE_LIMIT:
        return None
    return ErrorResponse(HTTPStatus.BAD_REQUEST, "title is too long (maximum is 255 characters)")


def _allow(found: Mapping[str, Any], known: frozenset[str]) -> None:
    if found.keys() - known:
        raise UnsupportedIssueRequestError(f"keys {sorted(found.keys() - known)}")


def _page(found: Sequence[Any], row: Callable[[Any], Json], query: Mapping[str, str]) -> ListPage:
    if query.get("order_by", "created_at") != "created_at":
        raise UnsupportedIssueRequestError("another order")
    in_order = list(found) if query.get("sort") == "asc" else list(found)[::-1]
    size = min(PER_PAGE_LIMIT, int(query.get("per_page", PER_PAGE_DEFAULT)))
    number = int(query.get("page", 1))
    return ListPage("Issue", None, in_order, lambda each: dumps(row(each)), number, size)


@contextmanager
def serving_gitlab(fake: FakeGitHub) -> Iterator[GitHubServer]:
    """Serve the issues of the fake's repositories as GitLab does, for a `with` block."""
    with serving_github(fake, prefix="/api/v4", issues=GitlabIssueTracker) as server:
        yield server
