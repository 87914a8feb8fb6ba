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
from trunkwatch.poller.poller import AT_ONCE, Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import Source, SourceContext, build_source
from trunkwatch.store import SqliteStore, Store

from tests.github.fake import TOKEN, FakeGitHub
from tests.github.server import GitHubServer, serving_github

TOKEN_VARIABLE = "STANDIN_TOKEN"
POLL = 60.0


def config_for(url: str, repo: str, more: str = "", jobs: str = "preset: pytorch") -> Config:
    """Return a configuration that reads one repository of a stand-in."""
    source = f"name: gh, type: github, api_url: '{url}', repo: {repo}, branches: [main]"
    token = "" if "token" in more else f", token_env: {TOKEN_VARIABLE}"
    return parse_config(f"sources: [{{{source}{token}{more}}}]\njobs: {{{jobs}}}\n", "t.yml")


@dataclass(frozen=True, slots=True)
class RefreshResult:
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
class SimulatedExporter:
    """An exporter without its web pages, whose time is the world's.

    Attributes:
        world: what happens.
        server: plays it.
        config: what is read of it.
        store: what has been read; a restart keeps it.
    """

    fake: FakeGitHub
    server: GitHubServer
    config: Config
    store: Store = field(default_factory=SqliteStore)

    def __post_init__(self) -> None:
        self.slept = 0.0
        self.restart()

    def restart(self) -> None:
        """Start anew with what is stored."""
        self.counters = Counters()
        self.engine = TrunkEngine(self.config, self.store, self.counters, self._clock)
        self.poller = Poller(self.engine, [], Timing(self._clock, lambda: 0.0))
        section = self.config.sources[0]
        tools = SourceContext(
            clock=self._clock,
            sleep=self._sleep,
            events=frozenset(self.config.jobs.events),
            interest=self.engine.interest,
        )
        self.source: Source = build_source(section, tools)

    def refresh(self) -> RefreshResult:
        """Refresh once."""
        sent, counted = len(self.server.log), self.server.counted()
        ok = self.poller.refresh_once(self.config.sources[0], self.source)
        return RefreshResult(
            ok,
            len(self.server.log) - sent,
            self.server.counted() - counted,
            self.engine.snapshot.sources[0],
        )

    def refresh_until_idle(self, at_most: int = 200) -> list[RefreshResult]:
        """Refresh until the source has nothing more to say at once."""
        done = []
        for _ in range(at_most):
            done.append(self.refresh())
            again = self.engine.asks_again("gh")
            if done[-1].ok and (again is None or again > AT_ONCE):
                return done
        raise AssertionError(f"the source had more to say after {at_most} refreshes")

    def advance(self, seconds: float, every: float = POLL) -> list[RefreshResult]:
        """Let time go by, with a refresh at each interval."""
        done = []
        end = self.fake.now + seconds
        while self.fake.now < end:
            self.fake.now += every
            done.append(self.refresh())
        return done

    @property
    def trunk(self) -> TrunkState:
        """The one trunk that is read."""
        (trunk,) = self.engine.snapshot.trunks
        return trunk

    def jobs(self) -> dict[JobKey, JobState]:
        """Return every job."""
        return {job.key: job for job in self.trunk.jobs}

    def job(self, name: str) -> JobState:
        """Return the one job of a name."""
        (job,) = [job for job in self.trunk.jobs if job.key.job_name == name]
        return job

    def _clock(self) -> float:
        return self.fake.now

    def _sleep(self, seconds: float) -> None:
        """Time stands still while the source waits: nothing happens in the meantime."""
        self.slept += seconds


class _PlannedSource:
    """A source that knows the truth."""

    def __init__(self, fake: FakeGitHub, repo: str) -> None:
        self._world, self._repo = fake, repo

    def facts(self) -> Iterator[Fact]:
        order, rows = self._world.expected_facts(self._repo, "main")
        yield order
        yield from rows


def expected_jobs(exporter: SimulatedExporter, repo: str) -> dict[JobKey, JobState]:
    """Return what is true of every job now, as the policy judges it."""
    config = parse_config(
        "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n", "t.yml"
    )
    if exporter.config.jobs.preset is None:
        config = config.model_copy(update={"jobs": exporter.config.jobs})
    store = SqliteStore()
    engine = TrunkEngine(config, store, Counters(), lambda: exporter.fake.now)
    engine.refreshed("gh", _PlannedSource(exporter.fake, repo).facts(), lambda: 0.0)
    (state,) = engine.snapshot.trunks
    store.close()
    return {job.key: job for job in state.jobs}


COMPARED: tuple[str, ...] = (
    "streak",
    "broken",
    "failures_in_outage",
    "last_verdict",
    "pending",
    "flaky",
)


def job_differences(
    found: Mapping[JobKey, JobState],
    true: Mapping[JobKey, JobState],
    said: tuple[str, ...] = COMPARED,
) -> dict[str, tuple[Any, Any]]:
    """Return each thing that is said otherwise than it is, as (found, true)."""
    differences: dict[str, tuple[Any, Any]] = {}
    for key in found.keys() | true.keys():
        ours, real = found.get(key), true.get(key)
        for name in said:
            a = getattr(ours, name) if ours else None
            b = getattr(real, name) if real else None
            if a != b:
                differences[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
        for name in ("first_bad", "last_good"):
            a = _blamed(ours, name)
            b = _blamed(real, name)
            if a != b:
                differences[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
    return differences


def _blamed(job: JobState | None, name: str) -> str | None:
    blame = job.blame if job else None
    commit = getattr(blame, name) if blame else None
    return commit.sha if commit else None


@contextmanager
def running_exporter(
    fake: FakeGitHub, repo: str = "o/r", more: str = "", **jobs: str
) -> Iterator[SimulatedExporter]:
    """Serve a world, and read one repository of it."""
    with (
        mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}),
        serving_github(fake) as server,
    ):
        config = config_for(server.url, repo, more, **jobs)
        yield SimulatedExporter(fake, server, config)


TRUNK = Trunk("o/r", "main")
