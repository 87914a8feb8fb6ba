"""The JSON object of a job's attempts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.domain.columns import Count, build_columns
from trunkwatch.domain.model import Observation
from trunkwatch.report.attempts import attempts_object

from tests.domain.builders import NOW, RULES, history, job_state, length, row, trunk, unfinished
from tests.vectors.notation import sha_of


def found(
    rows: Iterable[Observation],
    *shas: str,
    published: str = ".",
    count: Count = Count.COMMITS,
) -> list[dict[str, Any]]:
    """Return the commits of the object.

    Args:
        rows: of the job.
        shas: that are asked for; the oldest commit by default.
        published: the history of the job's state, in the notation.
        count: the unit of columns.
    """
    order = trunk(length(published))
    columns = build_columns(rows, order, RULES, count, NOW)
    whole = attempts_object(job_state(published), order, shas or [sha_of(0)], columns)
    return list(whole["commits"])


def test_the_whole_of_an_attempt() -> None:
    """The object has exactly these keys, in this order, with CI's names and times in UTC."""
    full = row(
        0, "job [shard 1]", "timed_out", workflow="pull", path="pull.yml", event="schedule",
        run_id="r7", job_id=9, attempt=2, run_number=70, created_at=NOW - 90, started_at=NOW - 60,
        completed_at=NOW - 0.5, url="https://ci/9", failed_step="Test", infra=True,
        annotations=("killed",),
    )  # fmt: skip
    columns = build_columns([full], trunk(1), RULES, Count.COMMITS, NOW)
    whole = attempts_object(job_state("F"), trunk(1), [sha_of(0)], columns)
    assert list(whole) == ["repo", "branch", "workflow", "job_name", "commits"]
    assert (whole["workflow"], whole["job_name"]) == ("ci", "job")
    (commit,) = whole["commits"]
    assert (list(commit), commit["state"]) == (["sha", "state", "attempts"], "F")
    assert [list(attempt.items()) for attempt in commit["attempts"]] == [
        [
            ("workflow", "pull"),
            ("workflow_path", "pull.yml"),
            ("job_name", "job [shard 1]"),
            ("event", "schedule"),
            ("run_id", "r7"),
            ("job_id", 9),
            ("attempt", 2),
            ("run_number", 70),
            ("status", "completed"),
            ("conclusion", "timed_out"),
            ("evidence", "fail"),
            ("created_at", "2026-03-01T11:58:30Z"),
            ("started_at", "2026-03-01T11:59:00Z"),
            ("completed_at", "2026-03-01T11:59:59.500000Z"),
            ("url", "https://ci/9"),
            ("failed_step", "Test"),
            ("infra", True),
        ]
    ]


@pytest.mark.parametrize(
    ("rows", "state", "evidence"),
    [
        ([unfinished(status="in_progress")], "R", ["pending"]),
        ([row(conclusion="cancelled")], "C", ["unknown"]),
        ([row(conclusion="skipped")], "S", ["skip"]),
        ([row(attempt=1, conclusion="failure"), row(attempt=2)], "K", ["pass", "fail"]),
        ([row(job="job (1)", conclusion="failure"), row(job="job (2)")], "F", ["pass", "fail"]),
    ],
)
def test_the_state_is_that_of_all_attempts(
    rows: list[Observation], state: str, evidence: list[str]
) -> None:
    """A commit has the letter of its cell, and each attempt its own evidence, newest first."""
    (commit,) = found(rows)
    assert commit["state"] == state
    assert [each["evidence"] for each in commit["attempts"]] == evidence


def test_an_attempt_that_was_copied_is_there_once() -> None:
    """A row that CI copied into a later attempt is left out; the job that ran again is not."""
    first = [row(job=f"job ({n})", attempt=1, conclusion=c, started_at=NOW - 600, job_id=n)
             for n, c in ((1, "success"), (2, "failure"))]  # fmt: skip
    copied = first[0].changed(attempt=2, job_id=11)
    again = first[1].changed(attempt=2, job_id=12, conclusion="success", started_at=NOW - 300)
    (commit,) = found([*first, copied, again])
    assert [each["job_id"] for each in commit["attempts"]] == [12, 2, 1]
    assert commit["state"] == "K"


def test_runs_of_one_commit_are_together() -> None:
    """Where runs are counted, a commit has the attempts of all of its runs."""
    rows = [row(run_id=1, conclusion="failure"), row(run_id=2)]
    (commit,) = found(rows, count=Count.RUNS)
    assert (commit["state"], [each["run_id"] for each in commit["attempts"]]) == ("F", [2, 1])


def test_columns_are_of_the_commit_of_their_rows() -> None:
    """Older commits may have been read since the state: the columns' indexes are others."""
    newer = trunk(3)
    older = replace(newer, commits=newer.commits[1:])
    columns = build_columns([row(2)], newer, RULES, Count.COMMITS, NOW)
    shas = [sha_of(2), sha_of(1)]
    commits = attempts_object(job_state(". ."), older, shas, columns)["commits"]
    assert [(each["sha"], each["state"]) for each in commits] == [(shas[0], "P"), (shas[1], ".")]
    assert commits[1]["attempts"] == []


def test_a_result_without_attempts_is_not_one_that_did_not_run() -> None:
    """If the results of a commit were dropped, its state is the one that is published."""
    commits = found(history("P F .")[1:], sha_of(0), sha_of(1), sha_of(2), published="P F .")
    assert [(each["state"], len(each["attempts"])) for each in commits] == [
        ("P", 0),
        ("F", 1),
        (".", 0),
    ]
