"""The port of an issues API, and what its clients share.

Errors state whether a request may have taken effect.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    RateLimitedError,
    RequestError,
    TrackerError,
    TrackerLimited,
    TrackerRefused,
    TrackerUnsure,
)
from trunkwatch.rest.client import Query, Reply
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import ApiRules, HttpContext
from trunkwatch.rest.json_text import int_or_none, list_or_empty, text_or_none
from trunkwatch.rest.lists import EtagCache, ListClient, Listing, page_numbers
from trunkwatch.tickets.model import Step
from trunkwatch.tickets.text.markdown import find_marker
from trunkwatch.times import parse_time

log = logging.getLogger(__name__)

WRITE_INTERVAL_SECONDS = 1.0
"""GitHub's rule for requests that change something, which no limit of GitLab is stricter than:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api"""

CREDENTIALS_RETRY_SECONDS = 60.0
"""Seconds to wait for a new token."""

CACHED_ISSUES = 1000
"""Issues that are kept with their ETag: reading again whether one was closed costs nothing."""

Value = TypeVar("Value")
Asked = Literal["open", "closed", "all"]


class Issue(NamedTuple):
    """An issue as people left it.

    Attributes:
        number: of the issue.
        closed_at: seconds since the epoch; None while it is open.
        body: Markdown.
        url: of its page; None if the answer has none.
        assignees: logins.
    """

    number: int
    closed_at: float | None
    body: str
    url: str | None = None
    assignees: tuple[str, ...] = ()


class Api(Protocol):
    """The issues of one server; every method raises TrackerError."""

    def issue(self, repo: str, number: int) -> Issue:
        """Return an issue."""

    def issues(
        self, repo: str, state: Asked, since: float | None, label: str | None = None
    ) -> Iterator[Issue]:
        """Yield the issues with a marker that changed since a time (seconds since the epoch).

        They are read oldest first: one that is added meanwhile shifts none to a page already read.
        """

    def comments(self, repo: str, number: int, since: float) -> Iterator[str]:
        """Yield the text of every comment of an issue since a time (seconds since the epoch)."""

    def execute(self, repo: str, number: int | None, step: Step) -> int | None:
        """Send a step once; return the number of a created issue."""

    def check_repository(self, repo: str, status: int) -> None:
        """Raise TrackerRefused with the reason if a repository has no issues for this token.

        Args:
            repo: the repository.
            status: of the answer for an issue of it.
        """


def _object(row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise TypeError("a row that is not an object")
    return row


ROWS: Listing[Mapping[str, Any]] = Listing(_object, id)
"""How a list of issues or comments is read; each page is the list itself."""


class IssuesClient:
    """The requests for issues with one token, for one thread at a time."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        rules: ApiRules,
        timeout: float,
    ) -> None:
        """Args:
        api_url: address of the API, and the further arguments as for `RestClient`.
        """
        self._http = http
        self._vendor = rules.vendor
        # A request is sent once, since it must not take effect twice. GitHub's 301 reports that
        # the issue was moved; following it would write to another repository.
        client = partial(
            ListClient, api_url, http, rules=rules, authorization=authorization, timeout=timeout
        )
        self._client = client(redirects=False)
        self._following = client(redirects=True)
        self._written_at = 0.0
        self._cache: EtagCache[Reply] = EtagCache(self._client, CACHED_ISSUES)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a document; GitHub does not count an unchanged one."""

        def fetch(etag: str | None) -> Reply | None:
            reply = self._client.get_if_changed(path, (), etag)
            if reply is not None and not isinstance(reply.document, dict):
                address = self._client.address(path)
                raise BadAnswerError(f"GET {address}: the answer is not a JSON object")
            return reply

        reply = self._tracked(lambda: self._cache.read(path, (), fetch))
        document: Mapping[str, Any] = reply.document
        return document

    def follow(self, path: str) -> Mapping[str, Any]:
        """Return a document, also where it has another address now."""
        return self._tracked(lambda: self._following.object("GET", path))

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list, page after page."""
        rows = self._client.rows(path, query, ROWS)
        while (row := self._tracked(lambda: next(rows, None))) is not None:
            yield row

    def page(self, path: str, query: Query, number: int) -> tuple[Mapping[str, Any], ...]:
        """Return the rows of one page of a list."""
        page = self._tracked(lambda: self._client.whole_page(path, query, number, ROWS))
        if page.dropped:
            raise TrackerUnsure(f"GET {self._client.address(path)}: an unreadable row")
        return page.rows

    def pages(self, path: str, query: Query) -> Iterator[tuple[Mapping[str, Any], ...]]:
        """Yield the rows of a list page by page, without an end: the caller knows the last one."""
        address, most = self._client.address(path), self._client.max_list_pages
        numbers = page_numbers(f"GET {address}", most)
        while True:
            yield self.page(path, query, self._tracked(lambda: next(numbers)))

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something; not repeated."""
        wait = self._written_at + WRITE_INTERVAL_SECONDS - self._http.clock()
        if 0 < wait <= WRITE_INTERVAL_SECONDS:
            self._http.sleep(wait)
        self._written_at = self._http.clock()
        return self._tracked(lambda: self._client.object(method, path, (), body))

    # ------------------------------------------------------------------ answers

    def marked(self, rows: Iterable[Mapping[str, Any]], keys: "IssueKeys") -> Iterator[Issue]:
        """Yield the issues of a list that have a marker; those of people may have any shape."""
        for row in rows:
            if find_marker(row.get(keys.body)) is not None:
                yield self.parsed(row, keys)

    def parsed(self, row: Mapping[str, Any], keys: "IssueKeys") -> Issue:
        """Return an issue of an answer."""
        number = int_or_none(row.get(keys.number))
        try:
            if number is None:
                raise ValueError
            closed_at = parse_time(row["closed_at"]) if row["state"] == "closed" else None
        except (KeyError, ValueError):
            raise TrackerUnsure(
                f"{self._vendor}'s answer has not the documented shape of an issue"
            ) from None
        people = _texts(list_or_empty(row.get("assignees")), keys.login)
        body = row.get(keys.body)
        url = text_or_none(row.get(keys.url))
        return Issue(number, closed_at, body if isinstance(body, str) else "", url, tuple(people))

    def _tracked(self, request: Callable[[], Value]) -> Value:
        try:
            return request()
        except RequestError as error:
            raise self._tracker_error(error) from None

    def _tracker_error(self, error: RequestError) -> TrackerError:
        """Return whether the request had no effect, had none for now, or may have had one."""
        if error.detail:
            log.warning("request refused", extra=error.fields())
        if isinstance(error, RateLimitedError):
            return TrackerLimited(str(error), error.until)
        if isinstance(error, CredentialsError) or error.status == HTTPStatus.UNAUTHORIZED:
            return TrackerLimited(str(error), self._http.clock() + CREDENTIALS_RETRY_SECONDS)
        status = error.status or 0
        refused = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused and status != HTTPStatus.NOT_MODIFIED:
            return TrackerRefused(str(error), status)
        return TrackerUnsure(str(error))


class IssueKeys(NamedTuple):
    """The keys of an issue that vendors name differently."""

    number: str
    body: str
    url: str
    login: str


def _texts(rows: Iterable[object], key: str) -> Iterator[str]:
    for row in rows:
        text = text_or_none(row.get(key)) if isinstance(row, dict) else None
        if text is not None:
            yield text
