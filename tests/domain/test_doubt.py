"""Newest commits that lack results: found when a list is frozen, not by habits of a trunk."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.doubt import (
    MAX_AGE_SECONDS,
    MIN_AGE_SECONDS,
    MIN_MISSING_COMMITS,
    RECENT_COMMITS,
    missing_results,
)
from trunkwatch.domain.model import Commit

HOUR = 3600.0
FALSE_DOUBT_LIMIT = 5 / 1000
"""The share of pushes after which a trunk may be doubtful by mistake (docs/policy.md, 3.14)."""

PUSHES: dict[str, Sequence[int]] = {
    "single commits": (1,),
    "up to three": (1, 2, 3),
    "up to ten": tuple(range(1, 11)),
    "rarely ten": (*(1,) * 19, 10),
    "mixed": (1, 1, 1, 1, 2, 2, 4, 8),
}
"""The sizes of pushes, each as likely as the others."""


def commits(number: int, titles: str = "") -> list[Commit]:
    """Return commits, one per hour from 0; the last ones have a title."""
    plain = [Commit(str(place), place * HOUR, None, "Change") for place in range(number)]
    return [Commit(c.sha, c.committed_at, None, titles or c.title) for c in plain]


def judged(text: str, *, as_of: float | None = None, seconds: float = 5.0) -> int:
    """Return the missing results of a history: `x` has one after some seconds, `.` has none.

    A commit of `s` asks not to be built.
    """
    made = [
        Commit(str(place), place * HOUR, None, "Fix [skip ci]" if letter == "s" else "Fix")
        for place, letter in enumerate(text)
    ]
    reported = {str(n): n * HOUR + seconds for n, letter in enumerate(text) if letter == "x"}
    return missing_results(made, reported, {}, len(text) * HOUR if as_of is None else as_of)


# ---------------------------------------------------------------------- both sides


@pytest.mark.parametrize(
    ("earlier", "missing"), [(4, 25), (5, 14), (10, 6), (20, 4), (28, 3), (60, 3), (200, 3)]
)
def test_the_fewer_earlier_results_the_more_have_to_be_missing(earlier: int, missing: int) -> None:
    """After so many commits that all have results, one commit fewer is no doubt."""
    assert judged("x" * earlier + "." * missing) == missing
    assert judged("x" * earlier + "." * (missing - 1)) == 0


@pytest.mark.parametrize(("earlier", "missing"), [(5, 56), (10, 22), (20, 14), (28, 13)])
def test_a_longer_gap_before_needs_a_longer_gap_now(earlier: int, missing: int) -> None:
    """With results on every fourth commit only, about four times as many have to be missing."""
    regular = "x..." * (earlier - 1) + "x"
    assert judged(regular + "." * missing) == missing
    assert judged(regular + "." * (missing - 1)) == 0


def test_one_long_gap_is_a_habit() -> None:
    """A gap as long as one that was there before is no doubt."""
    assert judged("x" * 30 + "." * 10 + "x" * 30 + "." * 10) == 0


def test_without_any_result_there_is_no_doubt() -> None:
    """Nothing was there that could be missing, and one result alone shows no habit."""
    assert judged("." * 90) == 0
    assert judged("x" + "." * 90) == 0


def test_a_result_at_the_tip_ends_the_doubt() -> None:
    """The first newer result ends it, however many were missing."""
    assert judged("x" * 30 + "." * 10) == 10
    assert judged("x" * 30 + "." * 10 + "x") == 0


def test_no_commits() -> None:
    """A trunk without commits, or without a result on one of them, lacks nothing."""
    assert missing_results([], {}, {}, 0.0) == 0
    assert missing_results(commits(60), {"elsewhere": 0.0}, {}, 90 * HOUR) == 0


def test_old_habits_are_forgotten() -> None:
    """A gap that began more than 100 commits before the newest result does not count."""
    gap = "x" + "." * 40
    assert judged(gap + "x" * (RECENT_COMMITS - len(gap)) + "." * 3) == 0
    assert judged(gap + "x" * (RECENT_COMMITS - len(gap) + 1) + "." * 3) == 3


# ---------------------------------------------------------------------- commits that are left out


@pytest.mark.parametrize(
    "marker",
    ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "***NO_CI***"],
)
def test_a_commit_may_ask_not_to_be_built(marker: str) -> None:
    """Such a commit is left out wherever it stands; the others count."""
    titled = [*commits(30), *commits(60, f"Docs {marker}")[30:]]
    reported: dict[str, float | None] = {str(place): place * HOUR for place in range(30)}
    assert missing_results(titled, reported, {}, 90 * HOUR) == 0
    assert missing_results(commits(60), reported, {}, 90 * HOUR) == 30


def test_commits_that_are_not_built_make_no_gap() -> None:
    """They neither lengthen an earlier gap nor the present one; their results count."""
    assert judged("xss" * 30 + "s.s.s.") == 3
    assert judged("xss" * 30 + "s.s.s") == 0


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (5.0, MIN_AGE_SECONDS),
        (MIN_AGE_SECONDS, 2 * MIN_AGE_SECONDS),
        (HOUR, 2 * HOUR),
        (90 * HOUR, MAX_AGE_SECONDS),
    ],
)
def test_a_young_commit_may_still_wait(seconds: float, age: float) -> None:
    """A commit is late after ten minutes, twice the usual time or a day."""
    text, newest = "x" * 60 + "...", 62 * HOUR
    assert judged(text, as_of=newest + age, seconds=seconds) == 3
    assert judged(text, as_of=newest + age - 1, seconds=seconds) == 0


def test_the_usual_time_is_that_of_nine_of_ten() -> None:
    """One of ten commits that waited for days is an exception, two are not."""
    made, newest = commits(43), 42 * HOUR
    for slow, doubtful in ((4, 3), (5, 0)):
        late: dict[str, float | None] = {
            str(n): n * HOUR + (90 * HOUR if n < slow else 1.0) for n in range(40)
        }
        assert missing_results(made, late, {}, newest + MIN_AGE_SECONDS) == doubtful


def test_a_commit_may_be_pushed_long_after_it_was_made() -> None:
    """A commit's age counts from when it was first seen, if that is later."""
    made = commits(43)
    reported: dict[str, float | None] = {str(place): place * HOUR for place in range(40)}
    seen = {str(place): 100 * HOUR for place in (40, 41, 42)}
    assert missing_results(made, reported, seen, 100 * HOUR + MIN_AGE_SECONDS) == 3
    assert missing_results(made, reported, seen, 100 * HOUR + MIN_AGE_SECONDS - 1) == 0


