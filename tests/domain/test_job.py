"""One job, from its rows to its state."""

import pytest
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.groups import Group, Override
from trunkwatch.domain.job import JobRules, JobState, evaluate_job
from trunkwatch.domain.model import JobKey, Observation
from trunkwatch.domain.outage import Thresholds
from trunkwatch.patterns import Pattern
from trunkwatch.times import parse_time

from tests.domain.builders import (
    HOUR,
    NOW,
    RULES,
    TRUNK,
    job_state,
    place_of,
    row,
    trunk,
    unfinished,
)

KEY = JobKey(*TRUNK, "ci", "job")
GROUP = Group("g", "team-g", "P2")


def of_rows(*rows: Observation, commits: int = 5) -> JobState:
    return evaluate_job(KEY, rows, JobRules(GROUP, trunk(commits), RULES, NOW))


def places(state: JobState) -> tuple[int | None, int | None, list[int | None] | None]:
    """Return the places of first bad, last good and the suspects."""
    blame = state.blame
    assert blame is not None
    suspects = None if blame.suspects is None else [place_of(c) for c in blame.suspects]
    return place_of(blame.first_bad), place_of(blame.last_good), suspects


def test_the_incident() -> None:
    """A job broken for three commits in a row has first bad, last good and the suspect."""
    state = job_state("P P F F F")
    assert state.broken
    assert (state.consecutive_failures, state.failures_to_open, state.failures_in_outage) == (
        3,
        3,
        3,
    )
    assert places(state) == (2, 1, [2])


def test_quiet_below_the_threshold() -> None:
    """Two failures in a row are no outage, but the streak has its first bad and suspects."""
    state = job_state("P . F F")
    assert (state.broken, state.consecutive_failures, state.failures_in_outage) == (False, 2, 0)
    assert places(state) == (2, 0, [1, 2])


def test_untested_commits_are_suspects() -> None:
    """Suspects are all commits after last good up to first bad, tested or not."""
    assert places(job_state("P . - ? F F F")) == (4, 0, [1, 2, 3, 4])


def test_an_unknown_last_good_names_no_suspects() -> None:
    """Without a PASS before it, or with a flake between, last good and suspects are unknown."""
    assert places(job_state("F F F")) == (0, None, None)
    assert places(job_state("P K F F F")) == (2, None, None)


def test_the_outage_is_described_before_the_streak() -> None:
    """While an outage is open, first bad and last good are those of the outage, not the streak."""
    state = job_state("P F F F K F")
    assert (state.consecutive_failures, state.stopped_by) == (1, "flaky")
    assert places(state) == (1, 0, [1])
    assert job_state("P F F F K").failures_in_outage == 3


def test_no_failure_has_no_blame() -> None:
    """Without an outage and without a streak there is no blame."""
    assert job_state("P F F F P").blame is None
    assert job_state("P F F K").blame is None


def test_first_bad_and_last_good_may_be_one_commit() -> None:
    """Counted by runs, first bad and last good may be one commit, without suspects."""
    state = job_state("P/P/F/F/F", count=Count.RUNS)
    assert state.broken
    assert places(state) == (0, 0, [])


def test_runs_and_commits_count_differently() -> None:
    """Three failing runs of one commit are an outage by runs, and one FAIL by commits."""
    assert job_state("P F/F/F", count=Count.RUNS).broken
    assert not job_state("P F/F/F", count=Count.COMMITS).broken


def test_the_earliest_failing_run_is_named() -> None:
    """Start, URL, step and annotations are those of the earliest failing run at first bad."""
    early = row(
        1, conclusion="failure", run_id=8, started_at=5.0, url="early", failed_step="T",
        infra=True, annotations=("said",),
    )  # fmt: skip
    late = row(1, conclusion="failure", run_id=7, started_at=6.0, url="late", failed_step="B")
    cancelled = row(1, conclusion="cancelled", run_id=6, started_at=4.0, url="cancelled")
    blame = of_rows(late, cancelled, early, row(0)).blame
    assert blame is not None
    assert (blame.broken_since, blame.url, blame.failed_step, blame.infra) == (
        5.0,
        "early",
        "T",
        True,
    )
    assert (blame.run, blame.annotations) == (early, ("said",))


@pytest.mark.parametrize(
    ("text", "older_unread", "truncated"),
    [
        ("F F", True, True),
        ("F F", False, False),
        ("P F", True, False),
        ("K F", True, False),
        (". -", True, False),
    ],
)
def test_a_streak_may_be_longer_than_known(text: str, older_unread: bool, truncated: bool) -> None:
    """A streak is truncated if it reaches the oldest commit read and older ones exist."""
    assert job_state(text, older_unread=older_unread).truncated is truncated


def test_counts_since_the_newest_pass() -> None:
    """Pending and flaky columns are counted from the newest PASS on."""
    state = job_state("? K P ? F K ?")
    assert (state.pending, state.flaky) == (2, 1)
    assert (job_state("? K ?").pending, job_state("? K ?").flaky) == (2, 1)


