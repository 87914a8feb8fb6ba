"""The facts of results that were dropped: the walks of jobs, and the facts of workflows.

Unlike the evaluated state, a base cannot be computed again: it is stored in the transaction before
the one that deletes the rows it stands for.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from trunkwatch.domain.groups import Events
from trunkwatch.domain.model import Observation, RawJob, TrunkOrder
from trunkwatch.domain.walk import JobWalk
from trunkwatch.patterns import Pattern


class JobName(NamedTuple):
    """A job by what does not change when its workflow is renamed.

    Attributes:
        workflow: the identity of its workflow.
        event: the event whose runs alone it is judged by; empty for the rest.
        job_name: its name.
    """

    workflow: str
    event: str
    job_name: str


@dataclass(frozen=True, slots=True)
class JobBase:
    """A job as of the columns that were dropped.

    Attributes:
        since: index of the oldest commit of which its rows count.
        walk: over all earlier commits; never changed in place.
        counts_starts: see `TrackedJob`.
        is_settled: see `Settled`.
    """

    since: int = 0
    walk: JobWalk = field(default_factory=JobWalk)
    counts_starts: bool = False
    is_settled: bool = True

    def moved(self, by: int) -> "JobBase":
        """Return it with the indexes of all commits moved."""
        return replace(self, since=self.since + by, walk=self.walk.moved(by))


NO_BASE = JobBase()
"""The base of a job of which nothing was dropped."""


class Skipped(NamedTuple):
    """The newest commit at which a row of a name is a skip, in runs of an event."""

    job_name: str
    event: str
    commit_index: int


class Completed(NamedTuple):
    """The newest commits at which the runs of some events completed, ascending."""

    events: Events
    commit_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkflowBase:
    """A workflow as of the commits whose rows were dropped.

    Attributes:
        since: index of the oldest commit of which its rows count.
        newest: index of the newest earlier commit at which it counted; -1 without any.
        run_name: the name of its newest run there.
        names: its oldest and its newest name, with the index of the commit.
        widest_gap: the largest distance of two commits that follow each other.
        events: of its runs.
        failed_to_start: whether any of its runs failed to start.
        starts: the first rows of its newest run of each event: a later failed start follows them.
        completed: the newest commits at which it completed, as many as retire a job.
        skips: the skipped rows.
        reported: when its first result was reported at the newest of its commits.
        ignored_runs: numbers of runs that do not count, by reason.
        ignored_from: their events, branches and repositories, by reason.
        unknown_words: numbers of rows by the word that the evidence table does not list.
    """

    since: int = 0
    newest: int = -1
    run_name: str | None = None
    names: tuple[tuple[int, str], ...] = ()
    widest_gap: int = 0
    events: frozenset[str] = frozenset()
    failed_to_start: bool = False
    starts: tuple[Observation, ...] = ()
    completed: tuple[Completed, ...] = ()
    skips: tuple[Skipped, ...] = ()
    reported: tuple[tuple[int, float | None], ...] = ()
    ignored_runs: Mapping[str, int] = field(default_factory=dict)
    ignored_from: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unknown_words: Mapping[str, int] = field(default_factory=dict)

    def completed_by(self, events: Events) -> tuple[int, ...]:
        """Return the newest commits at which the runs of some events completed."""
        return next((each.commit_indexes for each in self.completed if each.events == events), ())

    def moved(self, by: int) -> "WorkflowBase":
        """Return it with the indexes of all commits moved."""
        return replace(
            self,
            since=self.since + by,
            newest=self.newest + by if self.newest >= 0 else -1,
            names=tuple((index + by, name) for index, name in self.names),
            completed=tuple(
                Completed(events, tuple(index + by for index in indexes))
                for events, indexes in self.completed
            ),
            skips=tuple(each._replace(commit_index=each.commit_index + by) for each in self.skips),
            reported=tuple((index + by, at) for index, at in self.reported),
        )


NO_WORKFLOW = WorkflowBase()
"""The base of a workflow of which nothing was dropped."""


class ClosedGreen(NamedTuple):
    """The newest green commit before the horizon.

    Attributes:
        required: the patterns of the jobs that a green commit needs.
        commit_index: None without any.
    """

    required: tuple[str, ...]
    commit_index: int | None

    def of(self, required: Sequence[Pattern]) -> int | None:
        """Return the index of the commit, unless other jobs are required now."""
        is_same = self.required == tuple(each.text for each in required)
        return self.commit_index if is_same else None


@dataclass(frozen=True, slots=True)
class Horizon:
    """The oldest commit whose results are kept.

    Attributes:
        commit_index: of the commit; results of older ones are refused.
        origin: the trunk's oldest commit when it was set, as a full hash.
        digest: of the commits before the horizon, from the origin on.
        green: the newest green commit before it.
    """

    commit_index: int
    origin: str
    digest: str
    green: ClosedGreen


@dataclass(slots=True)
class TrunkBase:
    """The facts of the dropped results of one trunk.

    Attributes:
        horizon: None while nothing was dropped.
        jobs: by their names.
        workflows: by their identities.
        busy: indexes of the commits at which any workflow completed, before `since` of those.
        is_void: results were dropped, and their facts do not fit the trunk any more.
    """

    horizon: Horizon | None = None
    jobs: dict[JobName, JobBase] = field(default_factory=dict)
    workflows: dict[str, WorkflowBase] = field(default_factory=dict)
    busy: frozenset[int] = frozenset()
    is_void: bool = False
    _dropped: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, base in self.jobs.items():
            self.put_job(name, base)

    @property
    def since(self) -> int:
        """The index of the oldest commit whose results are kept."""
        return self.horizon.commit_index if self.horizon is not None else 0

    def fitted(self, order: TrunkOrder) -> "TrunkBase":
        """Return the base for a trunk: moved by its new older commits, void if it was rewritten."""
        horizon = self.horizon
        if horizon is None:
            return self
        by = order.index.get(horizon.origin, -1)
        if by < 0 or digest_of(order, by, by + self.since) != horizon.digest:
            return TrunkBase(is_void=True)
        return self._moved(by, horizon, order) if by else self

    def _moved(self, by: int, horizon: Horizon, order: TrunkOrder) -> "TrunkBase":
        green = horizon.green
        if green.commit_index is not None:
            green = green._replace(commit_index=green.commit_index + by)
        return TrunkBase(
            horizon_at(horizon.commit_index + by, order, green),
            {name: base.moved(by) for name, base in self.jobs.items()},
            {workflow: base.moved(by) for workflow, base in self.workflows.items()},
            frozenset(index + by for index in self.busy),
            self.is_void,
        )

    def put_job(self, name: JobName, base: JobBase) -> None:
        """Set the base of a job."""
        self.jobs[name] = base
        self._dropped.setdefault(name[:2], set()).update(base.walk.names)

    def remove_job(self, name: JobName) -> None:
        """Keep nothing of a job."""
        walk = self.jobs.pop(name).walk
        self._dropped[name[:2]] -= walk.names

    def has_dropped(self, name: JobName, raw_names: Collection[str]) -> bool:
        """Return whether results of some raw names were dropped, though not of a job."""
        if name in self.jobs:
            return False
        return not self._dropped.get(name[:2], set()).isdisjoint(raw_names)


@dataclass(slots=True)
class BaseChanges:
    """The differences from the stored base of a trunk.

    Attributes:
        is_whole: nothing of the stored base is valid.
        has_moved: the horizon or the busy commits differ.
        jobs: the changed jobs; None for one that is not watched any more.
        workflows: the changed workflows.
        raw_jobs: those of forgotten jobs, without rows.
    """

    is_whole: bool = False
    has_moved: bool = False
    jobs: dict[JobName, JobBase | None] = field(default_factory=dict)
    workflows: dict[str, WorkflowBase] = field(default_factory=dict)
    raw_jobs: set[RawJob] = field(default_factory=set)

    def clear(self) -> None:
        """Note that all of them are stored."""
        self.is_whole = self.has_moved = False
        self.jobs.clear()
        self.workflows.clear()
        self.raw_jobs.clear()

    def __bool__(self) -> bool:
        return bool(self.is_whole or self.has_moved or self.jobs or self.workflows)


def horizon_at(commit_index: int, order: TrunkOrder, green: ClosedGreen) -> Horizon:
    """Return a horizon of a trunk.

    Args:
        commit_index: of the oldest commit whose results are kept.
        order: the trunk.
        green: the newest green commit before it.
    """
    digest = digest_of(order, 0, commit_index)
    return Horizon(commit_index, order.commits[0].sha, digest, green)


def digest_of(order: TrunkOrder, start: int, end: int) -> str:
    """Return a digest of the hashes of some commits."""
    shas: Iterable[str] = (commit.sha for commit in order.commits[start:end])
    return hashlib.blake2b(" ".join(shas).encode(), digest_size=16).hexdigest()
