"""The source on the real engine: the tables of the presets, the fake's answers, real errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trunkwatch.config import ClickhouseSource
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.sources.clickhouse import api, source

from tests.clickhouse.compare import compare
from tests.clickhouse.engine import JOBS, Engine, insert, running_engine, stored
from tests.clickhouse.fake import COLUMNS, FakeClickHouse, config
from tests.sources.one_history import PLAYERS, printed_table, recorded, table
from tests.sources.reading import Reader, sha
from tests.support.clock import Clock
from tests.support.fakehttp import serving

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("clickhouse")]

NOW = 1_790_000_000
A, B = sha(1), sha(2)

# The columns of https://github.com/pytorch/test-infra that the preset reads, with their types.
WORKFLOW_JOB = """
CREATE TABLE default.workflow_job (
    id Int64, run_id Int64, run_attempt Int64, dynamoKey String, head_sha String,
    head_branch String, name String, workflow_name String, status String, conclusion String,
    created_at DateTime64(9), started_at DateTime64(9), completed_at DateTime64(9),
    html_url String, url String,
    steps Array(Tuple(completed_at DateTime64(9), conclusion String, name String, number Int64,
                      started_at DateTime64(9), status String)),
    _inserted_at DateTime MATERIALIZED now(),
    repository_full_name String
        ALIAS extractAll(url, 'https://api.github.com/repos/([^/]+/[^/]+)/actions/jobs/')[1],
    workflow_event String ALIAS if(run_id = 2, 'schedule', ''),
    INDEX created_at_index created_at TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY (id, run_id, dynamoKey)
"""

BUILDKITE_JOBS = """
CREATE TABLE vllm.vllm_buildkite_jobs (
    dynamoKey String,
    build Tuple(branch String, commit String, number UInt32, source String,
                pull_request Tuple(id Nullable(String))),
    job Tuple(id String, name String, type String, state String, soft_failed Bool, web_url String,
              parallel_group_index Nullable(UInt32), parallel_group_total Nullable(UInt32),
              created_at DateTime64(3), started_at Nullable(DateTime64(3)),
              finished_at Nullable(DateTime64(3))),
    pipeline Tuple(name String, repository String)
) ENGINE = ReplacingMergeTree ORDER BY (build.number, job.id, dynamoKey)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("clickhouse")) as running:
        for statement in ("CREATE DATABASE ci", "CREATE DATABASE vllm"):
            running.run(statement)
        for table in (JOBS, WORKFLOW_JOB, BUILDKITE_JOBS):
            running.run(table)
        yield running


@pytest.fixture(autouse=True)
def without_rows(engine: Engine) -> None:
    """Remove the rows of other tests, which run in any order."""
    engine.run("TRUNCATE TABLE ci.jobs")


def preset(engine: Engine, name: str, repo: str) -> ClickhouseSource:
    """Return a source with nothing but a preset."""
    given = {"name": "ci", "type": "clickhouse", "url": engine.url, "preset": name}
    return ClickhouseSource.model_validate({**given, "repos": [repo], "branches": ["main"]})


