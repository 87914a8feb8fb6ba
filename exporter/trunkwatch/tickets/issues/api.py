"""The client of GitHub's issues API; its errors state whether a request may have taken effect."""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

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
from trunkwatch.github import GithubRules
from trunkwatch.rest.client import Query, Reply
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.lists import EtagCache, ListClient, Listing

log = logging.getLogger(__name__)

WRITE_INTERVAL_SECONDS = 1.0
"""GitHub's rule for requests that change something:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api"""

CREDENTIALS_RETRY_SECONDS = 60.0
"""Seconds to wait for a new token."""

CACHED_ISSUES = 1000
"""Issues that are kept with their ETag: reading again whether one was closed costs nothing."""

WRITE_ACCESS = (
    "does the repository exist, does it have issues, and may the token write them"
    " (Issues: read and write)?"
)

Value = TypeVar("Value")


class Api(Protocol):
    """The issues API as the tracker uses it; every method raises TrackerError."""

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a document."""

    def repository(self, repo: str) -> Mapping[str, Any]:
        """Return the document of a repository, also where it has another name now."""

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list."""

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create something; not idempotent."""

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""


def _object(row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise TypeError("a row that is not an object")
    return row


ROWS: Listing[Mapping[str, Any]] = Listing(_object, id)
"""How a list of issues or comments is read; each page is the list itself."""


class GithubIssues:
    """The issues API with one token, for one thread at a time; arguments as for `RestClient`."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        timeout: float = 30.0,
    ) -> None:
        self._http = http
        # A request is sent once, since it must not take effect twice. A 301 reports that the issue
        # was moved; following it would write to another repository.
        client = partial(
            ListClient,
            api_url,
            http,
            rules=GithubRules(WRITE_ACCESS),
            authorization=authorization,
            timeout=timeout,
        )
        self._client = client(redirects=False)
        self._following = client(redirects=True)
        self._written_at = 0.0
        self._cache: EtagCache[Reply] = EtagCache(self._client, CACHED_ISSUES)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a document; an unchanged one costs no quota."""

        def fetch(etag: str | None) -> Reply | None:
            reply = self._client.get_if_changed(path, (), etag)
            if reply is not None and not isinstance(reply.document, dict):
                address = self._client.address(path)
                raise BadAnswerError(f"GET {address}: the answer is not a JSON object")
            return reply

        reply = self._tracked(lambda: self._cache.read(path, (), fetch))
        document: Mapping[str, Any] = reply.document
        return document

    def repository(self, repo: str) -> Mapping[str, Any]:
        """Return the document of a repository, also where it has another name now."""
        return self._tracked(lambda: self._following.object("GET", f"/repos/{repo}"))

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list, page after page."""
        rows = self._client.rows(path, query, ROWS)
        while (row := self._tracked(lambda: next(rows, None))) is not None:
            yield row

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create something."""
        return self._write("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""
        return self._write("PATCH", path, body)

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        wait = self._written_at + WRITE_INTERVAL_SECONDS - self._http.clock()
        if 0 < wait <= WRITE_INTERVAL_SECONDS:
            self._http.sleep(wait)
        self._written_at = self._http.clock()
        return self._tracked(lambda: self._client.object(method, path, (), body))

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
