"""Blocks of items: a change costs the items that changed, however many there are."""

import gzip
from collections.abc import Iterator, Sequence
from unittest import mock

import pytest
from trunkwatch.blocks import Blocks, Member, Parts, Piece, blocks, deflate, gzip_member, tree
from trunkwatch.blocks.parts import CHUNK_BYTES

Item = tuple[int, str]
"""Key and text."""

TEN_TIMES = pytest.mark.parametrize("number", [1_000, 10_000])


class Counted:
    """Blocks of two columns, of which the second is the key alone, and their work.

    Attributes:
        rendered: keys of the items that were rendered.
        deflated: texts that were compressed.
        combined: how often two CRCs were combined.
    """

    def __init__(self, *parts: Sequence[Item]) -> None:
        self.rendered: list[int] = []
        self.deflated: list[bytes] = []
        self.combined = 0
        self.blocks = Blocks[Item](2, lambda item: item[0], self._render)
        self.update(*parts)

    def _render(self, item: Item) -> list[str]:
        self.rendered.append(item[0])
        return [f"{item[0]} {item[1]}\n", f"{item[0]}\n"]

    def _deflate(self, text: bytes) -> Piece:
        self.deflated.append(text)
        return deflate(text)

    def _combine(self, first: int, second: int, size: int) -> int:
        self.combined += 1
        return COMBINE(first, second, size)

    def update(self, *parts: Sequence[Item]) -> None:
        """Update, and compare the text with that of all items."""
        self.rendered, self.deflated, self.combined = [], [], 0
        with (
            mock.patch.multiple(blocks, PAUSE_SECONDS=0, deflate=self._deflate),
            mock.patch.object(gzip_member, "crc32_combine", self._combine),
        ):
            self.blocks.update([tuple(part) for part in parts])
            pieces = self.blocks.pieces()
        items = [item for part in parts for item in part]
        packed = b"".join(Member().plus(pieces).complete().parts)
        expected = "".join(f"{key} {text}\n" for key, text in items)
        expected += "".join(f"{key}\n" for key, _ in items)
        assert gzip.decompress(packed).decode() == expected

    @property
    def sizes(self) -> list[int]:
        """Numbers of items in each block."""
        return [len(block.items) for block in self.blocks.blocks]


COMBINE = gzip_member.crc32_combine


def items(*keys: int) -> list[Item]:
    return [(key, "as it was") for key in keys]


@TEN_TIMES
def test_a_change_costs_what_changed(number: int) -> None:
    """One changed item is rendered, its column of one block compressed, and a few are joined."""
    before = items(*range(number))
    counted = Counted(before)
    assert counted.rendered == list(range(number))
    counted.update([*before[:77], (77, "changed"), *before[78:]])
    assert counted.rendered == [77]
    (text,) = counted.deflated
    assert b"77 changed" in text
    assert counted.combined <= 4 * tree.CHILDREN


@TEN_TIMES
def test_a_changed_part_among_many(number: int) -> None:
    """Of many small parts only the changed one is looked into."""
    parts = [tuple(items(part * 2, part * 2 + 1)) for part in range(number // 2)]
    counted = Counted(*parts)
    parts[40] = ((80, "changed"), parts[40][1])
    counted.update(*parts)
    assert (counted.rendered, len(counted.deflated)) == ([80], 1)


@pytest.mark.parametrize("place", [0, 1, 500, 1000])
def test_a_new_item_moves_no_other(place: int) -> None:
    """One more item anywhere makes one block anew; the others stay."""
    keys = [key * 2 for key in range(1000)]
    counted = Counted(items(*keys))
    before = set(counted.blocks.blocks)
    new = place * 2 - 1
    counted.update(items(*sorted([*keys, new])))
    assert counted.rendered == [new]
    assert len(set(counted.blocks.blocks) - before) == 1


def test_an_equal_item_is_not_compared_twice() -> None:
    """An item that is another object but equal is not rendered, and replaces the one before."""
    counted = Counted(items(*range(300)))
    equal = items(*range(300))
    counted.update(equal)
    assert (counted.rendered, counted.deflated) == ([], [])
    assert all(mine is item for mine, item in zip(all_items(counted), equal, strict=True))


def all_items(counted: Counted) -> Iterator[Item]:
    return (item for block in counted.blocks.blocks for item in block.items)


def test_blocks_are_neither_large_nor_many() -> None:
    """Blocks stay between a half and twice their size, however items come and go."""
    counted = Counted()
    size = blocks.BLOCK_ITEMS
    for last in range(0, 10 * size, size // 3):
        counted.update(items(*range(last)))
    assert max(counted.sizes) <= 2 * size
    for gone in range(2, 20):
        counted.update(items(*(key for key in range(10 * size) if key % gone == 0)))
        assert len(counted.sizes) <= 2 + 2 * sum(counted.sizes) // size
    counted.update()
    assert counted.sizes == []


def test_chunks_are_neither_large_nor_many() -> None:
    """A text is sent in chunks of one size, whatever its parts are."""
    parts = [b"a" * 10, b"", b"b" * 3 * CHUNK_BYTES, *[b"c"] * 1000]
    chunks = list(Parts(sum(map(len, parts)), parts).chunks())
    assert b"".join(chunks) == b"".join(parts)
    assert [len(chunk) < 2 * CHUNK_BYTES for chunk in chunks] == [True] * 4
