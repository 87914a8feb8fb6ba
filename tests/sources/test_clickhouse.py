"""The ClickHouse source against a fake of the HTTP interface; tests/clickhouse has the engine."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trunkwatch.config.clickhouse import COLUMN_KEYS
from trunkwatch.domain.evidence import EvidenceRules, evidence_of
from trunkwatch.domain.model import Evidence, Trunk
from trunkwatch.engine.facts import EMPTY_STATE
from trunkwatch.errors import BadAnswerError, CredentialsError, NotFoundError, RequestError
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.sources.clickhouse import api, source
from trunkwatch.sources.clickhouse.query import Bundle, Place, RowQuery
from trunkwatch.sources.clickhouse.rows import RowParser

from tests.clickhouse.fake import FakeClickHouse, config, exception
from tests.docs import markdown
from tests.sources.reading import TRUNK, Reader, sha
from tests.support.clock import Clock
from tests.support.fakehttp import Answer, HttpServer, as_json, serving
from tests.support.gitrepo import GitRepo

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOW = 1_700_000_000
A, B = sha(1), sha(2)
DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    """Return a clock that shows an hour after `NOW`."""
    return Clock(NOW + 3600.0)


@pytest.fixture
def table() -> FakeClickHouse:
    return FakeClickHouse()


@pytest.fixture
def server(table: FakeClickHouse) -> Iterator[HttpServer]:
    with serving(table) as running:
        yield running


@pytest.fixture
def reader(server: HttpServer, clock: Clock) -> Reader:
    return Reader(config(server.url), clock)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page have two rows, and a refresh two pages."""
    monkeypatch.setattr(api, "PAGE_ROWS", 2)
    monkeypatch.setattr(source, "PAGES", 2)


def queries(server: HttpServer) -> list[str]:
    return [request.one("query") or "" for request in server.requests]


# ---------------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("settings", "values", "result"),
    [
        ({}, {"status": "completed", "conclusion": "failure"}, ("completed", "failure")),
        ({}, {"status": "completed"}, ("completed", None)),
        ({}, {"status": "in_progress", "conclusion": "failure"}, ("in_progress", None)),
        ({}, {"status": "QUEUED"}, ("queued", None)),
        ({}, {"conclusion": "success"}, ("completed", "success")),
        ({}, {"conclusion": "pending"}, ("pending", None)),
        ({}, {}, ("in_progress", None)),
        ({}, {"status": "dreaming"}, ("dreaming", None)),
        ({}, {"conclusion": "Broken-ish"}, ("completed", "broken-ish")),
        ({"values": {"ok": "success"}}, {"status": "OK"}, ("completed", "success")),
        ({"values": {"Ko": "failure"}}, {"conclusion": "kO"}, ("completed", "failure")),
        ({}, {"conclusion": "failure", "allow_failure": "1"}, ("completed", "neutral")),
        ({}, {"conclusion": "timed_out", "allow_failure": "true"}, ("completed", "neutral")),
        ({}, {"conclusion": "success", "allow_failure": "1"}, ("completed", "success")),
        (
            {"allow_failure": "fail"},
            {"conclusion": "failure", "allow_failure": "1"},
            ("completed", "failure"),
        ),
        ({"preset": "buildkite"}, {"status": "passed"}, ("completed", "success")),
        ({"preset": "buildkite"}, {"status": "failed"}, ("completed", "failure")),
        (
            {"preset": "buildkite"},
            {"status": "failed", "allow_failure": "true"},
            ("completed", "neutral"),
        ),
        ({"preset": "buildkite"}, {"status": "broken"}, ("completed", "skipped")),
        ({"preset": "buildkite"}, {"status": "assigned"}, ("queued", None)),
        ({"preset": "buildkite"}, {"status": "timing_out"}, ("in_progress", None)),
        ({"preset": "pytorch"}, {"status": "waiting"}, ("waiting", None)),
    ],
    ids=repr,
)
def test_words_become_those_of_the_evidence_table(
    settings: dict[str, Any], values: dict[str, str], result: tuple[str, str | None]
) -> None:
    """`values` maps in any case; an unfinished status wins, and an unmapped word stays itself."""
    given = {"repo": "o/r", "branch": "main", "sha": A, "job_name": "test", **values}
    parser = RowParser(config("http://h", **settings))
    own = {"sha": [given.pop("sha")]}
    (row,) = parser.observations([Bundle(given, own, [1], Place(0))], NOW, lambda *_: None)
    assert (row.status, row.conclusion) == result


