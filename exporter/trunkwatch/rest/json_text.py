"""Decodes JSON that servers send, and reads values of it that may have any type."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

INT_LIMIT = 2**63
"""Integers are stored with 64 bits; an id that does not fit is none."""

LONGEST_DIGITS = 400
"""Digits beyond which an integer is infinite as a float too."""

_LONG_NUMBER = re.compile(rb"(?:\A|[\[,:\s-])[0-9]{19}")
"""A number that may have more than 64 bits; the digits of a hash are part of a text."""


def decode_json(content: bytes) -> Any:
    """Return the value of a JSON text, as `json.loads` does in twice the time.

    What SQLite cannot hold is replaced: half a surrogate pair by a question mark, an integer of
    more than 64 bits by infinity, which is no id and no plausible time.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        document = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Python also accepts NaN, other encodings, and escapes that are no characters.
        return _storable(json.loads(content, parse_int=_integer))
    return _storable(document) if _LONG_NUMBER.search(content) else document


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


def checked_text(value: object) -> str:
    """Return a text of `text_or_none`.

    Raises:
        ValueError: it is none.
    """
    text = text_or_none(value)
    if text is None:
        raise ValueError("a text is missing")
    return text


def no_text(value: object) -> str:
    """Return why a value is no text of `text_or_none`, as the end of a sentence."""
    return "is missing" if value is None or value == "" else "is not a text"


def int_or_none(value: object) -> int | None:
    """Return an integer, and None for any other type; a boolean is no integer here."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def object_or_empty(value: object) -> Mapping[str, Any]:
    """Return an object, and an empty one for any other type."""
    return value if isinstance(value, dict) else {}


def list_or_empty(value: object) -> Sequence[Any]:
    """Return a list, and an empty one for any other type."""
    return value if isinstance(value, list) else ()


def checked_list(value: object) -> Sequence[Any]:
    """Return a list.

    Raises:
        TypeError: it is of another type: an object would be iterated as well.
    """
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def object_of(value: object) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    return value


def optional_object(value: object) -> Mapping[str, Any]:
    """Return an object, and an empty one for null.

    Raises:
        ValueError: it is of another type.
    """
    if not isinstance(value, dict | None):
        raise ValueError("no object")
    return value or {}


def _integer(digits: str) -> float:
    """Return an integer; Python refuses one of thousands of digits."""
    return float(digits) if len(digits) > LONGEST_DIGITS else int(digits)


def _storable(value: Any) -> Any:
    """Return a value of JSON with only what can be stored and sent."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    if isinstance(value, int) and not -INT_LIMIT <= value < INT_LIMIT:
        return math.inf if value > 0 else -math.inf
    return value
