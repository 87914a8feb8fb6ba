"""A source whose requests, storage or process fail says the same in the end, and never more."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from exporter.domain.facts import Fact
from exporter.domain.model import JobKey
from exporter.errors import StoreError
from exporter.store import SqliteStore
from exporter.store.port import Applied
from tests.github.faults import ALL, Faults, Kind
from tests.github.player import Player, playing, truth, what_differs
from tests.github.story import REPO, story, timeline

STEP = 120.0
"""Seconds from one refresh to the next."""

LATE = 1800.0
"""Seconds by which anything may be noticed late: half an hour is the promise for re-runs."""

SETTLING = 20
"""Refreshes without faults after which everything must have been noticed."""

SOURCE = f", poll_interval: {STEP:.0f}s, timeout: 250ms"
SHORT = 14
"""Commits of a shorter story: four of them come while it is played."""


@dataclass
class Watch:
    """Compares what is said with what was true a while ago, refresh by refresh.

    Attributes:
        player: who says it.
        complete: everything that was there at the start has been read.
        wrong: what was said and had not been true within `LATE`.
        outages: how often an outage was seen to open or to close.
    """

    player: Player
    complete: bool = False
    outages: int = 0

    def __post_init__(self) -> None:
        self.wrong: list[str] = []
        self._before: set[JobKey] = set()

    def look(self) -> None:
        """Compare once."""
        state = self.player.watcher.snapshot.sources[0]
        self.complete = self.complete or (state.up and state.unread == 0)
        trunks = self.player.watcher.snapshot.trunks
        broken = {job.key for trunk in trunks for job in trunk.jobs if job.broken}
        self.outages += len(broken ^ self._before)
        self._before = broken
        now = self.player.world.now
        lately = [jobs for at, jobs in timeline(STEP).items() if now - LATE <= at <= now]
        for key in broken | {key for jobs in lately for key in jobs}:
            was = {key in jobs and jobs[key].broken for jobs in lately}
            # At a cold start what has not been read yet is not known to be broken.
            unread = not self.complete and key not in broken
            if (key in broken) not in was and not unread:
                self.wrong.append(f"{now:.0f}: {key.job_name} broken={key in broken}")


def play(player: Player, until: float, refresh: Callable[[], object]) -> Watch:
    """Let time go by up to a moment, with something done at each step."""
    watch = Watch(player)
    while player.world.now + STEP <= until:
        player.world.now += STEP
        refresh()
        watch.look()
    return watch


def settle(player: Player) -> dict[str, tuple[object, object]]:
    """Return what still differs from the truth after a while without faults."""
    player.server.faults = Faults()
    for _ in range(SETTLING):
        player.world.now += STEP
        player.refresh()
    return what_differs(player.jobs(), truth(player, REPO))


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
        assert settle(player) == {}


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_of_fault_delays_and_never_invents(kind: Kind) -> None:
    """With one request of five failing in one way, the same holds."""
    told = story(SHORT)
    with playing(told.world, REPO, SOURCE) as player:
        player.server.faults = faults = Faults(0.2, 1, [kind])
        watch = play(player, told.end, player.refresh)
        assert faults.happened
        assert watch.wrong == []
        assert settle(player) == {}


# ---------------------------------------------------------------------- storage and process


class FailingStore(SqliteStore):
    """A storage that cannot be written now and then, in the middle of a refresh."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.failed = 0

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Fail before the first fact, in the middle, or after the last one."""
        if self.chance.random() < 0.8:
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
        store.chance = random.Random()
        store.chance.random = lambda: 0.0  # type: ignore[method-assign]  # it never fails again
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
                    list(player.source.refresh(player.watcher.memory("gh")))
                    player.restart()
                case 2:
                    player.refresh()
                    player.restart()
                case _:
                    player.refresh()

        watch = play(player, told.end, refresh)
        assert watch.wrong == []
        assert settle(player) == {}
