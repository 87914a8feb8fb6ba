"""Drops the results of one trunk that nothing published needs any more, in small steps.

Each step keeps the facts of some results in the trunk's base first. Their rows count no more from
then on, whether they have been deleted yet or not.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from trunkwatch.domain.columns import Count
from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.model import STARTUP_JOB, RawJob
from trunkwatch.domain.retention import horizon, is_old
from trunkwatch.engine.bases import BaseChanges, JobName, horizon_at
from trunkwatch.engine.job_evaluator import JobEvaluator
from trunkwatch.engine.job_registry import JobRegistry, TrackedJob
from trunkwatch.engine.row_cache import RowCache
from trunkwatch.engine.saved_state import SavedJob, StateChanges, WorkflowPlace

COLUMNS_PER_STEP = 128
"""Columns that are evaluated in one step: about 10 ms."""

COMMITS_PER_STEP = 500
"""Commits of a workflow that are closed in one step."""

TRIMMED_COLUMNS = 256
"""A job's verdicts are dropped from memory, and from the stored state, in portions of as many."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Drops results of a trunk, as of its last update.

    Attributes:
        evaluator: evaluates its jobs, and has its base.
        jobs: its watched jobs.
        base_changes: where changes of the base are noted.
        changes: where changes of the evaluated state are noted.
        gone_at: returns the index of the commit at which a workflow was gone, None if it is not.
        rows: the rows that are kept in memory.
    """

    evaluator: JobEvaluator
    jobs: JobRegistry
    base_changes: BaseChanges
    changes: StateChanges
    gone_at: Callable[[str], int | None]
    rows: RowCache

    def advance(self, oldest: float, kept: int, waiting: Collection[str] = ()) -> bool:
        """Move the horizon as far as possible; return whether it moved.

        Args:
            oldest: commits of this time and later keep their results (seconds since the epoch).
            kept: number of the newest commits that keep their results.
            waiting: the hashes of commits of which results have yet to be evaluated.
        """
        order, base = self.evaluator.order, self.evaluator.base
        since = horizon(order, base.since, oldest, kept)
        mass = self.jobs.tally.oldest_mass_breakage()
        limits = [since if mass is None else mass, *(order.index.get(s, since) for s in waiting)]
        since = min(since, *limits)
        if since <= base.since:
            return False
        green = self.jobs.close_before(since, len(order.commits))
        base.horizon = horizon_at(since, order, green)
        self.base_changes.has_moved = True
        return True

    def steps(self, now: float, *, forgets: bool = True) -> Iterator[None]:
        """Keep the facts of all results before the horizon; each step takes a short time.

        Args:
            now: seconds since the epoch.
            forgets: whether jobs that were removed before the horizon are forgotten.
        """
        for workflow in sorted(self.evaluator.workflows.identities):
            if forgets:
                yield from self._forget_jobs(workflow)
            yield from self._close_jobs(workflow, now)
            yield from self._close_workflow(workflow)

    def is_dropped(self, raw: RawJob, sha: str) -> bool:
        """Return whether the rows of a raw job at a commit count no more."""
        evaluator, workflow = self.evaluator, raw.workflow_key
        commit_index = evaluator.order.index.get(sha)
        if commit_index is None or not evaluator.workflows.is_closed(workflow, commit_index):
            return False
        return all(
            commit_index < evaluator.base_of(key).since
            for key in evaluator.names.keys(raw)
            if self.jobs.find(key) is not None
        )

    # ------------------------------------------------------------------ commits outside the trunk

    def outside(self) -> list[str]:
        """Return the commits outside the trunk that have results, as full hashes."""
        return self.evaluator.workflows.outside(self.evaluator.order.index)

    def is_old(self, sha: str, oldest: float) -> bool:
        """Return whether all results of a commit are older than a time (see `retention.is_old`)."""
        return all(is_old(row, oldest) for row in self.evaluator.reader.of_commits([sha]))

    def forget(self, sha: str) -> None:
        """Forget a commit outside the trunk, of which all rows are deleted."""
        for workflow in self.evaluator.workflows.forget(sha):
            self.rows.forget(sha, workflow)
            self.changes.workflows[WorkflowPlace(workflow, sha)] = None

    # ------------------------------------------------------------------ jobs

    def _close_jobs(self, workflow: str, now: float) -> Iterator[None]:
        evaluator, columns = self.evaluator, 0
        for key in sorted(job.state.key for job in self.jobs.of_workflow(workflow)):
            while (tracked := self.jobs.find(key)) is not None:
                name, before = evaluator.name_of(key), evaluator.base_of(key)
                since = evaluator.settled_since(tracked, evaluator.base.since)
                if self._is_removed(tracked):
                    since = evaluator.base.since
                if before.since >= since:
                    break
                most = COLUMNS_PER_STEP - columns
                after, added = evaluator.moved_base(tracked, since, most, now)
                if after.since <= before.since:
                    break
                evaluator.base.put_job(name, after)
                self.base_changes.jobs[name] = after
                self._trim(tracked, after.since)
                columns += 1 + added
                if columns >= COLUMNS_PER_STEP:
                    yield
                    columns = 0
        yield

    def _forget_jobs(self, workflow: str) -> Iterator[None]:
        """Forget the jobs that were removed before the horizon, once they have no rows left."""
        for job in self.jobs.of_workflow(workflow):
            key = job.state.key
            if not self._is_removed(job) or self.evaluator.base_of(key).since <= job.walk.newest:
                continue
            members = self.evaluator.names.members(workflow, key)
            if not any(self.evaluator.reader.of_jobs(members)):
                self._forget(job, self.evaluator.name_of(key))
                self.base_changes.raw_jobs.update(members)
            yield
        self.jobs.update_listing((), lambda workflow: self.gone_at(workflow) is not None)

    def _forget(self, job: TrackedJob, name: JobName) -> None:
        key, nothing = job.state.key, ColumnHistory()
        self.evaluator.base.remove_job(name)
        self.base_changes.jobs[name] = None
        self.jobs.put(key, None)
        self.changes.note_job(key, job.state.history, None, nothing)

    def _is_removed(self, job: TrackedJob) -> bool:
        """Return whether a job is removed, and has no result since the horizon."""
        is_old = job.walk.newest < self.evaluator.base.since
        return is_old and self.jobs.is_removed(job.state.key)

    def _trim(self, tracked: TrackedJob, since: int) -> None:
        key, history = tracked.state.key, tracked.state.history
        trimmed = history.trimmed(since)
        if len(history) - len(trimmed) < TRIMMED_COLUMNS:
            return
        job = replace(tracked, state=replace(tracked.state, history=trimmed))
        self.jobs.trim(key, job)
        saved = SavedJob(job.walk, job.checkpoints, job.counts_starts)
        self.changes.note_job(key, history, saved, trimmed)

    # ------------------------------------------------------------------ workflows

    def _close_workflow(self, workflow: str) -> Iterator[None]:
        evaluator, changes = self.evaluator, self.base_changes
        workflows, policy = evaluator.workflows, evaluator.policy
        history, end = workflows.history(workflow), self._limit(workflow)
        jobs, index = self.jobs.of_workflow(workflow), evaluator.order.index
        events = {job.events for job in jobs}
        while history.base.since < end:
            since = history.final_before(end, COMMITS_PER_STEP)
            if since <= history.base.since:
                break
            retire_after = policy.retire_after
            for sha in workflows.close_before(workflow, since, retire_after, index, events):
                self.changes.workflows[WorkflowPlace(workflow, sha)] = None
            evaluator.base.workflows[workflow] = history.base
            evaluator.base.busy = workflows.closed_busy
            changes.workflows[workflow] = history.base
            changes.has_moved = True
            yield
        watched = {evaluator.name_of(job.state.key) for job in jobs}
        for name in self._bases_of(workflow) - watched:
            evaluator.base.remove_job(name)
            changes.jobs[name] = None

    def _limit(self, workflow: str) -> int:
        """Return the commit before which no job needs every row of its workflow."""
        limit = self.evaluator.base.since
        for job in self.jobs.of_workflow(workflow):
            key = job.state.key
            if key.job_name == STARTUP_JOB or job.state.group.count is Count.RUNS:
                limit = min(limit, self.evaluator.base_of(key).since)
        return limit

    def _bases_of(self, workflow: str) -> set[JobName]:
        return {name for name in self.evaluator.base.jobs if name.workflow == workflow}
