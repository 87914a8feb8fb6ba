"""Plays a source against a stand-in GitHub in virtual time, and compares it with the truth."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from trunkwatch.config import Config, parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.facts import Fact
from trunkwatch.engine.snapshot import SourceStatus, TrunkState
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import SAME_READING_SECONDS, Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.rest import HttpContext
from trunkwatch.sources import Refresh, Source, SourceContext, build_source
from trunkwatch.store import SqliteStore, Store

from tests.github.server import StandIn, serving_github
from tests.github.world import TOKEN, World

TOKEN_VARIABLE = "STANDIN_TOKEN"
POLL = 60.0


def config_of(url: str, repo: str, more: str = "", jobs: str = "preset: pytorch") -> Config:
    """Return a configuration that reads one repository of a stand-in."""
    source = f"name: gh, type: github, api_url: '{url}', repo: {repo}, branches: [main]"
    token = (
        "" if "token" in more.replace("webhook_secret", "") else f", token_env: {TOKEN_VARIABLE}"
    )
    return parse_config(f"sources: [{{{source}{token}{more}}}]\njobs: {{{jobs}}}\n", "t.yml")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh cost and said.

    Attributes:
        ok: it succeeded.
        sent: requests.
        counted: those that the rate limit counted.
        state: of the source afterwards.
    """

    ok: bool
    sent: int
    counted: int
    state: SourceStatus


@dataclass
class Player:
    """An exporter without its web pages, whose time is the world's.

    Attributes:
        world: what happens.
        server: plays it.
        config: what is read of it.
        store: what has been read; a restart keeps it.
    """

    world: World
    server: StandIn
    config: Config
    store: Store = field(default_factory=SqliteStore)

    def __post_init__(self) -> None:
        self.slept = 0.0
        self.restart()

    def restart(self) -> None:
        """Start anew with what is stored."""
        self.counters = Counters()
        self.watcher = TrunkEngine(self.config, self.store, self.counters, self._clock)
        self.poller = Poller(self.watcher, [], Timing(self._clock, lambda: 0.0))
        section = self.config.sources[0]
        context = SourceContext(
            http=HttpContext(clock=self._clock, sleep=self._sleep),
            events=frozenset(self.config.jobs.events),
            focus=self.watcher.focus,
        )
        self.source: Source = build_source(section, context)

    def refresh(self) -> Refreshed:
        """Refresh once."""
        sent, counted = len(self.server.log), self.server.counted()
        ok = self.poller.refresh_once(self.config.sources[0], self.source)
        return Refreshed(
            ok,
            len(self.server.log) - sent,
            self.server.counted() - counted,
            self.watcher.snapshot.sources[0],
        )

    def refresh_to_the_end(self, at_most: int = 200) -> list[Refreshed]:
        """Refresh until the source has nothing more to say at once."""
        done = []
        for _ in range(at_most):
            done.append(self.refresh())
            again = self.watcher.retry_after("gh")
            if done[-1].ok and (again is None or again > SAME_READING_SECONDS):
                return done
        raise AssertionError(f"the source had more to say after {at_most} refreshes")

    def pass_time(self, seconds: float, every: float = POLL) -> list[Refreshed]:
        """Let time go by, with a refresh at each interval."""
        done = []
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.now += every
            done.append(self.refresh())
        return done

    @property
    def trunk(self) -> TrunkState:
        """The one trunk that is read."""
        (trunk,) = self.watcher.snapshot.trunks
        return trunk

    def jobs(self) -> dict[JobKey, JobState]:
        """Return every job."""
        return {job.key: job for job in self.trunk.jobs}

    def job(self, name: str) -> JobState:
        """Return the one job of a name."""
        (job,) = [job for job in self.trunk.jobs if job.key.job_name == name]
        return job

    def _clock(self) -> float:
        return self.world.now

    def _sleep(self, seconds: float) -> None:
        """Time stands still while the source waits: nothing happens in the meantime."""
        self.slept += seconds


class _Ideal:
    """A source that knows the truth."""

    def __init__(self, world: World, repo: str) -> None:
        self._world, self._repo = world, repo

    def facts(self) -> Iterator[Fact]:
        order, rows = self._world.truth(self._repo, "main")
        yield order
        yield from rows


def truth(player: Player, repo: str) -> dict[JobKey, JobState]:
    """Return what is true of every job now, as the policy judges it."""
    config = parse_config(
        "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n", "t.yml"
    )
    if player.config.jobs.preset is None:
        config = config.model_copy(update={"jobs": player.config.jobs})
    store = SqliteStore()
    watcher = TrunkEngine(config, store, Counters(), lambda: player.world.now)
    watcher.ingest_refresh("gh", Refresh(_Ideal(player.world, repo).facts()), lambda: 0.0)
    (state,) = watcher.snapshot.trunks
    store.close()
    return {job.key: job for job in state.jobs}


SAID: tuple[str, ...] = (
    "consecutive_failures",
    "broken",
    "failures_in_outage",
    "last_verdict",
    "pending",
    "flaky",
)


def what_differs(
    found: Mapping[JobKey, JobState], true: Mapping[JobKey, JobState], said: tuple[str, ...] = SAID
) -> dict[str, tuple[Any, Any]]:
    """Return each thing that is said otherwise than it is, as (found, true)."""
    differs: dict[str, tuple[Any, Any]] = {}
    for key in found.keys() | true.keys():
        ours, real = found.get(key), true.get(key)
        for name in said:
            a = getattr(ours, name) if ours else None
            b = getattr(real, name) if real else None
            if a != b:
                differs[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
        for name in ("first_bad", "last_good"):
            a = _blamed(ours, name)
            b = _blamed(real, name)
            if a != b:
                differs[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
    return differs


def _blamed(job: JobState | None, name: str) -> str | None:
    blame = job.blame if job else None
    commit = getattr(blame, name) if blame else None
    return commit.sha if commit else None


@contextmanager
def playing(world: World, repo: str = "o/r", more: str = "", **jobs: str) -> Iterator[Player]:
    """Serve a world, and read one repository of it."""
    with (
        mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}),
        serving_github(world) as server,
    ):
        config = config_of(server.url, repo, more, **jobs)
        yield Player(world, server, config)


TRUNK = Trunk("o/r", "main")
