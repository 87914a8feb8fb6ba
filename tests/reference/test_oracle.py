"""The second reading of the policy agrees with the hand-checked vectors."""

import random
from collections import Counter

import pytest

from tests.reference import oracle
from tests.support.each import for_each
from tests.vectors import NOW, Case, Name, Vector, load_cases, load_names, load_vectors

VECTORS, NAMES, CASES = load_vectors(), load_names(), load_cases()


@for_each("vector", VECTORS, ids=lambda vector: vector.id)
def test_history(vector: Vector) -> None:
    """Each history gives the hand-checked answer."""
    answer = oracle.check(vector.lines(), vector.config(), NOW)
    assert vector.read_answer(answer) == vector.expect, vector.rule


@for_each("vector", VECTORS, ids=lambda vector: vector.id)
def test_order_of_arrival(vector: Vector) -> None:
    """Run lines may arrive in any order, and twice, without changing an answer."""
    lines = vector.lines()
    commits = [line for line in lines if line["kind"] == "commit"]
    runs = [line for line in lines if line["kind"] == "run"] * 2
    random.Random(vector.id).shuffle(runs)
    answer = oracle.check([*commits, *runs], vector.config(), NOW)
    assert answer == oracle.check(lines, vector.config(), NOW)


@for_each("name", NAMES, ids=lambda name: name.id)
def test_name(name: Name) -> None:
    """Each raw name becomes the hand-checked name of a job, or none."""
    answer = oracle.check(name.lines(), {"jobs": dict(name.jobs)}, NOW)
    assert name.read_answer(answer) == name.expect, name.rule


@for_each("case", CASES, ids=lambda case: case.id)
def test_case(case: Case) -> None:
    """Each case with explicit lines gives the hand-checked jobs and groups."""
    answer = oracle.check(case.lines(), case.config, NOW)
    assert case.read_answer(answer) == case.wanted(), case.rule
    if case.expect_groups is not None:
        read = case.read_groups(answer)
        for group, wanted in zip(read, case.expect_groups, strict=True):
            if group.get("firing") == oracle.UNDECIDED:
                group["firing"] = wanted["firing"]
        assert read == list(case.expect_groups), case.rule


def test_ids_are_unique() -> None:
    """No two vectors share an id, so that a failure names one rule."""
    ids = Counter([v.id for v in VECTORS] + [n.id for n in NAMES] + [c.id for c in CASES])
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_setting_is_covered() -> None:
    """The vectors hold N from 1 to 10 and M from 1 to 3, each open and not open."""
    broken = {(v.failures_to_open, v.expect.broken) for v in VECTORS if v.expect is not None}
    closing = {(v.passes_to_close, v.expect.broken) for v in VECTORS if v.expect is not None}
    assert {(n, is_open) for n in range(1, 11) for is_open in (True, False)} <= broken
    assert {(m, is_open) for m in range(1, 4) for is_open in (True, False)} <= closing


def test_run_of_an_unknown_trunk() -> None:
    """A run of a (repo, branch) without any commit line is an error, not a guess."""
    lines = Name("x", "x", "job", {}, None).lines()[1:]
    with pytest.raises(ValueError, match="no commit line for o/r main"):
        oracle.check(lines, {}, NOW)


def test_one_trunk_alone() -> None:
    """Asked for one trunk, the answer has no other."""
    case = next(case for case in CASES if case.id == "two-trunks")
    answer = oracle.check(case.lines(), {}, NOW, trunk=("o/r", "release"))
    assert [(job["repo"], job["branch"]) for job in answer["jobs"]] == [("o/r", "release")]
