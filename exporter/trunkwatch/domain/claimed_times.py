"""Times that cannot be true are treated as not reported (docs/policy.md, section 3.12)."""

from dataclasses import replace

from trunkwatch.domain.model import Observation, TrunkOrder
from trunkwatch.times import plausible_time

DAY = 86_400.0
LONGEST_ATTEMPT_SECONDS = 35 * DAY
"""The longest plausible duration of an attempt: GitHub ends every run after 35 days."""

CLOCK_SKEW_SECONDS = 3600.0
"""Seconds by which an attempt may seem to start before its creation: clocks differ."""


def plausible_attempt(row: Observation, now: float) -> Observation:
    """Return an attempt without the times that cannot be true; its result stays.

    Args:
        row: as its source reports it.
        now: seconds since the epoch.
    """
    created = plausible_time(row.created_at, now)
    started = plausible_time(row.started_at, now)
    completed = plausible_time(row.completed_at, now)
    if started is not None and completed is not None:
        if completed < started:
            completed = None
        elif completed - started > LONGEST_ATTEMPT_SECONDS:
            started = None
    if created is not None and not _is_copy(row.attempt, created, completed):
        started, completed = _not_before(created, started), _not_before(created, completed)
    if (created, started, completed) == (row.created_at, row.started_at, row.completed_at):
        return row
    return row.changed(created_at=created, started_at=started, completed_at=completed)


def _is_copy(attempt: int, created: float, completed: float | None) -> bool:
    """Return whether the CI copied a result into a later attempt, with a new time of creation."""
    return attempt > 1 and completed is not None and completed <= created


def _not_before(created: float, moment: float | None) -> float | None:
    return None if moment is not None and moment < created - CLOCK_SKEW_SECONDS else moment


def plausible_order(order: TrunkOrder, now: float) -> TrunkOrder:
    """Return a trunk without the commit times that cannot be true; every commit stays.

    Args:
        order: as its source reports it.
        now: seconds since the epoch.
    """
    times = [plausible_time(commit.committed_at, now) for commit in order.commits]
    pairs = list(zip(order.commits, times, strict=True))
    if all(commit.committed_at == time for commit, time in pairs):
        return order
    commits = tuple(
        commit if commit.committed_at == time else replace(commit, committed_at=time)
        for commit, time in pairs
    )
    return replace(order, commits=commits)
