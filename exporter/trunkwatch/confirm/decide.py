"""The choice of the next question about each job, by the exporter's JSON and earlier answers.

The policy alone interprets results: the exporter reads that of a repeated job as any other, and it
moves first bad and last good by the rules of docs/policy.md.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from trunkwatch.config.acting import ConfirmSection
from trunkwatch.confirm.model import Kind, Question, State
from trunkwatch.confirm.records import Records
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.domain.names import any_full_match
from trunkwatch.engine.cells import NO_ROW, PENDING
from trunkwatch.status.trunk_status import JobStatus, TrunkStatus

REPEATABLE = frozenset("CS")
"""The letters of a suspect that has a run: it was cancelled, gave no result, or was skipped."""


def testable(config: ConfirmSection) -> frozenset[str]:
    """Return the letters of the suspects that can be tested."""
    return REPEATABLE | {NO_ROW} if config.starts_runs else REPEATABLE


def questions(
    trunk: Trunk, status: TrunkStatus, config: ConfirmSection, records: Records
) -> Iterator[tuple[Question, JobStatus]]:
    """Yield the next question about each failing job, in the order of the exporter's JSON.

    Args:
        trunk: the trunk.
        status: of the trunk.
        config: the section `confirm`.
        records: of the questions asked until now.
    """
    for job in status.jobs.values():
        if _is_excluded(job, config):
            continue
        found = next_question(JobKey(*trunk, *job.name), job, config, records)
        if found is not None:
            yield found, job


def next_question(
    key: JobKey, job: JobStatus, config: ConfirmSection, records: Records
) -> Question | None:
    """Return the next question about a job: `real`, `which`, `real` again, or `outside`.

    Args:
        key: of the job.
        job: its status.
        config: the section `confirm`.
        records: of the questions asked until now.

    Returns:
        None if there is nothing to find out, or a result is still to come.
    """
    if job.first_bad is None or not job.streak or records.has_open(key):
        return None
    first_bad = job.first_bad.sha

    def question(kind: Kind, sha: str) -> Question:
        return Question(kind, key, first_bad, sha)

    steps: Sequence[tuple[Kind, Step]] = (
        (Kind.REAL, _real),
        (Kind.WHICH, partial(_which, letters=testable(config))),
        (Kind.REAL, _real_found),
        (Kind.OUTSIDE, _outside),
    )
    found = (step(job, question, records) for kind, step in steps if kind in config.questions)
    return next(filter(None, found), None)


Ask = Callable[[Kind, str], Question]
Step = Callable[[JobStatus, Ask, Records], Question | None]


def _real(job: JobStatus, question: Ask, records: Records) -> Question | None:
    """Return the question whether a failure is one: failures at two commits in a row are."""
    assert job.first_bad is not None
    found = question(Kind.REAL, job.first_bad.sha)
    return None if job.confirmed or job.streak > 1 or records.get(found) else found


def _real_found(job: JobStatus, question: Ask, records: Records) -> Question | None:
    """Return the question whether the failure is one that an answer made first bad.

    It failed once there, on request: a flaky job would name a wrong commit.
    """
    assert job.first_bad is not None
    answer = records.get(question(Kind.WHICH, job.first_bad.sha))
    found = question(Kind.REAL, job.first_bad.sha)
    return found if answer and not (job.confirmed or records.get(found)) else None


def _which(
    job: JobStatus, question: Ask, records: Records, letters: frozenset[str]
) -> Question | None:
    """Return the question about the middle one of the suspects that can be tested.

    A run that goes on comes first: it is no question, and its result may make this one needless.
    """
    if not (job.broken or job.confirmed) or job.suspects is None:
        return None
    if _has_pending(job):
        return None
    suspects = (each.sha for each in job.also_suspect if each.state in letters)
    found = [question(Kind.WHICH, sha) for sha in suspects]
    repeatable = [each for each in found if records.get(each) is None]
    return repeatable[len(repeatable) // 2] if repeatable else None


def _outside(job: JobStatus, question: Ask, records: Records) -> Question | None:
    """Return the question whether last good fails now, where the cause may be outside.

    If it does, last good is flaky by the policy, and the suspects are unknown: so it is asked of an
    open outage only, and last.
    """
    if not job.broken or job.last_good is None:
        return None
    if not (job.infra or _is_unsure(job, question, records)):
        return None
    if _has_pending(job):
        return None
    found = question(Kind.OUTSIDE, job.last_good)
    return None if records.get(found) else found


def _is_unsure(job: JobStatus, question: Ask, records: Records) -> bool:
    """Return whether an outside cause would have given the same answers.

    It would where no suspect has passed since the outage began. A pass of a
    folded job excludes nothing: the shard that fails may have passed before, and another one have
    been repeated.
    """
    assert job.first_bad is not None
    assert job.last_good is not None
    at_last_good = question(Kind.WHICH, job.last_good)
    key, passed = at_last_good.job, records.get(at_last_good)
    if passed is not None and passed.state is State.ANSWERED and passed.target is not None:
        return passed.target.job_name != key.job_name
    # A run that is repeated for one job can give results of all jobs of its workflow.
    repeated = {
        each.question.sha
        for each in records.all()
        if each.question.kind is Kind.WHICH
        and each.state is State.ANSWERED
        and each.question.job._replace(job_name=key.job_name) == key
    }
    return not repeated.isdisjoint((job.first_bad.sha, job.last_good))


def _has_pending(job: JobStatus) -> bool:
    return any(each.state == PENDING for each in job.also_suspect)


def _is_excluded(job: JobStatus, config: ConfirmSection) -> bool:
    if job.known_broken is not None or (config.groups and job.group not in config.groups):
        return True
    return any_full_match(config.never, str(job.name))
