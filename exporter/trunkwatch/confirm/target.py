"""The run that answers a question, from the attempts that the exporter has."""

from collections import Counter
from collections.abc import Sequence

from trunkwatch.confirm.model import Kind, Question, Target
from trunkwatch.domain.model import Evidence
from trunkwatch.status.attempts import Attempt

UNKNOWN_MINUTES = 60.0
"""Estimate for a job without any duration."""

_WANTED = {
    Kind.REAL: (Evidence.FAIL,),
    Kind.WHICH: (Evidence.UNKNOWN, Evidence.SKIP),
    Kind.OUTSIDE: (Evidence.PASS,),
}
"""What an attempt gave that is worth repeating."""


def target_of(
    question: Question,
    there: Sequence[Attempt],
    at_first_bad: Sequence[Attempt],
    *,
    starts_runs: bool = False,
) -> Target | None:
    """Return the run to repeat; None if no run of the job can be repeated there.

    Args:
        question: the question.
        there: the attempts of the job at the commit of the question.
        at_first_bad: its attempts at first bad.
        starts_runs: whether a commit without a run can be tested.
    """
    wanted = [each for each in _newest(there) if each.evidence in _WANTED[question.kind]]
    if question.kind is Kind.OUTSIDE:
        failing = {each.job_name for each in at_first_bad if each.evidence is Evidence.FAIL}
        wanted = [each for each in wanted if each.job_name in failing and each.job_id is not None]
    if starts_runs and question.kind is Kind.WHICH and not there:
        return _without_run(question, at_first_bad)
    runs = Counter(each.run_id for each in wanted if each.run_id is not None)
    if not runs:
        return None
    run_id, _ = runs.most_common(1)[0]
    rows = [each for each in wanted if each.run_id == run_id]
    return Target(
        repo=question.job.repo,
        branch=question.job.branch,
        sha=question.sha,
        run_id=run_id,
        attempt=max(each.attempt for each in rows),
        job_id=_alone(question, rows),
        job_name=rows[0].job_name,
        workflow=question.job.workflow,
        workflow_path=rows[0].workflow_path,
        is_skipped=all(each.evidence is Evidence.SKIP for each in rows),
        minutes=_minutes(at_first_bad),
    )


def _without_run(question: Question, at_first_bad: Sequence[Attempt]) -> Target | None:
    """Return the target of a commit without a run, for a CI that can start one."""
    failing = (each for each in at_first_bad if each.evidence is Evidence.FAIL)
    row = next(failing, None)
    if row is None:
        return None
    return Target(
        repo=question.job.repo,
        branch=question.job.branch,
        sha=question.sha,
        run_id=0,
        attempt=0,
        job_id=None,
        job_name=row.job_name,
        workflow=question.job.workflow,
        workflow_path=row.workflow_path,
        is_skipped=False,
        minutes=_minutes(at_first_bad),
    )


def _newest(rows: Sequence[Attempt]) -> list[Attempt]:
    """Return the newest attempt of each shard of each run."""
    newest: dict[tuple[int | None, str], int] = {}
    for row in rows:
        shard = row.run_id, row.job_name
        newest[shard] = max(row.attempt, newest.get(shard, 0))
    return [row for row in rows if row.attempt == newest[row.run_id, row.job_name]]


def _alone(question: Question, rows: Sequence[Attempt]) -> int | None:
    """Return the id of the job that can be repeated alone, if one suffices.

    A job that never began may depend on another one that was cancelled, and would be skipped. At
    last good one of the shards that fail now suffices.
    """
    row = rows[0]
    if question.kind is Kind.OUTSIDE:
        return row.job_id
    has_run = row.started_at is not None and row.evidence is not Evidence.SKIP
    return row.job_id if len(rows) == 1 and has_run else None


def _minutes(rows: Sequence[Attempt]) -> float:
    known = [each.minutes for each in rows if each.minutes is not None]
    return max(known, default=UNKNOWN_MINUTES)
