"""The verdict of a commit: of one CI job first, then of all shards of a folded job."""

from itertools import permutations
from typing import Any

import pytest
from trunkwatch.domain.model import Evidence, Verdict
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
    rows = [unfinished(), row(**other)]
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
