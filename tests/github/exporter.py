"""An exporter in simulated time that reads the fake GitHub, and its expected jobs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

from trunkwatch.config import Config, parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.facts import Fact
from trunkwatch.engine.snapshot import SourceStatus, TrunkState
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import CONTINUE_WITHIN_SECONDS, Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.rest.http import HttpContext
from trunkwatch.shards import Shard
from trunkwatch.sources import Refresh, Source, SourceContext, build_source
from trunkwatch.store import SqliteStore, Store

from tests.github.direct import DirectSession
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.server import GitHubServer, serving_github

TOKEN_VARIABLE = "STANDIN_TOKEN"
POLL = 60.0


def config_for(
    url: str,
    repos: str | Sequence[str],
    more: str = "",
    jobs: str = "preset: pytorch",
    *,
    graphql: bool = True,
    branches: Sequence[str] = ("main",),
) -> Config:
    """Return a configuration that reads one or several repositories of the fake GitHub."""
    listed = repos if isinstance(repos, str) else ", ".join(repos)
    trunks = f"repos: [{listed}], branches: [{', '.join(branches)}]"
    source = f"name: gh, type: github, api_url: '{url}', {trunks}"
    token = (
        "" if "token" in more.replace("webhook_secret", "") else f", token_env: {TOKEN_VARIABLE}"
    )
    more += "" if graphql else ", graphql: false"
    more += "" if "poll_interval" in more else f", poll_interval: {POLL:.0f}s"
    return parse_config(f"sources: [{{{source}{token}{more}}}]\njobs: {{{jobs}}}\n", "t.yml")


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """The outcome and cost of one refresh.

    Attributes:
        ok: whether it succeeded.
        sent: number of requests.
        counted: REST requests that counted against the rate limit, plus points of GraphQL.
        points: points of GraphQL.
        state: the source's status afterwards.
    """

    ok: bool
    sent: int
    counted: int
    points: int
    state: SourceStatus


@dataclass
class SimulatedExporter:
    """An exporter without its web server, on the fake GitHub's clock.

    Attributes:
        fake: the fake GitHub.
        server: its HTTP server.
        config: the exporter's configuration.
        store: its storage, which a restart keeps.
        shard: which of several exporters it is.
        ahead: seconds by which its machine's clock is ahead of GitHub's.
    """

    fake: FakeGitHub
    server: GitHubServer
    config: Config
    store: Store = field(default_factory=SqliteStore)
    shard: Shard | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.ahead = 0.0
        self.slept = 0.0
        self.restart()

    def restart(self) -> None:
        """Restart on the same storage."""
        self.counters = Counters()
        self.restart_with(
            TrunkEngine(self.config, self.store, self.counters, self._clock, shard=self.shard)
        )

    def restart_with(self, engine: TrunkEngine) -> None:
        """Replace the poller and the source by new ones on an engine."""
        self.engine = engine
        self.poller = Poller(self.engine, [], Timing(self._clock, lambda: 0.0))
        section = self.config.sources[0]
        context = SourceContext(
            http=HttpContext(self._session, clock=self._clock, sleep=self._sleep),
            events=frozenset(self.config.jobs.events),
            focus=self.engine.focus,
            store=partial(self.engine.ingest_part, section.name),
            owns=self.shard.owns if self.shard else lambda _repo: True,
        )
        self.source: Source = build_source(section, context)

    def refresh(self) -> RefreshResult:
        """Refresh once."""
        sent, counted, points = self.server.sent(), self.server.counted(), self.server.points()
        ok = self.poller.refresh_once(self.config.sources[0], self.source)
        return RefreshResult(
            ok,
            self.server.sent() - sent,
            self.server.counted() - counted,
            self.server.points() - points,
            self.engine.snapshot.sources[0],
        )

    def refresh_until_idle(self, at_most: int = 200) -> list[RefreshResult]:
        """Refresh until the source does not ask for another refresh at once."""
        done = []
        for _ in range(at_most):
            done.append(self.refresh())
            again = self.engine.retry_after(self.config.sources[0].name)
            if done[-1].ok and (again is None or again > CONTINUE_WITHIN_SECONDS):
                return done
        raise AssertionError(f"the source still asks for a refresh after {at_most} of them")

    def advance(self, seconds: float, every: float = POLL) -> list[RefreshResult]:
        """Advance the clock, with a refresh at each interval."""
        done = []
        end = self.fake.now + seconds
        while self.fake.now < end:
            self.fake.now += every
            done.append(self.refresh())
        return done

    @property
    def trunk(self) -> TrunkState:
        """The only trunk that was read."""
        (trunk,) = (each for each in self.engine.snapshot.trunks if each.order.commits)
        return trunk

    def jobs(self) -> dict[JobKey, JobState]:
        """Return every job."""
        return {job.key: job for job in self.trunk.jobs}

    def job(self, name: str) -> JobState:
        """Return the only job with a name."""
        (job,) = [job for job in self.trunk.jobs if job.key.job_name == name]
        return job

    def _session(self) -> DirectSession:
        return DirectSession(self.server.respond)

    def _clock(self) -> float:
        return self.fake.now + self.ahead

    def _sleep(self, seconds: float) -> None:
        """Record the pause without advancing the clock."""
        self.slept += seconds


class _PlannedSource:
    """A source that reads the plan instead of the API."""

    def __init__(self, fake: FakeGitHub, repo: str) -> None:
        self._fake, self._repo = fake, repo

    def facts(self) -> Iterator[Fact]:
        order, rows = self._fake.expected_facts(self._repo, "main")
        yield order
        yield from rows


def expected_jobs(exporter: SimulatedExporter, repo: str) -> dict[JobKey, JobState]:
    """Return the state that every job should have now, as the policy evaluates the plan."""
    config = parse_config(
        "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n", "t.yml"
    )
    if exporter.config.jobs.preset is None:
        config = config.model_copy(update={"jobs": exporter.config.jobs})
    store = SqliteStore()
    engine = TrunkEngine(config, store, Counters(), lambda: exporter.fake.now)
    engine.ingest_refresh("gh", Refresh(_PlannedSource(exporter.fake, repo).facts()), lambda: 0.0)
    (state,) = engine.snapshot.trunks
    store.close()
    return {job.key: job for job in state.jobs}


COMPARED: tuple[str, ...] = (
    "consecutive_failures",
    "broken",
    "failures_in_outage",
    "last_verdict",
    "pending",
    "flaky",
)


def job_differences(
    found: Mapping[JobKey, JobState],
    expected: Mapping[JobKey, JobState],
    attributes: tuple[str, ...] = COMPARED,
) -> dict[str, tuple[Any, Any]]:
    """Return each attribute of a job that differs, as (found, expected)."""
    differences: dict[str, tuple[Any, Any]] = {}
    for key in found.keys() | expected.keys():
        job, expected_job = found.get(key), expected.get(key)
        for name in attributes:
            a = getattr(job, name) if job else None
            b = getattr(expected_job, name) if expected_job else None
            if a != b:
                differences[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
        for name in ("first_bad", "last_good"):
            a = _blamed(job, name)
            b = _blamed(expected_job, name)
            if a != b:
                differences[f"{key.workflow} / {key.job_name}: {name}"] = (a, b)
    return differences


def _blamed(job: JobState | None, name: str) -> str | None:
    blame = job.blame if job else None
    commit = getattr(blame, name) if blame else None
    return commit.sha if commit else None


@contextmanager
def running_exporter(
    fake: FakeGitHub,
    repo: str | Sequence[str] = "o/r",
    more: str = "",
    *,
    graphql: bool = True,
    **jobs: str,
) -> Iterator[SimulatedExporter]:
    """Serve a fake GitHub and run an exporter that reads one or several of its repositories.

    Args:
        fake: the fake GitHub.
        repo: one repository, or several.
        more: further keys of the source.
        graphql: whether GraphQL may be used.
        jobs: the section `jobs`.
    """
    with (
        mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}),
        serving_github(fake) as server,
    ):
        config = config_for(server.url, repo, more, **jobs, graphql=graphql)
        yield SimulatedExporter(fake, server, config)
