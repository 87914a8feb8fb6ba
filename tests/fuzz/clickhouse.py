"""Answers and stored state of a ClickHouse source, spoiled."""

import json

from hypothesis import strategies as st
from trunkwatch.engine.facts import EMPTY_STATE, Cursor, SourceState
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.sources.clickhouse.query import Place, RowQuery

from tests.clickhouse.fake import FakeClickHouse, config
from tests.fuzz.texts import json_texts
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse
from tests.support.fakehttp import Request

NOW = 1_700_000_000.0


def _table() -> FakeClickHouse:
    table = FakeClickHouse()
    table.add(f"{1:040x}", "failure", written=NOW - 50, started_at=NOW - 90)
    table.add(f"{2:040x}", "", written=NOW - 40)
    return table


TABLE = _table()


def read(body: bytes | None, state: SourceState = EMPTY_STATE) -> SourceState:
    """Read a server that answers with a body, or as it should; return the new state."""

    def respond(request: HttpRequest) -> HttpResponse:
        sent = TABLE(Request(request.path, request.query, request.headers))
        return HttpResponse(sent.status, sent.body if body is None else body)

    http = HttpContext(
        lambda: DirectSession(respond), clock=lambda: NOW, sleep=lambda _seconds: None
    )
    source = build_source(config("http://127.0.0.1:9"), SourceContext(http=http))
    facts = source.refresh(state).facts
    return SourceState(next(fact.text for fact in facts if isinstance(fact, Cursor)))


def answers() -> st.SearchStrategy[bytes]:
    """Return spoiled answers."""
    query = RowQuery(config("http://h")).page(Place(0), None, 0.0, 10)
    return json_texts(
        json.loads(TABLE(Request("/", [(key, str(value)) for key, value in query], {})).body)
    )


def states() -> st.SearchStrategy[bytes]:
    """Return spoiled cursors of the source's own."""
    cursor = json.loads(read(None).cursor or "")
    return json_texts({**cursor, "after": [1_699_999_950_000_000, "17"], "begun": NOW})


def continue_from(cursor: bytes) -> None:
    """Continue from a spoiled cursor, twice."""
    read(None, read(None, SourceState(cursor.decode(errors="replace"))))
