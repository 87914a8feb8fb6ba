"""Fields of the JSON of other programs, whose types are checked before they are used."""

from collections.abc import Mapping
from typing import Any


def text_or_none(value: object) -> str | None:
    """Return a text that is not empty and can be stored and sent; None for any other value."""
    if not isinstance(value, str) or not value:
        return None
    try:
        # JSON can escape one half of a surrogate pair, which neither SQLite nor HTTP can carry.
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def no_text(value: object) -> str:
    """Return why a value is no text of `text_or_none`, as the end of a sentence."""
    return "is missing" if value is None or value == "" else "is not a text"


def count_or_none(value: object) -> int | None:
    """Return a whole number; None for any other value."""
    # JSON's true is an int for Python.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def object_of(value: object) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    return value


def list_of(value: object) -> list[Any]:
    """Return a JSON list; an empty one for any other value."""
    return value if isinstance(value, list) else []
