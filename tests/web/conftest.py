"""A real server on a free loopback port, over a real watcher with a clock that stands still."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from exporter.config import Config, parse_config
from exporter.domain.facts import Fact
from exporter.metrics.exposition import Exposition
from exporter.poller.totals import Counters
from exporter.poller.watcher import Watcher
from exporter.store import SqliteStore
from exporter.web import Pages, WebServer
from exporter.web.pages import View
from tests.support.rows import NOW, TRUNK

SECONDS = 30.0
SOURCE = "{name: ci, type: recorded, path: ci.ndjson, poll_interval: 60s}"
COMPARE = "https://git.example/compare/{last_good}...{first_bad}"


@dataclass
class Site:
    """What is served.

    Attributes:
        watcher: takes what sources say.
        exposition: renders /metrics.
        now: what the clock shows (seconds since the epoch).
        port: that is listened on.
    """

    watcher: Watcher
    exposition: Exposition
    now: float = NOW
    port: int = 0

    def take(self, *facts: Fact, source: str = "ci") -> None:
        """Let a source say something."""
        self.watcher.refreshed(source, facts, lambda: 0.5)
        self.exposition.update()

    def fail(self, problem: str, source: str = "ci") -> None:
        """Let a refresh fail."""
        self.watcher.failed(source, "file", problem, 0.5)
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


@pytest.fixture
def make_site() -> Iterator[MakeSite]:
    """Return a function that serves a configuration: sources, and whatever else it says."""
    servers: list[WebServer] = []
    stores: list[SqliteStore] = []

    def make(*sources: str, more: str = "") -> Site:
        text = f"sources: [{', '.join(sources or (SOURCE,))}]\n{more}"
        config: Config = parse_config(text, "t.yml")
        stores.append(SqliteStore())
        counters = Counters()
        watcher = Watcher(config, stores[-1], counters, lambda: site.now, lambda: NOW)
        exposition = Exposition(lambda: watcher.snapshot, counters.totals, "1.2.3")
        site = Site(watcher, exposition)
        view = View(lambda: watcher.snapshot, {TRUNK: COMPARE})
        pages = Pages(lambda: view, exposition, lambda: site.now, "1.2.3")
        server = WebServer("127.0.0.1:0", pages)
        server.start()
        servers.append(server)
        site.port = server.port
        return site

    yield make
    for server in servers:
        server.stop()
    for store in stores:
        store.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site with one source that has not said anything yet."""
    return make_site()
