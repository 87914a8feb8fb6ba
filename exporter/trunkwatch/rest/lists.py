"""Lists that an API gives page by page, read only as a whole and cached by ETag."""

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from cachetools import LRUCache

from trunkwatch.errors import BadAnswerError, LimitExceededError
from trunkwatch.rest.client import Query, Reply, RestClient
from trunkwatch.rest.json_text import checked_list

log = logging.getLogger(__name__)

UNREADABLE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""The errors of parsing a row, or a page, that is not as its API documents it."""

LIST_TRIES = 3
"""Times that a list is read when its pages shift while they are read."""

CACHED_ROWS = 30_000
"""Rows that are kept with the ETags of their pages, about 15 MB: the jobs of unfinished runs, and
the workflows of a thousand repositories."""

ROWS_OF_PAGE = 4
"""What a page weighs in rows beside its own."""

UNREADABLE_TOTAL = -1
"""The total of a page that reports none although it should: equal to no number of rows."""

QUOTED_CHARACTERS = 300
"""Characters of a row that cannot be parsed which the log quotes."""

REMEMBERED = 1024
"""Dropped rows that are counted once, and inconsistent lists that are compared with the next one.
"""

Row = TypeVar("Row")


def page_numbers(what: str, most: int) -> Iterator[int]:
    """Yield the numbers of a list's pages, from 1 on.

    Args:
        what: the list, for the error.
        most: pages that it may have.

    Raises:
        LimitExceededError: it has more.
    """
    yield from range(1, most + 1)
    raise LimitExceededError(f"{what}: the list has more than {most} pages")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """How a list is read.

    Attributes:
        parse: turns JSON into a row; raises one of `UNREADABLE_ERRORS` for one that is unusable.
        identity: distinguishes rows.
        is_doubtful: whether a row is incomplete and better read again.
        key: the list's key in each page; None where the page is the list.
        total: the key of the number of rows in the whole list; None where the last page is the
            first one that is not full.
    """

    parse: Callable[[Mapping[str, Any]], Row]
    identity: Callable[[Row], object]
    is_doubtful: Callable[[Row], bool] = lambda _row: False
    key: str | None = None
    total: str | None = None


class Page(NamedTuple, Generic[Row]):
    """One page of a list.

    Attributes:
        etag: to send next time.
        total: rows of the whole list as this page reports them; None where the API does not, and
            `UNREADABLE_TOTAL` for anything but a number.
        rows: of this page that could be parsed.
        dropped: number of rows that could not.
    """

    etag: str | None
    total: int | None
    rows: tuple[Row, ...]
    dropped: int = 0


Kept = TypeVar("Kept", bound=Page[Any] | Reply)


class EtagCache(Generic[Kept]):
    """Answers with their ETag, so that an unchanged one costs no quota; safe for threads."""

    def __init__(
        self, client: RestClient, size: int, weight: Callable[[Kept], int] = lambda _kept: 1
    ) -> None:
        """Args:
        client: whose token the ETags are valid for.
        size: weight of all answers.
        weight: of one answer.
        """
        self._client = client
        self._kept: LRUCache[tuple[str, str], Kept] = LRUCache(size, weight)
        self._lock = threading.Lock()

    def read(self, path: str, query: Query, fetch: Callable[[str | None], Kept | None]) -> Kept:
        """Return an answer, from the cache if it has not changed.

        Args:
            path: below the API's address.
            query: as `fetch` sends it.
            fetch: reads the answer given the ETag of the cached one; returns None if it is the
                same.
        """
        key = (self._client.fingerprint(), f"{path}?{urlencode(query)}")
        with self._lock:
            cached = self._kept.get(key)
        answer = fetch(cached.etag if cached is not None else None) or cached
        if answer is None:
            raise BadAnswerError(f"GET {self._client.address(path)}: HTTP 304 to no ETag")
        with self._lock, suppress(ValueError):  # one that is larger than the cache
            self._kept[key] = answer
        return answer

    def drop(self, path: str) -> None:
        """Drop the answers at a path."""
        with self._lock:
            for key in [key for key in self._kept if key[1].partition("?")[0] == path]:
                del self._kept[key]


class ListClient(RestClient):
    """A client that also reads lists by `page` and `per_page`.

    Attributes:
        per_page: rows of a full page.
    """

    per_page = 100

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()
        self._pages: EtagCache[Page[Any]] = EtagCache(
            self, CACHED_ROWS, lambda page: ROWS_OF_PAGE + len(page.rows)
        )
        self._inconsistent: LRUCache[str, frozenset[object]] = LRUCache(REMEMBERED)
        self._dropped: LRUCache[bytes, None] = LRUCache(REMEMBERED)
        self._newly_dropped: Counter[str] = Counter()

    def take_dropped(self) -> Mapping[str, int]:
        """Return the numbers of rows that could not be parsed since the last call, by list."""
        with self._lock:
            dropped, self._newly_dropped = self._newly_dropped, Counter()
            return dropped

    def page(
        self, path: str, query: Query, listing: Listing[Row], etag: str | None = None
    ) -> "Page[Row] | None":
        """Return one page of a list; None if it is still the one with this ETag.

        Raises:
            BadAnswerError: it is not such a list, as often as requests are tried.
            RequestError: as for `get`.
        """
        for _ in range(self._tries):
            reply = self.get_if_changed(path, query, etag)
            if reply is None:
                return None
            try:
                return self._page_of(reply, listing)
            except UNREADABLE_ERRORS as error:
                problem = f"{type(error).__name__}: {error}"
        raise self._unlike(path, listing, problem)

    def _unlike(self, path: str, listing: Listing[Row], problem: str) -> BadAnswerError:
        kind = f"the list of {listing.key!r}" if listing.key else "the list"
        return BadAnswerError(
            f"GET {self.address(path)}: not {kind} that {self._rules.vendor} documents",
            detail=problem,
        )

    def row(self, path: str, parse: Callable[[Mapping[str, Any]], Row], what: str) -> Row:
        """Return the object at a path as a row.

        Args:
            path: below the API's address.
            parse: as that of a `Listing`.
            what: the kind of object, for the error.

        Raises:
            BadAnswerError: it is no such object.
            RequestError: as for `get`.
        """
        document = self.object("GET", path)
        try:
            return parse(document)
        except UNREADABLE_ERRORS as error:
            problem = f"GET {self.address(path)}: not {what}"
            raise BadAnswerError(problem, detail=f"{type(error).__name__}: {error}") from None

    def whole_page(
        self, path: str, query: Query, number: int, listing: Listing[Row]
    ) -> "Page[Row]":
        """Return one page of a list by its number, as `page` does without an ETag."""
        page = self.page(path, self._paged(query, number), listing)
        if page is None:
            raise BadAnswerError(f"GET {self.address(path)}: HTTP 304 to no ETag")
        return page

    def rows(self, path: str, query: Query, listing: Listing[Row]) -> Iterator[Row]:
        """Yield the rows of a list, page by page, each read when it is needed.

        Raises:
            BadAnswerError: a row cannot be parsed: it may be the one that is searched for.
            RequestError: as for `get`.
        """
        for number in page_numbers(f"GET {self.address(path)}", self.max_list_pages):
            page = self.whole_page(path, query, number, listing)
            yield from page.rows
            if page.dropped:
                raise self._unlike(path, listing, f"{page.dropped} unreadable rows")
            if self._is_last(page, number):
                return

    def whole_list(self, path: str, query: Query, listing: Listing[Row]) -> tuple[Row, ...]:
        """Return every readable row of a list, as `partial_list` does."""
        return self.partial_list(path, query, listing)[0]

    def partial_list(
        self, path: str, query: Query, listing: Listing[Row]
    ) -> tuple[tuple[Row, ...], int]:
        """Return every row of a list that can be parsed, and the number of the others.

        A list is returned only when all of its rows have been seen.

        Pages shift when rows are added or removed meanwhile: then the list is read again. So is a
        list with doubtful rows; if they stay doubtful, it is returned as it is. No document
        promises that a list agrees with its total: one that contradicts it with the same rows in
        the next call too is returned.

        Raises:
            BadAnswerError: the list was never whole, for the first time.
            RequestError: as for `get`.
        """
        whole: tuple[tuple[Row, ...], int] | None = None
        rows: tuple[Row, ...] = ()
        dropped = 0
        for _ in range(LIST_TRIES):
            rows, dropped, consistent = self._read_rows(path, query, listing)
            if consistent and not dropped and not any(map(listing.is_doubtful, rows)):
                return rows, 0
            whole = (rows, dropped) if consistent else whole
            if dropped:
                # Else a 304 would repeat a row that is readable a moment later.
                self._pages.drop(path)
        if whole is not None:
            return whole
        address = f"{path}?{urlencode(query)}"
        distinct = {listing.identity(row): row for row in rows}
        with self._lock:
            if self._inconsistent.get(address) == distinct.keys():
                return tuple(distinct.values()), dropped
            self._inconsistent[address] = frozenset(distinct)
        raise BadAnswerError(
            f"GET {self.address(path)}: the list changed each of the {LIST_TRIES} times"
            " that it was read; it is read again at the next refresh"
        )

    def _read_rows(
        self, path: str, query: Query, listing: Listing[Row]
    ) -> tuple[tuple[Row, ...], int, bool]:
        """Return every readable row, the number of the others, and whether the pages agree."""
        rows: list[Row] = []
        dropped = 0
        totals: set[int | None] = set()
        for number in page_numbers(f"GET {self.address(path)}", self.max_list_pages):
            page = self.cached_page(path, query, number, listing)
            totals.add(page.total)
            rows.extend(page.rows)
            dropped += page.dropped
            if len(totals) > 1 or self._is_last(page, number):
                break
        distinct = len({listing.identity(row) for row in rows})
        consistent = distinct == len(rows) and totals in ({None}, {len(rows) + dropped})
        if not consistent:
            # Drop the cached pages, else a 304 would repeat the inconsistent list.
            self._pages.drop(path)
        return tuple(rows), dropped, consistent

    def cached_page(
        self, path: str, query: Query, number: int, listing: Listing[Row]
    ) -> "Page[Row]":
        """Return one page of a list by its number, from the cache if it has not changed."""
        paged = self._paged(query, number)
        return self._pages.read(path, paged, lambda etag: self.page(path, paged, listing, etag))

    def _paged(self, query: Query, number: int) -> Query:
        return (*query, ("per_page", self.per_page), ("page", number))

    def _page_of(self, reply: Reply, listing: Listing[Row]) -> "Page[Row]":
        """Parse a page; a row that cannot be parsed is counted, and does not hide the others."""
        document = reply.document
        rows = checked_list(document if listing.key is None else document[listing.key])
        total = None if listing.total is None else _total(document.get(listing.total))
        parsed: list[Row] = []
        for row in rows:
            try:
                parsed.append(listing.parse(row))
            except UNREADABLE_ERRORS as error:
                self.drop_row(listing.key or "rows", row, error)
        return Page(reply.etag, total, tuple(parsed), len(rows) - len(parsed))

    def drop_row(self, key: str, row: object, error: Exception) -> None:
        """Count and log a row that cannot be used, unless it was before.

        Args:
            key: the list, for the metric.
            row: as the server sent it.
            error: the reason.
        """
        text = json.dumps(row, sort_keys=True)
        # Not the text: a server may send rows of megabytes.
        digest = hashlib.sha256(f"{key} {text}".encode()).digest()
        with self._lock:
            if digest in self._dropped:
                return
            self._dropped[digest] = None
            self._newly_dropped[key] += 1
        quoted = {"list": key, "row": text[:QUOTED_CHARACTERS]}
        log.error(
            "row dropped", extra={**quoted, "error": f"{type(error).__name__}: {error}"[:200]}
        )

    def _is_last(self, page: "Page[Any]", number: int) -> bool:
        if page.total is None or page.total == UNREADABLE_TOTAL:
            return len(page.rows) + page.dropped < self.per_page
        return number * self.per_page >= page.total or not (page.rows or page.dropped)


def _total(value: object) -> int:
    """Return the number of a list's rows; `UNREADABLE_TOTAL` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return UNREADABLE_TOTAL
