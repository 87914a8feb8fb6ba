"""Histories on a real Buildbot, and what a wrong end of them is."""

from dataclasses import replace

import pytest

from tests.confirm.real_histories import Course, History, main

SEEDS = range(1, 101)


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.large
@pytest.mark.xdist_group("buildbot")
def test_histories_end_as_planned(capsys: pytest.CaptureFixture[str]) -> None:
    """No end contradicts its plan, also where the cause is outside or a suspect fails by chance."""
    assert main(["--count", "6", "--seed", "1", "--force"]) == 0
    assert "wrong histories                              0\n" in capsys.readouterr().out


def test_histories_differ() -> None:
    """The first seeds hold each course and both causes, and a seed is one history."""
    histories = [History(seed) for seed in SEEDS]
    assert {course for each in histories for course in each.courses} == set(Course)
    assert {each.is_outside for each in histories} == {True, False}
    assert {len(each.flaky) for each in histories} >= {0, 1}
    assert {each.before for each in histories} == set(range(1, 7))
    assert History(7).courses == History(7).courses
    # Without a force scheduler some cannot be decided; with one, all can.
    assert {len(each.decidable(force=True)) for each in histories} == {1}
    assert {len(each.decidable(force=False)) for each in histories} > {1, 2}


def test_a_wrong_end_is_found() -> None:
    """A wrong commit, one named by chance, and builds and questions too many are found."""
    plan = History(6)
    assert (plan.culprit, plan.before, plan.is_outside) == (6, 2, False)
    plan.shas = [str(number) for number in range(len(plan.courses))]
    asked = [
        {"sha": "5", "kind": "which", "state": "answered"},
        {"sha": "6", "kind": "real", "state": "answered"},
    ]
    builds = [int(course is not Course.NONE) for course in plan.courses]
    builds[5] += 1
    builds[6] += 1
    good = replace(plan, suspects=(6,), asked=asked, builds=builds)
    assert list(good.contradictions(force=True)) == []
    by_chance = replace(good)
    by_chance.flaky = {5}
    assert list(by_chance.contradictions(force=True)) == ["(6,) are suspected instead of None"]
    again = [*asked, {"sha": "5", "kind": "which", "state": "asked"}]
    for bad, problem in (
        (replace(good, suspects=(5,)), "(5,) are suspected instead of (6,)"),
        (replace(good, builds=[each + 1 for each in builds]), "builds after"),
        (replace(good, asked=again), "which was asked 2 times for 1 commits"),
        (replace(good, asked=again), "questions are asked"),
    ):
        assert problem in "\n".join(bad.contradictions(force=True))
