"""The verdict of a job at one commit: per CI job, then combined over the shards of a folded job."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from trunkwatch.domain.model import Evidence, Observation, RunId, Verdict


class CommitResult(NamedTuple):
    """The result of one job at one commit.

    Attributes:
        verdict: the verdict.
        skipped: the verdict is NONE only because every row is a skip, not for example cancelled.
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
    """Drop unfinished rows of attempts that also have a completed row.

    Two completed rows with different conclusions are both kept. The store deletes superseded rows
    too, but only those with the same event, branch and repository, so this is needed as well.
    """
    if len(reports) == 1:
        return [reports[0]]
    finished = {_identity(row) for row in reports if row.finished}
    return [row for row in reports if row.finished or _identity(row) not in finished]


def _identity(row: Observation) -> tuple[RunId | None, int, str, RunId | None]:
    return row.run_id, row.attempt, row.job.job_name, row.job_id


def distinct_attempts(rows: Iterable[Observation]) -> list[Observation]:
    """Drop rows that a CI copied into a later attempt under another id.

    Rows with the same run, name, start and conclusion are one attempt; the earliest is kept.
    """
    first: dict[tuple[object, ...], Observation] = {}
    for row in sorted(rows, key=lambda row: row.attempt):
        copied = row.finished and row.started_at is not None
        key = (row.run_id, row.job.job_name, row.started_at, row.conclusion)
        first.setdefault(key if copied else (*key, row.attempt, row.job_id, row.status), row)
    return list(first.values())


def exact_job(evidence: Collection[Evidence]) -> CommitResult:
    """Return the result of one CI job at one commit, whatever the order of runs and attempts.

    Pass and fail: FLAKY; pass without fail: PASS; fail without pass: FAIL, even while a retry
    runs; else pending: PENDING; else NONE, and skipped if all its rows are skips.
    """
    if Evidence.FAIL in evidence:
        return FLAKY if Evidence.PASS in evidence else FAIL
    if Evidence.PASS in evidence:
        return PASS
    if Evidence.PENDING in evidence:
        return PENDING
    return NO_RESULT if Evidence.UNKNOWN in evidence or not evidence else SKIPPED


def folded_job(shards: Collection[CommitResult]) -> CommitResult:
    """Return the result of all shards of one folded job at one commit.

    Any FAIL decides. Else an unfinished or cancelled shard leaves the verdict open: a green shard
    beside it is not yet a pass, nor a flake a flake, or alerts would flap. Skipped shards do not
    count.
    """
    for decisive in (FAIL, PENDING, NO_RESULT, FLAKY, PASS):
        if decisive in shards:
            return decisive
    return SKIPPED if shards else NO_RESULT
