"""`make bench`: the first reading of a large table of ClickHouse, in bundles and row by row.

*Letters* are the least that could be read: what each job gave at each commit, in one query, without
the links, times and attempts that the exporter shows. What follows a reading is measured too, since
it is the same for each. Without the engine (tools/fetch-engines) nothing is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.config import ClickhouseSource, parse_config
from trunkwatch.domain.model import Commit, Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import Cursor, SourceState
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.sources.clickhouse.api import PAGE_ROWS
from trunkwatch.sources.clickhouse.query import OWN, WHOLE, Bundle, Place, RowQuery
from trunkwatch.sources.clickhouse.rows import RowError, RowParser, without_versions
from trunkwatch.store import SqliteStore

from tests.clickhouse.engine import Engine, running_engine

TRUNK = Trunk("o/r", "main")
COMMITS, JOBS = 50, 2_000
START, SPACING = 1_790_000_000, 1_200
NOW = float(START + COMMITS * SPACING + 3_600)
PARSED_ROWS = 1_000
"""Rows that are parsed at once where each is a bundle of its own."""

LOOK_BACK = "30d"
COMMIT_LOOK_BACK = f"{3_600 + 580}s"
"""How far before `NOW` the results of the newest commit were written, and none of another."""

TABLE = """
CREATE TABLE ci.jobs (
    repo LowCardinality(String), branch LowCardinality(String), sha String,
    workflow LowCardinality(String), job_name String, status LowCardinality(String),
    conclusion LowCardinality(String), run_id UInt64, attempt UInt8, job_id UInt64,
    created_at DateTime64(3), started_at DateTime64(3), completed_at DateTime64(3), url String,
    failed_step String, written DateTime
) ENGINE = ReplacingMergeTree ORDER BY (run_id, job_id)
"""

FILL = f"""
INSERT INTO ci.jobs SELECT
    'o/r', if(number % 2, 'main', 'topic'), lower(leftPad(hex(place + 1), 40, '0')),
    concat('workflow ', toString(job % 40)),
    concat('linux-jammy-py3.10 / test (suite ', toString(job), ', linux.g5.4xlarge)'),
    'completed', multiIf(is_broken, 'failure', luck < 10, 'failure', luck < 20, 'skipped',
                         'success'),
    10000000000 + place * 100 + job % 40, 1, 40000000000 + number, at, at + luck % 90,
    at + 600 + luck, concat('https://github.com/o/r/actions/runs/',
    toString(10000000000 + place * 100 + job % 40), '/job/', toString(40000000000 + number)),
    if(is_broken OR luck < 10, 'Test', ''), toDateTime(at + 620 + luck)
FROM (
    SELECT number, intDiv(number, 2 * {JOBS}) AS place, intDiv(number, 2) % {JOBS} AS job,
        cityHash64(number) % 1000 AS luck, {START} + place * {SPACING} AS at,
        cityHash64(job, intDiv(place + job % 37, 37)) % 100 < 2 AS is_broken
    FROM numbers({2 * COMMITS * JOBS})
)
"""  # noqa: S608 — numbers of this module
"""Results of the trunk, of which one job in fifty breaks for some time, and as many of others."""

LETTERS = """
SELECT workflow, job_name, groupArray(sha),
    groupArray(multiIf(conclusion = 'success', 'P', conclusion = 'failure', 'F', '-'))
FROM ci.jobs WHERE repo = 'o/r' AND branch = 'main' GROUP BY workflow, job_name FORMAT JSONCompact
"""

COLUMNS = (
    "repo", "branch", "sha", "workflow", "job_name", "status", "conclusion", "run_id", "attempt",
    "job_id", "created_at", "started_at", "completed_at", "url", "failed_step",
)  # fmt: skip

Figures = dict[str, float]


class CountingSession(requests.Session):
    """A session that counts answers.

    Attributes:
        sizes: of each answer, in bytes.
    """

    sizes: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.sizes = []

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request."""
        answer = super().request(*args, **kwargs)
        self.sizes.append(len(answer.content))
        return answer


def config(url: str, look_back: str = LOOK_BACK) -> ClickhouseSource:
    """Return the section of the table."""
    return ClickhouseSource.model_validate({
        "name": "ci", "type": "clickhouse", "url": url, "database": "ci", "table": "jobs",
        "cursor": "written", "columns": {key: key for key in COLUMNS}, "repos": [TRUNK.repo],
        "branches": [TRUNK.branch], "look_back": look_back,
    })  # fmt: skip


# ---------------------------------------------------------------------- the ways


def letters(url: str, session: requests.Session) -> list[Observation]:
    """Read what each job gave at each commit."""
    json.loads(session.request("GET", url, params={"query": LETTERS}, timeout=600).content)
    return []


