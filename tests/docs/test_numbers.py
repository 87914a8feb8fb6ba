"""The table of figures in the README is what `make bench` prints."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.bench_all import NUMBERS, readme_table, tables_of
from tools.bench_serving import GROWTH, Row

ROOT = Path(__file__).parents[2]
README = tables_of((ROOT / "README.md").read_text())["what"]
TABLES = tables_of((ROOT / "docs" / "benchmarks.md").read_text())
GITHUB = tables_of(
    """
| 60 commits, 20 workflows, 450 jobs a commit | counted | sent | |
|---|---|---|---|
| cold start | 54 | 50 | 16 points |
| nothing new, 30 refreshes | 0 | 80 |  |
| nothing new, a round over 1,000 repositories | 20 | 20 | 20 points |

| at the default interval, 60 jobs a commit | median | p99 | counted an hour |
|---|---|---|---|
| GraphQL | 13 s | 25 s | 300 |

| webhook accepted until its value is on /metrics | median | p99 | worst |
|---|---|---|---|
| 50 deliveries a second, 444 results | 10 ms | 56 ms | 81 ms |
"""
)


def test_the_readme_has_the_figures_of_the_measurements() -> None:
    """Each row has its command, and the figure of the tables that the measurements print."""
    printed = tables_of("\n".join(readme_table({**TABLES, **GITHUB})))["what"]
    assert list(printed) == [number.what for number in NUMBERS]
    assert printed == README


def test_other_places_repeat_these_figures() -> None:
    """The first screen of the README and the documents have the figures of one run."""
    size, scrape, one, every, webhook = (
        README[what]["figure"].partition(" of CPU")[0]
        for what in (
            "`/metrics`, 50,000 jobs, gzip",
            "a scrape of 50,000 jobs",
            "one of 50,000 jobs changed, until it can be scraped",
            "all of 50,000 jobs changed",
            "GitHub: webhook accepted until on `/metrics`, 50 a second",
        )
    )
    repositories = TABLES["1,000 × 30 commits × 6 jobs"]["one exporter"]["CPU s"]
    bundles = TABLES["first reading of 100,000 results"]["bundles"]
    repeated = {
        "README.md": [f"a scrape of 50,000 jobs costs {scrape} of CPU"],
        "docs/scale.md": [
            f"{size} compressed; a scrape takes {scrape} of CPU, a change of one job {one}, "
            f"of all jobs {every} |",
            f"read in {repositories} s of CPU",
            f"after {webhook.removeprefix('p99 ')} (99 of 100)",
        ],
        "docs/github.md": [f" | {webhook.removeprefix('p99 ')} | "],
        "docs/clickhouse.md": [
            f"{bundles['ClickHouse, CPU s']} s of CPU of ClickHouse "
            f"and {bundles['Trunkwatch, CPU s']} s of Trunkwatch"
        ],
        "CHANGELOG.md": [f"after {one} of CPU"],
    }
    for path, figures in repeated.items():
        text = " ".join((ROOT / path).read_text().split())
        assert [figure for figure in figures if figure not in text] == [], path


@pytest.mark.parametrize(("title", "measure"), [(title, measure) for title, _, measure in GROWTH])
def test_what_is_served_can_be_measured(title: str, measure: Callable[[int], Row]) -> None:
    """A row of each table of growth has the columns of the documented one."""
    documented = next(iter(TABLES[title].values()))
    assert [title, *measure(20)] == list(documented)
