"""JSON that servers send is decoded as Python's own decoder does."""

import json
import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
from trunkwatch.rest.json_text import decode_json

from tests.support.examples import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def outcome(decode: object, content: bytes) -> str:
    assert callable(decode)
    try:
        return ascii(decode(content))
    except (ValueError, RecursionError):
        return "not JSON"


def stored(value: object) -> object:
    """Return a value without what cannot be stored."""
    if isinstance(value, dict):
        return {stored(key): stored(each) for key, each in value.items()}
    if isinstance(value, list):
        return [stored(each) for each in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return math.inf if value > 0 else -math.inf
    return value


@given(VALUES, st.booleans(), st.integers(0, 100), st.binary(max_size=1))
@example("\ud800", True, 0, b"")
@example([float("nan"), 1e400, 2**64, -(2**63) - 1], True, 0, b"")
@example({"a": 1}, False, 1, b'"a":0,')
@settings(max_examples=examples(300))
def test_any_text_has_the_value_that_python_reads(
    value: object, ascii_only: bool, at: int, spoiled: bytes
) -> None:
    """Values, broken texts and numbers of any size are read as `json.loads` does, if storable."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    content = text[:at] + spoiled + text[at:]
    assert outcome(decode_json, content) == outcome(lambda read: stored(json.loads(read)), content)


def test_a_text_that_is_nested_deeply_is_no_crash() -> None:
    """It has no value for either decoder."""
    assert outcome(decode_json, b"[" * 100_000) == "not JSON"
