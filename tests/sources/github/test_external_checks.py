"""Results of other CI systems that report to GitHub: one trunk, whoever tests it."""

import pytest

from tests.github.faults import Faults, Kind
from tests.github.player import Player, playing
from tests.sources.github.stories import HOUR, MINUTE, Story, asked, counted

BOTH = ", checks: [buildkite], statuses: ['jenkins/.*']"


def mixed(letters: str = "P P P") -> Story:
    """A trunk on which two apps and two contexts report a failure of every commit."""
    story = Story(letters)
    for commit in story.commits:
        report(story, story.repo.commits[commit.sha].sha)
    story.world.now += HOUR
    return story


def report(story: Story, sha: str, conclusion: str = "failure") -> None:
    commit = story.repo.commits[sha]
    story.repo.check(commit, "buildkite", "bk", conclusion)
    story.repo.check(commit, "circleci", "cc", conclusion)
    story.repo.status(commit, "jenkins/build", conclusion)
    story.repo.status(commit, "travis", conclusion)


def names(player: Player) -> set[str]:
    return {key.job_name for key in player.jobs()}


@pytest.mark.parametrize(("more", "expected"), [
    ("", {"test"}),
    (", checks: [buildkite]", {"test", "bk"}),
    (", checks: [buildkite, circleci]", {"test", "bk", "cc"}),
    (", checks: [github-actions]", {"test"}),
    (", statuses: ['jenkins/.*']", {"test", "jenkins/build"}),
    (", statuses: ['.*']", {"test", "jenkins/build", "travis"}),
    (", statuses: ['jenkins']", {"test"}),
    (BOTH, {"test", "bk", "jenkins/build"}),
])  # fmt: skip
def test_what_is_named_counts_and_nothing_else(more: str, expected: set[str]) -> None:
    """Apps by their slug, statuses by a pattern that matches in full."""
    with playing(mixed().world, more=more) as player:
        player.refresh_to_the_end()
        assert names(player) == expected
        assert all(player.job(name).broken for name in expected - {"test"})
        assert player.job("test").consecutive_failures == 0


def test_nothing_is_asked_for_when_nothing_is_named() -> None:
    """Statuses cost a request a commit."""
    with playing(mixed().world) as player:
        player.refresh_to_the_end()
        assert asked(player, "/status") == []


def test_what_they_say_later_is_seen() -> None:
    """A pending status that fails, and a failure that is reported as fixed."""
    story = mixed()
    with playing(story.world, more=BOTH) as player:
        player.refresh_to_the_end()
        commit = story.push()
        story.repo.status(commit, "jenkins/build", "pending")
        story.repo.check(commit, "buildkite", "bk", took=20 * MINUTE)
        player.pass_time(3 * MINUTE)
        assert (player.job("jenkins/build").pending, player.job("bk").pending) == (1, 1)
        story.repo.status(commit, "jenkins/build", "success")
        player.pass_time(3 * MINUTE)
        assert not player.job("jenkins/build").broken
        assert player.job("bk").broken
        player.pass_time(20 * MINUTE)
        assert not player.job("bk").broken


@pytest.mark.parametrize(("state", "streak"), [("failure", 4), ("error", 4), ("success", 0)])
def test_the_states_of_a_status(state: str, streak: int) -> None:
    """An error is a failure of that CI; there is no better word for it."""
    story = mixed()
    story.repo.status(story.push(), "jenkins/build", state)
    with playing(story.world, more=BOTH) as player:
        player.refresh_to_the_end()
        assert player.job("jenkins/build").consecutive_failures == streak


def test_the_latest_status_of_a_context_counts() -> None:
    """What a re-run replaces is not listed any more."""
    story = mixed()
    commit = story.push()
    story.repo.status(commit, "jenkins/build", "failure", story.world.now - 60)
    story.repo.status(commit, "jenkins/build", "success")
    with playing(story.world, more=BOTH) as player:
        player.refresh_to_the_end()
        assert player.job("jenkins/build").consecutive_failures == 0


def test_a_commit_that_only_others_test_counts() -> None:
    """There need be no run of Actions at all."""
    with playing(mixed(". . .").world, more=BOTH) as player:
        refreshed = player.refresh_to_the_end()[-1]
        assert names(player) == {"bk", "jenkins/build"}
        assert player.job("bk").broken
        assert refreshed.state.unread == 0


def test_nothing_new_of_theirs_is_free() -> None:
    """Their lists are asked for with ETags, young commits now and then."""
    with playing(mixed().world, more=BOTH) as player:
        player.refresh_to_the_end()
        player.pass_time(5 * MINUTE)
        assert counted(player.pass_time(HOUR)) == 0


def test_a_fault_leaves_what_they_said() -> None:
    """It is reported, and nothing is taken back."""
    story = mixed()
    with playing(story.world, more=BOTH) as player:
        player.refresh_to_the_end()
        report(story, story.push().sha, "success")
        player.server.fail_next(Kind.SERVER_ERROR, "/status$", times=99)
        done = player.pass_time(10 * MINUTE)
        assert not done[-1].state.up
        assert player.job("jenkins/build").broken
        player.server.faults = Faults()
        player.pass_time(5 * MINUTE)
        assert not player.job("jenkins/build").broken
