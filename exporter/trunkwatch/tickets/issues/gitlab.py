"""The client of GitLab's issues API.

https://docs.gitlab.com/api/issues/, https://docs.gitlab.com/api/notes/
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from trunkwatch.errors import TrackerRefused, TrackerUnsure
from trunkwatch.gitlab import GitlabRules, project_path
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import int_or_none
from trunkwatch.tickets.issues.api import Asked, Issue, IssueKeys, IssuesClient
from trunkwatch.tickets.model import Change, Comment, Create, Step
from trunkwatch.tickets.text.markdown import TITLE_LIMIT
from trunkwatch.times import format_time, parse_time_or_none

log = logging.getLogger(__name__)

WRITE_ACCESS = (
    "does the project exist, does it have issues, is it not archived, and may the token write them"
    " (scope api, role Planner or Reporter)?"
)

PLANNER = 15
"""The lowest role that sees the confidential issues of others, and may edit them."""

KEYS = IssueKeys(number="iid", body="description", url="web_url", login="username")
STATES: Mapping[str, str] = {"open": "opened"}
EVENTS: Mapping[str, str] = {"closed": "close", "open": "reopen"}


class GitlabIssues:
    """GitLab's issues with one token, for one thread at a time."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        timeout: float = 30.0,
        *,
        confidential: bool = False,
    ) -> None:
        """Args:
        api_url: address of the API, and the further arguments as for `RestClient`.
        confidential: whether new issues are confidential.
        """
        rules = GitlabRules(WRITE_ACCESS)
        self._client = IssuesClient(api_url, http, authorization, rules, timeout)
        self._confidential = confidential

    def issue(self, repo: str, number: int) -> Issue:
        """Return an issue; one that was moved to another project is not there any more."""
        row = self._client.get(f"{_issues(repo)}/{number}")
        if row.get("moved_to_id") is not None:
            problem = f"the issue {repo}#{number} was moved to another project"
            raise TrackerRefused(problem, HTTPStatus.GONE)
        return self._client.parsed(row, KEYS)

    def issues(
        self, repo: str, state: Asked, since: float | None, label: str | None = None
    ) -> Iterator[Issue]:
        """Yield the issues with a marker that changed since a time, oldest first.

        Those with a label are of the token's own user.
        """
        query = [("state", STATES.get(state, state)), ("order_by", "created_at"), ("sort", "asc")]
        query += [("updated_after", format_time(int(since)))] if since is not None else []
        if label is not None:
            # A guest may set labels on an issue that he opens, so that a label proves nothing.
            query += [("labels", label), ("scope", "created_by_me")]
        rows = self._client.rows(_issues(repo), query)
        moved = "moved_to_id"  # of the closed copy that stays behind
        return self._client.marked((row for row in rows if row.get(moved) is None), KEYS)

    def comments(self, repo: str, number: int, since: float) -> Iterator[str]:
        """Yield the text of every comment of an issue since a time, newest first.

        No parameter selects notes by their time. GitLab leaves out notes that the token may not
        read after it has filled a page, so that a page that is not full need not be the last one.
        """
        path = f"{_issues(repo)}/{number}/notes"
        query = [("order_by", "created_at"), ("sort", "desc"), ("activity_filter", "only_comments")]
        for rows in self._client.pages(path, query):
            if not rows:
                return
            yield from (str(row.get("body")) for row in rows)
            oldest = parse_time_or_none(rows[-1].get("created_at"))
            if oldest is not None and oldest < since:
                return

    def execute(self, repo: str, number: int | None, step: Step) -> int | None:
        """Send a step once; return the number of a created issue."""
        place = _issues(repo)
        if isinstance(step, Create):
            created = self._client.write("POST", place, self._new(step))
            return self._client.parsed(created, KEYS).number
        if isinstance(step, Comment):
            self._client.write("POST", f"{place}/{number}/notes", {"body": step.body})
        else:
            self._change(repo, number, step)
        return None

    def _new(self, step: Create) -> Mapping[str, Any]:
        body = {
            "title": _title(step.title),
            "description": step.body,
            "labels": ",".join(step.labels),
            "confidential": self._confidential,
        }
        people = self._user_ids(step.assignees)
        return {**body, "assignee_ids": people} if people else body

    def _user_ids(self, logins: Iterable[str]) -> list[int]:
        """Return the ids of users; one who is not found does not keep the issue from being opened.

        Those who may not be assigned are left out by GitLab itself.
        """
        found = []
        for login in logins:
            try:
                rows = self._client.page("/users", [("username", login)], 1)
            except (TrackerRefused, TrackerUnsure):
                rows = ()
            number = int_or_none(rows[0].get("id")) if rows else None
            if number is None:
                log.warning("assignee left out: not found", extra={"login": login})
            else:
                found.append(number)
        return found

    def _change(self, repo: str, number: int | None, step: Change) -> None:
        if step.fields.get("state") == "open" and number is not None:
            self.issue(repo, number)  # the copy of a moved issue must not be reopened
        body = {}
        if "title" in step.fields:
            body["title"] = _title(step.fields["title"])
        if "body" in step.fields:
            body["description"] = step.fields["body"]
        state = step.fields.get("state")
        if state is not None:
            body["state_event"] = EVENTS[state]
        path = f"{_issues(repo)}/{number}"
        left = self._client.write("PUT", path, body).get("state")
        if state is not None and left != STATES.get(state, state):
            # GitLab ignores an event that the token may not cause.
            problem = f"PUT {path}: the issue stayed {left}; {WRITE_ACCESS}"
            raise TrackerRefused(problem, HTTPStatus.FORBIDDEN)

    def check_repository(self, repo: str, status: int) -> None:
        """Raise TrackerRefused with the reason if a project has no issues for this token."""
        found = self._client.follow(project_path(repo))
        name = found.get("path_with_namespace")
        # GitLab redirects the requests of a project that was renamed, even if only its case was.
        is_elsewhere = status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        if is_elsewhere and name == repo:
            raise TrackerRefused("the server redirects; correct tickets.api_url", status)
        if isinstance(name, str) and (is_elsewhere or name.lower() != repo.lower()):
            raise TrackerRefused(f"the project {repo} is called {name} now", status)
        if found.get("issues_enabled") is False:
            problem = f"the project {repo} has no issues, or none that the token may see"
            raise TrackerRefused(problem, status)
        roles = list(_roles(found.get("permissions")))
        if roles and max(roles) < PLANNER:
            # A confidential issue is not found with a role that may not see it.
            raise TrackerRefused(
                f"the role of the token in {repo} is too low; {WRITE_ACCESS}", status
            )
        next(self._client.rows(_issues(repo), [("state", "all")]), None)


def _issues(repo: str) -> str:
    return f"{project_path(repo)}/issues"


def _title(text: str) -> str:
    """Return a title without mentions, which GitLab, unlike GitHub, also finds in titles."""
    return text.replace("@", "@\N{WORD JOINER}")[:TITLE_LIMIT]


def _roles(permissions: object) -> Iterator[int]:
    """Yield the roles that a token has by the project and by its group."""
    if not isinstance(permissions, dict):
        return
    for access in permissions.values():
        level = int_or_none(access.get("access_level")) if isinstance(access, dict) else None
        if level is not None:
            yield level
