"""The horizon: the oldest commit whose results are kept."""

import pytest
from trunkwatch.domain.model import Commit, TrunkOrder
from trunkwatch.domain.retention import horizon, is_old

from tests.domain.builders import TRUNK, row

TIMES = (10.0, 20.0, None, 40.0, 30.0, 60.0)
ORDER = TrunkOrder(TRUNK, tuple(Commit(f"{n:040x}", at) for n, at in enumerate(TIMES)))


@pytest.mark.parametrize(
    ("since", "oldest", "kept", "found"),
    [
        (0, 20.0, 1, 1),
        (0, 20.1, 1, 3),
        (0, 40.1, 1, 5),
        (0, 1000.0, 2, 4),
        (0, 1000.0, 7, 0),
        (4, 20.0, 1, 4),
        (4, 1000.0, 7, 4),
    ],
)
def test_the_horizon_is_the_first_commit_of_the_age(
    since: int, oldest: float, kept: int, found: int
) -> None:
    """It is the first commit young enough, or one of the newest, and it never goes back."""
    assert horizon(ORDER, since, oldest, kept) == found


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"completed_at": 9.9}, True),
        ({"completed_at": 10.0}, False),
        ({"created_at": 1.0, "started_at": 2.0, "completed_at": 9.0}, True),
        ({"created_at": 10.0, "completed_at": 9.0}, False),
        ({}, False),
    ],
)
def test_a_result_is_old_when_every_time_of_it_is(times: dict[str, float], expected: bool) -> None:
    """One moment that is not before the limit, or no time at all, keeps it."""
    assert is_old(row().changed(**times), 10.0) is expected
