"""The verdict of a commit: of one CI job first, then of all shards of a folded job."""

from itertools import permutations
from typing import Any

import pytest
from trunkwatch.domain.model import Evidence, Observation, Verdict
from trunkwatch.domain.verdict import (
    FAIL,
    FLAKY,
    NO_RESULT,
    PASS,
    PENDING,
    SKIPPED,
    CommitResult,
    distinct_attempts,
    drop_superseded,
    exact_job,
    folded_job,
    shard_result,
)

from tests.domain.builders import row, unfinished


@pytest.mark.parametrize(
    ("evidence", "result"),
    [
        ("pass", PASS),
        ("fail", FAIL),
        ("pass fail", FLAKY),
        ("pass fail pending unknown skip", FLAKY),
        ("fail pending", FAIL),
        ("pass pending", PASS),
        ("pass unknown skip", PASS),
        ("fail unknown skip", FAIL),
        ("pending", PENDING),
        ("pending unknown skip", PENDING),
        ("unknown", NO_RESULT),
        ("unknown skip", NO_RESULT),
        ("skip", SKIPPED),
        ("", NO_RESULT),
    ],
)
def test_one_exact_job(evidence: str, result: CommitResult) -> None:
    """The result of one CI job follows from the kinds of evidence alone."""
    assert exact_job({Evidence(word) for word in evidence.split()}) == result


@pytest.mark.parametrize(
    ("shards", "result"),
    [
        ((PASS, PASS), PASS),
        ((PASS, SKIPPED), PASS),
        ((PASS, FLAKY), FLAKY),
        ((PASS, NO_RESULT), NO_RESULT),
        ((PASS, PENDING), PENDING),
        ((PASS, FAIL), FAIL),
        ((FLAKY, PENDING), PENDING),
        ((FLAKY, NO_RESULT), NO_RESULT),
        ((NO_RESULT, PENDING), PENDING),
        ((FAIL, PENDING, NO_RESULT, FLAKY, PASS, SKIPPED), FAIL),
        ((SKIPPED, SKIPPED), SKIPPED),
        ((), NO_RESULT),
    ],
)
def test_shards_of_a_folded_job(shards: tuple[CommitResult, ...], result: CommitResult) -> None:
    """A missing result outweighs a pass or a flake, and a failure outweighs all, in any order."""
    assert {folded_job(order) for order in permutations(shards)} == {result}


def test_a_skipped_result_is_no_verdict() -> None:
    """A skipped result has the verdict NONE, but differs from a missing one."""
    assert SKIPPED.verdict is NO_RESULT.verdict is Verdict.NONE
    assert SKIPPED.skipped
    assert not NO_RESULT.skipped


def test_three_verdicts_are_decided() -> None:
    """PASS, FAIL and FLAKY are decided; PENDING and NONE are not."""
    assert {verdict for verdict in Verdict if verdict.decided} == {"PASS", "FAIL", "FLAKY"}


def test_completed_beats_unfinished() -> None:
    """A completed report supersedes an unfinished one of the same observation, in either order."""
    early, late = unfinished(), row(conclusion="cancelled")
    assert drop_superseded([early, late]) == drop_superseded([late, early]) == [late]


@pytest.mark.parametrize("field", ["run_id", "attempt", "job_id"])
def test_another_observation_is_not_superseded(field: str) -> None:
    """A row with another run, attempt or job id is another observation: both are kept."""
    other: dict[str, Any] = {field: 7}
    rows = [unfinished(job_id=1), row(job_id=1).changed(**other)]
    assert drop_superseded(rows) == rows


def test_two_conclusions_are_both_kept() -> None:
    """Two completed reports with different conclusions of one observation are both kept."""
    rows = [row(conclusion="failure"), row(conclusion="success")]
    assert drop_superseded(rows) == rows


def test_a_copied_row_is_one_attempt() -> None:
    """A row copied into a later attempt is the same attempt; the earliest copy is kept."""
    first = row(conclusion="failure", started_at=5.0, job_id=1, attempt=1)
    copy = row(conclusion="failure", started_at=5.0, job_id=2, attempt=2)
    assert distinct_attempts([copy, first]) == [first]


