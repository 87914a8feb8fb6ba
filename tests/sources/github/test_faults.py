"""Something that cannot be read leaves the rest, is told, and lets nothing fire."""

import pytest
from trunkwatch.sources.github.trunk_reader import UNREADABLE_COMMIT_TIMEOUT_SECONDS

from tests.github.faults import ALL, Faults, Kind
from tests.github.plan import Job, Workflow
from tests.github.player import Player, playing
from tests.github.world import World
from tests.sources.github.stories import HOUR, LINT, MINUTE, Story, asked, check_truth

FAILS = Job("test", conclusion="failure")


def break_commit(player: Player, story: Story, place: int, times: int = 1000) -> None:
    """Let every answer about the jobs of one commit be an error."""
    player.server.fail_next(Kind.SERVER_ERROR, f"runs/{story.runs[place].id}/jobs", times)
    player.server.fail_next(Kind.SERVER_ERROR, f"{story.commits[place].sha}/check-runs", times)


def test_one_commit_that_cannot_be_read_leaves_those_before_it() -> None:
    """It is reported, and the data is as old as it was."""
    story = Story("P F F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        known = player.trunk.data_at
        story.then("F P")
        break_commit(player, story, 4)
        player.world.now += MINUTE
        refreshed = player.refresh()
        assert not refreshed.state.up
        assert "HTTP 500" in (refreshed.state.problem or "")
        assert player.trunk.data_at == known
        assert player.job("test").broken
        player.server.faults = Faults()
        player.pass_time(MINUTE)
        assert player.trunk.data_at == player.world.now
        check_truth(player)


def test_a_pass_that_cannot_be_read_lets_nothing_newer_fire() -> None:
    """The failures behind it are not believed before it: it may part them."""
    story = Story("P P P")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.then("F P F F")
        break_commit(player, story, 4)
        for _ in range(10):
            player.refresh()
            player.world.now += MINUTE
            assert not player.job("test").broken
            assert player.job("test").consecutive_failures == 1
        player.server.faults = Faults()
        player.pass_time(2 * MINUTE)
        check_truth(player)


def test_one_that_can_never_be_read_is_given_up_after_a_while() -> None:
    """A trunk must not go blind for one list that the server fails to make."""
    story = Story("P P P")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        story.then("P P F F F")
        break_commit(player, story, 4)
        player.pass_time(UNREADABLE_COMMIT_TIMEOUT_SECONDS)
        assert not player.job("test").broken
        refreshed = player.pass_time(3 * MINUTE)[-1]
        assert player.job("test").broken
        assert not refreshed.state.up
        player.server.faults = Faults()
        player.pass_time(3 * MINUTE)
        check_truth(player)


def test_one_address_that_never_answers_does_not_keep_others_from_being_read() -> None:
    """The older commits are read all the same; a server that is gone is not asked for each."""
    story = Story("P F F F P")
    with playing(story.world) as player:
        path = f"runs/{story.runs[4].id}/jobs"
        player.server.fail_next(Kind.RESET, path, 1000)
        player.refresh_to_the_end()
        assert player.job("test").broken
        assert len(asked(player, f"{story.runs[0].id}/jobs")) == 1
    with playing(story.world) as player:
        player.server.fail_next(Kind.RESET, "jobs", 1000)
        player.refresh()
        assert len({entry.path for entry in asked(player, "/jobs")}) == 2


@pytest.mark.parametrize("fails", [0, 1])
@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.TOO_MANY, Kind.TRUNCATED])
def test_what_was_read_of_a_commit_before_a_fault_is_not_lost(kind: Kind, fails: int) -> None:
    """A run that is noted as read has said what it had to say."""
    story = Story("P P P")
    commit = story.push()
    runs = [
        story.jobs(commit, [FAILS]),
        story.jobs(commit, [Job("lint", conclusion="failure")], LINT),
    ]
    for run, name in zip(runs, ("test", "lint"), strict=True):
        run.rerun(story.world.now + 600, [Job(name, conclusion="failure")])
    story.world.now += HOUR
    with playing(story.world) as player:
        player.server.fail_next(kind, f"runs/{runs[fails].id}/jobs", times=3)
        assert not player.refresh().state.up
        player.pass_time(5 * MINUTE)
        check_truth(player)


def test_a_hole_in_the_list_of_runs_holds_back_what_is_newer() -> None:
    """Runs that are not known may be the passes between the failures."""
    story = Story("P P P")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        known = player.trunk.data_at
        for number, letter in enumerate("FPFFPFPFF"):
            commit = story.push()
            story.runs[3 + number] = story.run(commit, letter)
            for place in range(20):
                workflow = Workflow(f"w{place}", f".github/workflows/{place}.yml")
                story.jobs(commit, [Job(f"t{place}")], workflow)
            story.world.now += HOUR
        for _ in range(5):
            lists = len(asked(player, "/actions/runs"))
            player.server.fail_next(Kind.MISSING_ROW, "/actions/runs$", times=3)
            player.refresh()
            assert len(asked(player, "/actions/runs")) > lists
            assert not player.job("test").broken
            assert player.trunk.data_at == known
            player.world.now += MINUTE
        player.server.faults = Faults()
        player.pass_time(3 * MINUTE)
        check_truth(player)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not Kind.HANG])
def test_each_fault_alone_only_delays(kind: Kind) -> None:
    """A third of the answers is wrong in one way: nothing false is ever said, and in the end all
    that is true."""
    story = Story("P F F P F", world=World(limit=50_000))
    with playing(story.world) as player:
        player.server.faults = Faults(0.33, seed=7, kinds=[kind], retry_after=20)
        for letter in "FPFFPFFP":
            commit = story.push()
            story.run(commit, letter)
            story.run(commit, "P", LINT, "lint")
            for _ in range(8):
                player.pass_time(MINUTE)
                for state in player.watcher.snapshot.trunks:
                    assert not any(job.broken for job in state.jobs)
        player.server.faults = Faults()
        player.pass_time(35 * MINUTE)
        check_truth(player)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_alert_ends_because_of_faults(seed: int) -> None:
    """A job that is broken stays so, whatever goes wrong."""
    story = Story("P F F F", world=World(limit=50_000))
    with playing(story.world) as player:
        player.refresh_to_the_end()
        kinds = [kind for kind in ALL if kind is not Kind.HANG]
        player.server.faults = Faults(0.3, seed=seed, kinds=kinds, retry_after=20)
        for letter in "FCFSF":
            commit = story.push()
            story.run(commit, letter)
            story.run(commit, "P", LINT, "lint")
            for _ in range(8):
                player.pass_time(MINUTE)
                assert player.job("test").broken
        player.server.faults = Faults()
        player.pass_time(35 * MINUTE)
        check_truth(player)
