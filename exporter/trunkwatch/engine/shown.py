"""An alert as it is exported: the facts of an outage, and how it ended."""

from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, JobKey

SUSPECTS_SHOWN = 10
"""Suspects of an outage that are exported; the JSON lists all of them."""


class Ended(StrEnum):
    """Why an alert ended."""

    FIXED = "fixed"  # the job passed
    FLAKY = "flaky"  # a flake closed the outage (`flaky_closes`)
    REMOVED = "removed"  # the job or its trunk is gone
    MUTED = "muted"  # `known_broken` exempts the job
    MOVED = "moved"  # to another group, team or priority
    UNWATCHED = "unwatched"  # the configuration does not watch it any more
    REVISED = "revised"  # late results, or another N: there is no such outage


class End(NamedTuple):
    """The end of an alert.

    Attributes:
        reason: why it ended.
        noticed_at: when the exporter noticed it (seconds since the epoch).
        at: when it happened: the end of the run that closed the outage, else the time of its
            commit, else `noticed_at`.
        by: the commit that closed the outage, if one did.
        detail: where it moved to, or why it is muted; else empty.
    """

    reason: Ended
    noticed_at: float
    at: float
    by: Commit | None = None
    detail: str = ""


class AlertKey(NamedTuple):
    """The labels of an alert."""

    job: JobKey
    group: str
    team: str
    priority: str


class Alert(NamedTuple):
    """An outage that alerts, or whose alert ended.

    Attributes:
        key: its labels.
        first_bad: the commit at which the job broke.
        last_good: hash of the PASS before it; None where unknown.
        suspects: number of suspects; None where unknown.
        listed: the oldest suspects, at most `SUSPECTS_SHOWN`.
        failures: FAILs of the outage.
        broken_since: see `Blame`.
        url: of the first failing run.
        failed_step: of that run.
        end: None while it alerts.
    """

    key: AlertKey
    first_bad: Commit
    last_good: str | None
    suspects: int | None
    listed: tuple[Commit, ...]
    failures: int
    broken_since: float | None
    url: str | None
    failed_step: str | None
    end: End | None = None


def outage_of(job: JobState) -> Alert | None:
    """Return the open outage of a job; None without one."""
    blame = job.blame
    if not job.broken or blame is None:
        return None
    return Alert(
        key=AlertKey(job.key, job.group.name, job.group.team, job.group.priority),
        first_bad=blame.first_bad,
        last_good=blame.last_good.sha if blame.last_good is not None else None,
        suspects=len(blame.suspects) if blame.suspects is not None else None,
        listed=(blame.suspects or ())[:SUSPECTS_SHOWN],
        failures=job.failures_in_outage,
        broken_since=blame.broken_since,
        url=blame.url,
        failed_step=blame.failed_step,
    )
