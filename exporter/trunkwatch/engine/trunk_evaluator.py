"""One trunk's state, kept up to date by evaluating only the jobs that a change affects.

All data kept between updates is a cache: evaluating the stored rows from scratch gives the same
state, which a property test checks.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from trunkwatch.domain.branch import newest_green
from trunkwatch.domain.columns import Count
from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.names import display_names
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest, back_test
from trunkwatch.engine.job_evaluator import JobEvaluator
from trunkwatch.engine.job_names import JobNameIndex
from trunkwatch.engine.job_registry import JobRegistry
from trunkwatch.engine.row_cache import RowCache, RowReader, Touched
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.workflow_commit import WorkflowCommit, evaluate_workflow
from trunkwatch.engine.workflow_history import WorkflowHistories

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

    def __init__(self, order: TrunkOrder, policy: Policy, reader: RowReader) -> None:
        """Args:
        order: the trunk's commits.
        policy: the configured policy.
        reader: reads the trunk's stored rows; the first update reads all of them.
        """
        self._order = order
        self._policy = policy
        self._reader = reader
        self._caches = self._empty_caches()
        self._is_empty = True

    def update(self, order: TrunkOrder, touched: Touched, now: float) -> TrunkState:
        """Bring the state up to date and return it.

        Args:
            order: the trunk's current commits.
            touched: raw jobs with rows that are new or changed since the last update.
            now: seconds since the epoch.
        """
        before, self._order = self._order, order
        if self._is_empty or not order.extends(before):
            self._read_all(now)
        else:
            self._read_touched(self._with_new_commits(before, touched), now)
        return self._state()

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a watched job is evaluated from; none for a job not watched."""
        job = self._caches.jobs.get(key)
        if job is None:
            return []
        return self._evaluator().rows_of(key, job.workflow, job.state.group)

    def back_test(self, now: float, failures_to_open: int | None = None) -> BackTest:
        """Replay the whole history, as of the last update.

        Args:
            now: seconds since the epoch.
            failures_to_open: N to use for every job instead of the configured one.
        """
        history = partial(self._evaluator().history, now=now)
        jobs = self._caches.jobs.watched()
        return back_test(self._order, jobs, history, self._policy, now, failures_to_open)

    # ------------------------------------------------------------------ reading

    def _empty_caches(self) -> _Caches:
        trunk, policy = self._order.trunk, self._policy
        return _Caches(
            RowCache(self._reader),
            WorkflowHistories(),
            JobNameIndex(trunk, policy.naming),
            JobRegistry(policy.retire_after, policy.green.get(trunk, ())),
        )

    def _read_all(self, now: float) -> None:
        self._is_empty, self._caches = False, self._empty_caches()
        workflows: set[str] = set()
        for sha, rows in groupby(self._reader.all_rows(), key=lambda row: row.sha):
            by_workflow: dict[str, list[Observation]] = defaultdict(list)
            for row in rows:
                by_workflow[row.job.workflow_key].append(row)
                self._caches.names.add(row.job)
            for workflow, members in by_workflow.items():
                self._evaluate_workflow(workflow, sha, members, now)
            workflows |= by_workflow.keys()
        self._evaluate_jobs({}, workflows, set(), now)

    def _with_new_commits(self, before: TrunkOrder, touched: Touched) -> dict[RawJob, set[str]]:
        """Return `touched` with the rows that were stored before their commit was on the trunk."""
        changed = {raw: set(shas) for raw, shas in touched.items()}
        new = [commit.sha for commit in self._order.commits[len(before.commits) :]]
        for row in self._reader.of_commits(new) if new else ():
            changed.setdefault(row.job, set()).add(row.sha)
        return changed

    def _read_touched(self, touched: Mapping[RawJob, set[str]], now: float) -> None:
        caches = self._caches
        workflows: dict[str, set[str]] = defaultdict(set)
        for raw, shas in touched.items():
            caches.names.add(raw)
            for sha in shas:
                workflows[sha].add(raw.workflow_key)
        for sha, workflow in caches.workflows.pop_expired(now):
            workflows[sha].add(workflow)
        renumbered: set[str] = set()
        for sha, rows in caches.rows.read(touched, workflows.keys()).items():
            for workflow in workflows[sha]:
                before = caches.workflows.get(workflow, sha)
                members = [row for of_job in rows.get(workflow, {}).values() for row in of_job]
                after = self._evaluate_workflow(workflow, sha, members, now)
                if before is not None and before.run_numbers != after.run_numbers:
                    renumbered.add(workflow)
        read = {workflow for group in workflows.values() for workflow in group}
        self._evaluate_jobs(touched, read, renumbered, now)

    # ------------------------------------------------------------------ evaluation

    def _evaluator(self) -> JobEvaluator:
        caches = self._caches
        return JobEvaluator(self._order, self._policy, self._reader, caches.names, caches.workflows)

    def _evaluate_workflow(
        self, workflow: str, sha: str, rows: Sequence[Observation], now: float
    ) -> WorkflowCommit:
        commit = evaluate_workflow(rows, self._order, self._policy.evidence, now)
        self._caches.workflows.put(workflow, sha, commit)
        return commit

    def _evaluate_jobs(
        self, touched: Touched, read: Collection[str], renumbered: Collection[str], now: float
    ) -> None:
        """Evaluate the jobs that may have changed.

        Args:
            touched: raw jobs with rows that are new or changed.
            read: workflows that were evaluated again at some commit.
            renumbered: the workflows of `read` in which a run number changed.
            now: seconds since the epoch.
        """
        names, jobs, workflows = self._caches.names, self._caches.jobs, self._caches.workflows
        renamed = names.set_display_names(display_names(workflows.latest_names()))
        for workflow in renamed:
            jobs.drop_workflow(workflow)
        keys = set(jobs.pop_expired(now))
        keys.update(key for raw in touched for key in names.affected_by(raw))
        keys.update(key for workflow in renamed for key in names.keys_of(workflow))
        keys.update(self._startup_keys({*read, *renamed}))
        keys.update(self._keys_counted_by_runs(renumbered))
        evaluator = self._evaluator()
        for key in keys:
            jobs.put(key, evaluator.evaluate(key, now))
        jobs.update_listing({name: workflows.history(name).completed for name in read})

    def _startup_keys(self, workflows: Iterable[str]) -> Iterator[JobKey]:
        """Yield the startup jobs of the workflows of which any run failed to start."""
        for workflow in workflows:
            if self._caches.workflows.history(workflow).failed_to_start:
                key = self._caches.names.startup_key(workflow)
                if key is not None:
                    yield key

    def _keys_counted_by_runs(self, workflows: Iterable[str]) -> Iterator[JobKey]:
        """Yield the jobs whose columns are runs: a new run number may change their order."""
        for workflow in workflows:
            for job in self._caches.jobs.of_workflow(workflow):
                if job.state.group.count is Count.RUNS:
                    yield job.state.key

    # ------------------------------------------------------------------ the trunk

    def _state(self) -> TrunkState:
        order, jobs, workflows = self._order, self._caches.jobs, self._caches.workflows
        required = self._policy.green.get(order.trunk)
        return TrunkState(
            order=order,
            jobs=jobs.listed,
            groups=jobs.tally.groups(order.trunk),
            mass_breakage=jobs.tally.mass_breakage(),
            green=newest_green(jobs.required_for_green, order, required) if required else None,
            ignored_runs=workflows.ignored_runs,
            unknown_words=workflows.unknown_words,
            retired=jobs.retired,
            changes_at=earliest((jobs.changes_at, workflows.changes_at)),
            reported=workflows.reported(order.commits[-RECENT_COMMITS:]),
            ignored_from={} if jobs.listed else workflows.ignored_from(),
        )
