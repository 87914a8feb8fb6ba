"""Watches what a source says of the story while it is told, and compares it with the truth."""

from collections.abc import Callable
from dataclasses import dataclass

from trunkwatch.domain.model import JobKey

from tests.github.faults import Faults
from tests.github.player import Player, truth, what_differs
from tests.github.story import REPO, timeline

STEP = 120.0
"""Seconds from one refresh to the next."""

LATE = 1800.0
"""Seconds by which anything may be noticed late: half an hour is the promise for re-runs."""

SETTLING = 20
"""Refreshes without faults after which everything must have been noticed."""

SOURCE = f", poll_interval: {STEP:.0f}s, timeout: 150ms"


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
