"""Lists: read page by page, only as a whole, and from the cache where they have not changed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from trunkwatch.errors import BadAnswerError, LimitExceededError
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.lists import CACHED_ROWS, LIST_TRIES, ListClient, Listing

from tests.rest.server import Reply, serving

HTTP = HttpContext(sleep=lambda _seconds: None)


def _number(row: Mapping[str, Any]) -> int:
    return int(row["n"])


PLAIN: Listing[int] = Listing(_number, lambda row: row)
COUNTED: Listing[int] = Listing(_number, lambda row: row, key="rows", total="total_count")
DOUBTFUL: Listing[int] = Listing(_number, lambda row: row, lambda row: row == 0)


class Small(ListClient):
    """A client of short pages."""

    per_page = 2


def page(numbers: Sequence[int], total: int | None = None, etag: str = "") -> Reply:
    rows = [{"n": number} for number in numbers]
    document = rows if total is None else {"rows": rows, "total_count": total}
    return Reply(200, json.dumps(document).encode(), (("ETag", etag),) if etag else ())


def test_a_list_without_total_ends_with_a_page_that_is_not_full() -> None:
    """A full page asks for the next one."""
    with serving(page([1, 2]), page([3])) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), PLAIN) == (1, 2, 3)
    assert [request.path for request in server.requests] == [
        "/x?per_page=2&page=1",
        "/x?per_page=2&page=2",
    ]


def test_a_list_with_total_ends_with_it() -> None:
    """No page is requested beyond the total."""
    with serving(page([1, 2], 4), page([3, 4], 4)) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), COUNTED) == (1, 2, 3, 4)
    assert len(server.requests) == 2


@pytest.mark.parametrize("second", [page([2, 3], 4), page([3], 3), page([3], 4)])
def test_a_list_that_shifted_is_read_again(second: Reply) -> None:
    """A row that appears twice, another total, or a missing row: none of it is a whole list."""
    whole = page([1, 2], 3), page([3], 3)
    with serving(page([1, 2], 4), second, *whole) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), COUNTED) == (1, 2, 3)


def test_a_list_that_is_never_whole_is_an_error() -> None:
    """Part of a list is no list."""
    replies = [page([1, 2], 4), page([3], 4)] * 3
    with serving(*replies) as server, pytest.raises(BadAnswerError, match="each of the 3 times"):
        Small(server.url, HTTP).whole_list("/x", (), COUNTED)


def test_doubtful_rows_are_read_again_and_then_taken() -> None:
    """They may become clear a moment later; if they do not, the list is whole all the same."""
    with serving(page([0]), page([1])) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), DOUBTFUL) == (1,)
    with serving(page([0])) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), DOUBTFUL) == (0,)
    assert len(server.requests) == 3


def test_an_unchanged_page_comes_from_the_cache() -> None:
    """The second read sends the ETag and gets no rows."""
    with serving(page([1], etag='"v"'), Reply(304)) as server:
        client = Small(server.url, HTTP)
        assert client.whole_list("/x", (), PLAIN) == client.whole_list("/x", (), PLAIN) == (1,)
    assert server.requests[1].headers["If-None-Match"] == '"v"'


def test_a_page_that_is_larger_than_the_cache_is_read() -> None:
    """It is returned all the same, and read again the next time."""
    with serving(page(range(CACHED_ROWS), etag='"1"')) as server:
        client = ListClient(server.url, HTTP)
        for _ in range(2):
            assert len(client.cached_page("/x", (), 1, PLAIN).rows) == CACHED_ROWS
    assert len(server.requests) == 2


def test_an_inconsistent_list_is_not_kept() -> None:
    """A 304 would repeat the inconsistency, so the pages are requested without ETag."""
    broken = page([1, 1], etag='"v"'), page([], etag='"w"')
    with serving(*broken, page([1], etag='"x"')) as server:
        assert Small(server.url, HTTP).whole_list("/x", (), PLAIN) == (1,)
    assert "If-None-Match" not in server.requests[2].headers


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"rows": 1}'])
def test_another_document_is_no_list(body: bytes) -> None:
    """The error names the list that was expected."""
    with serving(Reply(200, body)) as server, pytest.raises(BadAnswerError, match="'rows'"):
        Small(server.url, HTTP).whole_list("/x", (), COUNTED)


def test_rows_are_read_as_they_are_needed() -> None:
    """The second page is not requested before its rows are."""
    with serving(page([1, 2]), page([3])) as server:
        rows = Small(server.url, HTTP).rows("/x", (), PLAIN)
        assert next(rows) == 1
        assert len(server.requests) == 1
        assert list(rows) == [2, 3]


BAD = b'{"rows": [{"n": 1}, {}, 7], "total_count": 3}'


def test_a_row_that_cannot_be_read_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is read again, since it may be readable a moment later, then counted and logged once."""
    with serving(Reply(200, BAD)) as server:
        client = Small(server.url, HTTP)
        client.per_page = 3
        assert client.partial_list("/x", (), COUNTED) == ((1,), 2)
        assert len(server.requests) == LIST_TRIES
        assert client.take_dropped() == {"rows": 2}
        assert client.whole_list("/x", (), COUNTED) == (1,)
        assert client.take_dropped() == {}
    logged = [(vars(record)["row"], vars(record)["error"]) for record in caplog.records]
    assert logged == [
        ("{}", "KeyError: 'n'"),
        ("7", "TypeError: 'int' object is not subscriptable"),
    ]


def test_a_search_ends_with_a_row_that_cannot_be_read() -> None:
    """It may be the one that is searched for: an issue that exists must not be created again."""
    with serving(Reply(200, BAD)) as server:
        rows = Small(server.url, HTTP).rows("/x", (), COUNTED)
        assert next(rows) == 1
        with pytest.raises(BadAnswerError) as caught:
            next(rows)
        assert caught.value.detail == "2 unreadable rows"


@pytest.mark.parametrize("total", [b"null", b"-1", b"true", b'"3"', b"1e400", b"[]"])
def test_a_total_that_is_no_number_contradicts_the_list(total: bytes) -> None:
    """The list is read again, and returned when it has the same rows at the next call."""
    body = b'{"rows": [{"n": 1}], "total_count": ' + total + b"}"
    with serving(Reply(200, body)) as server:
        client = Small(server.url, HTTP)
        with pytest.raises(BadAnswerError, match="each of the 3 times"):
            client.whole_list("/x", (), COUNTED)
        assert client.whole_list("/x", (), COUNTED) == (1,)


def test_the_last_page_that_a_list_may_have_is_read() -> None:
    """The page after it is not; the list is an error then."""
    http = HttpContext(sleep=HTTP.sleep, max_list_pages=2)
    with serving(page([1, 2]), page([3])) as server:
        assert Small(server.url, http).whole_list("/x", (), PLAIN) == (1, 2, 3)
    with serving(page([1, 2]), page([3, 4]), page([5])) as server:
        with pytest.raises(LimitExceededError, match="/x: the list has more than 2 pages"):
            Small(server.url, http).whole_list("/x", (), PLAIN)
        assert len(server.requests) == 2
