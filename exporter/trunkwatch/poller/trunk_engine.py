"""The state of all trunks and sources behind one lock: stores facts, evaluates, publishes."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from trunkwatch.config import Config, policy_of
from trunkwatch.domain.claimed_times import plausible_attempt, plausible_order
from trunkwatch.domain.columns import Column
from trunkwatch.domain.model import JobKey, Observation, Trunk, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.facts import AddedCommits, Cursor, Fact, SourceState, StateEntry
from trunkwatch.engine.row_cache import Touched
from trunkwatch.engine.snapshot import Snapshot, TrunkState, unread_trunk
from trunkwatch.engine.storable import storable_part
from trunkwatch.errors import SourceError, StoreError
from trunkwatch.poller.evaluation import END, TrunkEvaluations
from trunkwatch.poller.publication import Publication
from trunkwatch.poller.source_admission import SourceAdmission
from trunkwatch.poller.source_registry import SourceRegistry
from trunkwatch.poller.totals import Counters
from trunkwatch.shards import Shard
from trunkwatch.sources import DeliveryUpdate, FailureFocus, Refresh
from trunkwatch.store import Applied, Store
from trunkwatch.times import earliest

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds since the epoch."""


QUOTED = 300
"""Characters of a row that cannot be stored which the log quotes."""


class EvaluationProgress:
    """How far the evaluation of the stored results is."""

    def __init__(self, trunks: int) -> None:
        """Args:
        trunks: how many have stored results.
        """
        self._trunks = trunks
        self._done = 0
        self._share = 0.0

    def set_share(self, share: float) -> None:
        """Set the share of the current trunk that is done, from 0 to 1."""
        self._share = share

    def trunk_done(self) -> None:
        """Count a trunk as done."""
        self._done, self._share = self._done + 1, 0.0

    def __str__(self) -> str:
        percent = 100 * (self._done + self._share) / max(1, self._trunks)
        return (
            f"the stored results are being evaluated: {self._done} of {self._trunks} trunks"
            f" done, {percent:.0f} % in all"
        )


