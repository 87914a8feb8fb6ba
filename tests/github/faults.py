"""Ways in which an API fails, told to happen once or at a rate."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from random import Random
from typing import Any

from tests.github.results import NOT_FOUND, Listing, Refusal, Result
from tests.github.shapes import dumps
from tests.github.validate import Validator


class Kind(StrEnum):
    """What goes wrong."""

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
    DELETED_RUN = "deleted run"


ALL = tuple(Kind)
OF_ROWS = (Kind.SHIFTED_PAGE, Kind.MISSING_ROW, Kind.DUPLICATED_ROW, Kind.DELETED_RUN)
REFUSALS = {
    Kind.SERVER_ERROR: Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Server Error"),
    Kind.BAD_GATEWAY: Refusal(HTTPStatus.BAD_GATEWAY, "Bad Gateway"),
    Kind.SECONDARY_LIMIT: Refusal(
        HTTPStatus.FORBIDDEN,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    ),
    Kind.TOO_MANY: Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    ),
}
FREE = (Kind.SECONDARY_LIMIT, Kind.TOO_MANY)
"""What GitHub refuses before it counts."""

OFTEN_NULL = ("name", "conclusion", "status", "started_at", "check_suite", "head_branch", "id",
              "run_attempt", "completed_at", "head_sha", "path", "event", "head_repository",
              "updated_at", "run_number", "parents", "sha", "total_count", "message")  # fmt: skip

_RUN_PATH = re.compile(r"/actions/runs/\d+")


@dataclass(slots=True)
class Once:
    """A fault that waits for its request.

    Attributes:
        kind: what goes wrong.
        path: matches somewhere in the request's path.
        times: how often it is still to happen.
    """

    kind: Kind
    path: re.Pattern[str]
    times: int


class Faults:
    """Decides what goes wrong; the same seed and requests give the same faults.

    Attributes:
        retry_after: seconds in the header of a refused request; None for no such header.
        happened: every fault so far, with the path.
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
        seed: of the chance.
        kinds: what may happen.
        retry_after: seconds.
        """
        self._rate = rate
        self._random = Random(seed)
        self._kinds = tuple(kinds)
        self._once: list[Once] = []
        self.retry_after = retry_after
        self.happened: list[tuple[Kind, str]] = []

    def next(self, kind: Kind, path: str = "", times: int = 1) -> None:
        """Let something go wrong with the next requests whose path matches."""
        self._once.append(Once(kind, re.compile(path), times))

    def pick(self, path: str, result: Result) -> Kind | None:
        """Choose what goes wrong with one answer; only what can go wrong with it."""
        found = self._waiting(path, result)
        if found is None and self._random.random() < self._rate:
            able = [kind for kind in self._kinds if _applies(kind, path, result)]
            found = self._random.choice(able) if able else None
        if found is not None:
            self.happened.append((found, path))
        return found

    def _waiting(self, path: str, result: Result) -> Kind | None:
        for once in self._once:
            if once.times and once.path.search(path) and _applies(once.kind, path, result):
                once.times -= 1
                return once.kind
        return None

    def spoil_list(self, kind: Kind, listing: Listing, validator: Validator) -> str:
        """Return a page of a list with something wrong with its rows."""
        if kind is Kind.DELETED_RUN:
            gone = listing.start + self._random.randrange(len(listing.rows()))
            left = [item for place, item in enumerate(listing.items) if place != gone]
            total = None if listing.total is None else listing.total - 1
            fewer = replace(listing, items=left, total=total)
            return fewer.text(fewer.rows(), validator)
        return listing.text(self._spoilt_rows(kind, listing), validator)

    def _spoilt_rows(self, kind: Kind, listing: Listing) -> list[str]:
        rows = listing.rows()
        place = self._random.randrange(len(rows))
        if kind is Kind.SHIFTED_PAGE and listing.page > 1:
            # Something new at the top moved every row one place on.
            return listing.rows(listing.start - 1)
        if kind is Kind.DUPLICATED_ROW and len(rows) > 1:
            rows[place] = rows[place - 1]
            return rows
        del rows[place]
        return rows

    def spoil_text(self, text: str) -> str:
        """Return a document in which one member is null that should not be."""
        document = json.loads(text)
        places = _places(_some_row(document, self._random))
        usual = [(holder, key) for holder, key in places if key in OFTEN_NULL]
        holder, key = self._random.choice(usual or places)
        holder[key] = None
        return dumps(document)


def _applies(kind: Kind, path: str, result: Result) -> bool:
    if isinstance(result, Refusal):
        return kind in REFUSALS or kind is Kind.HANG
    listed = isinstance(result, Listing) and result.start < len(result.items)
    if kind in OF_ROWS and kind is not Kind.DELETED_RUN:
        # Annotations of a job that is over never change, so their pages cannot shift.
        return listed and isinstance(result, Listing) and result.kind != "CheckAnnotation"
    if kind is Kind.NULL_FIELD:
        return listed or not isinstance(result, Listing)
    if kind is Kind.DELETED_RUN:
        return (listed and path.endswith("/actions/runs")) or bool(_RUN_PATH.search(path))
    return True


def refusal_of(kind: Kind, path: str) -> Refusal | None:
    """Return what is answered instead, where the whole answer goes."""
    if kind is Kind.DELETED_RUN:
        return NOT_FOUND if _RUN_PATH.search(path) else None
    return REFUSALS.get(kind)


def _some_row(document: Any, random: Random) -> Any:
    """Return a row of a list, or the document around it."""
    if isinstance(document, list):
        return random.choice(document)
    lists = [value for value in document.values() if isinstance(value, list) and value]
    rows = [row for row in max(lists, key=len, default=[]) if isinstance(row, dict)]
    return random.choice(rows) if rows and random.random() < 0.9 else document


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every member of a row, and those of the objects in it one level deeper."""
    places = [(value, key) for key in value]
    for inner in value.values():
        if isinstance(inner, dict):
            places.extend((inner, key) for key in inner)
    return places
