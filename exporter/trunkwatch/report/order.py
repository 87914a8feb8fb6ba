"""The order in which jobs are listed, the same in tables, pages and JSON."""

from collections.abc import Iterable
from typing import Any

from trunkwatch.domain.job import JobState


def fails(job: JobState) -> bool:
    """Return whether a job is listed as failing: it is broken, or has a streak."""
    return job.broken or job.consecutive_failures > 0


def by_urgency(jobs: Iterable[JobState]) -> list[JobState]:
    """Return broken jobs by priority, then by age; failing ones likewise; then all others.

    Args:
        jobs: those that do not fail stay in this order.
    """
    failing: list[JobState] = []
    others: list[JobState] = []
    for job in jobs:
        (failing if fails(job) else others).append(job)
    return [*sorted(failing, key=urgency), *others]


def urgency(job: JobState) -> tuple[Any, ...]:
    """Return a sort key by which `by_urgency` leaves sorted jobs in order.

    Known-broken jobs come after the other broken ones.
    """
    if not fails(job):
        return True, job.key
    since = job.blame.broken_since if job.blame else None
    age = float("inf") if since is None else since
    return False, not job.failing, not job.broken, job.group.priority, age, job.key
