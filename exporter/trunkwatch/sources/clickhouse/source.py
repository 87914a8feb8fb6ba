"""One table of results as a source; see the package."""

from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256

import msgspec

from trunkwatch.config.sources import ClickhouseSource
from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import Cursor, SourceState
from trunkwatch.errors import BadAnswerError, GitError
from trunkwatch.sources.clickhouse.api import ClickhouseApi
from trunkwatch.sources.clickhouse.presets import PRESETS
from trunkwatch.sources.clickhouse.query import Place, RowQuery
from trunkwatch.sources.clickhouse.rows import RowError, RowParser, without_versions
from trunkwatch.sources.commits import COLD_LOOK_BACK_SECONDS, oldest_date
from trunkwatch.sources.gitlog import GitLog
from trunkwatch.sources.port import Refresh, RefreshReport, SourceContext, TrunkReport
from trunkwatch.sources.traits import Traits
from trunkwatch.urls import without_credentials

TRAITS = Traits(
    title="Tables of ClickHouse",
    document="clickhouse.md",
    attempts="yes, if the table has them",
    failed_step="yes, if the table has it",
    may_fail="yes, if the table has it",
    order="`git log` of a local clone, or another source",
    webhooks=(),
    requests=1,
    trunks=1_000_000,  # one query is for the whole table
)

PAGES = 4
"""Pages of one refresh: 400,000 rows, the results of 200 commits with 2,000 jobs each."""

SPAN_PAGES = 4
"""Pages of rows that one query of a long read has to sort, if they come as in the last page."""


class Position(msgspec.Struct):
    """The position in the table, as JSON in the cursor of the source.

    Attributes:
        scope: the configuration that selects rows; when it changes, reading begins anew.
        since: when the newest row that was read was written (seconds since the epoch).
        after: the place where a refresh stopped because it had read enough; None at the end.
        begun: when the read began that stopped there (seconds since the epoch).
    """

    scope: str
    since: float | None = None
    after: Place | None = None
    begun: float = 0.0

    @classmethod
    def stored(cls, cursor: str | None, scope: str, now: float) -> "Position":
        """Return the stored position, or the one to begin with."""
        with suppress(msgspec.MsgspecError):  # a damaged one: reading begins anew
            position = msgspec.json.decode(cursor or "", type=cls)
            if position.scope == scope and (position.after is None or position.after.is_sound):
                if position.since is not None:
                    # A time of the future was stored while a clock was wrong.
                    position.since = min(max(position.since, 0.0), now)
                return position
        return cls(scope)

    def see(self, written: int) -> None:
        """Record when the newest row of a page was written, in microseconds since the epoch.

        Rows that become visible during a long read may be older than its last row.
        """
        self.since = max(self.since or 0.0, min(written / 1e6, self.begun))


class Clickhouse:
    """One table.

    A refresh sends one query for the rows that were written since the last one, and one more for
    each further 100,000.
    """

    def __init__(self, config: ClickhouseSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        config = config.model_copy(update={"repos": tuple(filter(context.owns, config.repos))})
        self._config = config
        self._clock = context.http.clock
        self._query = RowQuery(config)
        self._api = ClickhouseApi(config, self._query, context.http)
        self._parser = RowParser(config)
        self._git = GitLog(config.git, config.git_fetch) if config.git else None
        self._slack = config.slack or PRESETS[config.preset].slack
        self._read_until: dict[Trunk, float] = {}

    def refresh(self, state: SourceState) -> Refresh:
        """Read the trunks' orders, and the rows that were written since.

        Raises:
            SourceError: the table or all trunks cannot be read, or no row of a cold start can be
                used.
        """
        if not self._config.repos:
            return Refresh(())
        now = self._clock()
        position = Position.stored(state.cursor, self._scope(), now)
        orders, errors = self._orders()
        rows, is_end = self._read(position, orders, now)
        for trunk in self._config.feeds():
            if is_end and trunk not in errors:
                self._read_until[trunk] = now
        report = RefreshReport(
            trunks={
                trunk: TrunkReport(self._read_until.get(trunk), errors.get(trunk))
                for trunk in self._config.feeds()
            },
            retry_after=None if is_end else 0.0,
            dropped=self._api.client.take_dropped(),
        )
        cursor = Cursor(msgspec.json.encode(position).decode())
        return Refresh([*orders, *without_versions(rows), cursor], report)

    def _scope(self) -> str:
        """Return a digest of what selects rows and decides what they mean."""
        config = self._config
        meaning = [config.values, config.allow_failure, config.look_back, config.window]
        query = self._query.page(Place(0), None, 0.0, 1)
        selects = f"{without_credentials(config.url)} {query} {meaning}"
        return sha256(selects.encode()).hexdigest()

    def _orders(self) -> tuple[list[TrunkOrder], dict[Trunk, GitError]]:
        """Return the orders of the trunks, and the errors of those that cannot be read.

        Raises:
            GitError: no trunk can be read.
        """
        if self._git is None or not self._config.could_order():
            return [], {}
        return self._git.orders(self._config.feeds(), self._config.window)

    # ------------------------------------------------------------------ rows

    def _read(
        self, position: Position, orders: Iterable[TrunkOrder], now: float
    ) -> tuple[list[Observation], bool]:
        """Read from a position on, and advance it; return also whether nothing was left unread.

        Each page begins at a row, not at an offset: rows that are written, replaced or merged
        meanwhile shift none. A row that changes gets a later place, and is read there.
        """
        oldest = now - self._config.look_back
        is_cold = position.since is None and position.after is None
        until: int | None = None
        after = position.after or Place(int(1e6 * self._begin(position, orders, oldest, now)))
        position.begun = now if position.after is None else min(position.begun, now)
        rows: list[Observation] = []
        problem: RowError | None = None

        def drop(error: RowError, row: object) -> None:
            nonlocal problem
            self._api.client.drop_row(error.key, row, error)
            problem = problem or error

        for _ in range(PAGES):
            page = self._api.page(after, until, oldest)
            if page.bundles:
                position.see(page.end.written)
            rows += self._parser.observations(page.bundles, now, drop)
            if page.is_last and until is None:
                position.after = None
                break
            # Without an end, ClickHouse would sort all rows for each page of a long read.
            end = Place(until) if page.is_last and until is not None else page.end
            ahead = end.written + SPAN_PAGES * max(1_000_000, end.written - after.written)
            after, until = end, ahead if ahead < now * 1e6 else None
        else:
            position.after = after
        if is_cold and problem is not None and not rows:
            raise BadAnswerError(f"no row of the table can be used: {problem}")
        return rows, position.after is None

    def _begin(
        self, position: Position, orders: Iterable[TrunkOrder], oldest: float, now: float
    ) -> float:
        """Return the time from which rows are read (seconds since the epoch)."""
        if position.since is not None:
            return max(oldest, position.since - self._slack, 0.0)
        first = oldest_date(orders, now)
        return max(oldest, (first or 0.0) - COLD_LOOK_BACK_SECONDS, 0.0)
