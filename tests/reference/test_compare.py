"""The random histories cover the policy, and the comparison finds differences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given

from tests.reference import oracle
from tests.reference.compare import Difference, main, shrink, walk_named
from tests.reference.histories import Json, generate
from tests.reference.strategies import notations
from tests.vectors import NOW, Vector

SEEDS = range(150)


def forgiving(lines: Sequence[Json], config: Mapping[str, Any], now: datetime) -> list[Difference]:
    """Compare the oracle with itself on lines whose startup failures are an unlisted conclusion."""
    other = [
        {**line, "conclusion": "x"} if line.get("conclusion") == "startup_failure" else line
        for line in lines
    ]
    wanted, found = oracle.check(lines, config, now), oracle.check(other, config, now)
    labels = ("repo", "branch", "workflow", "job_name")
    return list(walk_named("jobs", labels, wanted["jobs"], found["jobs"]))


def silent(lines: Sequence[Json], config: Mapping[str, Any], now: datetime) -> list[Difference]:
    """Find no difference at all."""
    assert oracle.check(lines, config, now)["jobs"] is not None
    return []


def differing_seed() -> int:
    """Return the first seed of a history with a startup failure that counts."""
    return next(seed for seed in SEEDS if forgiving(*generate(seed)))


def test_a_seed_is_one_history() -> None:
    """The same seed gives the same history, another seed another one."""
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


@pytest.mark.slow
def test_histories_reach_the_policy() -> None:
    """The first seeds hold every verdict, stop reason, kind of outage, and retired jobs."""
    jobs: list[Json] = []
    retired = 0
    for seed in SEEDS:
        lines, config, now = generate(seed)
        listed = oracle.check(lines, config, now)["jobs"]
        jobs += listed
        if not retired:
            never = {**config, "jobs": {**config.get("jobs", {}), "retire_after": 10**6}}
            retired = len(oracle.check(lines, never, now)["jobs"]) - len(listed)
    assert {job["last_verdict"] for job in jobs} == {"PASS", "FAIL", "FLAKY", None}
    assert {job["stopped_by"] for job in jobs} == {"pass", "flaky", "window"}
    assert {job["failures_to_open"] for job in jobs if job["broken"]} >= set(range(1, 6))
    assert any(job["broken"] and job["consecutive_failures"] == 0 for job in jobs)
    assert any(job["broken"] and job["last_good"] is None for job in jobs)
    assert any(job["suspects"] == 0 for job in jobs)
    assert any(job["known_broken"] for job in jobs)
    assert retired > 0


@given(notations())
def test_order_and_repetition(history: str) -> None:
    """Any order of arrival and any repetition of run lines give the same answer."""
    vector = Vector("x", "x", history, 2, 2, False, "commits", "job")
    lines = vector.lines()
    again = [line for line in reversed(lines) if line["kind"] == "run"]
    commits = [line for line in lines if line["kind"] == "commit"]
    answer = oracle.check(lines, vector.config(), NOW)
    assert oracle.check([*again, *commits, *again], vector.config(), NOW) == answer


def test_a_difference_is_cut_down() -> None:
    """A disagreement is cut down to one commit and its one run."""
    lines, config = shrink(*generate(differing_seed()), forgiving)
    assert sorted(line["kind"] for line in lines) == ["commit", "run"]
    assert config == {}


def test_disagreements_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Disagreements are counted, the first is printed with its lines, and the exit is 1."""
    seed = differing_seed()
    options = ["--count", "3", "--seed", str(seed), "--show", "1"]
    assert main(options, forgiving) == 1
    printed = capsys.readouterr().out
    assert "expected" in printed
    assert '"startup_failure"' in printed
    assert f"3 histories from seed {seed}:" in printed


def test_agreement_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Full agreement prints one line and exits 0."""
    assert main(["--count", "3"], silent) == 0
    assert capsys.readouterr().out == "3 histories from seed 1: 0 disagree\n"
