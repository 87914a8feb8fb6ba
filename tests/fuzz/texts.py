"""Texts of files and requests that are nearly right."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.poison import POISONS, Poison, poisons

SPOILED = (b"", b"\0", b"\xff", b"\\ud800", b'"', b"9" * 5000, b",", b"{", b"[" * 20_000, b"\r\n",
           b"%", b"%00", b"%ff", b"..", b"/", b"NaN")  # fmt: skip
"""Bytes that are put into a good text."""


def json_texts(*documents: Any) -> st.SearchStrategy[bytes]:
    """Return the JSON of documents with one poisoned value, or with bytes put in or cut off."""
    return st.one_of(
        [_poisoned(each) for each in documents]
        + [spoiled(json.dumps(each).encode()) for each in documents]
    )


def _poisoned(document: Any) -> st.SearchStrategy[bytes]:
    def apply(poison: Poison) -> bytes:
        return poison.apply(document)

    if not isinstance(document, dict | list):
        return st.sampled_from(POISONS[2:]).map(str.encode)
    return poisons(document).map(apply)


def spoiled(text: bytes) -> st.SearchStrategy[bytes]:
    """Return a text with bytes put in somewhere, or with a part cut out."""
    places = st.integers(0, len(text))

    def change(begin: int, end: int, put: bytes) -> bytes:
        return text[:begin] + put + text[max(begin, end) :]

    return st.one_of(
        st.builds(lambda at, put: change(at, at, put), places, st.sampled_from(SPOILED)),
        st.builds(change, places, places, st.sampled_from(SPOILED)),
        st.binary(max_size=30),
    )


def lines_of(*lines: Any) -> st.SearchStrategy[bytes]:
    """Return a file of one JSON object a line, of which one is poisoned or spoiled."""
    good = [json.dumps(line).encode() for line in lines]

    def with_line(place: int, line: bytes) -> bytes:
        return b"\n".join([*good[:place], line, *good[place + 1 :]]) + b"\n"

    return st.one_of(
        [st.builds(with_line, st.just(place), json_texts(line)) for place, line in enumerate(lines)]
    )


def yaml_texts(
    keys: Sequence[str], words: Sequence[str], frame: Callable[[Any], Any]
) -> st.SearchStrategy[str]:
    """Return YAML texts of valid keys with arbitrary values, and arbitrary texts.

    Args:
        keys: of the schema.
        words: values that are valid somewhere.
        frame: returns the strategy of a whole document, given that of a value.
    """
    scalars: st.SearchStrategy[Any] = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(),
        st.text(max_size=8), st.sampled_from(list(words)),
    )  # fmt: skip
    values = st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(list(keys)), inner, max_size=4),
            st.dictionaries(scalars, inner, max_size=2),
        ),
        max_leaves=12,
    )
    documents = st.one_of(values, frame(values))
    written = documents.map(lambda document: yaml.safe_dump(document, allow_unicode=True))
    return st.one_of(written, st.text(max_size=60), st.sampled_from(YAML_TRAPS))


YAML_TRAPS = (
    "{{ a }}: 1", "? [a]\n: 1", "a: 0b_", "a: !!int ''", "a: !!bool maybe", "a: !!timestamp soon",
    "a: !!float x", "a: !!map text", "a: !!binary é", "a: 9999-99-99", "a: &a [*a]\nsources: *a",
    "&a {sources: *a}", "<<: [1]", "!!set {sources}", "%YAML 3.0\n---\na: b",
    "sources: " + "[" * 2000, "a: " + "9" * 5000, "a: 1e400", 'a: "\\ud800"', "sources: *b",
    "a: &a x\nb: [*a, *a]\n<<: *a", 'a: "\\U00110000"', 'a: "\\UFFFFFFFF"', 'a: "\\0"',
    "%YAML 1." + "9" * 5000 + "\n---\na: b", "a: 0x" + "f" * 5000, "a: -0b" + "1" * 20_000,
)  # fmt: skip
"""What YAML's own types stumble over."""
