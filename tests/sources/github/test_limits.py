"""Limits and refusals: what the source github does when it may not ask."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.github.faults import Faults, Kind
from tests.github.plan import Job, Workflow
from tests.github.player import playing
from tests.github.server import Entry
from tests.github.world import TOKEN, World
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


def most_in_an_hour(log: Sequence[Entry]) -> int:
    """Return the most counted requests of any sixty minutes."""
    times = [entry.at for entry in log if entry.counted]
    return max((sum(at - HOUR < other <= at for other in times) for at in times), default=0)


def busy(world: World, commits: int, workflows: int = 6) -> Story:
    """A trunk that gets a commit every ten minutes, each with results for an hour."""
    story = Story(world=world)
    for _ in range(commits):
        commit = story.push()
        for place in range(workflows):
            name = Workflow(f"w{place}", f".github/workflows/{place}.yml")
            jobs = [
                Job(
                    f"{place} {n}",
                    end=600.0 * (n + 1),
                    conclusion="failure" if n == 1 else "success",
                )
                for n in range(6)
            ]
            story.jobs(commit, jobs, name)
        story.world.now += 10 * MINUTE
    return story


# ---------------------------------------------------------------------- the budget


@pytest.mark.parametrize(("limit", "share"), [(100, 0.5), (400, 0.25)])
def test_the_budget_is_kept_in_any_sixty_minutes(limit: int, share: float) -> None:
    """Whatever there would be to ask; what is asked is spread, and all of it comes in the end."""
    world = World(limit=limit)
    story = busy(world, 6)
    with playing(world, more=f", quota_share: {share}") as player:
        for _ in range(6):
            player.pass_time(10 * MINUTE)
            commit = story.push()
            story.run(commit, "P")
        player.pass_time(2 * HOUR)
        assert most_in_an_hour(player.server.log) <= limit * share
        check_truth(player)


def test_what_the_budget_leaves_out_shows_in_the_age_of_the_data() -> None:
    """Slower is not silent: the data is as old as the oldest thing that is due."""
    world = World(limit=40)
    story = Story("P F F", world=world)
    with playing(world) as player:
        player.pass_time(HOUR + 5 * MINUTE)
        assert player.trunk.data_at == world.now
        story.then("P " * 30)
        begun = world.now
        player.pass_time(10 * MINUTE)
        assert player.trunk.data_at is not None
        assert player.trunk.data_at < begun
        player.pass_time(4 * HOUR, every=5 * MINUTE)
        assert player.trunk.data_at > begun + 3 * HOUR
        check_truth(player)


def test_a_hole_that_the_budget_leaves_shows_in_the_age_of_the_data() -> None:
    """As long as not all runs are known, nothing is as new as it seems."""
    world = World(limit=1000)
    story = Story("P F F", world=world)
    with playing(world) as player:
        player.refresh_to_the_end()
        known = player.trunk.data_at
        for _ in range(4):
            commit = story.push()
            for place in range(110):
                workflow = Workflow(f"w{place}", f".github/workflows/{place}.yml")
                story.run(commit, "P", workflow, f"t{place}")
            story.world.now += MINUTE
        player.server._gate.bucket("user-1").used = 995
        refreshed = player.refresh()
        assert refreshed.state.unread
        assert player.trunk.data_at == known


def test_what_others_use_of_the_token_is_left_to_them() -> None:
    """The share is of what is left, too."""
    world = World(limit=1000)
    busy(world, 10)
    with playing(world) as player:
        player.server._gate.bucket("user-1").used = 960
        player.pass_time(30 * MINUTE)
        assert player.server.counted() <= 20


def test_a_spent_window_is_waited_for() -> None:
    """Nothing is asked before the reset that GitHub names, and everything after it."""
    world = World(limit=1000)
    Story("P F F F", world=world)
    with playing(world, more=", quota_share: 1.0") as player:
        bucket = player.server._gate.bucket("user-1")
        bucket.used = 1000
        refreshed = player.refresh()
        assert not refreshed.ok
        assert "rate limit" in (refreshed.state.problem or "")
        assert refreshed.sent == 1
        world.now += 59 * MINUTE
        assert player.refresh().sent == 0
        world.now = bucket.reset + 1
        player.refresh_to_the_end()
        check_truth(player)


def test_a_server_without_limits_holds_nothing_back() -> None:
    """GitHub Enterprise Server sends no such headers; its API is below /api/v3."""
    world = World(limited=False)
    story = Story("P F F F" + " P F" * 60, every=10 * MINUTE, world=world)
    section = "repo: o/r, branches: [main], token_env: STANDIN_TOKEN, window: 200"
    with reading(world, section, prefix="/api/v3") as player:
        done = player.refresh_to_the_end()
        check_truth(player)
        assert done[-1].state.quota_remaining is None
        assert sent(done) > 120
        story.then("F")
        player.refresh()
        check_truth(player)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize("kind", [Kind.SECONDARY_LIMIT, Kind.TOO_MANY])
def test_retry_after_is_obeyed(kind: Kind) -> None:
    """Nothing is sent before it is over, whatever the poll interval; then all goes on."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.server.faults = Faults(retry_after=300)
        player.server.fail_next(kind)
        first = player.refresh()
        assert (first.ok, first.sent) == (False, 1)
        assert "rate limited for 300 s" in (first.state.problem or "")
        assert sent(player.pass_time(4 * MINUTE)) == 0
        player.pass_time(2 * MINUTE)
        check_truth(player)


