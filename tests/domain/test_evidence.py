"""The evidence of one row, and which rows count."""

from typing import Any

import pytest
from trunkwatch.domain.evidence import (
    COMPLETED,
    PENDING_LIMIT,
    UNFINISHED,
    EvidenceRules,
    NameRule,
    evidence_of,
    expires_at,
    is_startup_failure,
    unknown_word,
    why_ignored,
)
from trunkwatch.domain.model import Evidence, Observation
from trunkwatch.patterns import Pattern

from tests.domain.builders import HOUR, NOW, RULES, row, trunk, unfinished

AGES = ("created_at", "started_at")


def evidence_for(
    each: Observation, rules: EvidenceRules = RULES, committed_at: float | None = None
) -> Evidence:
    return evidence_of(each, rules, committed_at, NOW)


@pytest.mark.parametrize(
    ("conclusion", "evidence"),
    [
        ("success", "pass"),
        ("failure", "fail"),
        ("timed_out", "fail"),
        ("startup_failure", "fail"),
        ("skipped", "skip"),
        ("neutral", "skip"),
        ("cancelled", "unknown"),
        ("stale", "unknown"),
        ("action_required", "unknown"),
        ("a_word_of_tomorrow", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_conclusion_is_evidence(conclusion: str | None, evidence: str) -> None:
    """Each conclusion gives its evidence in the table; one that is not listed gives unknown."""
    assert evidence_for(row(conclusion=conclusion)) == evidence


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_an_unfinished_result_is_pending(status: str) -> None:
    """Every unfinished status is pending, whatever conclusion stands beside it."""
    assert evidence_for(unfinished(status=status, created_at=NOW)) is Evidence.PENDING
    assert (
        evidence_for(unfinished(status=status, created_at=NOW, conclusion="failure"))
        is Evidence.PENDING
    )


def test_an_unknown_status_is_no_answer() -> None:
    """An unlisted status is unknown, not pending."""
    assert (
        evidence_for(unfinished(status="a_status_of_tomorrow", created_at=NOW)) is Evidence.UNKNOWN
    )


@pytest.mark.parametrize("field", AGES)
def test_pending_ends_after_36_hours(field: str) -> None:
    """A row is pending when it is exactly 36 hours old, and unknown one second later."""
    at_36_hours: dict[str, Any] = {field: NOW - 36 * HOUR}
    past_36_hours: dict[str, Any] = {field: NOW - 36 * HOUR - 1}
    assert evidence_for(unfinished(**at_36_hours)) is Evidence.PENDING
    assert evidence_for(unfinished(**past_36_hours)) is Evidence.UNKNOWN


def test_the_commits_age_is_the_last_resort() -> None:
    """A row without times has its commit's age; without that it stays pending."""
    assert evidence_for(unfinished(), committed_at=NOW - 36 * HOUR) is Evidence.PENDING
    assert evidence_for(unfinished(), committed_at=NOW - 36 * HOUR - 1) is Evidence.UNKNOWN
    assert evidence_for(unfinished(), committed_at=None) is Evidence.PENDING


def test_created_beats_started_beats_committed() -> None:
    """The age of a row is counted from created_at, else started_at, else committed_at."""
    assert expires_at(unfinished(created_at=1, started_at=2), 3) == 1 + PENDING_LIMIT
    assert expires_at(unfinished(started_at=2), 3) == 2 + PENDING_LIMIT
    assert expires_at(unfinished(), 3) == 3 + PENDING_LIMIT
    assert expires_at(unfinished(), None) is None


def test_a_conclusion_can_be_moved() -> None:
    """The configuration may move a conclusion to another evidence, without changing others."""
    rules = EvidenceRules(moved={"timed_out": Evidence.UNKNOWN, "cancelled": Evidence.FAIL})
    assert evidence_for(row(conclusion="timed_out"), rules) is Evidence.UNKNOWN
    assert evidence_for(row(conclusion="cancelled"), rules) is Evidence.FAIL
    assert evidence_for(row(conclusion="failure"), rules) is Evidence.FAIL


def test_a_name_can_be_moved() -> None:
    """A name rule moves every completed result of the jobs that it matches in full."""
    rules = EvidenceRules(names=(NameRule(Pattern("flaky .*"), Evidence.SKIP),))
    assert evidence_for(row(job="flaky perf", conclusion="failure"), rules) is Evidence.SKIP
    assert evidence_for(row(job="flaky perf", conclusion="success"), rules) is Evidence.SKIP
    assert evidence_for(row(job="a flaky perf", conclusion="failure"), rules) is Evidence.FAIL
    assert evidence_for(unfinished(job="flaky perf", created_at=NOW), rules) is Evidence.PENDING


def test_the_first_name_rule_wins() -> None:
    """Of two name rules that match the first decides, and it beats a moved conclusion."""
    rules = EvidenceRules(
        moved={"timed_out": Evidence.FAIL},
        names=(
            NameRule(Pattern("perf.*"), Evidence.UNKNOWN),
            NameRule(Pattern(".*"), Evidence.PASS),
        ),
    )
    assert evidence_for(row(job="perf", conclusion="timed_out"), rules) is Evidence.UNKNOWN
    assert evidence_for(row(job="unit", conclusion="timed_out"), rules) is Evidence.PASS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"event": "schedule"}, None),
        ({"event": "workflow_dispatch"}, None),
        ({"sha": "f" * 40}, "commit"),
        ({"head_repo": "fork/r"}, "head_repo"),
        ({"head_branch": "topic"}, "head_branch"),
        ({"event": "pull_request"}, "event"),
        ({"event": "merge_group"}, "event"),
        ({"event": "merge_group", "head_branch": "gh-readonly-queue/main/pr-1-abc"}, "event"),
        ({"event": "push", "head_branch": "gh-readonly-queue/main/pr-1-abc"}, "head_branch"),
        # A fork's pull request from its own `main`: three of four fields look like the trunk's.
        ({"head_repo": "fork/r", "event": "pull_request"}, "head_repo"),
        ({"sha": "f" * 40, "head_repo": "fork/r", "event": "pull_request"}, "commit"),
    ],
)
def test_which_results_count(changes: dict[str, Any], reason: str | None) -> None:
    """A result counts on a trunk commit, of the repo's own branch, for a configured event."""
    assert why_ignored(row(**changes), trunk(1), RULES) == reason


