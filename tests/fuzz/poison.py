"""JSON documents in which one value is replaced by another that no vendor documents."""

import json
from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

MISSING, TWICE = "(missing)", "(twice)"
"""The value is left out, or its key stands there twice, null the second time."""

POISONS = (
    MISSING, TWICE, "null", "true", "-1", "0", "1.5", "9223372036854775808", "-" + "9" * 30,
    "9" * 5000, "1e400", "NaN", '""', '"\\ud800"', '"a\\u0000b"', '["x"]', '{"a":1}', "[]", "{}",
    '"0000-00-00T00:00:00Z"', '"0001-01-01T00:00:00Z"', '"1970-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59-23:59"', '"10000-01-01T00:00:00Z"', '"' + "x" * 20_000 + '"',
    "[" * 300 + "]" * 300, f'"https://github.com/o/r/actions/runs/{"9" * 5000}/job/{"9" * 5000}"',
)  # fmt: skip
"""JSON texts, and the two words above."""

_PLACEHOLDER = "@@poison@@"

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""


class Poison(NamedTuple):
    """One changed value.

    Attributes:
        place: of the value.
        text: one of `POISONS`.
    """

    place: Place
    text: str

    def may_be_believed(self, document: Any) -> bool:
        """Return whether nothing shows it: the type is the same, or a list is shorter."""
        if self.text == MISSING and isinstance(self.place[-1], int):
            return True
        *_, holder = holders(document, self.place)
        old = holder[self.place[-1]]
        kinds = {str: '"', int: "-0123456789"}
        return type(old) in kinds and self.text[0] in kinds[type(old)]

    def apply(self, document: Any) -> bytes:
        """Return the JSON of a document with this change."""
        return _with(document, self.place, self.text).encode()


def places(document: Any, unread: Container[object] = (), place: Place = ()) -> Iterator[Place]:
    """Yield the place of every value, each holder before its content.

    Args:
        document: parsed JSON.
        unread: keys that are left out, with all below them.
        place: of the document itself.
    """
    items: Sequence[tuple[str | int, Any]] = ()
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    for key, value in items:
        if key not in unread:
            yield (*place, key)
            yield from places(value, unread, (*place, key))


def poisons(document: Any, unread: Container[object] = ()) -> st.SearchStrategy[Poison]:
    """Return the changes of one value of a document."""
    found = list(places(document, unread))
    return st.builds(Poison, st.sampled_from(found), st.sampled_from(POISONS))


def holders(document: Any, place: Place) -> Iterator[Any]:
    """Yield the values around a place, the innermost last."""
    for key in place:
        yield document
        document = document[key]


def _with(document: Any, place: Place, text: str) -> str:
    if not place:
        return text
    changed = _copied(document, place, _PLACEHOLDER)
    *_, holder = holders(changed, place)
    *_, original = holders(document, place)
    old = original[place[-1]]
    if text == MISSING:
        del holder[place[-1]]
        text = ""
    elif text == TWICE:
        key = place[-1]
        again = f",{json.dumps(key)}:null" if isinstance(key, str) else f",{json.dumps(old)}"
        text = json.dumps(old) + again
    return json.dumps(changed).replace(f'"{_PLACEHOLDER}"', text)


def _copied(document: Any, place: Place, value: Any) -> Any:
    """Return a document with another value, without changing the original."""
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = _copied(document[place[0]], place[1:], value)
    return copy
