"""Faults of an API, injected into chosen requests or at a rate."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from random import Random
from typing import Any

from tests.github.json_parts import dumps
from tests.github.limits import BAD_CREDENTIALS, SECONDARY_LIMIT
from tests.github.responses import NOT_FOUND, Document, ErrorResponse, ListPage, Response
from tests.github.schema import Validator


class Kind(StrEnum):
    """A kind of fault."""

    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    HANG = "hang"
    RESET = "reset in mid-body"
    TRUNCATED = "truncated JSON"
    SECONDARY_LIMIT = "403 secondary limit"
    TOO_MANY = "429"
    SHIFTED_PAGE = "shifted page"
    MISSING_ROW = "missing row"
    DUPLICATED_ROW = "duplicated row"
    NULL_FIELD = "null field"
    UNAUTHORIZED = "401"
    RESOURCE_LIMITS = "RESOURCE_LIMITS_EXCEEDED"
    DELETED_RUN = "deleted run"


GRAPHQL_ONLY = (Kind.RESOURCE_LIMITS,)
ALL = tuple(kind for kind in Kind if kind not in (*GRAPHQL_ONLY, Kind.UNAUTHORIZED))
"""The faults of single REST requests; a refused token stops a source."""

ROW_FAULTS = (Kind.SHIFTED_PAGE, Kind.MISSING_ROW, Kind.DUPLICATED_ROW, Kind.DELETED_RUN)
ERROR_RESPONSES = {
    Kind.SERVER_ERROR: ErrorResponse(HTTPStatus.INTERNAL_SERVER_ERROR, "Server Error"),
    Kind.BAD_GATEWAY: ErrorResponse(HTTPStatus.BAD_GATEWAY, "Bad Gateway"),
    Kind.UNAUTHORIZED: BAD_CREDENTIALS,
    Kind.SECONDARY_LIMIT: SECONDARY_LIMIT,
    Kind.TOO_MANY: replace(SECONDARY_LIMIT, status=HTTPStatus.TOO_MANY_REQUESTS),
}
CUT_ANSWERS = (Kind.HANG, Kind.RESET, Kind.TRUNCATED)
UNCOUNTED = (Kind.SECONDARY_LIMIT, Kind.TOO_MANY)
"""Faults whose requests GitHub does not count against the rate limit."""

NULL_CANDIDATES = ("name", "conclusion", "status", "started_at", "check_suite", "head_branch", "id",
              "run_attempt", "completed_at", "head_sha", "path", "event", "head_repository",
              "updated_at", "run_number", "parents", "sha", "total_count", "message", "app",
              "databaseId", "startedAt", "completedAt", "branch", "workflowRun", "workflow", "file",
              "runNumber", "updatedAt", "checkSuites", "checkRuns", "nodes", "oid", "totalCount",
              "pageInfo")  # fmt: skip

_RUN_PATH = re.compile(r"/actions/runs/\d+")


@dataclass(slots=True)
class QueuedFault:
    """A fault that awaits its request.

    Attributes:
        kind: the kind of fault.
        path: searched in the request's path.
        times: how often it is still to be injected.
    """

    kind: Kind
    path: re.Pattern[str]
    times: int


class Faults:
    """A fault injector; the same seed and requests give the same faults.

    Attributes:
        retry_after: value of the header in responses of a limit (seconds); None for no header.
        happened: every injected fault, with the path.
    """

    def __init__(
        self,
        rate: float = 0.0,
        seed: int = 0,
        kinds: Collection[Kind] = ALL,
        *,
        retry_after: int | None = 60,
    ) -> None:
        """Args:
        rate: share of the requests, from 0 to 1.
        seed: of the random choices.
        kinds: the faults to choose from.
        retry_after: value of the header (seconds); None for no header.
        """
        self._rate = rate
        self._random = Random(seed)
        self._kinds = tuple(kinds)
        self._queue: list[QueuedFault] = []
        self.retry_after = retry_after
        self.happened: list[tuple[Kind, str]] = []

    def next(self, kind: Kind, path: str = "", times: int = 1) -> None:
        """Inject a fault into the next requests whose path matches."""
        self._queue.append(QueuedFault(kind, re.compile(path), times))

    def pick(self, path: str, result: Response) -> Kind | None:
        """Choose a fault that can be applied to a response, if any is due."""
        found = self._dequeue(path, result)
        if found is None and self._random.random() < self._rate:
            able = [kind for kind in self._kinds if _applies(kind, path, result)]
            found = self._random.choice(able) if able else None
        if found is not None:
            self.happened.append((found, path))
        return found

    def _dequeue(self, path: str, result: Response) -> Kind | None:
        for queued in self._queue:
            if queued.times and queued.path.search(path) and _applies(queued.kind, path, result):
                queued.times -= 1
                return queued.kind
        return None

    def corrupt_list(self, kind: Kind, page: ListPage, validator: Validator) -> str:
        """Return the JSON of a page with a fault in its rows."""
        if kind is Kind.DELETED_RUN:
            gone = page.start + self._random.randrange(len(page.rows()))
            left = [item for place, item in enumerate(page.items) if place != gone]
            total = None if page.total is None else page.total - 1
            fewer = replace(page, items=left, total=total)
            return fewer.text(fewer.rows(), validator)
        return page.text(self._corrupt_rows(kind, page), validator)

    def _corrupt_rows(self, kind: Kind, page: ListPage) -> list[str]:
        rows = page.rows()
        place = self._random.randrange(len(rows))
        if kind is Kind.SHIFTED_PAGE and page.page > 1:
            # A new row at the top shifted every row by one.
            return page.rows(page.start - 1)
        if kind is Kind.DUPLICATED_ROW and len(rows) > 1:
            rows[place] = rows[place - 1]
            return rows
        del rows[place]
        return rows

    def corrupt_document(self, text: str) -> str:
        """Return the JSON of a document in which one member was replaced with null."""
        document = json.loads(text)
        places = _members(_some_row(document, self._random))
        if not places:
            return text
        usual = [(holder, key) for holder, key in places if key in NULL_CANDIDATES]
        holder, key = self._random.choice(usual or places)
        holder[key] = None
        return dumps(document)

    def exhaust(self, text: str) -> str:
        """Return the JSON of a GraphQL answer in which the rows of one list are errors."""
        document = json.loads(text)
        lists = [
            (path, held["nodes"])
            for path, held in _objects(document["data"], ())
            if held.get("nodes")
        ]
        path, rows = self._random.choice(lists)
        rows[:] = [None] * len(rows)
        document["errors"] = [
            {
                "type": "RESOURCE_LIMITS_EXCEEDED",
                "path": [*path, "nodes", number],
                "message": "Resource limits for this query exceeded.",
            }
            for number in range(len(rows))
        ]
        return dumps(document)


def _applies(kind: Kind, path: str, result: Response) -> bool:
    if isinstance(result, ErrorResponse):
        return kind in ERROR_RESPONSES or kind is Kind.HANG
    if kind in GRAPHQL_ONLY:
        return isinstance(result, Document) and '"nodes":[{' in result.text
    listed = isinstance(result, ListPage) and result.start < len(result.items)
    if kind in ROW_FAULTS and kind is not Kind.DELETED_RUN:
        # Annotations of a completed job never change, so their pages cannot shift.
        return listed and isinstance(result, ListPage) and result.kind != "CheckAnnotation"
    if kind is Kind.NULL_FIELD:
        return listed or not isinstance(result, ListPage)
    if kind is Kind.DELETED_RUN:
        return (listed and path.endswith("/runs")) or bool(_RUN_PATH.search(path))
    return True


def error_response_for(kind: Kind, path: str) -> ErrorResponse | None:
    """Return the error response that a fault replaces the whole response with, if it does."""
    if kind is Kind.DELETED_RUN:
        return NOT_FOUND if _RUN_PATH.search(path) else None
    return ERROR_RESPONSES.get(kind)


def _some_row(document: Any, random: Random) -> Any:
    """Return a random row of a list, or the document that contains it."""
    if isinstance(document, list):
        return random.choice(document)
    if document.get("data"):
        return random.choice(list(_objects(document["data"], ())))[1]
    lists = [value for value in document.values() if isinstance(value, list) and value]
    rows = [row for row in max(lists, key=len, default=[]) if isinstance(row, dict)]
    return random.choice(rows) if rows and random.random() < 0.9 else document


def _objects(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every object of a GraphQL answer with its path."""
    if isinstance(value, dict):
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in inner:
        if isinstance(member, dict | list):
            yield from _objects(member, (*path, key))


def _members(value: Any) -> list[tuple[Any, Any]]:
    """Return every member of a row and of its nested objects, as (object, key)."""
    places = [(value, key) for key in value]
    for inner in value.values():
        if isinstance(inner, dict):
            places.extend((inner, key) for key in inner)
    return places
