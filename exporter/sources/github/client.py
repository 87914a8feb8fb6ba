"""Asking GitHub: conditional requests, the rate limit, faults and whole lists.

What to do about limits stands at
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import requests
from cachetools import LRUCache

from exporter.errors import (
    SourceAnswerError,
    SourceError,
    SourceLimitedError,
    SourceMissingError,
    SourceUnreachable,
)
from exporter.sources.github.auth import Authorization
from exporter.sources.github.quota import Quota
from exporter.sources.http import USER_AGENT, cause_of, without_credentials
from exporter.sources.port import Tools

API_VERSION = "2022-11-28"
PER_PAGE = 100
"""Rows of a page, the most that GitHub gives."""

TRIES = 3
"""Times that a request is made when the answer is an accident (5xx, cut off, not JSON)."""

LIST_TRIES = 3
"""Times that a list is read when its pages shift while they are read."""

FIRST_PAUSE = 1.0
"""Seconds before the second try; doubled for the next."""

SHORT_PAUSE = 10.0
"""Seconds that GitHub may ask us to wait without the refresh being ended for it."""

SECONDARY_PAUSE = 60.0
"""Seconds to wait at a secondary limit that says nothing of time, as GitHub's rules ask."""

PAGES_KEPT = 256
"""Pages whose rows are kept with their ETag: those of what is in flight, about 15 MB of rows."""

Query = Sequence[tuple[str, str | int]]
Row = TypeVar("Row")


class Reply(NamedTuple):
    """One answer.

    Attributes:
        document: the JSON; None where nothing has changed since the ETag that was sent.
        etag: to be sent next time.
    """

    document: Any
    etag: str | None


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


class _Accident(Exception):  # noqa: N818 — a reason to try again, turned into our errors
    """An answer that may be better the next time."""

    def __init__(self, error: SourceError) -> None:
        self.error = error
        super().__init__(str(error))


