"""Groups: each job is in exactly one, the first configured group that matches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkwatch.domain.columns import Count
from trunkwatch.domain.model import JobKey
from trunkwatch.domain.outage import Thresholds
from trunkwatch.patterns import Pattern

DAY = 86400.0
DEFAULT_SILENT_AFTER = 8 * DAY
"""Seconds without a verdict that make a job silent: a weekly job plus a day of grace."""


@dataclass(frozen=True, slots=True)
class Match:
    """Full-match patterns over the four parts of a job's key; None matches everything.

    Attributes:
        event: matches the event of runs, which are a job of their own then.
    """

    repo: Pattern | None = None
    branch: Pattern | None = None
    workflow: Pattern | None = None
    job_name: Pattern | None = None
    event: Pattern | None = None

    def covers(self, key: JobKey, event: str | None = None) -> bool:
        """Return whether every pattern matches its part of the key in full.

        Args:
            key: the job.
            event: of some of its runs; None for the runs that no group has an event for.
        """
        if self.event is not None and (event is None or not self.event.fullmatch(event)):
            return False
        patterns = (self.repo, self.branch, self.workflow, self.job_name)
        return all(
            pattern is None or pattern.fullmatch(part)
            for pattern, part in zip(patterns, key, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Override:
    """Different thresholds for the jobs of a group whose name matches in full."""

    match: Pattern
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


def group_of(key: JobKey, groups: Sequence[Group], event: str | None = None) -> Group:
    """Return the first group that matches; the default group matches all.

    Args:
        key: the job.
        groups: in the order of the configuration.
        event: see `Match.covers`.
    """
    return next((group for group in groups if group.match.covers(key, event)), DEFAULT_GROUP)


class Events(NamedTuple):
    """The events whose runs a job is judged by: one of them, or all without some."""

    only: str | None = None
    without: frozenset[str] = frozenset()

    def covers(self, event: str) -> bool:
        """Return whether runs of an event are of the job."""
        return event not in self.without if self.only is None else event == self.only


ALL_EVENTS = Events()


def split_events(
    key: JobKey, groups: Sequence[Group], events: Iterable[str]
) -> Mapping[str, Group]:
    """Return the events whose runs are a job of their own, with that job's group.

    These are the events for which the first group that matches names an event.

    Args:
        key: the job over all events.
        groups: in the order of the configuration.
        events: those that count.
    """
    if all(group.match.event is None for group in groups):
        return {}
    found = {event: group_of(key, groups, event) for event in sorted(events)}
    return {event: group for event, group in found.items() if group.match.event is not None}