class Ingested(NamedTuple):
    """A stored refresh, part of one, or delivery.

    Attributes:
        source: its name.
        applied: the changes.
        received: seconds since the epoch.
    """

    source: str
    applied: Applied
    received: float


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
        keeps_state: bool = False,
        shard: Shard | None = None,
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
            keeps_state: store the evaluated states for the next start; for a process that goes on.
            shard: reads a part of the repositories; None for all of them.
        """
        self._policy = policy_of(config)
        self._store = store
        self._counters = counters
        self._clock = clock
        self._now = evaluation_clock or clock
        self._lock = threading.RLock()
        self._for_successor: list[Ingested] | None = None
        self._successor: TrunkEngine | None = None
        self._has_stopped = False
        self.deferred: Callable[[], None] = lambda: None
        self._unpublished: set[Trunk] = set()
        self._ahead: set[Trunk] = set()
        self._progress: EvaluationProgress | None = None
        self._snapshot = Snapshot(as_of=self._now())
        stored = store.load()
        self._sources = SourceRegistry(config, stored, counters, before, shard)
        exported = [job.key for state in before.trunks for job in state.jobs] if before else []
        limits = config.limits.max_jobs, config.limits.max_jobs_per_source
        admission = SourceAdmission(*limits, self._sources.owner_of, exported)
        self._publication = Publication(admission)
        self._trunks = TrunkEvaluations(
            self._policy, store, stored, counters, keeps_state=keeps_state
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

    def begin_refresh(self, source: str) -> SourceState:
        """Return the state of a source for a refresh that begins now."""
        with self._lock:
            return self._sources.begin_refresh(source)

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

    def columns_at(self, key: JobKey, shas: Collection[str]) -> list[Column]:
        """Return the columns of a job at some commits, oldest first.

        It takes no lock of the engine, so that a page never waits for an evaluation.

        Raises:
            StoreError: the rows cannot be read.
        """
        return self._trunks.columns_at(key, shas, self._now())

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
        report, received = self._sources.owned_part(refresh.report), self._clock()
        # Deliveries and scrapes of other sources wait for the lock: facts are read before it.
        facts = self._usable(source, refresh.facts, received)
        with self._lock:
            if self._successor is not None:
                return None  # It reads the source itself.
            report = self._sources.with_earlier_times(source, report, received)
            facts += self._sources.shard_entry(source)
            facts += self._sources.time_entries(source, report)
            self._apply(source, facts, received, None if report.failure else self._clock())
            self._sources.refreshed(source, report, seconds)
            unknown = self._changed() - self._trunks.states.keys()
            for trunk in {*unknown, *self._trunks.out_of_date}:
                self._trunks.defer(trunk, {})
            self._evaluate(self._trunks.take_pending(self._sources.watched_trunks))
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
        received = self._clock()
        usable = self._usable(source, facts, received)
        with self._lock:
            if self._has_stopped:
                raise SourceError("the refresh was stopped")
            self._apply(source, usable, received, None)
        self.deferred()

    def await_answers(self) -> None:
        """Withhold the exported series until every source has been asked again.

        For a process that stood still, whose results may be older than those of another exporter;
        so are those of a refresh that has begun before.
        """
        with self._lock:
            self._sources.await_answers()
            self._snapshot = replace(self._snapshot, complete=False, sources=self._sources.statuses)

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
            successor = self._successor
            if successor is None:
                received = self._clock()
                state = self._sources.state(source)
                facts = self._usable(source, update.facts(state), received)
                self._apply(source, facts, received, None)
        if successor is not None and successor.has_source(source):
            successor.ingest_delivery(source, update)

    def has_source(self, source: str) -> bool:
        """Return whether a source is configured."""
        return self._sources.has(source)

    def hand_over(self, successor: "TrunkEngine") -> None:
        """Pass on the changes stored since `begin_handover`, and all later deliveries.

        Args:
            successor: the engine of a new configuration; it has read the stored rows.
        """
        with self._lock:
            successor.adopt(self._for_successor or ())
            self._successor = successor

    def cancel_handover(self) -> None:
        """Go on without a successor, after `begin_handover`."""
        with self._lock:
            self._for_successor = None

    def begin_handover(self) -> None:
        """Keep the changes stored from now on for a successor, which reads the earlier ones."""
        with self._lock:
            self._for_successor = []

    def adopt(self, stored: Iterable["Ingested"]) -> None:
        """Take over changes that another engine stored; `evaluate_pending` evaluates them."""
        with self._lock:
            for each in stored:
                self._sources.put_stored(each.source, each.applied.source)
                self._trunks.put(each.applied, each.received)
                self._trunks.defer_all(each.applied)

    def refresh_failed(self, source: str, reason: str, problem: str, seconds: float) -> None:
        """Record a refresh that failed; the last known values stay."""
        with self._lock:
            self._sources.failed(source, reason, problem, seconds)
            self._publish()

    def _usable(self, source: str, facts: Iterable[Fact], now: float) -> list[Fact]:
        """Return the facts as far as they can be stored, without times that cannot be true.

        Every fact of every source passes here; what cannot be stored is counted and logged. Those
        of another shard's trunks are left out.
        """
        usable = []
        for fact in facts:
            if not isinstance(fact, Cursor | StateEntry) and not self._sources.owns(fact.trunk):
                continue
            part = storable_part(fact)
            if part is not None:
                usable.append(_plausible(part, now))
            if part is not fact:
                self._sources.dropped(source, "value")
                problem = "row dropped" if part is None else "value dropped"
                log.error(problem, extra={"source": source, "row": ascii(fact)[:QUOTED]})
        return usable

    def _apply(
        self, source: str, facts: Iterable[Fact], received: float, stored_at: float | None
    ) -> None:
        """Store facts, and keep their changes for the next evaluation and for a successor."""
        kept = self._kept(source, facts)
        with self._storing():
            own = self._sources.only_orders_of(source, kept)
            applied = self._store.apply(source, own, stored_at)
        self._sources.put_stored(source, applied.source)
        self._trunks.put(applied, received)
        for trunk in applied.rewritten:
            log.warning("force push", extra={"repo": trunk.repo, "branch": trunk.branch})
            self._counters.add("trunkwatch_trunk_rewrites_total", *trunk)
        self._trunks.defer_all(applied)
        if self._for_successor is not None:
            self._for_successor.append(Ingested(source, applied, received))

    def _kept(self, source: str, facts: Iterable[Fact]) -> list[Fact]:
        """Return the facts without results of commits whose results were dropped."""
        given = list(facts)
        kept = [
            fact
            for fact in given
            if not isinstance(fact, Observation) or self._trunks.is_kept(fact)
        ]
        refused = len(given) - len(kept)
        if refused:
            name = "trunkwatch_source_rows_dropped_total"
            self._counters.add(name, source, "retention", amount=refused)
            log.info("results of old commits refused", extra={"source": source, "rows": refused})
        return kept

    # ------------------------------------------------------------------ retention

    def drop_results(self, keep: float, kept_commits: int) -> Iterator[None]:
        """Drop old results, in short steps: everything else waits for one step at most.

        Args:
            keep: age from which on results are dropped (seconds).
            kept_commits: number of the newest commits of each trunk that keep their results.

        Raises:
            StoreError: the file cannot be written.
        """
        for trunk in sorted(self._trunks.states):
            steps = None
            while True:
                with self._lock:
                    if self._has_stopped or self._for_successor is not None:
                        return  # A successor may have read the base.
                    if steps is None:
                        now = self._now()
                        steps = self._trunks.dropping(trunk, now - keep, kept_commits, now)
                    if next(steps, END) is END:
                        break
                yield

    def oldest_kept(self) -> float | None:
        """Return the time of the oldest commit whose results are kept, over all trunks."""
        with self._lock:
            return self._trunks.oldest_kept()

    # ------------------------------------------------------------------ evaluation

    def evaluate_stored(self, published: Callable[[], None] = lambda: None) -> None:
        """Evaluate all stored rows, trunk by trunk, and publish each.

        Deliveries are stored meanwhile, and evaluated by the next `evaluate_pending`.

        Args:
            published: called after each trunk.

        Raises:
            StoreError: rows cannot be read.
        """
        with self._lock:
            now, sources = self._now(), self._sources
            for trunk in self._trunks.alerts.trunks():
                if not sources.owns(trunk):
                    self._trunks.alerts.forget(trunk)
                elif trunk not in sources.watched_trunks and not sources.may_feed(trunk):
                    self._trunks.drop(trunk, now, is_configured=False)
            waiting = self._trunks.unevaluated(self._sources.watched_trunks)
            self._progress = progress = EvaluationProgress(len(waiting))
        for trunk in waiting:
            with self._lock:
                first = self._trunks.first_evaluation(trunk)
            state = first.run(self._now(), share_done=progress.set_share)
            with self._lock:
                self._trunks.install(state)
                self._unpublished.add(trunk)
                progress.trunk_done()
                self._publish()
                self._trunks.store()
            published()
        with self._lock:
            unread = self._sources.watched_trunks - self._trunks.states.keys()
            self._evaluate({trunk: {} for trunk in unread})
            self._progress = None

    @property
    def unevaluated(self) -> list[str]:
        """How far the evaluation of the stored results is, as one line; empty when it is done."""
        return [str(self._progress)] if self._progress is not None else []

    def evaluate_pending(self) -> None:
        """Evaluate the deliveries that were stored since the last evaluation."""
        with self._lock:
            pending = self._trunks.take_pending(self._sources.watched_trunks)
            if pending:
                self._evaluate(pending)

    def expire(self) -> None:
        """Evaluate again the trunks whose state changed only because time passed."""
        with self._lock:
            expired = self._trunks.expired(self._now())
            if expired:
                self._evaluate({trunk: {} for trunk in expired})

    def _evaluate(self, touched: Mapping[Trunk, Touched]) -> None:
        self._unpublished |= touched.keys()
        self._trunks.evaluate(touched, self._now())
        self._publish()
        with self._storing():
            self._trunks.store()

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Record whether results could be stored."""
        try:
            yield
        except StoreError:
            self._counters.stored(ok=False)
            raise
        self._counters.stored(ok=True)

    def _publish(self) -> None:
        """Publish the trunks that have changed since the last publication."""
        now, sources = self._now(), self._sources
        changed = self._changed()
        if now != self._snapshot.as_of:
            changed |= self._ahead
        for trunk in changed:
            if trunk not in sources.watched_trunks:
                self._trunks.drop(trunk, now, is_configured=sources.may_feed(trunk))
        refused = self._publication.update({trunk: self._state_of(trunk, now) for trunk in changed})
        self._counters.add("trunkwatch_jobs_dropped_total", amount=len(refused))
        for key, limit in refused:
            log.error("job refused: %s is reached", limit, extra=key._asdict())
        is_complete = self._snapshot.complete or sources.is_current
        self._snapshot = Snapshot(
            as_of=now,
            trunks=self._publication.trunks,
            sources=sources.statuses,
            complete=is_complete or all(source.answered for source in sources.statuses),
            ended=self._trunks.alerts.ended(now),
        )
        self._unpublished = set()
        sources.changes_taken()

    def _changed(self) -> set[Trunk]:
        """Return the trunks to publish: evaluated again, or with another state of a source."""
        self._unpublished |= self._sources.changed(self._publication.names)
        return set(self._unpublished)

    def _state_of(self, trunk: Trunk, now: float) -> TrunkState | None:
        """Return a trunk with the state of its sources, and its missing results as of their data.

        What a CI has not been asked for yet is not missing. None for a trunk without any state.
        """
        self._ahead.discard(trunk)
        state = self._trunks.states.get(trunk)
        if state is None:
            if not self._sources.is_unread(trunk):
                return None
            state = unread_trunk(trunk)
        sources = self._sources.sources_of(trunk)
        data_at = earliest(source.read_until for source in sources)
        if data_at is not None and data_at > now:
            self._ahead.add(trunk)  # Its missing results depend on the time.
        missing = 0 if data_at is None else self._trunks.missing_results(state, min(now, data_at))
        files = self._trunks.files_of(trunk)
        return replace(state, files=files, sources=sources, data_at=data_at, missing=missing)


def _plausible(fact: Fact, now: float) -> Fact:
    """Return a fact without times that cannot be true: every fact of every source passes here."""
    if isinstance(fact, Observation):
        return plausible_attempt(fact, now)
    if isinstance(fact, AddedCommits):
        return AddedCommits(plausible_order(fact.order, now))
    return plausible_order(fact, now) if isinstance(fact, TrunkOrder) else fact
