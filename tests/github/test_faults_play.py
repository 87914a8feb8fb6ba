"""A source whose requests, storage or process fail says the same in the end, and never more."""

import random
from collections.abc import Iterable, Iterator

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.engine.facts import Fact
from trunkwatch.errors import StoreError
from trunkwatch.store import SqliteStore
from trunkwatch.store.port import Applied

from tests.github.faults import ALL, Faults, Kind
from tests.github.plan import Job, Workflow
from tests.github.player import Player, playing
from tests.github.story import REPO, story
from tests.github.watch import SOURCE, play, settle
from tests.github.world import T0, World

SHORT = 14
"""Commits of a shorter story: four of them come while it is played."""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults_of_every_kind_delay_and_never_invent(seed: int) -> None:
    """With one request of twenty failing, for hours, no outage opens or closes that did not, and
    everything that is said in the end is what is said without faults.
    """
    told = story()
    with playing(told.world, REPO, SOURCE) as player:
        player.server.faults = faults = Faults(0.05, seed)
        watch = play(player, told.end, player.refresh)
        assert len({kind for kind, _ in faults.happened}) >= 6
        assert watch.outages >= 12
        assert watch.wrong == []
        assert rewrites(player) <= 1, "the story has one force push"
        assert settle(player) == {}


def rewrites(player: Player) -> float:
    """Return how often the trunk was seen to be rewritten."""
    counts = player.counters.totals().counts
    return counts.get(("trunkwatch_trunk_rewrites_total", REPO, "main"), 0.0)


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_of_fault_delays_and_never_invents(kind: Kind) -> None:
    """With one request of five failing in one way, the same holds."""
    told = story(SHORT)
    rate = 0.2 if kind is not Kind.HANG else 0.05  # each costs real time
    with playing(told.world, REPO, SOURCE) as player:
        player.server.faults = faults = Faults(rate, 1, [kind])
        watch = play(player, told.end, player.refresh)
        assert faults.happened
        assert watch.wrong == []
        assert rewrites(player) == 0
        assert settle(player) == {}


# ---------------------------------------------------------------------- one fault at one moment

CI = Workflow("ci", ".github/workflows/ci.yml")


@pytest.fixture
def one_commit() -> Iterator[Player]:
    """Return a player of one commit, whose run failed and was run again after it was read."""
    world = World()
    repo = world.repo(REPO)
    jobs = [Job("good", end=100), Job("bad", end=100, conclusion="failure")]
    run = repo.run(repo.commit("Change", at=T0), CI, jobs, at=T0 + 5)
    run.rerun(T0 + 1000, [Job("bad", end=100)])
    world.now = T0 + 300
    with playing(world, REPO) as player:
        player.refresh_to_the_end()
        assert player.job("bad").last_verdict is Verdict.FAIL
        world.now = T0 + 1300
        yield player


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_is_not_found_for_a_moment_is_not_lost(one_commit: Player, times: int) -> None:
    """A 404 for the jobs of a run whose list still names it is asked again, a refresh later."""
    one_commit.server.fail_next(Kind.DELETED_RUN, r"/runs/\d+/jobs", times)
    for _ in range(times):
        one_commit.refresh()
        assert one_commit.job("bad").last_verdict is Verdict.FAIL
    one_commit.pass_time(600)
    assert one_commit.job("bad").last_verdict is Verdict.FLAKY


class NoAnswer(Faults):
    """Lets the first answer of a job that passed be missing."""

    def spoil_text(self, text: str) -> str:
        """Take the first `success` out of a document."""
        return text.replace('"conclusion":"success"', '"conclusion":null', 1)


@pytest.mark.parametrize(("times", "pending"), [(1, 0), (2, 0), (1000, 1)])
def test_an_answer_that_is_missing_is_asked_for_again(times: int, pending: int) -> None:
    """A job that is over and says nothing is read again at once, though its run ended long ago;
    when it stays so, it is pending, and the other jobs of the list count all the same.
    """
    world = World()
    repo = world.repo(REPO)
    jobs = [Job("good", end=100), Job("bad", end=100, conclusion="failure")]
    repo.run(repo.commit("Change", at=T0), CI, jobs, at=T0 + 5)
    world.now = T0 + 20_000
    with playing(world, REPO) as player:
        player.server.faults = NoAnswer()
        player.server.fail_next(Kind.NULL_FIELD, "check-runs|/jobs", times)
        player.refresh_to_the_end()
        assert player.job("bad").last_verdict is Verdict.FAIL
        assert player.job("good").pending == pending


# ---------------------------------------------------------------------- storage and process


class FailingStore(SqliteStore):
    """A storage that cannot be written now and then, in the middle of a refresh."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.rate = 0.2
        self.failed = 0

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Fail before the first fact, in the middle, or after the last one."""
        if self.chance.random() >= self.rate:
            return super().apply(source, facts, now)
        self.failed += 1
        return super().apply(source, self._some_of(list(facts)), now)

    def _some_of(self, facts: list[Fact]) -> Iterator[Fact]:
        yield from facts[: self.chance.randint(0, len(facts))]
        raise StoreError("results.db", "cannot be written (disk full)")


def test_a_storage_that_fails_delays_and_never_invents() -> None:
    """Of a refresh that is not stored nothing counts; it is read again, or not forgotten."""
    told = story(SHORT)
    with playing(told.world, REPO, SOURCE) as player:
        player.store = store = FailingStore(random.Random(1))
        player.restart()
        watch = play(player, told.end, player.refresh)
        assert store.failed >= 10
        assert watch.wrong == []
        store.rate = 0.0
        assert settle(player) == {}


def test_a_process_that_is_killed_delays_and_never_invents() -> None:
    """Killed before a refresh, between reading and storing, or after it, the exporter goes on with
    what is stored.
    """
    told = story(SHORT)
    chance = random.Random(1)
    with playing(told.world, REPO, SOURCE) as player:

        def refresh() -> None:
            match chance.randrange(5):
                case 0:
                    player.restart()
                case 1:
                    # What was read is lost with the process.
                    player.source.refresh(player.watcher.state("gh"))
                    player.restart()
                case 2:
                    player.refresh()
                    player.restart()
                case _:
                    player.refresh()

        watch = play(player, told.end, refresh)
        assert watch.wrong == []
        assert settle(player) == {}
