"""The state of every configured source, and the trunks that it feeds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from trunkwatch.config import Config, SourceConfig
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE, Fact, SourceState, TrunkRemoved
from trunkwatch.engine.snapshot import Snapshot, SourceStatus
from trunkwatch.errors import SOURCE_ERROR_REASONS, OrderConflictError
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import RefreshReport
from trunkwatch.store import Stored, StoredSource


class SourceRegistry:
    """Every configured source with its stored state, its status and its last report.

    Not safe for threads; `TrunkEngine` holds its lock around each call.
    """

    def __init__(
        self, config: Config, stored: Stored, counters: Counters, before: Snapshot | None
    ) -> None:
        """Args:
        config: the sources.
        stored: the stored state of each.
        counters: of the process; the error counters of each source are created here.
        before: the snapshot under an earlier configuration, whose statuses are kept.
        """
        self._sections = {section.name: section for section in config.sources}
        self._counters = counters
        self._stored = {name: stored.sources.get(name) for name in self._sections}
        self._reports: dict[str, RefreshReport] = {}
        self._order_owners: dict[Trunk, str] = {}
        kept = {status.name: status for status in before.sources} if before else {}
        self._statuses = {
            name: self._initial_status(section, kept.get(name))
            for name, section in self._sections.items()
        }
        self.has_history = any(
            each and each.last_success is not None for each in self._stored.values()
        )

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """The status of every source, in the order of the configuration."""
        return tuple(self._statuses.values())

    def state(self, source: str) -> SourceState:
        """Return the state that a source stored at earlier refreshes."""
        stored = self._stored[source]
        return stored.state if stored else EMPTY_STATE

    def retry_after(self, source: str) -> float | None:
        """Return the seconds until the next refresh that a source asked for, if it did."""
        return self._reports.get(source, RefreshReport()).retry_after

    def put_stored(self, source: str, stored: StoredSource) -> None:
        """Replace the stored state of a source."""
        self._stored[source] = stored

    def refreshed(self, source: str, report: RefreshReport, seconds: Callable[[], float]) -> None:
        """Record a refresh whose facts were stored.

        Args:
            source: its name.
            report: of the refresh.
            seconds: returns how long the refresh has taken.
        """
        stored = self._stored[source]
        self._reports[source] = report
        if report.error is not None:
            self._count_error(source, report.error.reason)
        self._statuses[source] = replace(
            self._statuses[source],
            up=report.error is None,
            answered=True,
            last_success=stored.last_success if stored else None,
            refresh_seconds=seconds(),
            problem=report.error.of(source) if report.error else None,
            quota_remaining=report.quota_remaining,
            unread=report.unread,
        )

    def failed(self, source: str, reason: str, problem: str, seconds: float) -> None:
        """Record a refresh that failed; its last known values stay."""
        self._count_error(source, reason)
        self._statuses[source] = replace(
            self._statuses[source],
            up=False,
            answered=True,
            refresh_seconds=seconds,
            problem=problem,
        )

    # ------------------------------------------------------------------ trunks

    def watched_trunks(self) -> set[Trunk]:
        """Return the trunks of which any configured source has stored a fact."""
        return {trunk for name in self._sections for trunk in self._fed_by(name)}

    def data_at(self, trunk: Trunk) -> float | None:
        """Return the time up to which all sources of a trunk were read.

        Returns:
            Seconds since the epoch; None where no source has succeeded.
        """
        moments = []
        for name, stored in self._stored.items():
            if stored is not None and trunk in self._fed_by(name):
                report = self._reports.get(name, RefreshReport()).trunks.get(trunk)
                moments.append(report.read_until if report else stored.last_success)
        return earliest(moments)

    def only_orders_of(self, source: str, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Drop the commit orders that another source owns; each trunk's order has one owner.

        Raises:
            OrderConflictError: two sources report the order of one trunk, and the configuration
                does not choose one.
        """
        for fact in facts:
            if isinstance(fact, TrunkOrder):
                if not self._may_order(self._sections[source], fact.trunk):
                    continue
                self._order_owners[fact.trunk] = source
            elif isinstance(fact, TrunkRemoved) and self._order_owners.get(fact.trunk) == source:
                del self._order_owners[fact.trunk]
            yield fact

    def _fed_by(self, source: str) -> frozenset[Trunk]:
        """Return the trunks that a source feeds.

        The store may also contain trunks that it fed under an earlier configuration.
        """
        stored = self._stored[source]
        if stored is None:
            return frozenset()
        configured = self._sections[source].feeds()
        return stored.trunks.intersection(configured) if configured else stored.trunks

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