def test_every_key_of_columns_is_documented() -> None:
    """The table of the document has each key once, and no other."""
    rows = markdown.table((DOCS / "clickhouse.md").read_text(), "key of `columns`")
    assert sorted(row[0].strip("`") for row in rows) == sorted(COLUMN_KEYS)


def test_a_row_has_all_that_a_person_needs(table: FakeClickHouse, reader: Reader) -> None:
    """Ids that are numbers are numbers; 1970 and empty texts are none."""
    table.add(
        A.upper(), "failure", run_id=7, attempt=2, job_id="x-01", event="schedule", url="https://l",
        failed_step="Test", infra=1, created_at=0, started_at=NOW - 60, completed_at=NOW,
        written=NOW,
    )  # fmt: skip
    reader.refresh()
    row = reader.only_row()
    assert (row.trunk, row.sha, row.job.workflow_name, row.job.job_name) == (TRUNK, A, "ci", "test")
    assert (row.run_id, row.attempt, row.job_id, row.event) == (7, 2, "x-01", "schedule")
    assert (row.created_at, row.started_at, row.completed_at) == (None, NOW - 60, NOW)
    assert (row.url, row.failed_step, row.infra) == ("https://l", "Test", True)
    assert (row.head_branch, row.head_repo) == ("main", "o/r")
    assert evidence_of(row, EvidenceRules(), None, NOW) is Evidence.FAIL


def test_versions_of_one_row_are_one_result(
    table: FakeClickHouse, server: HttpServer, reader: Reader
) -> None:
    """A completed version wins over unfinished ones, before and after it, without FINAL."""
    for place, (status, conclusion) in enumerate(
        [("queued", ""), ("in_progress", ""), ("completed", "failure"), ("in_progress", "")]
    ):
        table.add(A, conclusion, status=status, job_id=1, written=NOW + place)
        table.add(
            A, "", status=status.replace("completed", "queued"), job_id=2, written=NOW + place
        )
    reader.refresh()
    assert [(row.job_id, row.status) for row in reader.rows()] == [
        (1, "completed"),
        (2, "in_progress"),
    ]
    assert "FINAL" not in queries(server)[0]


def test_attempts_and_two_results_of_one_row_are_kept(
    table: FakeClickHouse, reader: Reader
) -> None:
    """A failure and a pass are a flake, whether as attempts or as a row that changed in place."""
    table.add(A, "failure", attempt=1, job_id=1, written=NOW)
    table.add(A, "success", attempt=2, job_id=2, written=NOW + 1)
    table.add(B, "failure", job_id=3, written=NOW)
    reader.refresh()
    table.rows[-1] = table.add(B, "success", job_id=3, written=NOW + 5)
    reader.refresh()
    found = sorted((row.sha, row.attempt, row.conclusion or "") for row in reader.rows())
    assert found == [(A, 1, "failure"), (A, 2, "success"), (B, 1, "failure"), (B, 1, "success")]


def test_only_configured_trunks_are_read(
    table: FakeClickHouse, server: HttpServer, clock: Clock
) -> None:
    """Repositories and branches are names that may hold anything, and stay out of the query."""
    odd = "it's\\ `x`} OR 1=1 --"
    for number, (repo, branch) in enumerate([("o/r", odd), ("o/r", "main"), (odd, "main")]):
        table.add(A, repo=repo, branch=branch, job_id=number, written=NOW)
    reader = Reader(config(server.url, repos=[odd], branches=["main", odd]), clock)
    reader.refresh()
    assert reader.only_row().trunk == Trunk(odd, "main")
    assert queries(server) == [
        RowQuery(config("http://h")).page(Place(0), None, 0.0, 100_000)[0][1]
    ]


