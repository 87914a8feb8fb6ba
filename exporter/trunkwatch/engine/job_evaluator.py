"""The evaluation of one watched job from its stored rows."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile

from trunkwatch.domain.columns import Column, Count
from trunkwatch.domain.evidence import is_startup_failure, why_ignored
from trunkwatch.domain.groups import Events, Group
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.job import (
    JobRules,
    JobState,
    by_commit,
    place_of,
    state_of,
    walk_commits,
)
from trunkwatch.domain.model import STARTUP_JOB, JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.retention import Settled, is_settled, settled_point
from trunkwatch.domain.verdict import CommitResult
from trunkwatch.domain.walk import JobWalk
from trunkwatch.engine.bases import NO_BASE, JobBase, JobName, TrunkBase
from trunkwatch.engine.checkpoints import kept_lengths, thinned, usable
from trunkwatch.engine.job_names import JobNameIndex, NamedJob
from trunkwatch.engine.job_registry import TrackedJob
from trunkwatch.engine.outage_history import JobHistory
from trunkwatch.engine.row_cache import RowReader
from trunkwatch.engine.saved_state import SavedJob
from trunkwatch.engine.workflow_commit import as_startup_failure, as_startup_pass
from trunkwatch.engine.workflow_histories import WorkflowHistories
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
        base: the facts of the results that were dropped.
    """

    order: TrunkOrder
    policy: Policy
    reader: RowReader
    names: JobNameIndex
    workflows: WorkflowHistories
    base: TrunkBase

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
        base = self.base_of(key)
        if before is None or changed is None:
            return self._from(base.walk, key, job, None, now)
        index = self.order.index
        fresh = {sha for sha in changed if index.get(sha, -1) >= base.since}
        since = min((index[sha] for sha in fresh), default=None)
        later = [each for each in before.checkpoints if each.newest > base.walk.newest]
        walk = usable((base.walk, *later, before.walk), since, now)
        if not walk.columns or self._starts_count(key, job, before, fresh):
            return self._from(base.walk, key, job, None, now)
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
        rules = self._rules(key, job.group, now)
        return TrackedJob(
            state=self._with_exemption(state_of(key, saved.walk, history, rules), now),
            walk=saved.walk,
            checkpoints=saved.checkpoints,
            workflow=job.workflow,
            events=job.events,
            counts_starts=saved.counts_starts,
        )

    def history(
        self, tracked: TrackedJob, gone_at: int | None, now: float, *, with_dropped: bool = False
    ) -> JobHistory:
        """Return the facts that an evaluated job's past outages are computed from.

        Args:
            tracked: the job.
            gone_at: the index of the commit at which the runs of its workflow have ended, if so.
            now: seconds since the epoch.
            with_dropped: whether an outage is among them that was open when results were dropped.
        """
        workflow, events, state = tracked.workflow, tracked.events, tracked.state
        skips = self.workflows.skipped(workflow, tracked.callers, events)
        rules, base = self._rules(state.key, state.group, now), self.base_of(state.key)
        kept = state.history.trimmed(base.since)
        before = base.walk.outline(self._thresholds(tracked)) if with_dropped else []
        dropped = [Column(at, None, CommitResult(verdict), (), None) for at, verdict, _ in before]
        last = [base.walk.newest] if dropped else []
        history = ColumnHistory([*before, *kept.since(0)]) if dropped else kept
        return JobHistory(
            state=replace(state, history=history),
            columns=cache(lambda: [*dropped, *rules.columns(self.rows_of(state.key))]),
            present=sorted({*last, *kept.commit_indexes, *skips}),
            completed=self.workflows.history(workflow).completed(events),
            gone_at=gone_at,
        )

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        job, base = self.names.named(key), self.base_of(key)
        return self._rows_of(key, job, None, counts_starts=base.counts_starts)

    # ------------------------------------------------------------------ dropped results

    def base_of(self, key: JobKey) -> JobBase:
        """Return the base of a job."""
        return self.base.jobs.get(self.name_of(key), NO_BASE)

    def name_of(self, key: JobKey) -> JobName:
        """Return the name under which the base of a job is kept."""
        job = self.names.named(key)
        return JobName(job.workflow, job.events.only or "", key.job_name)

    def moved_base(
        self, tracked: TrackedJob, since: int, most: int, now: float
    ) -> tuple[JobBase, int]:
        """Return the base of a job with some more of its columns.

        Args:
            tracked: the job.
            since: its rows before this commit are not needed any more.
            most: columns to add at once.
            now: seconds since the epoch.

        Returns:
            The base, and the number of columns that were added.
        """
        key, thresholds = tracked.state.key, self._thresholds(tracked)
        base, job = self.base_of(key), self.names.named(key)
        places = list(tracked.state.history.since(base.since))
        places = places[: bisect_left(places, since, key=lambda each: each.commit_index)]
        if len(places) > most:
            since = max(places[most].commit_index, base.since + 1)
            places = [place for place in places if place.commit_index < since]
        rows = self._rows_at(places, key, job, base.counts_starts or tracked.counts_starts)
        columns = self._rules(key, job.group, now).columns(rows)
        open_at = next((c.commit_index for c in columns if c.changes_at is not None), since)
        if open_at < since:  # Time alone will change this column.
            since = open_at
            columns = [each for each in columns if each.commit_index < since]
            places = [place for place in places if place.commit_index < since]
        walk, _ = _walk(base.walk, columns, key, self._rules(key, job.group, now))
        settled = is_settled(
            places, thresholds, settled=base.is_settled, passes=base.walk.outages.passes
        )
        counts_starts = base.counts_starts or any(
            is_startup_failure(row)
            for column in columns
            for shard in column.shards
            for row, _ in shard.rows
        )
        return JobBase(since, walk, counts_starts, settled), len(places)

    def settled_since(self, tracked: TrackedJob, horizon: int) -> int:
        """Return the index of the oldest commit whose columns a job needs.

        Args:
            tracked: the job.
            horizon: the columns from this commit on are kept in any case.
        """
        state = tracked.state
        if state.key.job_name == STARTUP_JOB or state.group.count is Count.RUNS:
            return horizon  # Their columns need every row of their workflow.
        base = self.base_of(state.key)
        places = (place for place in state.history.since(base.since))
        older = takewhile(lambda place: place.commit_index < horizon, places)
        start = Settled(base.since, base.is_settled)
        return settled_point(older, self._thresholds(tracked), start, horizon)

    def _thresholds(self, tracked: TrackedJob) -> Thresholds:
        return tracked.state.group.thresholds_of(tracked.state.key.job_name)

    def _rows_at(
        self, places: Sequence[Place], key: JobKey, job: NamedJob, counts_starts: bool
    ) -> list[Observation]:
        commits = self.order.commits
        shas = {commits[place.commit_index].sha for place in places}
        if not shas:
            return []
        return self._rows_of(key, job, shas, counts_starts=counts_starts)

    def _rules(self, key: JobKey, group: Group, now: float) -> JobRules:
        return JobRules(group, self.order, self.policy.evidence, now, is_cut=self._is_cut(key))

    def _is_cut(self, key: JobKey) -> bool:
        """Return whether older results of a job were dropped without a base."""
        if self.base.is_void:
            return True
        workflow = self.names.named(key).workflow
        members = {raw.job_name for raw in self.names.members(workflow, key)}
        return self.base.has_dropped(self.name_of(key), members)

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
        rows = self._rows_of(key, job, shas, counts_starts=key.job_name == STARTUP_JOB)
        return JobRules(job.group, self.order, self.policy.evidence, now).columns(rows)

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
        base = self.base_of(key)
        counts_starts = (before or base).counts_starts
        shas: Commits = None
        if before is not None:
            commits = self.order.commits
            later = {commits[place.commit_index].sha for place in past.since(start.newest + 1)}
            shas = later.union(fresh)
        rows = self._rows_of(key, job, shas, counts_starts=counts_starts)
        rules = self._rules(key, job.group, now)
        columns = rules.columns(rows)
        walk, passed = _walk(start, columns, key, rules)
        if not walk.columns:
            return None
        checkpoints = before.checkpoints if before else ()
        older = [w for w in checkpoints if base.walk.newest < w.newest < start.newest]
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

    def _rows_of(
        self, key: JobKey, job: NamedJob, shas: Commits, *, counts_starts: bool
    ) -> list[Observation]:
        """Return the rows of a job at some commits, with run numbers where its columns are runs.

        Args:
            key: the job.
            job: its definition.
            shas: the commits.
            counts_starts: whether a run failed to start at another commit.
        """
        since, index = self.base_of(key).since, self.order.index
        every = self._every_row_of(key, job, shas, counts_starts=counts_starts)
        rows = [row for row in every if index[row.sha] >= since]
        if job.group.count is Count.RUNS:
            return [self._with_run_number(row, job.workflow) for row in rows]
        return rows

    def _every_row_of(
        self, key: JobKey, job: NamedJob, shas: Commits, *, counts_starts: bool
    ) -> Iterator[Observation]:
        """Yield the rows of a job, also those of commits that its base stands for."""
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
        history = self.workflows.history(job.workflow)
        closed = (row for row in history.base.starts if shas is None or row.sha in shas)
        for rows in (closed, *(commit.first_rows for commit in history.at(shas))):
            for row in rows:
                if job.events.covers(row.event) and row.sha in self.order.index:
                    yield as_startup_pass(row)

    def _with_run_number(self, row: Observation, workflow: str) -> Observation:
        """Return a row with the number of its run, which may come from another job's row."""
        commit = self.workflows.get(workflow, row.sha)
        # The start of a closed commit has it.
        return row if commit is None else commit.numbered(row)

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
    commits = by_commit(columns)
    walk, passed, done = start.copy(), [start] if commits else [], 0
    for length in kept_lengths(len(commits)):
        walk_commits(walk, commits[done:length], key.job_name, rules)
        passed.append(walk.copy())
        done = length
    walk_commits(walk, commits[done:], key.job_name, rules)
    return walk, passed
