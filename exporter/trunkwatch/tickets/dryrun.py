"""A GitHub that only says what would have been asked of it (`--dry-run`)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from trunkwatch.rest import Query
from trunkwatch.tickets.marker import find_marker


class DryRun:
    """Takes every request, sends none, and remembers which issues would be there."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        """Args:
        tell: is told in one line what would be done, and the Markdown of it.
        """
        self._tell = tell
        self._numbers = count(1)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return an issue that nobody has closed: no person ever sees it."""
        del path
        return {"state": "open"}

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Return an empty list: nothing was ever made."""
        del path, query
        return iter(())

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say what would be opened or said."""
        place = path.removeprefix("/repos/")
        if place.endswith("/comments"):
            self._tell(f"comment on {_issue(place.removesuffix('/comments'))}", _shown(body))
            return {}
        number = next(self._numbers)
        labels = ", ".join(body.get("labels", ()))
        people = ", ".join(body.get("assignees", ())) or "nobody"
        head = f"open {_issue(f'{place}/{number}')}; labels: {labels}; assigned to: {people}"
        self._tell(head, _shown(body))
        return {"number": number}

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say what would be changed."""
        state = {"closed": "close", "open": "reopen"}.get(body.get("state", ""), "edit")
        self._tell(f"{state} {_issue(path.removeprefix('/repos/'))}", _shown(body))
        return {}


def _issue(place: str) -> str:
    return place.replace("/issues/", "#")


def _shown(body: Mapping[str, Any]) -> str:
    """Return title and text as a reader sees them, without the hidden line."""
    title = f"# {body['title']}\n\n" if "title" in body else ""
    text = str(body.get("body", ""))
    marker = find_marker(text)
    return title + text.removeprefix(str(marker) if marker else "").strip()