def test_constants_and_patterns_are_parameters() -> None:
    """No text of the configuration becomes SQL but checked names, which are quoted."""
    columns = {
        "repo": {"column": "ci.url", "extract": "github.com/([^/]+/[^/']+)"},
        "branch": {"value": "ma'in"},
        "sha": "build.commit",
        "job_name": "job-name",
        "conclusion": "state",
    }
    settings = config("http://h", columns=columns, pruned_by="day")
    (_, sql), *parameters = RowQuery(settings).page(Place(5, "7"), 8, 9.0, 10)
    own = ("'DateTime64(6, \\'UTC\\')'", "'UTC'", "'throw'", "''")
    assert "'" not in re.sub("|".join(map(re.escape, own)), "", sql)
    assert "extract(toString(`ci`.`url`), {repo:String})" in sql
    assert "`build`.`commit`" in sql
    assert dict(parameters) == {
        "wait_end_of_query": "1",
        "param_repo": "github.com/([^/]+/[^/']+)",
        "param_branch": "ma'in",
        "param_repos": "['o/r']",
        "param_branches": "['main']",
        "param_written": "5",
        "param_until": "8",
        "param_key": "7",
        "param_oldest": "9000000",
        "param_day": "86400000000",
    }


# ---------------------------------------------------------------------- rows that cannot be used


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [({"sha": "v1.2"}, "sha"), ({"sha": None}, "sha"), ({"job_name": ""}, "job_name")],
)
def test_a_bad_row_is_dropped_and_counted_once(
    table: FakeClickHouse, reader: Reader, spoiled: dict[str, Any], reason: str
) -> None:
    """The others count."""
    table.add(A, written=NOW)
    table.rows.append({**table.rows[0], "job_id": 9, **spoiled})
    reader.refresh()
    reader.refresh()
    assert (len(reader.rows()), reader.dropped) == (1, {reason: 1})


def test_a_cold_start_without_a_usable_row_is_an_error(
    table: FakeClickHouse, reader: Reader
) -> None:
    """It names the key that is probably wrong."""
    table.add("main", written=NOW)
    with pytest.raises(BadAnswerError, match=r"no row .* columns\.sha: not the full hash"):
        reader.refresh()
    table.rows.clear()
    reader.refresh()
    assert reader.rows() == []


# ---------------------------------------------------------------------- new rows


def test_a_quiet_table_costs_one_request(
    table: FakeClickHouse, server: HttpServer, reader: Reader
) -> None:
    """Each refresh looks back two minutes behind the newest row: rows become visible late."""
    table.add(A, written=NOW)
    reader.refresh()
    table.add(A, job_id=2, written=NOW - 119)
    table.add(A, job_id=3, written=NOW - 121)
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [1, 2]
    assert len(server.requests) == 2
    assert reader.report.trunks[TRUNK].read_until == NOW + 3600.0


def test_a_cold_start_reads_no_more_than_look_back(
    table: FakeClickHouse, server: HttpServer, clock: Clock
) -> None:
    """Older rows are not asked for."""
    table.add(A, written=clock.now - 2 * DAY - 1)
    table.add(B, written=clock.now - 2 * DAY + 1)
    reader = Reader(config(server.url, look_back="2d"), clock)
    reader.refresh()
    assert reader.only_row().sha == B


def test_a_cold_start_with_a_clone_begins_a_day_before_its_oldest_commit(
    table: FakeClickHouse, server: HttpServer, clock: Clock, tmp_path: Path
) -> None:
    """The order is the clone's first-parent chain; a missing branch is an error of its trunk."""
    repo = GitRepo(tmp_path)
    commit = repo.commit(date=NOW)
    repo.push()
    table.add(commit, written=NOW - DAY + 1)
    table.add(commit, job_id=2, written=NOW - DAY - 1)
    branches = ["main", "release"]
    reader = Reader(config(server.url, git=str(repo.bare), branches=branches), clock)
    reader.refresh()
    assert reader.only_row().job_id == 1
    assert reader.order() == [commit]
    error = reader.report.trunks[Trunk("o/r", "release")].error
    assert error is not None
    assert "has no branch 'release'" in str(error)
    assert reader.report.failure is None


