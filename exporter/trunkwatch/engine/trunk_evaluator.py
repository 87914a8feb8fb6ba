"""Keeps one trunk's state up to date; judges again only the jobs that a change touches.

Everything here could be thrown away and computed anew from the stored rows with the same result
(a property test does so); what is kept between updates is only there to save that work.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from trunkwatch.domain.branch import newest_green
from trunkwatch.domain.columns import Count
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.names import display_names
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest, back_test
from trunkwatch.engine.job_evaluator import JobEvaluator
from trunkwatch.engine.job_names import JobNameIndex
from trunkwatch.engine.job_registry import JobRegistry
from trunkwatch.engine.row_cache import Records, RowCache, Touched
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.workflow_commit import WorkflowAt, workflow_at
from trunkwatch.engine.workflow_history import WorkflowHistories

__all__ = ["Records", "Touched", "TrunkEvaluator"]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept between updates.

    Attributes:
        commits: rows of the commits that were read last.
        workflows: what the workflows' runs say beyond their single jobs.
        index: which rows belong to which watched job.
        roster: the watched jobs.
    """

    commits: RowCache
    workflows: WorkflowHistories
    index: JobNameIndex
    roster: JobRegistry


class TrunkEvaluator:
    """One trunk's state, kept up to date."""

    def __init__(self, order: TrunkOrder, policy: Policy, records: Records) -> None:
        self._order = order
        self._policy = policy
        self._records = records
        self._kept = self._nothing()
        self._empty = True

    def update(self, order: TrunkOrder, touched: Touched, now: float) -> TrunkState:
        """Bring the state up to date and return it.

        Args:
            order: the trunk as it is now.
            touched: raw jobs with rows that are new or changed since the last update.
            now: seconds since the epoch.
        """
        known, self._order = self._order, order
        if self._empty or not order.extends(known):
            self._read_all(now)
        else:
            self._read_touched(self._with_new_commits(known, touched), now)
        return self._state()

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a watched job is judged by; none for a job that is not watched."""
        job = self._kept.roster.get(key)
        return self._judge().rows_of(key, job.workflow, job.state.group) if job is not None else []

    def back_test(self, now: float, failures_to_open: int | None = None) -> BackTest:
        """Replay the whole history, as of the last update.

        Args:
            now: seconds since the epoch.
            failures_to_open: N to try for every job in place of the configuration's.
        """
        history = partial(self._judge().history, now=now)
        jobs = self._kept.roster.watched()
        return back_test(self._order, jobs, history, self._policy, now, failures_to_open)

    # ------------------------------------------------------------------ reading

    def _nothing(self) -> _Kept:
        trunk, policy = self._order.trunk, self._policy
        return _Kept(
            RowCache(self._records),
            WorkflowHistories(),
            JobNameIndex(trunk, policy.naming),
            JobRegistry(policy.retire_after, policy.green.get(trunk, ())),
        )

    def _read_all(self, now: float) -> None:
        self._empty, self._kept = False, self._nothing()
        workflows: set[str] = set()
        for sha, rows in groupby(self._records.everything(), key=lambda row: row.sha):
            by_workflow: dict[str, list[Observation]] = defaultdict(list)
            for row in rows:
                by_workflow[row.job.workflow_key].append(row)
                self._kept.index.add(row.job)
            for workflow, members in by_workflow.items():
                self._put(workflow, sha, members, now)
            workflows |= by_workflow.keys()
        self._judge_what_changed({}, workflows, set(), now)

    def _with_new_commits(self, known: TrunkOrder, touched: Touched) -> dict[RawJob, set[str]]:
        """Add the rows that were stored before their commit was known to be on the trunk."""
        changed = {raw: set(shas) for raw, shas in touched.items()}
        new = [commit.sha for commit in self._order.commits[len(known.commits) :]]
        for row in self._records.of_commits(new) if new else ():
            changed.setdefault(row.job, set()).add(row.sha)
        return changed

    def _read_touched(self, touched: Mapping[RawJob, set[str]], now: float) -> None:
        kept = self._kept
        workflows: dict[str, set[str]] = defaultdict(set)
        for raw, shas in touched.items():
            kept.index.add(raw)
            for sha in shas:
                workflows[sha].add(raw.workflow_key)
        for sha, workflow in kept.workflows.due(now):
            workflows[sha].add(workflow)
        renumbered: set[str] = set()
        for sha, rows in kept.commits.read(touched, workflows.keys()).items():
            for workflow in workflows[sha]:
                before = kept.workflows.at(workflow, sha)
                members = [row for of_job in rows.get(workflow, {}).values() for row in of_job]
                after = self._put(workflow, sha, members, now)
                if before is not None and before.numbers != after.numbers:
                    renumbered.add(workflow)
        read = {workflow for group in workflows.values() for workflow in group}
        self._judge_what_changed(touched, read, renumbered, now)

    # ------------------------------------------------------------------ judging

    def _judge(self) -> JobEvaluator:
        kept = self._kept
        return JobEvaluator(self._order, self._policy, self._records, kept.index, kept.workflows)

    def _judge_what_changed(
        self, touched: Touched, read: Collection[str], renumbered: Collection[str], now: float
    ) -> None:
        """Judge the jobs that may be otherwise than before.

        Args:
            touched: raw jobs with rows that are new or changed.
            read: workflows that were read anew at some commit.
            renumbered: those of them of which a run got another number.
            now: seconds since the epoch.
        """
        kept = self._kept
        renamed = kept.index.show(display_names(kept.workflows.latest_names()))
        for workflow in renamed:
            kept.roster.forget(workflow)
        keys = set(kept.roster.due(now))
        keys.update(key for raw in touched for key in kept.index.concerned(raw))
        keys.update(key for workflow in renamed for key in kept.index.keys_of(workflow))
        keys.update(self._startup_keys({*read, *renamed}))
        keys.update(self._counted_by_runs(renumbered))
        judge = self._judge()
        for key in keys:
            kept.roster.put(key, judge.judge(key, now))
        kept.roster.settle({name: kept.workflows.course(name).completed for name in read})

    def _startup_keys(self, workflows: Iterable[str]) -> Iterator[JobKey]:
        """Name the pseudo-jobs of the workflows of which a run once failed to start."""
        for workflow in workflows:
            if self._kept.workflows.course(workflow).failed_to_start:
                key = self._kept.index.startup_key(workflow)
                if key is not None:
                    yield key

    def _counted_by_runs(self, workflows: Iterable[str]) -> Iterator[JobKey]:
        """Name the jobs whose columns are in another order when a run gets its number."""
        for workflow in workflows:
            for job in self._kept.roster.of_workflow(workflow):
                if job.state.group.count is Count.RUNS:
                    yield job.state.key

    def _put(self, workflow: str, sha: str, rows: Sequence[Observation], now: float) -> WorkflowAt:
        at = workflow_at(rows, self._order, self._policy.evidence, now)
        self._kept.workflows.put(workflow, sha, at)
        return at

    # ------------------------------------------------------------------ the whole

    def _state(self) -> TrunkState:
        order, roster, workflows = self._order, self._kept.roster, self._kept.workflows
        required = self._policy.green.get(order.trunk)
        return TrunkState(
            order=order,
            jobs=roster.listed,
            groups=roster.tally.groups(order.trunk),
            mass_breakage=roster.tally.mass_breakage(),
            green=newest_green(roster.for_green, order, required) if required else None,
            ignored_runs=workflows.ignored,
            unknown_words=workflows.unknown,
            retired=roster.retired,
            changes_at=earliest((roster.changes_at, workflows.changes_at)),
        )
