"""The state of a trunk over all its jobs: groups, mass breakage, green commits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.branch import (
    Green,
    GreenTally,
    MassBreakage,
    Tally,
    group_states,
    mass_breakage,
)
from trunkwatch.domain.columns import Count
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    TRUNK,
    evaluate_histories,
    job_named,
    job_state,
    place_of,
    trunk,
)
from tests.domain.scripts import bounded, thresholds, verdict_texts


def mass(*histories: str, policy: Policy | None = None) -> bool:
    named = {f"job-{number}": text for number, text in enumerate(histories)}
    return evaluate_histories(named, policy).mass_breakage is not None


def green(histories: dict[str, str], *required: str) -> tuple[int, int | None]:
    """Return the distance to the newest green commit, and its index."""
    patterns = tuple(Pattern(pattern) for pattern in required)
    state = evaluate_histories(histories, Policy(green={TRUNK: patterns}))
    assert state.green is not None
    return state.green.commits_since, place_of(state.green.commit)


# ---------------------------------------------------------------------- groups


def test_a_group_counts_its_broken_jobs() -> None:
    """A group has its longest streak and the number of its broken jobs."""
    state = evaluate_histories({"a": "P F F F", "b": "P F F F", "c": "P P P F", "d": "P P P P"})
    (group,) = state.groups
    assert (group.group.name, group.consecutive_failures, group.failing) == ("default", 3, 2)


@pytest.mark.parametrize(("threshold", "firing"), [(1, True), (2, True), (3, False)])
def test_a_group_fires_at_its_threshold(threshold: int, firing: bool) -> None:
    """With two broken jobs a group fires at a threshold of two and not at three."""
    policy = Policy(groups=(Group("g", "t", "P2", failure_threshold=threshold),))
    state = evaluate_histories({"a": "P F F F", "b": "P F F F", "c": "P P P P"}, policy)
    assert state.groups[0].firing is firing


def test_known_broken_jobs_are_left_out() -> None:
    """A known-broken job stays broken and visible, and does not make its group fire."""
    exempt = KnownBroken(Match(job_name=Pattern("a")), "being replaced")
    state = evaluate_histories({"a": "P F F F", "b": "P P F F"}, Policy(known_broken=(exempt,)))
    assert job_named(state, "a").broken
    assert job_named(state, "a").known_broken == ("being replaced", None)
    assert (state.groups[0].failing, state.groups[0].firing) == (0, False)
    assert state.groups[0].consecutive_failures == 3


def test_groups_are_listed_by_name() -> None:
    """Exactly the groups with a job are listed, by name."""
    groups = tuple(
        Group(name, "t", "P2", match=Match(job_name=Pattern(pattern)))
        for name, pattern in [("z", "a"), ("unused", "none")]
    )
    state = evaluate_histories({"a": "P", "b": "P"}, Policy(groups=groups))
    assert [group.group.name for group in state.groups] == ["default", "z"]


# ---------------------------------------------------------------------- mass breakage


def test_four_jobs_must_have_answered() -> None:
    """Three broken jobs of three are no mass breakage; three of four are."""
    assert not mass("P F", "P F", "P F")
    assert mass("P F", "P F", "P F", "P P")


def test_more_than_half_must_have_broken() -> None:
    """Half of the jobs are no mass breakage; one more is."""
    assert not mass("P F", "P F", "P P", "P P")
    assert not mass("P F", "P F", "P F", "P P", "P P", "P P")
    assert mass("P F", "P F", "P F", "P P", "P P")


def test_only_answers_at_the_commit_count() -> None:
    """Jobs without a verdict at the commit do not count on either side."""
    assert mass("P F", "P F", "P F", "P P", "P .", "P ?", "P -")
    assert not mass("P F", "P F", "P F", "P .")


def test_it_must_have_been_one_commit() -> None:
    """Jobs that broke at different commits are no mass breakage."""
    assert not mass("P F F", "P F F", "P P F", "P P F")


def test_a_pass_must_stand_just_before() -> None:
    """A job without a PASS before it, or with a flake between, was not broken by this commit."""
    assert not mass("P F", "P F", ". F", "P P")
    assert not mass("P F", "P F", "K F", "P P")
    assert mass("P . F", "P F F", "P . F", "P F F", "P P F")


def test_it_fires_on_its_first_commit() -> None:
    """One FAIL of each job is enough, before any job reaches its threshold."""
    histories = {f"job-{n}": "P F" for n in range(4)}
    state = evaluate_histories(histories)
    assert state.mass_breakage
    assert not any(job.broken for job in state.jobs)


def test_it_holds_while_they_have_not_passed() -> None:
    """A mass breakage continues over further FAILs and commits without a verdict."""
    assert mass("P F F", "P F .", "P F ?", "P P P")


def test_it_ends_when_half_have_recovered() -> None:
    """A mass breakage continues while more than half fail, and ends once half have passed."""
    assert mass("P F F", "P F F", "P F F", "P F P")
    assert not mass("P F F", "P F F", "P F P", "P F P")


def test_a_flake_since_ends_a_jobs_part() -> None:
    """A job that was flaky since no longer counts as broken by the commit."""
    assert not mass("P F F", "P F F", "P F K", "P P P")


def test_a_broken_job_still_counts() -> None:
    """A job still counts after its outage has opened."""
    policy = Policy(groups=(Group("g", "t", "P2", thresholds=Thresholds(failures_to_open=2)),))
    assert mass("P F F", "P F F", "P F F", "P P P", policy=policy)


def test_an_older_outage_does_not_count() -> None:
    """With M = 2 a job that fails again in its outage broke at the outage's first bad."""
    policy = Policy(groups=(Group("g", "t", "P2", thresholds=Thresholds(2, passes_to_close=2)),))
    assert not mass("P F F P F", "P F F P F", "P F F P F", "P P P P P", policy=policy)


