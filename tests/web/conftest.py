"""A real server on a free loopback port, over a real engine with a clock that stands still."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
import requests
from trunkwatch.app.server import UNSHARDED
from trunkwatch.app.sharding import Sharding
from trunkwatch.config import Config, parse_config
from trunkwatch.engine.facts import Fact
from trunkwatch.engine.triage import NO_TRIAGE, Triage
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.sources import Refresh
from trunkwatch.store import SqliteStore
from trunkwatch.web import Pages, WebServer
from trunkwatch.web.answer import Endpoint
from trunkwatch.web.view import View

from tests.support.clock import Clock
from tests.support.rows import NOW, TRUNK

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECONDS = 30.0
SOURCE = "{name: ci, type: recorded, path: ci.ndjson, poll_interval: 60s}"
COMPARE = "https://git.example/compare/{last_good}...{first_bad}"


@dataclass(frozen=True)
class Site:
    """A served engine.

    Attributes:
        engine: ingests refreshes.
        exposition: renders /metrics.
        clock: the time that data's age is judged by.
        port: that is listened on.
    """

    engine: TrunkEngine
    exposition: Exposition
    clock: Clock
    port: int

    def ingest(self, *facts: Fact, source: str = "ci") -> None:
        """Ingest a refresh of a source."""
        self.engine.ingest_refresh(source, Refresh(facts), lambda: 0.5)
        self.exposition.update()

    def fail(self, problem: str, source: str = "ci") -> None:
        """Let a refresh fail."""
        self.engine.refresh_failed(source, "file", problem, 0.5)
        self.exposition.update()

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str | None] | None = None
    ) -> requests.Response:
        """Ask for a page."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.request(method, url, headers=headers, timeout=SECONDS)

    def text(self, path: str, accept: str = "text/plain") -> str:
        """Ask for a page that must be there."""
        answer = self.ask(path, headers={"Accept": accept})
        assert answer.status_code == 200
        return answer.text


MakeSite = Callable[..., Site]


class CurrentPages:
    """What the module's server shows; the site that was made last."""

    def __init__(self) -> None:
        self.pages: Pages | None = None

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        assert self.pages is not None
        return self.pages(environ, start_response)


@contextmanager
def listening(application: "WSGIApplication") -> Iterator[WebServer]:
    """Run a server for the length of a block."""
    server = WebServer("127.0.0.1:0", application)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[CurrentPages, int]]:
    """One real server for all sites of a module, and its port; stopping one takes half a second."""
    stage = CurrentPages()
    server = WebServer("127.0.0.1:0", stage)
    server.start()
    yield stage, server.port
    server.stop()


@pytest.fixture
def make_site(stage: tuple[CurrentPages, int]) -> Iterator[MakeSite]:
    """Return a function that serves a configuration of sources and further sections."""
    stores: list[SqliteStore] = []

    def make(
        *sources: str,
        more: str = "",
        webhook: Endpoint | None = None,
        triage: Triage = NO_TRIAGE,
        sharding: Sharding = UNSHARDED,
    ) -> Site:
        text = f"sources: [{', '.join(sources or (SOURCE,))}]\n{more}"
        config: Config = parse_config(text, "t.yml")
        stores.append(SqliteStore())
        counters = Counters()
        clock = Clock()
        shard = sharding.shard
        engine = TrunkEngine(config, stores[-1], counters, clock, lambda: NOW, shard=shard)
        exposition = Exposition(lambda: engine.snapshot, counters.totals, "1.2.3")
        other = partial(sharding.other, config)
        compare = {TRUNK: COMPARE}
        view = View(lambda: engine.snapshot, compare, engine.columns_at, None, triage, other)
        shown, port = stage
        shown.pages = Pages(lambda: view, exposition, clock, "1.2.3", webhook)
        return Site(engine, exposition, clock, port)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site with one source that has not been refreshed yet."""
    return make_site()
