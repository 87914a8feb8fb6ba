"""Repositories and branches of the source github: empty, missing, oddly named, not named."""

from tests.github.player import playing
from tests.github.world import World
from tests.sources.github.stories import HOUR, MINUTE, Story, check_truth, order_of, reading


def test_an_empty_repository_is_told_and_nothing_is_shown() -> None:
    """There is no trunk yet; the first commit makes one."""
    story = Story()
    with playing(story.world) as player:
        refreshed = player.refresh()
        assert not refreshed.state.up
        assert "Git Repository is empty" in (refreshed.state.problem or "")
        story.then("P F")
        player.refresh_to_the_end()
        check_truth(player)


def test_a_branch_that_does_not_exist_is_told() -> None:
    """The error says what may be wrong."""
    story = Story("P")
    section = "repo: o/r, branches: [mian], token_env: STANDIN_TOKEN"
    with reading(story.world, section) as player:
        refreshed = player.refresh()
        assert not refreshed.ok
        assert "the name is wrong" in (refreshed.state.problem or "")


def test_a_branch_may_have_a_slash_in_its_name() -> None:
    """Release branches do."""
    story = Story("P P")
    story.repo.commit("stable", branch="release/1.0", parents=[story.commits[0]])
    section = "repo: o/r, branches: [release/1.0], token_env: STANDIN_TOKEN"
    with reading(story.world, section) as player:
        player.refresh_to_the_end()
        assert order_of(player) == ["Change 0", "stable"]


def test_without_branches_the_default_branch_is_read() -> None:
    """It is asked for once an hour, and followed when it changes."""
    world = World()
    story = Story("P F", world=world)
    section = "repo: o/r, token_env: STANDIN_TOKEN"
    with reading(world, section) as player:
        player.refresh_to_the_end()
        player.pass_time(30 * MINUTE)
        assert len([e for e in player.server.log if e.path == "/repos/o/r"]) == 1
        check_truth(player)
        assert player.trunk.trunk.branch == "main"
        story.repo.commit("renamed", branch="trunk", parents=[story.commits[1]])
        story.repo.default_branch = "trunk"
        player.pass_time(HOUR)
        assert {t.trunk.branch for t in player.watcher.snapshot.trunks} == {"main", "trunk"}
