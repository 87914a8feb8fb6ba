"""The trunk's order, and sort keys that do not depend on arrival."""

from itertools import permutations
from typing import Any

import pytest
from trunkwatch.domain.model import (
    Commit,
    JobKey,
    RawJob,
    Trunk,
    TrunkOrder,
    in_run_order,
    newest_first,
    oldest_first,
    rewrites,
    run_order,
    splice,
    with_added,
)

from tests.domain.builders import TRUNK, row


def chain(text: str, *, older_unread: bool = False) -> TrunkOrder:
    """Return a trunk whose commits are single letters, oldest first."""
    return TrunkOrder(TRUNK, tuple(Commit(letter) for letter in text), older_unread)


def shas(order: TrunkOrder) -> str:
    return "".join(commit.sha for commit in order.commits)


@pytest.mark.parametrize(
    ("known", "fresh", "result"),
    [
        ("abc", "bcd", "abcd"),
        ("abc", "abcd", "abcd"),
        ("abc", "abc", "abc"),
        ("abc", "bxy", "abxy"),
        ("abc", "xyz", "xyz"),
        ("abc", "xbc", "xbc"),
        ("abc", "", "abc"),
        ("", "ab", "ab"),
    ],
)
def test_orders_are_spliced(known: str, fresh: str, result: str) -> None:
    """Older commits are kept where the two chains meet, else only the fresh ones."""
    assert shas(splice(chain(known), chain(fresh))) == result


def test_splicing_keeps_older_unread() -> None:
    """A spliced order has the `older_unread` of the order with the oldest commit."""
    known, fresh = chain("abc"), chain("bcd", older_unread=True)
    assert not splice(known, fresh).older_unread
    assert splice(chain("abc", older_unread=True), chain("bcd")).older_unread
    assert splice(known, chain("xy", older_unread=True)).older_unread


@pytest.mark.parametrize(
    ("known", "added", "result"),
    [
        ("abc", "", "abc"),
        ("abc", "a", "abc"),
        ("abc", "ab", "abc"),
        ("abc", "bcd", "abcd"),
        ("abc", "de", "abcde"),
        ("abc", "xabc", "xabc"),
        ("abc", "axc", "abxc"),
        ("abc", "ax", "abcx"),
        ("abc", "cb", "abc"),
        ("", "ab", "ab"),
    ],
)
def test_added_commits_take_none_away(known: str, added: str, result: str) -> None:
    """New commits are put before the next stored one, or at the tip; stored ones do not move."""
    assert shas(with_added(chain(known), chain(added))) == result


def test_added_commits_reach_back_or_not() -> None:
    """`older_unread` is that of the order with the oldest commit."""
    whole, part = chain("abc"), chain("bcd", older_unread=True)
    assert not with_added(whole, part).older_unread
    assert with_added(chain("abc", older_unread=True), chain("bcd")).older_unread
    assert with_added(chain("abc", older_unread=True), chain("")).older_unread
    assert not with_added(chain("bc", older_unread=True), chain("abc")).older_unread
    assert with_added(whole, chain("xa", older_unread=True)).older_unread


def test_a_known_commit_takes_the_details_that_are_added() -> None:
    """Author and title are those of the latest report."""
    added = TrunkOrder(TRUNK, (Commit("b", title="new"),))
    assert [commit.title for commit in with_added(chain("abc"), added).commits] == [
        None,
        "new",
        None,
    ]


@pytest.mark.parametrize(
    ("known", "fresh", "rewritten"),
    [("abc", "abcd", False), ("abc", "abx", True), ("abc", "ab", True), ("", "ab", False)],
)
def test_a_force_push_takes_the_tip_away(known: str, fresh: str, rewritten: bool) -> None:
    """A trunk was rewritten when its last tip is no longer on it."""
    assert rewrites(chain(known), chain(fresh)) is rewritten


@pytest.mark.parametrize(
    ("older", "newer", "extends"),
    [("ab", "abc", True), ("ab", "ab", True), ("ab", "axb", False), ("ab", "b", False)],
)
def test_extending_changes_nothing_else(older: str, newer: str, extends: bool) -> None:
    """An order extends another when only commits at its tip were added."""
    assert chain(newer).extends(chain(older)) is extends


def test_reading_further_back_is_no_extension() -> None:
    """An order with older commits added is no extension, so that the history is read again."""
    assert not chain("abc").extends(chain("ab", older_unread=True))


def test_commit_indexes_count_from_the_oldest() -> None:
    """The oldest commit has index 0."""
    assert chain("abc").index == {"a": 0, "b": 1, "c": 2}


def test_times_of_an_attempt() -> None:
    """An attempt begins at started_at, else created_at, else completed_at, and ends vice versa."""
    assert row(started_at=2, created_at=1, completed_at=3).began_at == 2
    assert row(created_at=1, completed_at=3).began_at == 1
    assert row(completed_at=3).began_at == 3
    assert row(started_at=2, completed_at=3).ended_at == 3
    assert row(started_at=2, created_at=1).ended_at == 2
    assert row().began_at is row().ended_at is None


def test_the_earliest_attempt_is_first() -> None:
    """Attempts are ordered by when they began; one without a time comes last."""
    late, early, timeless = row(started_at=9.0), row(created_at=3.0), row()
    assert sorted([timeless, late, early], key=oldest_first) == [early, late, timeless]
    assert newest_first([timeless, late, early]) == [late, early, timeless]


TIES: list[dict[str, Any]] = [
    {"run_id": 9},
    {"run_id": "text"},
    {"run_id": None},
    {"attempt": 2},
    {"job": "other"},
    {"job_id": 4},
    {"url": "https://ci.example/1"},
    {"conclusion": "timed_out"},
    {"failed_step": "Test"},
    {"annotations": ("said",)},
    {"workflow": "other"},
    {"event": "schedule"},
    {"head_repo": "fork/r"},
]


@pytest.mark.parametrize("difference", TIES, ids=str)
def test_a_tie_does_not_depend_on_arrival(difference: dict[str, Any]) -> None:
    """Of two attempts of one time the same one is first in any order of arrival."""
    same: dict[str, Any] = {"conclusion": "failure", "started_at": 5.0}
    rows = [row(**same), row(**{**same, **difference})]
    assert len({min(order, key=oldest_first) for order in permutations(rows)}) == 1
    assert len({newest_first(order)[0] for order in permutations(rows)}) == 1
    three = [*rows, row(started_at=4.0, run_number=1)]
    orders = {tuple(in_run_order(order)) for order in permutations(three)}
    assert orders == {tuple(sorted(three, key=run_order))}


def test_a_workflow_is_its_path() -> None:
    """A workflow's identity is its path where it has one, else its name."""
    assert RawJob("ci", "w/ci.yml", "job").workflow_key == "w/ci.yml"
    assert RawJob("ci", None, "job").workflow_key == "ci"


def test_names_for_people() -> None:
    """A trunk is shown as repository and branch, a job as workflow and job name."""
    key = JobKey("o/r", "main", "ci", "build")
    assert str(Trunk(key.repo, key.branch)) == "o/r main"
    assert key.display_name == "ci / build"
    assert key.full_name == "o/r main: ci / build"
