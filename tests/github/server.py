"""Serves a world as GitHub would, remembers every request, and fails when it is told to."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from tests.github.app_endpoints import Caller
from tests.github.endpoints import Endpoints, UnknownRequestError
from tests.github.faults import FREE, OF_ROWS, REFUSALS, Faults, Kind, refusal_of
from tests.github.issues import Issues, UnknownIssueRequestError
from tests.github.limits import ANONYMOUS, BAD_CREDENTIALS, Gate
from tests.github.render import Renderer
from tests.github.results import Document, Listing, Refusal, Result
from tests.github.truth import HTML
from tests.github.validate import NotAsDescribedError
from tests.github.wire import Ending, Incoming, Outgoing, Wire
from tests.github.world import World
from tests.support.fakehttp import Query

API_VERSION = "2022-11-28"


class Entry(NamedTuple):
    """One request that came.

    Attributes:
        method: GET, POST or PATCH.
        path: below the API's address.
        query: in its order.
        status: of the answer; 0 where there was none.
        counted: against the rate limit.
        at: virtual time (seconds since the epoch).
        who: the token's name, or `anonymous`.
        fault: what went wrong on purpose, or None.
    """

    method: str
    path: str
    query: Query
    status: int
    counted: bool
    at: float
    who: str
    fault: Kind | None


class _Said(NamedTuple):
    """An answer before it is sent.

    Attributes:
        outgoing: what is sent.
        counted: against the rate limit.
        fault: what went wrong on purpose.
    """

    outgoing: Outgoing
    counted: bool
    fault: Kind | None = None


class StandIn:
    """A GitHub that plays one world.

    Attributes:
        world: what it plays; tests move its time.
        log: every request.
        faults: what goes wrong; may be replaced at any time.
        issues: of the world's repositories.
        unexpected: what nobody should have asked or sent; a test fails for it at the end.
    """

    def __init__(self, world: World, prefix: str = "", html: str = HTML) -> None:
        """Args:
        world: what it plays.
        prefix: path of the API below the host, such as `/api/v3`.
        html: address of the pages for people.
        """
        self.world = world
        self.log: list[Entry] = []
        self.faults = Faults()
        self.unexpected: list[str] = []
        self._prefix = prefix
        self._lock = threading.Lock()
        self._wire = Wire(self._answer)
        self._renderer = Renderer(world, self.url, html)
        self._gate = Gate(world)
        self._endpoints = Endpoints(self._renderer, self._gate)
        self.issues = Issues(self._renderer)

    @property
    def url(self) -> str:
        """The API's address."""
        return f"{self._wire.url}{self._prefix}"

    def stop(self) -> None:
        """Stop listening."""
        self._wire.stop()

    def counted(self) -> int:
        """Return how many requests counted against the limit."""
        return sum(entry.counted for entry in self.log)

    def sent(self) -> int:
        """Return how many requests came."""
        return len(self.log)

    def fail_next(self, kind: Kind, path: str = "", times: int = 1) -> None:
        """Let something go wrong with the next requests whose path matches a pattern."""
        self.faults.next(kind, path, times)

    # ------------------------------------------------------------------ one request

    def _answer(self, request: Incoming) -> Outgoing:
        with self._lock:
            path = request.path.removeprefix(self._prefix)
            authorization = request.headers.get("authorization")
            who = self._gate.who(authorization) or "nobody"
            try:
                self._look_at(request)
                said = self._considered(request, path, Caller(who, authorization))
            except (UnknownRequestError, UnknownIssueRequestError, NotAsDescribedError) as error:
                self.unexpected.append(f"{request.method} {request.path}: {error}")
                said = _Said(Outgoing(HTTPStatus.NOT_IMPLEMENTED, str(error).encode()), False)
            never = said.outgoing.ending is Ending.NEVER
            self.log.append(
                Entry(request.method, path, request.query, 0 if never else said.outgoing.status,
                      said.counted, self.world.now, who, said.fault)
            )  # fmt: skip
            return said.outgoing

    def _look_at(self, request: Incoming) -> None:
        if not request.path.startswith(f"{self._prefix}/"):
            raise UnknownRequestError(f"not below {self._prefix}")
        if request.headers.get("x-github-api-version", API_VERSION) != API_VERSION:
            raise UnknownRequestError("another version of the API")
        if not request.headers.get("user-agent"):
            raise UnknownRequestError("no User-Agent, which GitHub refuses")

    def _considered(self, request: Incoming, path: str, caller: Caller) -> _Said:
        of_app = path.startswith("/app/") or path.endswith("/installation")
        if caller.who == "nobody" and not of_app:
            return self._plain(BAD_CREDENTIALS, ANONYMOUS, counted=True)
        free = path == "/rate_limit" or of_app
        spent = None if free else self._gate.spent(caller.who)
        if spent is not None:
            return self._plain(spent, caller.who, counted=False)
        if self.issues.takes(path):
            return self._about_issues(request, path, caller)
        found = self._endpoints.find(request.method, path, dict(request.query), caller)
        fault = self.faults.pick(path, found)
        instead = refusal_of(fault, path) if fault else None
        if instead is not None:
            said = self._plain(instead, caller.who, counted=not free and fault not in FREE)
            return said._replace(outgoing=self._with_retry(said.outgoing, fault), fault=fault)
        return self._whole(request, caller, found, fault, free)

    def _about_issues(self, request: Incoming, path: str, caller: Caller) -> _Said:
        """Unlike reading, a change may be made although its answer never comes."""
        fault = self.faults.pick(f"{request.method} {path}", Document("{}"))
        late = fault not in FREE and self.issues.fail_late
        if fault not in REFUSALS or late:
            found = self.issues.answer(request, path, caller.who)
        if fault not in REFUSALS:
            return self._whole(request, caller, found, fault, False)
        said = self._plain(REFUSALS[fault], caller.who, counted=fault not in FREE)
        return said._replace(outgoing=self._with_retry(said.outgoing, fault), fault=fault)

    def _plain(self, refusal: Refusal, who: str, *, counted: bool) -> _Said:
        headers = self._headers(who, counted)
        return _Said(Outgoing(refusal.status, refusal.text.encode(), headers), counted)

    def _with_retry(self, outgoing: Outgoing, fault: Kind | None) -> Outgoing:
        if fault not in FREE or self.faults.retry_after is None:
            return outgoing
        headers = {**outgoing.headers, "Retry-After": str(self.faults.retry_after)}
        return Outgoing(outgoing.status, outgoing.body, headers)

    def _whole(
        self, request: Incoming, caller: Caller, found: Result, fault: Kind | None, free: bool
    ) -> _Said:
        text = self._text(found, fault)
        status = HTTPStatus.OK if isinstance(found, Listing) else found.status
        etag = self._etag(text, caller)
        same = status == HTTPStatus.OK and _knows(request.headers.get("if-none-match"), etag)
        # Without a token, an answer that nothing has changed counts like any other.
        counted = not free and not (same and caller.who != ANONYMOUS)
        headers = {
            **self._headers(caller.who, counted),
            "X-GitHub-Api-Version-Selected": API_VERSION,
        }
        if status == HTTPStatus.OK:
            headers |= {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60",
                        "Vary": "Accept, Authorization, Accept-Encoding"}  # fmt: skip
        if isinstance(found, Listing) and (links := self._links(request, found)):
            headers["Link"] = links
        body = text.encode()
        if fault is Kind.HANG:
            return _Said(Outgoing(status, ending=Ending.NEVER), counted, fault)
        if fault in (Kind.RESET, Kind.TRUNCATED):
            ending = Ending.RESET if fault is Kind.RESET else Ending.WHOLE
            cut = body if fault is Kind.RESET else body[: len(body) * 2 // 3]
            return _Said(Outgoing(status, cut, headers, ending), counted, fault)
        if same:
            return _Said(Outgoing(HTTPStatus.NOT_MODIFIED, b"", headers), counted, fault)
        return _Said(Outgoing(status, body, headers), counted, fault)

    def _text(self, found: Result, fault: Kind | None) -> str:
        """Return the validated text, spoilt after that where it has to be."""
        if not isinstance(found, Listing):
            text = found.text
        else:
            text = found.text(found.rows(), self._renderer.validator)
            if fault is not None and fault in OF_ROWS:
                text = self.faults.spoil_list(fault, found, self._renderer.validator)
        return self.faults.spoil_text(text) if fault is Kind.NULL_FIELD else text

    def _etag(self, text: str, caller: Caller) -> str:
        known = f"{caller.authorization}\0{text}".encode()
        tag = f'"{hashlib.sha256(known).hexdigest()}"'
        return f"W/{tag}" if self.world.weak_etags else tag

    def _headers(self, who: str, counted: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if not self.world.limited:
            return headers
        bucket = self._gate.bucket(ANONYMOUS if who == "nobody" else who)
        bucket.used += counted
        return {**headers, **bucket.headers()}

    def _links(self, request: Incoming, listing: Listing) -> str:
        query: Mapping[str, str] = dict(request.query)
        address = f"{self._wire.url}{request.path}"
        return ", ".join(
            f'<{address}?{urlencode({**query, "page": page})}>; rel="{rel}"'
            for rel, page in listing.links().items()
        )


def _knows(if_none_match: str | None, etag: str) -> bool:
    """Compare as RFC 9110 asks for: weak and strong are one here."""
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


@contextmanager
def serving_github(world: World, *, prefix: str = "", html: str = HTML) -> Iterator[StandIn]:
    """Serve a world for the length of a block; what nobody should have asked fails the test.

    Args:
        world: what is played.
        prefix: path of the API below the host, such as `/api/v3`.
        html: address of the pages for people.
    """
    stand_in = StandIn(world, prefix, html)
    try:
        yield stand_in
    finally:
        stand_in.stop()
    if stand_in.unexpected:
        raise AssertionError("\n".join(stand_in.unexpected))
