"""Responses of endpoints: a document, a page of a list, or an error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.github.json_parts import Json, dumps, with_members
from tests.github.schema import Validator

DOCS = "https://docs.github.com/rest"
PER_PAGE_LIMIT = 100
PER_PAGE_DEFAULT = 30


@dataclass(frozen=True, slots=True)
class Document:
    """A single document.

    Attributes:
        text: validated JSON.
        status: the HTTP status.
    """

    text: str
    status: int = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error, in GitHub's format.

    Attributes:
        status: the HTTP status.
        message: GitHub's error message.
        headers: further headers.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return dumps(
            {"message": self.message, "documentation_url": DOCS, "status": str(self.status)}
        )


class UnsupportedRequestError(Exception):
    """A request that the fake GitHub does not support: the product sends a new one."""


NOT_FOUND = ErrorResponse(HTTPStatus.NOT_FOUND, "Not Found")


@dataclass(frozen=True)
class ListPage:
    """One page of a list.

    Attributes:
        kind: the schema of the whole response, or of a row where the response is a bare array.
        key: the member that holds the rows; None for a bare array.
        items: all reachable items, in the order of the list.
        render: returns the validated JSON of an item.
        page: the page number, from 1.
        per_page: rows per page.
        total: `total_count`, which may exceed the reachable items; None for their number.
        envelope: further members of the response.
    """

    kind: str
    key: str | None
    items: Sequence[Any]
    render: Callable[[Any], str]
    page: int
    per_page: int
    total: int | None = None
    envelope: Json | None = None

    @property
    def start(self) -> int:
        """The index of the page's first row in `items`."""
        return (self.page - 1) * self.per_page

    def rows(self, start: int | None = None) -> list[str]:
        """Return the page's rows, or those of a page that starts at another index."""
        begin = self.start if start is None else start
        return [self.render(item) for item in self.items[begin : begin + self.per_page]]

    def text(self, rows: Sequence[str], validator: Validator) -> str:
        """Return the JSON of a response with these rows; its envelope is validated."""
        joined = f"[{','.join(rows)}]"
        if self.key is None:
            return joined
        total = len(self.items) if self.total is None else self.total
        envelope = {"total_count": total, **(self.envelope or {})}
        validator.check(self.kind, with_members(envelope, **{self.key: "[]"}))
        return with_members(envelope, **{self.key: joined})

    def links(self) -> dict[str, int]:
        """Return the page numbers of the Link header by relation."""
        last = max(1, -(-len(self.items) // self.per_page))
        named = {"prev": self.page - 1, "next": self.page + 1, "last": last, "first": 1}
        if self.page == 1:
            del named["prev"], named["first"]
        if self.page >= last:
            del named["next"], named["last"]
        return named


Response = Document | ListPage | ErrorResponse
