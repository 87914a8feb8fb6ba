"""The evaluation of one watched job from its stored rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from trunkwatch.domain.columns import Count, build_columns
from trunkwatch.domain.evidence import evidence_of, is_startup_failure, why_ignored
from trunkwatch.domain.groups import Events
from trunkwatch.domain.job import JobState, earliest, evaluate_job
from trunkwatch.domain.model import STARTUP_JOB, Evidence, JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.verdict import drop_superseded
from trunkwatch.engine.job_names import JobNameIndex, NamedJob
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
        job = self.names.named(key)
        rows = self.rows_of(key)
        if not rows:
            return None
        state = evaluate_job(key, rows, job.group, self.order, self.policy.evidence, now)
        return TrackedJob(
            state=self._with_exemption(state, now),
            last_row=max(self.order.index[row.sha] for row in rows),
            workflow=job.workflow,
            events=job.events,
            names=frozenset(row.job.job_name for row in rows),
            only_skips=self._only_skips(rows, now),
        )

    def history(self, tracked: TrackedJob, gone_at: int | None, now: float) -> JobHistory:
        """Return the facts that an evaluated job's past outages are computed from.

        Args:
            tracked: the job.
            gone_at: the index of the commit at which the runs of its workflow have ended, if so.
            now: seconds since the epoch.
        """
        workflow, events, state = tracked.workflow, tracked.events, tracked.state
        rules, count = self.policy.evidence, state.group.count
        skips = self.workflows.skipped(workflow, tracked.callers, events)
        return JobHistory(
            state=state,
            columns=build_columns(self.rows_of(state.key), self.order, rules, count, now),
            present=sorted({*state.commit_indexes, *skips}),
            completed=self.workflows.history(workflow).completed(events),
            gone_at=gone_at,
        )

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        job = self.names.named(key)
        rows = self._rows_of(key, job)
        if job.group.count is Count.RUNS:
            return [self._with_run_number(row, job.workflow) for row in rows]
        return list(rows)

    # ------------------------------------------------------------------ its rows

    def _rows_of(self, key: JobKey, job: NamedJob) -> Iterator[Observation]:
        if key.job_name == STARTUP_JOB:
            yield from self._startup_rows(job)
        for row in self._counting(self.names.members(job.workflow, key), job.events):
            if not is_startup_failure(row):
                yield row

    def _startup_rows(self, job: NamedJob) -> Iterator[Observation]:
        """Yield the failed starts and the proofs of starts; nothing if no run failed to start."""
        commits = self.workflows.commits_of(job.workflow)
        raw_jobs = {raw for commit in commits for raw in commit.startup_failures}
        failures = [
            as_startup_failure(row)
            for row in self._counting(raw_jobs, job.events)
            if is_startup_failure(row)
        ]
        yield from failures
        for commit in commits if failures else ():
            for row in commit.first_rows:
                if job.events.covers(row.event):
                    yield as_startup_pass(row)

    def _with_run_number(self, row: Observation, workflow: str) -> Observation:
        """Return a row with the number of its run, which may come from another job's row."""
        commit = self.workflows.get(workflow, row.sha)
        number = commit.run_numbers.get(row.run_id) if commit is not None else None
        return row if number == row.run_number else replace(row, run_number=number)

    def _counting(self, jobs: Collection[RawJob], events: Events) -> Iterator[Observation]:
        for row in self.reader.of_jobs(jobs) if jobs else ():
            counts = why_ignored(row, self.order, self.policy.evidence) is None
            if counts and events.covers(row.event):
                yield row

    # ------------------------------------------------------------------ listing and exemptions

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
