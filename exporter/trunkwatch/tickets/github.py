"""Issues on GitHub: four ways to ask, and an error that says whether anything may have happened."""

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

BETWEEN_WRITES = 1.0
"""Seconds between two requests that change something, as GitHub's rules ask."""

UNKNOWN_WAIT = 60.0
"""Seconds to wait where an answer says that it is too much and not for how long."""

ISSUES_KEPT = 1000
"""Issues whose answer is kept with its ETag: to ask again whether one was closed costs nothing."""

Query = Sequence[tuple[str, str | int]]


class Api(Protocol):
    """What a tracker is asked; every method raises TrackerError."""

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a document."""

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list."""

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make something; made twice, it is there twice."""

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""


@dataclass(frozen=True, slots=True)
class ApiTools:
    """What the client is given instead of reaching for it.

    Attributes:
        header: returns the value of Authorization at a time (seconds since the epoch).
        refused: is told that it was answered with 401.
        clock: the time (seconds since the epoch).
        sleep: waits for some seconds.
        count: is told the status of each answer, or `error`.
        session: makes a session for HTTP.
    """

    header: Callable[[float], str | None]
    refused: Callable[[], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    count: Callable[[str], None] = lambda _code: None
    session: Callable[[], requests.Session] = requests.Session


class GithubIssues:
    """The REST API below one address with one token; one thread at a time."""

    def __init__(self, api_url: str, tools: ApiTools, timeout: float = 30.0) -> None:
        """Args:
        api_url: of the API.
        tools: time, token and session.
        timeout: seconds to wait for a connection, and for each part of an answer.
        """
        self._api = without_credentials(api_url).rstrip("/")
        self._tools = tools
        self._timeout = timeout
        self._session = tools.session()
        self._session.headers.update(HEADERS)
        self._written_at = 0.0
        self._known: LRUCache[str, tuple[str, Mapping[str, Any]]] = LRUCache(maxsize=ISSUES_KEPT)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return a document; one that has not changed costs no quota."""
        known = self._known.get(path)
        headers = {"If-None-Match": known[0]} if known else {}
        answer = self._sent("GET", path, headers=headers)
        if answer.status_code == HTTPStatus.NOT_MODIFIED and known:
            return known[1]
        document = self._object("GET", path, answer)
        if "ETag" in answer.headers:
            self._known[path] = (answer.headers["ETag"], document)
        return document

    def rows(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """Yield every row of a list, page after page."""
        for page in count(1):
            asked = [*query, ("per_page", PER_PAGE), ("page", page)]
            rows = self._json("GET", path, self._sent("GET", path, query=asked))
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise TrackerUnsure(f"GET {self._api}{path}: the answer is not a list")
            yield from rows
            if len(rows) < PER_PAGE:
                return

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make something."""
        self._pace()
        return self._object("POST", path, self._sent("POST", path, body=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change something."""
        self._pace()
        return self._object("PATCH", path, self._sent("PATCH", path, body=body))

    # ------------------------------------------------------------------ one request

    def _pace(self) -> None:
        wait = self._written_at + BETWEEN_WRITES - self._tools.clock()
        if 0 < wait <= BETWEEN_WRITES:
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
                # A 301 says that the issue was moved; to follow it would be to write elsewhere.
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
                str(error).removeprefix("source tickets: "), self._tools.clock() + UNKNOWN_WAIT
            ) from None
        return {"Authorization": header} if header else {}

    def _fail(self, method: str, url: str, answer: requests.Response) -> None:
        """Raise what an answer means that is no success; return for one without news."""
        status = answer.status_code
        if status == HTTPStatus.NOT_MODIFIED:
            return
        problem = f"{method} {url}: HTTP {status} {answer.reason}{quoted(answer)}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TrackerUnsure(problem)
        if status == HTTPStatus.UNAUTHORIZED:
            self._tools.refused()
            raise TrackerLimited(f"{problem}; give a good token", self._wait(answer))
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
        """Return when to ask again (seconds since the epoch)."""
        now, headers = self._tools.clock(), answer.headers
        after = retry_after(answer)
        if after is not None:
            return now + after
        reset = headers.get("x-ratelimit-reset", "")
        if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            return max(now + 1, float(reset))
        return now + UNKNOWN_WAIT

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
