"""A framework's trunk over weeks, planned a day ahead, in a process of its own.

The memory of the other process is then that of the exporter alone.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from random import Random
from threading import Lock
from typing import Any, NamedTuple

from trunkwatch.config import parse_config
from trunkwatch.domain.model import Commit, JobKey
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import Refresh
from trunkwatch.store.memory import MemoryStore

from tests.github.fake import T0, FakeGitHub
from tests.github.fault_day import FAULT_RATE, HOUR, ORDER_JITTER, index_at
from tests.github.faults import Faults, Kind
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.large_trunk import Breakage, JobSlot, LargeTrunk
from tests.github.server import GitHubServer

DAY = 24 * HOUR
COMMITS_BEFORE = 20
KEPT_SECONDS = 3 * DAY
"""How long the fake lists a run: the exporter's window is a day."""

MINUTE = 60.0

Streaks = Mapping[JobKey, int]


class Change(NamedTuple):
    """A streak that changed.

    Attributes:
        streak: of a job; None when it has ended.
        rerun: whether a re-run of its workflow changed at the same minute.
    """

    streak: int | None
    rerun: bool


Changes = Mapping[JobKey, Change]

Timeline = Sequence[tuple[float, Changes]]
"""The streaks that changed at each minute (seconds since the epoch)."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a trunk.

    Attributes:
        workflows: of each commit.
        jobs: of each commit, over all workflows.
        commits: a day.
        faults: whether requests fail.
    """

    workflows: int = 12
    jobs: int = 200
    commits: int = 100
    faults: bool = True


