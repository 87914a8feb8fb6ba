"""The walks of a job that are kept, so that a new result costs no walk over the whole history."""

from collections.abc import Iterable, Sequence
from itertools import count, takewhile

from trunkwatch.domain.walk import JobWalk

SPACING = 8
"""Walks are kept at distances from the tip that grow by this factor: 1, 8, 64, ... columns."""


def usable(walks: Sequence[JobWalk], since: int | None, now: float) -> JobWalk:
    """Return the newest walk from which a job can be evaluated, else a walk over no commit.

    Args:
        walks: of the job, oldest first.
        since: index of the oldest commit that has changed; None where none has.
        now: seconds since the epoch: a walk over a column that has changed by time is of no use.
    """
    for walk in reversed(walks):
        is_older = since is None or walk.newest < since
        if is_older and (walk.changes_at is None or walk.changes_at > now):
            return walk
    return JobWalk()


def kept_lengths(commits: int) -> list[int]:
    """Return after how many of some commits a walk is kept, ascending."""
    distances = takewhile(lambda distance: distance < commits, (SPACING**n for n in count()))
    return [commits - distance for distance in distances][::-1]


def thinned(walks: Iterable[JobWalk], columns: int) -> tuple[JobWalk, ...]:
    """Return the walks to keep: the oldest one of each distance from the tip.

    The oldest, since it is the next one that gets to the greater distance.

    Args:
        walks: over fewer columns than all, oldest first.
        columns: number of all columns of the job.
    """
    kept: dict[int, JobWalk] = {}
    for walk in walks:
        if walk.columns:
            kept.setdefault(_distance(columns - walk.columns), walk)
    return tuple(kept.values())


def _distance(columns: int) -> int:
    power = 0
    while columns >= SPACING:
        columns //= SPACING
        power += 1
    return power
