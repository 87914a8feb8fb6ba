"""The run that answers a question."""

import pytest
from trunkwatch.confirm.model import Kind, Question
from trunkwatch.confirm.target import target_of
from trunkwatch.domain.model import Evidence, JobKey
from trunkwatch.status.attempts import Attempt

JOB = JobKey("o/r", "main", "ci", "test")
BEGUN, ENDED = 1000.0, 1600.0


def row(
    evidence: Evidence,
    *,
    run_id: int | None = 7,
    job_id: int = 1,
    attempt: int = 1,
    name: str = "test",
    started_at: float | None = BEGUN,
) -> Attempt:
    """Return an attempt of ten minutes."""
    path = ".github/workflows/ci.yml"
    return Attempt(name, path, run_id, job_id, attempt, evidence, started_at, ENDED)


FAIL, PASS = row(Evidence.FAIL), row(Evidence.PASS)
CANCELLED = Evidence.UNKNOWN


def found(kind: Kind, *there: Attempt, at_first_bad: tuple[Attempt, ...] = (FAIL,)) -> object:
    """Return run, attempt, job, and whether it was skipped."""
    question = Question(kind, JOB, "b" * 40, "a" * 40)
    target = target_of(question, there, at_first_bad)
    return target and (target.run_id, target.attempt, target.job_id, target.is_skipped)


@pytest.mark.parametrize(
    ("kind", "there", "expected"),
    [
        (Kind.REAL, (FAIL,), (7, 1, 1, False)),
        (Kind.REAL, (FAIL, row(Evidence.FAIL, job_id=2, name="test, 2")), (7, 1, None, False)),
        (Kind.REAL, (FAIL, row(Evidence.PASS, job_id=2, name="test, 2")), (7, 1, 1, False)),
        (Kind.REAL, (PASS,), None),
        (Kind.REAL, (row(Evidence.FAIL, run_id=None),), None),
        (Kind.WHICH, (row(CANCELLED),), (7, 1, 1, False)),
        # Without a start, it may depend on a job that was cancelled too.
        (Kind.WHICH, (row(CANCELLED, started_at=None),), (7, 1, None, False)),
        (Kind.WHICH, (row(Evidence.SKIP),), (7, 1, None, True)),
        (Kind.WHICH, (row(CANCELLED), row(CANCELLED, attempt=2, job_id=3)), (7, 2, 3, False)),
        (Kind.WHICH, (row(CANCELLED), row(CANCELLED, run_id=8, job_id=3), row(
            CANCELLED, run_id=8, job_id=4, name="test, 2")), (8, 1, None, False)),
        (Kind.WHICH, (), None),
        (Kind.OUTSIDE, (PASS,), (7, 1, 1, False)),
        (Kind.OUTSIDE, (row(Evidence.PASS, name="test, 2"),), None),
    ],
)  # fmt: skip
def test_the_run_to_repeat(kind: Kind, there: tuple[Attempt, ...], expected: object) -> None:
    """A job alone where that suffices, else all of its run that did not pass."""
    assert found(kind, *there) == expected


def test_a_commit_without_a_run() -> None:
    """Where CI can start a run, it is that of a job that fails at first bad, and not else."""
    question = Question(Kind.WHICH, JOB, "b" * 40, "a" * 40)
    at_first_bad = (row(Evidence.PASS, name="test, 1"), row(Evidence.FAIL, name="test, 2"))
    target = target_of(question, (), at_first_bad, starts_runs=True)
    assert target is not None
    assert (target.run_id, target.job_id, target.job_name) == (0, None, "test, 2")
    assert target_of(question, (), (PASS,), starts_runs=True) is None
    assert target_of(question._replace(kind=Kind.REAL), (), (FAIL,), starts_runs=True) is None


def test_the_estimate_is_the_longest_duration_at_first_bad() -> None:
    """Without any duration it is an hour."""
    question = Question(Kind.REAL, JOB, "b" * 40, "b" * 40)
    known = target_of(question, (FAIL,), (FAIL, row(Evidence.FAIL, started_at=None)))
    unknown = target_of(question, (FAIL,), (row(Evidence.FAIL, started_at=None),))
    assert known is not None
    assert unknown is not None
    assert (known.minutes, unknown.minutes) == (10.0, 60.0)