def test_the_events_are_configured() -> None:
    """The configured events replace the default ones."""
    rules = EvidenceRules(events=frozenset({"merge_group"}))
    assert why_ignored(row(event="merge_group"), trunk(1), rules) is None
    queued = row(event="merge_group", head_branch="gh-readonly-queue/main/pr-1-abc")
    assert why_ignored(queued, trunk(1), rules) is None
    other = row(event="merge_group", head_branch="gh-readonly-queue/other/pr-1-abc")
    assert why_ignored(other, trunk(1), rules) == "head_branch"
    assert why_ignored(row(event="push"), trunk(1), rules) == "event"


def test_unknown_words_are_named() -> None:
    """A conclusion or status is returned as unknown only if the table does not list it."""
    assert unknown_word(row(conclusion="a_word_of_tomorrow")) == "a_word_of_tomorrow"
    assert unknown_word(row(conclusion=None)) == "null"
    assert unknown_word(unfinished(status="a_status_of_tomorrow")) == "a_status_of_tomorrow"
    assert [word for word in COMPLETED if unknown_word(row(conclusion=word))] == []
    assert [word for word in UNFINISHED if unknown_word(unfinished(status=word))] == []


def test_a_startup_failure_is_completed() -> None:
    """Only a completed row can be a startup failure."""
    assert is_startup_failure(row(conclusion="startup_failure"))
    assert not is_startup_failure(unfinished(conclusion="startup_failure"))
    assert not is_startup_failure(row(conclusion="failure"))
