"""The client of GitHub's issues API; its errors state whether a request may have taken effect."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import Any, Protocol

import requests
from cachetools import LRUCache

from trunkwatch.errors import (
    IssueGone,
    SourceAuthError,
    TrackerLimited,
    TrackerRefused,
    TrackerUnsure,
)
from trunkwatch.sources.github.dialect import (
    HEADERS,
    PER_PAGE,
    as_it_is,
    is_limit,
    quoted,
    retry_after,
)
from trunkwatch.sources.http import cause_of, without_credentials

WRITE_INTERVAL_SECONDS = 1.0
"""GitHub's rule for requests that change something:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api"""

DEFAULT_LIMIT_WAIT_SECONDS = 60.0
"""Wait after a rate limit answer without a reset time."""

CACHED_ISSUES = 1000
"""Issues cached with their ETag, so that polling whether one was closed costs no quota."""

Query = Sequence[tuple[str, str | int]]


class Api(Protocol):
    """The issues API as the tracker uses it; every method raises TrackerError."""

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a JSON object."""

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list."""

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create something; not idempotent."""

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""


@dataclass(frozen=True, slots=True)
class ApiTools:
    """The dependencies of the client.

    Attributes:
        header: returns the value of Authorization at a time (seconds since the epoch).
        refused: called after an answer with 401.
        clock: returns the time (seconds since the epoch).
        sleep: waits (seconds).
        count: called with the status of each answer, or `error`.
        session: creates an HTTP session.
    """

    header: Callable[[float], str | None]
    refused: Callable[[], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    count: Callable[[str], None] = lambda _code: None
    session: Callable[[], requests.Session] = requests.Session


class GithubIssues:
    """The REST API at one address with one token; not thread-safe."""

    def __init__(self, api_url: str, tools: ApiTools, timeout: float = 30.0) -> None:
        """Args:
        api_url: base URL of the API.
        tools: the dependencies.
        timeout: of the connection and of each read (seconds).
        """
        self._api = without_credentials(api_url).rstrip("/")
        self._tools = tools
        self._timeout = timeout
        self._session = tools.session()
        self._session.headers.update(HEADERS)
        self._written_at = 0.0
        self._cache: LRUCache[str, tuple[str, Mapping[str, Any]]] = LRUCache(maxsize=CACHED_ISSUES)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a JSON object; an unchanged one costs no quota."""
        cached = self._cache.get(path)
        headers = {"If-None-Match": cached[0]} if cached else {}
        answer = self._sent("GET", path, headers=headers)
        if answer.status_code == HTTPStatus.NOT_MODIFIED and cached:
            return cached[1]
        document = self._object("GET", path, answer)
        if "ETag" in answer.headers:
            self._cache[path] = (answer.headers["ETag"], document)
        return document

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list, across pages."""
        for page in count(1):
            asked = [*query, ("per_page", PER_PAGE), ("page", page)]
            rows = self._json("GET", path, self._sent("GET", path, query=asked))
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise TrackerUnsure(f"GET {self._api}{path}: the answer is not a list")
            yield from rows
            if len(rows) < PER_PAGE:
                return

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create something."""
        self._pace()
        return self._object("POST", path, self._sent("POST", path, body=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""
        self._pace()
        return self._object("PATCH", path, self._sent("PATCH", path, body=body))

    # ------------------------------------------------------------------ one request

    def _pace(self) -> None:
        wait = self._written_at + WRITE_INTERVAL_SECONDS - self._tools.clock()
        if 0 < wait <= WRITE_INTERVAL_SECONDS:
            self._tools.sleep(wait)
        self._written_at = self._tools.clock()

    def _sent(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = f"{self._api}{path}"
        try:
            answer = self._session.request(
                method,
                url,
                params=list(query),
                json=body,
                headers={**(headers or {}), **self._authorization()},
                auth=as_it_is,
                # 301: the issue was moved; following it would write into another repository.
                allow_redirects=False,
                timeout=self._timeout,
            )
        except requests.RequestException as error:
            self._tools.count("error")
            raise TrackerUnsure(f"{method} {url}: {cause_of(error)}") from None
        self._tools.count(str(answer.status_code))
        if not (answer.ok and answer.status_code < HTTPStatus.MULTIPLE_CHOICES):
            self._fail(method, url, answer)
        return answer

    def _authorization(self) -> dict[str, str]:
        try:
            header = self._tools.header(self._tools.clock())
        except SourceAuthError as error:
            raise TrackerLimited(
                str(error).removeprefix("source tickets: "),
                self._tools.clock() + DEFAULT_LIMIT_WAIT_SECONDS,
            ) from None
        return {"Authorization": header} if header else {}

    def _fail(self, method: str, url: str, answer: requests.Response) -> None:
        """Raise the error of an unsuccessful answer; return for 304."""
        status = answer.status_code
        if status == HTTPStatus.NOT_MODIFIED:
            return
        problem = f"{method} {url}: HTTP {status} {answer.reason}{quoted(answer)}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TrackerUnsure(problem)
        if status == HTTPStatus.UNAUTHORIZED:
            self._tools.refused()
            raise TrackerLimited(f"{problem}; replace the token", self._wait(answer))
        if is_limit(answer):
            raise TrackerLimited(problem, self._wait(answer))
        if status in (HTTPStatus.GONE, HTTPStatus.MOVED_PERMANENTLY) and method != "POST":
            raise IssueGone(problem, status)
        raise TrackerRefused(
            f"{problem}; does the repository exist, does it have issues, and may the token write"
            " them (Issues: read and write)?",
            status,
        )

    def _wait(self, answer: requests.Response) -> float:
        """Return the time of the next attempt (seconds since the epoch)."""
        now, headers = self._tools.clock(), answer.headers
        after = retry_after(answer)
        if after is not None:
            return now + after
        reset = headers.get("x-ratelimit-reset", "")
        if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            return max(now + 1, float(reset))
        return now + DEFAULT_LIMIT_WAIT_SECONDS

    def _json(self, method: str, path: str, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise TrackerUnsure(f"{method} {self._api}{path}: the answer is not JSON") from None

    def _object(self, method: str, path: str, answer: requests.Response) -> Mapping[str, Any]:
        document = self._json(method, path, answer)
        if not isinstance(document, dict):
            raise TrackerUnsure(f"{method} {self._api}{path}: the answer is not a JSON object")
        return document
