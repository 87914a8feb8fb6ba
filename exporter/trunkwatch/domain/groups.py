"""Groups: each job is in exactly one, the first configured group that matches."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkwatch.domain.columns import Count
from trunkwatch.domain.model import JobKey
from trunkwatch.domain.outage import Thresholds

DAY = 86400.0
DEFAULT_SILENT_AFTER = 8 * DAY
"""Seconds without a verdict that make a job silent: a weekly job plus a day of grace."""


@dataclass(frozen=True, slots=True)
class Match:
    """Full-match patterns over the four parts of a job's key; None matches everything."""

    repo: re.Pattern[str] | None = None
    branch: re.Pattern[str] | None = None
    workflow: re.Pattern[str] | None = None
    job_name: re.Pattern[str] | None = None

    def covers(self, key: JobKey) -> bool:
        """Return whether every pattern matches its part of the key in full."""
        patterns = (self.repo, self.branch, self.workflow, self.job_name)
        return all(
            pattern is None or pattern.fullmatch(part)
            for pattern, part in zip(patterns, key, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Override:
    """Different thresholds for the jobs of a group whose name matches in full."""

    match: re.Pattern[str]
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Group:
    """A group of jobs that one team owns.

    Attributes:
        name: the label `group`.
        team: the team to notify.
        priority: P0 to P3.
        thresholds: when an outage of one of its jobs opens and closes.
        failure_threshold: number of its jobs that must be broken before it alerts.
        count: the unit of its jobs' columns.
        silent_after: seconds without a verdict that make a job silent.
        match: the jobs in it.
        overrides: different thresholds by job name; the first match wins.
    """

    name: str
    team: str
    priority: str
    thresholds: Thresholds = field(default_factory=Thresholds)
    failure_threshold: int = 1
    count: Count = Count.COMMITS
    silent_after: float = DEFAULT_SILENT_AFTER
    match: Match = field(default_factory=Match)
    overrides: tuple[Override, ...] = ()

    def thresholds_of(self, job_name: str) -> Thresholds:
        """Return the thresholds of one job of the group."""
        for override in self.overrides:
            if override.match.fullmatch(job_name):
                return override.thresholds
        return self.thresholds


DEFAULT_GROUP = Group(name="default", team="trunk", priority="P3")
"""The group of every job that no configured group matches."""


def group_of(key: JobKey, groups: Sequence[Group]) -> Group:
    """Return the first group that matches; the default group matches all."""
    return next((group for group in groups if group.match.covers(key)), DEFAULT_GROUP)
