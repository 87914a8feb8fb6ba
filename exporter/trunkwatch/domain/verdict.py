"""The verdict of a job at one commit: per CI job, then combined over the shards of a folded job."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

_AS_EVIDENCE: Mapping[CommitResult, frozenset[Evidence]] = {
    PASS: frozenset({Evidence.PASS}),
    FAIL: frozenset({Evidence.FAIL}),
    FLAKY: frozenset({Evidence.PASS, Evidence.FAIL}),
    PENDING: frozenset({Evidence.PENDING}),
    NO_RESULT: frozenset({Evidence.UNKNOWN}),
    SKIPPED: frozenset({Evidence.SKIP}),
}
"""The evidence of an attempt, by the result over the jobs that share its name."""


class _Attempt(NamedTuple):
    """One attempt of one run of one CI job; several jobs of the CI may share the name."""

    run_id: RunId | None
    attempt: int
    job_name: str


def _attempt(row: Observation) -> _Attempt:
    return _Attempt(row.run_id, row.attempt, row.job.job_name)


def _by_job(rows: Sequence[Observation]) -> Mapping[RunId | None, list[Observation]]:
    """Return the rows of one attempt by the id of their CI job.

    A row without an id reports the only job there is; beside several it is one of its own.
    """
    ids = {row.job_id for row in rows} - {None}
    only = ids.pop() if len(ids) == 1 else None
    jobs: dict[RunId | None, list[Observation]] = defaultdict(list)
    for row in rows:
        jobs[only if row.job_id is None else row.job_id].append(row)
    return jobs


def drop_superseded(reports: Sequence[Observation]) -> list[Observation]:
    """Drop the unfinished rows that are out of date.

    These are reports of a CI job that has a completed one, and dead twins: jobs without a result in
    an attempt that has ended, beside one of the same name that has a result. Only the source or a
    later attempt shows that it has ended, never the other rows: the twin may be the last job that
    runs. Two completed rows with different conclusions are both kept. The store deletes superseded
    rows too, but only those with the same event, branch and repository, so this is needed as well.
    """
    if len(reports) == 1 or all(row.finished for row in reports):
        return list(reports)
    attempts: dict[_Attempt, list[Observation]] = defaultdict(list)
    for row in reports:
        attempts[_attempt(row)].append(row)
    newest: dict[tuple[RunId | None, str], int] = {}
    for run_id, attempt, job_name in attempts:
        newest[run_id, job_name] = max(attempt, newest.get((run_id, job_name), attempt))
    dropped = {
        id(row)
        for (run_id, attempt, job_name), rows in attempts.items()
        for row in _superseded(rows, ended=attempt < newest[run_id, job_name])
    }
    return [row for row in reports if id(row) not in dropped]


def _superseded(rows: Sequence[Observation], *, ended: bool) -> Iterator[Observation]:
    if not any(row.finished for row in rows):
        return
    ended = ended or any(row.run_completed for row in rows)
    for reports in _by_job(rows).values():
        if ended or any(row.finished for row in reports):
            yield from (row for row in reports if not row.finished)


def distinct_attempts(rows: Iterable[Observation]) -> list[Observation]:
    """Drop rows that a CI copied into a later attempt under another id.

    A row with the run, name, start and conclusion of one of an earlier attempt is its copy.
    """
    ordered = sorted(rows, key=lambda row: row.attempt)
    first: dict[tuple[object, ...], int] = {}
    for row in ordered:
        first.setdefault(_execution(row), row.attempt)
    return [
        row
        for row in ordered
        if not row.finished or row.started_at is None or first[_execution(row)] == row.attempt
    ]


def _execution(row: Observation) -> tuple[object, ...]:
    return row.run_id, row.job.job_name, row.started_at, row.conclusion


def shard_result(rows: Sequence[tuple[Observation, Evidence]]) -> CommitResult:
    """Return the result of one exact name at one commit, from its rows without superseded ones.

    Jobs of one attempt that share the name are different jobs, so the worst of them counts, as
    with the shards of a folded job; only attempts and runs make a flake.
    """
    if len(rows) == 1:
        return exact_job((rows[0][1],))
    attempts: dict[_Attempt, list[Observation]] = defaultdict(list)
    for row, _ in rows:
        attempts[_attempt(row)].append(row)
    if len(attempts) == len(rows):
        return exact_job({evidence for _, evidence in rows})
    evidence_of = {id(row): evidence for row, evidence in rows}
    attempts.clear()
    for row in distinct_attempts(row for row, _ in rows):
        attempts[_attempt(row)].append(row)
    found: set[Evidence] = set()
    for members in attempts.values():
        jobs = {
            exact_job({evidence_of[id(row)] for row in reports})
            for reports in _by_job(members).values()
        }
        found |= _AS_EVIDENCE[folded_job(jobs)]
    return exact_job(found)


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