class World:
    """The trunk, the API that serves it, and the streaks that it should have."""

    def __init__(self, size: Size, seed: int) -> None:
        self._size = size
        self._random = Random(seed)
        self._made = LargeTrunk(FakeGitHub(T0), size.workflows, size.jobs, seed)
        self.fake = self._made.fake
        self.fake.run_order_jitter = ORDER_JITTER
        self._spacing = DAY / size.commits
        self._planned_until = T0
        self._begin = T0 + COMMITS_BEFORE * self._spacing
        self._plan(self._begin + DAY)
        self.fake.now = self._begin
        config = "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n"
        self._engine = TrunkEngine(
            parse_config(config, "t.yml"), MemoryStore(), Counters(), lambda: self.fake.now
        )
        self._read_at = 0.0
        self._commits: tuple[Commit, ...] = ()
        self._streaks: Streaks = {}
        self.server = GitHubServer(self.fake)
        kinds = [kind for kind in Kind if kind is not Kind.UNAUTHORIZED]
        self._faults = Faults(FAULT_RATE, seed, kinds)

    def advance(self, now: float, *, faults: bool) -> Timeline:
        """Advance the clock; return the streaks that change, minute by minute, by the plan."""
        if now > self._planned_until - HOUR:
            self._plan(self._planned_until + DAY)
        self.fake.index = index_at(self._begin + (now - self._begin) % DAY, self._begin)
        self.server.faults = self._faults if faults and self._size.faults else Faults()
        self.server.log.clear()
        timeline = []
        while self.fake.now < now:
            self.fake.now = min(now, self.fake.now + MINUTE)
            timeline.append((self.fake.now, self._changes()))
        return timeline

    def _changes(self) -> Changes:
        """Return the streaks that the newest minute changes."""
        order, rows = self.fake.expected_facts(self._made.repo, "main", since=self._read_at)
        self._read_at = self.fake.now
        if not rows and order.commits == self._commits:
            return {}
        self._commits = order.commits
        self._engine.ingest_refresh("gh", Refresh([order, *rows]), lambda: 0.0)
        (state,) = self._engine.snapshot.trunks
        before, self._streaks = (
            self._streaks,
            {job.key: job.consecutive_failures for job in state.jobs},
        )
        changed: dict[JobKey, int | None] = dict(self._streaks.items() - before.items())
        changed |= dict.fromkeys(before.keys() - self._streaks.keys())
        rerun = {row.job.workflow_name for row in rows if row.attempt > 1}
        return {key: Change(streak, key.workflow in rerun) for key, streak in changed.items()}

    def sums(self) -> tuple[int, int, list[str]]:
        """Return the numbers of commits and of injected faults, and unexpected requests."""
        return len(self._made.commits), len(self._faults.happened), self.server.unexpected

    def _plan(self, until: float) -> None:
        """Plan commits up to a time: jobs break, hang, are mended, flake, begin and end."""
        made, random = self._made, self._random
        self._forget(self._planned_until - KEPT_SECONDS)
        first = len(made.commits)
        number = int((until - self._planned_until) / self._spacing)
        if first:
            self._rename_some()
        for slot in random.sample(range(len(made.slots)), len(made.slots) // 12):
            start = first + random.randrange(number)
            length = random.choice((1, 2, 3, 4, 7, 15, 40))
            made.breakages.append(Breakage(slot, start, start + length - 1, random.random() < 0.2))
        for each in range(number):
            at = self._planned_until + (each + random.random() / 2) * self._spacing
            made.new_commit(at, duration=random.uniform(900, 3600))
            if random.random() < 0.2:
                slot = random.randrange(len(made.slots))
                made.rerun(-1, slot, at + random.uniform(600, 7200))
        self._planned_until += number * self._spacing

    def _rename_some(self) -> None:
        """Give a few tests other names, all shards of each: the old names end."""
        made = self._made
        tests = [slot for slot in made.slots if slot.needs]
        for chosen in self._random.sample(tests, max(1, len(tests) // 50)):
            job = _without_shard(chosen)
            for place, slot in enumerate(made.slots):
                if _without_shard(slot) == job:
                    name, _, tail = slot.name.partition(" / test (")
                    named = f"{name}-{len(made.commits)} / test ({tail}"
                    made.slots[place] = replace(slot, name=named)

    def _forget(self, before: float) -> None:
        """Drop runs that are too old to be read, so that the fake stays fast."""
        repo = self._made.repo
        repo.runs = [run for run in repo.runs if run.created_at >= before]
        for path, runs in repo._runs_of.items():
            repo._runs_of[path] = [run for run in runs if run.created_at >= before] or runs[-1:]
        done = len(self._made.commits)
        self._made.breakages = [each for each in self._made.breakages if (each.last or 0) >= done]


def _without_shard(slot: JobSlot) -> tuple[int, str]:
    """Return a workflow and the part of a name that the shards of a job share."""
    return slot.workflow, slot.name.partition(",")[0]


def _serve(connection: Connection, size: Size, seed: int) -> None:
    world = World(size, seed)
    connection.send((world.server.url, world.fake.now))
    while (call := connection.recv()) is not None:
        name, arguments = call
        if name == "respond":
            connection.send(world.server.respond(*arguments))
        elif name == "advance":
            connection.send(world.advance(*arguments[:1], faults=arguments[1]))
        else:
            connection.send(world.sums())
    world.server.stop()


class RemoteWorld:
    """A world in another process; requests to its API cost no socket.

    Attributes:
        url: of its API.
        now: its clock (seconds since the epoch).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()  # a refresh sends requests from several threads
        self.url, self.now = connection.recv()

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer a request of the exporter."""
        response: HttpResponse = self._call("respond", request)
        return response

    def advance(self, now: float, *, faults: bool = True) -> Timeline:
        """Advance the clock; return the expected streaks that change, minute by minute."""
        self.now = now
        timeline: Timeline = self._call("advance", now, faults)
        return timeline

    def sums(self) -> tuple[int, int, list[str]]:
        """Return the numbers of commits and of faults, and unexpected requests."""
        sums: tuple[int, int, list[str]] = self._call("sums")
        return sums

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            self._connection.send((name, arguments))
            return self._connection.recv()


@contextmanager
def remote_world(size: Size, seed: int) -> Iterator[RemoteWorld]:
    """Run a world for a `with` block."""
    spawn = multiprocessing.get_context("spawn")
    mine, other = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(other, size, seed))
    process.start()
    other.close()
    try:
        yield RemoteWorld(mine)
        mine.send(None)
    finally:
        mine.close()
        process.join(30)
