"""A test for each value fails with every value that fails."""

import pytest

from tests.support.each import for_each


@for_each("number", [1, 2])
def test_every_value_is_tried(number: int, record_property: pytest.FixtureRequest) -> None:
    """The test gets a value and its fixtures."""
    assert number in (1, 2)
    assert record_property is not None


def test_a_failure_names_its_value() -> None:
    """Every failing value is named, a missing exception included."""

    @for_each("text", ["a", "b", "c"])
    def fails(text: str) -> None:
        if text == "c":
            with pytest.raises(ValueError, match="c"):
                pass
        assert text != "a"

    with pytest.raises(BaseExceptionGroup, match="2 of 3 fail") as caught:
        fails()
    assert [failure.__notes__ for failure in caught.value.exceptions] == [
        ["text: 'a'"],
        ["text: 'c'"],
    ]


def test_no_value_is_a_failure() -> None:
    """A list that has become empty does not pass."""
    with pytest.raises(AssertionError, match="no file to test"):
        for_each("file", [])(print)()
