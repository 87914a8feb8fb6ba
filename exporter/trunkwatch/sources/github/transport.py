"""One request to GitHub: who asks, what it costs, and what an answer that is no answer means.

What to do about limits stands at
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
"""

import random
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import requests

from trunkwatch.errors import (
    SourceAnswerError,
    SourceError,
    SourceLimitedError,
    SourceMissingError,
    SourceUnreachable,
)
from trunkwatch.sources.github.auth import Authorization
from trunkwatch.sources.github.dialect import HEADERS, as_it_is, is_limit, quoted, retry_after
from trunkwatch.sources.github.quota import Quota
from trunkwatch.sources.http import cause_of, without_credentials
from trunkwatch.sources.port import SourceContext

TRIES = 3
"""Times that a request is made when the answer is an accident (5xx, cut off, not JSON)."""

FIRST_PAUSE = 1.0
"""Seconds before the second try; doubled for the next."""

SHORT_PAUSE = 10.0
"""Seconds that GitHub may ask us to wait without the refresh being ended for it."""

SECONDARY_PAUSE = 60.0
"""Seconds to wait at a secondary limit that says nothing of time, as GitHub's rules ask."""

Query = Sequence[tuple[str, str | int]]


class Reply(NamedTuple):
    """One answer.

    Attributes:
        document: the JSON; None where nothing has changed since the ETag that was sent.
        etag: to be sent next time.
    """

    document: Any
    etag: str | None


class Accident(Exception):  # noqa: N818 — a reason to try again, turned into our errors
    """An answer that may be better the next time.

    Attributes:
        error: what it is when it is not.
    """

    def __init__(self, error: SourceError) -> None:
        self.error = error
        super().__init__(str(error))


class Transport:
    """GETs below one API address with one token; one thread at a time."""

    def __init__(
        self,
        source: str,
        api_url: str,
        authorization: Authorization,
        quota: Quota,
        tools: SourceContext,
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
        self._session.headers.update(HEADERS)

    def address(self, path: str) -> str:
        """Return the address of a path, fit to be shown."""
        return f"{self._api}{path}"

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
            except Accident:
                # Chance keeps several exporters from asking again in step; it guards no secret.
                self._tools.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 — jitter
                pause *= 2
        try:
            return self._once(path, query, etag)
        except Accident as accident:
            raise accident.error from None

    def _once(self, path: str, query: Query, etag: str | None) -> Reply:
        self._check_budget()
        url = self.address(path)
        header = self._authorization.header(self._tools.clock())
        headers = {"If-None-Match": etag} if etag else {}
        if header:
            headers["Authorization"] = header
        try:
            answer = self._session.get(
                url,
                params=list(query),
                headers=headers,
                auth=as_it_is,
                timeout=self._timeout,
            )
        except requests.RequestException as error:
            self._tools.count_request("error")
            # Whether GitHub counted it cannot be known; to think so is the careful guess.
            self._quota.answered({}, counted=True)
            raise Accident(
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
        problem = f"GET {url}: HTTP {status} {answer.reason}{quoted(answer)}"
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN):
            raise SourceMissingError(
                self._source,
                f"{problem}; the name is wrong, or the token may not read it"
                " (read-only Actions, Checks, Contents and Metadata)",
            )
        error = SourceAnswerError(self._source, problem)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Accident(error)
        raise error

    def _document(self, url: str, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise Accident(
                SourceAnswerError(self._source, f"GET {url}: the answer is not JSON")
            ) from None

    def _limited(self, url: str, answer: requests.Response) -> None:
        """Raise what a limit asks for; return where the answer speaks of something else."""
        now = self._tools.clock()
        wait = retry_after(answer)
        spent = self._quota.spent_until
        if wait is None and spent is not None:
            wait = spent - now
        if wait is None and not is_limit(answer):
            return
        wait = SECONDARY_PAUSE if wait is None else wait
        error = SourceLimitedError(
            self._source,
            f"GET {url}: HTTP {answer.status_code}, rate limited for {wait:.0f} s{quoted(answer)}",
            now + wait,
        )
        if wait <= SHORT_PAUSE:
            self._tools.sleep(wait)
            raise Accident(error)
        self._quota.block(now + wait)
        raise error
