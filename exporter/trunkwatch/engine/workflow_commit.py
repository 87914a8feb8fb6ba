"""What the runs of one workflow at one commit say beyond their single jobs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trunkwatch.domain.evidence import (
    EvidenceRules,
    evidence_of,
    expires_at,
    is_startup_failure,
    unknown_word,
    why_ignored,
)
from trunkwatch.domain.model import (
    STARTUP_JOB,
    Evidence,
    Observation,
    RawJob,
    RunId,
    TrunkOrder,
    run_order,
)
from trunkwatch.domain.verdict import drop_superseded


@dataclass(frozen=True, slots=True)
class WorkflowAt:
    """One workflow at one commit.

    Attributes:
        place: of the commit in the trunk's order; None when it is not on the chain.
        completed: every job row is finished and at least one of them has an answer.
        started: the earliest job row of each run: the evidence that the run did start.
        numbers: the run number of each run, as far as any row of the run gives it.
        startup_jobs: raw names under which a run failed to start.
        name: the newest name that the workflow was seen with here.
        ignored: runs that do not count, by reason.
        unknown: rows whose status or conclusion the evidence table does not know, by that word.
        changes_at: when `now` alone will change it (seconds since the epoch), or None.
    """

    commit_index: int | None
    completed: bool
    started: tuple[Observation, ...]
    numbers: Mapping[RunId | None, int]
    startup_jobs: frozenset[RawJob]
    name: str
    ignored: Mapping[str, int]
    unknown: Mapping[str, int]
    changes_at: float | None


def workflow_at(
    rows: Iterable[Observation], order: TrunkOrder, rules: EvidenceRules, now: float
) -> WorkflowAt:
    """Read all rows of one workflow at one commit; there is at least one."""
    reported = list(rows)
    reasons = [(row, why_ignored(row, order, rules)) for row in reported]
    counting = [row for row, reason in reasons if reason is None]
    job_rows = [row for row in counting if not is_startup_failure(row)]
    newest = max(counting or reported, key=run_order)
    commit_index = order.index.get(newest.sha)
    committed_at = order.commits[commit_index].committed_at if commit_index is not None else None
    says, changes_at = _says(job_rows, rules, committed_at, now)
    return WorkflowAt(
        commit_index=commit_index if counting else None,
        completed=_completed(says),
        started=_earliest_per_run(job_rows),
        numbers=_numbers(counting),
        startup_jobs=frozenset(row.job for row in counting if is_startup_failure(row)),
        name=newest.job.workflow_name,
        ignored=_runs_by_reason(reasons),
        unknown=Counter(word for row in counting if (word := unknown_word(row)) is not None),
        changes_at=changes_at,
    )


def _says(
    job_rows: Sequence[Observation],
    rules: EvidenceRules,
    committed_at: float | None,
    now: float,
) -> tuple[set[Evidence], float | None]:
    """What the job rows say, and when the first pending one of them is no longer believed."""
    says: set[Evidence] = set()
    moments: list[float] = []
    for row in drop_superseded(job_rows) if job_rows else ():
        evidence = evidence_of(row, rules, committed_at, now)
        says.add(evidence)
        if evidence is Evidence.PENDING:
            limit = expires_at(row, committed_at)
            if limit is not None:
                moments.append(limit)
    return says, min(moments, default=None)


def _completed(says: set[Evidence]) -> bool:
    """Whether a job that is absent here was left out on purpose.

    A workflow that is still running, or of which all that exists was cancelled, says nothing.
    """
    return Evidence.PENDING not in says and bool(
        says & {Evidence.PASS, Evidence.FAIL, Evidence.SKIP}
    )


def _earliest_per_run(job_rows: Iterable[Observation]) -> tuple[Observation, ...]:
    earliest: dict[RunId | None, Observation] = {}
    for row in sorted(job_rows, key=run_order):
        earliest.setdefault(row.run_id, row)
    return tuple(earliest.values())


def _numbers(rows: Iterable[Observation]) -> Mapping[RunId | None, int]:
    """A run's number is the run's own: a row that leaves it out has it all the same."""
    numbers: dict[RunId | None, int] = {}
    for row in rows:
        if row.run_number is not None:
            numbers[row.run_id] = max(row.run_number, numbers.get(row.run_id, row.run_number))
    return numbers


def _runs_by_reason(reasons: Iterable[tuple[Observation, str | None]]) -> Mapping[str, int]:
    runs: dict[str, set[RunId | None]] = defaultdict(set)
    for row, reason in reasons:
        if reason is not None:
            runs[reason].add(row.run_id)
    return {reason: len(members) for reason, members in runs.items()}


def as_startup_pass(row: Observation) -> Observation:
    """Return the proof that a workflow's run did start, as a row of its startup pseudo-job."""
    return replace(
        row,
        job=row.job._replace(job_name=STARTUP_JOB),
        status="completed",
        conclusion="success",
        failed_step=None,
        infra=False,
        annotations=(),
    )


def as_startup_failure(row: Observation) -> Observation:
    """Return a startup failure as a row of its workflow's pseudo-job, whatever name it came by."""
    return replace(row, job=row.job._replace(job_name=STARTUP_JOB))
