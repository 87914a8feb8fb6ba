"""Cold starts, restarts and downtimes of the source github."""

from pathlib import Path

import pytest
from trunkwatch.store import SqliteStore

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import FakeGitHub
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    HOUR,
    MINUTE,
    Story,
    asked,
    check_truth,
    counted,
    order_of,
    reading,
    sent,
)

COMMITS = 150
"""More commits than two batches read; each commit costs a request."""

WINDOW = ", window: 200"


def long_story(letters: str = "F") -> Story:
    return Story(" ".join((letters * COMMITS)[:COMMITS]), every=10 * MINUTE)


def asks_at_once(exporter: SimulatedExporter) -> bool:
    return exporter.engine.retry_after("gh") == 0.0


def test_the_newest_commits_are_shown_first() -> None:
    """After the first batch the tip is correct, and older commits are marked as unread."""
    story = long_story()
    with running_exporter(story.fake, more=WINDOW, graphql=False) as exporter:
        first = exporter.refresh()
        job = exporter.job("test")
        assert order_of(exporter)[-1] == f"Change {COMMITS - 1}"
        assert 40 <= job.consecutive_failures <= 60
        assert (job.broken, job.truncated, exporter.trunk.order.older_unread) == (True, True, True)
        assert first.state.unread == COMMITS - job.consecutive_failures
        assert asks_at_once(exporter)
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == COMMITS
        assert not exporter.job("test").truncated
        assert not asks_at_once(exporter)
        check_truth(exporter)


def test_the_unread_count_falls_to_zero() -> None:
    """No batch raises the number of unread commits, or sends too many requests."""
    story = long_story("PFFFKP")
    with running_exporter(story.fake, more=WINDOW, graphql=False) as exporter:
        done = exporter.refresh_until_idle()
        unread = [refreshed.state.unread or 0 for refreshed in done]
        assert unread == sorted(unread, reverse=True)
        assert unread[-1] == 0
        assert len(set(unread)) >= 3
        assert max(refreshed.sent for refreshed in done) <= 70


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_one_that_is_killed_goes_on_where_it_was(tmp_path: Path, batches: int) -> None:
    """A restart after any batch repeats only the requests whose results were not stored."""
    story = long_story("PFFFKP")
    with running_exporter(story.fake, more=WINDOW, graphql=False) as exporter:
        exporter.store = SqliteStore(str(tmp_path / "t.db"))
        exporter.restart()
        for _ in range(batches):
            exporter.refresh()
        # This one is killed before anything of it is stored.
        lost = len(exporter.server.log)
        exporter.source.refresh(exporter.engine.state("gh"))
        lost = len(asked(exporter, "/jobs", lost))
        exporter.store.close()
        exporter.store = SqliteStore(str(tmp_path / "t.db"))
        exporter.restart()
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert not exporter.trunk.order.older_unread
        assert len(asked(exporter, "/jobs")) == COMMITS + lost
        exporter.store.close()


