"""The HTTP server of the fake GitHub: it logs every request and injects faults."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from tests.github.app_endpoints import Caller
from tests.github.endpoints import Endpoints, UnsupportedRequestError
from tests.github.expected import HTML
from tests.github.fake import FakeGitHub
from tests.github.faults import (
    ERROR_RESPONSES,
    ROW_FAULTS,
    UNCOUNTED,
    Faults,
    Kind,
    error_response_for,
)
from tests.github.http_server import HttpRequest, HttpResponse, LoopbackServer, Transfer
from tests.github.issues import IssueTracker, UnsupportedIssueRequestError
from tests.github.limits import ANONYMOUS, BAD_CREDENTIALS, AccessControl
from tests.github.render import Renderer
from tests.github.responses import Document, ErrorResponse, ListPage, Response
from tests.github.schema import SchemaError
from tests.support.fakehttp import Query

API_VERSION = "2022-11-28"


class LogEntry(NamedTuple):
    """One logged request.

    Attributes:
        method: GET, POST or PATCH.
        path: relative to the API's base URL.
        query: the pairs, in order.
        status: the status of the response; 0 if none was sent.
        counted: whether it counted against the rate limit.
        at: the simulated time (seconds since the epoch).
        who: the token's user, or `anonymous`.
        fault: the injected fault, or None.
    """

    method: str
    path: str
    query: Query
    status: int
    counted: bool
    at: float
    who: str
    fault: Kind | None


class _Reply(NamedTuple):
    """A response before it is sent.

    Attributes:
        response: the HTTP response.
        counted: whether the request counts against the rate limit.
        fault: the injected fault, or None.
    """

    response: HttpResponse
    counted: bool
    fault: Kind | None = None


class GitHubServer:
    """The HTTP server of one fake GitHub.

    Attributes:
        fake: the state that it serves; tests advance its clock.
        log: every request.
        faults: the faults to inject; may be replaced at any time.
        issues: the issues of all repositories.
        unexpected: unsupported requests and invalid documents; any of them fails the test.
    """

    def __init__(self, fake: FakeGitHub, prefix: str = "", html: str = HTML) -> None:
        """Args:
        fake: the state to serve.
        prefix: the path of the API, such as `/api/v3`.
        html: base URL of the web pages.
        """
        self.fake = fake
        self.log: list[LogEntry] = []
        self.faults = Faults()
        self.unexpected: list[str] = []
        self._prefix = prefix
        self._lock = threading.Lock()
        self._http = LoopbackServer(self._answer)
        self._renderer = Renderer(fake, self.url, html)
        self._access = AccessControl(fake)
        self._endpoints = Endpoints(self._renderer, self._access)
        self.issues = IssueTracker(self._renderer)

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"{self._http.url}{self._prefix}"

    def stop(self) -> None:
        """Stop listening."""
        self._http.stop()

    def counted(self) -> int:
        """Return how many requests counted against the rate limit."""
        return sum(entry.counted for entry in self.log)

    def sent(self) -> int:
        """Return how many requests were received."""
        return len(self.log)

    def fail_next(self, kind: Kind, path: str = "", times: int = 1) -> None:
        """Inject a fault into the next requests whose path matches a pattern."""
        self.faults.next(kind, path, times)

    # ------------------------------------------------------------------ one request

    def _answer(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            path = request.path.removeprefix(self._prefix)
            authorization = request.headers.get("authorization")
            who = self._access.who(authorization) or "nobody"
            try:
                self._check_headers(request)
                reply = self._respond(request, path, Caller(who, authorization))
            except (UnsupportedRequestError, UnsupportedIssueRequestError, SchemaError) as error:
                self.unexpected.append(f"{request.method} {request.path}: {error}")
                reply = _Reply(HttpResponse(HTTPStatus.NOT_IMPLEMENTED, str(error).encode()), False)
            never = reply.response.transfer is Transfer.NEVER
            self.log.append(
                LogEntry(request.method, path, request.query, 0 if never else reply.response.status,
                      reply.counted, self.fake.now, who, reply.fault)
            )  # fmt: skip
            return reply.response

    def _check_headers(self, request: HttpRequest) -> None:
        if not request.path.startswith(f"{self._prefix}/"):
            raise UnsupportedRequestError(f"not below {self._prefix}")
        if request.headers.get("x-github-api-version", API_VERSION) != API_VERSION:
            raise UnsupportedRequestError("another version of the API")
        if not request.headers.get("user-agent"):
            raise UnsupportedRequestError("no User-Agent, which GitHub refuses")

    def _respond(self, request: HttpRequest, path: str, caller: Caller) -> _Reply:
        of_app = path.startswith("/app/") or path.endswith("/installation")
        if caller.who == "nobody" and not of_app:
            return self._error_reply(BAD_CREDENTIALS, ANONYMOUS, counted=True)
        free = path == "/rate_limit" or of_app
        limit_error = None if free else self._access.limit_error(caller.who)
        if limit_error is not None:
            return self._error_reply(limit_error, caller.who, counted=False)
        if self.issues.handles(path):
            return self._issue_reply(request, path, caller)
        found = self._endpoints.find(request.method, path, dict(request.query), caller)
        fault = self.faults.pick(path, found)
        instead = error_response_for(fault, path) if fault else None
        if instead is not None:
            reply = self._error_reply(
                instead, caller.who, counted=not free and fault not in UNCOUNTED
            )
            return reply._replace(
                response=self._with_retry_after(reply.response, fault), fault=fault
            )
        return self._reply(request, caller, found, fault, free)

    def _issue_reply(self, request: HttpRequest, path: str, caller: Caller) -> _Reply:
        """Answer a request for issues; a change may be applied although its response is lost."""
        fault = self.faults.pick(f"{request.method} {path}", Document("{}"))
        late = fault not in UNCOUNTED and self.issues.fail_late
        if fault not in ERROR_RESPONSES or late:
            found = self.issues.answer(request, path, caller.who)
        if fault not in ERROR_RESPONSES:
            return self._reply(request, caller, found, fault, False)
        reply = self._error_reply(
            ERROR_RESPONSES[fault], caller.who, counted=fault not in UNCOUNTED
        )
        return reply._replace(response=self._with_retry_after(reply.response, fault), fault=fault)

    def _error_reply(self, refusal: ErrorResponse, who: str, *, counted: bool) -> _Reply:
        headers = self._headers(who, counted)
        return _Reply(HttpResponse(refusal.status, refusal.text.encode(), headers), counted)

    def _with_retry_after(self, response: HttpResponse, fault: Kind | None) -> HttpResponse:
        if fault not in UNCOUNTED or self.faults.retry_after is None:
            return response
        headers = {**response.headers, "Retry-After": str(self.faults.retry_after)}
        return HttpResponse(response.status, response.body, headers)

    def _reply(
        self, request: HttpRequest, caller: Caller, found: Response, fault: Kind | None, free: bool
    ) -> _Reply:
        text = self._text(found, fault)
        status = HTTPStatus.OK if isinstance(found, ListPage) else found.status
        etag = self._etag(text, caller)
        same = status == HTTPStatus.OK and _etag_matches(request.headers.get("if-none-match"), etag)
        # Without a token GitHub counts a 304 like any other response.
        counted = not free and not (same and caller.who != ANONYMOUS)
        headers = {
            **self._headers(caller.who, counted),
            "X-GitHub-Api-Version-Selected": API_VERSION,
        }
        if status == HTTPStatus.OK:
            headers |= {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60",
                        "Vary": "Accept, Authorization, Accept-Encoding"}  # fmt: skip
        if isinstance(found, ListPage) and (links := self._links(request, found)):
            headers["Link"] = links
        body = text.encode()
        if fault is Kind.HANG:
            return _Reply(HttpResponse(status, transfer=Transfer.NEVER), counted, fault)
        if fault in (Kind.RESET, Kind.TRUNCATED):
            transfer = Transfer.RESET if fault is Kind.RESET else Transfer.COMPLETE
            cut = body if fault is Kind.RESET else body[: len(body) * 2 // 3]
            return _Reply(HttpResponse(status, cut, headers, transfer), counted, fault)
        if same:
            return _Reply(HttpResponse(HTTPStatus.NOT_MODIFIED, b"", headers), counted, fault)
        return _Reply(HttpResponse(status, body, headers), counted, fault)

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

    def _headers(self, who: str, counted: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if not self.fake.limited:
            return headers
        bucket = self._access.bucket(ANONYMOUS if who == "nobody" else who)
        bucket.used += counted
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
    fake: FakeGitHub, *, prefix: str = "", html: str = HTML
) -> Iterator[GitHubServer]:
    """Serve a fake GitHub for a `with` block; unexpected requests fail the test at its end.

    Args:
        fake: the repositories, tokens and time to serve.
        prefix: the path of the API, such as `/api/v3`.
        html: base URL of the web pages.
    """
    server = GitHubServer(fake, prefix, html)
    try:
        yield server
    finally:
        server.stop()
    if server.unexpected:
        raise AssertionError("\n".join(server.unexpected))