def test_without_times_the_first_sight_counts() -> None:
    """A commit without a time is due once it was seen for long enough, and otherwise never."""
    made = [Commit(str(place)) for place in range(43)]
    reported: dict[str, float | None] = {str(place): None for place in range(40)}
    seen = {str(place): 0.0 for place in (40, 41, 42)}
    assert missing_results(made, reported, {}, 90 * HOUR) == 0
    assert missing_results(made, reported, seen, MIN_AGE_SECONDS) == 3


# ---------------------------------------------------------------------- random trunks


def pushed(random: Random, share: float, sizes: Sequence[int]) -> list[bool]:
    """Return whether each commit of a push has a result: only the last one can have one."""
    return [False] * (random.choice(sizes) - 1) + [random.random() >= share]


def at_push(has_result: Sequence[bool]) -> int:
    """Return the missing results when all commits are old enough."""
    made = commits(len(has_result))
    reported = {str(place): place * HOUR for place, has in enumerate(has_result) if has}
    return missing_results(made, reported, {}, (len(has_result) + 1) * HOUR)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", PUSHES.values(), ids=PUSHES)
def test_path_filters_and_long_pushes_are_no_doubt(sizes: Sequence[int]) -> None:
    """Of the pushes to trunks with 1 to 95 % filtered, few are followed by a false doubt."""
    random, doubtful, pushes = Random(9), 0, 0
    for share in (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        for _ in range(8):
            trunk: list[bool] = []
            while len(trunk) < 300:
                trunk += pushed(random, share, sizes)
                doubtful += at_push(trunk[-RECENT_COMMITS:]) > 0
                pushes += 1
    assert doubtful <= FALSE_DOUBT_LIMIT * pushes


@given(st.sampled_from(list(PUSHES.values())), st.randoms(use_true_random=False))
def test_a_frozen_list_is_found(sizes: Sequence[int], random: Random) -> None:
    """Where every push had results, they are missed after four of the largest pushes."""
    trunk: list[bool] = []
    while sum(trunk) < 20:
        trunk += pushed(random, 0.0, sizes)
    frozen = [*trunk, *[False] * max(4 * max(sizes), MIN_MISSING_COMMITS)]
    assert at_push(trunk) == 0
    if trunk[-RECENT_COMMITS:].count(True) >= 20:
        assert at_push(frozen) == len(frozen) - len(trunk)


@given(st.text("x.", max_size=120), st.integers(0, 2 * RECENT_COMMITS))
def test_doubt_begins_once(text: str, more: int) -> None:
    """A doubtful trunk stays doubtful while commits without results land, however many."""
    frozen = f"xx{text}"
    missing = judged(frozen)
    if missing:
        assert judged(frozen + "." * more) == missing + more
