"""What a commit says of a job: first of one exact job, then of all shards of a folded one."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from trunkwatch.domain.model import Evidence, Observation, RunId, Verdict


class CommitResult(NamedTuple):
    """One job at one commit.

    Attributes:
        verdict: the answer.
        skipped: NONE because all of it was skipped, which is an answer; a cancelled job's is not.
    """

    verdict: Verdict
    skipped: bool = False


PASS, FAIL, FLAKY = (
    CommitResult(Verdict.PASS),
    CommitResult(Verdict.FAIL),
    CommitResult(Verdict.FLAKY),
)
PENDING, NO_RESULT = CommitResult(Verdict.PENDING), CommitResult(Verdict.NONE)
SKIPPED = CommitResult(Verdict.NONE, skipped=True)


def drop_superseded(reports: Sequence[Observation]) -> list[Observation]:
    """Drop what a later report of the same observation overtook.

    Of one observation reported twice, completed beats unfinished; two different completed
    answers are both kept.
    """
    if len(reports) == 1:
        return [reports[0]]
    finished = {_identity(row) for row in reports if row.finished}
    return [row for row in reports if row.finished or _identity(row) not in finished]


def _identity(row: Observation) -> tuple[RunId | None, int, str, RunId | None]:
    return row.run_id, row.attempt, row.job.job_name, row.job_id


def distinct_attempts(rows: Iterable[Observation]) -> list[Observation]:
    """Drop rows that a CI copied into a later attempt under another id.

    Same run, name, start and conclusion: it is the same attempt; the earliest copy stays.
    """
    first: dict[tuple[object, ...], Observation] = {}
    for row in sorted(rows, key=lambda row: row.attempt):
        copied = row.finished and row.started_at is not None
        key = (row.run_id, row.job.job_name, row.started_at, row.conclusion)
        first.setdefault(key if copied else (*key, row.attempt, row.job_id, row.status), row)
    return list(first.values())


def exact_job(evidence: Collection[Evidence]) -> CommitResult:
    """One exact job at one commit, over all its runs and attempts, whatever their order.

    Pass and fail: FLAKY; only pass: PASS; only fail: FAIL; else pending: PENDING; else NONE, and
    skipped if all its rows are skip. A failed attempt whose retry still runs is FAIL.
    """
    if Evidence.FAIL in evidence:
        return FLAKY if Evidence.PASS in evidence else FAIL
    if Evidence.PASS in evidence:
        return PASS
    if Evidence.PENDING in evidence:
        return PENDING
    return NO_RESULT if Evidence.UNKNOWN in evidence or not evidence else SKIPPED


def folded_job(shards: Collection[CommitResult]) -> CommitResult:
    """All shards of one folded job at one commit.

    A cancelled shard holds the streak: one green shard among unanswered ones is not a pass, and a
    flake among unfinished ones is not yet a flake. That mistake is what makes such alerts flap.
    """
    for decisive in (FAIL, PENDING, NO_RESULT, FLAKY, PASS):
        if decisive in shards:
            return decisive
    return SKIPPED if shards else NO_RESULT
