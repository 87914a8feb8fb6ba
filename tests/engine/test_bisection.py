"""The suspect to test next leaves one suspect after the fewest results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.columns import Count
from trunkwatch.domain.job import JobState
from trunkwatch.engine.bisection import NextTest, next_test

from tests.domain.builders import job_state, place_of
from tests.domain.scripts import bounded


def chosen(text: str) -> tuple[int | None, str, int] | None:
    found = next_test(job_state(text))
    return found and (place_of(found.commit), found.letter, found.results)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("P F", None),
        ("F F F", None),
        ("P P P", None),
        ("P K . F", None),  # after a flake, last good is unknown
        ("P . F", (1, ".", 1)),
        ("P . . F", (1, ".", 2)),
        ("P . - F", (2, "C", 2)),
        ("P - . F", (1, "C", 2)),
        ("P . . . F", (2, ".", 2)),
        ("P . . . F F . F", (2, ".", 2)),
        ("P . s . F", (2, "S", 2)),
        ("P ? . . F", (1, "R", 3)),
        ("P ? . ? F", (1, "R", 3)),
        ("P ? . . ? F", (1, "R", 4)),
        ("P . . . . . . . F", (4, ".", 3)),
    ],
)
def test_the_middle_suspect_is_tested_next(
    history: str, expected: tuple[int, str, int] | None
) -> None:
    """A running one comes first, then one that has a run which can be repeated."""
    assert chosen(history) == expected


def test_a_run_of_an_older_commit_is_no_result_where_runs_are_counted() -> None:
    """Their order is that of the runs."""
    assert next_test(job_state("P . . F", count=Count.RUNS)) is None


def narrowed(letters: list[str], culprit: int) -> tuple[JobState, list[NextTest]]:
    """Return the last state and the tests on the way, if the CI answers each of them."""
    asked: list[NextTest] = []
    while True:
        state = job_state(" ".join(letters))
        found = next_test(state)
        if found is None:
            return state, asked
        asked.append(found)
        place = place_of(found.commit)
        assert place is not None
        assert letters[place] not in ("P", "F")
        letters[place] = "F" if place >= culprit else "P"


@bounded
@given(
    before=st.lists(st.sampled_from("P."), max_size=3),
    untested=st.lists(st.sampled_from(".-s?n"), max_size=20),
    after=st.lists(st.sampled_from("F.-?"), max_size=3),
)
def test_the_commit_that_broke_a_job_is_the_only_suspect_left(
    before: list[str], untested: list[str], after: list[str]
) -> None:
    """After as many results as announced, the logarithm of the suspects if none runs."""
    letters = [*before, "P", *untested, "F", *after]
    good, bad = len(before), len(before) + 1 + len(untested)
    needed = []
    for culprit in range(good + 1, bad + 1):
        state, asked = narrowed(list(letters), culprit)
        assert state.blame is not None
        assert [place_of(commit) for commit in state.blame.suspects or ()] == [culprit]
        assert all(len(asked) - n <= each.results for n, each in enumerate(asked))
        needed.append(len(asked))
    first = next_test(job_state(" ".join(letters)))
    assert max(needed) == (first.results if first else 0)
    if "?" not in untested:
        assert max(needed) == (bad - good - 1).bit_length()
