"""The published state: an immutable snapshot of all trunks and sources at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.branch import Green, GroupState
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk, TrunkOrder, WorkflowState


@dataclass(frozen=True, slots=True)
class TrunkState:
    """The state of one trunk.

    Attributes:
        order: its commits.
        jobs: those that are neither ignored nor retired, sorted by key.
        groups: every group that has a job here, sorted by name.
        mass_breakage: one commit broke most of its jobs.
        green: distance to the newest green commit; None where none is configured.
        ignored_runs: numbers of stored runs that do not count, by reason.
        unknown_words: numbers of stored rows by the status or conclusion that the evidence table
            does not list.
        retired: numbers of retired jobs whose history is still stored, by "removed" or
            "removed_broken".
        changes_at: when time alone will change any of it (seconds since the epoch), or None.
        workflow_states: the workflows that their CI reports as not active, by label.
        data_at: the time up to which all of its sources were read (seconds since the epoch).
    """

    order: TrunkOrder
    jobs: tuple[JobState, ...]
    groups: tuple[GroupState, ...]
    mass_breakage: bool
    green: Green | None
    ignored_runs: Mapping[str, int]
    unknown_words: Mapping[str, int]
    retired: Mapping[str, int]
    changes_at: float | None
    workflow_states: Mapping[str, WorkflowState] = field(default_factory=dict)
    data_at: float | None = None

    @property
    def trunk(self) -> Trunk:
        """The branch."""
        return self.order.trunk


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The state of one source after its last refresh.

    Attributes:
        name: as configured.
        up: the last refresh succeeded; False before the first one ends.
        answered: a refresh has succeeded or failed since the start.
        last_success: when a refresh last succeeded, also before a restart (seconds since the
            epoch), or None.
        refresh_seconds: duration of the last refresh; None before the first one ends.
        poll_interval: seconds between refreshes.
        problem: why the last refresh failed, as a text for people; None when it did not.
        quota_remaining: requests left in the vendor's window, where it has one.
        unread: commits of the window whose results have yet to be read; None before the first
            report.
    """

    name: str
    up: bool
    answered: bool
    last_success: float | None
    refresh_seconds: float | None
    poll_interval: float
    problem: str | None = None
    quota_remaining: int | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of all trunks and sources at one moment.

    Attributes:
        as_of: seconds since the epoch.
        trunks: sorted by repo and branch.
        sources: in the order of the configuration.
        complete: every source has ended a refresh since the start, or an earlier process stored
            history.
    """

    as_of: float
    trunks: tuple[TrunkState, ...] = ()
    sources: tuple[SourceStatus, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts that only grow while the process lives.

    Attributes:
        counts: by family name and label values.
        config_reload_ok: whether the last reload of the configuration succeeded.
    """

    counts: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    config_reload_ok: bool = True

    def by_last_label(self, family: str) -> dict[str, int]:
        """Return the counts of a family, added up by the value of its last label."""
        found: dict[str, int] = {}
        for (name, *labels), value in self.counts.items():
            if name == family:
                found[labels[-1]] = found.get(labels[-1], 0) + int(value)
        return found


STALE_POLLS = 5
"""Poll intervals without a success after which a source is stale."""

MIN_STALE_SECONDS = 300.0
"""Seconds without a success before any source is stale, however often it is polled."""


def is_stale(source: SourceStatus, now: float) -> bool:
    """Return whether a source's last success is too long ago; not before its first success."""
    limit = max(STALE_POLLS * source.poll_interval, MIN_STALE_SECONDS)
    return source.last_success is not None and now - source.last_success > limit


def readiness_problems(snapshot: Snapshot, now: float) -> list[str]:
    """Return one line for each source that is not up to date; an empty list means ready."""
    if not snapshot.sources:
        return ["the stored results are still being read"]
    problems = []
    for source in snapshot.sources:
        because = f": {source.problem}" if source.problem else ""
        if source.last_success is None:
            problems.append(f"source {source.name} has not succeeded yet{because}")
        elif is_stale(source, now):
            age = int(now - source.last_success)
            problems.append(f"source {source.name} last succeeded {age} s ago{because}")
    return problems
