"""The watched jobs of a trunk: listed, retired, or only the name of a skipped matrix."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.domain.branch import Tally
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.domain.names import any_full_match, matrix_parent
from trunkwatch.domain.retirement import is_retired
from trunkwatch.engine.expiry_queue import ExpiryQueue

Completed = Sequence[int]
"""Indexes of the commits at which a workflow completed, ascending."""


@dataclass(frozen=True, slots=True)
class TrackedJob:
    """One watched job with the facts that decide whether it is listed.

    Attributes:
        state: its state.
        last_seen: index of the newest commit at which it, or its skipped matrix, has a row.
        workflow: the identity of its workflow.
        only_skips: every row of it is a skip.
    """

    state: JobState
    last_seen: int
    workflow: str
    only_skips: bool


class _ListedJobs:
    """The jobs that are published, sorted by key, with the counts over them."""

    def __init__(self, required: Collection[re.Pattern[str]]) -> None:
        self._required = tuple(required)
        self._keys: list[JobKey] = []
        self.states: list[JobState] = []
        self.required_for_green: dict[JobKey, JobState] = {}
        self.tally = Tally()

    def put(self, state: JobState) -> None:
        key, position = state.key, bisect_left(self._keys, state.key)
        if position < len(self._keys) and self._keys[position] == key:
            self.tally.remove(self.states[position])
            self.states[position] = state
        else:
            self._keys.insert(position, key)
            self.states.insert(position, state)
        self.tally.add(state)
        if any_full_match(self._required, key.display_name):
            self.required_for_green[key] = state

    def drop(self, key: JobKey) -> None:
        position = bisect_left(self._keys, key)
        if position < len(self._keys) and self._keys[position] == key:
            self.tally.remove(self.states[position])
            del self._keys[position], self.states[position]
            self.required_for_green.pop(key, None)


class JobRegistry:
    """All watched jobs of one trunk.

    Whether a job is listed does not depend on its own rows alone: rows of other jobs complete its
    workflow, and a job that was always skipped is hidden once jobs of its matrix exist.
    """

    def __init__(self, retire_after: int, required: Collection[re.Pattern[str]]) -> None:
        """Args:
        retire_after: completed commits without a job after which it is retired.
        required: patterns over "workflow / job_name" that a green commit needs.
        """
        self._retire_after = retire_after
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._by_workflow: dict[str, set[JobKey]] = defaultdict(set)
        self._children: dict[JobKey, set[JobKey]] = defaultdict(set)
        self._completed: dict[str, Completed] = {}
        self._changed: set[JobKey] = set()
        self._listed = _ListedJobs(required)
        self._retired: dict[JobKey, bool] = {}
        self._expiries: ExpiryQueue[JobKey] = ExpiryQueue()

    def get(self, key: JobKey) -> TrackedJob | None:
        """Return a watched job, listed or retired; None for the name of a skipped matrix."""
        job = self._jobs.get(key)
        return None if job is None or self._is_skipped_matrix(key, job) else job

    def watched(self) -> list[JobState]:
        """Return all watched jobs, listed or retired."""
        return [
            job.state for key, job in self._jobs.items() if not self._is_skipped_matrix(key, job)
        ]

    def of_workflow(self, workflow: str) -> list[TrackedJob]:
        """Return every tracked job of a workflow."""
        return [self._jobs[key] for key in self._by_workflow[workflow]]

    def pop_expired(self, now: float) -> list[JobKey]:
        """Return the jobs to evaluate again because of the time, once each."""
        return self._expiries.pop_expired(now)

    def put(self, key: JobKey, job: TrackedJob | None) -> None:
        """Set the current state of a job; None removes a job without rows that count."""
        before = self._jobs.pop(key, None)
        if before is not None:
            self._by_workflow[before.workflow].discard(key)
        if job is not None:
            self._jobs[key] = job
            self._by_workflow[job.workflow].add(key)
        self._expiries.put(key, job.state.changes_at if job is not None else None)
        self._changed.add(key)
        self._update_parent(key, present=job is not None)

    def drop_workflow(self, workflow: str) -> None:
        """Remove a renamed workflow's jobs: each gets a new key."""
        for key in tuple(self._by_workflow[workflow]):
            self.put(key, None)

    def update_listing(self, completed: Mapping[str, Completed]) -> None:
        """List, retire or hide each changed job, after all changes of an update.

        Args:
            completed: by workflow, for the workflows of which it may have changed.
        """
        for workflow, completed_at in completed.items():
            if self._completed.get(workflow) != completed_at:
                self._completed[workflow] = completed_at
                self._changed |= self._by_workflow[workflow]
        # Sorted, so that a first reading appends each job at the end of the list.
        for key in sorted(self._changed):
            self._update_listing_of(key)
        self._changed.clear()

    # ------------------------------------------------------------------ the trunk

    @property
    def listed(self) -> tuple[JobState, ...]:
        """The jobs that are neither retired nor a skipped matrix's name, sorted by key."""
        return tuple(self._listed.states)

    @property
    def required_for_green(self) -> Sequence[JobState]:
        """The listed jobs that decide whether a commit is green."""
        return tuple(self._listed.required_for_green.values())

    @property
    def tally(self) -> Tally:
        """The counts over the listed jobs."""
        return self._listed.tally

    @property
    def retired(self) -> Mapping[str, int]:
        """Numbers of retired jobs, by whether an outage was open."""
        broken = sum(self._retired.values())
        return {"removed": len(self._retired) - broken, "removed_broken": broken}

    @property
    def changes_at(self) -> float | None:
        """When time alone will change the next job (seconds since the epoch), or None."""
        return self._expiries.next_expiry()

    # ------------------------------------------------------------------ one job

    def _update_listing_of(self, key: JobKey) -> None:
        job = self._jobs.get(key)
        self._retired.pop(key, None)
        if job is None or self._is_skipped_matrix(key, job):
            self._listed.drop(key)
        elif is_retired(job.last_seen, self._completed.get(job.workflow, ()), self._retire_after):
            self._listed.drop(key)
            self._retired[key] = job.state.broken
        else:
            self._listed.put(job.state)

    def _is_skipped_matrix(self, key: JobKey, job: TrackedJob) -> bool:
        """Return whether all rows of a job stand for a matrix that was skipped as a whole."""
        return job.only_skips and bool(self._children.get(key))

    def _update_parent(self, key: JobKey, *, present: bool) -> None:
        name = matrix_parent(key.job_name)
        if name is None:
            return
        parent = key._replace(job_name=name)
        if present:
            self._children[parent].add(key)
        else:
            self._children[parent].discard(key)
        self._changed.add(parent)
