"""Removed jobs: absent from many commits on which their workflow completed."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence


def is_retired(last_seen: int, completed: Sequence[int], retire_after: int) -> bool:
    """Whether a job has been absent for long enough to count as removed.

    Args:
        last_seen: place of the newest commit at which the job, or a skipped parent of it, appeared.
        completed: places at which its workflow completed, ascending.
        retire_after: how many of these must be newer than `last_seen`.
    """
    return len(completed) - bisect_right(completed, last_seen) >= retire_after


def is_long_absent(seen: Sequence[int], place: int, retire_after: int) -> bool:
    """Whether a place lies within an absence that may be long enough to end a history.

    Args:
        seen: places at which the job, or a skipped parent of it, appeared, ascending.
        place: of a commit; before the first and after the last appearance no history is parted.
        retire_after: commits without it that end a history.
    """
    newer = bisect_left(seen, place)
    if newer in (0, len(seen)) or seen[newer] == place:
        return False
    return seen[newer] - seen[newer - 1] > retire_after


def reborn_at(seen: Collection[int], completed: Sequence[int], retire_after: int) -> int:
    """Return the place from which on a job's history is its own.

    A job that was removed and comes back is a new job: its old outage ended as removed.

    Args:
        seen: places at which the job, or a skipped parent of it, appeared.
        completed: places at which its workflow completed, ascending.
        retire_after: commits without it that end a history.
    """
    ordered = sorted(seen)
    for older, newer in zip(reversed(ordered[:-1]), reversed(ordered[1:]), strict=True):
        without = bisect_left(completed, newer) - bisect_right(completed, older)
        if without >= retire_after:
            return newer
    return ordered[0] if ordered else 0
