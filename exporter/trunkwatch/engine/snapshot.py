"""The published state: an immutable snapshot of all trunks and sources at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trunkwatch.domain.branch import Green, GroupState, MassBreakage
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Trunk, TrunkOrder, WorkflowState
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.shown import Alert


class Data(StrEnum):
    """How far the data of a trunk can be relied on."""

    FRESH = "fresh"
    STALE = "stale"  # too old, or never read
    DOUBTFUL = "doubtful"  # the newest commits lack results that they should have


@dataclass(frozen=True, slots=True)
class TrunkSource:
    """One source of a trunk.

    Attributes:
        name: as configured.
        up: the last refresh has read the trunk.
        read_until: the time up to which the trunk was read (seconds since the epoch), or None.
        poll_interval: seconds between refreshes.
        problem: why the trunk was not read, as a text for people; None when it was.
    """

    name: str
    up: bool
    read_until: float | None
    poll_interval: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class TrunkState:
    """The state of one trunk.

    Attributes:
        order: its commits.
        jobs: those that are neither ignored nor retired, sorted by key.
        groups: every group that has a job here, sorted by name.
        mass_breakage: the commit that broke most of its jobs, if one did.
        green: distance to the newest green commit; None where none is configured.
        ignored_runs: numbers of stored runs that do not count, by reason.
        unknown_words: numbers of stored rows by the status or conclusion that the evidence table
            does not list.
        retired: numbers of retired jobs whose history is still stored, by "removed" or
            "removed_broken".
        changes_at: when time alone will change any of it (seconds since the epoch), or None.
        alerting: the jobs whose outage alerts.
        removed_broken: the retired jobs of which an outage was open.
        workflow_states: the workflows that their CI reports as not active, by label.
        reported: the newest commits with results that count, see `missing_results`.
        ignored_from: where no job is watched, the events, branches and repositories of the runs
            that do not count, by reason.
        files: the changed files of commits, as far as they were read.
        sources: those that it is read from.
        data_at: the time up to which all of its sources were read (seconds since the epoch).
        missing: number of newest commits that lack results they should have, see
            `missing_results`.
        evaluated_at: when it was evaluated last (seconds since the epoch); no part of the state.
    """

    order: TrunkOrder
    jobs: tuple[JobState, ...]
    groups: tuple[GroupState, ...]
    mass_breakage: MassBreakage | None
    green: Green | None
    ignored_runs: Mapping[str, int]
    unknown_words: Mapping[str, int]
    retired: Mapping[str, int]
    changes_at: float | None
    alerting: tuple[JobState, ...] = ()
    removed_broken: frozenset[JobKey] = frozenset()
    workflow_states: Mapping[str, WorkflowState] = field(default_factory=dict)
    reported: Mapping[str, float | None] = field(default_factory=dict)
    ignored_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[Span, ChangedFiles] = field(default_factory=dict)
    sources: tuple[TrunkSource, ...] = ()
    data_at: float | None = None
    missing: int = 0
    evaluated_at: float = field(default=0.0, compare=False)

    @property
    def trunk(self) -> Trunk:
        """The branch."""
        return self.order.trunk

    @property
    def up(self) -> bool:
        """Whether the last refresh of each of its sources has read it."""
        return all(source.up for source in self.sources)

    @property
    def inactive_workflows(self) -> tuple[str, ...]:
        """The workflows that their CI has disabled for inactivity, by label, sorted."""
        states = self.workflow_states.items()
        return tuple(sorted(flow for flow, state in states if state is WorkflowState.INACTIVE))

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it was not read, as texts for people: one for each source that did not."""
        return tuple(source.problem for source in self.sources if source.problem is not None)


def unread_trunk(trunk: Trunk) -> TrunkState:
    """Return the state of a trunk of which nothing has been read."""
    return TrunkState(TrunkOrder(trunk, ()), (), (), None, None, {}, {}, {}, None)


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
        limitations: the answers that are missing for a right that its credentials lack, by the
            word for the right.
        dropped: numbers of rows that were read and cannot be used, by reason, since the start.
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
    limitations: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
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
        ended: the alerts that ended lately, sorted by their labels.
    """

    as_of: float
    trunks: tuple[TrunkState, ...] = ()
    sources: tuple[SourceStatus, ...] = ()
    complete: bool = False
    ended: tuple[Alert, ...] = ()

    @property
    def was_read(self) -> bool:
        """Whether the last refresh of every source has read all of its trunks."""
        return all(source.up for source in self.sources) and all(t.up for t in self.trunks)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts that only grow while the process lives.

    Attributes:
        counts: by family name and label values.
        config_reload_ok: whether the last reload of the configuration succeeded.
        web_config_ok: whether the newest web configuration is used.
        storage_ok: whether the last results could be stored, in a file without detected damage.
    """

    counts: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    config_reload_ok: bool = True
    web_config_ok: bool = True
    storage_ok: bool = True

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
    return source.last_success is not None and _is_old(
        source.last_success, source.poll_interval, now
    )


def data_of(trunk: TrunkState, now: float) -> Data:
    """Return how far a trunk's data can be relied on; doubt is shown before age.

    Args:
        trunk: the trunk.
        now: seconds since the epoch.
    """
    if trunk.missing:
        return Data.DOUBTFUL
    return Data.STALE if _is_stale_trunk(trunk, now) else Data.FRESH


def _is_old(moment: float, poll_interval: float, now: float) -> bool:
    return now - moment > max(STALE_POLLS * poll_interval, MIN_STALE_SECONDS)


def readiness_problems(snapshot: Snapshot, now: float) -> list[str]:
    """Return a line for each source that is not up to date, and for each trunk of the others.

    An empty list means ready. Doubt is not a matter of age.
    """
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
    fresh = {
        source.name
        for source in snapshot.sources
        if source.last_success is not None and not is_stale(source, now)
    }
    return problems + [
        _trunk_problem(trunk, now)
        for trunk in snapshot.trunks
        if _is_stale_trunk(trunk, now) and all(source.name in fresh for source in trunk.sources)
    ]


def _is_stale_trunk(trunk: TrunkState, now: float) -> bool:
    interval = max((source.poll_interval for source in trunk.sources), default=0.0)
    return trunk.data_at is None or _is_old(trunk.data_at, interval, now)


def _trunk_problem(trunk: TrunkState, now: float) -> str:
    because = "".join(f": {problem}" for problem in trunk.problems)
    if trunk.data_at is None:
        return f"trunk {trunk.trunk} has not been read yet{because}"
    return f"trunk {trunk.trunk} was read up to {int(now - trunk.data_at)} s ago{because}"
