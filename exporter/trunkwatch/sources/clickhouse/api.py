"""The requests to one ClickHouse, and its errors in our words.

https://clickhouse.com/docs/interfaces/http. A request is a GET, which the server itself allows to
read only. An answer counts if it is whole: one JSON document with the number of its rows.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from trunkwatch.config.sources import ClickhouseSource
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    LimitExceededError,
    NotFoundError,
    RequestError,
)
from trunkwatch.rest.client import READ_TRIES, Query
from trunkwatch.rest.credentials import Login
from trunkwatch.rest.http import Answer, ApiRules, HttpContext
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.clickhouse.query import Bundle, Place, RowQuery

PAGE_ROWS = 100_000
"""Rows of one answer, about 15 MB."""

MIN_PAGE_ROWS = 100
"""Rows of the smallest page that is tried where answers are too large."""

EXCEPTION_BYTES = 65_536
"""Bytes at the end of a body in which the text of an exception is looked for."""

REFUSED_LOGIN = frozenset({192, 193, 194, 516})
"""UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED."""

UNKNOWN_COLUMN = frozenset({8, 10, 16, 47})
"""THERE_IS_NO_COLUMN and its like."""

WRONG_TYPE = frozenset({6, 38, 41, 43, 44, 48, 53, 70, 386})
"""A value or a column of another type than a function takes."""

NO_ACCESS = 497

MISSING = frozenset({60, 81, NO_ACCESS})
"""UNKNOWN_TABLE, UNKNOWN_DATABASE, ACCESS_DENIED."""

CAUSES: Mapping[int, str] = MappingProxyType(
    {
        60: "the table {table} does not exist; set database and table",
        81: "the database of {table} does not exist; set database",
        158: "the query reads more rows than the user may (max_rows_to_read); {less}",
        159: "the query took longer than the user's max_execution_time; {less}",
        160: "the query would take longer than the user's max_execution_time; {less}",
        164: "the profile of {user} ends queries early without an error, and results would be lost:"
        " remove the overflow mode 'break' and skip_unavailable_shards from it",
        201: "the quota of the user is used up; {less}",
        202: "the server has too many queries",
        241: "the query needs more memory than it may (max_memory_usage); {less}",
        307: "the query reads more bytes than the user may (max_bytes_to_read); {less}",
        396: "the answer is larger than the user's limits of results allow; {less}",
        427: "columns: a pattern of extract is not one of RE2",
    }
)
"""What the codes of exceptions mean that an operator can do something about:
https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp"""

LESS = "set pruned_by to a time column with an index, or a shorter look_back"

_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_EXCEPTION = re.compile(r"Code: (\d{1,6})[.,].{0,40}DB::(?:\w*)Exception", re.ASCII | re.DOTALL)
_IDENTIFIER = re.compile(r"(?:identifiers?|columns?:?|Identifier) [`'\"]([\w.-]+)[`'\"]")


class Page(NamedTuple):
    """The answer to one query.

    Attributes:
        bundles: the rows.
        end: the place of the last one; the place that was asked for where there is none.
        is_last: whether no row follows.
    """

    bundles: Sequence[Bundle]
    end: Place
    is_last: bool


class ClickhouseRules(ApiRules):
    """How answers of ClickHouse are read: errors have a code, whatever the HTTP status is."""

    vendor = "ClickHouse"
    advice = "is it the address of ClickHouse's HTTP interface?"

    def __init__(self, table: str, user: str, columns: Mapping[str, str]) -> None:
        """Args:
        table: the table that is read.
        user: who reads it.
        columns: the configured columns by their keys, to name them in errors.
        """
        self._words = {"table": table, "user": user, "less": LESS}
        self._columns = columns

    def is_refusal(self, answer: Answer) -> bool:
        """Return whether the server does not accept user and password."""
        return answer.status == HTTPStatus.UNAUTHORIZED or _code(answer) in REFUSED_LOGIN

    def message(self, answer: Answer) -> str:
        """Return the text of the exception, for the log."""
        return _exception(answer)

    def not_json(self, answer: Answer) -> str:
        """Return the exception that broke an answer off, or that the answer is no JSON."""
        code = _code(answer)
        if code is None:
            return "the answer is not JSON, or is cut off; is it ClickHouse's HTTP interface?"
        return f"the answer ends with an exception: {self._cause(code, _exception(answer))}"

    def known_error(self, answer: Answer, problem: str) -> RequestError | None:
        """Return the error that the code of an exception means; None without a code."""
        code, text = _code(answer), _exception(answer)
        if code is None:
            return None
        cause = f"{problem}: {self._cause(code, text)}"
        if code in REFUSED_LOGIN:
            why = "the server refuses the login; set user, and password_file or password_env"
            return CredentialsError(f"{problem}: {why}", status=answer.status, detail=text)
        if code in MISSING:
            return NotFoundError(cause, status=answer.status, detail=text)
        is_accident = code not in CAUSES and code not in UNKNOWN_COLUMN | WRONG_TYPE
        is_accident &= answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return BadAnswerError(cause, status=answer.status, retryable=is_accident, detail=text)

    def _cause(self, code: int, text: str) -> str:
        if code == NO_ACCESS:
            cause = (
                "the user {user} may not read {table}: GRANT SELECT ON {table} TO {user},"
                " and dictGet where a column reads a dictionary"
            )
        elif code in UNKNOWN_COLUMN:
            cause = f"{self._named(text)} is a column that {{table}} does not have"
        elif code in WRONG_TYPE:
            cause = (
                f"{self._named(text)} has a type that cannot be used there: times must be DateTime"
                " or DateTime64, see the log"
            )
        else:
            cause = CAUSES.get(code, "an exception, see the log")
        return f"{cause.format(**self._words)} (code {code})"

    def _named(self, text: str) -> str:
        """Return the keys whose columns an exception names; ours only, never its words."""
        named = set(_IDENTIFIER.findall(text))
        keys = [f"{key}: {name}" for key, name in self._columns.items() if name and name in named]
        return " and ".join(keys) or "a key of columns, cursor or pruned_by"


class ClickhouseApi:
    """The HTTP interface of one server.

    Attributes:
        client: sends the requests, and counts the rows that are dropped.
    """

    def __init__(self, config: ClickhouseSource, query: RowQuery, http: HttpContext) -> None:
        """Args:
        config: the source's section of the configuration.
        query: of the rows.
        http: session, counter and clock.
        """
        login = None
        if config.user is not None:
            login = Login(config.user, config.password_file, config.password_env)
        self._query = query
        self._rules = ClickhouseRules(query.table, config.user or "default", query.columns)
        self._page_rows = PAGE_ROWS
        self.client = ListClient(
            config.url,
            http,
            rules=self._rules,
            authorization=login,
            tries=READ_TRIES,
            timeout=config.timeout,
        )

    def page(self, after: Place, until: int | None, oldest: float) -> Page:
        """Return the rows after a place; fewer at once where an answer is too large.

        Args:
            after: the place.
            until: microseconds since the epoch, before which the rows were written; None for all.
            oldest: time before which the table need not be read (seconds since the epoch).

        Raises:
            RequestError: as for `RestClient.get`.
        """
        while True:
            try:
                return self._page(self._query.page(after, until, oldest, self._page_rows), after)
            except LimitExceededError:
                if self._page_rows <= MIN_PAGE_ROWS:
                    raise
                self._page_rows = max(MIN_PAGE_ROWS, self._page_rows // 4)

    def _page(self, query: Query, after: Place) -> Page:
        document = self.client.object("GET", "/", query)
        rows, total = document.get("data"), document.get("rows")
        named = f"GET {self.client.address('/')}"
        if "exception" in document:  # the setting http_write_exception_in_output_format
            answer = Answer(HTTPStatus.OK, {}, str(document["exception"]).encode())
            problem = f"{named}: {self._rules.not_json(answer)}"
            raise BadAnswerError(problem, detail=self._rules.message(answer))
        if not isinstance(rows, list) or total != len(rows):
            raise BadAnswerError(f"{named}: the answer has another number of rows than it reports")
        try:
            bundles = self._query.bundles(rows)
        except ValueError:
            raise BadAnswerError(f"{named}: the answer has other columns than the query") from None
        last = max(bundles, key=lambda bundle: max(bundle.numbers), default=None)
        count = sum(len(bundle.numbers) for bundle in bundles)
        return Page(bundles, last.end if last else after, count < self._page_rows)


def _exception(answer: Answer) -> str:
    """Return the text of an exception, which follows the rows that were sent before it."""
    text = answer.content[-EXCEPTION_BYTES:].decode(errors="replace")
    found = _EXCEPTION.search(text)
    return "" if found is None else text[found.start() :]


def _code(answer: Answer) -> int | None:
    """Return the code of an exception; None for an answer without one."""
    header = answer.headers.get("X-ClickHouse-Exception-Code", "")
    if _NUMBER.fullmatch(header):
        return int(header)
    found = _EXCEPTION.search(_exception(answer))
    return None if found is None else int(found[1])
