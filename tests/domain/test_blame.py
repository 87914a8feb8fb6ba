"""Blame: confirmation, failed steps, infrastructure, suspects and co-failures."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.domain.blame import Blame
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.job import JobRules, evaluate_job
from trunkwatch.domain.model import JobKey, Observation
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.co_failures import NAMED_JOBS_LIMIT, CoFailures
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    NOW,
    RULES,
    TRUNK,
    evaluate_histories,
    job_named,
    job_state,
    row,
    trunk,
)

KEY = JobKey(*TRUNK, "ci", "job")


def failed(place: int, job: str = "job", **changes: Any) -> Observation:
    return row(place, job, "failure", **changes)


def blamed(
    rows: Iterable[Observation],
    rules: EvidenceRules = RULES,
    count: Count = Count.COMMITS,
) -> Blame:
    group = Group("g", "team-g", "P2", count=count)
    state = evaluate_job(KEY, rows, JobRules(group, trunk(6), rules, NOW))
    assert state.blame is not None
    return state.blame


# ---------------------------------------------------------------------- confirmed


def test_one_failed_attempt_confirms_nothing() -> None:
    """A first bad that failed once is not confirmed, however many failing commits follow."""
    assert not blamed([row(0), *(failed(place) for place in (1, 2, 3))]).confirmed


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"run_id": 99}])
def test_a_second_failed_attempt_confirms(changes: dict[str, Any]) -> None:
    """A retry or a further run that fails at first bad confirms it."""
    assert blamed([row(0), failed(1), failed(1, **changes)]).confirmed


def test_a_retry_of_a_later_commit_confirms_nothing() -> None:
    """A retry of a commit after first bad confirms nothing."""
    assert not blamed([row(0), failed(1), failed(2), failed(2, attempt=2)]).confirmed


def test_an_attempt_that_was_copied_confirms_nothing() -> None:
    """A row that the CI copied into a later attempt is no second failure."""
    rows = [failed(1, started_at=5.0, job_id=1), failed(1, started_at=5.0, job_id=2, attempt=2)]
    assert not blamed([row(0), *rows]).confirmed


def test_an_unfinished_retry_confirms_nothing() -> None:
    """A retry that still runs or was cancelled has not failed."""
    cancelled = row(1, conclusion="cancelled", attempt=2)
    assert not blamed([row(0), failed(1), cancelled]).confirmed


def test_two_shards_that_fail_once_confirm_nothing() -> None:
    """Attempts are counted per CI job: two shards of one run may fail for one reason."""
    rows = [failed(1, "job 1"), failed(1, "job 2")]
    assert not blamed([row(0), *rows]).confirmed
    assert blamed([row(0), *rows, failed(1, "job 2", attempt=2)]).confirmed


def test_two_runs_of_one_commit_confirm() -> None:
    """Where runs are counted, two failed runs of first bad confirm it."""
    runs = [failed(1, run_id=number, run_number=number) for number in (10, 11)]
    assert blamed([row(0), *runs], count=Count.RUNS).confirmed
    before = [failed(1, run_id=8, run_number=8), row(1, run_id=9, run_number=9)]
    assert not blamed([*before, runs[0]], count=Count.RUNS).confirmed


# ---------------------------------------------------------------------- the step


def stepped(*steps: str | None) -> Blame:
    rows = [failed(place, failed_step=step) for place, step in enumerate(steps, 1)]
    return blamed([row(0), *rows])


def test_one_step_for_all_failures() -> None:
    """The common step is returned when every failure from first bad on has it."""
    assert stepped("Test", "Test", "Test").same_step == "Test"
    assert stepped("Test").same_step == "Test"


@pytest.mark.parametrize("steps", [("Test", "Build"), ("Test", None), (None, None)])
def test_no_step_where_they_differ_or_are_unknown(steps: tuple[str | None, ...]) -> None:
    """Where the steps differ or one is unknown there is no common step."""
    assert stepped(*steps).same_step is None


def test_shards_that_fail_at_different_steps() -> None:
    """All shards and attempts of a failing commit have to agree."""
    rows = [failed(1, "job 1", failed_step="Test"), failed(1, "job 2", failed_step="Build")]
    assert blamed([row(0), *rows]).same_step is None


def test_other_failures_do_not_count() -> None:
    """The failed attempt of a flaky commit and failures before first bad are not considered."""
    rows = [
        failed(0, failed_step="Build"),
        row(1),
        *(failed(place, failed_step="Test") for place in (2, 3, 4)),
        failed(5, failed_step="Build"),
        row(5, attempt=2),
    ]
    assert blamed(rows).same_step == "Test"


# ---------------------------------------------------------------------- infrastructure


@pytest.mark.parametrize(
    ("step", "infra"),
    [
        ("Set up job", True),
        ("Run actions/checkout@v4", True),
        ("Checkout", True),
        ("Check out code", True),
        ("checkout repository", True),
        ("Initialize containers", True),
        ("No runner was available", True),
        ("Test", False),
        ("Checkout tests", False),
        ("Test the set up job", False),
        ("Run actions/setup-python@v5", False),
        (None, False),
    ],
)
def test_a_step_of_the_infrastructure(step: str | None, infra: bool) -> None:
    """A failure before any code of the repository ran looks like infrastructure."""
    assert stepped(step).infra is infra


def test_the_configured_steps_replace_the_defaults() -> None:
    """Only the patterns of the configuration count, and they match in full."""
    rules = EvidenceRules(infra_steps=(Pattern("Pull.*"),))
    for step, infra in (("Pull image", True), ("Set up job", False), ("Then Pull", False)):
        assert blamed([row(0), failed(1, failed_step=step)], rules).infra is infra


def test_an_infrastructure_failure_by_the_ci() -> None:
    """A failure that the CI reports as its own is one, whatever the step."""
    assert blamed([row(0), failed(1, failed_step="Test", infra=True)]).infra


# ---------------------------------------------------------------------- suspects


@pytest.mark.parametrize(
    ("text", "suspects", "tested"),
    [("P F", 1, 1), ("P . - ? F F", 4, 1), ("P|P -|P F|F", 2, 1)],
)
def test_tested_suspects(text: str, suspects: int, tested: int) -> None:
    """Suspects with a verdict count as tested; a result of only one shard is no verdict."""
    blame = job_state(text).blame
    assert blame is not None
    assert blame.suspects is not None
    assert (len(blame.suspects), blame.tested) == (suspects, tested)


def test_unknown_suspects_are_not_counted() -> None:
    """Where last good is unknown the number of tested suspects is unknown too."""
    blame = job_state("F F").blame
    assert blame is not None
    assert blame.tested is None


def test_no_suspects_no_tested_ones() -> None:
    """Where first bad and last good are one commit there is nothing to test."""
    blame = job_state("P/F", count=Count.RUNS).blame
    assert blame is not None
    assert (blame.suspects, blame.tested) == ((), 0)


# ---------------------------------------------------------------------- together


def groups(*names: str) -> Policy:
    return Policy(
        groups=tuple(
            Group(name, f"team-{name}", "P2", match=Match(job_name=Pattern(f"{name}.*")))
            for name in names
        )
    )


def together(histories: dict[str, str], policy: Policy) -> dict[str, tuple[str, ...]]:
    jobs = evaluate_histories(histories, policy).jobs
    found = CoFailures(jobs)
    return {job.key.job_name: found.with_job(job) for job in jobs}


def test_jobs_of_other_groups_with_the_same_first_bad() -> None:
    """Only broken jobs of other groups with the same first bad are named."""
    histories = {
        "a 1": "P P F F F",
        "a 2": "P P F F F",
        "b": "P P F F F",
        "c": "P F F F F",
        "d": "P P P P P",
    }
    assert together(histories, groups("a", "b", "c", "d")) == {
        "a 1": ("ci / b",),
        "a 2": ("ci / b",),
        "b": ("ci / a 1", "ci / a 2"),
        "c": (),
        "d": (),
    }


def test_only_what_is_broken_is_named() -> None:
    """A job below its threshold gets the names of broken jobs, but is not named itself."""
    usual, slow = groups("a", "b").groups
    policy = Policy(groups=(usual, replace(slow, thresholds=Thresholds(9))))
    found = together({"a": "P F F F", "b": "P F F F"}, policy)
    assert found == {"a": (), "b": ("ci / a",)}


def test_the_number_of_named_jobs_is_limited() -> None:
    """When one commit broke very many jobs only the first of them are named."""
    histories = {"a": "P F F F"} | {
        f"b {number:03}": "P F F F" for number in range(NAMED_JOBS_LIMIT + 5)
    }
    found = together(histories, groups("a", "b"))
    assert found["a"] == tuple(f"ci / b {number:03}" for number in range(NAMED_JOBS_LIMIT))


# ---------------------------------------------------------------------- known broken


def exempt(until: float | None) -> Policy:
    (group,) = groups("a").groups
    known = KnownBroken(Match(job_name=Pattern("a")), "no runner", until)
    return Policy(groups=(group,), known_broken=(known,))


@pytest.mark.parametrize("until", [None, NOW + 1])
def test_a_known_broken_job_is_visible_and_quiet(until: float | None) -> None:
    """A known-broken job has its first bad and its reason, and its group does not fire."""
    state = evaluate_histories({"a": "P F F F"}, exempt(until))
    job = job_named(state, "a")
    assert (job.broken, job.alerting, job.known_broken) == (True, False, ("no runner", until))
    assert job.blame is not None
    assert [(group.failing, group.firing) for group in state.groups] == [(0, False)]
    assert state.changes_at == until


def test_an_exemption_that_has_ended_alerts() -> None:
    """At the end of its exemption the job alerts."""
    state = evaluate_histories({"a": "P F F F"}, exempt(NOW))
    assert (job_named(state, "a").alerting, job_named(state, "a").known_broken) == (True, None)
    assert state.groups[0].firing
    assert state == evaluate_histories({"a": "P F F F"}, Policy(groups=exempt(NOW).groups))
