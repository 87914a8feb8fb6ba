"""The evaluation of one watched job from its stored rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from trunkwatch.domain.columns import Count, build_columns
from trunkwatch.domain.evidence import evidence_of, is_startup_failure, why_ignored
from trunkwatch.domain.groups import Group, group_of
from trunkwatch.domain.job import JobState, earliest, evaluate_job
from trunkwatch.domain.model import STARTUP_JOB, Evidence, JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.names import matrix_parent
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.verdict import drop_superseded
from trunkwatch.engine.job_names import JobNameIndex
from trunkwatch.engine.job_registry import TrackedJob
from trunkwatch.engine.outage_history import JobHistory
from trunkwatch.engine.row_cache import RowReader
from trunkwatch.engine.workflow_commit import as_startup_failure, as_startup_pass
from trunkwatch.engine.workflow_history import WorkflowHistories


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

    def evaluate(self, key: JobKey, now: float) -> TrackedJob | None:
        """Evaluate a job from all of its rows; return None where none of them counts."""
        workflow = self.names.workflow_of(key)
        group = group_of(key, self.policy.groups)
        rows = self.rows_of(key, workflow, group)
        if not rows:
            return None
        seen = {self.order.index[row.sha] for row in rows}
        seen |= self._matrix_skips(key, workflow, now)
        state = evaluate_job(key, rows, group, self.order, self.policy.evidence, now)
        return TrackedJob(
            self._with_exemption(state, now), max(seen), workflow, self._only_skips(rows, now)
        )

    def history(self, state: JobState, now: float) -> JobHistory:
        """Return the facts that an evaluated job's past outages are computed from."""
        key, group = state.key, state.group
        workflow, rules = self.names.workflow_of(key), self.policy.evidence
        rows = self.rows_of(key, workflow, group)
        present = {*state.commit_indexes, *self._matrix_skips(key, workflow, now)}
        return JobHistory(
            state=state,
            columns=build_columns(rows, self.order, rules, group.count, now),
            present=sorted(present),
            completed=self.workflows.history(workflow).completed,
        )

    def rows_of(self, key: JobKey, workflow: str, group: Group) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        rows = self._rows_of(key, workflow)
        if group.count is Count.RUNS:
            return [self._with_run_number(row, workflow) for row in rows]
        return list(rows)

    # ------------------------------------------------------------------ its rows

    def _rows_of(self, key: JobKey, workflow: str) -> Iterator[Observation]:
        if key.job_name == STARTUP_JOB:
            yield from self._startup_rows(workflow)
        for row in self._counting(self.names.members(workflow, key)):
            if not is_startup_failure(row):
                yield row

    def _startup_rows(self, workflow: str) -> Iterator[Observation]:
        commits = self.workflows.commits_of(workflow)
        failures = {raw for commit in commits for raw in commit.startup_failures}
        for row in self._counting(failures):
            if is_startup_failure(row):
                yield as_startup_failure(row)
        for commit in commits:
            yield from (as_startup_pass(row) for row in commit.first_rows)

    def _with_run_number(self, row: Observation, workflow: str) -> Observation:
        """Return a row with the number of its run, which may come from another job's row."""
        commit = self.workflows.get(workflow, row.sha)
        number = commit.run_numbers.get(row.run_id) if commit is not None else None
        return row if number == row.run_number else replace(row, run_number=number)

    def _counting(self, jobs: Collection[RawJob]) -> Iterator[Observation]:
        for row in self.reader.of_jobs(jobs) if jobs else ():
            if why_ignored(row, self.order, self.policy.evidence) is None:
                yield row

    # ------------------------------------------------------------------ listing and exemptions

    def _matrix_skips(self, key: JobKey, workflow: str, now: float) -> set[int]:
        """Return the indexes of the commits at which the job's whole matrix was skipped."""
        parent = matrix_parent(key.job_name)
        if parent is None:
            return set()
        rules, order = self.policy.evidence, self.order
        return {
            order.index[row.sha]
            for row in self._counting(self.names.named(workflow, parent))
            if evidence_of(row, rules, None, now) is Evidence.SKIP
        }

    def _only_skips(self, rows: Iterable[Observation], now: float) -> bool:
        by_commit: dict[str, list[Observation]] = defaultdict(list)
        for row in rows:
            by_commit[row.sha].append(row)
        return all(
            evidence_of(row, self.policy.evidence, None, now) is Evidence.SKIP
            for reports in by_commit.values()
            for row in drop_superseded(reports)
        )

    def _with_exemption(self, state: JobState, now: float) -> JobState:
        for exemption in self.policy.known_broken:
            if exemption.holds(state.key, now):
                return replace(
                    state,
                    known_broken=(exemption.reason, exemption.until),
                    changes_at=earliest((state.changes_at, exemption.until)),
                )
        return state
