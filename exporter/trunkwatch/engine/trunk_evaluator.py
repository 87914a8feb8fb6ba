"""One trunk's state, kept up to date by evaluating only the jobs that a change affects.

All data kept between updates is a cache, except the labels of workflows, which are stored: with
them, evaluating the stored rows from scratch gives the same state, which a property test checks.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from trunkwatch.domain.columns import Column, Count
from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Observation, RawJob, TrunkOrder, WorkflowState
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest, alerting_jobs, back_test
from trunkwatch.engine.bases import BaseChanges, TrunkBase
from trunkwatch.engine.facts import ReportedState
from trunkwatch.engine.job_evaluator import Commits, JobEvaluator
from trunkwatch.engine.job_names import JobNameIndex
from trunkwatch.engine.job_registry import JobRegistry, TrackedJob
from trunkwatch.engine.outage_history import JobHistory, OutageHistory, PastOutage
from trunkwatch.engine.retention import Retention
from trunkwatch.engine.row_cache import RowCache, RowReader, Touched
from trunkwatch.engine.saved_state import (
    SavedJob,
    SavedTrunk,
    StateChanges,
    WorkflowPlace,
)
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.workflow_commit import WorkflowCommit, evaluate_workflow
from trunkwatch.engine.workflow_histories import WorkflowHistories
from trunkwatch.engine.workflow_labels import WorkflowLabels, first_name, is_quiet
from trunkwatch.times import earliest

__all__ = ["RowReader", "Touched", "TrunkEvaluator"]


@dataclass(frozen=True, slots=True)
class _Caches:
    """The data that is kept between updates.

    Attributes:
        rows: the rows of the most recently read commits.
        workflows: every workflow at each commit.
        names: which rows belong to which watched job.
        jobs: the watched jobs.
    """

    rows: RowCache
    workflows: WorkflowHistories
    names: JobNameIndex
    jobs: JobRegistry


class TrunkEvaluator:
    """Keeps one trunk's state up to date."""

    def __init__(
        self,
        order: TrunkOrder,
        policy: Policy,
        reader: RowReader,
        labels: Mapping[str, str] | None = None,
        base: TrunkBase | None = None,
    ) -> None:
        """Args:
        order: the trunk's commits.
        policy: the configured policy.
        reader: reads the trunk's stored rows; the first update reads all of them.
        labels: those of its workflows at the last evaluation, by identity.
        base: the facts of the results that were dropped; changed in place.
        """
        self._order = order
        self._policy = policy
        self._reader = reader
        self._labels = WorkflowLabels(labels or {}, policy)
        self._renamed: set[str] = set()
        self._reported: Mapping[str, ReportedState] = {}
        self._base = base or TrunkBase()
        is_lost = self._base.is_void and self._base.horizon is None
        self._base_changes = BaseChanges(is_whole=is_lost)
        self._fit_base()
        self._caches = self._empty_caches()
        self._is_empty = True
        self._changes = StateChanges(is_whole=True)

    @property
    def order(self) -> TrunkOrder:
        """The trunk's commits at the last update."""
        return self._order

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the workflows after the last update, by identity."""
        return self._labels.all

    def update(
        self,
        order: TrunkOrder,
        touched: Touched,
        now: float,
        reported: Mapping[str, ReportedState] | None = None,
        alerting: Collection[JobKey] = (),
        share_done: Callable[[float], None] = lambda _: None,
    ) -> TrunkState:
        """Bring the state up to date and return it.

        Args:
            order: the trunk's current commits.
            touched: raw jobs with rows that are new or changed since the last update.
            now: seconds since the epoch.
            reported: the states of workflows that their CI reports, by identity.
            alerting: jobs whose outage alerts already, whatever the configuration is now.
            share_done: called with the share of the rows that are read, from 0 to 1.
        """
        before, self._order, self._reported = self._order, order, reported or {}
        if self._is_empty or not order.extends(before):
            self._fit_base()
            self._read_all(now, share_done)
        else:
            self._read_touched(self._with_new_commits(before, touched), now)
        return replace(self._state(self._gated(alerting, now)), evaluated_at=now)

    def restore(self, saved: SavedTrunk, now: float) -> None:
        """Take over a saved state instead of reading all rows at the first update.

        Rows that have changed since it was saved are changes of the first update.

        Args:
            saved: of the same policy, labels and commits.
            now: seconds since the epoch.

        Raises:
            KeyError: a job is saved that no raw job gives.
        """
        order = replace(self._order, commits=self._order.commits[: saved.commits])
        caches = self._caches = self._empty_caches()
        for raw in saved.raw_jobs:
            caches.names.add(raw)
        for (workflow, sha), commit in saved.workflows.items():
            if not caches.workflows.is_closed(workflow, commit.commit_index):
                caches.workflows.put(workflow, sha, commit)
        workflows = {workflow for workflow, _ in saved.workflows} | self._base.workflows.keys()
        for workflow in workflows:
            self._show(workflow)
            self._startup_keys(workflow)  # Names them.
        evaluator = replace(self._evaluator(), order=order)
        for key, (job, history) in saved.jobs.items():
            caches.jobs.put(key, evaluator.restored(key, job, history, now))
        caches.jobs.update_listing(workflows, self._is_gone)
        named = (workflow for workflow in workflows if caches.workflows.history(workflow).names)
        self._renamed = {workflow for workflow in named if not self._shows_newest(workflow)}
        self._order, self._is_empty, self._changes = order, False, StateChanges()

    @property
    def base_changes(self) -> BaseChanges:
        """The differences from the base that is stored."""
        return self._base_changes

    def is_current(self, retention: Retention) -> bool:
        """Return whether no update has read all rows again since a `retention()`."""
        return retention.jobs is self._caches.jobs

    def base_saved(self) -> None:
        """Note that `base_changes` are saved."""
        self._base_changes.clear()

    @property
    def base(self) -> TrunkBase:
        """The facts of the results that were dropped."""
        return self._base

    def accepts(self, row: Observation) -> bool:
        """Return whether the results of a row's commit are kept."""
        since = self._base.since
        return not since or self._order.index.get(row.sha, since) >= since

    def retention(self) -> Retention | None:
        """Return what drops results, until all rows are read again; None before that."""
        if self._is_empty:
            return None
        caches = self._caches
        return Retention(
            self._evaluator(),
            caches.jobs,
            self._base_changes,
            self._changes,
            self._gone_at,
            caches.rows,
        )

    @property
    def changes(self) -> StateChanges:
        """The differences from the state that is saved."""
        return self._changes

    def changes_saved(self) -> None:
        """Note that `changes` are saved."""
        self._changes.clear()

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a watched job is evaluated from; none for a job not watched."""
        job = self._caches.jobs.get(key)
        if job is None:
            return []
        return self._evaluator().rows_of(key)

    def columns_at(self, key: JobKey, shas: Collection[str], now: float) -> list[Column]:
        """Return the columns of a job at some commits; see `JobEvaluator.columns_at`."""
        return self._evaluator().columns_at(key, shas, now)

    def back_test(self, now: float, failures_to_open: int | None = None) -> BackTest:
        """Replay the whole history, as of the last update.

        Args:
            now: seconds since the epoch.
            failures_to_open: N to use for every job instead of the configured one.
        """
        jobs, evaluator = self._caches.jobs, self._evaluator()

        def history(state: JobState) -> JobHistory:
            job = jobs.tracked(state.key)
            return evaluator.history(job, self._gone_at(job.workflow), now)

        return back_test(self._order, jobs.watched(), history, self._policy, now, failures_to_open)

    # ------------------------------------------------------------------ reading

    def _empty_caches(self) -> _Caches:
        trunk, policy = self._order.trunk, self._policy
        workflows, names = WorkflowHistories(self._base), JobNameIndex(trunk, policy)
        for name, base in self._base.jobs.items():
            for raw_name in base.walk.names:  # A job may have no row left.
                names.add(RawJob(name.workflow, name.workflow, raw_name))
        return _Caches(
            RowCache(self._reader),
            workflows,
            names,
            JobRegistry(
                policy.retire_after, policy.green.get(trunk, ()), workflows, self._base.horizon
            ),
        )

    def _fit_base(self) -> None:
        """Fit the base to the trunk, which may have been rewritten."""
        fitted = self._base.fitted(self._order)
        if fitted is not self._base:
            self._base, self._base_changes = fitted, BaseChanges(is_whole=True)

    def _read_all(self, now: float, share_done: Callable[[float], None]) -> None:
        self._is_empty, self._caches, self._renamed = False, self._empty_caches(), set()
        self._changes = StateChanges(is_whole=True)
        workflows = set(self._base.workflows)
        by_commit = groupby(self._reader.all_rows(), key=lambda row: row.sha)
        for number, (sha, rows) in enumerate(by_commit):
            # Each row is read twice: for its workflow here, and for its job below.
            share_done(min(1.0, number / max(1, len(self._order.commits))) / 2)
            by_workflow: dict[str, list[Observation]] = defaultdict(list)
            for row in rows:
                by_workflow[row.job.workflow_key].append(row)
                self._caches.names.add(row.job)
            for workflow, members in by_workflow.items():
                if not self._is_closed(workflow, sha):
                    self._evaluate_workflow(workflow, sha, members, now)
            workflows |= by_workflow.keys()
        self._evaluate_jobs({}, dict.fromkeys(workflows), {}, now, share_done)

    def _is_closed(self, workflow: str, sha: str) -> bool:
        return self._caches.workflows.is_closed(workflow, self._order.index.get(sha))

    def _with_new_commits(self, before: TrunkOrder, touched: Touched) -> dict[RawJob, set[str]]:
        """Return `touched` with the rows that were stored before their commit was on the trunk."""
        changed = {raw: set(shas) for raw, shas in touched.items()}
        new = [commit.sha for commit in self._order.commits[len(before.commits) :]]
        for row in self._reader.of_commits(new) if new else ():
            changed.setdefault(row.job, set()).add(row.sha)
        return changed

    def _read_touched(self, touched: Mapping[RawJob, set[str]], now: float) -> None:
        caches = self._caches
        for raw in touched:
            caches.names.add(raw)
        touched_at: dict[tuple[str, str], set[RawJob]] = defaultdict(set)
        for raw, shas in touched.items():
            for sha in shas:
                if not self._is_closed(raw.workflow_key, sha):
                    touched_at[sha, raw.workflow_key].add(raw)
        for place in caches.workflows.pop_expired(now):
            touched_at.setdefault(place, set())
        renumbered: dict[str, set[str]] = defaultdict(set)
        read: dict[str, set[str]] = defaultdict(set)
        for (sha, workflow), jobs in touched_at.items():
            read[workflow].add(sha)
            before = caches.workflows.get(workflow, sha)
            # Without an earlier state of the workflow there, it has no other rows there.
            every = caches.names.raw_jobs(workflow) if before is not None else jobs
            rows = caches.rows.read(sha, workflow, jobs, every)
            members = [row for of_job in rows.values() for row in of_job]
            after = self._evaluate_workflow(workflow, sha, members, now)
            if before is not None and before.run_numbers != after.run_numbers:
                renumbered[workflow].add(sha)
        caches.rows.evict(touched_at.keys())
        self._evaluate_jobs(touched, read, renumbered, now)

    # ------------------------------------------------------------------ evaluation

    def _evaluator(self) -> JobEvaluator:
        caches = self._caches
        return JobEvaluator(
            self._order, self._policy, self._reader, caches.names, caches.workflows, self._base
        )

    def _evaluate_workflow(
        self, workflow: str, sha: str, rows: Sequence[Observation], now: float
    ) -> WorkflowCommit:
        commit = evaluate_workflow(rows, self._order, self._policy.evidence, now)
        self._changes.workflows[WorkflowPlace(workflow, sha)] = commit
        skipped = self._caches.workflows.put(workflow, sha, commit)
        self._caches.jobs.skips_changed(workflow, skipped)
        return commit

    def _evaluate_jobs(
        self,
        touched: Touched,
        read: Mapping[str, Commits],
        renumbered: Mapping[str, Collection[str]],
        now: float,
        share_done: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Evaluate the jobs that may have changed.

        Args:
            touched: raw jobs with rows that are new or changed.
            read: workflows that were evaluated again, with the commits; None for all.
            renumbered: workflows in which a run number changed, with the commits.
            now: seconds since the epoch.
            share_done: called with the share of the work that is done, from 0.5 to 1.
        """
        names, jobs = self._caches.names, self._caches.jobs
        fresh = self._label_new(read)
        relabelled = [workflow for workflow in read if self._show(workflow)]
        changed: dict[JobKey, set[str]] = {key: set() for key in jobs.pop_expired(now)}
        for raw, shas in touched.items():
            for key in names.keys(raw):
                changed.setdefault(key, set()).update(shas)
        for workflow, commits in read.items():
            for key in self._startup_keys(workflow):
                changed.setdefault(key, set()).update(commits or ())
        for workflow, shas in renumbered.items():
            for key in self._keys_counted_by_runs(workflow):
                changed.setdefault(key, set()).update(shas)
        self._evaluate(changed, now)
        for number, workflow in enumerate(relabelled):
            share_done(0.5 + number / len(relabelled) / 2)
            self._evaluate_all_of(workflow, now)
        jobs.update_listing(read, self._is_gone)
        self._rename(fresh, read, now)

    def _evaluate(self, changed: Mapping[JobKey, Commits], now: float) -> None:
        evaluator, jobs = self._evaluator(), self._caches.jobs
        for key, shas in changed.items():
            before = jobs.find(key)
            after = evaluator.evaluate(key, before, shas, now)
            jobs.put(key, after)
            self._note_changed(key, before, after)

    def _note_changed(
        self, key: JobKey, before: TrackedJob | None, after: TrackedJob | None
    ) -> None:
        known = before.state.history if before is not None else None
        saved = SavedJob(after.walk, after.checkpoints, after.counts_starts) if after else None
        history = after.state.history if after is not None else ColumnHistory()
        self._changes.note_job(key, known, saved, history)

    def _evaluate_all_of(self, workflow: str, now: float) -> None:
        """Evaluate all jobs of a workflow from all of their rows."""
        keys = {*self._caches.names.keys_of(workflow), *self._startup_keys(workflow)}
        self._evaluate(dict.fromkeys(keys), now)

    def _startup_keys(self, workflow: str) -> Collection[JobKey]:
        """Return the startup jobs of a workflow; none if no run of it failed to start."""
        if not self._caches.workflows.history(workflow).failed_to_start:
            return ()
        return self._caches.names.startup_keys(workflow)

    def _keys_counted_by_runs(self, workflow: str) -> Iterator[JobKey]:
        """Yield the jobs whose columns are runs: a new run number may change their order."""
        for job in self._caches.jobs.of_workflow(workflow):
            if job.state.group.count is Count.RUNS:
                yield job.state.key

    # ------------------------------------------------------------------ labels of workflows

    def _label_new(self, read: Collection[str]) -> list[str]:
        """Label the workflows that have a name for the first time, and return them.

        Of several with one name the first on the trunk keeps it alone. A label may still change in
        `_rename`, because the jobs decide which name counts.
        """
        history = self._caches.workflows.history
        fresh = [flow for flow in read if self._labels.get(flow) is None and history(flow).name]
        fresh.sort(key=self._precedence)
        for workflow in fresh:
            self._labels.put(workflow, history(workflow).names[-1][1])
        return fresh

    def _precedence(self, workflow: str) -> tuple[int, bool, str]:
        """Return a sort key: the first on the trunk first, then those without a file, by name."""
        commit_index, name = self._caches.workflows.history(workflow).names[0]
        return commit_index, name != workflow, workflow

    def _show(self, workflow: str) -> bool:
        """Show a workflow under its label, else its file; return whether its keys changed."""
        history = self._caches.workflows.history(workflow)
        label = self._labels.get(workflow) if history.name else history.run_name
        if not self._caches.names.set_label(workflow, label):
            return False
        for job in self._caches.jobs.of_workflow(workflow):
            self._note_changed(job.state.key, job, None)
        self._caches.jobs.drop_workflow(workflow)
        return True

    def _rename(self, fresh: Collection[str], read: Iterable[str], now: float) -> None:
        """Let the labels follow the workflows' names where that moves no alert."""
        workflows, jobs = self._caches.workflows, self._caches.jobs
        self._renamed.update(fresh)
        for workflow in read:
            name = workflows.history(workflow).name
            if name is not None and not self._labels.shows(workflow, name):
                self._renamed.add(workflow)
        for workflow in sorted(self._renamed, key=self._precedence):
            history, listed = workflows.history(workflow), jobs.listed_of(workflow)
            if workflow in fresh:
                name = first_name(history, listed, len(self._order.commits) - 1)
            elif is_quiet(listed):
                name = history.names[-1][1]
            else:
                continue
            self._put_label(workflow, name, now)
        self._renamed = {flow for flow in self._renamed if not self._shows_newest(flow)}

    def _put_label(self, workflow: str, name: str, now: float) -> None:
        if self._labels.shows(workflow, name):
            return
        self._labels.put(workflow, name)
        self._show(workflow)
        self._evaluate_all_of(workflow, now)
        self._caches.jobs.update_listing([workflow], self._is_gone)

    def _shows_newest(self, workflow: str) -> bool:
        return self._labels.shows(workflow, self._caches.workflows.history(workflow).names[-1][1])

    # ------------------------------------------------------------------ the trunk

    def _is_gone(self, workflow: str) -> bool:
        return self._gone_at(workflow) is not None

    def _gone_at(self, workflow: str) -> int | None:
        """Return the commit index at which a workflow was gone, None if it is not.

        The word of the CI counts; commits are counted only for a workflow without it.
        """
        report = self._reported.get(workflow)
        if report is None:
            return self._caches.workflows.left_at(workflow, self._policy.retire_after)
        ended = report.state in (WorkflowState.DELETED, WorkflowState.DISABLED)
        return self._reported_at(workflow, report) if ended else None

    def _reported_at(self, workflow: str, report: ReportedState) -> int | None:
        """Return the newest commit when a state was reported, None if the state is over.

        A run on a newer commit shows that a workflow came back, whatever was reported. If that
        commit is not on the trunk (any more), no run can show it.
        """
        tip = self._order.index.get(report.tip or "", len(self._order.commits) - 1)
        return tip if self._caches.workflows.history(workflow).newest <= tip else None

    def _workflow_states(self) -> Mapping[str, WorkflowState]:
        labels = self._caches.names.label
        return {
            label: report.state
            for workflow, report in self._reported.items()
            if report.state is not WorkflowState.ACTIVE
            and (label := labels(workflow)) is not None
            and self._reported_at(workflow, report) is not None
        }

    def _gated(self, alerting: Collection[JobKey], now: float) -> frozenset[JobKey]:
        """Return the failing jobs whose group has had too few at once since they broke.

        Only the outages of groups that have too few now are looked at.
        """
        short = self._caches.jobs.tally.short_of_threshold()
        gated = frozenset(chain.from_iterable(short.values())).difference(alerting)
        if not gated:
            return gated
        groups = {name for name, keys in short.items() if not gated.isdisjoint(keys)}
        evaluator, outages = self._evaluator(), list[PastOutage]()
        for state in self._caches.jobs.watched():
            if state.group.name in groups and (state.broken or state.ended is not None):
                job = self._caches.jobs.tracked(state.key)
                gone_at = self._gone_at(job.workflow)
                history = evaluator.history(job, gone_at, now, with_dropped=True)
                thresholds = state.group.thresholds_of(state.key.job_name)
                outages += OutageHistory(
                    history, thresholds, self._order, self._policy, now, is_timed=False
                ).outages()
        return gated - alerting_jobs(outages)

    def _state(self, gated: frozenset[JobKey]) -> TrunkState:
        order, jobs, workflows = self._order, self._caches.jobs, self._caches.workflows
        listed = jobs.listed
        if gated:
            listed = tuple(replace(j, is_gated=True) if j.key in gated else j for j in listed)
        return TrunkState(
            order=order,
            jobs=listed,
            groups=jobs.tally.groups(order.trunk, gated),
            mass_breakage=jobs.tally.mass_breakage(),
            green=jobs.green.newest(order),
            ignored_runs=workflows.ignored_runs,
            unknown_words=workflows.unknown_words,
            retired=jobs.retired,
            alerting=tuple(
                job for key, job in sorted(jobs.tally.failing().items()) if key not in gated
            ),
            removed_broken=jobs.removed_broken,
            changes_at=earliest((jobs.changes_at, workflows.changes_at)),
            workflow_states=self._workflow_states(),
            reported=workflows.reported(order.commits, self._is_gone),
            ignored_from={} if listed else workflows.ignored_from(),
        )
