"""The documented numbers of requests for a large trunk stay within their limits.

60 commits, 20 workflows, 450 jobs per commit; `make bench` prints the figures.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.github.exporter import POLL
from tests.github.request_costs import (
    LargeTrunkReader,
    counted_requests,
    follow_commits,
    measure_idle_round,
    measure_lag,
    reading_large_trunk,
    sent_requests,
)
from tests.github.rights import CLASSIC, FINE_GRAINED, Rights

pytestmark = pytest.mark.slow
COLD_START, RESTART, ONE_COMMIT, BUDGET = 60, 3, 100, 150
REST_COLD_START, REST_BUDGET = 420, 600
FOUR_COMMITS, REST_FOUR_COMMITS, REST_FOUR_COLD_START = 100, 300, 100
"""Of commits of 40 jobs, on a history of 20; `make test-all` follows ten of up to 450."""

MEDIAN_LAG, P99_LAG = 15.0, 35.0
MINUTES, HOUR_MINUTES = 30, 60

large = pytest.mark.large
one_reader = pytest.mark.xdist_group("framework")
"""Of the tests that share a reader, which takes many seconds to read the trunk."""


class ColdStart(NamedTuple):
    """The first refreshes of the whole trunk.

    Attributes:
        reader: that has read it.
        tip: the hashes of all commits, oldest first.
        newest: of those that were shown after the first refresh.
        counted: counted requests of all refreshes.
        errors: the differences from the expected jobs.
    """

    reader: LargeTrunkReader
    tip: list[str]
    newest: list[str]
    counted: int
    errors: object


@pytest.fixture(scope="module")
def cold_start() -> Iterator[ColdStart]:
    """Read the whole trunk."""
    with reading_large_trunk() as made:
        first = made.exporter.refresh()
        newest = [commit.sha for commit in made.exporter.trunk.order.commits]
        rest = made.exporter.refresh_until_idle()
        tip = [node.sha for node in made.large_trunk.commits]
        yield ColdStart(made, tip, newest, counted_requests([first, *rest]), made.errors())


@pytest.fixture(scope="module")
def read(cold_start: ColdStart) -> LargeTrunkReader:
    """Return the reader that has read the whole trunk."""
    return cold_start.reader


@one_reader
def test_a_cold_start_stays_within_its_requests_and_shows_the_tip_first(
    cold_start: ColdStart,
) -> None:
    """At most 60 counted requests; the newest ten commits are shown after the first refresh."""
    newest = cold_start.newest
    assert len(newest) >= 10
    assert newest == cold_start.tip[-len(newest) :]
    assert cold_start.counted <= COLD_START
    assert cold_start.errors == {}


@one_reader
def test_nothing_new_costs_nothing(read: LargeTrunkReader) -> None:
    """An idle refresh sends no counted request and on average at most three uncounted ones."""
    # What other tests have changed is read once more, and counted, in the hour after it.
    read.exporter.advance((HOUR_MINUTES + 1) * POLL)
    idle = read.exporter.advance(MINUTES * POLL)
    assert counted_requests(idle) == 0
    assert sent_requests(idle) <= 3 * len(idle)


@one_reader
def test_a_restart_asks_for_nothing_before_it_answers(read: LargeTrunkReader) -> None:
    """After a restart the stored results are shown; the first refresh counts at most three."""
    before = read.jobs()
    read.exporter.restart()
    assert read.jobs() == before
    assert read.errors() == {}
    assert read.exporter.refresh().counted <= RESTART


@one_reader
def test_a_commit_of_450_jobs_is_followed_closely_and_cheaply(read: LargeTrunkReader) -> None:
    """A commit costs at most 100 requests, and each failure is stored within two refreshes."""
    cost = follow_commits(read, 1)
    assert cost.requests <= ONE_COMMIT
    assert 0 < cost.worst_failure <= 2 * POLL
    assert read.errors() == {}


def test_four_commits_in_flight_stay_within_two_thirds_of_the_budget() -> None:
    """No hour uses more than 100 requests, and the median lag is at most a refresh."""
    with reading_large_trunk(commits=20, jobs=40) as made:
        made.exporter.refresh_until_idle()
        cost = follow_commits(made, 4)
        assert cost.worst_hour <= FOUR_COMMITS
        assert 0 < cost.median_lag <= POLL
        assert made.errors() == {}


@large
@pytest.mark.parametrize("jobs", [40, 100, 450])
def test_ten_commits_in_flight_stay_within_the_budget(jobs: int) -> None:
    """No hour uses more than 150 requests, and the median lag is at most a refresh."""
    with reading_large_trunk(jobs=jobs) as made:
        made.exporter.refresh_until_idle()
        cost = follow_commits(made, 10)
        assert cost.worst_hour <= BUDGET
        assert 0 < cost.median_lag <= POLL
        assert made.errors() == {}


def test_rest_alone_reads_four_commits_in_flight_within_half_of_its_budget() -> None:
    """No hour uses more than 300 requests, after at most 100 for a history of 20 commits."""
    with reading_large_trunk(commits=20, jobs=40, graphql=False) as made:
        assert counted_requests(made.read_all()) <= REST_FOUR_COLD_START
        assert follow_commits(made, 4).worst_hour <= REST_FOUR_COMMITS
        assert made.errors() == {}


@large
@pytest.mark.parametrize(
    ("jobs", "rights"),
    [
        pytest.param(40, CLASSIC, id="40-classic"),
        pytest.param(100, CLASSIC, id="100-classic"),
        pytest.param(100, FINE_GRAINED, id="100-fine-grained"),
        pytest.param(450, CLASSIC, id="450-classic"),
        pytest.param(450, FINE_GRAINED, id="450-fine-grained"),
    ],
)
def test_rest_alone_stays_within_its_budget(jobs: int, rights: Rights) -> None:
    """No hour uses more than 600 requests; without Checks, time-outs count as cancelled."""
    with reading_large_trunk(jobs=jobs, graphql=False, rights=rights) as made:
        cold = counted_requests(made.read_all())
        assert cold <= REST_COLD_START or rights is FINE_GRAINED
        cost = follow_commits(made, 10)
        assert cost.worst_hour <= REST_BUDGET
        wrong = {name.partition(": ")[0] for name in made.errors()}
        hanging = [each for each in made.large_trunk.breakages if each.hang]
        assert len(wrong) <= (len(hanging) if rights is FINE_GRAINED else 0)


@pytest.mark.parametrize("graphql", [True, False], ids=["graphql", "rest"])
def test_a_result_is_seen_within_half_a_minute_by_polling(graphql: bool) -> None:
    """At the default interval the median lag is at most 15 s, and 99 of 100 results take 35 s."""
    lag = measure_lag(graphql=graphql, minutes=20)
    assert 0 < lag.median <= MEDIAN_LAG
    assert lag.p99 <= P99_LAG


@one_reader
def test_a_re_run_of_an_old_commit_is_noticed_within_half_an_hour(read: LargeTrunkReader) -> None:
    """Reading the completed ranges of runs again finds a re-run with at most ten requests."""
    read.exporter.advance(MINUTES * POLL)  # once, pages that have shifted are counted
    read.large_trunk.rerun(20, 30, read.large_trunk.fake.now + 10)
    cost = counted_requests(read.exporter.advance(MINUTES * POLL))
    assert 0 < cost <= 10
    assert read.errors() == {}


@pytest.mark.parametrize("repositories", [120, pytest.param(1000, marks=pytest.mark.large)])
def test_a_round_of_idle_repositories_costs_a_point_for_fifty(repositories: int) -> None:
    """Reading them first, and each round, keeps the secondary limits, which the fake enforces."""
    found = measure_idle_round(repositories)
    points = -(-repositories // 50)
    assert (found.cost.counted, found.cost.sent) == (points, points)
    assert (found.read, found.refused) == (repositories, 0)
    assert found.cold_seconds <= 300 + repositories


def test_rest_alone_reads_many_repositories_for_free() -> None:
    """Without GraphQL each is asked for by itself, at most three times, and nothing counts."""
    found = measure_idle_round(60, graphql=False)
    assert found.cost.counted == 0
    assert 0 < found.cost.sent <= 3 * 60
    assert (found.read, found.refused) == (60, 0)