class GithubClient:
    """GETs below one API address with one token; one thread at a time."""

    def __init__(
        self,
        source: str,
        api_url: str,
        authorization: Authorization,
        quota: Quota,
        tools: Tools,
        timeout: float,
    ) -> None:
        """Args:
        source: name of the source that asks, for errors.
        api_url: of the API.
        authorization: gives the header that says who asks.
        quota: is told what each answer cost, and says what may be asked.
        tools: makes the session, counts the requests, tells and waits for time.
        timeout: seconds to wait for a connection, and for each part of an answer.
        """
        self._source = source
        self._api = without_credentials(api_url).rstrip("/")
        self._authorization = authorization
        self._quota = quota
        self._tools = tools
        self._timeout = timeout
        self._session = tools.session()
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
                "User-Agent": USER_AGENT,
            }
        )
        self._pages: LRUCache[tuple[str, str], Page[Any]] = LRUCache(maxsize=PAGES_KEPT)

    def fingerprint(self) -> str:
        """Tell the token that is used now from others: an ETag is good for one token only."""
        return self._authorization.fingerprint(self._tools.clock())

    def get(self, path: str, query: Query = (), etag: str | None = None) -> Reply:
        """Return what is at a path.

        Args:
            path: below the API's address.
            query: in the order in which it is sent; the same request must have the same text.
            etag: of the answer that is known already.

        Raises:
            SourceUnreachable: no answer, or one that was cut off, several times.
            SourceAnswerError: an answer that is not what GitHub documents, several times.
            SourceMissingError: there is nothing at this path, or it may not be seen.
            SourceAuthError: the token is not accepted.
            SourceLimitedError: GitHub's limit or our share of it is used up.
        """
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return self._once(path, query, etag)
            except _Accident:
                # Chance keeps several exporters from asking again in step; it guards no secret.
                self._tools.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 — jitter
                pause *= 2
        try:
            return self._once(path, query, etag)
        except _Accident as accident:
            raise accident.error from None

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
            except _Accident:
                continue
        try:
            return self._page(path, query, listing, etag)
        except _Accident as accident:
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
            f"GET {self._api}{path}: the list changed each of the {LIST_TRIES} times that it was"
            " read; it is read again at the next refresh",
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
            raise SourceAnswerError(self._source, f"GET {self._api}{path}: HTTP 304 to no ETag")
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
            raise _Accident(
                SourceAnswerError(
                    self._source,
                    f"GET {self._api}{path}: not the list of {listing.key!r} that GitHub documents"
                    f" ({type(error).__name__}: {error})",
                )
            ) from None

    # ------------------------------------------------------------------ one request

    def _once(self, path: str, query: Query, etag: str | None) -> Reply:
        self._check_budget()
        url = f"{self._api}{path}"
        header = self._authorization.header(self._tools.clock())
        headers = {"If-None-Match": etag} if etag else {}
        if header:
            headers["Authorization"] = header
        try:
            answer = self._session.get(
                url,
                params=list(query),
                headers=headers,
                # Without an `auth` of ours, requests would put that of a ~/.netrc over the header.
                auth=_as_it_is,
                timeout=self._timeout,
            )
        except requests.RequestException as error:
            self._tools.count_request("error")
            # Whether GitHub counted it cannot be known; to think so is the careful guess.
            self._quota.answered({}, counted=True)
            raise _Accident(
                SourceUnreachable(self._source, f"GET {url}: {cause_of(error)}")
            ) from None
        self._tools.count_request(str(answer.status_code))
        free = answer.status_code == HTTPStatus.NOT_MODIFIED and header is not None
        self._quota.answered(answer.headers, counted=not free)
        return self._understood(url, answer)

    def _check_budget(self) -> None:
        if self._quota.available() < 1:
            raise SourceLimitedError(
                self._source,
                "the share of the request quota that may be used (quota_share) is used up;"
                " reading goes on as it comes back",
                self._quota.free_at(),
            )

    def _understood(self, url: str, answer: requests.Response) -> Reply:
        status = answer.status_code
        if status == HTTPStatus.NOT_MODIFIED:
            return Reply(None, answer.headers.get("ETag"))
        if status == HTTPStatus.OK:
            return Reply(self._document(url, answer), answer.headers.get("ETag"))
        if status == HTTPStatus.UNAUTHORIZED:
            self._authorization.refused()
            # Asked again, the authorization itself says what is wrong, and is not sent again.
            self._authorization.header(self._tools.clock())
        if status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            self._limited(url, answer)
        problem = f"GET {url}: HTTP {status} {answer.reason}{_said(answer)}"
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN):
            raise SourceMissingError(
                self._source,
                f"{problem}; the name is wrong, or the token may not read it"
                " (read-only Actions, Checks, Contents and Metadata)",
            )
        error = SourceAnswerError(self._source, problem)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Accident(error)
        raise error

    def _document(self, url: str, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise _Accident(
                SourceAnswerError(self._source, f"GET {url}: the answer is not JSON")
            ) from None

    def _limited(self, url: str, answer: requests.Response) -> None:
        """Raise what a limit asks for; return where the answer speaks of something else."""
        now = self._tools.clock()
        wait = _retry_after(answer)
        spent = self._quota.spent_until
        if wait is None and spent is not None:
            wait = spent - now
        if wait is None and not _is_secondary(answer):
            return
        wait = SECONDARY_PAUSE if wait is None else wait
        error = SourceLimitedError(
            self._source,
            f"GET {url}: HTTP {answer.status_code}, rate limited for {wait:.0f} s{_said(answer)}",
            now + wait,
        )
        if wait <= SHORT_PAUSE:
            self._tools.sleep(wait)
            raise _Accident(error)
        self._quota.block(now + wait)
        raise error


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _is_secondary(answer: requests.Response) -> bool:
    """GitHub tells a secondary limit from a missing right only in the text of the answer."""
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    return "rate limit" in answer.text[:1000].lower()


def _said(answer: requests.Response) -> str:
    """Quote what GitHub says about an error, in a few words."""
    try:
        message = json.loads(answer.content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {' '.join(str(message).split())[:120]}"
