"""The lines of a CI's messages that are stored with a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.annotations import LINE_LENGTH, LINES, annotation_lines


@pytest.mark.parametrize(
    ("messages", "lines"),
    [
        ([], ()),
        (["", " \n\t"], ()),
        (["one"], ("one",)),
        (["one\ntwo\r\nthree"], ("one", "two", "three")),
        (["one\n\n two ", "three", "four"], ("one", "two", "three")),
        (["a\u2028b\x85c"], ("a", "b", "c")),
        (["\x1b[1;31mred\x1b[0m text"], ("red text",)),
        (["a\x00b\x1bc\u202ed\tf"], ("abcd f",)),
        (["x" * LINE_LENGTH], ("x" * LINE_LENGTH,)),
        (["x" * (LINE_LENGTH + 1)], ("x" * (LINE_LENGTH - 1) + "…",)),
    ],
    ids=repr,
)
def test_the_first_lines_are_kept(messages: list[str], lines: tuple[str, ...]) -> None:
    """Three lines of 200 characters at most, without colours, controls and blank lines."""
    assert annotation_lines(messages) == lines


@given(st.lists(st.text(max_size=300), max_size=5))
def test_whatever_is_said_becomes_a_few_plain_lines(messages: list[str]) -> None:
    """Each can be stored, printed and read again as it is."""
    lines = annotation_lines(messages)
    assert len(lines) <= LINES
    assert all(line.isprintable() and 0 < len(line) <= LINE_LENGTH for line in lines)
    assert annotation_lines(lines) == lines
    assert tuple("\n".join(lines).splitlines()) == lines