def test_the_fake_answers_like_the_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows are the same results, page by page, with names that need escapes."""
    monkeypatch.setattr(api, "PAGE_ROWS", 3)
    monkeypatch.setattr(source, "PAGES", 2)
    odd = "it's\\ `x`%} OR 1=1 --"
    fake = FakeClickHouse()
    for number in range(20):
        at = NOW + number // 7
        started = at - 30 if number % 2 else None
        more = {
            "job_id": number % 9,
            "branch": odd if number % 3 else "main",
            "started_at": started,
        }
        conclusion = ("failure", "success", "", "new word")[number % 4]
        ended = at if conclusion else 0
        fake.add(
            sha(number % 4), conclusion, written=at, created_at=at - 60, completed_at=ended, **more
        )
    fake.add(A, "failure", allow_failure=1, infra=True, workflow=None, written=NOW, url="https://l")
    fake.add(A, repo="o/other", written=NOW)
    # Rows one by one: none is replaced before it is read.
    engine.run("SYSTEM STOP MERGES ci.jobs")
    for row in fake.rows:
        insert(engine, "ci.jobs", [stored(row)])
    with serving(fake) as server:
        readers = [
            Reader(config(url, branches=["main", odd], pruned_by=pruned), Clock(NOW + 60.0))
            for url, pruned in ((server.url, None), (engine.url, "started_at"))
        ]
        for reader in readers:
            while reader.report.retry_after == 0.0 or not reader.rows():
                reader.refresh()
                reader.restart()
    assert readers[0].rows() == readers[1].rows()
    assert len(readers[0].rows()) > 9


def test_random_histories_are_read_row_for_row(engine: Engine) -> None:
    """Rows that an answer has in bundles are the rows of the table, whatever they share."""
    assert compare(engine, rows=1_000, seed=1) > 500


def test_the_preset_pytorch_reads_its_table(engine: Engine) -> None:
    """Attempts, 1970, an event that is blank at first, the failed step and a stale version."""
    url = "https://api.github.com/repos/pytorch/pytorch/actions/jobs/1"
    results = {"Set up": "success", "Test": "failure", "Upload": "failure"}
    steps = [{"name": name, "conclusion": result} for name, result in results.items()]
    row = {"id": 1, "run_id": 1, "run_attempt": 1, "dynamoKey": "a", "head_sha": A,
           "head_branch": "main", "name": "linux / test (default, 1, 4, linux.g5)",
           "workflow_name": "pull", "status": "completed", "conclusion": "failure",
           "created_at": 0, "started_at": 0, "completed_at": 0, "html_url": "https://l", "url": url,
           "steps": steps}  # fmt: skip
    engine.run("SYSTEM STOP MERGES default.workflow_job")
    for change in (
        {"status": "in_progress", "conclusion": "", "steps": []},
        {},
        {"id": 2, "run_attempt": 2, "conclusion": "success", "steps": [], "dynamoKey": "b"},
        {"id": 3, "run_id": 2, "status": "queued", "conclusion": "", "steps": []},
        {"id": 4, "head_branch": "topic"},
        {"id": 5, "url": url.replace("pytorch/pytorch", "pytorch/vision")},
    ):
        insert(engine, "default.workflow_job", [{**row, **change}])
    reader = Reader(preset(engine, "pytorch", "pytorch/pytorch"))
    for _ in range(2):
        reader.refresh()
    found = [
        (r.job_id, r.run_id, r.attempt, r.conclusion, r.failed_step, r.event) for r in reader.rows()
    ]
    assert found == [
        (1, 1, 1, "failure", "Test", "push"),
        (2, 1, 2, "success", None, "push"),
        (3, 2, 1, None, None, "schedule"),
    ]
    assert {row.trunk for row in reader.rows()} == {Trunk("pytorch/pytorch", "main")}
    assert {row.ended_at for row in reader.rows()} == {None}


def test_the_preset_buildkite_reads_its_table(engine: Engine) -> None:
    """Parallel jobs keep apart, soft failures are allowed, waits and pull requests do not count."""
    at = NOW + 0.5
    job: dict[str, object] = {"id": "a", "name": "Tests", "type": "script", "state": "passed"}
    job |= {"created_at": at, "started_at": at, "finished_at": at + 9}
    build = {"branch": "main", "commit": A, "number": 7, "source": "webhook"}
    rows: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"id": "a", "parallel_group_index": index, "parallel_group_total": 2, "state": state}, {})
        for index, state in ((0, "passed"), (1, "failed"))
    ] + [
        ({"id": "b", "name": "Lint", "state": "failed", "soft_failed": True}, {}),
        ({"id": "c", "name": "", "type": "waiter"}, {}),
        (
            {"id": "d", "name": "Nightly", "state": "running", "finished_at": None},
            {"source": "schedule"},
        ),
        ({"id": "e", "name": "PR"}, {"pull_request": {"id": "12"}}),
    ]
    insert(engine, "vllm.vllm_buildkite_jobs", [
        {"dynamoKey": str(number), "job": {**job, **own}, "build": {**build, **of},
         "pipeline": {"name": "CI", "repository": "https://github.com/vllm-project/vllm.git"}}
        for number, (own, of) in enumerate(rows)
    ])  # fmt: skip
    reader = Reader(preset(engine, "buildkite", "vllm-project/vllm"), Clock(NOW + 60.0))
    reader.refresh()
    found = sorted(
        (row.job.job_name, row.status, row.conclusion, row.event) for row in reader.rows()
    )
    assert found == [
        ("Lint", "completed", "neutral", "push"),
        ("Nightly", "in_progress", None, "schedule"),
        ("PR", "completed", "success", "pull_request"),
        ("Tests 1/2", "completed", "success", "push"),
        ("Tests 2/2", "completed", "failure", "push"),
    ]
    assert {row.run_id for row in reader.rows()} == {7}
    assert reader.rows()[0].completed_at == at + 9


def test_bytes_that_are_no_text_do_not_hide_other_rows(engine: Engine) -> None:
    """A String of ClickHouse may hold any bytes."""
    engine.run(
        "INSERT INTO ci.jobs (repo, branch, sha, job_id, job_name, status, conclusion, written)"
        f" SELECT 'o/bytes', 'main', '{A}', arrayJoin(['C328', '6F6B', '0061']) AS hex, unhex(hex),"
        f" 'completed', 'success', {NOW}"
    )
    reader = Reader(config(engine.url, repos=["o/bytes"]), Clock(NOW + 60.0))
    reader.refresh()
    assert sorted(row.job.job_name for row in reader.rows()) == ["\0a", "ok", "\ufffd("]


def test_a_constant_and_a_part_of_a_column_are_values(engine: Engine) -> None:
    """A table need not have each value as a column; patterns and constants need no escapes."""
    fake = FakeClickHouse()
    fake.add(A, repo="https://git/o/odd", written=NOW, url=r"it's \1", workflow=None)
    insert(engine, "ci.jobs", [stored(row) for row in fake.rows])
    own: dict[str, object] = {
        "repo": {"column": "repo", "extract": r"git/(\w+/\w+)"},
        "url": {"column": "url", "extract": r"'s (\\.)"},
        "workflow": {"value": r"it's\a"},
    }
    columns = {**{key: key for key in COLUMNS}, **own}
    reader = Reader(config(engine.url, columns=columns, repos=["o/odd"]), Clock(NOW + 60.0))
    reader.refresh()
    row = reader.only_row()
    assert (row.trunk.repo, row.url, row.job.workflow_name) == ("o/odd", r"\1", r"it's\a")


@pytest.mark.parametrize(
    ("more", "kind", "shown"),
    [
        ({"table": "nope"}, NotFoundError, "the table ci.nope does not exist"),
        ({"database": "nope"}, NotFoundError, "the database of nope.jobs does not exist"),
        ({"cursor": "nope"}, BadAnswerError, "cursor: nope is a column that ci.jobs does not have"),
        ({"pruned_by": "job_id"}, BadAnswerError, "times must be DateTime"),
        ({"columns": {"sha": "head.sha"}}, BadAnswerError, "columns.sha: head.sha is a column"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_real_exceptions_name_the_key(
    engine: Engine, more: dict[str, Any], kind: type[Exception], shown: str
) -> None:
    """The exception about a wrong table or column leads to a key of the configuration."""
    columns = {**{key: key for key in COLUMNS}, **more.get("columns", {})}
    reader = Reader(config(engine.url, **{**more, "columns": columns}), Clock(NOW + 60.0))
    with pytest.raises(kind, match=shown):
        reader.refresh()


def test_check_prints_the_table_that_recorded_prints(engine: Engine, tmp_path: Path) -> None:
    """The history of tests/sources/test_same_table.py is the same table on the real engine."""
    with PLAYERS["clickhouse"](tmp_path) as (section, commits):
        insert(engine, "ci.jobs", [stored(row) for row in table(commits).rows])
        found = printed_table({**section, "url": engine.url}, tmp_path)
    with recorded(tmp_path, commits) as (section, _):
        assert found == printed_table(section, tmp_path)
