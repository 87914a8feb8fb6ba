"""The pages of GraphQL's connections, and the limit of rows of a query."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tests.github.graphql_errors import ApiError

Row = TypeVar("Row")
Object = Mapping[str, Any]
"""An object as a mapping from field names to values, or to functions of the field's arguments."""

OVER_LIMIT = ApiError("RESOURCE_LIMITS_EXCEEDED", "Resource limits for this query exceeded.")


class Pages:
    """The pages of the connections of one query.

    Attributes:
        exceeded: whether the query has asked for more rows than its limit.
    """

    def __init__(self, rows_limit: int) -> None:
        """Args:
        rows_limit: rows that the query may return.
        """
        self.exceeded = False
        self._rows_left = rows_limit

    def connection(
        self,
        rows: Sequence[Row],
        render: Callable[[Row], Object | ApiError | None],
        key: Callable[[Row], Any],
        *,
        first: int,
        after: str | None = None,
    ) -> Object:
        """Return one page of rows; a cursor contains the key of its row."""
        start = 0 if after is None else _start_after(after, [key(row) for row in rows])
        page = rows[start : start + first]
        info = {
            "hasNextPage": start + first < len(rows),
            "hasPreviousPage": start > 0,
            "startCursor": _encoded(key(page[0])) if page else None,
            "endCursor": _encoded(key(page[-1])) if page else None,
        }
        return {
            "totalCount": len(rows),
            "pageInfo": info,
            "nodes": lambda _info: self._nodes(page, render),
        }

    def _nodes(
        self, page: Sequence[Row], render: Callable[[Row], Object | ApiError | None]
    ) -> Iterable[Object | ApiError | None]:
        self._rows_left -= len(page)
        if self._rows_left < 0:
            self.exceeded = True
            return [OVER_LIMIT] * len(page)
        return [render(row) for row in page]


def _start_after(cursor: str, keys: Sequence[Any]) -> int:
    """Return the index after a cursor's row, or after its id if that row is no longer listed."""
    passed = decoded(cursor)
    if passed in (texts := [str(key) for key in keys]):
        return texts.index(passed) + 1
    if not passed.isdecimal():
        message = f"`{cursor}` does not appear to be a valid cursor."
        raise ApiError("INVALID_CURSOR_ARGUMENTS", message)
    return sum(key <= int(passed) for key in keys)


def _encoded(key: object) -> str:
    return b64encode(f"cursor:v2:{key}".encode()).decode()


def decoded(cursor: str) -> str:
    """Return the key in a cursor; empty where it is invalid."""
    try:
        return b64decode(cursor).decode().removeprefix("cursor:v2:")
    except ValueError:
        return ""
