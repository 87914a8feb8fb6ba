"""Lists of GitHub: page by page, by ETag where they are known, and only when they are whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from cachetools import LRUCache

from trunkwatch.errors import SourceAnswerError
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.transport import Accident, Query, Reply, Transport

LIST_TRIES = 3
"""Times that a list is read when its pages shift while they are read."""

PAGES_KEPT = 256
"""Pages whose rows are kept with their ETag: those of what is in flight, about 15 MB of rows."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """How a list is read.

    Attributes:
        key: the list's key in each page.
        parse: from JSON to a row; raises ValueError for what cannot be told from other rows.
        identity: what tells rows apart.
        is_doubtful: whether a row is one that had better be read again.
    """

    key: str
    parse: Callable[[Mapping[str, Any]], Row]
    identity: Callable[[Row], object]
    is_doubtful: Callable[[Row], bool] = lambda _row: False


class Page(NamedTuple, Generic[Row]):
    """One page of a list.

    Attributes:
        etag: to be sent next time.
        total: rows of the whole list, as this page says.
        rows: of this page.
    """

    etag: str | None
    total: int
    rows: tuple[Row, ...]


class GithubClient:
    """Reads single answers and whole lists."""

    def __init__(self, source: str, transport: Transport) -> None:
        """Args:
        source: name of the source that asks, for errors.
        transport: asks.
        """
        self._source = source
        self._transport = transport
        self._pages: LRUCache[tuple[str, str], Page[Any]] = LRUCache(maxsize=PAGES_KEPT)

    def fingerprint(self) -> str:
        """Tell the token that is used now from others: an ETag is good for one token only."""
        return self._transport.fingerprint()

    def get(self, path: str, query: Query = (), etag: str | None = None) -> Reply:
        """Return what is at a path; see `Transport.get`."""
        return self._transport.get(path, query, etag)

    def page(
        self, path: str, query: Query, listing: Listing[Row], etag: str | None = None
    ) -> "Page[Row] | None":
        """Return one page of a list; None where nothing has changed since `etag`.

        Raises:
            SourceAnswerError: it is no such list, several times.
            SourceError: as for `get`.
        """
        for _ in range(LIST_TRIES - 1):
            try:
                return self._page(path, query, listing, etag)
            except Accident:
                continue
        try:
            return self._page(path, query, listing, etag)
        except Accident as accident:
            raise accident.error from None

    def whole_list(self, path: str, query: Query, listing: Listing[Row]) -> tuple[Row, ...]:
        """Return every row of a list, and only when all of them have been seen.

        Pages shift when rows come or go while they are read: then they are read again. So is a
        list with doubtful rows; when they stay so, it is taken as it is.

        Raises:
            SourceAnswerError: the list was never whole.
            SourceError: as for `get`.
        """
        whole = None
        for _ in range(LIST_TRIES):
            rows = self._try_list(path, query, listing)
            whole = whole if rows is None else rows
            if rows is not None and not any(map(listing.is_doubtful, rows)):
                return rows
        if whole is not None:
            return whole
        raise SourceAnswerError(
            self._source,
            f"GET {self._transport.address(path)}: the list changed each of the {LIST_TRIES} times"
            " that it was read; it is read again at the next refresh",
        )

    def _try_list(self, path: str, query: Query, listing: Listing[Row]) -> tuple[Row, ...] | None:
        rows: list[Row] = []
        total = 0
        for number in count(1):
            page = self._kept_page(
                path, (*query, ("per_page", PER_PAGE), ("page", number)), listing
            )
            if number > 1 and page.total != total:
                break
            total = page.total
            rows.extend(page.rows)
            if number * PER_PAGE >= total:
                break
        if len({listing.identity(row) for row in rows}) == len(rows) == total:
            return tuple(rows)
        # What did not fit together must not be believed again because it has not changed since.
        self._pages.clear()
        return None

    def _kept_page(self, path: str, query: Query, listing: Listing[Row]) -> "Page[Row]":
        key = (self.fingerprint(), f"{path}?{urlencode(query)}")
        known: Page[Row] | None = self._pages.get(key)
        page = self.page(path, query, listing, known.etag if known else None) or known
        if page is None:
            raise SourceAnswerError(
                self._source, f"GET {self._transport.address(path)}: HTTP 304 to no ETag"
            )
        self._pages[key] = page
        return page

    def _page(
        self, path: str, query: Query, listing: Listing[Row], etag: str | None
    ) -> "Page[Row] | None":
        reply = self.get(path, query, etag)
        if reply.document is None:
            return None
        try:
            rows = tuple(listing.parse(row) for row in reply.document[listing.key])
            return Page(reply.etag, int(reply.document["total_count"]), rows)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Accident(
                SourceAnswerError(
                    self._source,
                    f"GET {self._transport.address(path)}: not the list of {listing.key!r} that"
                    f" GitHub documents ({type(error).__name__}: {error})",
                )
            ) from None
