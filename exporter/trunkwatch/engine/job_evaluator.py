"""The evaluation of one watched job from its stored rows."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from trunkwatch.domain.columns import Column, Count
from trunkwatch.domain.evidence import is_startup_failure, why_ignored
from trunkwatch.domain.groups import Events
from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.job import JobRules, JobState, place_of, state_of, walk_commit
from trunkwatch.domain.model import STARTUP_JOB, JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.walk import JobWalk
from trunkwatch.engine.checkpoints import is_kept, thinned, usable
from trunkwatch.engine.job_names import JobNameIndex, NamedJob
from trunkwatch.engine.job_registry import TrackedJob
from trunkwatch.engine.outage_history import JobHistory
from trunkwatch.engine.row_cache import RowReader
from trunkwatch.engine.saved_state import SavedJob
from trunkwatch.engine.workflow_commit import as_startup_failure, as_startup_pass
from trunkwatch.engine.workflow_history import WorkflowHistories
from trunkwatch.times import earliest

Commits = Collection[str] | None
"""The hashes of some commits; None for all."""


@dataclass(frozen=True, slots=True)
class JobEvaluator:
    """Reads and evaluates one job at a time.

    Attributes:
        order: the trunk's current commits.
        policy: the configured policy.
        reader: reads the stored rows.
        names: which rows belong to which job.
        workflows: every workflow of the trunk at each commit.
    """

    order: TrunkOrder
    policy: Policy
    reader: RowReader
    names: JobNameIndex
    workflows: WorkflowHistories

    def evaluate(
        self, key: JobKey, before: TrackedJob | None, changed: Commits, now: float
    ) -> TrackedJob | None:
        """Evaluate a job; return None where no row of it counts.

        Args:
            key: the job.
            before: the job as it was evaluated last, under the same name and an older order.
            changed: the commits whose rows may have changed since then.
            now: seconds since the epoch.
        """
        job = self.names.named(key)
        if before is None or changed is None:
            return self._from(JobWalk(), key, job, None, now)
        index = self.order.index
        fresh = {sha for sha in changed if sha in index}
        since = min((index[sha] for sha in fresh), default=None)
        walk = usable((*before.checkpoints, before.walk), since, now)
        if not walk.columns or self._starts_count(key, job, before, fresh):
            return self._from(JobWalk(), key, job, None, now)
        return self._from(walk, key, job, before, now, fresh)

    def restored(
        self, key: JobKey, saved: SavedJob, history: ColumnHistory, now: float
    ) -> TrackedJob:
        """Return a job from its saved state.

        Args:
            key: the job.
            saved: its state.
            history: its columns.
            now: seconds since the epoch.

        Raises:
            KeyError: no raw job gives it.
        """
        job = self.names.named(key)
        rules = JobRules(job.group, self.order, self.policy.evidence, now)
        return TrackedJob(
            state=self._with_exemption(state_of(key, saved.walk, history, rules), now),
            walk=saved.walk,
            checkpoints=saved.checkpoints,
            workflow=job.workflow,
            events=job.events,
            counts_starts=saved.counts_starts,
        )

    def history(self, tracked: TrackedJob, gone_at: int | None, now: float) -> JobHistory:
        """Return the facts that an evaluated job's past outages are computed from.

        Args:
            tracked: the job.
            gone_at: the index of the commit at which the runs of its workflow have ended, if so.
            now: seconds since the epoch.
        """
        workflow, events, state = tracked.workflow, tracked.events, tracked.state
        skips = self.workflows.skipped(workflow, tracked.callers, events)
        rules = JobRules(state.group, self.order, self.policy.evidence, now)
        return JobHistory(
            state=state,
            columns=rules.columns(self.rows_of(state.key)),
            present=sorted({*state.commit_indexes, *skips}),
            completed=self.workflows.history(workflow).completed(events),
            gone_at=gone_at,
        )

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        job = self.names.named(key)
        return self._numbered(job, self._rows_of(key, job, None, counts_starts=False))

    def columns_at(self, key: JobKey, shas: Collection[str], now: float) -> list[Column]:
        """Return the columns of a job at some commits, oldest first.

        Any thread may call it while another one evaluates: each name is looked up in one step. It
        may then see the rows of an evaluation that has not ended.

        Args:
            key: the job.
            shas: the commits.
            now: seconds since the epoch.

        Raises:
            KeyError: there is no such job.
        """
        job = self.names.named(key)
        found = self._rows_of(key, job, shas, counts_starts=key.job_name == STARTUP_JOB)
        rules = JobRules(job.group, self.order, self.policy.evidence, now)
        return rules.columns(self._numbered(job, found))

    # ------------------------------------------------------------------ the walk

    def _from(
        self,
        start: JobWalk,
        key: JobKey,
        job: NamedJob,
        before: TrackedJob | None,
        now: float,
        fresh: Collection[str] = (),
    ) -> TrackedJob | None:
        """Evaluate a job from a walk on.

        Args:
            start: the walk.
            key: the job.
            job: its definition.
            before: the job as it was evaluated last; None to read all of its rows.
            now: seconds since the epoch.
            fresh: the commits of the trunk whose rows may have changed since then.
        """
        past = before.state.history if before is not None else ColumnHistory()
        counts_starts = before is not None and before.counts_starts
        shas: Commits = None
        if before is not None:
            commits = self.order.commits
            later = {commits[place.commit_index].sha for place in past.since(start.newest + 1)}
            shas = later.union(fresh)
        found = self._rows_of(key, job, shas, counts_starts=counts_starts)
        rows = self._numbered(job, found)
        rules = JobRules(job.group, self.order, self.policy.evidence, now)
        columns = rules.columns(rows)
        walk, passed = _walk(start, columns, key, rules)
        if not walk.columns:
            return None
        older = [w for w in before.checkpoints if w.newest < start.newest] if before else []
        history = past.replaced(start.newest + 1, map(place_of, columns))
        return TrackedJob(
            state=self._with_exemption(state_of(key, walk, history, rules), now),
            walk=walk,
            checkpoints=thinned((*older, *passed), walk.columns),
            workflow=job.workflow,
            events=job.events,
            counts_starts=counts_starts or any(map(is_startup_failure, rows)),
        )

    def _starts_count(
        self, key: JobKey, job: NamedJob, before: TrackedJob, fresh: Collection[str]
    ) -> bool:
        """Return whether the first failed start makes all starts before it count."""
        if key.job_name != STARTUP_JOB or before.counts_starts:
            return False
        return any(self._failed_starts(job, fresh))

    # ------------------------------------------------------------------ its rows

    def _numbered(self, job: NamedJob, rows: Iterable[Observation]) -> list[Observation]:
        if job.group.count is Count.RUNS:
            return [self._with_run_number(row, job.workflow) for row in rows]
        return list(rows)

    def _rows_of(
        self, key: JobKey, job: NamedJob, shas: Commits, *, counts_starts: bool
    ) -> Iterator[Observation]:
        """Yield the rows of a job at some commits.

        Args:
            key: the job.
            job: its definition.
            shas: the commits.
            counts_starts: whether a run failed to start at another commit.
        """
        if key.job_name == STARTUP_JOB:
            failures = list(self._failed_starts(job, shas))
            yield from failures
            if failures or counts_starts:
                yield from self._proofs_of_starts(job, shas)
        for row in self._counting(tuple(self.names.members(job.workflow, key)), job.events, shas):
            if not is_startup_failure(row):
                yield row

    def _failed_starts(self, job: NamedJob, shas: Commits) -> Iterator[Observation]:
        commits = self.workflows.history(job.workflow).at(shas)
        raw_jobs = {raw for commit in commits for raw in commit.startup_failures}
        for row in self._counting(raw_jobs, job.events, shas):
            if is_startup_failure(row):
                yield as_startup_failure(row)

    def _proofs_of_starts(self, job: NamedJob, shas: Commits) -> Iterator[Observation]:
        for commit in self.workflows.history(job.workflow).at(shas):
            for row in commit.first_rows:
                if job.events.covers(row.event):
                    yield as_startup_pass(row)

    def _with_run_number(self, row: Observation, workflow: str) -> Observation:
        """Return a row with the number of its run, which may come from another job's row."""
        commit = self.workflows.get(workflow, row.sha)
        number = commit.run_numbers.get(row.run_id) if commit is not None else None
        return row if number == row.run_number else replace(row, run_number=number)

    def _counting(
        self, jobs: Collection[RawJob], events: Events, shas: Commits
    ) -> Iterator[Observation]:
        for row in self.reader.of_jobs(jobs, shas) if jobs else ():
            counts = why_ignored(row, self.order, self.policy.evidence) is None
            if counts and events.covers(row.event):
                yield row

    # ------------------------------------------------------------------ exemptions

    def _with_exemption(self, state: JobState, now: float) -> JobState:
        for exemption in self.policy.known_broken:
            if exemption.holds(state.key, now):
                return replace(
                    state,
                    known_broken=(exemption.reason, exemption.until),
                    changes_at=earliest((state.changes_at, exemption.until)),
                )
        return state


def _walk(
    start: JobWalk, columns: Iterable[Column], key: JobKey, rules: JobRules
) -> tuple[JobWalk, list[JobWalk]]:
    """Walk over some columns; return the end, and the walks to keep on the way, oldest first."""
    commits = [list(group) for _, group in groupby(columns, key=lambda each: each.commit_index)]
    walk, passed = start.copy(), [start] if commits else []
    for place, members in enumerate(commits):
        walk_commit(walk, members, key.job_name, rules)
        if is_kept(len(commits) - 1 - place):
            passed.append(walk.copy())
    return walk, passed
