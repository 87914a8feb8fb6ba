"""`trunkwatch serve`: polls sources and serves their state until a signal ends it."""

import logging
import queue
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from types import FrameType

from trunkwatch import __version__
from trunkwatch.app.parts import build_sources, compare_urls, open_store
from trunkwatch.config import Config, load_config
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import ConfigError
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.report.document import CompareUrls
from trunkwatch.sources import DeliveryUpdate, WebhookSource
from trunkwatch.web import WEBHOOK_PREFIX, Hook, Pages, Webhook, WebhookOnly, WebServer
from trunkwatch.web.pages import View

log = logging.getLogger(__name__)


class Server:
    """The exporter as a server: pollers, the engine and the listeners."""

    def __init__(
        self, config_path: str, storage: str, listen: str, webhook_listen: str | None = None
    ) -> None:
        """Check everything that can fail before anything starts.

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
        self._compared: tuple[Config, tuple[Trunk, ...], CompareUrls] | None = None
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._store = open_store(storage)
        # Listen before the stored rows are evaluated: with much history that takes a while, and
        # `/-/ready` reports it.
        self._engine = TrunkEngine(
            self._config,
            self._store,
            self._counters,
            time.time,
            evaluate=False,
            keeps_state=True,
        )
        self._exposition = Exposition(
            lambda: self._engine.snapshot, self._counters.totals, __version__
        )
        self._sources = build_sources(self._config, self._counters, self._engine)
        try:
            self._web = self._listeners(listen, webhook_listen)
        except Exception:
            self._store.close()
            raise
        self._poller = self._new_poller()

    def _listeners(self, listen: str, webhook_listen: str | None) -> list[WebServer]:
        """Listen for scrapes and people, and for webhooks there or on an address of their own."""
        webhook = Webhook(self._hooks, self._count_delivery)
        shared = webhook if webhook_listen is None else None
        pages = Pages(self._view, self._exposition, time.time, __version__, shared)
        servers = [WebServer(listen, pages, count_refused=self._count_refused)]
        if webhook_listen is not None:
            try:
                servers.append(
                    WebServer(
                        webhook_listen,
                        WebhookOnly(webhook),
                        "--web.webhook-listen-address",
                        self._count_refused,
                    )
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
        ports = " and ".join(map(str, self.ports))
        log.info("listening on port %s", ports, extra={"version": __version__})
        self._engine.evaluate_stored()
        self._log_stored()
        self._exposition.update()
        self._poller.start()
        while (signum := self._signals.get()) == signal.SIGHUP:
            self._reload()
        log.info("stopping", extra={"signal": signal.Signals(signum).name})
        self._poller.stop()
        for server in self._web:
            server.stop()
        self._store.close()

    def _log_stored(self) -> None:
        """Log the extent of the configuration and of the stored state."""
        trunks = self._engine.snapshot.trunks
        log.info(
            "stored results evaluated",
            extra={
                "sources": _joined(section.name for section, _ in self._sources),
                "trunks": len(trunks),
                "jobs": sum(len(trunk.jobs) for trunk in trunks),
            },
        )

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Only queue the signal: a handler may interrupt anything, even another handler."""
        del frame
        self._signals.put(signum)

    def _reload(self) -> None:
        """Replace the configuration; an invalid one is logged and changes nothing."""
        try:
            config = load_config(self._config_path)
        except ConfigError as error:
            self._counters.reloaded(ok=False)
            log.error("reload failed, the old configuration stays", extra={"error": error})
            return
        self._poller.stop()
        before = self._engine
        before.begin_handover()
        engine = TrunkEngine(
            config,
            self._store,
            self._counters,
            time.time,
            before=before.snapshot,
            keeps_state=True,
        )
        before.hand_over(engine)
        self._config, self._engine = config, engine
        self._sources = build_sources(config, self._counters, self._engine)
        self._poller = self._new_poller()
        self._counters.reloaded(ok=True)
        self._exposition.update()
        self._poller.start()
        self._poller.delivered()  # Those that the engine before has handed over.
        log.info("configuration reloaded", extra={"sources": len(self._sources)})

    def _new_poller(self) -> Poller:
        return Poller(self._engine, self._sources, Timing(time.monotonic), self._exposition.update)

    def _hooks(self) -> Mapping[str, Hook]:
        """Return the receivers of webhooks by path.

        A source is also reached by its type, as in /webhook/github, while it is the only one of
        that type.
        """
        sections = [each for each in self._sources if isinstance(each[1], WebhookSource)]
        types = Counter(section.type for section, _ in sections)
        hooks: dict[str, Hook] = {}
        aliases: dict[str, Hook] = {}
        for section, source in sections:
            assert isinstance(source, WebhookSource)
            hook = Hook(section.name, source, partial(self._ingest, section.name))
            hooks[f"{WEBHOOK_PREFIX}{section.name}"] = hook
            if types[section.type] == 1:
                aliases[f"{WEBHOOK_PREFIX}{section.type}"] = hook
        return {**aliases, **hooks}

    def _ingest(self, name: str, update: DeliveryUpdate) -> None:
        """Store what a delivery reports; when this returns, it cannot be lost."""
        self._engine.ingest_delivery(name, update)
        self._poller.delivered()
        if update.needs_refresh:
            self._poller.wake(name)

    def _count_delivery(self, outcome: str) -> None:
        self._counters.add("trunkwatch_webhook_deliveries_total", outcome)

    def _count_refused(self, reason: str) -> None:
        self._counters.add("trunkwatch_http_refused_total", reason)

    def _view(self) -> View:
        engine, compared = self._engine, self._compared
        snapshot = engine.snapshot
        trunks = tuple(state.trunk for state in snapshot.trunks)
        if compared is None or compared[0] is not self._config or compared[1] != trunks:
            # Each source may be asked for each trunk: too much for each request.
            compared = self._config, trunks, compare_urls(self._config, snapshot)
            self._compared = compared
        return View(lambda: engine.snapshot, compared[2])


def _joined(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
