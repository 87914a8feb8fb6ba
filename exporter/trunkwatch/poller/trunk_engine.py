"""The state of all trunks and sources behind one lock: stores facts, evaluates, publishes."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from trunkwatch.config import Config, policy_of
from trunkwatch.domain.claimed_times import plausible_attempt, plausible_order
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import JobKey, Observation, Trunk, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.engine.row_cache import Touched
from trunkwatch.engine.snapshot import Snapshot, TrunkState, unread_trunk
from trunkwatch.errors import SourceError
from trunkwatch.poller.admission import Admission
from trunkwatch.poller.evaluation import TrunkEvaluations
from trunkwatch.poller.source_registry import SourceRegistry
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import DeliveryUpdate, FailureFocus, Refresh
from trunkwatch.store import Applied, Store, StoredRows

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds since the epoch."""


class TrunkEngine:
    """All trunks and sources of one configuration.

    `ingest_refresh` and `ingest_delivery` store facts. `snapshot` is immutable and replaced after
    each evaluation.

    Attributes:
        deferred: called after `ingest_part`, by the thread that called it.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        counters: Counters,
        clock: Clock,
        evaluation_clock: Clock | None = None,
        before: Snapshot | None = None,
        *,
        evaluate: bool = True,
    ) -> None:
        """Load the stored state.

        Args:
            config: sources, jobs and groups.
            store: stores the facts.
            counters: shared by the whole process.
            clock: the time of refreshes.
            evaluation_clock: the time at which results are evaluated; default: `clock`.
            before: the snapshot under an earlier configuration; sources keep their status.
            evaluate: evaluate all stored rows now; if False, the caller calls `evaluate_stored`,
                which takes long with much history.
        """
        self._policy = policy_of(config)
        self._store = store
        self._counters = counters
        self._clock = clock
        self._now = evaluation_clock or clock
        self._lock = threading.RLock()
        self._has_stopped = False
        self.deferred: Callable[[], None] = lambda: None
        exported = [job.key for state in before.trunks for job in state.jobs] if before else []
        self._admission = Admission(config.limits.max_jobs, exported)
        self._snapshot = Snapshot(as_of=self._now())
        stored = store.load()
        self._sources = SourceRegistry(config, stored, counters, before)
        self._trunks = TrunkEvaluations(
            self._policy, stored, lambda trunk: StoredRows(store, trunk), counters
        )
        if evaluate:
            self.evaluate_stored()

    # ------------------------------------------------------------------ reading

    @property
    def snapshot(self) -> Snapshot:
        """The state after the last evaluation; immutable."""
        return self._snapshot

    @property
    def policy(self) -> Policy:
        """The policy of the configuration."""
        return self._policy

    def state(self, source: str) -> SourceState:
        """Return the state that a source stored at earlier refreshes."""
        return self._sources.state(source)

    def retry_after(self, source: str) -> float | None:
        """Return the seconds until the next refresh that a source asked for, if it did."""
        return self._sources.retry_after(source)

    def focus(self, trunk: Trunk) -> FailureFocus:
        """Return the failures in a trunk whose details should be read first."""
        return self._trunks.focus(trunk)

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        with self._lock:
            return self._trunks.rows_of(key)

    def back_test(self, failures_to_open: int | None = None) -> list[BackTest]:
        """Return the outages and notifications that the policy gives for the history of each trunk.

        Args:
            failures_to_open: FAILs in a row that open an outage, for every job; None for the
                configured numbers.
        """
        with self._lock:
            return self._trunks.back_test(self._now(), failures_to_open)

    # ------------------------------------------------------------------ facts

    def ingest_refresh(
        self, source: str, refresh: Refresh, seconds: Callable[[], float]
    ) -> SourceError | None:
        """Store a refresh in one transaction, and evaluate its changes.

        Args:
            source: its name.
            refresh: its result.
            seconds: returns how long the refresh has taken; called at the end.

        Returns:
            The error of a refresh that was stored only in part, if it had one.

        Raises:
            SourceError: the facts are read here, and that failed; nothing was stored.
            StoreError: the facts could not be stored, or the rows not be read.
        """
        report = refresh.report
        with self._lock:
            applied = self._apply(source, refresh, None if report.failure else self._clock())
            self._sources.refreshed(source, report, seconds)
            watched = self._sources.watched_trunks()
            for trunk in _changed(applied) | set(filter(self._trunks.is_out_of_date, watched)):
                self._trunks.defer(trunk, applied.touched.get(trunk, {}))
            self._evaluate(self._trunks.take_pending(watched))
        return report.error

    def ingest_part(self, source: str, facts: Iterable[Fact]) -> None:
        """Store a part of a refresh that goes on; `evaluate_pending` evaluates it.

        Args:
            source: its name.
            facts: of some trunks, complete in themselves.

        Raises:
            StoreError: the facts could not be stored.
            SourceError: `stop_parts` was called: another engine may use the store.
        """
        with self._lock:
            if self._has_stopped:
                raise SourceError("the refresh was stopped")
            self._defer(self._apply(source, Refresh(facts), None))
        self.deferred()

    def stop_parts(self) -> None:
        """End the refreshes that store parts."""
        with self._lock:
            self._has_stopped = True

    def ingest_delivery(self, source: str, update: DeliveryUpdate) -> None:
        """Store a webhook delivery; `evaluate_pending` evaluates it.

        Args:
            source: its name.
            update: computes the facts from the source's state, under the same lock.

        Raises:
            StoreError: the facts could not be stored.
        """
        with self._lock:
            facts = update.facts(self._sources.state(source))
            self._defer(self._apply(source, Refresh(facts), None))

    def _defer(self, applied: Applied) -> None:
        for trunk in _changed(applied):
            self._trunks.defer(trunk, applied.touched.get(trunk, {}))

    def refresh_failed(self, source: str, reason: str, problem: str, seconds: float) -> None:
        """Record a refresh that failed; the last known values stay."""
        with self._lock:
            self._sources.failed(source, reason, problem, seconds)
            self._publish()

    def _apply(self, source: str, refresh: Refresh, now: float | None) -> Applied:
        received = self._clock()
        facts = (
            _plausible(fact, received)
            for fact in self._sources.only_orders_of(source, refresh.facts)
        )
        applied = self._store.apply(source, facts, now)
        self._sources.put_stored(source, applied.source)
        self._trunks.put(applied, received)
        for trunk in applied.rewritten:
            log.warning("force push", extra={"repo": trunk.repo, "branch": trunk.branch})
            self._counters.add("trunkwatch_trunk_rewrites_total", *trunk)
        return applied

    # ------------------------------------------------------------------ evaluation

    def evaluate_stored(self) -> None:
        """Evaluate all stored rows."""
        with self._lock:
            self._evaluate({trunk: {} for trunk in self._sources.watched_trunks()})

    def evaluate_pending(self) -> None:
        """Evaluate the deliveries that were stored since the last evaluation."""
        with self._lock:
            pending = self._trunks.take_pending(self._sources.watched_trunks())
            if pending:
                self._evaluate(pending)

    def expire(self) -> None:
        """Evaluate again the trunks whose state changed only because time passed."""
        with self._lock:
            expired = self._trunks.expired(self._now())
            if expired:
                self._evaluate({trunk: {} for trunk in expired})

    def _evaluate(self, touched: Mapping[Trunk, Touched]) -> None:
        self._trunks.evaluate(touched, self._now())
        self._trunks.drop_others(self._sources.watched_trunks())
        self._publish()
        if self._trunks.unstored_labels:
            self._store.put_labels(self._trunks.unstored_labels)
            self._trunks.labels_stored()

    def _publish(self) -> None:
        known = {trunk: unread_trunk(trunk) for trunk in self._sources.unread_trunks()}
        states = [
            self._with_sources(state)
            for _, state in sorted({**known, **self._trunks.states}.items())
        ]
        trunks, refused = self._admission.filter(states)
        self._counters.add("trunkwatch_jobs_dropped_total", amount=len(refused))
        for key in refused:
            log.error("job refused: limits.max_jobs is reached", extra=key._asdict())
        sources = self._sources.statuses
        self._snapshot = Snapshot(
            as_of=self._now(),
            trunks=trunks,
            sources=sources,
            complete=self._sources.has_history or all(source.answered for source in sources),
        )

    def _with_sources(self, state: TrunkState) -> TrunkState:
        """Return a trunk with the state of its sources, and its missing results as of their data.

        What a CI has not been asked for yet is not missing.
        """
        sources = self._sources.sources_of(state.trunk)
        data_at = earliest(source.read_until for source in sources)
        as_of = min(self._now(), data_at) if data_at is not None else None
        missing = 0 if as_of is None else self._trunks.missing_results(state, as_of)
        return replace(state, sources=sources, data_at=data_at, missing=missing)


def _changed(applied: Applied) -> set[Trunk]:
    """Return the trunks that have to be evaluated again."""
    return {*applied.touched, *applied.orders, *applied.workflow_states}


def _plausible(fact: Fact, now: float) -> Fact:
    """Return a fact without times that cannot be true: every fact of every source passes here."""
    if isinstance(fact, Observation):
        return plausible_attempt(fact, now)
    return plausible_order(fact, now) if isinstance(fact, TrunkOrder) else fact
