"""An issues API that prints requests instead of sending them (`--dry-run`)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from trunkwatch.rest.client import Query
from trunkwatch.tickets.text.markdown import find_marker


class DryRun:
    """Accepts every request, sends none, and numbers the issues that would be created."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        """Args:
        show: called for each request with a one-line description, and with its Markdown text.
        """
        self._show = show
        self._numbers = count(1)

    def get(self, path: str) -> Mapping[str, Any]:
        """Report every issue as open: it does not exist, so no person can have closed it."""
        del path
        return {"state": "open"}

    def repository(self, repo: str) -> Mapping[str, Any]:
        """Return a repository without facts."""
        del repo
        return {}

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield nothing: a search finds no existing issue."""
        del path, query
        return iter(())

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show an issue or a comment that would be created."""
        place = path.removeprefix("/repos/")
        if place.endswith("/comments"):
            self._show(f"comment on {_issue(place.removesuffix('/comments'))}", _visible(body))
            return {}
        number = next(self._numbers)
        labels = ", ".join(body.get("labels", ()))
        assignees = ", ".join(body.get("assignees", ())) or "nobody"
        issue = _issue(f"{place}/{number}")
        self._show(f"open {issue}; labels: {labels}; assigned to: {assignees}", _visible(body))
        return {"number": number}

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show a change of an issue."""
        operation = {"closed": "close", "open": "reopen"}.get(body.get("state", ""), "edit")
        self._show(f"{operation} {_issue(path.removeprefix('/repos/'))}", _visible(body))
        return {}


def _issue(place: str) -> str:
    return place.replace("/issues/", "#")


def _visible(body: Mapping[str, Any]) -> str:
    """Return title and text without the hidden marker."""
    title = f"# {body['title']}\n\n" if "title" in body else ""
    text = str(body.get("body", ""))
    marker = find_marker(text)
    return title + text.removeprefix(str(marker) if marker else "").strip()
