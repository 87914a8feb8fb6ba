"""The HTTP server of the fake GitHub: it logs every request and injects faults."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from time import sleep
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from tests.github.app_endpoints import Caller
from tests.github.endpoints import Endpoints
from tests.github.expected import HTML
from tests.github.fake import FakeGitHub
from tests.github.faults import (
    CUT_ANSWERS,
    ROW_FAULTS,
    UNCOUNTED,
    Faults,
    Kind,
    error_response_for,
)
from tests.github.graphql_endpoint import GraphqlEndpoint, rate_limit_error
from tests.github.http_server import HttpRequest, HttpResponse, LoopbackServer, Transfer
from tests.github.issues import IssueTracker, UnsupportedIssueRequestError
from tests.github.limits import (
    ANONYMOUS,
    BAD_CREDENTIALS,
    CONCURRENT_REQUESTS,
    CORE,
    GRAPHQL,
    SECONDARY_LIMIT,
    AccessControl,
)
from tests.github.render import Renderer
from tests.github.rerun_endpoints import RerunEndpoints
from tests.github.responses import (
    Document,
    ErrorResponse,
    ListPage,
    Response,
    UnsupportedRequestError,
)
from tests.github.schema import SchemaError
from tests.support.fakehttp import Query

API_VERSION = "2022-11-28"
GRAPHQL_PATH = "/graphql"
READ_POINTS, CHANGE_POINTS = 1, 5
"""What a REST request counts against the secondary limit of a minute."""

NEEDS_TOKEN = ErrorResponse(
    HTTPStatus.UNAUTHORIZED, "This endpoint requires you to be authenticated."
)


class LogEntry(NamedTuple):
    """One logged request.

    Attributes:
        method: GET, POST or PATCH.
        path: relative to the API's base URL; `/graphql` for a GraphQL query.
        query: the pairs, in order.
        status: the status of the response; 0 if none was sent.
        counted: 1 if it counted against the rate limit of REST; the points of a GraphQL query.
        at: the simulated time (seconds since the epoch).
        who: the token's user, or `anonymous`.
        fault: the injected fault, or None.
    """

    method: str
    path: str
    query: Query
    status: int
    counted: int
    at: float
    who: str
    fault: Kind | None


class _Reply(NamedTuple):
    """A response before it is sent.

    Attributes:
        response: the HTTP response.
        counted: what the request counts against the rate limit.
        fault: the injected fault, or None.
    """

    response: HttpResponse
    counted: int
    fault: Kind | None = None


class _Charge(NamedTuple):
    """What a request counts against a rate limit.

    Attributes:
        who: the token's user, or `anonymous`.
        points: 0 if it does not count.
        resource: the rate limit.
    """

    who: str
    points: int
    resource: str = CORE


class GitHubServer:
    """The HTTP server of one fake GitHub.

    Attributes:
        fake: the state that it serves; tests advance its clock.
        log: every request.
        faults: the faults to inject; may be replaced at any time.
        issues: the issues of all repositories.
        reruns: the endpoints that run jobs again.
        latency: seconds that each request waits before it is answered.
        refused_for_now: requests that exceeded a secondary limit.
        unexpected: unsupported requests and invalid documents; any of them fails the test.
    """

    def __init__(
        self,
        fake: FakeGitHub,
        prefix: str = "",
        html: str = HTML,
        issues: Callable[[Renderer], IssueTracker] = IssueTracker,
        reruns: Callable[[Renderer], RerunEndpoints] = RerunEndpoints,
    ) -> None:
        """Args:
        fake: the state to serve.
        prefix: the path of the API, such as `/api/v3`.
        html: base URL of the web pages.
        issues: makes the issues.
        reruns: makes the endpoints that run jobs again.
        """
        self.fake = fake
        self.log: list[LogEntry] = []
        self.faults = Faults()
        self.refused_for_now = 0
        self.latency = 0.0
        self.unexpected: list[str] = []
        self._prefix = prefix
        self._graphql_path = f"{prefix.removesuffix('/v3')}{GRAPHQL_PATH}"
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._in_flight = 0
        self._http = LoopbackServer(self.respond)
        self._renderer = Renderer(fake, self.url, html)
        self._access = AccessControl(fake)
        self._endpoints = Endpoints(self._renderer, self._access)
        self._graphql = GraphqlEndpoint(self._renderer)
        self.issues = issues(self._renderer)
        self.reruns = reruns(self._renderer)

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"{self._http.url}{self._prefix}"

    @property
    def graphql_url(self) -> str:
        """The address of the GraphQL endpoint."""
        return f"{self._http.url}{self._graphql_path}"

    def stop(self) -> None:
        """Stop listening."""
        self._http.stop()

    def counted(self) -> int:
        """Return the counted REST requests plus the points of GraphQL queries."""
        return sum(entry.counted for entry in self.log)

    def points(self) -> int:
        """Return the points of GraphQL queries."""
        return sum(entry.counted for entry in self.log if entry.path == GRAPHQL_PATH)

    def sent(self) -> int:
        """Return how many requests were received."""
        return len(self.log)

    def fail_next(self, kind: Kind, path: str = "", times: int = 1) -> None:
        """Inject a fault into the next requests whose path matches a pattern."""
        self.faults.next(kind, path, times)

    # ------------------------------------------------------------------ one request

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request."""
        with self._counting:
            self._in_flight += 1
            crowded = self._in_flight > CONCURRENT_REQUESTS
        try:
            if self.latency:  # also a sleep of no time lets other threads run first
                sleep(self.latency)
            with self._lock:
                return self._log_and_answer(request, crowded)
        finally:
            with self._counting:
                self._in_flight -= 1

    def _log_and_answer(self, request: HttpRequest, crowded: bool) -> HttpResponse:
        is_graphql = request.path == self._graphql_path
        path = GRAPHQL_PATH if is_graphql else request.path.removeprefix(self._prefix)
        authorization = request.headers.get("authorization")
        caller = Caller(self._access.who(authorization) or "nobody", authorization)
        try:
            self._check_headers(request)
            if crowded:
                reply = self._refuse_for_now(SECONDARY_LIMIT, caller)
            elif is_graphql:
                reply = self._respond_to_query(request, caller)
            else:
                reply = self._respond(request, path, caller)
        except (UnsupportedRequestError, UnsupportedIssueRequestError, SchemaError) as error:
            self.unexpected.append(f"{request.method} {request.path}: {error}")
            reply = _Reply(HttpResponse(HTTPStatus.NOT_IMPLEMENTED, str(error).encode()), 0)
        except Exception as error:
            # Else the exporter would report a lost connection, and the test might pass.
            self.unexpected.append(f"{request.method} {request.path}: {error!r}")
            raise
        never = reply.response.transfer is Transfer.NEVER
        self.log.append(
            LogEntry(request.method, path, request.query, 0 if never else reply.response.status,
                     reply.counted, self.fake.now, caller.who, reply.fault)
        )  # fmt: skip
        return reply.response

    def _check_headers(self, request: HttpRequest) -> None:
        if not request.path.startswith(f"{self._prefix}/") and request.path != self._graphql_path:
            raise UnsupportedRequestError(f"not below {self._prefix}")
        if request.headers.get("x-github-api-version", API_VERSION) != API_VERSION:
            raise UnsupportedRequestError("another version of the API")
        if not request.headers.get("user-agent"):
            raise UnsupportedRequestError("no User-Agent, which GitHub refuses")

    def _respond(self, request: HttpRequest, path: str, caller: Caller) -> _Reply:
        of_app = path.startswith("/app/") or path.endswith("/installation")
        if caller.who == "nobody" and not of_app:
            return self._error_reply(BAD_CREDENTIALS, _Charge(ANONYMOUS, 1))
        free = path == "/rate_limit" or of_app
        limit_error = None if free else self._access.limit_error(caller.who)
        if limit_error is not None:
            return self._error_reply(limit_error, _Charge(caller.who, 0))
        points = READ_POINTS if request.method == "GET" else CHANGE_POINTS
        if self._access.exceeds_minute(caller.who, CORE, points):
            return self._refuse_for_now(SECONDARY_LIMIT, caller)
        for endpoints in (self.issues, self.reruns):
            if endpoints.handles(path):
                return self._change_reply(request, path, caller, endpoints)
        found = self._endpoints.find(request.method, path, dict(request.query), caller)
        fault = self.faults.pick(path, found)
        instead = error_response_for(fault, path) if fault else None
        if instead is not None:
            return self._fault_reply(instead, _Charge(caller.who, int(not free)), fault)
        return self._reply(request, caller, found, fault, free)

    def _respond_to_query(self, request: HttpRequest, caller: Caller) -> _Reply:
        """Answer a GraphQL query."""
        if caller.who in ("nobody", ANONYMOUS):
            refusal = BAD_CREDENTIALS if caller.who == "nobody" else NEEDS_TOKEN
            return self._error_reply(refusal, _Charge(ANONYMOUS, 1))
        bucket = self._access.bucket(caller.who, GRAPHQL)
        if self.fake.limited and not bucket.remaining:
            found: Document | ErrorResponse = rate_limit_error(caller.who)
            return self._sent(found, _Charge(caller.who, 0, GRAPHQL), None)
        found, points = self._graphql.answer(request.body, bucket)
        # GitHub counts one point a query towards the minute; this is at least as strict.
        if self._access.exceeds_minute(caller.who, GRAPHQL, points):
            return self._refuse_for_now(SECONDARY_LIMIT, caller, GRAPHQL)
        charge = _Charge(caller.who, points, GRAPHQL)
        fault = self.faults.pick(GRAPHQL_PATH, found)
        instead = error_response_for(fault, GRAPHQL_PATH) if fault else None
        if instead is not None:
            return self._fault_reply(instead, charge, fault)
        if fault is Kind.RESOURCE_LIMITS:
            return self._sent(Document(self.faults.exhaust(found.text)), charge, fault)
        if fault is Kind.NULL_FIELD:
            return self._sent(Document(self.faults.corrupt_document(found.text)), charge, fault)
        return self._sent(found, charge, fault)

    def _change_reply(
        self,
        request: HttpRequest,
        path: str,
        caller: Caller,
        endpoints: IssueTracker | RerunEndpoints,
    ) -> _Reply:
        """Answer a request that may change something, also if its response is lost."""
        fault = self.faults.pick(f"{request.method} {path}", Document("{}"))
        instead = error_response_for(fault, path) if fault else None
        if instead is None:
            found = endpoints.answer(request, path, caller.who)
            return self._reply(request, caller, found, fault, False)
        if endpoints.fail_late and fault not in UNCOUNTED:
            endpoints.answer(request, path, caller.who)
        return self._fault_reply(instead, _Charge(caller.who, 1), fault)

    def _error_reply(self, refusal: ErrorResponse, charge: _Charge) -> _Reply:
        headers = {**self._headers(charge), **refusal.headers}
        return _Reply(HttpResponse(refusal.status, refusal.text.encode(), headers), charge.points)

    def _fault_reply(self, refusal: ErrorResponse, charge: _Charge, fault: Kind | None) -> _Reply:
        if fault in UNCOUNTED:
            reply = self._with_retry_after(self._error_reply(refusal, charge._replace(points=0)))
        else:
            reply = self._error_reply(refusal, charge)
        return reply._replace(fault=fault)

    def _refuse_for_now(
        self, refusal: ErrorResponse, caller: Caller, resource: str = CORE
    ) -> _Reply:
        """Refuse a request for a secondary limit."""
        self.refused_for_now += 1
        return self._with_retry_after(self._error_reply(refusal, _Charge(caller.who, 0, resource)))

    def _with_retry_after(self, reply: _Reply) -> _Reply:
        if self.faults.retry_after is None:
            return reply
        headers = {**reply.response.headers, "Retry-After": str(self.faults.retry_after)}
        return reply._replace(response=replace(reply.response, headers=headers))

    def _reply(
        self, request: HttpRequest, caller: Caller, found: Response, fault: Kind | None, free: bool
    ) -> _Reply:
        text = self._text(found, fault)
        status = HTTPStatus.OK if isinstance(found, ListPage) else found.status
        etag = self._etag(text, caller)
        same = status == HTTPStatus.OK and _etag_matches(request.headers.get("if-none-match"), etag)
        # Without a token GitHub counts a 304 like any other response.
        counted = not free and not (same and caller.who != ANONYMOUS)
        headers = {"X-GitHub-Api-Version-Selected": API_VERSION}
        if isinstance(found, ErrorResponse):
            headers |= found.headers
        if status == HTTPStatus.OK:
            headers |= {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60",
                        "Vary": "Accept, Authorization, Accept-Encoding"}  # fmt: skip
        if isinstance(found, ListPage) and (links := self._links(request, found)):
            headers["Link"] = links
        sent = self._sent(Document(text, status), _Charge(caller.who, counted), fault, headers)
        if not same or fault in CUT_ANSWERS:
            return sent
        return sent._replace(
            response=replace(sent.response, status=HTTPStatus.NOT_MODIFIED, body=b"")
        )

    def _sent(
        self,
        found: Document | ErrorResponse,
        charge: _Charge,
        fault: Kind | None,
        more_headers: Mapping[str, str] = MappingProxyType({}),
    ) -> _Reply:
        """Return a document as it is sent: completely, in part, or not at all."""
        headers = {**self._headers(charge), **more_headers}
        body = found.text.encode()
        response = HttpResponse(found.status, body, headers)
        if fault is Kind.HANG:
            response = HttpResponse(found.status, transfer=Transfer.NEVER)
        elif fault is Kind.RESET:
            response = replace(response, transfer=Transfer.RESET)
        elif fault is Kind.TRUNCATED:
            response = replace(response, body=body[: len(body) * 2 // 3])
        return _Reply(response, charge.points, fault)

    def _text(self, found: Response, fault: Kind | None) -> str:
        """Return the validated text, corrupted afterwards if the fault requires it."""
        if not isinstance(found, ListPage):
            text = found.text
        else:
            text = found.text(found.rows(), self._renderer.validator)
            if fault is not None and fault in ROW_FAULTS:
                text = self.faults.corrupt_list(fault, found, self._renderer.validator)
        return self.faults.corrupt_document(text) if fault is Kind.NULL_FIELD else text

    def _etag(self, text: str, caller: Caller) -> str:
        content = f"{caller.authorization}\0{text}".encode()
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        return f"W/{tag}" if self.fake.weak_etags else tag

    def _headers(self, charge: _Charge) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if not self.fake.limited:
            return headers
        who = ANONYMOUS if charge.who == "nobody" else charge.who
        bucket = self._access.bucket(who, charge.resource)
        bucket.used += charge.points
        return {**headers, **bucket.headers()}

    def _links(self, request: HttpRequest, page: ListPage) -> str:
        query: Mapping[str, str] = dict(request.query)
        address = f"{self._http.url}{request.path}"
        return ", ".join(
            f'<{address}?{urlencode({**query, "page": number})}>; rel="{rel}"'
            for rel, number in page.links().items()
        )


def _etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Return whether a tag matches; weak and strong ones are equal here (RFC 9110)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


@contextmanager
def serving_github(
    fake: FakeGitHub,
    *,
    prefix: str = "",
    html: str = HTML,
    issues: Callable[[Renderer], IssueTracker] = IssueTracker,
    reruns: Callable[[Renderer], RerunEndpoints] = RerunEndpoints,
) -> Iterator[GitHubServer]:
    """Serve a fake GitHub for a `with` block; unexpected requests fail the test at its end.

    Args:
        fake: the repositories, tokens and time to serve.
        prefix: the path of the API, such as `/api/v3`.
        html: base URL of the web pages.
        issues: makes the issues.
        reruns: makes the endpoints that run jobs again.
    """
    server = GitHubServer(fake, prefix, html, issues, reruns)
    try:
        yield server
    finally:
        server.stop()
    if server.unexpected:
        raise AssertionError("\n".join(server.unexpected))
