"""One HTTP request for a JSON document; every failure is a RequestError of one line."""

import random
import ssl
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url

from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    LimitExceededError,
    NoAnswerError,
    RateLimitedError,
    RequestError,
)
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import Answer, ApiRules, HttpContext
from trunkwatch.rest.json_text import decode_json
from trunkwatch.rest.limits import Quota, RateLimit
from trunkwatch.rest.transport import (
    MAX_REDIRECTS,
    AnswerTooLargeError,
    BoundedAdapter,
    deadline,
    has_passed,
)
from trunkwatch.urls import without_credentials

USER_AGENT = "trunkwatch"

ANSWER_TIMEOUT_FACTOR = 4.0
"""What a request may take from its begin to the end of its answer, as a multiple of `timeout`: one
that sends a byte now and then would never end."""

FIRST_PAUSE_SECONDS = 1.0
"""Seconds before the second try; doubled for each further one."""

READ_TRIES = 3
"""Times that a source sends a request that fails by accident."""

SHORT_LIMIT_SECONDS = 10.0
"""Longest wait at a rate limit that is spent within the request if it may be tried again."""

BODY_QUOTED_CHARACTERS = 60
"""Characters of an unexpected body that an error quotes."""

FATAL_ERRORS = (CredentialsError, RateLimitedError, NoAnswerError)
"""Errors that every further request of a refresh would meet too."""

Query = Sequence[tuple[str, str | int]]


class Reply(NamedTuple):
    """A document and its version.

    Attributes:
        document: the JSON.
        etag: to send next time.
    """

    document: Any
    etag: str | None


class _Request(NamedTuple):
    method: str
    path: str
    query: Query
    body: Mapping[str, Any] | Sequence[Any] | None = None
    etag: str | None = None
    has_document: bool = True


