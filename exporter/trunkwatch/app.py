"""Puts the parts together; the one place that names each concrete class."""

import logging
import queue
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from trunkwatch import __version__
from trunkwatch.config import Config, SourceConfig, load_config, policy_of
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, RefreshReport, SourceState
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.errors import ConfigError
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.report.document import CompareUrls
from trunkwatch.report.words import commits
from trunkwatch.sources import Source, SourceContext, WebhookSource, build_source
from trunkwatch.store import STORES, Store
from trunkwatch.web import (
    WEBHOOK_PATH,
    Delivery,
    Hook,
    Pages,
    Webhook,
    WebhookOnly,
    WebServer,
)
from trunkwatch.web.pages import View

log = logging.getLogger(__name__)

Clock = Callable[[], float]


def open_store(path: str) -> Store:
    """Open the storage.

    Raises:
        StoreError: the file cannot be used.
    """
    return STORES["sqlite"](path)


def sources_of(
    config: Config, counters: Counters, watcher: TrunkEngine
) -> list[tuple[SourceConfig, Source]]:
    """Return every configured source, with a count of its requests."""
    return [
        (section, build_source(section, _tools(section.name, config, counters, watcher)))
        for section in config.sources
    ]


def _tools(name: str, config: Config, counters: Counters, watcher: TrunkEngine) -> SourceContext:
    def count(code: str) -> None:
        counters.add("trunkwatch_source_requests_total", name, code)

    return SourceContext(
        count_request=count,
        events=policy_of(config).evidence.events,
        interest=watcher.interest,
    )


def compare_urls(config: Config, snapshot: Snapshot) -> CompareUrls:
    """Return per trunk where two of its commits are compared, as far as sources say so.

    A source that is certain to feed a trunk speaks for it; a recorded file's speaks for the rest.
    """
    urls: dict[Trunk, str] = {}
    for section in config.sources:
        for trunk in section.feeds() or [state.trunk for state in snapshot.trunks]:
            template = section.compares(trunk)
            if template is not None:
                urls.setdefault(trunk, template)
    return urls


# ---------------------------------------------------------------------- once

Progress = Callable[[str, int], None]
"""Is told what is being read, and how many results of it have been."""

TELL_EVERY = 1000
"""Results between two words about progress: often enough to look alive, too seldom to cost."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A source of which somebody sees how far it is; it may take several refreshes.

    Attributes:
        name: of the source.
        source: the source.
        progress: is told how far it is.
        taken: results that were counted, one number for each refresh.
    """

    name: str
    source: Source
    progress: Progress
    taken: list[int] = field(default_factory=list)

    def refresh(self, memory: SourceState) -> Iterator[Fact]:
        """Ask the source now, and count what it says while that is taken."""
        return self._counted(self.source.refresh(memory))

    def _counted(self, facts: Iterable[Fact]) -> Iterator[Fact]:
        before, name = sum(self.taken), self.name
        self.taken.append(0)
        for number, fact in enumerate(facts, 1):
            if isinstance(fact, RefreshReport) and fact.unread:
                name = f"{self.name}, {commits(fact.unread)} to go,"
                self.progress(name, before)
            if number % TELL_EVERY == 0:
                self.progress(name, before + number)
            self.taken[-1] = number
            yield fact


@dataclass(frozen=True, slots=True)
class Once:
    """One refresh of everything, for the commands that end.

    Attributes:
        watcher: what is known after it.
        store: where it is stored.
        compare_urls: per trunk.
        requests: how many answers of each status code it took.
    """

    watcher: TrunkEngine
    store: Store
    compare_urls: CompareUrls
    requests: Mapping[str, int]


def refresh_all(
    config: Config, storage: str, now: float | None, progress: Progress = lambda _name, _count: None
) -> Once:
    """Refresh every source once; what failed is logged and in the snapshot.

    Args:
        config: what to read.
        storage: path of the storage.
        now: the moment to judge at (seconds since the epoch); None for the present.
        progress: is told the name of each source, and how many results of it have been read.

    Raises:
        StoreError: the storage cannot be used.
    """
    store = open_store(storage)
    counters = Counters()
    judged_at: Clock = time.time if now is None else lambda: now
    try:
        watcher = TrunkEngine(config, store, counters, time.time, judged_at)
        poller = Poller(watcher, [], Timing(time.monotonic))
        for section, source in sources_of(config, counters, watcher):
            progress(section.name, 0)
            poller.refresh_until_done(section, _Watched(section.name, source, progress))
    except BaseException:
        store.close()
        raise
    requests = counters.totals().by_last_label("trunkwatch_source_requests_total")
    return Once(watcher, store, compare_urls(config, watcher.snapshot), requests)


