"""The issues and comments of this program: create, change, and find them again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from trunkwatch.errors import IssueGone, TrackerRefused
from trunkwatch.tickets.issues.api import Api, Asked, Issue
from trunkwatch.tickets.model import ORIGIN_LABEL, Change, Create, Step, Ticket
from trunkwatch.tickets.text.markdown import Marker, find_marker

CLOCK_SKEW_SECONDS = 600.0
"""How far the server's clock may be behind the local one; listing more costs nothing."""

NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED)
"""Answers, beside redirects, for an issue that was deleted, transferred or made a discussion, and
for all issues of a repository that was renamed, that the token may not read, or that has no issues.
GitLab answers 405 to a change in a project that was renamed."""


class FoundIssue(NamedTuple):
    """An issue of this program.

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
    """Executes the steps of plans by an issues API."""

    api: Api

    def read(self, ticket: Ticket) -> Issue:
        """Return a ticket's issue.

        Raises:
            IssueGone: it was deleted, transferred or made a discussion.
            TrackerError: the server did not answer.
        """
        assert ticket.number is not None
        try:
            return self.api.issue(ticket.repo, ticket.number)
        except TrackerRefused as error:
            if not _is_not_there(error):
                raise
            self.api.check_repository(ticket.repo, error.status)
            raise IssueGone(str(error), error.status) from None

    def execute(self, ticket: Ticket, step: Step) -> int | None:
        """Execute a step; return the number of a created issue.

        Raises:
            IssueGone: the issue was deleted, transferred or made a discussion.
            TrackerError: it failed, or its result is unknown.
        """
        with self._explained(ticket):
            return self.api.execute(ticket.repo, ticket.number, step)

    @contextmanager
    def _explained(self, ticket: Ticket) -> Iterator[None]:
        """Raise IssueGone, or the reason that lies in the repository, in place of a refusal.

        GitHub may also answer 404 to a token that may read an issue and not write to it.
        """
        try:
            yield
        except TrackerRefused as error:
            if not _is_not_there(error):
                raise
            if ticket.number is None:
                self.api.check_repository(ticket.repo, error.status)
            else:
                self.read(ticket)
            raise

    def was_executed(self, ticket: Ticket, step: Step, since: float) -> tuple[bool, int | None]:
        """Return whether a step that was sent at a time took effect, and the issue it created.

        Raises:
            IssueGone: the issue was deleted, transferred or made a discussion.
            TrackerError: the server did not answer.
        """
        if isinstance(step, Change):
            return False, None
        since -= CLOCK_SKEW_SECONDS
        if isinstance(step, Create):
            for found in self._marked(ticket.repo, "all", since):
                if found.marker.nonce == step.nonce:
                    return True, found.number
            return False, None
        assert ticket.number is not None
        with self._explained(ticket):
            markers = map(find_marker, self.api.comments(ticket.repo, ticket.number, since))
            return any(marker and marker.nonce == step.nonce for marker in markers), None

    def find(self, repo: str, key: str, closed_since: float | None) -> FoundIssue | None:
        """Return a key's newest open issue, else its newest one closed since a time.

        Only issues with the origin label count: somebody without the right to set labels cannot
        make this program write into an issue with a copied marker.

        Args:
            repo: the repository to search.
            key: of the markers, see `quoted`.
            closed_since: seconds since the epoch; None to skip closed issues.

        Raises:
            TrackerError: the server did not answer.
        """
        queries: list[tuple[Asked, float | None]] = [("open", None)]
        if closed_since is not None:
            queries.append(("closed", closed_since))
        for state, since in queries:
            marked = self._marked(repo, state, since, ORIGIN_LABEL)
            found = [each for each in marked if each.marker.key == key]
            if found:
                return max(found)
        return None

    def _marked(
        self, repo: str, state: Asked, since: float | None, label: str | None = None
    ) -> Iterator[FoundIssue]:
        for issue in self.api.issues(repo, state, since, label):
            marker = find_marker(issue.body)
            if marker is not None:
                yield FoundIssue(issue.number, issue.closed_at, marker)


def _is_not_there(error: TrackerRefused) -> bool:
    return error.status in NOT_THERE or error.status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100
