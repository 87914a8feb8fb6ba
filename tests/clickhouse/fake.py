"""A fake ClickHouse: one table, and the one query that the source sends.

The columns of its table have the names of the keys of `columns`. It does not know SQL: it takes the
parameters, the limit and the names of the values from the query. tests/clickhouse/test_engine.py
compares its answers with those of the real engine.
"""

import re
import zlib
from typing import Any

from trunkwatch.config import ClickhouseSource

from tests.support.fakehttp import Answer, Request, as_json

MICRO = 1_000_000
TIMES = ("created_at", "started_at", "completed_at")
COLUMNS = (
    "repo", "branch", "sha", "workflow", "job_name", "status", "conclusion", "run_id", "attempt",
    "job_id", "event", *TIMES, "url", "failed_step", "infra", "allow_failure",
)  # fmt: skip


def section(url: str, **more: object) -> dict[str, Any]:
    """Return a section of the configuration that reads the table of the fake."""
    return {
        "type": "clickhouse",
        "url": url,
        "database": "ci",
        "table": "jobs",
        "cursor": "written",
        "columns": {key: key for key in COLUMNS},
        "repos": ["o/r"],
        "branches": ["main"],
        **more,
    }


def config(url: str, **more: object) -> ClickhouseSource:
    """Return the checked section of a source named `ci`."""
    return ClickhouseSource.model_validate({"name": "ci", **section(url, **more)})


def exception(code: int, text: str, status: int = 500) -> Answer:
    """Return an error as ClickHouse sends it."""
    body = f"Code: {code}. DB::Exception: {text} (version 26.9.2.1)\n".encode()
    return Answer(status, body, "text/plain; charset=UTF-8")


class FakeClickHouse:
    """The table `ci.jobs`.

    Attributes:
        rows: as the table has them, `written` in seconds since the epoch; times too.
        password: that the user `reader` must have; empty for none.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.password = ""

    def add(self, sha: str, conclusion: str = "success", **more: Any) -> dict[str, Any]:
        """Add a version of a row, a completed one unless `conclusion` is empty."""
        row = {
            "repo": "o/r", "branch": "main", "sha": sha, "workflow": "ci", "job_name": "test",
            "status": "completed" if conclusion else "in_progress", "conclusion": conclusion,
            "run_id": 1, "attempt": 1, "job_id": len(self.rows) + 1, "event": "push",
            "written": 0, **more,
        }  # fmt: skip
        self.rows.append(row)
        return row

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        query = dict(request.query)
        if self.password and not self._may_read(request):
            text = "reader: Authentication failed: password is incorrect"
            return exception(516, f"{text}. (AUTHENTICATION_FAILED)", 403)
        sql = query["query"]
        limit = int(re.findall(r" LIMIT (\d+) WITH TIES\)", sql)[0])
        selected = [row for row in self.rows if self._is_selected(row, query)]
        selected.sort(key=_place)
        if len(selected) > limit:
            last = _place(selected[limit - 1])
            selected = [row for row in selected if _place(row) <= last]
        data = _bundles(selected, sql.partition(" FROM ")[0])
        return as_json({"meta": [], "data": data, "rows": len(data), "statistics": {}})

    def _may_read(self, request: Request) -> bool:
        from base64 import b64encode

        login = b64encode(f"reader:{self.password}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {login}"

    def _is_selected(self, row: dict[str, Any], query: dict[str, str]) -> bool:
        repos, branches = (_array(query[f"param_{name}"]) for name in ("repos", "branches"))
        if row["repo"] not in repos or row["branch"] not in branches:
            return False
        written, key = int(query["param_written"]), query.get("param_key")
        place = _place(row)
        if place[0] >= int(query.get("param_until", place[0] + 1)):
            return False
        return place[0] >= written if key is None else place > (written, int(key))


def _place(row: dict[str, Any]) -> tuple[int, int]:
    identity = [
        row.get(key) for key in ("sha", "job_name", "run_id", "attempt", "job_id", "status")
    ]
    return int(row["written"] * MICRO), zlib.crc32(repr(identity).encode())


def _bundles(rows: list[dict[str, Any]], selected: str) -> list[list[Any]]:
    """Return lists of the values of rows whose other values are the same.

    Args:
        rows: in the order of their places.
        selected: what the query selects.
    """
    own = re.findall(r"groupArray\(`(\w+):`\)", selected)[:-1]
    shared = re.findall(r"`(\w+):`", selected.partition(", groupArray(")[0])
    bundles: dict[tuple[Any, ...], list[Any]] = {}
    for number, row in enumerate(rows, 1):
        key = tuple(_text(row, name) for name in shared)
        bundle = bundles.setdefault(key, [*key, *([] for _ in own), [], 0, ""])
        for values, name in zip(bundle[len(key) :], own, strict=False):
            values.append(_text(row, name))
        bundle[-3].append(number)
        bundle[-2:] = [str(place) for place in _place(row)]
    return list(bundles.values())


def _text(row: dict[str, Any], name: str) -> str | int:
    value = row.get(name)
    if name in TIMES:
        return int((value or 0) * MICRO)
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    if name == "url":
        for key, sign in (("job_id", "\x01"), ("run_id", "\x02")):
            own = str(row.get(key) or "")
            text = text.replace(own, sign, 1) if own else text
    return text


def _array(text: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", each) for each in re.findall(r"'((?:[^'\\]|\\.)*)'", text)]
