"""Reads a source into a store, as the poller does, but one step at a time."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import requests
from trunkwatch.config import SourceConfig
from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE, Fact
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import RefreshReport, SourceContext, build_source
from trunkwatch.store import SqliteStore, Store

REPO = "o/r"
TRUNK = Trunk(REPO, "main")


def sha(number: int) -> str:
    """Return the hash of a made-up commit."""
    return f"{number:040x}"


class State(NamedTuple):
    """All that a store holds of results.

    Attributes:
        orders: in the order of their trunks.
        rows: in an order of their own that does not depend on arrival.
    """

    orders: list[TrunkOrder]
    rows: list[Observation]


def state_of(store: Store) -> State:
    """Return all that is stored."""
    stored = store.load()
    trunks = {trunk for memory in stored.sources.values() for trunk in memory.trunks}
    rows = [row for trunk in sorted(trunks) for row in store.observations(trunk)]
    orders = [stored.orders[trunk] for trunk in sorted(stored.orders)]
    return State(orders, sorted(rows, key=repr))


class Reader:
    """One source and its store.

    Attributes:
        store: of the results.
        codes: the status code of each request.
        owns: the repositories of its shard, from the next restart on.
        report: of the last refresh.
        dropped: the rows that all refreshes dropped, by reason.
    """

    def __init__(
        self,
        config: SourceConfig,
        clock: Callable[[], float] = time.time,
        session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        """Args:
        config: of the source.
        clock: returns the time (seconds since the epoch).
        session: makes the sessions of the HTTP client.
        """
        self._config = config
        self._clock = clock
        self._session = session
        self.store = SqliteStore()
        self.codes: list[str] = []
        self.owns: Callable[[str], bool] = lambda _repo: True
        self.report = RefreshReport()
        self.dropped: Counter[str] = Counter()
        self.restart()

    def restart(
        self,
        config: SourceConfig | None = None,
        session: Callable[[], requests.Session] | None = None,
        *,
        refreshes_once: bool = False,
    ) -> None:
        """Make the source anew, as a restart of the exporter or a command does; the store stays."""
        self._config = config or self._config
        self._session = session or self._session
        http = HttpContext(
            session=self._session,
            count_request=self.codes.append,
            clock=self._clock,
            sleep=lambda _seconds: None,
        )
        context = SourceContext(http=http, owns=self.owns, refreshes_once=refreshes_once)
        self._source = build_source(self._config, context)

    def refresh(self) -> list[Fact]:
        """Refresh once, all or nothing, and return the facts; errors go on to the caller."""
        memory = self.store.load().sources.get(self._config.name)
        refresh = self._source.refresh(memory.state if memory else EMPTY_STATE)
        facts = list(refresh.facts)
        self.store.apply(self._config.name, facts, now=0.0)
        self.report = refresh.report
        self.dropped.update(refresh.report.dropped)
        return facts

    def state(self) -> State:
        """Return all that is stored."""
        return state_of(self.store)

    def rows(self) -> list[Observation]:
        """Return the rows that are stored, by job id."""
        return sorted(self.state().rows, key=lambda row: str(row.job_id))

    def only_row(self) -> Observation:
        """Return the row that is stored, which must be the only one."""
        (row,) = self.rows()
        return row

    def order(self, trunk: Trunk = TRUNK) -> Sequence[str]:
        """Return the hashes of a trunk, oldest first."""
        return [commit.sha for commit in self.store.load().orders[trunk].commits]
