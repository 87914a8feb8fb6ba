"""The trunk of the source github: first parents, however GitHub lists them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.github.exporter import config_for, running_exporter
from tests.sources.github.stories import (
    HOUR,
    MINUTE,
    NAME,
    Story,
    asked,
    check_truth,
    counted,
    order_of,
    rewrites,
    sent,
    spoilt,
)


def a_side_branch(story: Story, commits: int, date: float) -> None:
    """Merge a branch whose commits all have one date."""
    repo = story.repo
    tip = repo.loose_commit("side 0", date=date, parents=[story.commits[0]])
    for number in range(1, commits):
        tip = repo.loose_commit(f"side {number}", date=date, parents=[tip])
    story.commits.append(repo.merge("merge", tip))
    story.fake.now += HOUR


def drop(*places: int) -> Callable[[Any], None]:
    """Return what removes some rows of a list."""

    def change(rows: list[Any]) -> None:
        rows[:] = [row for place, row in enumerate(rows) if place not in places]

    return change


def spoil_hash(document: Any) -> None:
    """Remove the hash of a commit, or of the first one of a list."""
    row = document[0] if isinstance(document, list) else document
    del row["sha"]


def empty_parents(rows: list[Any]) -> None:
    """Remove the parents of the first commit of a list, as if it were a root."""
    rows[0]["parents"].clear()


def test_only_first_parents_are_the_trunk(graphql: bool) -> None:
    """Merged commits are not on the trunk, though the list has them between its commits."""
    story = Story("P P P")
    a_side_branch(story, 3, date=story.fake.now - HOUR / 2)
    story.then("F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert order_of(exporter) == ["Change 0", "Change 1", "Change 2", "merge", "Change 4"]
        check_truth(exporter)


def test_a_side_branch_that_is_newer_by_date_changes_nothing(graphql: bool) -> None:
    """The dates of commits do not order them."""
    story = Story("P P P")
    a_side_branch(story, 5, date=story.fake.now + 9 * HOUR)
    story.then("F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert order_of(exporter)[-3:] == ["merge", "Change 4", "Change 5"]
        check_truth(exporter)


@pytest.mark.parametrize(
    "date", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2096-10-02T07:06:40Z"]
)
def test_commits_without_a_plausible_date_are_judged(date: str) -> None:
    """A branch whose commits all have a date that cannot be true is read as any other."""
    story = Story("P F F F")

    def redate(rows: Any) -> None:
        for row in rows:
            row["commit"]["committer"]["date"] = date

    with running_exporter(story.fake) as exporter:
        with spoilt(exporter, "/commits$", redate):
            exporter.refresh_until_idle()
        assert exporter.job(NAME).consecutive_failures == 3
        check_truth(exporter)


@pytest.mark.parametrize(("commits", "pages"), [(96, 1), (97, 2), (250, 3)])
def test_the_chain_is_followed_over_pages(commits: int, pages: int, graphql: bool) -> None:
    """Side branches may fill whole pages of the list; no more is read than the window needs."""
    story = Story("P P P")
    a_side_branch(story, commits, date=story.fake.now)
    with running_exporter(story.fake, more=", window: 4", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert order_of(exporter) == ["Change 0", "Change 1", "Change 2", "merge"]
        assert len(asked(exporter, "/commits")) == pages


def test_a_window_of_more_than_a_page_is_read(graphql: bool) -> None:
    """A hundred commits are one page; the window may be longer."""
    story = Story(". " * 130, every=MINUTE)
    with running_exporter(story.fake, more=", window: 120", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert order_of(exporter) == [f"Change {number}" for number in range(10, 130)]
        assert exporter.trunk.order.older_unread


def test_the_first_commit_of_all_ends_the_trunk(graphql: bool) -> None:
    """At the root nothing older exists; one commit short of it something does."""
    story = Story("F F F F")
    with running_exporter(story.fake, more=", window: 4", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert not exporter.trunk.order.older_unread
        assert not exporter.job("test").truncated
    with running_exporter(story.fake, more=", window: 3", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.trunk.order.older_unread
        assert exporter.job("test").truncated


def test_a_longer_window_is_read_on() -> None:
    """Read commits stay, and those that a longer window adds are read after them."""
    story = Story("P F F F F F F")
    with running_exporter(story.fake, more=", window: 3", graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert (len(order_of(exporter)), exporter.job("test").consecutive_failures) == (3, 3)
        exporter.config = config_for(exporter.server.url, "o/r", ", window: 50", graphql=False)
        exporter.restart()
        before = len(exporter.server.log)
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert not exporter.trunk.order.older_unread
        assert rewrites(exporter) == 0
        assert len(asked(exporter, "/jobs", before)) == 4, "only what was not read before"


def test_a_shorter_window_forgets_nothing_that_is_stored(graphql: bool) -> None:
    """The window is the least that a cold start reads."""
    story = Story("P F F F F F F")
    with running_exporter(story.fake, more=", window: 50", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.config = config_for(exporter.server.url, "o/r", ", window: 3", graphql=graphql)
        exporter.restart()
        exporter.refresh_until_idle()
        check_truth(exporter)
        story.then("F")
        exporter.refresh_until_idle()
        check_truth(exporter)


def test_a_force_push_rebuilds_the_trunk_and_counts_once(graphql: bool) -> None:
    """Results follow their commit, the new commits are read, and it is reported once."""
    story = Story("P P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        story.repo.force_push(story.commits[2])
        story.fake.now += 1
        story.then("F P")
        exporter.refresh_until_idle()
        assert order_of(exporter) == ["Change 0", "Change 1", "Change 2", "Change 5", "Change 6"]
        assert not exporter.job("test").broken
        exporter.advance(HOUR)
        check_truth(exporter)
        assert rewrites(exporter) == 1


def test_going_back_to_an_older_commit_is_a_force_push(graphql: bool) -> None:
    """A tip that is taken off the trunk takes its results with it, and may come back."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.repo.force_push(story.commits[2])
        exporter.advance(2 * MINUTE)
        assert (exporter.job("test").consecutive_failures, rewrites(exporter)) == (2, 1)
        check_truth(exporter)
        story.repo.force_push(story.commits[3])
        exporter.advance(2 * MINUTE)
        assert (exporter.job("test").consecutive_failures, rewrites(exporter)) == (3, 1)
        check_truth(exporter)