@pytest.mark.parametrize(
    "changes", [{"started_at": 6.0}, {"conclusion": "success"}, {"run_id": 9}, {"job": "other"}]
)
def test_another_attempt_is_no_copy(changes: dict[str, Any]) -> None:
    """A row with another start, conclusion, run or name is another attempt."""
    same: dict[str, Any] = {"conclusion": "failure", "started_at": 5.0}
    first, other = row(**same), row(attempt=2, **{**same, **changes})
    assert len(distinct_attempts([first, other])) == 2


def test_rows_without_a_start_are_no_copies() -> None:
    """Rows without a start are never treated as copies."""
    assert len(distinct_attempts([row(attempt=1), row(attempt=2)])) == 2


@pytest.mark.parametrize(
    ("more", "dropped"),
    [
        ([], False),
        ([row(job="other", job_id=3)], False),
        ([row(job_id=3, attempt=2)], True),
        ([unfinished(job_id=3, attempt=2)], True),
        ([row(job_id=3, run_id=9, attempt=2)], False),
        ([row(job_id=3, run_completed=True)], True),
    ],
    ids=["alone", "other jobs ended", "later attempt", "retry runs", "other run", "run ended"],
)
def test_a_dead_twin_is_dropped(more: list[Observation], dropped: bool) -> None:
    """A job without a result beside one of its name is dropped once its attempt has ended."""
    twins = [row(job_id=1), unfinished(job_id=2)]
    kept = drop_superseded([*twins, *more])
    assert (twins[1] not in kept) is dropped
    assert all(each in kept for each in (twins[0], *more))


def test_a_job_without_a_twin_is_not_dead() -> None:
    """A job without a result stays where no job of its name has one, also in an ended attempt."""
    rows = [unfinished(job_id=1, run_completed=True), unfinished(job_id=2, run_completed=True)]
    assert drop_superseded(rows) == rows


def test_a_row_without_an_id_is_of_the_only_job() -> None:
    """A row without an id is a report of the only job of its name, and beside several its own."""
    nameless = unfinished()
    assert drop_superseded([nameless, row(job_id=1)]) == [row(job_id=1)]
    assert nameless in drop_superseded([nameless, row(job_id=1), row(job_id=2)])


def result(*rows: tuple[Observation, str]) -> CommitResult:
    return shard_result([(each, Evidence(word)) for each, word in rows])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("pass", "fail", FAIL),
        ("pass", "pass", PASS),
        ("pass", "pending", PENDING),
        ("fail", "pending", FAIL),
        ("pass", "unknown", NO_RESULT),
        ("pass", "skip", PASS),
        ("skip", "skip", SKIPPED),
    ],
)
def test_jobs_that_share_a_name(first: str, second: str, expected: CommitResult) -> None:
    """Of several jobs with one name in one attempt the worst counts, and there is no flake."""
    one, two = row(job_id=1), row(job_id=2)
    assert result((one, first), (two, second)) == result((two, second), (one, first)) == expected


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"run_id": 9}])
def test_attempts_and_runs_make_a_flake(changes: dict[str, Any]) -> None:
    """A red attempt or run of several jobs and a green one are a flake."""
    red = ((row(job_id=1), "pass"), (row(job_id=2), "fail"))
    green = (row(job_id=3, **changes), "pass"), (row(job_id=4, **changes), "pass")
    assert result(*red, *green) == FLAKY


def test_a_copy_is_no_second_attempt() -> None:
    """The green job of a red attempt, copied into a later attempt, is no pass there."""
    green, red = row(job_id=1, started_at=5.0), row(job_id=2, conclusion="failure")
    copy = green.changed(job_id=3, attempt=2)
    assert result((green, "pass"), (red, "fail"), (copy, "pass")) == FAIL


def test_one_start_of_two_jobs_is_no_copy() -> None:
    """Two jobs of one attempt that started together are both kept."""
    rows = [row(started_at=5.0, job_id=1), row(started_at=5.0, job_id=2)]
    assert distinct_attempts(rows) == rows