@pytest.mark.slow
def test_a_restart_costs_nothing_and_shows_what_was_known(graphql: bool) -> None:
    """After a restart all results exist before the first request, and requests are nearly free."""
    story = long_story("PPFF")
    with running_exporter(story.fake, more=WINDOW, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        exporter.restart()
        check_truth(exporter)
        done = exporter.advance(HOUR)
        # The states of workflows, and the pages whose ETags were only kept in memory.
        assert counted(done) <= 3
        assert sent(done) <= 3 * len(done)
        check_truth(exporter)


def test_the_tip_is_in_flight_at_a_cold_start(graphql: bool) -> None:
    """A commit in flight is pending, and the older ones are read all the same."""
    story = Story("P F F F")
    commit = story.push()
    story.run(commit, "F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.fake.now += 2 * MINUTE
        exporter.refresh_until_idle()
        assert (exporter.job("test").consecutive_failures, exporter.job("test").pending) == (3, 1)
        check_truth(exporter)
        exporter.advance(7 * MINUTE)
        assert exporter.job("test").consecutive_failures == 4
        check_truth(exporter)


def test_a_trunk_without_results_is_no_trouble(graphql: bool) -> None:
    """It has an order and no jobs."""
    with running_exporter(Story(". . .").fake, graphql=graphql) as exporter:
        refreshed = exporter.refresh_until_idle()[-1]
        assert (refreshed.state.up, refreshed.state.unread) == (True, 0)
        assert len(order_of(exporter)) == 3
        assert exporter.jobs() == {}


def test_commits_older_than_what_github_keeps_are_not_waited_for(graphql: bool) -> None:
    """A quiet trunk's window may reach back for years."""
    story = Story("P P", every=200 * 24 * HOUR)
    story.every = HOUR
    story.then("F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        refreshed = exporter.refresh_until_idle()[-1]
        assert (refreshed.state.up, refreshed.state.unread) == (True, 0)
        assert exporter.job("test").broken
        assert not asks_at_once(exporter)


# ---------------------------------------------------------------------- after a downtime


@pytest.mark.slow
@pytest.mark.parametrize("others", [0, 4])
def test_missed_commits_are_read_oldest_first(others: int) -> None:
    """Newer failures never count as a streak while an unread pass may lie between them."""
    story = Story("P P P", fake=FakeGitHub(limit=60))
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        for letter in "FPFFPFPFP" * 4:
            commit = story.push()
            story.run(commit, letter)
            for number in range(others):
                name = Workflow(f"w{number}", f".github/workflows/{number}.yml")
                story.jobs(commit, [Job(f"{number}")], name)
            story.fake.now += 10 * MINUTE
        partly = 0
        for _ in range(150):
            exporter.refresh()
            assert not exporter.job("test").broken
            partly += bool(exporter.engine.snapshot.sources[0].unread)
            exporter.fake.now += MINUTE
        assert partly > 10, "the budget is not enough for all of it at once"
        check_truth(exporter)
        assert exporter.engine.snapshot.sources[0].unread == 0


def test_an_outage_of_a_downtime_is_found(graphql: bool) -> None:
    """An outage that began during a downtime is reported with its first bad commit."""
    story = Story("P P P")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("P P F F F F")
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        check_truth(exporter)


def test_a_downtime_longer_than_the_window_is_a_cold_start(graphql: bool) -> None:
    """The gap is not read, and the streak is marked as truncated."""
    story = Story("P F F F")
    with running_exporter(story.fake, more=", window: 5", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("F F F F F F F F")
        exporter.refresh_until_idle()
        job = exporter.job("test")
        assert (job.consecutive_failures, job.broken, job.truncated) == (5, True, True)
        story.then("P")
        exporter.refresh_until_idle()
        assert not exporter.job("test").broken


@pytest.mark.slow
def test_repeated_restarts_read_no_commit_twice() -> None:
    """The runs and the ranges of the list that were read are stored."""
    story = Story()
    with running_exporter(story.fake, graphql=False) as exporter:
        for _ in range(12):
            commit = story.push()
            for number in range(15):
                name = Workflow(f"w{number}", f".github/workflows/{number}.yml")
                story.jobs(commit, [Job(f"{number}")], name)
            story.fake.now += 10 * MINUTE
            exporter.refresh_until_idle()
            exporter.restart()
        check_truth(exporter)
        assert len(asked(exporter, "/check-runs")) <= 12 * 3


@pytest.mark.slow
def test_two_repositories_are_read_independently() -> None:
    """Each repository has its own state, and neither waits for the other."""
    one = Story("P F F F")
    other = Story("P P F", fake=one.fake, repo="o/s")
    section = "repos: [o/r, o/s], branches: [main], token_env: STANDIN_TOKEN"
    with reading(one.fake, section) as exporter:
        exporter.refresh_until_idle()
        states = {
            state.trunk.repo: state.jobs[0].consecutive_failures
            for state in exporter.engine.snapshot.trunks
        }
        assert states == {"o/r": 3, "o/s": 1}
        other.then("F F")
        exporter.refresh_until_idle()
        states = {
            state.trunk.repo: state.jobs[0].consecutive_failures
            for state in exporter.engine.snapshot.trunks
        }
        assert states == {"o/r": 3, "o/s": 3}
        exporter.refresh()
        done = exporter.advance(HOUR)
        assert counted(done) == 0
        assert sent(done) <= 2 * 3 * len(done)