def test_a_history_that_is_all_new_is_read_anew(graphql: bool) -> None:
    """Nothing of the old trunk is left when the branch moves to a history of its own."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.repo.commit("new root", parents=())
        story.fake.now += 1
        story.then("P F")
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        assert order_of(exporter) == ["new root", "Change 4", "Change 5"]
        assert not exporter.trunk.order.older_unread
        check_truth(exporter)


def test_a_tip_that_is_missing_for_a_moment_is_no_force_push(graphql: bool) -> None:
    """The list is asked whether it is true before anything is believed to be gone."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.fake.now += MINUTE
        story.push()
        with spoilt(exporter, "/commits$", drop(0, 1)):
            refreshed = exporter.refresh()
        assert "does not begin with the tip" in (refreshed.state.problem or "")
        assert exporter.job("test").broken
        exporter.advance(2 * MINUTE)
        assert rewrites(exporter) == 0
        assert order_of(exporter)[-1] == "Change 4"
        check_truth(exporter)


def test_a_commit_that_is_missing_in_the_list_leaves_the_trunk_as_it_was(graphql: bool) -> None:
    """A chain with a hole is no chain."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("F F")
        with spoilt(exporter, "/commits$", drop(1)):
            refreshed = exporter.refresh()
        assert not refreshed.state.up
        assert len(order_of(exporter)) == 4
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def unreadable_parents(sha: str) -> Callable[[Any], None]:
    """Make the parents of one commit unreadable, in the list and in its own document."""

    def spoil(document: Any) -> None:
        for row in document if isinstance(document, list) else [document]:
            if row["sha"] == sha:
                row["parents"] = None

    return spoil


def test_a_commit_whose_row_cannot_be_read_is_asked_for_alone(graphql: bool) -> None:
    """Only an empty list of parents is a root; null is an answer that is not whole."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("F F")
        with spoilt(exporter, "/commits$", unreadable_parents(story.commits[4].sha)):
            assert exporter.refresh().state.up
        assert exporter.engine.snapshot.sources[0].dropped == {"commits": 1}
        check_truth(exporter)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(("spoil", "dropped"), [(spoil_hash, 1), (empty_parents, 0)])
