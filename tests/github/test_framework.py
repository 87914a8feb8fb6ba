"""The numbers that are promised for a trunk of the size of a large framework's.

60 commits, 20 workflows, 450 jobs a commit; `make bench` prints the figures themselves.
"""

from collections.abc import Iterator

import pytest

from tests.github.measures import Course, counted, course, follow, sent
from tests.github.player import POLL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("framework")]
COLD_START, ONE_COMMIT, BUDGET = 420, 300, 2500
MINUTES = 30


@pytest.fixture(scope="module")
def read() -> Iterator[Course]:
    """A large trunk that has been read to its end."""
    with course() as made:
        made.player.refresh_to_the_end()
        yield made


def test_a_cold_start_stays_within_its_requests_and_shows_the_tip_first() -> None:
    """At most 420 counted requests; the newest ten commits are shown after the first of them."""
    with course() as made:
        first = made.player.refresh()
        newest = [commit.sha for commit in made.player.trunk.order.commits]
        tip = [node.sha for node in made.framework.commits]
        assert len(newest) >= 10
        assert newest == tip[-len(newest) :]
        assert made.player.trunk.order.older_unread
        rest = made.player.refresh_to_the_end()
        assert counted([first, *rest]) <= COLD_START
        assert made.errors() == {}


def test_nothing_new_costs_nothing(read: Course) -> None:
    """No counted request and at most three that are sent, as a mean over thirty refreshes."""
    idle = read.player.pass_time(MINUTES * POLL)
    assert counted(idle) == 0
    assert sent(idle) <= 3 * len(idle)


def test_a_restart_asks_for_nothing_before_it_answers(read: Course) -> None:
    """What is stored is judged; the first requests afterwards are free."""
    before = read.jobs()
    read.player.restart()
    assert read.jobs() == before
    assert read.errors() == {}
    assert counted(read.player.pass_time(5 * POLL)) == 0


def test_a_commit_of_450_jobs_is_followed_closely_and_cheaply(read: Course) -> None:
    """At most 300 counted requests in its hour; no failure is seen later than two refreshes on."""
    cost = follow(read, 1)
    assert cost.requests <= ONE_COMMIT
    assert 0 < cost.worst_failure <= 2 * POLL
    assert read.errors() == {}


def test_ten_commits_in_flight_stay_within_the_budget(read: Course) -> None:
    """Never more than half of the quota in any hour, and a median lag of three minutes at most."""
    cost = follow(read, 10)
    assert cost.worst_hour <= BUDGET
    assert 0 < cost.median_lag <= 180
    assert read.errors() == {}


def test_a_re_run_of_an_old_commit_is_noticed_within_half_an_hour(read: Course) -> None:
    """A closed part of the list of runs tells of it for a handful of requests."""
    read.framework.rerun(20, 30, read.framework.world.now + 10)
    cost = counted(read.player.pass_time(MINUTES * POLL))
    assert 0 < cost <= 10
    assert read.errors() == {}
