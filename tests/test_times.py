"""Times as CI servers and files write them."""

import pytest
from trunkwatch.times import format_time, parse_time


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+00:01"],
)
def test_a_time_outside_the_years_that_python_can_write_is_none(text: str) -> None:
    """A finding of `make fuzz`: the zone, or rounding, moves it out of the years 1 to 9999."""
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_first_and_the_last_second_can_be_written(text: str) -> None:
    """They are read and written."""
    assert format_time(parse_time(text)) == text
