"""The trunk of the source github: first parents, however GitHub lists them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.github.player import config_of, playing
from tests.sources.github.stories import (
    HOUR,
    MINUTE,
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
    """Merge a branch whose commits all say that they are of one date."""
    repo = story.repo
    tip = repo.loose_commit("side 0", date=date, parents=[story.commits[0]])
    for number in range(1, commits):
        tip = repo.loose_commit(f"side {number}", date=date, parents=[tip])
    story.commits.append(repo.merge("merge", tip))
    story.world.now += HOUR


def drop(*places: int) -> Callable[[Any], None]:
    """Return what removes some rows of a list."""

    def change(rows: list[Any]) -> None:
        rows[:] = [row for place, row in enumerate(rows) if place not in places]

    return change


def test_only_first_parents_are_the_trunk() -> None:
    """What was merged is no commit of the trunk, though the list has it between those."""
    story = Story("P P P")
    a_side_branch(story, 3, date=story.world.now - HOUR / 2)
    story.then("F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        assert order_of(player) == ["Change 0", "Change 1", "Change 2", "merge", "Change 4"]
        check_truth(player)


def test_a_side_branch_that_is_newer_by_date_changes_nothing() -> None:
    """Dates are what people's clocks say; they order nothing."""
    story = Story("P P P")
    a_side_branch(story, 5, date=story.world.now + 9 * HOUR)
    story.then("F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        assert order_of(player)[-3:] == ["merge", "Change 4", "Change 5"]
        check_truth(player)


@pytest.mark.parametrize(("commits", "pages"), [(96, 1), (97, 2), (250, 3)])
def test_the_chain_is_followed_over_pages(commits: int, pages: int) -> None:
    """Side branches may fill whole pages of the list; no more is read than the window needs."""
    story = Story("P P P")
    a_side_branch(story, commits, date=story.world.now)
    with playing(story.world, more=", window: 4") as player:
        player.refresh_to_the_end()
        assert order_of(player) == ["Change 0", "Change 1", "Change 2", "merge"]
        assert len(asked(player, "/commits")) == pages


def test_a_window_of_more_than_a_page_is_read() -> None:
    """A hundred commits are one page; the window may be longer."""
    story = Story(". " * 130, every=MINUTE)
    with playing(story.world, more=", window: 120") as player:
        player.refresh_to_the_end()
        assert order_of(player) == [f"Change {number}" for number in range(10, 130)]
        assert player.trunk.order.older_unread


def test_the_first_commit_of_all_ends_the_trunk() -> None:
    """At the root nothing older exists; one commit short of it something does."""
    story = Story("F F F F")
    with playing(story.world, more=", window: 4") as player:
        player.refresh_to_the_end()
        assert not player.trunk.order.older_unread
        assert not player.job("test").truncated
    with playing(story.world, more=", window: 3") as player:
        player.refresh_to_the_end()
        assert player.trunk.order.older_unread
        assert player.job("test").truncated


def test_a_longer_window_is_read_on() -> None:
    """What was read stays, and what the longer window adds is read behind it."""
    story = Story("P F F F F F F")
    with playing(story.world, more=", window: 3") as player:
        player.refresh_to_the_end()
        assert (len(order_of(player)), player.job("test").consecutive_failures) == (3, 3)
        player.config = config_of(player.server.url, "o/r", ", window: 50")
        player.restart()
        before = len(player.server.log)
        player.refresh_to_the_end()
        check_truth(player)
        assert not player.trunk.order.older_unread
        assert rewrites(player) == 0
        assert len(asked(player, "/jobs", before)) == 4, "only what was not read before"


def test_a_shorter_window_forgets_nothing_that_is_stored() -> None:
    """The window is the least that a cold start reads."""
    story = Story("P F F F F F F")
    with playing(story.world, more=", window: 50") as player:
        player.refresh_to_the_end()
        player.config = config_of(player.server.url, "o/r", ", window: 3")
        player.restart()
        player.refresh_to_the_end()
        check_truth(player)
        story.then("F")
        player.refresh_to_the_end()
        check_truth(player)


def test_a_force_push_rebuilds_the_trunk_and_counts_once() -> None:
    """Results follow their commit; the new commits are read; it is told one time."""
    story = Story("P P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        assert player.job("test").broken
        story.repo.force_push(story.commits[2])
        story.world.now += 1
        story.then("F P")
        player.refresh_to_the_end()
        assert order_of(player) == ["Change 0", "Change 1", "Change 2", "Change 5", "Change 6"]
        assert not player.job("test").broken
        player.pass_time(HOUR)
        check_truth(player)
        assert rewrites(player) == 1


def test_going_back_to_an_older_commit_is_a_force_push() -> None:
    """A tip that is taken off the trunk takes its results with it, and may come back."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.repo.force_push(story.commits[2])
        player.pass_time(2 * MINUTE)
        assert (player.job("test").consecutive_failures, rewrites(player)) == (2, 1)
        check_truth(player)
        story.repo.force_push(story.commits[3])
        player.pass_time(2 * MINUTE)
        assert (player.job("test").consecutive_failures, rewrites(player)) == (3, 1)
        check_truth(player)


def test_a_history_that_is_all_new_is_read_anew() -> None:
    """Nothing of the old trunk is left when the branch moves to a history of its own."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.repo.commit("new root", parents=())
        story.world.now += 1
        story.then("P F")
        player.refresh_to_the_end()
        player.pass_time(5 * MINUTE)
        assert order_of(player) == ["new root", "Change 4", "Change 5"]
        assert not player.trunk.order.older_unread
        check_truth(player)


def test_a_tip_that_is_missing_for_a_moment_is_no_force_push() -> None:
    """The list is asked whether it is true before anything is believed to be gone."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        player.world.now += MINUTE
        story.push()
        with spoilt(player, "/commits$", drop(0, 1)):
            refreshed = player.refresh()
        assert "does not begin with the tip" in (refreshed.state.problem or "")
        assert player.job("test").broken
        player.pass_time(2 * MINUTE)
        assert rewrites(player) == 0
        assert order_of(player)[-1] == "Change 4"
        check_truth(player)


def test_a_commit_that_is_missing_in_the_list_leaves_the_trunk_as_it_was() -> None:
    """A chain with a hole is no chain."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.then("F F")
        with spoilt(player, "/commits$", drop(1)):
            refreshed = player.refresh()
        assert not refreshed.state.up
        assert len(order_of(player)) == 4
        player.pass_time(2 * MINUTE)
        check_truth(player)


def test_parents_that_are_not_said_are_not_the_beginning_of_history() -> None:
    """Only an empty list of parents is a root; null is an answer that is not whole."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.then("F F")
        with spoilt(player, "/commits$", lambda rows: rows[0].update(parents=None)):
            assert not player.refresh().state.up
        assert len(order_of(player)) == 4
        player.pass_time(2 * MINUTE)
        assert rewrites(player) == 0
        check_truth(player)


def test_commits_that_shift_while_they_are_read_are_read_once() -> None:
    """A push between two pages moves all rows on by one; none is lost or doubled."""
    story = Story(". " * 150, every=MINUTE)
    with playing(story.world, more=", window: 140") as player:
        pages: list[list[Any]] = []

        def shift(rows: list[Any]) -> None:
            pages.append(list(rows))
            if len(pages) == 2:
                rows[:] = [pages[0][-1], *rows[:-1]]

        with spoilt(player, "/commits$", shift, times=2):
            player.refresh_to_the_end()
        assert len(pages) == 2
        assert order_of(player) == [f"Change {number}" for number in range(10, 150)]


def test_nothing_new_is_free() -> None:
    """As long as nothing happens all answers are 304, about two in a refresh."""
    story = Story("P F K F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        player.pass_time(HOUR)
        done = player.pass_time(30 * MINUTE)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)
        assert {entry.status for entry in player.server.log[-60:]} == {304}


def test_a_new_commit_without_results_costs_one_request() -> None:
    """Only the list of commits has changed."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        player.pass_time(HOUR)
        story.push()
        assert counted([player.refresh()]) == 1
        assert len(order_of(player)) == 5
