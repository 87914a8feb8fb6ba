"""The cache of rendered pages."""

import gzip

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.html.rendered import Kept, rendered, segment


def test_a_value_is_made_again_when_its_basis_changes() -> None:
    """The same objects, texts and numbers give the kept value; an equal object is another one."""
    kept: Kept[str] = Kept(10)
    one, other = [1], [1]
    assert kept.get("key", (one, "age", 1), lambda: "first") == "first"
    assert kept.get("key", (one, "age", 1), lambda: "second") == "first"
    assert kept.find("key", (one, "age", 1)) == "first"
    for basis in ((other, "age", 1), (one, "older", 1), (one, "age", 2), (one, "age")):
        assert kept.find("key", basis) is None
    assert kept.get("key", (other, "age", 1), lambda: "third") == "third"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9))))
def test_the_oldest_values_make_room(uses: list[tuple[int, int]]) -> None:
    """The latest values whose weights fit are kept, and the newest in any case."""
    kept: Kept[str] = Kept(12, len)
    latest: dict[int, int] = {}
    for key, weight in uses:
        kept.put(key, (weight,), "x" * weight)
        latest.pop(key, None)
        latest[key] = weight
        while sum(latest.values()) > 12 and len(latest) > 1:
            del latest[next(iter(latest))]
        for each in range(7):
            assert (kept.find(each, (latest.get(each),)) is not None) is (each in latest)


def test_empty_values_make_room_as_well() -> None:
    """A filter that no job fits gives an empty value, and there is any number of filters."""
    kept: Kept[str] = Kept(12, len)
    for key in range(100):
        kept.put(key, (), "")
    assert [key for key in range(100) if kept.find(key, ()) is not None] == list(range(88, 100))


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_a_page_is_its_segments(texts: list[str]) -> None:
    """A page is its segments, plain and as one gzip member, with a tag of the text alone."""
    page = rendered(*map(segment, texts))
    plain = b"".join(page.plain().parts)
    assert plain == "".join(texts).encode()
    assert page.size == page.plain().size == len(plain)
    assert gzip.decompress(b"".join(page.zipped().parts)) == plain
    assert page.etag == rendered(segment("".join(texts))).etag


def test_half_a_surrogate_pair_is_shown() -> None:
    """Text that UTF-8 cannot hold does not fail a page."""
    assert b"".join(rendered(segment("a\ud800b")).plain().parts) == b"a?b"
