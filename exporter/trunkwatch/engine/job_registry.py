"""The watched jobs of a trunk: which are listed, and which are removed or only a matrix's name."""

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
"""Places at which a workflow completed, ascending."""


@dataclass(frozen=True, slots=True)
class TrackedJob:
    """What is kept of one watched job between updates.

    Attributes:
        state: its state.
        last_seen: place of the newest commit at which it, or a skipped parent of it, appeared.
        workflow: the identity of its workflow.
        only_skips: every row of it is a skip.
    """

    state: JobState
    last_seen: int
    workflow: str
    only_skips: bool


class _Listed:
    """The jobs that everybody outside sees, sorted, and what is counted over them."""

    def __init__(self, required: Collection[re.Pattern[str]]) -> None:
        self._required = tuple(required)
        self._keys: list[JobKey] = []
        self.states: list[JobState] = []
        self.for_green: dict[JobKey, JobState] = {}
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
        if any_full_match(self._required, f"{key.workflow} / {key.job_name}"):
            self.for_green[key] = state

    def drop(self, key: JobKey) -> None:
        position = bisect_left(self._keys, key)
        if position < len(self._keys) and self._keys[position] == key:
            self.tally.remove(self.states[position])
            del self._keys[position], self.states[position]
            self.for_green.pop(key, None)


class JobRegistry:
    """All watched jobs of one trunk.

    A job's own rows do not decide alone whether it is listed: other jobs' rows complete its
    workflow, and a job that was always skipped is none once there are jobs of its matrix.
    """

    def __init__(self, retire_after: int, required: Collection[re.Pattern[str]]) -> None:
        """Args:
        retire_after: completed commits without a job, after which it counts as removed.
        required: patterns over "workflow / job_name" that a green commit needs.
        """
        self._retire_after = retire_after
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._by_workflow: dict[str, set[JobKey]] = defaultdict(set)
        self._children: dict[JobKey, set[JobKey]] = defaultdict(set)
        self._completed: dict[str, Completed] = {}
        self._unsettled: set[JobKey] = set()
        self._listed = _Listed(required)
        self._retired: dict[JobKey, bool] = {}
        self._agenda: ExpiryQueue[JobKey] = ExpiryQueue()

    def get(self, key: JobKey) -> TrackedJob | None:
        """Return a watched job, listed or removed; None for the name of a skipped matrix."""
        job = self._jobs.get(key)
        return None if job is None or self._is_collapsed(key, job) else job

    def watched(self) -> list[JobState]:
        """Return all watched jobs, listed or removed."""
        return [job.state for key, job in self._jobs.items() if not self._is_collapsed(key, job)]

    def of_workflow(self, workflow: str) -> list[TrackedJob]:
        """Return all that is kept of a workflow."""
        return [self._jobs[key] for key in self._by_workflow[workflow]]

    def due(self, now: float) -> list[JobKey]:
        """Return the jobs that time has changed; they are put again."""
        return self._agenda.due(now)

    def put(self, key: JobKey, job: TrackedJob | None) -> None:
        """Take what a job is now; None where nothing of it counts."""
        before = self._jobs.pop(key, None)
        if before is not None:
            self._by_workflow[before.workflow].discard(key)
        if job is not None:
            self._jobs[key] = job
            self._by_workflow[job.workflow].add(key)
        self._agenda.put(key, job.state.changes_at if job is not None else None)
        self._unsettled.add(key)
        self._tell_parent(key, present=job is not None)

    def forget(self, workflow: str) -> None:
        """Drop a workflow's jobs: they go by other names now."""
        for key in tuple(self._by_workflow[workflow]):
            self.put(key, None)

    def settle(self, completed: Mapping[str, Completed]) -> None:
        """Decide which jobs are listed, after all changes of an update.

        Args:
            completed: of the workflows of which that may have changed.
        """
        for workflow, completed_at in completed.items():
            if self._completed.get(workflow) != completed_at:
                self._completed[workflow] = completed_at
                self._unsettled |= self._by_workflow[workflow]
        # Sorted, so that a first reading adds each job at the end of the list.
        for key in sorted(self._unsettled):
            self._settle(key)
        self._unsettled.clear()

    # ------------------------------------------------------------------ the whole

    @property
    def listed(self) -> tuple[JobState, ...]:
        """The jobs that are neither removed nor a matrix's name, sorted by key."""
        return tuple(self._listed.states)

    @property
    def for_green(self) -> Sequence[JobState]:
        """Those of them that decide whether a commit is green."""
        return tuple(self._listed.for_green.values())

    @property
    def tally(self) -> Tally:
        """What is counted over the listed jobs."""
        return self._listed.tally

    @property
    def retired(self) -> Mapping[str, int]:
        """Removed jobs, by whether an outage was open."""
        broken = sum(self._retired.values())
        return {"removed": len(self._retired) - broken, "removed_broken": broken}

    @property
    def changes_at(self) -> float | None:
        """When time will change a job (seconds since the epoch), or None."""
        return self._agenda.earliest()

    # ------------------------------------------------------------------ one job

    def _settle(self, key: JobKey) -> None:
        job = self._jobs.get(key)
        self._retired.pop(key, None)
        if job is None or self._is_collapsed(key, job):
            self._listed.drop(key)
        elif is_retired(job.last_seen, self._completed.get(job.workflow, ()), self._retire_after):
            self._listed.drop(key)
            self._retired[key] = job.state.broken
        else:
            self._listed.put(job.state)

    def _is_collapsed(self, key: JobKey, job: TrackedJob) -> bool:
        """Whether all there is of it are rows that stand for a matrix that was skipped."""
        return job.only_skips and bool(self._children.get(key))

    def _tell_parent(self, key: JobKey, *, present: bool) -> None:
        name = matrix_parent(key.job_name)
        if name is None:
            return
        parent = key._replace(job_name=name)
        if present:
            self._children[parent].add(key)
        else:
            self._children[parent].discard(key)
        self._unsettled.add(parent)
