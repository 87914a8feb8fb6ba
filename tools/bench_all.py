"""`make bench`: every measurement, and at the end the table of the README.

    python -m tools.bench_all                # measure
    python -m tools.bench_all bench.txt      # only the table, from the saved output of a run

docs/benchmarks.md has the tables that the measurements print, under the names of their commands.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

COMMANDS = (
    "bench", "bench_engine", "bench_ingest", "bench_retention", "bench_serving", "bench_github",
    "bench_webhook", "bench_rules", "bench_shards", "bench_clickhouse",
)  # fmt: skip
"""The modules of `tools` that measure, in the order in which they run."""

Row = Mapping[str, str]
"""The cells of one row of a table, by their heads."""

Tables = Mapping[str, Mapping[str, Row]]
"""The rows of each table: by the head of its first column, then by their first cell."""


class Number(NamedTuple):
    """One row of the README's table.

    Attributes:
        what: is measured.
        command: the module of `tools` that prints it.
        figure: returns the figure from the tables of all commands.
    """

    what: str
    command: str
    figure: Callable[[Tables], str]


def tables_of(text: str) -> Tables:
    """Return the tables of a text in Markdown."""
    found: dict[str, dict[str, Row]] = {}
    heads: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
        elif not set(line) <= set("|- "):
            found.setdefault(heads[0], {})[cells[0]] = dict(zip(heads, cells, strict=True))
    return found


def _number(row: Row, head: str) -> float:
    return float(row[head].replace(",", "").removesuffix("ms").removesuffix("s"))


def _check(tables: Tables, row: str) -> str:
    return tables["what"][row]["figure"]


def _all_changed(tables: Tables) -> str:
    row = tables["all jobs changed"]["50,000"]
    seconds, ratio = _number(row, "update, ms") / 1000, _number(row, "ratio")
    return f"{seconds:.1f} s of CPU, {ratio:.0f} times as fast as prometheus_client"


def _changed(tables: Tables, head: str) -> str:
    return f"{_number(tables['one of so many jobs changed']['50,000'], head):.1f} ms of CPU"


def _delivery(tables: Tables) -> str:
    row = tables["one delivery among so many repositories"]["1,000"]
    return f"{_number(row, 'evaluate and publish, ms') + _number(row, 'render, ms'):.1f} ms of CPU"


def _json(tables: Tables) -> str:
    row = tables["JSON object, jobs"]["10,000"]
    plain, gzip, known = (_number(row, head) for head in ("plain, ms", "gzip, ms", "304, ms"))
    return f"{plain:.1f} ms of CPU; {gzip:.2f} ms with gzip, {known:.2f} ms for 304"


def _result(tables: Tables) -> str:
    rows = [tables["one new result, commits of failures"][size] for size in ("100", "10,000")]
    slowest = max(_number(row, "ms") for row in rows)
    most = max(_number(row, "rows read, at most") for row in rows)
    return f"{slowest:.1f} ms of CPU, {most:.0f} rows read"


GITHUB = "60 commits, 20 workflows, 450 jobs a commit"
REFRESHES = 30


def _idle(tables: Tables) -> str:
    row = tables[GITHUB][f"nothing new, {REFRESHES} refreshes"]
    sent = _number(row, "sent") / REFRESHES
    return f"{row['counted']} counted requests, {sent:.1f} sent per refresh"


def _lag(tables: Tables) -> str:
    row = tables["at the default interval, 60 jobs a commit"]["GraphQL"]
    return f"median {row['median']}, p99 {row['p99']}"


def _webhook(tables: Tables) -> str:
    (row,) = tables["webhook accepted until its value is on /metrics"].values()
    return f"p99 {row['p99']}"


NUMBERS = (
    Number(
        "check, 10,000 jobs × 60 commits", "bench",
        lambda t: _check(t, "check, 10,000 jobs × 60 commits"),
    ),
    Number("the same, per second", "bench", lambda t: _check(t, "the same, per second")),
    Number(
        "`/metrics`, 50,000 jobs, gzip", "bench_serving",
        lambda t: f"{_number(t['gzip of /metrics, jobs']['50,000'], 'bytes') / 1e6:.1f} MB",
    ),
    Number(
        "one of 50,000 jobs changed, until it can be scraped", "bench_serving",
        lambda t: _changed(t, "update, ms"),
    ),
    Number("a scrape of 50,000 jobs", "bench_serving", lambda t: _changed(t, "scrape, ms")),
    Number("all of 50,000 jobs changed", "bench_serving", _all_changed),
    Number(
        "one delivery among 1,000 repositories, until it can be scraped", "bench_serving",
        _delivery,
    ),
    Number("the JSON object of 10,000 jobs", "bench_serving", _json),
    Number("one new result, after 100 or 10,000 commits", "bench_engine", _result),
    Number(
        "restart with 100,000 results", "bench_engine",
        lambda t: f"{_number(t['restart, jobs with 100 commits each']['1,000'], 'again: s'):.1f} s",
    ),
    Number(
        "GitHub: cold start, 60 commits × 450 jobs", "bench_github",
        lambda t: f"{t[GITHUB]['cold start']['counted']} counted requests",
    ),
    Number("GitHub: nothing new", "bench_github", _idle),
    Number(
        "GitHub: a round over 1,000 repositories without news", "bench_github",
        lambda t: f"{t[GITHUB]['nothing new, a round over 1,000 repositories']['counted']} points",
    ),
    Number("GitHub: completed until on `/metrics`, by polling", "bench_github", _lag),
    Number(
        "GitHub: webhook accepted until on `/metrics`, 50 a second", "bench_webhook", _webhook
    ),
)  # fmt: skip


def readme_table(tables: Tables) -> Iterator[str]:
    """Yield the lines of the README's table."""
    yield "| what | figure | from |"
    yield "|---|---|---|"
    for number in NUMBERS:
        yield f"| {number.what} | {number.figure(tables)} | `tools.{number.command}` |"


def measured() -> str:
    """Run every command, and print its output as it comes; return all of it."""
    lines: list[str] = []
    for command in COMMANDS:
        print(f"\n`python -m tools.{command}`:\n", flush=True)
        arguments = [sys.executable, "-m", f"tools.{command}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                lines.append(line)
        if process.returncode:
            raise SystemExit(f"tools.{command} exited with {process.returncode}")
        lines.append("\n")
    return "".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure, or read the output of a run; print the README's table."""
    text = Path(arguments[0]).read_text(encoding="utf-8") if arguments else measured()
    print("\nFor the README:\n", *readme_table(tables_of(text)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
