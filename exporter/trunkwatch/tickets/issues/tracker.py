"""The issues and comments of this program on GitHub: create, change, and find them again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from trunkwatch.errors import IssueGone, TrackerRefused, TrackerUnsure
from trunkwatch.tickets.issues.api import Api
from trunkwatch.tickets.json_rows import list_of, text_or_none
from trunkwatch.tickets.model import ORIGIN_LABEL, Change, Comment, Create, Step, Ticket, TicketKey
from trunkwatch.tickets.text.markdown import Marker, find_marker, quoted
from trunkwatch.times import format_time, parse_time

CLOCK_SKEW_SECONDS = 600.0
"""How far GitHub's clock may be behind the local one; listing from further back costs nothing."""


NOT_THERE = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
"""Answers for an issue that was deleted, transferred or made a discussion, and for all issues of a
repository that was renamed, that the token may not read, or that has no issues."""


class SeenIssue(NamedTuple):
    """An issue as people left it.

    Attributes:
        closed_at: seconds since the epoch; None while it is open.
        url: of its page; None if the answer has none.
        assignees: logins.
    """

    closed_at: float | None
    url: str | None
    assignees: tuple[str, ...]


class FoundIssue(NamedTuple):
    """An issue of this program on GitHub.

    Attributes:
        number: of the issue.
        closed_at: seconds since the epoch; None while it is open.
        marker: at the start of its body.
    """

    number: int
    closed_at: float | None
    marker: Marker


@dataclass(frozen=True, slots=True)
class IssueTracker:
    """Executes the steps of plans on GitHub, by its issues API."""

    api: Api

    def read(self, ticket: Ticket) -> SeenIssue:
        """Return a ticket's issue.

        Raises:
            IssueGone: it was deleted, transferred or made a discussion.
            TrackerError: GitHub did not answer.
        """
        try:
            row = self.api.get(f"/repos/{ticket.repo}/issues/{ticket.number}")
            url = text_or_none(row.get("html_url"))
            return SeenIssue(_closed_at(row), url, tuple(_logins(row.get("assignees"))))
        except TrackerRefused as error:
            if error.status not in NOT_THERE:
                raise
            self._check_repository(ticket.repo, error.status)
            raise IssueGone(str(error), error.status) from None

    def execute(self, ticket: Ticket, step: Step) -> int | None:
        """Execute a step; return the number of a created issue.

        Raises:
            IssueGone: the issue was deleted, transferred or made a discussion.
            TrackerError: it failed, or its result is unknown.
        """
        with self._explained(ticket):
            return self._execute(f"/repos/{ticket.repo}/issues", ticket, step)

    def _execute(self, place: str, ticket: Ticket, step: Step) -> int | None:
        if isinstance(step, Create):
            body = {"title": step.title, "body": step.body, "labels": list(step.labels)}
            people = {"assignees": list(step.assignees)} if step.assignees else {}
            return _number(self.api.post(place, {**body, **people}))
        if isinstance(step, Comment):
            self.api.post(f"{place}/{ticket.number}/comments", {"body": step.body})
        else:
            self.api.patch(f"{place}/{ticket.number}", dict(step.fields))
        return None

    @contextmanager
    def _explained(self, ticket: Ticket) -> Iterator[None]:
        """Raise IssueGone, or the reason that lies in the repository, in place of a refusal.

        GitHub may also answer 404 to a token that may read an issue and not write to it.
        """
        try:
            yield
        except TrackerRefused as error:
            if error.status not in NOT_THERE:
                raise
            if ticket.number is None:
                self._check_repository(ticket.repo, error.status)
            else:
                self.read(ticket)
            raise

    def _check_repository(self, repo: str, status: int) -> None:
        """Raise TrackerRefused with the reason if a repository has no issues for this token.

        Then none of them is gone: they come back with the repository, the right or the setting.
        """
        found = self.api.repository(repo)
        name = found.get("full_name")
        if isinstance(name, str) and name.lower() != repo.lower():
            raise TrackerRefused(f"the repository {repo} is called {name} now", status)
        if found.get("has_issues") is False:
            raise TrackerRefused(f"issues are switched off in the repository {repo}", status)
        # A token that lost the right to issues still reads the repository.
        next(iter(self.api.rows(f"/repos/{repo}/issues", [("state", "all")])), None)

    def was_executed(self, ticket: Ticket, step: Step, since: float) -> tuple[bool, int | None]:
        """Return whether a step that was sent at a time took effect, and the issue it created.

        Lists are read oldest first: a row added meanwhile shifts no row to a page already read.

        Raises:
            IssueGone: the issue was deleted, transferred or made a discussion.
            TrackerError: GitHub did not answer.
        """
        if isinstance(step, Change):
            return False, None
        query = [("since", format_time(int(since - CLOCK_SKEW_SECONDS))), *_OLDEST_FIRST]
        place = f"/repos/{ticket.repo}/issues"
        if isinstance(step, Create):
            for row, marker in self._marked(place, [("state", "all"), *query]):
                if marker.nonce == step.nonce:
                    return True, _number(row)
            return False, None
        with self._explained(ticket):
            rows = self.api.rows(f"{place}/{ticket.number}/comments", query[:1])
            markers = (find_marker(row.get("body")) for row in rows)
            return any(marker and marker.nonce == step.nonce for marker in markers), None

    def find(self, repo: str, key: TicketKey, closed_since: float | None) -> FoundIssue | None:
        """Return a key's newest open issue, else its newest one closed since a time.

        Only issues with the origin label count: somebody without the right to set labels cannot
        make this program write into an issue with a copied marker.

        Args:
            repo: the repository to search.
            key: of the ticket.
            closed_since: seconds since the epoch; None to skip closed issues.

        Raises:
            TrackerError: GitHub did not answer.
        """
        queries = [[("state", "open")]]
        if closed_since is not None:
            queries.append([("state", "closed"), ("since", format_time(int(closed_since)))])
        for query in queries:
            labelled = [*query, ("labels", ORIGIN_LABEL), *_OLDEST_FIRST]
            found = [
                FoundIssue(_number(row), _closed_at(row), marker)
                for row, marker in self._marked(f"/repos/{repo}/issues", labelled)
                if marker.key == quoted(key)
            ]
            if found:
                return max(found)
        return None

    def _marked(
        self, path: str, query: list[tuple[str, str]]
    ) -> Iterator[tuple[Mapping[str, Any], Marker]]:
        for row in self.api.rows(path, query):
            marker = find_marker(row.get("body"))
            # GitHub lists pull requests as issues.
            if marker is not None and "pull_request" not in row:
                yield row, marker


_OLDEST_FIRST = [("sort", "created"), ("direction", "asc")]


def _number(document: Mapping[str, Any]) -> int:
    number = document.get("number")
    if not isinstance(number, int):
        raise TrackerUnsure("GitHub's answer contains no issue number")
    return number


def _logins(people: object) -> Iterator[str]:
    for person in list_of(people):
        login = text_or_none(person.get("login")) if isinstance(person, dict) else None
        if login is not None:
            yield login


def _closed_at(document: Mapping[str, Any]) -> float | None:
    try:
        if document["state"] != "closed":
            return None
        return parse_time(document["closed_at"])
    except (KeyError, ValueError):
        raise TrackerUnsure("GitHub's answer has not the documented shape of an issue") from None
