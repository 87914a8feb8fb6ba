"""The random histories cover what confirm meets, and wrong ends are found."""

from dataclasses import replace

import pytest

from tests.confirm import histories
from tests.confirm.histories import contradictions, main, play
from tests.confirm.plan import Course, Plan

SEEDS = range(1, 301)


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_histories_end_as_planned(ci: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No end contradicts its plan, and the figures are printed."""
    assert main(["--count", "25", "--ci", ci]) == 0
    printed = capsys.readouterr().out
    assert "histories                                    25\n" in printed
    assert "wrong histories                              0\n" in printed


def test_a_seed_is_one_history() -> None:
    """The same seed gives the same history, another seed another one."""
    assert Plan(7).courses == Plan(7).courses
    assert Plan(7).courses != Plan(8).courses


def test_histories_differ() -> None:
    """The first seeds hold each course, shards, flakes, outside causes and runs by hand."""
    plans = [Plan(seed) for seed in SEEDS]
    assert {course for plan in plans for course in plan.courses.values()} == set(Course)
    assert {len(plan.jobs) for plan in plans} == {1, 2, 3}
    assert {len(job.shards) for plan in plans for job in plan.jobs} == {1, 2, 3}
    assert {bool(job.needs) for plan in plans for job in plan.jobs} == {True, False}
    assert {plan.first_fail - plan.last_pass for plan in plans} == set(range(1, 13))
    assert {(plan.is_outside, plan.looks_outside) for plan in plans} == {
        (False, False), (True, False), (True, True),
    }  # fmt: skip
    assert any(job.flake_rate for plan in plans for job in plan.jobs)
    assert {plan.by_hand for plan in plans} == {0, 1, 2}


@pytest.mark.slow
def test_a_wrong_end_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong commit, suspects too many and a question asked twice exit with 1, with the seed."""
    good = play(2)
    plan = good.plan
    (job,) = plan.jobs
    assert list(contradictions(good)) == []
    other = (plan.culprit + 1,)
    for suspects in (other, (*plan.decidable(job), *other), None):
        found = replace(good, suspects={} if suspects is None else {job.name: suspects})
        assert list(contradictions(found))
    twice = replace(good, questions=[*good.questions, *good.questions])
    assert any("asked 2 times" in text for text in contradictions(twice))
    bad = replace(good, suspects={job.name: other})
    monkeypatch.setattr(histories, "play", lambda _seed, _ci: bad)
    assert main(["--count", "1", "--seed", "2"]) == 1
    assert f"seed 2: {job.name}: {other[0]} is named instead of {plan.culprit}" in (
        capsys.readouterr().out
    )