@pytest.mark.parametrize(
    ("text", "last"), [("P F", "FAIL"), ("F P - ?", "PASS"), ("P K .", "FLAKY"), ("- ?", None)]
)
def test_the_newest_verdict(text: str, last: str | None) -> None:
    """The last verdict is the newest of PASS, FAIL and FLAKY."""
    assert job_state(text).last_verdict == last


def test_when_it_last_answered() -> None:
    """The newest verdict and the newest success end when their last deciding run ended."""
    state = of_rows(
        row(0, started_at=1.0, completed_at=10.0),
        row(0, run_id=9, started_at=2.0, completed_at=20.0),
        row(1, conclusion="failure", completed_at=30.0),
        row(1, conclusion="cancelled", run_id=8, completed_at=99.0),
        unfinished(2, created_at=NOW),
    )
    assert (state.last_success_at, state.last_verdict_at) == (20.0, 30.0)


def test_a_run_without_times_ended_with_its_commit() -> None:
    """Without an end time of a run the commit's time is used."""
    committed = trunk(5).commits[3].committed_at
    assert of_rows(row(3)).last_success_at == committed
    assert committed == parse_time("2026-03-01T10:00:00Z")


def test_without_answers_there_are_no_times() -> None:
    """A job without a verdict has no last verdict, no last success and no duration."""
    state = job_state("- ?")
    assert state.last_verdict_at is state.last_success_at is state.duration is None


def test_the_longest_shard_is_the_duration() -> None:
    """The duration is the newest verdict's longest deciding run; negative ones are ignored."""
    state = of_rows(
        row(0, started_at=0.0, completed_at=900.0),
        row(1, job="a", started_at=0.0, completed_at=60.0),
        row(1, job="b", started_at=10.0, completed_at=100.0),
        row(1, job="c", started_at=500.0, completed_at=1.0),
        row(1, job="d", completed_at=9.0),
    )
    assert state.duration == 90.0
    assert of_rows(row(1, started_at=5.0, completed_at=4.0)).duration is None


def test_overrides_are_of_one_job() -> None:
    """The threshold is that of the group's pattern for this job."""
    group = Group(
        "g", "t", "P2", overrides=(Override(Pattern("job"), Thresholds(failures_to_open=5)),)
    )
    assert not job_state("P F F F F", group=group).broken
    assert job_state("P F F F F F", group=group).broken
    assert job_state("P F", group=group).failures_to_open == 5


def test_time_alone_changes_a_pending_job() -> None:
    """A job changes when its first pending row expires, and never without a pending row."""
    state = of_rows(unfinished(1, created_at=NOW - HOUR), unfinished(2, created_at=NOW))
    assert state.changes_at == NOW - HOUR + PENDING_LIMIT
    assert job_state("P F").changes_at is None


def test_known_broken_jobs_do_not_alert() -> None:
    """A broken job counts towards its group unless it is known-broken."""
    assert job_state("P F F F").alerting
    assert not job_state("P F F").alerting


def nights(*conclusions: str) -> list[Observation]:
    """Return a scheduled run on each of the newest commits, beside a green push on every commit."""
    scheduled = [
        row(5 - len(conclusions) + place, conclusion=each, run_id=50 + place, event="schedule")
        for place, each in enumerate(conclusions)
    ]
    return [*(row(place) for place in range(5)), *scheduled]


@pytest.mark.parametrize(
    ("conclusions", "hidden"),
    [
        ("failure failure", []),
        ("failure failure failure", [("schedule", 3)]),
        ("failure failure failure cancelled", [("schedule", 3)]),
        ("failure failure failure success", []),
    ],
)
def test_failures_that_another_event_hides(conclusions: str, hidden: list[tuple[str, int]]) -> None:
    """Runs of one event that would have opened an outage alone are hidden by green ones."""
    state = of_rows(*nights(*conclusions.split()))
    assert not state.broken
    assert [tuple(each) for each in state.hidden] == hidden


def test_nothing_is_hidden_in_an_outage() -> None:
    """An open outage hides nothing, nor do the failures of a job with one event."""
    broken = [row(place, conclusion="failure", run_id=90) for place in range(5)]
    red = [each.changed(event="schedule", run_id=91) for each in broken]
    assert of_rows(*broken, *red).hidden == ()
    repaired = [row(place, conclusion="failure") for place in range(4)]
    assert of_rows(*repaired, row(4)).hidden == ()


@pytest.mark.parametrize(
    ("text", "mostly"),
    [
        (f"{'K ' * 11}{'P ' * 9}. ? s", True),
        (f"{'K ' * 10}{'P ' * 10}. ? s", False),
        (f"{'K ' * 12}{'P ' * 10}P", False),
        (f"{'K ' * 10}P", False),
        (f"{'K ' * 11}{'s ' * 988}s", True),
        (f"{'K ' * 11}{'s ' * 989}s", False),
    ],
    ids=["11 of 20", "10 of 20", "9 of the newest 20", "10 of 11", "11 of 1,000", "10 of 1,000"],
)
def test_a_job_that_is_mostly_flaky(text: str, mostly: bool) -> None:
    """A job is mostly flaky if more than half of its newest 20 verdicts are, and no fewer count;
    of a long history its newest 1,000 columns are read.
    """
    assert job_state(text).mostly_flaky is mostly
