"""Issues and comments of ours on GitHub: making, changing and finding them again."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trunkwatch.errors import TrackerUnsure
from trunkwatch.tickets.compose import ORIGIN
from trunkwatch.tickets.facts import Key
from trunkwatch.tickets.github import Api
from trunkwatch.tickets.marker import Marker, find_marker, quoted
from trunkwatch.tickets.model import Change, Comment, Create, Step, Ticket
from trunkwatch.times import format_time, parse_time

CLOCKS_DIFFER = 600.0
"""Seconds by which GitHub's clock may be behind ours; to list from further back costs nothing."""


class Found(NamedTuple):
    """An issue of ours that nothing was remembered of.

    Attributes:
        number: of the issue.
        closed_at: when it was closed (seconds since the epoch); None while it is open.
        marker: at its start.
    """

    number: int
    closed_at: float | None
    marker: Marker


class Issues:
    """What a plan's steps are on GitHub."""

    def __init__(self, api: Api) -> None:
        """Args:
        api: is asked.
        """
        self._api = api

    def closed_at(self, ticket: Ticket) -> float | None:
        """Return when a ticket's issue was closed (seconds since the epoch); None while it is open.

        Raises:
            TrackerError: that cannot be known.
        """
        return _closed_at(self._api.get(f"/repos/{ticket.repo}/issues/{ticket.number}"))

    def do(self, ticket: Ticket, step: Step) -> int | None:
        """Carry out a step; return the number of an issue that it has opened.

        Raises:
            TrackerError: it was not done, or nobody knows.
        """
        place = f"/repos/{ticket.repo}/issues"
        if isinstance(step, Create):
            body = {"title": step.title, "body": step.body, "labels": list(step.labels)}
            people = {"assignees": list(step.assignees)} if step.assignees else {}
            return _number(self._api.post(place, {**body, **people}))
        if isinstance(step, Comment):
            self._api.post(f"{place}/{ticket.number}/comments", {"body": step.body})
        else:
            self._api.patch(f"{place}/{ticket.number}", dict(step.fields))
        return None

    def was_done(self, ticket: Ticket, step: Step, since: float) -> tuple[bool, int | None]:
        """Return whether a step is done that was begun at a time, and the issue that it opened.

        Lists are read from the oldest on: what is added meanwhile moves no row to a page that was
        read already.

        Raises:
            TrackerError: that cannot be known.
        """
        if isinstance(step, Change):
            return False, None
        asked = [("since", format_time(int(since - CLOCKS_DIFFER))), *_OLDEST_FIRST]
        place = f"/repos/{ticket.repo}/issues"
        if isinstance(step, Create):
            for number, _, marker in self._ours(place, [("state", "all"), *asked]):
                if marker.nonce == step.nonce:
                    return True, number
            return False, None
        rows = self._api.rows(f"{place}/{ticket.number}/comments", asked[:1])
        markers = (find_marker(row.get("body")) for row in rows)
        return any(marker and marker.nonce == step.nonce for marker in markers), None

    def find(self, repo: str, key: Key, closed_since: float | None) -> Found | None:
        """Return a key's newest open issue, else its newest that was closed since a time.

        Only an issue that has our label counts: who may not set labels cannot make us take up an
        issue into which they have copied a marker.

        Args:
            repo: where to look.
            key: of the ticket.
            closed_since: seconds since the epoch; None not to look at closed ones.

        Raises:
            TrackerError: that cannot be known.
        """
        asked = [[("state", "open")]]
        if closed_since is not None:
            asked.append([("state", "closed"), ("since", format_time(int(closed_since)))])
        for query in asked:
            rows = self._ours(f"/repos/{repo}/issues", [*query, ("labels", ORIGIN), *_OLDEST_FIRST])
            found = [row for row in rows if row.marker.key == quoted(key)]
            if found:
                return max(found)
        return None

    def _ours(self, path: str, query: list[tuple[str, str]]) -> Iterator[Found]:
        for row in self._api.rows(path, query):
            marker = find_marker(row.get("body"))
            # To GitHub, a pull request is an issue too.
            if marker is not None and "pull_request" not in row:
                yield Found(_number(row), _closed_at(row), marker)


_OLDEST_FIRST = [("sort", "created"), ("direction", "asc")]


def _number(document: Mapping[str, Any]) -> int:
    number = document.get("number")
    if not isinstance(number, int):
        raise TrackerUnsure("GitHub's answer holds no number of an issue")
    return number


def _closed_at(document: Mapping[str, Any]) -> float | None:
    try:
        if document["state"] != "closed":
            return None
        return parse_time(document["closed_at"])
    except (KeyError, ValueError):
        raise TrackerUnsure("GitHub's answer is not an issue as it documents one") from None
