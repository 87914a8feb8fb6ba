"""A trunk's order from lists of commits with their parents, and where a cold start begins."""

from collections.abc import Iterable
from typing import NamedTuple

from trunkwatch.domain.model import Commit, TrunkOrder
from trunkwatch.errors import BadAnswerError
from trunkwatch.times import earliest, plausible_time

COLD_LOOK_BACK_SECONDS = 86_400.0
"""Seconds before the window's oldest commit at which a cold start begins: dates may be wrong."""

UNDATED_WINDOW_SECONDS = 30 * 86_400.0
"""Seconds before now at which a cold start begins if no commit has a date."""


class UnreadableOrderError(BadAnswerError):
    """A commit of the list cannot be read: without it, its neighbours would be adjacent."""


class ListedCommit(NamedTuple):
    """A commit and its parents.

    Attributes:
        commit: the commit.
        parents: full hashes, the first parent first.
    """

    commit: Commit
    parents: tuple[str, ...]


def oldest_date(orders: Iterable[TrunkOrder], now: float) -> float | None:
    """Return the earliest plausible date of the commits of some trunks, if any has one.

    Args:
        orders: of the trunks.
        now: seconds since the epoch, as the date is.
    """
    commits = (commit for order in orders for commit in order.commits)
    return earliest(plausible_time(each.committed_at, now) for each in commits)


def cold_begin(order: TrunkOrder | None, now: float) -> float:
    """Return the time at which a cold start begins to read results (seconds since the epoch).

    Args:
        order: of the trunk's newest commits; None where it is unknown.
        now: seconds since the epoch.
    """
    oldest = oldest_date([order] if order else [], now)
    begin = now - UNDATED_WINDOW_SECONDS if oldest is None else min(oldest, now)
    return max(0.0, begin - COLD_LOOK_BACK_SECONDS)


def first_parents(listed: dict[str, ListedCommit], tip: str) -> Iterable[ListedCommit]:
    """Yield the commits from the tip along the first parents, newest first.

    They are taken out of `listed`, so that parents in a circle end.
    """
    found = listed.pop(tip, None)
    while found is not None:
        yield found
        found = listed.pop(found.parents[0], None) if found.parents else None
