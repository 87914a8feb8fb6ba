"""Which results may be dropped without a change of the published state (docs/policy.md, 3.16)."""

from collections.abc import Iterable
from typing import NamedTuple

from trunkwatch.domain.history import Place
from trunkwatch.domain.model import Observation, TrunkOrder, Verdict
from trunkwatch.domain.outage import Thresholds

KEPT_COMMITS = 100
"""The newest commits whose results are kept, however old they are: doubt looks at as many."""

SETTLING_PASSES = 2
"""PASSes in a row that settle a job, at least: exact also when M changes between 1 and 2."""

SHOWN_COMMITS = 100
"""A settled job keeps the passes before it settled, if they are at most so many commits older:
they are its last good, also under another name or with other shards."""


class Settled(NamedTuple):
    """A point of a job's history at which N and M do not change its outages.

    Attributes:
        commit_index: its columns before this commit may be dropped.
        is_settled: whether none before it is a FAIL or FLAKY, or enough PASSes follow these.
    """

    commit_index: int
    is_settled: bool


def horizon(order: TrunkOrder, since: int, oldest: float, kept: int) -> int:
    """Return the index of the oldest commit whose results are kept.

    Args:
        order: the trunk.
        since: the index as of now, which never decreases.
        oldest: commits of this time and later keep their results (seconds since the epoch).
        kept: number of the newest commits that keep their results.
    """
    limit = max(since, len(order.commits) - kept)
    for commit_index in range(since, limit):
        committed_at = order.commits[commit_index].committed_at
        if committed_at is not None and committed_at >= oldest:
            return commit_index
    return limit


def is_old(row: Observation, oldest: float) -> bool:
    """Return whether every time of an attempt is before another; not without any time.

    Args:
        row: the attempt.
        oldest: seconds since the epoch.
    """
    times = [
        each for each in (row.created_at, row.started_at, row.completed_at) if each is not None
    ]
    return max(times, default=oldest) < oldest


def is_settled(
    places: Iterable[Place], thresholds: Thresholds, *, settled: bool, passes: int
) -> bool:
    """Return whether a job is settled after some columns.

    Args:
        places: its columns, oldest first.
        thresholds: when its outages close.
        settled: whether it was settled before them.
        passes: number of PASSes in a row before them.
    """
    for _, verdict, _ in places:
        if verdict is Verdict.PASS:
            passes += 1
            settled = settled or passes >= _settling(thresholds)
        elif verdict.decided:
            settled, passes = False, 0
    return settled


def settled_point(places: Iterable[Place], thresholds: Thresholds, start: Settled, end: int) -> int:
    """Return the index of the oldest commit whose columns a job keeps.

    The outages after a settled point are the same whatever lies before it, for every N, and for
    every M up to the number of PASSes that settle it.

    Args:
        places: its columns between `start` and `end`, oldest first.
        thresholds: when its outages close.
        start: the columns before it are dropped.
        end: the columns from this commit on are kept in any case.
    """
    needed = _settling(thresholds)
    settled, passes = start.is_settled, list[int]()
    point, before = start.commit_index, list[int]()
    for commit_index, verdict, _ in places:
        if verdict is Verdict.PASS:
            passes.append(commit_index)
            settled = settled or len(passes) >= needed
        elif verdict.decided:
            if settled:
                point, before = commit_index, passes[-needed:]
            settled, passes = False, []
    if settled:
        point, before = end, passes[-needed:]
    if before and point - before[0] <= SHOWN_COMMITS:
        return before[0]
    return point


def _settling(thresholds: Thresholds) -> int:
    return max(thresholds.passes_to_close, SETTLING_PASSES)
