"""Times that cannot be true are dropped, and nothing else is."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from trunkwatch.domain.claimed_times import (
    CLOCK_SKEW_SECONDS,
    LONGEST_ATTEMPT_SECONDS,
    plausible_attempt,
    plausible_order,
)
from trunkwatch.domain.model import Observation
from trunkwatch.times import AHEAD_SECONDS, EARLIEST_SECONDS, parse_time

from tests.domain.builders import HOUR, NOW, row, trunk

Times = tuple[float | None, float | None, float | None]
"""Creation, start and end."""

YEAR_ONE = parse_time("0001-01-01T00:00:00Z")
LATEST = NOW + AHEAD_SECONDS

times = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([YEAR_ONE, 0.0, EARLIEST_SECONDS, NOW, LATEST]),
    st.floats(-2 * HOUR, 2 * HOUR).map(lambda seconds: NOW + seconds),
)


def plausible(claimed: Times, attempt: int = 1) -> Times:
    created, started, completed = claimed
    reported = row(created_at=created, started_at=started, completed_at=completed, attempt=attempt)
    kept = plausible_attempt(reported, NOW)
    assert _undated(kept) == _undated(reported)
    return kept.created_at, kept.started_at, kept.completed_at


def _undated(each: Observation) -> Observation:
    return each.changed(created_at=None, started_at=None, completed_at=None)


@pytest.mark.parametrize(
    ("time", "is_plausible"),
    [
        pytest.param(YEAR_ONE, False, id="the year 1"),
        pytest.param(0.0, False, id="the epoch"),
        pytest.param(parse_time("1970-01-01T00:00:00-08:00"), False, id="a zone's 1970-01-01"),
        pytest.param(EARLIEST_SECONDS, True, id="1970-01-02"),
        pytest.param(NOW, True, id="now"),
        pytest.param(LATEST, True, id="a day ahead"),
        pytest.param(LATEST + 1, False, id="more than a day ahead"),
        pytest.param(math.inf, False, id="infinity"),
        pytest.param(math.nan, False, id="no number"),
    ],
)
def test_a_time_is_bounded(time: float, is_plausible: bool) -> None:
    """Each time of an attempt and of a commit is kept within the bounds, and dropped beyond."""
    kept = time if is_plausible else None
    assert plausible((time, None, None)) == (kept, None, None)
    assert plausible((None, time, None)) == (None, kept, None)
    assert plausible((None, None, time)) == (None, None, kept)
    order = trunk(2)
    claimed = replace(
        order, commits=(replace(order.commits[0], committed_at=time), order.commits[1])
    )
    first, second = plausible_order(claimed, NOW).commits
    assert (first, second) == (replace(order.commits[0], committed_at=kept), order.commits[1])


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        pytest.param((None, 0.0, 0.0), (None, 0.0, 0.0), id="an end at its start"),
        pytest.param((None, 0.0, -1.0), (None, 0.0, None), id="an end before its start"),
        pytest.param(
            (None, -LONGEST_ATTEMPT_SECONDS, 0.0), (None, -LONGEST_ATTEMPT_SECONDS, 0.0),
            id="35 days",
        ),
        pytest.param(
            (None, -LONGEST_ATTEMPT_SECONDS - 1, 0.0), (None, None, 0.0), id="more than 35 days"
        ),
        pytest.param(
            (0.0, -CLOCK_SKEW_SECONDS, 0.0), (0.0, -CLOCK_SKEW_SECONDS, 0.0), id="clock skew"
        ),
        pytest.param(
            (0.0, -CLOCK_SKEW_SECONDS - 1, 0.0), (0.0, None, 0.0), id="a start before creation"
        ),
        pytest.param(
            (0.0, None, -CLOCK_SKEW_SECONDS - 1), (0.0, None, None), id="an end before creation"
        ),
        pytest.param(
            (0.0, -3 * HOUR, -2 * HOUR), (0.0, None, None), id="all of it before creation"
        ),
    ],
)  # fmt: skip
def test_times_that_contradict_each_other_are_dropped(claimed: Times, kept: Times) -> None:
    """Of two times in the wrong order one is dropped; at the limit both are kept."""

    def of(times: Times) -> Times:
        created, started, completed = (None if t is None else NOW + t for t in times)
        return created, started, completed

    assert plausible(of(claimed)) == of(kept)


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        pytest.param(NOW, True, id="copied"),
        pytest.param(NOW + 1, False, id="not ended before its creation"),
        pytest.param(None, False, id="unfinished"),
    ],
)
def test_a_copy_in_a_later_attempt_keeps_its_times(end: float | None, kept: bool) -> None:
    """GitHub lists a job that is not re-run in the next attempt too, created anew."""
    start = NOW - 3 * HOUR
    assert plausible((NOW, start, end), attempt=2) == (NOW, start if kept else None, end)


@given(times, times, times, st.integers(1, 2))
@example(NOW, YEAR_ONE, NOW, 1)
def test_what_is_kept_is_consistent(
    created: float | None, started: float | None, completed: float | None, attempt: int
) -> None:
    """Whatever is reported: the kept times are in bounds and in order, and stay when read again."""
    claimed = (created, started, completed)
    kept = plausible(claimed, attempt)
    for before, after in zip(claimed, kept, strict=True):
        assert after is None or (after == before and EARLIEST_SECONDS <= after <= LATEST)
    start, end = kept[1:]
    if start is not None and end is not None:
        assert 0 <= end - start <= LONGEST_ATTEMPT_SECONDS
    assert plausible(kept, attempt) == kept


@given(st.tuples(times, times, times).filter(lambda found: found == found))
def test_an_attempt_without_such_times_is_the_same_object(claimed: Times) -> None:
    """What needs no change is not copied: a refresh reads a hundred thousand rows."""
    created, started, completed = plausible(claimed)
    good = row(created_at=created, started_at=started, completed_at=completed)
    assert plausible_attempt(good, NOW) is good
    order = trunk(3)
    assert plausible_order(order, NOW) is order
