"""The JSON object of `/api/v1/trunk/<repo>/<branch>/job/<workflow>/<job>`: attempts of one job."""

from collections.abc import Iterable, Sequence
from typing import Any

from trunkwatch.domain.columns import Column
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Evidence, Observation, TrunkOrder, newest_first
from trunkwatch.domain.verdict import distinct_attempts
from trunkwatch.engine.cells import columns_by_sha, letter_at, letter_of_columns
from trunkwatch.times import format_time_or_none


def attempts_object(
    job: JobState, order: TrunkOrder, shas: Iterable[str], columns: Iterable[Column]
) -> dict[str, Any]:
    """Return the JSON object of a job's attempts at some commits.

    Args:
        job: its state.
        order: its trunk.
        shas: the commits, all of them on the trunk.
        columns: of the job at these commits, as they are stored now.
    """
    by_sha = columns_by_sha(columns)
    commits = [
        {
            "sha": sha,
            # The results of a commit without columns may have been dropped: the history remains.
            "state": letter_of_columns(by_sha[sha])
            if sha in by_sha
            else letter_at(job.history, order.index[sha]),
            "attempts": _attempts(by_sha.get(sha, ())),
        }
        for sha in shas
    ]
    return {**job.key._asdict(), "commits": commits}


def _attempts(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the attempts of one commit, newest first."""
    # By identity: a hash of all values of a row would cost more than the rest.
    evidence_of = {
        id(row): evidence
        for column in columns
        for shard in column.shards
        for row, evidence in shard.rows
    }
    rows = [row for column in columns for row in column.rows(*Evidence)]
    return [_attempt(row, evidence_of[id(row)]) for row in newest_first(distinct_attempts(rows))]


def _attempt(row: Observation, evidence: Evidence) -> dict[str, Any]:
    return {
        "workflow": row.job.workflow_name,
        "workflow_path": row.job.workflow_path,
        "job_name": row.job.job_name,
        "event": row.event,
        "run_id": row.run_id,
        "job_id": row.job_id,
        "attempt": row.attempt,
        "run_number": row.run_number,
        "status": row.status,
        "conclusion": row.conclusion,
        "evidence": str(evidence),
        "created_at": format_time_or_none(row.created_at),
        "started_at": format_time_or_none(row.started_at),
        "completed_at": format_time_or_none(row.completed_at),
        "url": row.url,
        "failed_step": row.failed_step,
        "infra": row.infra,
    }
