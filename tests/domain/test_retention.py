"""The horizon: the oldest commit whose results are kept."""

import pytest
from trunkwatch.domain.model import Commit, TrunkOrder
from trunkwatch.domain.retention import horizon

from tests.domain.builders import TRUNK

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
