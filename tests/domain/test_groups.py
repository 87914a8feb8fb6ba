"""Groups: each job is in exactly one, the first that matches."""

from dataclasses import replace

import pytest
from trunkwatch.domain.groups import (
    ALL_EVENTS,
    DAY,
    DEFAULT_GROUP,
    Events,
    Group,
    Match,
    Override,
    group_of,
    split_events,
)
from trunkwatch.domain.model import JobKey
from trunkwatch.domain.outage import Thresholds
from trunkwatch.patterns import Pattern

KEY = JobKey("o/r", "main", "inductor-nightly", "test (core)")


def pattern(text: str) -> Pattern:
    return Pattern(text)


@pytest.mark.parametrize(
    ("match", "covers"),
    [
        (Match(), True),
        (Match(repo=pattern("o/r")), True),
        (Match(repo=pattern("o")), False),
        (Match(branch=pattern("main|trunk")), True),
        (Match(workflow=pattern("inductor")), False),
        (Match(workflow=pattern("inductor.*")), True),
        (Match(job_name=pattern(r"test \(.*\)")), True),
        (Match(workflow=pattern("inductor.*"), job_name=pattern("lint")), False),
    ],
)
def test_a_match_is_full_and_of_all_parts(match: Match, covers: bool) -> None:
    """Every pattern that is given must match its part of the key in full."""
    assert match.covers(KEY) is covers


def test_the_first_group_wins() -> None:
    """Of two groups that match a job is in the first."""
    groups = [
        Group("none", "a", "P1", match=Match(repo=pattern("x"))),
        Group("first", "a", "P1"),
        Group("second", "b", "P2"),
    ]
    assert group_of(KEY, groups).name == "first"


def test_the_default_group_has_the_rest() -> None:
    """A job that no group matches is in `default`: team trunk, P3, three in a row."""
    found = group_of(KEY, [Group("none", "a", "P1", match=Match(repo=pattern("x")))])
    assert found is DEFAULT_GROUP
    assert (found.name, found.team, found.priority) == ("default", "trunk", "P3")
    assert (found.thresholds, found.failure_threshold) == (Thresholds(3, 1), 1)
    assert found.silent_after == 8 * DAY


def test_a_job_pattern_has_its_own_thresholds() -> None:
    """The first override that matches the name in full replaces the group's thresholds."""
    group = Group(
        "g",
        "t",
        "P2",
        thresholds=Thresholds(3),
        overrides=(
            Override(pattern(".*perf.*"), Thresholds(5)),
            Override(pattern(".*"), Thresholds(4)),
        ),
    )
    assert group.thresholds_of("perf smoke") == Thresholds(5)
    assert group.thresholds_of("unit") == Thresholds(4)
    assert Group("g", "t", "P2", thresholds=Thresholds(3)).thresholds_of("unit") == Thresholds(3)


NIGHTLY = Group("nightly", "n", "P2", match=Match(event=pattern("schedule")))


@pytest.mark.parametrize(
    ("event", "covers"), [("schedule", True), ("push", False), ("schedules", False), (None, False)]
)
def test_a_match_of_an_event(event: str | None, covers: bool) -> None:
    """A match with an event covers only runs of an event that it matches in full."""
    assert NIGHTLY.match.covers(KEY, event) is covers
    assert Match().covers(KEY, event)


def test_the_events_of_a_group_are_split_off() -> None:
    """Runs of an event are a job of their own where the first group that matches has an event."""
    events = ["push", "schedule"]
    rest = Group("rest", "r", "P2")
    assert split_events(KEY, [NIGHTLY, rest], events) == {"schedule": NIGHTLY}
    assert split_events(KEY, [rest, NIGHTLY], events) == {}
    assert split_events(KEY, [rest], events) == {}
    assert split_events(KEY._replace(repo="x"), [replace(NIGHTLY, match=OTHERS)], events) == {}
    assert group_of(KEY, [NIGHTLY, rest]) is rest
    assert group_of(KEY, [NIGHTLY, rest], "schedule") is NIGHTLY


OTHERS = Match(repo=pattern("o/r"), event=pattern(".*"))


def test_the_events_of_a_job() -> None:
    """A job has the runs of one event, or of all without some."""
    assert [Events(only="a").covers(event) for event in "ab"] == [True, False]
    assert [Events(without=frozenset("a")).covers(event) for event in "ab"] == [False, True]
    assert ALL_EVENTS.covers("a")
