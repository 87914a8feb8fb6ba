"""An issues API that prints the steps instead of sending them (`--dry-run`)."""

from collections.abc import Callable, Iterator
from itertools import count

from trunkwatch.tickets.issues.api import Asked, Issue
from trunkwatch.tickets.model import Comment, Create, Step
from trunkwatch.tickets.text.markdown import find_marker


class DryRun:
    """Accepts every step, sends none, and numbers the issues that would be created."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        """Args:
        show: called for each step with a one-line description, and with its Markdown text.
        """
        self._show = show
        self._numbers = count(1)

    def issue(self, repo: str, number: int) -> Issue:
        """Report every issue as open: it does not exist, so no person can have closed it."""
        del repo
        return Issue(number, None, "")

    def issues(
        self, repo: str, state: Asked, since: float | None, label: str | None = None
    ) -> Iterator[Issue]:
        """Yield nothing: a search finds no existing issue."""
        del repo, state, since, label
        return iter(())

    def comments(self, repo: str, number: int, since: float) -> Iterator[str]:
        """Yield nothing: no comment was sent."""
        del repo, number, since
        return iter(())

    def execute(self, repo: str, number: int | None, step: Step) -> int | None:
        """Show a step; return the number of an issue that would be created."""
        if isinstance(step, Create):
            number = next(self._numbers)
            people = ", ".join(step.assignees) or "nobody"
            labels = f"labels: {', '.join(step.labels)}; assigned to: {people}"
            self._show(f"open {repo}#{number}; {labels}", _visible(step.body, step.title))
            return number
        if isinstance(step, Comment):
            self._show(f"comment on {repo}#{number}", _visible(step.body))
            return None
        text = _visible(step.fields.get("body", ""), step.fields.get("title"))
        self._show(f"{step.operation} {repo}#{number}", text)
        return None

    def check_repository(self, repo: str, status: int) -> None:
        """Do nothing: no issue is ever missing."""
        del repo, status


def _visible(text: str, title: str | None = None) -> str:
    """Return title and text without the hidden marker."""
    head = "" if title is None else f"# {title}\n\n"
    marker = find_marker(text)
    return head + text.removeprefix(str(marker) if marker else "").strip()
