"""The state of every configured source, and the trunks that it feeds."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from math import isfinite

from trunkwatch.config import Config, SourceConfig
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.engine.facts import (
    EMPTY_STATE,
    AddedCommits,
    Fact,
    SourceState,
    StateEntry,
    TrunkRemoved,
)
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, TrunkSource
from trunkwatch.errors import SOURCE_ERROR_REASONS, OrderConflictError, SourceError
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_index import TrunkIndex
from trunkwatch.shards import Shard
from trunkwatch.sources import RefreshReport, TrunkReport
from trunkwatch.store import Stored, StoredSource

log = logging.getLogger(__name__)

SHARD_KEY = "- shard -"
"""The key of the entry with the shard that a source's state was stored by; it has none without."""

READ_UNTIL_KEY, NEVER = "- read until -", "never"
"""The key of an entry, before its trunk, and its text for a trunk that was never read.

Only trunks that could not be read have such an entry: the others were read at the last success."""


class SourceRegistry:
    """Every configured source with its stored state, its status and its last report.

    Not safe for threads; `TrunkEngine` holds its lock around each call.
    """

    def __init__(
        self,
        config: Config,
        stored: Stored,
        counters: Counters,
        before: Snapshot | None,
        shard: Shard | None = None,
    ) -> None:
        """Args:
        config: the sources.
        stored: the stored state of each.
        counters: of the process; the error counters of each source are created here.
        before: the snapshot under an earlier configuration, whose statuses are kept until the
            next refresh.
        shard: reads a part of the repositories; None for all of them.
        """
        self._shard = shard
        self._sections = {section.name: section for section in config.sources}
        self._named = {s.name: frozenset(filter(self.owns, s.feeds())) for s in config.sources}
        self._selects = {s.name: cache(self._selector(s)) for s in config.sources}
        self._counters = counters
        self._stored = {name: stored.sources.get(name) for name in self._sections}
        self._successes = {
            name: (source.last_success, source.trunks)
            for name, source in self._stored.items()
            if source is not None
        }
        """The last success of each source before this start, and the trunks that it had read."""
        self._reports: dict[str, RefreshReport] = {}
        trunks = before.trunks if before else ()
        self._kept: dict[str, dict[Trunk, TrunkSource]] = defaultdict(dict)
        for state in trunks:
            for each in state.sources:
                self._kept[each.name][state.trunk] = each
        self._order_owners: dict[Trunk, str] = {}
        kept = {status.name: status for status in before.sources} if before else {}
        self._statuses = {
            name: self._initial_status(section, kept.get(name))
            for name, section in self._sections.items()
        }
        self._failures = {name: status.problem for name, status in self._statuses.items()}
        self._places = {name: place for place, name in enumerate(self._sections)}
        self._watched, self._listed, self._unread = TrunkIndex(), TrunkIndex(), TrunkIndex()
        self._unlisted: set[str] = set()
        self._changed: set[Trunk] = set()
        self._unlisted_changed: set[str] = set()
        self._refreshing: set[str] = set()
        self._outdated: set[str] = set()  # the refreshes that began before a standstill
        for name in self._sections:
            self._index(name)
        self.is_current = before is not None and before.complete

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """The status of every source, in the order of the configuration."""
        return tuple(self._statuses.values())

    def state(self, source: str) -> SourceState:
        """Return the state that a source stored at earlier refreshes."""
        stored = self._stored[source]
        if stored is None:
            return EMPTY_STATE
        # Before a cursor that another shard has stored are results that it left out.
        return stored.state if self._is_own(stored.state) else replace(stored.state, cursor=None)

    def begin_refresh(self, source: str) -> SourceState:
        """Return the state of a source for a refresh that begins now."""
        self._refreshing.add(source)
        self._outdated.discard(source)
        return self.state(source)

    def owns(self, trunk: Trunk) -> bool:
        """Return whether this exporter reads a trunk, if a source has it."""
        return self._shard is None or self._shard.owns(trunk.repo)

    def owned_part(self, report: RefreshReport) -> RefreshReport:
        """Return a report without the trunks of other shards."""
        trunks = {trunk: each for trunk, each in report.trunks.items() if self.owns(trunk)}
        return replace(report, trunks=trunks)

    def with_earlier_times(self, source: str, report: RefreshReport, now: float) -> RefreshReport:
        """Return a report whose trunks were read as far as they have ever been.

        A source does not know what it had read before a restart or a reload.

        Args:
            source: its name.
            report: of a refresh that has not been stored.
            now: seconds since the epoch; a later time is of a clock that was wrong.
        """

        def completed(trunk: Trunk, each: TrunkReport) -> TrunkReport:
            if each.read_until is not None:
                return each
            until = self._read_before(source, trunk)
            return replace(each, read_until=None if until is None or until > now else until)

        trunks = {trunk: completed(trunk, each) for trunk, each in report.trunks.items()}
        return replace(report, trunks=trunks)

    def time_entries(self, source: str, report: RefreshReport) -> Iterator[StateEntry]:
        """Yield the entries with the times of the trunks that could not be read, for a restart.

        Args:
            source: its name.
            report: of a refresh, with earlier times.
        """
        stored = self.state(source).entries
        for trunk, each in report.trunks.items():
            if each.error is not None or each.read_until is None:
                text = NEVER if each.read_until is None else repr(each.read_until)
                yield StateEntry(_time_key(trunk), text)
            elif _time_key(trunk) in stored:
                yield StateEntry(_time_key(trunk), None)

    def shard_entry(self, source: str) -> Iterator[StateEntry]:
        """Yield the entry that marks a source's state as that of this shard, if it is not yet."""
        stored = self._stored[source]
        if not self._is_own(stored.state if stored else EMPTY_STATE):
            yield StateEntry(SHARD_KEY, None if self._shard is None else str(self._shard))

    def await_answers(self) -> None:
        """Let the stored results count as old until every source has answered again."""
        self.is_current = False
        self._outdated |= self._refreshing
        self._statuses = {
            name: replace(status, answered=False) for name, status in self._statuses.items()
        }

    def _is_own(self, state: SourceState) -> bool:
        """Return whether a state was stored by this shard."""
        return state.entries.get(SHARD_KEY) == (self._shard and str(self._shard))

    def _selector(self, section: SourceConfig) -> Callable[[Trunk], bool]:
        return lambda trunk: self.owns(trunk) and section.may_feed(trunk)

    def retry_after(self, source: str) -> float | None:
        """Return the seconds until the next refresh that a source asked for, if it did."""
        return self._reports.get(source, RefreshReport()).retry_after

    def put_stored(self, source: str, stored: StoredSource) -> None:
        """Replace the stored state of a source."""
        if source not in self._sections:
            return  # An earlier configuration had it.
        before, self._stored[source] = self._stored[source], stored
        # A delivery changes neither: it does not concern the other trunks of its source.
        if before is None or (before.trunks, before.last_success) != (
            stored.trunks,
            stored.last_success,
        ):
            self._index(source)

    def has(self, source: str) -> bool:
        """Return whether a source is configured."""
        return source in self._sections

    def refreshed(self, source: str, report: RefreshReport, seconds: Callable[[], float]) -> None:
        """Record a refresh whose facts were stored.

        Args:
            source: its name.
            report: of the refresh.
            seconds: returns how long the refresh has taken.
        """
        stored = self._stored[source]
        self._log_changes(source, report)
        self._reports[source] = report
        self._failures[source] = report.error.of(source) if report.error else None
        for reason in {error.reason for error in _errors(report)}:
            self._count_error(source, reason)
        for reason, rows in report.dropped.items():
            self.dropped(source, reason, rows)
        status, error = self._statuses[source], report.failure
        self._statuses[source] = replace(
            status,
            up=error is None,
            answered=self._has_answered(source),
            last_success=stored.last_success if stored else None,
            refresh_seconds=seconds(),
            problem=error.of(source) if error else None,
            limitations={each.name: each.text for each in report.limitations},
            quota_remaining=report.quota_remaining,
            unread=report.unread,
        )
        self._index(source)

    def dropped(self, source: str, reason: str, rows: int = 1) -> None:
        """Count rows that were read and cannot be used, or not as a whole."""
        self._counters.add("trunkwatch_source_rows_dropped_total", source, reason, amount=rows)
        status = self._statuses.get(source)
        if status is not None:
            counts = Counter(status.dropped) + Counter({reason: rows})
            self._statuses[source] = replace(status, dropped=counts)

    def failed(self, source: str, reason: str, problem: str, seconds: float) -> None:
        """Record a refresh that failed; its last known values stay."""
        self._count_error(source, reason)
        self._failures[source] = problem
        self._statuses[source] = replace(
            self._statuses[source],
            up=False,
            answered=self._has_answered(source),
            refresh_seconds=seconds,
            problem=problem,
        )
        self._index(source)

    def _has_answered(self, source: str) -> bool:
        """Return whether a source, whose refresh ends, has answered since the last standstill."""
        self._refreshing.discard(source)
        return self._statuses[source].answered or source not in self._outdated

    def _log_changes(self, source: str, report: RefreshReport) -> None:
        """Log the limitations and the trunks' errors that are new or gone since the last report."""
        before = self._reports.get(source, RefreshReport())
        old, new = _error_fields(before), _error_fields(report)
        for trunk in sorted(new.keys() | old.keys()):
            fields = {"source": source, "repo": trunk.repo, "branch": trunk.branch}
            if trunk not in new:
                log.info("trunk is read again", extra=fields)
            elif new[trunk] != old.get(trunk):
                log.error("trunk not read", extra={**fields, **new[trunk]})
        for each in before.limitations:
            if each.name not in {other.name for other in report.limitations}:
                log.info("limitation ended", extra={"source": source, "limitation": each.name})
        for each in report.limitations:
            if each not in before.limitations:
                fields = {"source": source, "limitation": each.name, "missing": each.text}
                log.warning("limitation", extra=fields)

    # ------------------------------------------------------------------ trunks

    @property
    def watched_trunks(self) -> Collection[Trunk]:
        """The trunks of which any configured source has stored a fact."""
        return self._watched.trunks

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether the configuration lets any source feed a trunk."""
        return any(selects(trunk) for selects in self._selects.values())

    def is_unread(self, trunk: Trunk) -> bool:
        """Return whether the last refresh of a source could not read a trunk."""
        return trunk in self._unread.trunks

    def changed(self, published: Iterable[Trunk]) -> set[Trunk]:
        """Return the trunks that may have other sources, or others of their states.

        Args:
            published: the trunks that may be concerned although no source has listed them.
        """
        if self._unlisted_changed:
            self._changed.update(
                trunk
                for trunk in published
                if any(self._selects[name](trunk) for name in self._unlisted_changed)
            )
        return self._changed

    def changes_taken(self) -> None:
        """Note that the trunks which `changed` returned are published."""
        self._changed, self._unlisted_changed = set(), set()

    def sources_of(self, trunk: Trunk) -> tuple[TrunkSource, ...]:
        """Return the sources that a trunk is read from, in the order of the configuration.

        A source that has never succeeded may feed every trunk that its section does not exclude.
        """
        names = {
            *self._listed.sources_of(trunk),
            *(name for name in self._unlisted if self._selects[name](trunk)),
        }
        return tuple(
            self._source_of(trunk, name) for name in sorted(names, key=self._places.__getitem__)
        )

    def owner_of(self, trunk: Trunk) -> str:
        """Return the first source of the configuration that feeds a trunk; empty for none."""
        names = self._watched.sources_of(trunk)
        return min(names, key=self._places.__getitem__, default="")

    def _index(self, source: str) -> None:
        """Note the trunks of a source, and that their states may have changed."""
        self._note_change(source)
        report, kept = self._reports.get(source), self._kept.get(source, {})
        kept_problems = {trunk for trunk, each in kept.items() if each.problem}
        self._watched.put(source, self._fed_by(source))
        self._unread.put(source, kept_problems if report is None else _error_fields(report))
        self._listed.put(source, self._listed_by(source))
        stored = self._stored[source]
        has_succeeded = stored is not None and stored.last_success is not None
        (self._unlisted.discard if has_succeeded else self._unlisted.add)(source)
        self._note_change(source)

    def _note_change(self, source: str) -> None:
        for index in (self._watched, self._unread, self._listed):
            self._changed |= index.trunks_of(source)
        if source in self._unlisted:
            self._unlisted_changed.add(source)

    def _listed_by(self, source: str) -> Collection[Trunk]:
        """Return the trunks that a source names, and those that it has read or could not read."""
        stored, report = self._stored[source], self._reports.get(source)
        if stored is None or stored.last_success is None:
            return self._named[source]
        found = stored.trunks | (
            (self._kept.get(source, {}) if report is None else report.trunks).keys()
        )
        return self._named[source].union(filter(self._selects[source], found))

    def _source_of(self, trunk: Trunk, name: str) -> TrunkSource:
        status, failure = self._statuses[name], self._failures[name]
        read_until, error = self._last_read(trunk, name)
        problem = failure or error
        up = status.answered and problem is None
        return TrunkSource(name, up, read_until, status.poll_interval, problem)

    def _last_read(self, trunk: Trunk, name: str) -> tuple[float | None, str | None]:
        """Return up to when a source has read a trunk, and why not further."""
        report = self._reports.get(name, RefreshReport()).trunks.get(trunk)
        if report is not None:
            return report.read_until, report.error.of(name) if report.error else None
        kept = self._kept.get(name, {}).get(trunk)
        if kept is not None and name not in self._reports:
            return kept.read_until, kept.problem
        stored = self._stored[name]
        if stored is None:
            return None, None
        return self._stored_time(name, trunk, stored.last_success, stored.trunks), None

    def _read_before(self, source: str, trunk: Trunk) -> float | None:
        """Return up to when a trunk was read before a refresh that did not read it."""
        last = self._reports.get(source, RefreshReport()).trunks.get(trunk)
        if last is not None:
            return last.read_until
        kept = self._kept.get(source, {}).get(trunk)
        if kept is not None:
            return kept.read_until
        return self._stored_time(source, trunk, *self._successes.get(source, (None, ())))

    def _stored_time(
        self, source: str, trunk: Trunk, last_success: float | None, trunks: Collection[Trunk]
    ) -> float | None:
        """Return the time of a trunk's entry; without one, of the last success that had the trunk.

        Args:
            source: its name.
            trunk: of the source.
            last_success: of the source (seconds since the epoch).
            trunks: that the source had read by then.
        """
        text = self.state(source).entries.get(_time_key(trunk))
        if text is not None:
            return _time_of(text)
        return last_success if trunk in trunks else None

    def only_orders_of(self, source: str, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Drop the commit orders that another source owns; each trunk's order has one owner.

        The time of a trunk that could not be read ends with the trunk.

        Raises:
            OrderConflictError: two sources report the order of one trunk, and the configuration
                does not choose one.
        """
        for fact in facts:
            if isinstance(fact, TrunkOrder | AddedCommits):
                if not self._may_order(self._sections[source], fact.trunk):
                    continue
                self._order_owners[fact.trunk] = source
            elif isinstance(fact, TrunkRemoved):
                fields = {"source": source, "repo": fact.trunk.repo, "branch": fact.trunk.branch}
                log.warning("trunk removed", extra={**fields, "reason": fact.reason})
                if self._order_owners.get(fact.trunk) == source:
                    del self._order_owners[fact.trunk]
                yield StateEntry(_time_key(fact.trunk), None)
            yield fact

    def _fed_by(self, source: str) -> frozenset[Trunk]:
        """Return the trunks that a source feeds.

        The store may also contain trunks that it fed under an earlier configuration.
        """
        stored = self._stored[source]
        return frozenset(filter(self._selects[source], stored.trunks if stored else ()))

    def _may_order(self, section: SourceConfig, trunk: Trunk) -> bool:
        if section.order is False:
            return False
        owner = self._order_owners.get(trunk)
        if owner is None or owner == section.name:
            return True
        owner_is_chosen = bool(self._sections[owner].order)
        if section.order and not owner_is_chosen:
            return True
        if owner_is_chosen and not section.order:
            return False
        raise OrderConflictError(
            f"source {owner} gives the order of {trunk} already; set order: true on exactly one",
        )

    # ------------------------------------------------------------------ statuses

    def _initial_status(self, section: SourceConfig, kept: SourceStatus | None) -> SourceStatus:
        stored = self._stored[section.name]
        status = kept or SourceStatus(
            name=section.name,
            up=False,
            answered=False,
            last_success=stored.last_success if stored else None,
            refresh_seconds=None,
            poll_interval=section.poll_interval,
        )
        for reason in sorted(SOURCE_ERROR_REASONS | {"store", "bug"}):
            self._count_error(section.name, reason, amount=0)
        return replace(status, poll_interval=section.poll_interval)

    def _count_error(self, source: str, reason: str, amount: float = 1.0) -> None:
        self._counters.add("trunkwatch_source_errors_total", source, reason, amount=amount)


def _time_key(trunk: Trunk) -> str:
    return f"{READ_UNTIL_KEY} {trunk.repo} {trunk.branch}"


def _time_of(text: str) -> float | None:
    """Return the time of an entry (seconds since the epoch); a damaged one is unknown."""
    try:
        moment = float(text)
    except ValueError:
        return None
    return moment if isfinite(moment) else None


def _errors(report: RefreshReport) -> list[SourceError]:
    found = [report.error, *(trunk.error for trunk in report.trunks.values())]
    return [error for error in found if error is not None]


def _error_fields(report: RefreshReport) -> Mapping[Trunk, Mapping[str, str]]:
    return {trunk: each.error.fields() for trunk, each in report.trunks.items() if each.error}
