"""Retired jobs: absent from many commits at which their workflow completed.

A retired job that comes back keeps its history: a nightly job in the workflow of every push is
absent from that many commits each day, and must still alert after three failed nights.
"""

from bisect import bisect_right
from collections.abc import Sequence


def is_retired(last_seen: int, completed: Sequence[int], retire_after: int) -> bool:
    """Return whether a job has been absent for long enough to be retired.

    Args:
        last_seen: index of the newest commit at which it, or its skipped matrix, has a row.
        completed: indexes of the commits at which its workflow completed, ascending.
        retire_after: number of these that must be newer than `last_seen`.
    """
    return len(completed) - bisect_right(completed, last_seen) >= retire_after