class RestClient:
    """A client of the JSON API below one address; safe to use from any thread.

    Attributes:
        redirected: the paths of requests that the server redirected; the caller empties it.

    All methods that send a request raise RequestError:
        NoAnswerError: no answer, or one that was cut off.
        BadAnswerError: an answer that the API does not document.
        NotFoundError: the path does not exist, or the token may not read it.
        CredentialsError: the token is missing or refused.
        RateLimitedError: the vendor's limit, or the share of it that may be used, is used up.
    """

    def __init__(
        self,
        url: str,
        http: HttpContext,
        *,
        rules: ApiRules | None = None,
        authorization: Authorization | None = None,
        quota: Quota | None = None,
        tries: int = 1,
        redirects: bool = True,
        cookies: bool = False,
        timeout: float = 30.0,
    ) -> None:
        """Args:
        url: the address that every path is appended to. Without `authorization`, user:password@ in
            it is sent as HTTP basic authentication; no error shows it.
        http: session, counter, clock and sleep.
        rules: of the vendor's API.
        authorization: gives the Authorization header.
        quota: limits the requests, and records the limit that each answer reports.
        tries: how often a request is sent that fails by accident (no answer, 5xx, not JSON); 1
            for requests that must not take effect twice.
        redirects: whether redirects are followed; a token is never sent to another host.
        cookies: whether later requests send the cookies of an answer, as a login needs.
        timeout: seconds to wait for a connection, and for each part of an answer; the whole answer
            must be there after `ANSWER_TIMEOUT_FACTOR` times as long.
        """
        self._base = without_credentials(url).rstrip("/")
        self._http = http
        self._rules = rules or ApiRules()
        self._authorization = authorization
        self._quota = quota
        self._tries = tries
        self._redirects = redirects
        self._cookies = cookies
        self._timeout = timeout
        self._deadline = ANSWER_TIMEOUT_FACTOR * timeout
        self._max_bytes = http.max_answer_bytes
        self._login = get_auth_from_url(url) if authorization is None else ("", "")
        # A session serves one thread at a time; as many are kept as were needed at once.
        self._sessions: deque[requests.Session] = deque()
        self.redirected: set[str] = set()

    def address(self, path: str) -> str:
        """Return the address of a path, without credentials."""
        return f"{self._base}{path}"

    @property
    def max_list_pages(self) -> int:
        """Pages that a list may have."""
        return self._http.max_list_pages

    def now(self) -> float:
        """Return the time by the client's clock (seconds since the epoch)."""
        return self._http.clock()

    def fingerprint(self) -> str:
        """Return the fingerprint of the current token: an ETag is valid for one token only."""
        if self._authorization is None:
            return ""
        return self._authorization.fingerprint(self._http.clock())

    def get(self, path: str, query: Query = ()) -> Any:
        """Return the document at a path."""
        return self.request("GET", path, query)

    def get_if_changed(self, path: str, query: Query, etag: str | None) -> Reply | None:
        """Return the document at a path; None if it is still the one with this ETag.

        Args:
            path: below the API's address.
            query: in the order in which it is sent; the ETag is valid for the same text only.
            etag: of the stored answer; None to read it in any case.
        """
        return self._retried(_Request("GET", path, query, etag=etag))

    def request(
        self, method: str, path: str, query: Query = (), body: Mapping[str, Any] | None = None
    ) -> Any:
        """Send a request; return the document of its answer."""
        reply = self._retried(_Request(method, path, query, body))
        return None if reply is None else reply.document

    def post(self, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> None:
        """Send a document, if any; the body of the answer is not read."""
        self._retried(_Request("POST", path, (), body, has_document=False))

    def object(
        self, method: str, path: str, query: Query = (), body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a request; return the JSON object of its answer."""
        document = self.request(method, path, query, body)
        if not isinstance(document, dict):
            raise BadAnswerError(
                f"{method} {self.address(path)}: the answer is not a JSON object",
                status=HTTPStatus.OK,
            )
        return document

    # ------------------------------------------------------------------ one request

    def _retried(self, request: _Request) -> Reply | None:
        """Send a request up to `tries` times.

        urllib3's Retry cannot repeat an answer that is not JSON, and sleeps by its own clock.
        """
        pause = FIRST_PAUSE_SECONDS
        for _ in range(self._tries - 1):
            try:
                return self._once(request)
            except RequestError as error:
                if not error.retryable:
                    raise
                wait = 0.0
                if isinstance(error, RateLimitedError):
                    wait = min(max(0.0, error.until - self._http.clock()), SHORT_LIMIT_SECONDS)
            # Jitter keeps several exporters from retrying in step; it guards no secret.
            self._http.sleep(wait + pause * (0.5 + random.random() / 2))  # noqa: S311 — jitter
            pause *= 2
        return self._once(request)

    def _once(self, request: _Request) -> Reply | None:
        with self._quota.request() if self._quota is not None else nullcontext():
            return self._counted(request)

    def _counted(self, request: _Request) -> Reply | None:
        now = self._http.clock()
        header = self._authorization.header(now) if self._authorization is not None else None
        answer = self._send(request, header)
        limit = self._rules.rate_limit.read(answer.headers, now)
        unchanged = answer.status == HTTPStatus.NOT_MODIFIED
        if self._quota is not None:
            self._quota.answered(limit, counted=not (unchanged and header is not None))
        if unchanged and request.etag is not None:
            return None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._error(request, answer, limit, header)
        return Reply(self._document(request, answer), answer.headers.get("ETag"))

    def _send(self, request: _Request, header: str | None) -> Answer:
        headers = {"Authorization": header, "If-None-Match": request.etag}
        session = self._borrowed_session()
        try:
            with deadline(self._deadline):
                try:
                    response = session.request(
                        request.method,
                        self.address(request.path),
                        params=list(request.query),
                        json=request.body,
                        headers={
                            name: value for name, value in headers.items() if value is not None
                        },
                        auth=None if self._authorization is None else keep_authorization,
                        allow_redirects=self._redirects,
                        timeout=self._timeout,
                    )
                except requests.RequestException as error:
                    raise self._no_answer(request, error) from None
                except ValueError as error:  # a redirect that urllib cannot parse
                    invalid = requests.exceptions.InvalidURL(error)
                    raise self._no_answer(request, invalid) from None
        finally:
            self._sessions.append(session)
        if self._cookies:
            # The session has not seen them: `BoundedAdapter` replaces what it reads them from.
            session.cookies.update(response.cookies)
        if response.history:
            self.redirected.add(request.path)
        self._http.count_request(str(response.status_code))
        return Answer(response.status_code, response.headers, response.content)

    def _no_answer(self, request: _Request, error: requests.RequestException) -> RequestError:
        """Count and return the error of a request without a whole answer."""
        self._http.count_request("error")
        if self._quota is not None:
            # Whether the vendor counted it is unknown; assuming so never exceeds the limit.
            self._quota.answered(RateLimit(), counted=True)
        named = self._named(request)
        if isinstance(error, AnswerTooLargeError):
            limit = f"{self._max_bytes} bytes, decompressed"
            return LimitExceededError(f"{named}: the answer is larger than {limit}")
        if has_passed():
            # No second try: each would take as long, and others wait.
            return NoAnswerError(f"{named}: no whole answer within {self._deadline:g} s")
        problem = f"{named}: {_cause_of(error)}"
        return NoAnswerError(problem, retryable=True, detail=str(error))

    def _borrowed_session(self) -> requests.Session:
        try:
            return self._sessions.pop()
        except IndexError:
            session = self._http.session()
        session.headers.update(
            {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **self._rules.headers}
        )
        session.max_redirects = MAX_REDIRECTS
        for scheme in ("http://", "https://"):
            # A session with a transport of its own keeps it.
            if isinstance(session.adapters.get(scheme), HTTPAdapter):
                session.mount(scheme, BoundedAdapter(self._max_bytes))
        if any(self._login):
            session.auth = self._login
        return session

    def _document(self, request: _Request, answer: Answer) -> Any:
        if not request.has_document:
            return None
        try:
            return decode_json(answer.content)
        except (ValueError, RecursionError):
            shown = " ".join(answer.text(1000).split())[:BODY_QUOTED_CHARACTERS]
            raise BadAnswerError(
                f"{self._named(request)}: {self._rules.not_json(answer)}",
                status=answer.status,
                retryable=True,
                detail=shown if self._rules.quotes_body else "",
            ) from None

    def _error(
        self, request: _Request, answer: Answer, limit: RateLimit, header: str | None
    ) -> RequestError:
        """Return the error for an answer that is no success."""
        if self._rules.is_refusal(answer) and self._authorization is not None:
            self._authorization.refused(header)
            # `header` raises the permanent error now.
            self._authorization.header(self._http.clock())
        problem, message = self._named(request), self._rules.message(answer)
        if self._rules.is_limit(answer):
            now = self._http.clock()
            wait = limit.wait(now)
            asked = f" ({limit.headers})" if limit.headers else ""
            problem += f": HTTP {answer.status}, rate limited for {wait:.0f} s{asked}"
            short = wait <= SHORT_LIMIT_SECONDS
            if self._quota is not None and not short:
                self._quota.block(now + wait, problem)
            return RateLimitedError(
                problem, now + wait, status=answer.status, retryable=short, detail=message
            )
        known = self._rules.known_error(answer, problem)
        if known is not None:
            return known
        problem = f"{problem}: HTTP {answer.status}{_phrase(answer.status)}"
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return BadAnswerError(problem, status=answer.status, retryable=True, detail=message)
        return self._rules.error(answer, problem)

    def _named(self, request: _Request) -> str:
        return f"{request.method} {self.address(request.path)}"


def keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return a request unchanged: passed as `auth`, it keeps ~/.netrc from replacing the header."""
    return request


_CAUSES: tuple[tuple[type[requests.RequestException], str], ...] = (
    (requests.Timeout, "timed out"),
    (requests.TooManyRedirects, f"more than {MAX_REDIRECTS} redirects"),
    (requests.exceptions.ContentDecodingError, "the body cannot be decompressed"),
    (requests.exceptions.InvalidURL, "a redirect to no address"),
    (requests.exceptions.InvalidSchema, "a redirect to no address"),
    (requests.exceptions.MissingSchema, "a redirect to no address"),
    (requests.exceptions.ProxyError, "the proxy refuses the connection"),
)


def _cause_of(error: requests.RequestException) -> str:
    """Return the reason for a missing answer in our own words, or those of this system."""
    found = next((text for kind, text in _CAUSES if isinstance(error, kind)), None)
    if found is not None:
        return found
    for reason in _reasons(error):
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"the certificate of the server is not accepted ({reason.verify_message})"
        if isinstance(reason, ssl.SSLError):
            return "the TLS handshake failed"
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror
    return "the connection was closed early, or the answer is not HTTP"


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes below an error of requests, which urllib3 wraps in several ways."""
    reason: BaseException | None = error
    while reason is not None:
        inner = [getattr(reason.args[0], "reason", None), reason.args[-1]] if reason.args else []
        found = (each for each in [*inner, reason.__cause__] if isinstance(each, BaseException))
        reason = next(found, None)
        if reason is not None:
            yield reason


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
