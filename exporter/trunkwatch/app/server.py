"""`trunkwatch serve`: polls sources and serves their state until a signal ends it."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from trunkwatch import __version__
from trunkwatch.addresses import base_address
from trunkwatch.app.listeners import WebOptions, open_listeners
from trunkwatch.app.parts import build_sources, compare_urls, open_store
from trunkwatch.app.sharding import Sharding
from trunkwatch.app.standstill import StandstillGuard
from trunkwatch.app.storage import StorageKeeper
from trunkwatch.app.triage import TriageReader
from trunkwatch.config import Config, SourceConfig, load_config
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import TrunkwatchError
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.metrics.lines import Labels
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.process import Supervisor, ignore_reloads
from trunkwatch.report.document import CompareUrls
from trunkwatch.sources import DeliveryUpdate, Source, WebhookSource
from trunkwatch.store import ServerLock, damage_of
from trunkwatch.web import WEBHOOK_PREFIX, Hook, Pages, Webhook, WebServer
from trunkwatch.web.view import View

log = logging.getLogger(__name__)

POLLER_STOP_SECONDS = 2.0
"""How long the end of the process waits for refreshes, of which nothing is stored."""


UNSHARDED = Sharding()
"""The flags of an exporter that reads everything."""


class Server:
    """The exporter as a server: pollers, the engine and the listeners."""

    def __init__(
        self, config_path: str, storage: str, web: WebOptions, sharding: Sharding = UNSHARDED
    ) -> None:
        """Check everything that can fail before anything starts.

        Args:
            config_path: of the configuration.
            storage: path of the storage.
            web: addresses and files of the listeners.
            sharding: which repositories are read.

        Raises:
            ConfigError: the configuration, or one of a listener, cannot be used.
            StoreError: the storage cannot be used.
            ListenError: the address cannot be listened on.
            UsageError: an address cannot be read.
        """
        ignore_reloads()
        self._config_path = config_path
        self._external_url = ""
        if web.external_url is not None:
            self._external_url = base_address("--web.external-url", web.external_url)
        self._config = load_config(config_path)
        self._counters = Counters()
        self._sharding = sharding
        sharding.count(self._counters)
        self._compared: tuple[Config, tuple[Trunk, ...], CompareUrls] | None = None
        self._supervisor = Supervisor(self._dead_threads)
        self._triage = TriageReader(lambda: self._config)
        self._standstill = StandstillGuard(self._stood_still)
        self._storage, self._damage = storage, ""
        self._lock = ServerLock(storage)
        try:
            self._store = open_store(storage)
        except Exception:
            self._lock.close()
            raise
        # Listen before the stored rows are evaluated: with much history that takes a while, and
        # `/-/ready` reports it.
        self._engine = TrunkEngine(
            self._config,
            self._store,
            self._counters,
            time.time,
            evaluate=False,
            keeps_state=True,
            shard=sharding.shard,
        )
        self._exposition = Exposition(
            lambda: self._engine.snapshot,
            self._counters.totals,
            __version__,
            triage=lambda: self._triage.triage,
        )
        self._sources = self._build_sources(self._config, self._engine)
        try:
            self._web = self._listeners(web)
            self._external_url = self._external_url or self._web[0].local_url
        except Exception:
            self._store.close()
            self._lock.close()
            raise
        self._exposition.use(self._labels(self._config))
        self._poller = self._new_poller()
        self._keeper = self._new_keeper()

    def _build_sources(
        self, config: Config, engine: TrunkEngine
    ) -> list[tuple[SourceConfig, Source]]:
        return build_sources(config, self._counters, engine, self._sharding.shard)

    def _listeners(self, web: WebOptions) -> list[WebServer]:
        """Listen for scrapes, people and webhooks."""
        webhook = Webhook(self._hooks, self._count_delivery)
        pages = Pages(
            self._view,
            self._exposition,
            time.time,
            __version__,
            webhook if web.webhook_listen is None else None,
            has_metrics=web.metrics_listen is None,
            dead_threads=self._supervisor.dead_threads,
            problems=self._problems,
            before_scrape=self._standstill.check,
        )
        report = self._counters.web_config_reloaded
        most = self._config.limits.max_connections
        return open_listeners(web, pages, webhook, self._count_refused, report, most)

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: that of the pages first."""
        return [server.port for server in self._web]

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration.

        Returns:
            The exit code.

        Raises:
            StoreError: the stored rows cannot be read.
        """
        self._standstill.start()
        for server in self._web:
            server.start()
        ports = " and ".join(map(str, self.ports))
        return self._supervisor.run(partial(self._begin, ports), self._stop, self._reload)

    def _begin(self, ports: str) -> None:
        log.info("listening on port %s", ports, extra={"version": __version__})
        self._engine.evaluate_stored(self._exposition.update)
        self._log_stored()
        self._exposition.update()
        self._poller.start()
        self._keeper.start()
        self._triage.start()
        threading.Thread(target=self._check_store, name="check-storage", daemon=True).start()

    def _stop(self) -> None:
        for server in self._web:
            server.begin_stop()
        for server in self._web:
            server.stop()
        self._keeper.stop()
        self._triage.stop()
        self._standstill.stop()
        self._poller.stop(POLLER_STOP_SECONDS)
        self._store.close()
        self._lock.close()

    def _dead_threads(self) -> list[str]:
        dead = [name for server in self._web for name in server.dead_threads()]
        others = (self._poller, self._keeper, self._triage, self._standstill)
        return dead + [name for each in others for name in each.dead_threads()]

    def _stood_still(self) -> None:
        """Show nothing of before until the sources have been read again, at once."""
        self._engine.await_answers()
        self._exposition.update()
        for section, _ in self._sources:
            self._poller.wake(section.name)

    def _check_store(self) -> None:
        """Check the structure of the storage file, once: pages that nothing reads stay unseen."""
        problem = damage_of(self._storage)
        if problem is not None:
            self._damage = problem
            self._counters.storage_damaged()
            fields = {"path": self._storage, "error": problem}
            log.error("storage damaged: stop, move it away and start to read anew", extra=fields)

    def _problems(self) -> list[str]:
        damage = f"storage {self._storage} is damaged: {self._damage}"
        return self._engine.unevaluated + ([damage] if self._damage else [])

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

    def _reload(self) -> None:
        """Replace the configuration; after any failure the old one goes on.

        It goes on reading and serving as well while all stored rows are evaluated by the new one,
        which may take minutes.
        """
        before = self._engine
        self._keeper.stop()  # It deletes rows that the new engine reads.
        before.begin_handover()
        try:
            config = load_config(self._config_path)
            engine = TrunkEngine(
                config,
                self._store,
                self._counters,
                time.time,
                before=before.snapshot,
                keeps_state=True,
                shard=self._sharding.shard,
            )
            sources = self._build_sources(config, engine)
        except Exception as error:
            before.cancel_handover()
            self._reload_failed(error)
            self._restart_keeper()
            return
        self._poller.stop()
        if not before.snapshot.complete:
            engine.await_answers()  # The process may have stood still since `engine` was made.
        before.hand_over(engine)
        if config.limits != self._config.limits:
            self._exposition.use(self._labels(config))
        self._config, self._engine, self._sources = config, engine, sources
        self._counters.reloaded(ok=True)
        self._exposition.update()
        # Logged once it can be seen: who reads this line may scrape at once.
        log.info("configuration reloaded", extra={"sources": len(sources)})
        self._poller = self._new_poller()
        self._poller.start()
        self._restart_keeper()
        self._poller.delivered()  # Deliveries that arrived while no poller ran.

    def _restart_keeper(self) -> None:
        self._keeper = self._new_keeper()
        self._keeper.start()

    def _reload_failed(self, error: Exception) -> None:
        self._counters.reloaded(ok=False)
        expected = isinstance(error, TrunkwatchError)
        log.error(
            "reload failed, the old configuration stays",
            extra={"error": error},
            exc_info=None if expected else error,
        )
        self._exposition.update()

    def _new_poller(self) -> Poller:
        return Poller(self._engine, self._sources, Timing(time.monotonic), self._exposition.update)

    def _new_keeper(self) -> StorageKeeper:
        return StorageKeeper(self._config, self._engine, self._store, self._counters)

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

    def _labels(self, config: Config) -> Labels:
        def count() -> None:
            self._counters.add("trunkwatch_label_values_cut_total")

        self._counters.add("trunkwatch_label_values_cut_total", amount=0)
        return Labels(config.limits.max_label_bytes, count, self._external_url)

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
        return View(
            lambda: engine.snapshot,
            compared[2],
            engine.columns_at,
            self._external_url,
            self._triage.triage,
            partial(self._sharding.other, self._config),
        )


def _joined(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