@pytest.mark.parametrize("kind", [Kind.SECONDARY_LIMIT, Kind.TOO_MANY])
def test_a_limit_that_names_no_time_is_left_alone_for_a_minute(kind: Kind) -> None:
    """GitHub's rules ask for a minute at least."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.server.faults = Faults(retry_after=None)
        player.server.fail_next(kind)
        assert player.refresh().sent == 1
        assert sent(player.pass_time(50, every=10)) == 0
        player.pass_time(MINUTE)
        check_truth(player)


def test_a_short_retry_after_is_waited_for_within_the_refresh() -> None:
    """Some seconds are no reason to give up; they are slept, and little is lost."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.server.faults = Faults(retry_after=5)
        player.server.fail_next(Kind.TOO_MANY)
        assert player.refresh().state.up
        assert player.slept >= 5
        check_truth(player)


def test_a_limit_in_the_middle_loses_nothing() -> None:
    """What was read before it counts; the rest comes after it."""
    story = Story("P F F F P F")
    with playing(story.world) as player:
        player.server.fail_next(Kind.TOO_MANY, f"{story.runs[2].id}/jobs")
        first = player.refresh()
        assert not first.state.up
        assert player.job("test").consecutive_failures == 1
        player.pass_time(3 * MINUTE)
        check_truth(player)
        assert len(asked(player, "/jobs")) == 7


# ---------------------------------------------------------------------- tokens


def test_a_bad_token_is_tried_once_and_reported() -> None:
    """No request follows until another token stands there, or an hour has gone by."""
    story = Story("P F F F")
    with playing(story.world) as player:
        story.world.tokens.clear()
        first = player.refresh()
        assert (first.ok, first.sent) == (False, 1)
        assert "STANDIN_TOKEN" in (first.state.problem or "")
        assert TOKEN not in (first.state.problem or "")
        done = player.pass_time(58 * MINUTE)
        assert sent(done) == 0
        assert not any(refreshed.state.up for refreshed in done)
        story.world.tokens[TOKEN] = "user-1"
        player.pass_time(3 * MINUTE)
        check_truth(player)


def test_a_token_that_is_revoked_keeps_what_was_known() -> None:
    """No alert resolves because of it."""
    story = Story("P F F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.world.tokens.clear()
        story.then("P")
        done = player.pass_time(10 * MINUTE)
        assert sent(done) == 1
        assert player.job("test").broken
        assert player.trunk.data_at is not None
        assert player.trunk.data_at < story.world.now - HOUR


def test_a_new_token_in_the_file_is_used_at_once(tmp_path: Path) -> None:
    """Secrets are rotated while the exporter runs; the ETags of the old one are not sent."""
    story = Story("P F F F")
    file = tmp_path / "token"
    file.write_text("old\n")
    story.world.tokens = {"old": "user-1"}
    section = f"repo: o/r, branches: [main], token_file: '{file}'"
    with reading(story.world, section) as player:
        player.refresh_to_the_end()
        story.world.tokens = {"new": "user-2"}
        story.then("F")
        assert not player.pass_time(MINUTE)[-1].ok
        file.write_text("new\n")
        player.pass_time(MINUTE)
        check_truth(player)
        assert {entry.who for entry in player.server.log[-2:]} == {"user-2"}
        player.pass_time(5 * MINUTE)
        assert counted(player.pass_time(10 * MINUTE)) == 0


def test_without_a_token_sixty_requests_an_hour_are_shared() -> None:
    """A small public repository can be read; even an unchanged list counts then."""
    story = Story("P F F F P P F")
    with reading(story.world, "repo: o/r, branches: [main]") as player:
        player.refresh_to_the_end()
        check_truth(player)
        story.then("F F")
        player.pass_time(3 * HOUR, every=3 * MINUTE)
        check_truth(player)
        assert most_in_an_hour(player.server.log) <= 30
        assert {entry.who for entry in player.server.log} == {"anonymous"}


def test_a_private_repository_without_a_token_is_said_to_be_missing() -> None:
    """GitHub answers 404, so the error names both causes."""
    world = World()
    Story("P", world=world)
    world.repos["o/r"].private = True
    with reading(world, "repo: o/r, branches: [main]") as player:
        refreshed = player.refresh()
        assert "the name is wrong, or the token may not read it" in (refreshed.state.problem or "")


def test_one_repository_that_is_missing_does_not_stop_the_other() -> None:
    """It is reported, and the other one's data is new."""
    story = Story("P F F F")
    section = "repos: [o/gone, o/r], branches: [main], token_env: STANDIN_TOKEN"
    with reading(story.world, section) as player:
        for _ in range(3):
            refreshed = player.refresh()
            assert not refreshed.state.up
            assert "o/gone" in (refreshed.state.problem or "")
            story.world.now += MINUTE
        assert player.job("test").broken
        story.then("P")
        player.pass_time(2 * MINUTE)
        check_truth(player)
        assert player.trunk.data_at == story.world.now
        assert order_of(player)[-1] == "Change 4"


def test_what_is_left_of_the_quota_is_told() -> None:
    """As GitHub's last answer said."""
    with playing(Story("P F").world) as player:
        done = player.refresh_to_the_end()
        assert done[-1].state.quota_remaining == 5000 - player.server.counted()
