"""The query filters of the list of workflow runs."""

from collections.abc import Callable, Mapping
from datetime import datetime

from tests.github.runs import Run

RUN_FILTERS = frozenset(
    {"branch", "event", "created", "head_sha", "status", "actor", "check_suite_id"}
)


class UnsupportedFilterError(Exception):
    """A filter value that the fake GitHub does not support."""


def run_passes(run: Run, filters: Mapping[str, str], now: float) -> bool:
    """Return whether a run is listed; `branch` ignores the repository, so a fork's run passes."""
    values = {
        "branch": run.head_branch,
        "event": run.event,
        "head_sha": run.commit.sha,
        "actor": run.commit.author,
        "check_suite_id": str(run.suite),
    }
    wanted = dict(filters)
    status = wanted.pop("status", None)
    if any(values[key] != value for key, value in wanted.items()):
        return False
    return status is None or status in (run.status(now), run.conclusion(now))


def created_within(text: str) -> Callable[[float], bool]:
    """Parse `>=T`, `<=T`, `>T`, `<T`, `A..B` and `*`; whole seconds, ends included.

    Raises:
        UnsupportedFilterError: another form.
    """
    if text == "*":
        return lambda _at: True
    if ".." in text:
        first, _, last = text.partition("..")
        low = float("-inf") if first == "*" else _seconds(first)
        high = float("inf") if last == "*" else _seconds(last)
        return lambda at: low <= int(at) <= high
    for sign, passes in _SIGNS.items():
        if text.startswith(sign):
            edge = _seconds(text.removeprefix(sign))
            return lambda at, passes=passes, edge=edge: passes(int(at), edge)  # type: ignore[misc]
    edge = _seconds(text)
    return lambda at: int(at) == edge


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda at, edge: at >= edge,
    "<=": lambda at, edge: at <= edge,
    ">": lambda at, edge: at > edge,
    "<": lambda at, edge: at < edge,
}


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnsupportedFilterError(f"created: {text!r} is no time") from None
    if moment.tzinfo is None:
        raise UnsupportedFilterError(f"created: {text!r} has no offset")
    return moment.timestamp()
