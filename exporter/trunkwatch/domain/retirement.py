"""Removed jobs: absent from many commits on which their workflow completed.

A removed job that comes back goes on with its history: a nightly job that lives in the workflow of
every push is away for more commits than that each day, and must still be told of when three of its
nights fail in a row.
"""

from bisect import bisect_right
from collections.abc import Sequence


def is_retired(last_seen: int, completed: Sequence[int], retire_after: int) -> bool:
    """Whether a job has been absent for long enough to count as removed.

    Args:
        last_seen: place of the newest commit at which the job, or a skipped parent of it, appeared.
        completed: places at which its workflow completed, ascending.
        retire_after: how many of these must be newer than `last_seen`.
    """
    return len(completed) - bisect_right(completed, last_seen) >= retire_after