@pytest.mark.usefixtures("small_pages")
def test_pages_lose_nothing_while_rows_move(
    table: FakeClickHouse, server: HttpServer, clock: Clock
) -> None:
    """Rows that are replaced, merged or added between two pages shift no page."""
    for number in range(5):
        table.add(A, "", job_id=number, written=NOW)
    reader = Reader(config(server.url), clock)

    def moved(request: Any) -> Answer:
        answer = table(request)
        table.rows = [row for row in table.rows if row["job_id"] != 0]
        table.add(A, "success", job_id=len(server.requests), written=NOW + len(server.requests))
        return answer

    server.handler = moved
    reader.refresh()
    assert reader.report.retry_after == 0.0
    server.handler = table
    while reader.report.retry_after == 0.0:
        reader.restart()
        reader.refresh()
    assert {row.job_id for row in reader.rows()} >= {1, 2, 3, 4}
    assert {row.job_id for row in reader.rows() if row.finished} == {1, 2}


@pytest.mark.usefixtures("small_pages")
def test_a_long_read_goes_on_where_it_stopped(
    table: FakeClickHouse, server: HttpServer, clock: Clock
) -> None:
    """Thousands of rows of one second are read in several refreshes, and then the slack counts."""
    for number in range(13):
        table.add(A, job_id=number, written=NOW)
    twins = [table.add(A, state, job_id=99, written=NOW) for state in ("failure", "success")]
    reader = Reader(config(server.url), clock)
    refreshes = 0
    while reader.report.retry_after == 0.0 or not refreshes:
        reader.refresh()
        reader.restart()
        is_done = reader.report.retry_after is None
        assert (reader.report.trunks[TRUNK].read_until is not None) == is_done
        refreshes += 1
    assert refreshes > 3
    assert len(reader.rows()) == 13 + len(twins)
    # It became visible during the read, behind the place that was reached.
    table.add(A, job_id=100, written=NOW - 100)
    for _ in range(9):
        reader.refresh()
    assert len(reader.rows()) == 14 + len(twins)


def test_a_cursor_of_the_future_is_not_believed(
    table: FakeClickHouse, reader: Reader, clock: Clock
) -> None:
    """Neither a row whose time is ahead nor a clock that was wrong hides later rows."""
    clock.now += 365 * DAY
    table.add(A, written=NOW + 300 * DAY)
    reader.refresh()
    clock.now -= 365 * DAY
    table.add(B, written=clock.now - 60)
    reader.refresh()
    assert {row.sha for row in reader.rows()} == {A, B}


@pytest.mark.parametrize("cursor", ["", "[]", '{"scope":"another","since":1}', '{"since":"x"}'])
def test_another_configuration_or_a_damaged_cursor_begins_anew(
    table: FakeClickHouse, reader: Reader, cursor: str
) -> None:
    """Reading begins as on a cold start."""
    table.add(A, written=NOW)
    reader.refresh()
    state = type(EMPTY_STATE)(cursor)
    context = SourceContext(http=HttpContext(clock=lambda: NOW + 3600.0))
    facts = list(build_source(reader._config, context).refresh(state).facts)
    assert len(facts) == 2


# ---------------------------------------------------------------------- answers


def answered(answer: Answer) -> Callable[[Any], Answer]:
    return lambda _request: answer