def rows(url: str, session: requests.Session) -> list[Observation]:
    """Read as the source does, but without bundling the rows of a page."""
    query, parser = RowQuery(config(url)), RowParser(config(url))
    after, found = Place(0), list[Observation]()
    while True:
        parameters = dict(query.page(after, None, 0.0, PAGE_ROWS))
        inner = str(parameters["query"]).split(" FROM (")[-1].partition(")) GROUP BY ")[0]
        parameters["query"] = f"{inner} {WHOLE} FORMAT JSONCompact"
        answer = session.request("GET", url, params=parameters, timeout=600)
        page = json.loads(answer.content)["data"]
        for begin in range(0, len(page), PARSED_ROWS):
            part = enumerate(page[begin : begin + PARSED_ROWS], 1)
            alone = [_alone(number, row) for number, row in part]
            found += parser.observations(alone, NOW, _unusable)
        if len(page) < PAGE_ROWS:
            return without_versions(found)
        after = Place(int(page[-1][-2]), str(page[-1][-1]))


def _unusable(error: RowError, _row: object) -> None:
    raise error


def _alone(number: int, row: Sequence[Any]) -> Bundle:
    values = dict(zip(COLUMNS, row, strict=False))
    own = {key: [values.pop(key)] for key in OWN if key in values}
    return Bundle({key: text for key, text in values.items() if text}, own, [number], Place(0))


def bundles(url: str, session: requests.Session, look_back: str = LOOK_BACK) -> list[Observation]:
    """Read with the source."""
    http = HttpContext(lambda: session, clock=lambda: NOW)
    source = build_source(config(url, look_back), SourceContext(http))
    state, found = SourceState(), list[Observation]()
    while True:
        refresh = source.refresh(state)
        for fact in refresh.facts:
            if isinstance(fact, Observation):
                found.append(fact)
            elif isinstance(fact, Cursor):
                state = SourceState(fact.text)
        if refresh.report.retry_after is None:
            return found


WAYS: dict[str, Callable[[str, requests.Session], list[Observation]]] = {
    "letters": letters,
    "rows": rows,
    "bundles": bundles,
    "the newest commit alone": partial(bundles, look_back=COMMIT_LOOK_BACK),
}


def measure(way: str, url: str, pid: int) -> Iterator[tuple[str, Figures]]:
    """Yield the cost of a reading, and of what follows the one of the source.

    Args:
        way: of `WAYS`.
        url: of the engine.
        pid: of the engine.
    """
    session = CountingSession()
    begun, engine = time.process_time(), cpu_of(pid)
    found = WAYS[way](url, session)
    yield (
        way,
        {
            "requests": len(session.sizes),
            "MB": sum(session.sizes) / 1e6,
            "ClickHouse": cpu_of(pid) - engine,
            "Trunkwatch": time.process_time() - begun,
            "MiB": peak(),
        },
    )
    if way != "bundles":
        return
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(str(Path(folder, "results.db")))
        begun = time.process_time()
        store.apply("ci", [_order(), *found], NOW)
        yield "then: store", {"Trunkwatch": time.process_time() - begun, "MiB": peak()}
        recorded = parse_config("sources: [{name: ci, type: recorded, path: x}]", "bench.yml")
        begun = time.process_time()
        TrunkEngine(recorded, store, Counters(), lambda: NOW, keeps_state=True)
        yield "then: evaluate", {"Trunkwatch": time.process_time() - begun, "MiB": peak()}
        store.close()


def _order() -> TrunkOrder:
    commits = (Commit(f"{n + 1:040x}", float(START + n * SPACING)) for n in range(COMMITS))
    return TrunkOrder(TRUNK, tuple(commits))


def cpu_of(pid: int) -> float:
    """Return the CPU time of another process (seconds)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak() -> float:
    """Return the largest memory of this process (MiB)."""
    # Unlike `ru_maxrss`, this is not inherited from the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


# ---------------------------------------------------------------------- the table


def show(engine: Engine) -> None:
    """Measure each way in a process of its own, and print the table."""
    for statement in ("CREATE DATABASE ci", TABLE, FILL):
        engine.run(statement)
    print(
        f"| first reading of {COMMITS * JOBS:,} results | requests | MB | ClickHouse, CPU s"
        " | Trunkwatch, CPU s | MiB of memory, at most |\n|---|---|---|---|---|---|"
    )
    for way in WAYS:
        command = [sys.executable, "-m", "tools.bench_clickhouse", "--way", way]
        text = subprocess.run(
            [*command, "--url", engine.url, "--pid", str(engine.pid)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for line in text.splitlines():
            name, figures = json.loads(line)
            shown = {key: f"{number:,.1f}" for key, number in figures.items()}
            for key in ("requests", "MiB"):
                shown[key] = shown.get(key, "").partition(".")[0]
            heads = ("requests", "MB", "ClickHouse", "Trunkwatch", "MiB")
            print(f"| {name} | {' | '.join(shown.get(key, '') for key in heads)} |", flush=True)


def main() -> int:
    """Print the table, or the figures of one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--url")
    parser.add_argument("--pid", type=int)
    given = parser.parse_args()
    if given.way:
        for named in measure(given.way, given.url, given.pid):
            print(json.dumps(named), flush=True)
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder, running_engine(Path(folder)) as engine:
            show(engine)
    except pytest.skip.Exception as reason:
        print(f"not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