def test_a_tip_that_cannot_be_believed_is_asked_for_alone(
    spoil: Callable[[Any], None], dropped: int, *, is_first: bool
) -> None:
    """The branch has its hash; and a root has no ancestors, of which alone the list consists."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:
        if not is_first:
            exporter.refresh_until_idle()
            story.then("F")
        with spoilt(exporter, "/commits$", spoil):
            assert exporter.refresh().state.up
        assert exporter.engine.snapshot.sources[0].dropped.get("commits", 0) == dropped
        assert len(order_of(exporter)) == len(story.commits)
        check_truth(exporter)


def test_without_any_hash_of_the_tip_nothing_is_read() -> None:
    """An older commit of the list may be one of a side branch."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:
        with spoilt(exporter, "/commits$|/commits/main$", spoil_hash, times=2):
            assert not exporter.refresh().state.up
        assert exporter.refresh().state.up
        check_truth(exporter)


def test_an_order_with_a_gap_is_no_order(graphql: bool) -> None:
    """While a commit cannot be read at all, the order stays as it was: the commits around it must
    not seem adjacent.
    """
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("F F")
        spoil = unreadable_parents(story.commits[4].sha)
        with spoilt(exporter, "/commits(/[0-9a-f]+)?$", spoil, times=2):
            assert not exporter.refresh().state.up
        assert len(order_of(exporter)) == 4
        exporter.advance(2 * MINUTE)
        assert rewrites(exporter) == 0
        check_truth(exporter)


def test_the_first_chain_ends_with_a_commit_that_cannot_be_read(graphql: bool) -> None:
    """The newer commits count, and the order reports that there are older ones."""
    story = Story("P F P F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        spoil = unreadable_parents(story.commits[2].sha)
        with spoilt(exporter, "/commits(/[0-9a-f]+)?$", spoil, times=2):
            exporter.refresh()
        order = exporter.trunk.order
        assert [commit.sha for commit in order.commits] == [c.sha for c in story.commits[2:]]
        assert order.older_unread
        assert exporter.job("test").consecutive_failures == 2


def test_commits_that_shift_while_they_are_read_are_read_once(graphql: bool) -> None:
    """A push between two pages moves all rows on by one; none is lost or doubled."""
    story = Story(". " * 150, every=MINUTE)
    with running_exporter(story.fake, more=", window: 140", graphql=graphql) as exporter:
        pages: list[list[Any]] = []

        def shift(rows: list[Any]) -> None:
            pages.append(list(rows))
            if len(pages) == 2:
                rows[:] = [pages[0][-1], *rows[:-1]]

        with spoilt(exporter, "/commits$", shift, times=2):
            exporter.refresh_until_idle()
        assert len(pages) == 2
        assert order_of(exporter) == [f"Change {number}" for number in range(10, 150)]


def test_nothing_new_is_free(graphql: bool) -> None:
    """As long as nothing happens all answers are 304, about two in a refresh."""
    story = Story("P F K F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        done = exporter.advance(30 * MINUTE)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)
        assert {entry.status for entry in exporter.server.log[-60:]} == {304}


def test_a_new_commit_without_results_costs_one_request(graphql: bool) -> None:
    """Only the list of commits has changed; GraphQL is asked for the suites of the new one."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        story.push()
        assert counted([exporter.refresh()]) == 1 + graphql
        assert len(order_of(exporter)) == 5