@pytest.mark.parametrize(
    ("code", "text", "status", "kind", "shown"),
    [
        (60, "Unknown table expression identifier 'ci.jobs'.", 404, NotFoundError,
         "the table ci.jobs does not exist; set database and table"),
        (81, "Database ci does not exist.", 404, NotFoundError, "set database"),
        (497, "reader: Not enough privileges. To execute this query, it's necessary to have the"
         " grant SELECT(sha) ON ci.jobs. (ACCESS_DENIED)", 500, NotFoundError,
         "the user reader may not read ci.jobs: GRANT SELECT ON ci.jobs TO reader"),
        (47, "Unknown expression identifier `head_sha`. In scope SELECT ...", 404, BadAnswerError,
         "columns.sha: head_sha is a column that ci.jobs does not have"),
        (47, "Missing columns: 'written' while processing query, required columns: 'written'", 500,
         BadAnswerError, "cursor: written is a column"),
        (43, "No operation greaterOrEquals between String and DateTime64(6, 'UTC')", 400,
         BadAnswerError, "times must be DateTime"),
        (164, "Cannot modify 'timeout_overflow_mode' setting in readonly mode. (READONLY)", 500,
         BadAnswerError, "the profile of reader ends queries early"),
        (159, "Timeout exceeded: elapsed 5.2 seconds, maximum: 5.", 408, BadAnswerError,
         "max_execution_time; set pruned_by"),
        (241, "Memory limit (for query) exceeded", 500, BadAnswerError, "max_memory_usage"),
        (999, "Something about hunter2", 500, BadAnswerError, "see the log (code 999)"),
    ],
)  # fmt: skip
def test_an_exception_is_an_error_that_names_what_to_do(
    server: HttpServer, clock: Clock, code: int, text: str, status: int,
    kind: type[RequestError], shown: str,
) -> None:  # fmt: skip
    """Whatever the HTTP status is; ClickHouse's own words are in the log only."""
    server.handler = answered(exception(code, text, status))
    columns = {**{key: key for key in ("repo", "branch", "job_name", "status")}, "sha": "head_sha"}
    reader = Reader(config(server.url, user="reader", columns=columns), clock)
    with pytest.raises(kind) as caught:
        reader.refresh()
    assert shown in str(caught.value)
    assert text not in str(caught.value)
    assert text[:20] in caught.value.detail


def test_a_code_that_is_no_code_is_not_read(server: HttpServer, clock: Clock) -> None:
    """Python refuses to read a number of thousands of digits."""
    headers = {"X-ClickHouse-Exception-Code": "9" * 5000}
    server.handler = answered(Answer(400, b"no", headers=headers))
    with pytest.raises(BadAnswerError, match="HTTP 400"):
        Reader(config(server.url), clock).refresh()


