"""The watched jobs of a trunk: listed, retired, or only the name of a skipped caller."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.domain.branch import GreenTally, Tally
from trunkwatch.domain.groups import Events
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.domain.names import callers
from trunkwatch.domain.walk import JobWalk
from trunkwatch.engine.bases import ClosedGreen, Horizon
from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_histories import WorkflowHistories
from trunkwatch.patterns import Pattern


@dataclass(frozen=True, slots=True)
class TrackedJob:
    """One watched job with the facts that decide whether it is listed.

    Attributes:
        state: its state.
        walk: over all of its commits.
        checkpoints: earlier walks, oldest first, see `thinned`.
        workflow: the identity of its workflow.
        events: the events whose runs it is judged by.
        counts_starts: it is a startup job, and a run failed to start, so that all starts count.
    """

    state: JobState
    walk: JobWalk
    checkpoints: tuple[JobWalk, ...]
    workflow: str
    events: Events
    counts_starts: bool = False

    @property
    def callers(self) -> frozenset[str]:
        """The names whose skipped row stands for it."""
        return frozenset(caller for name in self.walk.names for caller in callers(name))


class _ListedJobs:
    """The jobs that are published, sorted by key, with the counts over them."""

    def __init__(self, required: Sequence[Pattern], horizon: Horizon | None) -> None:
        self._keys: list[JobKey] = []
        self.states: list[JobState] = []
        self.tally = Tally()
        since, older = 0, None
        if horizon is not None:
            since, older = horizon.commit_index, horizon.green.of(required)
        self.tally.since = since
        self.green = GreenTally(required, since, older)

    def put(self, state: JobState) -> None:
        key, position = state.key, bisect_left(self._keys, state.key)
        if position < len(self._keys) and self._keys[position] == key:
            before, self.states[position] = self.states[position], state
            self._count(before, state)
        else:
            self._keys.insert(position, key)
            self.states.insert(position, state)
            self._count(None, state)

    def has(self, key: JobKey) -> bool:
        position = bisect_left(self._keys, key)
        return position < len(self._keys) and self._keys[position] == key

    def drop(self, key: JobKey) -> None:
        position = bisect_left(self._keys, key)
        if position < len(self._keys) and self._keys[position] == key:
            self._count(self.states[position], None)
            del self._keys[position], self.states[position]

    def _count(self, before: JobState | None, after: JobState | None) -> None:
        self.tally.replace(before, after)
        self.green.replace(before, after)


Runs = tuple[str, Events]
"""A workflow, by identity, and those of its runs that some jobs are judged by."""


class JobRegistry:
    """All watched jobs of one trunk.

    Whether a job is listed does not depend on its own rows alone: rows of other jobs complete its
    workflow, and a job that was always skipped is hidden once jobs exist that its name calls.
    """

    def __init__(
        self,
        retire_after: int,
        required: Sequence[Pattern],
        workflows: WorkflowHistories,
        horizon: Horizon | None = None,
    ) -> None:
        """Args:
        retire_after: completed commits without a job after which it is retired.
        required: patterns over "workflow / job_name" that a green commit needs.
        workflows: every workflow of the trunk at each commit.
        horizon: the oldest commit whose results are kept.
        """
        self._retire_after = retire_after
        self._workflows = workflows
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._by_workflow: dict[str, set[JobKey]] = defaultdict(set)
        self._by_name: dict[tuple[str, str], set[JobKey]] = defaultdict(set)
        self._called: dict[tuple[str, str], set[JobKey]] = defaultdict(set)
        self._retire_before: dict[Runs, int] = {}
        self._last_seen: dict[Runs, ExpiryQueue[JobKey]] = defaultdict(ExpiryQueue)
        self._gone: frozenset[str] = frozenset()
        self._changed: set[JobKey] = set()
        self._listed = _ListedJobs(required, horizon)
        self._retired: dict[JobKey, bool] = {}
        self._expiries: ExpiryQueue[JobKey] = ExpiryQueue()

    def get(self, key: JobKey) -> TrackedJob | None:
        """Return a watched job, listed or retired; None for the name of a skipped caller."""
        job = self._jobs.get(key)
        return None if job is None or self._is_skipped_caller(key, job) else job

    def find(self, key: JobKey) -> TrackedJob | None:
        """Return a job, watched or the name of a skipped caller; None where no row counts."""
        return self._jobs.get(key)

    def tracked(self, key: JobKey) -> TrackedJob:
        """Return a job that `watched` lists."""
        return self._jobs[key]

    def watched(self) -> list[JobState]:
        """Return all watched jobs, listed or retired."""
        return [
            job.state for key, job in self._jobs.items() if not self._is_skipped_caller(key, job)
        ]

    def of_workflow(self, workflow: str) -> list[TrackedJob]:
        """Return every tracked job of a workflow."""
        return [self._jobs[key] for key in self._by_workflow[workflow]]

    def listed_of(self, workflow: str) -> list[JobState]:
        """Return the listed jobs of a workflow."""
        keys = self._by_workflow[workflow] - self._retired.keys()
        return [self._jobs[key].state for key in keys]

    def pop_expired(self, now: float) -> list[JobKey]:
        """Return the jobs to evaluate again because of the time, once each."""
        return self._expiries.pop_expired(now)

    def put(self, key: JobKey, job: TrackedJob | None) -> None:
        """Set the current state of a job; None removes a job without rows that count."""
        before = self._jobs.pop(key, None)
        if job is not None:
            self._jobs[key] = job
        self._expiries.put(key, job.state.changes_at if job is not None else None)
        self._changed.add(key)
        if before is not None and job is None:
            self._last_seen[before.workflow, before.events].put(key, None)
        if before is None or job is None or before.walk.names != job.walk.names:
            self._link(key, before, present=False)
            self._link(key, job, present=True)

    def is_removed(self, key: JobKey) -> bool:
        """Return whether a job is retired, or its workflow gone."""
        return key in self._retired

    def trim(self, key: JobKey, job: TrackedJob) -> None:
        """Set a job without columns that no longer have rows: nothing else of it changes."""
        self._jobs[key] = job
        if key not in self._retired and self._listed.has(key):
            self._listed.put(job.state)

    def close_before(self, commit_index: int, length: int) -> ClosedGreen:
        """Leave the commits before another out of the counts over jobs.

        Args:
            commit_index: of the oldest commit that counts.
            length: number of commits of the trunk.

        Returns:
            The newest green commit before it.
        """
        self._listed.tally.since = commit_index
        self._listed.green.close_before(commit_index, length)
        green = self._listed.green
        return ClosedGreen(tuple(each.text for each in green.required), green.older)

    def drop_workflow(self, workflow: str) -> None:
        """Remove a renamed workflow's jobs: each gets a new key."""
        for key in tuple(self._by_workflow[workflow]):
            self.put(key, None)

    def skips_changed(self, workflow: str, names: Iterable[str]) -> None:
        """Note that a skipped row of some names is new: it stands for the jobs that they call."""
        for name in names:
            self._changed |= self._called.get((workflow, name), set())

    def update_listing(self, read: Iterable[str], gone: Callable[[str], bool]) -> None:
        """List, retire or hide each changed job, after all changes of an update.

        Args:
            read: the workflows that may have completed at other commits than before.
            gone: returns whether a workflow is deleted, disabled or missed for too long.
        """
        self._note_absent(read)
        now_gone = frozenset(workflow for workflow in self._by_workflow if gone(workflow))
        for workflow in now_gone ^ self._gone:
            self._changed |= self._by_workflow[workflow]
        self._gone = now_gone
        # Sorted, so that a first reading appends each job at the end of the list.
        for key in sorted(self._changed):
            self._update_listing_of(key)
        self._changed.clear()

    # ------------------------------------------------------------------ the trunk

    @property
    def listed(self) -> tuple[JobState, ...]:
        """The jobs that are neither retired nor a skipped caller's name, sorted by key."""
        return tuple(self._listed.states)

    @property
    def tally(self) -> Tally:
        """The counts over the listed jobs."""
        return self._listed.tally

    @property
    def green(self) -> GreenTally:
        """The commits at which the listed jobs that a green commit needs are green."""
        return self._listed.green

    @property
    def retired(self) -> Mapping[str, int]:
        """Numbers of retired jobs, by whether an outage was open."""
        broken = sum(self._retired.values())
        return {"removed": len(self._retired) - broken, "removed_broken": broken}

    @property
    def removed_broken(self) -> frozenset[JobKey]:
        """The retired jobs of which an outage was open."""
        return frozenset(key for key, broken in self._retired.items() if broken)

    @property
    def changes_at(self) -> float | None:
        """When time alone will change the next job (seconds since the epoch), or None."""
        return self._expiries.next_expiry()

    # ------------------------------------------------------------------ one job

    def _note_absent(self, read: Iterable[str]) -> None:
        """Note the jobs that more or fewer completed commits of their workflow retire or list."""
        workflows = frozenset(read)
        for runs, retire_before in self._retire_before.items():
            if runs[0] not in workflows:
                continue
            now = self._boundary(runs)
            self._retire_before[runs] = now
            self._changed.update(self._last_seen[runs].pop_expired(now - 1))
            if now < retire_before:
                self._changed |= self._by_workflow[runs[0]] & self._retired.keys()

    def _boundary(self, runs: Runs) -> int:
        """Return the index of the commit before which a job was seen last that is retired."""
        completed = self._workflows.history(runs[0]).completed(runs[1])
        return completed[-self._retire_after] if len(completed) >= self._retire_after else 0

    def _update_listing_of(self, key: JobKey) -> None:
        job = self._jobs.get(key)
        self._retired.pop(key, None)
        if job is None or self._is_skipped_caller(key, job):
            self._listed.drop(key)
        elif job.workflow in self._gone or self._is_retired(key, job):
            self._listed.drop(key)
            self._retired[key] = job.state.broken
        else:
            self._listed.put(job.state)

    def _is_retired(self, key: JobKey, job: TrackedJob) -> bool:
        runs = job.workflow, job.events
        boundary = self._retire_before.setdefault(runs, self._boundary(runs))
        last_seen = job.walk.newest
        if last_seen < boundary:
            skip = self._workflows.newest_skip(job.workflow, job.callers, job.events)
            last_seen = max(last_seen, skip)
        is_retired = last_seen < boundary
        self._last_seen[runs].put(key, None if is_retired else last_seen)
        return is_retired

    def _is_skipped_caller(self, key: JobKey, job: TrackedJob) -> bool:
        """Return whether all rows of a job stand for the jobs that its name calls."""
        return job.walk.only_skips and any(
            self._called.get((job.workflow, name), set()) - {key} for name in job.walk.names
        )

    def _link(self, key: JobKey, job: TrackedJob | None, *, present: bool) -> None:
        """Add a job to the indexes or remove it, and note the callers that this lists or hides."""
        if job is None:
            return
        change = set.add if present else set.discard
        change(self._by_workflow[job.workflow], key)
        for name in job.walk.names:
            change(self._by_name[job.workflow, name], key)
        for caller in job.callers:
            change(self._called[job.workflow, caller], key)
            self._changed |= self._by_name[job.workflow, caller]
