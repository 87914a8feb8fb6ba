"""One workflow at one commit: completion, start, name and run numbers."""

import pytest
from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import STARTUP_JOB, Observation, RawJob
from trunkwatch.engine.workflow_commit import (
    WorkflowCommit,
    as_startup_failure,
    as_startup_pass,
    evaluate_workflow,
)

from tests.domain.builders import NOW, RULES, row, trunk, unfinished


def at(*rows: Observation, now: float = NOW) -> WorkflowCommit:
    return evaluate_workflow(rows, trunk(3), RULES, now)


@pytest.mark.parametrize(
    ("conclusions", "completed"),
    [
        ("success", True),
        ("failure", True),
        ("skipped", True),
        ("success cancelled", True),
        ("cancelled", False),
        ("a_word_of_tomorrow", False),
    ],
)
def test_completed_needs_a_pass_fail_or_skip(conclusions: str, completed: bool) -> None:
    """A workflow completed where every row is finished and one is a pass, fail or skip."""
    rows = [row(job=f"job-{n}", conclusion=c) for n, c in enumerate(conclusions.split())]
    assert at(*rows).completed() is completed


def test_a_pending_row_is_not_completed() -> None:
    """A pending row keeps the workflow from completing until the row expires."""
    pending = unfinished(job="other", created_at=NOW - 5)
    assert not at(row(), pending).completed()
    assert at(row(), pending, now=NOW - 5 + PENDING_LIMIT + 1).completed()


def test_time_alone_may_complete_it() -> None:
    """A workflow changes when its first pending row expires."""
    rows = [unfinished(created_at=NOW - 5), unfinished(created_at=NOW - 9, run_id=9)]
    assert at(*rows).changes_at == NOW - 9 + PENDING_LIMIT
    assert at(row()).changes_at is None


def test_a_superseded_report_does_not_count() -> None:
    """A superseded pending report does not keep the workflow from completing."""
    assert at(unfinished(created_at=NOW), row()).completed()


def test_a_startup_failure_completes_nothing() -> None:
    """A run that failed to start does not complete its workflow."""
    found = at(row(job="any", conclusion="startup_failure"))
    assert not found.completed()
    assert found.startup_failures == {RawJob("ci", None, "any")}
    assert found.first_rows == ()


def test_a_job_row_proves_the_start() -> None:
    """The earliest job row of each run is the proof that the run did start."""
    early = row(run_id=1, started_at=5.0)
    late = row(run_id=1, started_at=6.0, job="other")
    other = row(run_id=2, started_at=7.0, conclusion="failure")
    assert set(at(late, other, early).first_rows) == {early, other}


def test_the_newest_name_is_shown() -> None:
    """Of two names of one workflow at one commit the newest run's is used."""
    old = row(workflow="old", path="w/a.yml", started_at=5.0)
    new = row(workflow="new", path="w/a.yml", started_at=6.0, run_id=2)
    assert at(new, old).name == at(old, new).name == "new"


def test_a_tie_of_names_does_not_depend_on_arrival() -> None:
    """Of two names of one time the same one is used in either order."""
    one, two = row(workflow="one", path="w/a.yml"), row(workflow="two", path="w/a.yml")
    assert at(one, two).name == at(two, one).name


def test_runs_that_do_not_count_are_counted() -> None:
    """Ignored runs, not their rows, are counted by reason."""
    found = at(
        row(),
        row(run_id=8, head_repo="fork/r"),
        row(run_id=8, head_repo="fork/r", job="other"),
        row(run_id=9, event="pull_request"),
        row(run_id=10, event="pull_request"),
    )
    assert found.ignored_runs == {"head_repo": 1, "event": 2}
    assert found.commit_index == 0


def test_a_commit_off_the_trunk_has_no_index() -> None:
    """Where no run counts there is no commit index and no completion."""
    found = at(row(sha="f" * 40))
    assert (found.commit_index, found.completed(), found.ignored_runs) == (
        None,
        False,
        {"commit": 1},
    )


def test_unknown_words_are_counted_where_they_count() -> None:
    """Words that the table does not list are counted by word, only in rows that count."""
    found = at(
        row(conclusion="strange"),
        row(conclusion="strange", job="other"),
        row(conclusion=None, job="third"),
        unfinished(status="odd", job="fourth"),
        row(conclusion="strange", head_repo="fork/r"),
    )
    assert found.unknown_words == {"strange": 2, "null": 1, "odd": 1}


def test_a_runs_number_may_be_in_any_row() -> None:
    """A run's number is the one that any of its rows gives."""
    found = at(row(run_id=1), row(run_id=1, job="other", run_number=4), row(run_id=2))
    assert found.run_numbers == {1: 4}


def test_the_startup_pseudo_job() -> None:
    """A failed start and a proof of a start are rows of one pseudo-job of the workflow."""
    failure = as_startup_failure(row(job="any", conclusion="startup_failure"))
    proof = as_startup_pass(row(conclusion="failure", failed_step="Test", infra=True,
                                annotations=("said",)))  # fmt: skip
    assert failure.job.job_name == proof.job.job_name == STARTUP_JOB
    assert (proof.status, proof.conclusion) == ("completed", "success")
    assert (proof.failed_step, proof.infra, proof.annotations) == (None, False, ())