# ---------------------------------------------------------------------- green


def test_green_needs_every_required_job() -> None:
    """The newest commit is green on which all required jobs are PASS or FLAKY."""
    histories = {"a": "P P P F", "b": "P K F P", "c": "F F F F"}
    assert green(histories, "ci / a", "ci / b") == (2, 1)
    assert green(histories, "ci / a") == (1, 2)
    assert green({"a": "P P"}, "ci / a") == (0, 1)


@pytest.mark.parametrize("letter", ["F", "?", "-", "s", "."])
def test_anything_else_is_not_green(letter: str) -> None:
    """A commit on which a required job has no pass is not green."""
    assert green({"a": f"P {letter}", "b": "P P"}, "ci / a", "ci / b") == (1, 0)


def test_a_pattern_may_cover_many_jobs() -> None:
    """All jobs that a pattern matches and that ran there must be green; one that did not run may
    be missing as long as another one did."""
    assert green({"a-1": "P P", "a-2": "P F"}, "ci / a.*") == (1, 0)
    assert green({"a-1": "P P", "a-2": "P ."}, "ci / a.*") == (0, 1)


def test_a_pattern_without_a_job_is_never_green() -> None:
    """A required pattern without a matching job makes no commit green."""
    assert green({"a": "P P P"}, "ci / a", "lint / .*") == (3, None)
    assert green({"a": "P P P"}, "a") == (3, None)


def test_green_is_only_where_it_is_configured() -> None:
    """Without required jobs for this trunk there is no distance to green."""
    elsewhere = Policy(green={Trunk("o/r", "release"): (Pattern(".*"),)})
    assert evaluate_histories({"a": "P"}, elsewhere).green is None


def test_green_of_no_commits() -> None:
    """A trunk without commits is zero commits from green, and has no green commit."""
    found = GreenTally((Pattern(".*"),)).newest(TrunkOrder(TRUNK, ()))
    assert found == Green(0, None)


def test_the_green_commit_before_dropped_columns_is_kept() -> None:
    """Columns before a commit may be dropped; the newest green one of them still counts."""
    tally, order = GreenTally((Pattern(".*"),)), trunk(4)
    tally.replace(None, job_state("P P F F"))
    assert tally.newest(order) == Green(2, order.commits[1])
    tally.close_before(3, len(order.commits))
    assert tally.newest(order) == Green(2, order.commits[1])
    assert (tally.since, tally.older) == (3, 1)


# ---------------------------------------------------------------------- counts


def test_a_job_answers_once_at_a_commit() -> None:
    """A job with several runs at one commit counts once there."""
    policy = Policy(groups=(Group("g", "t", "P2", count=Count.RUNS),))
    assert mass("P F", "P F", "P F", "P P/P", "P P/P", policy=policy)
    assert not mass("P F", "P F", "P P/P", "P P/P", policy=policy)


def _named(name: str, job: JobState) -> JobState:
    return replace(job, key=job.key._replace(job_name=name))


def test_a_mass_breakage_is_counted_on_as_jobs_recover() -> None:
    """It is over once half of the jobs have passed; a job that is added counts there too."""
    jobs = [_named(str(number), job_state("P F")) for number in range(4)]
    tally = Tally(jobs)
    assert tally.mass_breakage() == MassBreakage(1, 4)
    for job, left in zip(jobs, (3, None), strict=False):
        tally.replace(job, _named(job.key.job_name, job_state("P F P")))
        assert tally.mass_breakage() == (left and MassBreakage(1, left))
    tally.replace(None, _named("new", job_state("P F")))
    assert tally.mass_breakage() == MassBreakage(1, 3)


@bounded
@given(st.lists(st.tuples(verdict_texts(), st.booleans()), max_size=8), thresholds())
def test_removed_jobs_are_not_counted(drawn: list[tuple[str, bool]], limits: Thresholds) -> None:
    """The counts after additions and removals are those of the remaining jobs."""
    groups = [Group(name, "t", "P2", limits) for name in ("b", "a")]
    jobs = [
        (_named(f"job-{number}", job_state(text, group=groups[len(text) % 4 // 2])), stays)
        for number, (text, stays) in enumerate(drawn)
    ]
    tally = Tally(job for job, _ in jobs)
    for job, stays in jobs:
        if not stays:
            tally.replace(job, None)
    staying = [job for job, stays in jobs if stays]
    assert tally.mass_breakage() == mass_breakage(staying)
    assert tally.groups(TRUNK) == group_states(TRUNK, staying)
    of_group = {name: [job for job in staying if job.group.name == name] for name in "ab"}
    assert [
        (each.group.name, each.consecutive_failures, each.failing, each.firing)
        for each in tally.groups(TRUNK)
    ] == [
        (
            name,
            max(job.consecutive_failures for job in members),
            sum(job.failing for job in members),
            any(job.alerting for job in members),
        )
        for name, members in of_group.items()
        if members
    ]