ROWS = b'{"meta":[],"data":[["o/r"'
LATE = b"\n__exception__\r\nCode: 241. DB::Exception: Query memory limit exceeded (MEMORY_LIMIT)\n"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (ROWS + LATE, "ends with an exception: the query needs more memory"),
        (json.dumps({"data": [], "rows": 0, "exception": LATE.decode()}).encode(),
         "ends with an exception: the query needs more memory"),
        (ROWS, "not JSON, or is cut off"),
        (b"", "not JSON, or is cut off"),
        (b"Ok.\n", "is it ClickHouse's HTTP interface"),
        (b'{"data":[],"rows":2}', "another number of rows"),
        (b'{"rows":0}', "another number of rows"),
        (b'{"data":[["o/r"]],"rows":1}', "other columns than the query"),
        (b'{"data":[7],"rows":1}', "other columns than the query"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_whole_counts_for_nothing(
    table: FakeClickHouse, server: HttpServer, reader: Reader, body: bytes, shown: str
) -> None:
    """Not even its rows before an exception; the stored results and the position stay."""
    table.add(A, written=NOW)
    reader.refresh()
    before = reader.store.load().sources["ci"].state
    server.handler = answered(Answer(200, body))
    with pytest.raises(BadAnswerError, match=shown):
        reader.refresh()
    assert reader.store.load().sources["ci"].state == before


@pytest.mark.parametrize(
    ("place", "value"),
    [(-3, []), (-3, [1, 1]), (-3, [1, 3]), (-3, [1]), (-4, [A]), (-2, -1), (-1, "x"), (-1, "")],
)
def test_a_bundle_without_one_of_its_rows_counts_for_nothing(
    table: FakeClickHouse, server: HttpServer, clock: Clock, place: int, value: object
) -> None:
    """The rows of a page are numbered, and each list of a bundle has a value of each."""
    for number in range(2):
        table.add(A, job_id=number, written=NOW)

    def spoiled(request: Any) -> Answer:
        document = json.loads(table(request).body)
        document["data"][0][place] = value
        return as_json(document)

    server.handler = spoiled
    with pytest.raises(BadAnswerError, match="other columns than the query"):
        Reader(config(server.url), clock).refresh()


def test_rows_that_share_their_address_have_their_own(
    table: FakeClickHouse, reader: Reader
) -> None:
    """An answer has one address with signs for the ids, in whatever order they are in it."""
    urls = {(job, run): f"https://ci/{job}/{run}#{job}" for job, run in ((7, 12), (12, 7), (71, 7))}
    for (job, run), url in urls.items():
        table.add(A, job_id=job, run_id=run, url=url, written=NOW)
    reader.refresh()
    assert {(row.job_id, row.run_id): row.url for row in reader.rows()} == urls


@pytest.mark.usefixtures("small_pages")
def test_a_refresh_that_fails_at_its_second_page_stores_nothing(
    table: FakeClickHouse, server: HttpServer, clock: Clock
) -> None:
    """All or nothing."""
    for number in range(4):
        table.add(A, job_id=number, written=NOW)
    reader = Reader(config(server.url), clock)
    server.handler = lambda request: (
        exception(241, "Memory limit", 500) if request.one("param_key") else table(request)
    )
    with pytest.raises(BadAnswerError, match="max_memory_usage"):
        reader.refresh()
    assert reader.rows() == []


def test_answers_that_are_too_large_are_asked_for_in_parts(
    table: FakeClickHouse, server: HttpServer
) -> None:
    """A refresh asks for fewer rows at once, down to a hundred."""
    for number in range(300):
        table.add(A, job_id=number, written=NOW, url="x" * 300)
    context = SourceContext(http=HttpContext(clock=lambda: NOW + 3600.0, max_answer_bytes=100_000))
    made = build_source(config(server.url), context)
    assert len(list(made.refresh(EMPTY_STATE).facts)) == 301
    server.handler = answered(as_json({"data": ["x" * 100_000], "rows": 1}))
    with pytest.raises(BadAnswerError, match="larger than 100000 bytes"):
        made.refresh(EMPTY_STATE)


def test_a_refused_password_is_not_sent_again_at_once(
    table: FakeClickHouse, server: HttpServer, clock: Clock, tmp_path: Path
) -> None:
    """ClickHouse answers 403 or 401; a new password in the file is used at the next refresh."""
    table.password = "right"
    path = tmp_path / "password"
    path.write_text("wrong")
    reader = Reader(config(server.url, user="reader", password_file=str(path)), clock)
    for _ in range(2):
        with pytest.raises(CredentialsError, match="refuses the user reader with password_file"):
            reader.refresh()
    assert len(server.requests) == 1
    path.write_text("right\n")
    reader.refresh()
    assert len(server.requests) == 2


def test_without_a_user_a_refusal_is_an_error_of_the_login(
    table: FakeClickHouse, server: HttpServer
) -> None:
    """Name and password may also be in the address."""
    table.password = "right"
    with pytest.raises(CredentialsError, match="set user, and password_file"):
        Reader(config(server.url), Clock(NOW)).refresh()
    Reader(config(server.url.replace("//", "//reader:right@")), Clock(NOW)).refresh()


def test_a_password_may_be_in_the_environment(
    table: FakeClickHouse, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set is an error that names it, and nothing is sent."""
    table.password = "right"
    login = {"user": "reader", "password_env": "CH_PASSWORD"}
    reader = Reader(config(server.url, **login), Clock(NOW))
    monkeypatch.delenv("CH_PASSWORD", raising=False)
    with pytest.raises(CredentialsError, match="password_env CH_PASSWORD: this variable"):
        reader.refresh()
    assert server.requests == []
    monkeypatch.setenv("CH_PASSWORD", "right")
    reader.refresh()


def test_a_user_may_have_no_password(server: HttpServer) -> None:
    """Name and empty password are sent."""
    Reader(config(server.url, user="reader"), Clock(NOW)).refresh()
    assert server.requests[0].headers["Authorization"] == "Basic cmVhZGVyOg=="
