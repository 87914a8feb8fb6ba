"""Retired jobs: absent from many commits at which their workflow completed, or left with it.

A retired job that comes back keeps its history: a nightly job in the workflow of every push is
absent from that many commits each day, and must still alert after three failed nights.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence

_WORKFLOW_FILES = (".yml", ".yaml")


def is_expected_on_pushes(workflow: str, events: Collection[str]) -> bool:
    """Return whether commits without a workflow show that it has left.

    They do not where other events start its runs, which follow no commits, and where it is not
    identified by a file: a CI system without workflow files is one workflow, and may be down.

    Args:
        workflow: its identity.
        events: of its runs.
    """
    return workflow.endswith(_WORKFLOW_FILES) and all(event == "push" for event in events)


def has_left(newest: int, widest_gap: int, busy: Sequence[int], retire_after: int) -> bool:
    """Return whether a workflow as a whole has been absent for long enough to be gone.

    Only its own runs show how often a workflow runs: one that is filtered by path is absent from
    many commits. So these are measured by the most that ever lay between two runs.

    Args:
        newest: index of the newest commit at which it has a row.
        widest_gap: the largest distance of two commits that follow each other in its history; 0
            where it ran on one commit only, from which nothing follows.
        busy: indexes of the commits at which any workflow of the trunk completed, ascending.
        retire_after: number of these, for each commit of the gap, that must be newer.
    """
    absent = len(busy) - bisect_right(busy, newest)
    return widest_gap > 0 and absent >= retire_after * widest_gap


def is_retired(last_seen: int, completed: Sequence[int], retire_after: int) -> bool:
    """Return whether a job has been absent for long enough to be retired.

    Args:
        last_seen: index of the newest commit at which it, or its skipped matrix, has a row.
        completed: indexes of the commits at which its workflow completed, ascending.
        retire_after: number of these that must be newer than `last_seen`.
    """
    return len(completed) - bisect_right(completed, last_seen) >= retire_after
