"""Small pieces of text."""

import pytest
from trunkwatch.report.words import ago, commits, short

from tests.vectors.notation import sha_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "120 min ago"),
        (7200, "2 h ago"),
        (172_799, "48 h ago"),
        (172_800, "2 d ago"),
        (-5, "0 s ago"),
    ],
)
def test_ages_are_rounded(seconds: float, words: str) -> None:
    """An age is in the largest unit of which there are two; a future time has age 0."""
    assert ago(1e9 - seconds, 1e9) == words


def test_never_is_a_word() -> None:
    """What never happened has no age."""
    assert ago(None, 1e9) == "never"


def test_commits_are_counted_in_english() -> None:
    """One commit, and any other number of commits."""
    assert [commits(number) for number in (0, 1, 2)] == ["0 commits", "1 commit", "2 commits"]


def test_hashes_are_shortened() -> None:
    """A hash is shortened to ten digits."""
    assert short(sha_of(15)) == "0000000000"
    assert short("0123456789abcdef") == "0123456789"