# ---------------------------------------------------------------------- for ever


class Server:
    """`trunkwatch serve`: pollers, snapshots and the web, until a signal ends it."""

    def __init__(
        self, config_path: str, storage: str, listen: str, webhook_listen: str | None = None
    ) -> None:
        """Check everything that can be wrong before anything starts.

        Args:
            config_path: of the configuration.
            storage: path of the storage.
            listen: address of the pages and of `/metrics`.
            webhook_listen: address of the webhook alone; None to serve it with the pages.

        Raises:
            ConfigError: the configuration cannot be used.
            StoreError: the storage cannot be used.
            ListenError: the address cannot be listened on.
        """
        self._config_path = config_path
        self._config = load_config(config_path)
        self._counters = Counters()
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._store = open_store(storage)
        # A long history takes a while to judge; whoever asks meanwhile is told so.
        self._watcher = TrunkEngine(
            self._config, self._store, self._counters, time.time, judge=False
        )
        self._exposition = Exposition(
            lambda: self._watcher.snapshot, self._counters.totals, __version__
        )
        self._sources = sources_of(self._config, self._counters, self._watcher)
        try:
            self._web = self._listeners(listen, webhook_listen)
        except Exception:
            self._store.close()
            raise
        self._poller = self._new_poller()

    def _listeners(self, listen: str, webhook_listen: str | None) -> list[WebServer]:
        """Listen for scrapes and people, and for webhooks there or on an address of their own."""
        webhook = Webhook(self._hooks, self._count_delivery)
        with_pages = {WEBHOOK_PATH: webhook} if webhook_listen is None else {}
        pages = Pages(self._view, self._exposition, time.time, __version__, with_pages)
        servers = [WebServer(listen, pages)]
        if webhook_listen is not None:
            try:
                servers.append(
                    WebServer(webhook_listen, WebhookOnly(webhook), "--web.webhook-listen-address")
                )
            except Exception:
                servers[0].stop()
                raise
        return servers

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: that of the pages first."""
        return [server.port for server in self._web]

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration."""
        for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(kind, self._on_signal)
        for server in self._web:
            server.start()
        log.info("listening on port %s", " and ".join(map(str, self.ports)))
        self._watcher.evaluate_stored()
        self._exposition.update()
        self._poller.start()
        while (signum := self._asked.get()) == signal.SIGHUP:
            self._reload()
        log.info("%s: stopping", signal.Signals(signum).name)
        self._poller.stop()
        for server in self._web:
            server.stop()
        self._store.close()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Only take note: a handler may run in the middle of anything, even of another one."""
        del frame
        self._asked.put(signum)

    def _reload(self) -> None:
        """Take a new configuration; a bad one changes nothing and is said to be bad."""
        try:
            config = load_config(self._config_path)
        except ConfigError as error:
            self._counters.reloaded(ok=False)
            log.error("the configuration was not reloaded, the old one stays: %s", error)
            return
        self._poller.stop()
        self._config = config
        self._watcher = TrunkEngine(
            config, self._store, self._counters, time.time, before=self._watcher.snapshot
        )
        self._sources = sources_of(config, self._counters, self._watcher)
        self._poller = self._new_poller()
        self._counters.reloaded(ok=True)
        self._exposition.update()
        self._poller.start()
        log.info("the configuration was reloaded")

    def _new_poller(self) -> Poller:
        return Poller(self._watcher, self._sources, Timing(time.monotonic), self._exposition.update)

    def _hooks(self) -> list[Hook]:
        """Return who takes deliveries now."""
        return [
            Hook(section.name, source.secret, partial(self._deliver, section.name, source))
            for section, source in self._sources
            if isinstance(source, WebhookSource)
        ]

    def _deliver(
        self, name: str, source: WebhookSource, event: str, number: str, body: Mapping[str, Any]
    ) -> Delivery:
        """Store what a delivery says; when this returns, nothing of it can be lost."""
        heard = source.hear(event, body)
        if heard is None:
            log.debug("webhook: delivery %s (%s) is about nothing that is watched", number, event)
            return Delivery.IGNORED
        self._watcher.told(name, heard.facts)
        self._poller.told()
        if heard.look:
            self._poller.wake(name)
        return Delivery.TAKEN

    def _count_delivery(self, outcome: str) -> None:
        self._counters.add("trunkwatch_webhook_deliveries_total", outcome)

    def _view(self) -> View:
        watcher = self._watcher
        return View(lambda: watcher.snapshot, compare_urls(self._config, watcher.snapshot))
