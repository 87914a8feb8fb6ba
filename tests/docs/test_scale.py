"""The arithmetic of docs/scale.md follows from docs/benchmarks.md and the sources' declarations."""

import math
import re

import pytest

from tests.docs import markdown
from tools.bench_all import tables_of

SCALE = markdown.read("docs/scale.md")
BENCHMARKS = tables_of(markdown.read("docs/benchmarks.md"))
MORE = tables_of(SCALE)["each more"]
EXAMPLE = tables_of(markdown.section(SCALE, "10,000 repositories with 100 commits a day each"))
KIB, MIB, GIB, GB = 2.0**10, 2.0**20, 2.0**30, 1e9
REPOS, COMMITS, JOBS, DAYS = 10_000, 1_000_000, 10, 36
"""The repositories, and what they have: commits a day, jobs of a commit, days of results."""


def number(cell: str) -> float:
    """Return the first number of a cell, in bytes if it has a unit."""
    found = re.match(r"([\d,.]+)(?: (KiB|MiB))?", cell)
    assert found is not None, cell
    return float(found[1].replace(",", "")) * {"KiB": KIB, "MiB": MIB, None: 1}[found[2]]


def test_what_one_more_costs_is_the_difference_of_two_measurements() -> None:
    """Commits, results, jobs and trunks cost what the starts on larger storages have more."""
    rows = BENCHMARKS["a start with"]
    base, commits, jobs = (
        {head: number(cell) for head, cell in rows[f"100 × {name}"].items() if cell[0].isdigit()}
        for name in ("25 commits × 2 jobs", "250 commits × 2 jobs", "25 commits × 20 jobs")
    )
    memory, storage = "MiB of memory (peak)", "MiB of storage"
    more_commits, more_jobs, more_results = 100 * 225, 1_800, 100 * 25 * 18
    result = (jobs[storage] - base[storage]) * MIB / more_results
    both = (commits[storage] - base[storage]) * MIB / more_commits
    measured = {
        ("commit of a trunk", "memory"): (commits[memory] - base[memory]) * MIB / more_commits,
        ("commit of a trunk", "storage"): both - 2 * result,
        ("result (a job at a commit)", "storage"): result,
        ("job", "memory"): (jobs[memory] - base[memory]) * MIB / more_jobs,
        ("job", "series"): (jobs["series"] - base["series"]) / more_jobs,
        ("trunk", "series"): (base["series"] - 200 * number(MORE["job"]["series"]) - 50) / 100,
    }
    shown = {(row, head): number(MORE[row][head]) for row, head in measured}
    # The measurements are shown in whole MiB.
    assert shown == pytest.approx(measured, rel=0.1)


def test_the_example_follows_from_what_one_more_costs() -> None:
    """Each result of the table is that of its arithmetic."""
    series = REPOS * JOBS * number(MORE["job"]["series"]) + REPOS * number(MORE["trunk"]["series"])
    results = COMMITS * JOBS * DAYS * number(MORE["result (a job at a commit)"]["storage"]) / GB
    stored, memory = (
        COMMITS * number(MORE["commit of a trunk"][head]) / GB for head in ("storage", "memory")
    )
    deliveries = COMMITS * (3 * JOBS + 4) / 86_400
    delivery = BENCHMARKS["one delivery among so many repositories"]["1,000"]
    heads = ("evaluate and publish, ms", "render, ms")
    cores = deliveries * sum(number(delivery[head]) for head in heads) / 1000
    points, requests = 6 * (REPOS // 50 + REPOS), 6 * REPOS
    tokens = math.ceil(max(points / (10_000 / 2), requests / (15_000 / 2)))
    samples = series / 30
    disk = samples * 86_400 * 2 / GB
    chunks = samples * 3 * 3600 * 2 * 1.5 * 2
    shards = math.ceil(round(memory * DAYS) / 4)
    money = 34 * 30 + 4 * 30
    both = 2 * (34 * 30 + 8 * 30 + (58 + 33 + 260) * 0.10)
    expected = {
        "**storage**: results": f"{results:.0f} GB",
        "storage: commits, which stay": f"{stored:.1f} GB a day, {stored * DAYS:.0f} GB in 36 days",
        "**memory**: commits": f"{memory:.1f} GB a day, {memory * DAYS:.0f} GB in 36 days",
        "memory: jobs": f"{REPOS * JOBS * number(MORE['job']['memory']) / GB:.1f} GB",
        "**series**": f"{series / 1e6:.1f} million",
        "**webhooks**": f"34 million: {deliveries:.0f} a second",
        "CPU: evaluation, publication, rendering": f"{cores:.1f} cores, over all shards",
        "requests an hour, a round every 10 minutes beside webhooks": (
            f"{points:,} and {requests:,}"
        ),
        "tokens": f"{tokens}",
        "shards: by tokens, one each": f"{tokens}",
        "**shards**: by memory of 4 GiB": f"{shards}",
        "**Prometheus**: samples, one each 30 s": f"{samples:,.0f} a second",
        "Prometheus: disk": f"{disk:.1f} GB a day, {disk * 15:.0f} GB",
        "Prometheus: memory": f"{(series / 1e6 * 2 * GIB + chunks) / GB:.1f} GB, and ",
        "**money**: machines": f"about {round(money, -2):,} a month",
        "money: storage": f"{(58 + 33 + 130) * 0.10:.0f} a month",
        "everything twice": f"about {round(both, -2):,.0f} a month",
    }
    for name, result in expected.items():
        (row,) = [row for what, row in EXAMPLE["what"].items() if what.startswith(name)]
        assert row["result"].startswith(result), name
