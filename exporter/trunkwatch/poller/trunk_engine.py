"""Takes what sources say, keeps each trunk's state up to date and publishes snapshots."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from trunkwatch.config import Config, SourceConfig, policy_of
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import JobKey, Observation, RawJob, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.facts import EMPTY_STATE, Fact, RefreshReport, SourceState
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, TrunkState
from trunkwatch.engine.trunk_evaluator import Touched, TrunkEvaluator
from trunkwatch.errors import OrderConflictError, SourceError
from trunkwatch.poller.admission import Admission
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import FailureFocus
from trunkwatch.store import Store, StoredRows

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds since the epoch."""


class TrunkEngine:
    """Everything that is known, behind one lock.

    A refresh calls `refreshed` or `failed`; readers take `snapshot`, which never changes.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        counters: Counters,
        clock: Clock,
        judged_at: Clock | None = None,
        before: Snapshot | None = None,
        *,
        judge: bool = True,
    ) -> None:
        """Read what is stored and judge it.

        Args:
            config: sources, jobs and groups.
            store: where results are kept.
            counters: the process's counts.
            clock: the time that refreshes are noted with.
            judged_at: the time that results are judged at, when it is not the same.
            before: what was known under an earlier configuration: sources keep their state.
            judge: now; else `evaluate_stored` does it, which a long history makes take a while.
        """
        self._config = config
        self._policy = policy_of(config)
        self._store = store
        self._counters = counters
        self._clock = clock
        self._judged_at = judged_at or clock
        self._lock = threading.RLock()
        exported = [job.key for state in before.trunks for job in state.jobs] if before else []
        self._admission = Admission(config.limits.max_jobs, exported)
        self._assessors: dict[Trunk, TrunkEvaluator] = {}
        self._trunks: dict[Trunk, TrunkState] = {}
        self._unjudged: set[Trunk] = set()
        self._told: dict[Trunk, dict[RawJob, set[str]]] = {}
        self._reports: dict[str, RefreshReport] = {}
        self._snapshot = Snapshot(as_of=self._judged_at())
        stored = store.load()
        self._orders = dict(stored.orders)
        self._memories = {s.name: stored.sources.get(s.name) for s in config.sources}
        self._order_givers: dict[Trunk, str] = {}
        self._sources = {s.name: self._at_start(s, before) for s in config.sources}
        self._has_history = any(m and m.last_success is not None for m in self._memories.values())
        if judge:
            self.evaluate_stored()

    def evaluate_stored(self) -> None:
        """Judge all that is stored."""
        with self._lock:
            self._judge({trunk: {} for trunk in self._watched_trunks()})

    @property
    def snapshot(self) -> Snapshot:
        """What is known now; immutable."""
        return self._snapshot

    @property
    def policy(self) -> Policy:
        """What the configuration decides about the policy."""
        return self._policy

    def memory(self, source: str) -> SourceState:
        """Return what a source is given back of what it said of itself."""
        memory = self._memories[source]
        return memory.state if memory else EMPTY_STATE

    def asks_again(self, source: str) -> float | None:
        """Return after how many seconds a source wants to be asked again, if it said so."""
        return self._reports.get(source, RefreshReport()).again

    def interest(self, trunk: Trunk) -> FailureFocus:
        """Return what of a trunk people look at now."""
        state = self._trunks.get(trunk)
        failing = [(job, job.blame) for job in state.jobs if job.blame] if state else []
        commits = {
            state.order.commits[place].sha
            for job, blame in failing
            if state and job.broken
            for place, verdict in zip(job.commit_indexes, job.verdicts, strict=True)
            if place >= blame.commit_index and verdict is Verdict.FAIL
        }
        urls = {blame.url for _, blame in failing if blame.url and not blame.failed_step}
        unexplained = {blame.run for _, blame in failing if not blame.annotations}
        return FailureFocus(frozenset(commits), frozenset(urls), frozenset(unexplained))

    def told(self, source: str, facts: Callable[[SourceState], Iterable[Fact]]) -> None:
        """Store what came on its own between two refreshes; `evaluate_pending` judges it.

        Args:
            source: its name.
            facts: is given the source's memory as it is now, and says what came; nothing else is
                stored in between.

        Raises:
            StoreError: they could not be stored.
        """
        with self._lock:
            checked = self._checked(self._by_name(source), facts(self.memory(source)))
            applied = self._store.apply(source, checked, None)
            self._memories[source] = applied.source
            self._orders.update(applied.orders)
            for trunk in {*applied.touched, *applied.orders}:
                jobs = self._told.setdefault(trunk, {})
                for raw, shas in applied.touched.get(trunk, {}).items():
                    jobs.setdefault(raw, set()).update(shas)

    def evaluate_pending(self) -> None:
        """Judge what was told since the last time."""
        with self._lock:
            told, self._told = self._told, {}
            watched = self._watched_trunks()
            news = {trunk: jobs for trunk, jobs in told.items() if trunk in watched}
            if news:
                self._judge(news)

    def refreshed(
        self, source: str, facts: Iterable[Fact], seconds: Callable[[], float]
    ) -> SourceError | None:
        """Take one refresh: all of it, or, when `facts` raises, nothing.

        Returns what could not be read, when the rest counts all the same.

        Args:
            source: its name.
            facts: what it said; may still read a local file while it is iterated.
            seconds: how long the refresh has taken when it is asked, at the end.

        Raises:
            SourceError: the facts could not be read to their end.
            StoreError: they could not be stored.
        """
        with self._lock:
            report, facts = _report_apart(facts)
            checked = self._checked(self._by_name(source), facts)
            applied = self._store.apply(source, checked, None if report.trouble else self._clock())
            self._reports[source] = report
            self._memories[source] = applied.source
            self._orders.update(applied.orders)
            for trunk in applied.rewritten:
                log.warning("the tip of %s that was known is gone: force push", trunk)
                self._counters.add("trunkwatch_trunk_rewrites_total", *trunk)
            touched: dict[Trunk, Touched] = {}
            for trunk in self._watched_trunks():
                news = trunk in applied.touched or trunk in applied.orders
                if news or trunk not in self._trunks or trunk in self._unjudged:
                    touched[trunk] = applied.touched.get(trunk, {})
            if report.trouble is not None:
                reason = report.trouble.reason
                self._counters.add("trunkwatch_source_errors_total", source, reason)
            self._sources[source] = replace(
                self._sources[source],
                up=report.trouble is None,
                answered=True,
                last_success=applied.source.last_success,
                refresh_seconds=seconds(),
                problem=str(report.trouble) if report.trouble else None,
                quota_remaining=report.quota_remaining,
                unread=report.unread,
            )
            self._judge(touched)
            return report.trouble

    def failed(self, source: str, reason: str, problem: str, seconds: float) -> None:
        """Note that a refresh failed; everything that was known stays."""
        with self._lock:
            self._counters.add("trunkwatch_source_errors_total", source, reason)
            self._sources[source] = replace(
                self._sources[source],
                up=False,
                answered=True,
                refresh_seconds=seconds,
                problem=problem,
            )
            self._publish()

    def renew(self) -> None:
        """Judge again what the passing of time alone has changed."""
        with self._lock:
            now = self._judged_at()
            due = [
                trunk
                for trunk, state in self._trunks.items()
                if state.changes_at is not None and state.changes_at <= now
            ]
            if due:
                self._judge({trunk: {} for trunk in due})

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is judged by."""
        with self._lock:
            assessor = self._assessors.get(Trunk(key.repo, key.branch))
            return assessor.rows_of(key) if assessor else []

    def back_test(self, failures_to_open: int | None = None) -> list[BackTest]:
        """Replay the history of each trunk: what would the policy have told of it?

        Args:
            failures_to_open: N to try for every job in place of the configuration's.
        """
        with self._lock:
            now = self._judged_at()
            return [
                self._assessors[trunk].back_test(now, failures_to_open)
                for trunk in sorted(self._trunks)
            ]

    # ------------------------------------------------------------------ sources

    def _by_name(self, source: str) -> SourceConfig:
        return next(s for s in self._config.sources if s.name == source)

    def _at_start(self, source: SourceConfig, before: Snapshot | None) -> SourceStatus:
        memory = self._memories[source.name]
        known = {state.name: state for state in before.sources} if before else {}
        state = known.get(source.name) or SourceStatus(
            name=source.name,
            up=False,
            answered=False,
            last_success=memory.last_success if memory else None,
            refresh_seconds=None,
            poll_interval=source.poll_interval,
        )
        kinds: list[type[SourceError]] = [SourceError, *SourceError.__subclasses__()]
        for reason in sorted({kind.reason for kind in kinds} | {"store", "bug"}):
            self._counters.add("trunkwatch_source_errors_total", source.name, reason, amount=0)
        return replace(state, poll_interval=source.poll_interval)

    def _checked(self, source: SourceConfig, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Pass on what a source may say: of the sources of a trunk exactly one gives its order."""
        for fact in facts:
            if isinstance(fact, TrunkOrder):
                if not self._may_order(source, fact.trunk):
                    continue
                self._order_givers[fact.trunk] = source.name
            yield fact

    def _may_order(self, source: SourceConfig, trunk: Trunk) -> bool:
        if source.order is False:
            return False
        giver = self._order_givers.get(trunk)
        if giver in (None, source.name) or (source.order and not self._by_name(giver or "").order):
            return True
        if self._by_name(giver or "").order and not source.order:
            return False
        raise OrderConflictError(
            source.name,
            f"source {giver} gives the order of {trunk} already; say order: true on exactly one",
        )

    # ------------------------------------------------------------------ trunks

    def _watched_trunks(self) -> set[Trunk]:
        """The trunks that a configured source has said anything about."""
        return {trunk for source in self._config.sources for trunk in self._fed_by(source)}

    def _fed_by(self, source: SourceConfig) -> frozenset[Trunk]:
        """What a source feeds; what it fed under an earlier configuration may still be stored."""
        memory = self._memories[source.name]
        if memory is None:
            return frozenset()
        certain = source.feeds()
        return memory.trunks.intersection(certain) if certain else memory.trunks

    def _judge(self, touched: Mapping[Trunk, Touched]) -> None:
        """Bring trunks up to date.

        Raises:
            StoreError: their rows cannot be read; what changed is not forgotten, see `_unjudged`.
        """
        now = self._judged_at()
        for trunk in self._unjudged.intersection(touched):
            # It was left half-way, and what had changed was told only once: read all of it anew.
            self._assessors.pop(trunk, None)
        self._unjudged.update(touched)
        for trunk, jobs in touched.items():
            order = self._orders.get(trunk)
            if order is None:
                self._unjudged.discard(trunk)
                continue  # runs of a trunk whose order another source has yet to give
            if trunk not in self._assessors:
                rows = StoredRows(self._store, trunk)
                self._assessors[trunk] = TrunkEvaluator(order, self._policy, rows)
            state = self._assessors[trunk].update(order, jobs, now)
            self._count(state, first=trunk not in self._trunks)
            self._trunks[trunk] = state
            self._unjudged.discard(trunk)
        self._publish()

    def _count(self, state: TrunkState, *, first: bool) -> None:
        """Follow what the stored rows say; what was stored before the start is not news."""
        for reason, level in state.ignored_runs.items():
            self._follow("trunkwatch_off_trunk_runs_total", state.trunk, reason, level)
        for word, level in state.unknown_words.items():
            self._follow("trunkwatch_unknown_conclusions_total", state.trunk, word, level)
        for reason, level in state.retired.items():
            start = level if first else 0
            self._follow("ci_job_retired_total", state.trunk, reason, level, start)

    def _follow(self, name: str, trunk: Trunk, label: str, level: int, start: int = 0) -> None:
        self._counters.follow(name, *trunk, label, level=level, start=start)

    def _publish(self) -> None:
        trunks, refused = self._admission.filter(
            [
                replace(self._trunks[trunk], data_at=self._data_at(trunk))
                for trunk in sorted(self._trunks)
            ]
        )
        self._counters.add("trunkwatch_jobs_dropped_total", amount=len(refused))
        for key in refused:
            log.error("job refused, limits.max_jobs is reached: %s", " / ".join(key))
        sources = tuple(self._sources.values())
        self._snapshot = Snapshot(
            as_of=self._judged_at(),
            trunks=trunks,
            sources=sources,
            complete=self._has_history or all(source.answered for source in sources),
        )

    def _data_at(self, trunk: Trunk) -> float | None:
        """The trunk's data is as old as that of the source that was read least recently."""
        moments = []
        for source in self._config.sources:
            memory = self._memories[source.name]
            if memory is not None and trunk in self._fed_by(source):
                said = self._reports.get(source.name, RefreshReport()).read_until
                moments.append(said.get(trunk, memory.last_success))
        return earliest(moments)


def _report_apart(facts: Iterable[Fact]) -> tuple[RefreshReport, Iterable[Fact]]:
    """Return what a source says of its own work, and what is to be stored."""
    said = iter(facts)
    first = next(said, None)
    if isinstance(first, RefreshReport):
        return first, said
    return RefreshReport(), chain([] if first is None else [first], said)
