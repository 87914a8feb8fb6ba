"""Sorted items, each with its texts, in blocks that are compressed separately.

An item has a text in each of several columns (the families of /metrics), and a column is read from
the first item to the last. An update compares blocks of items by identity, at some nanoseconds per
item, renders the items that changed, and compresses the columns of their blocks that changed.
"""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Any, Generic, TypeVar

from trunkwatch.blocks.gzip_member import Piece, deflate
from trunkwatch.blocks.tree import Tree

BLOCK_ITEMS = 128
"""Items in a new block: one changed item compresses the texts of so many items again. Blocks of
half the size make the whole stream a quarter larger."""

PAUSE_SECONDS = 20e-6
"""After each rendered block other threads may run, such as one that answers a scrape: the
interpreter alone would let them wait for five milliseconds each time."""

T = TypeVar("T")

Texts = Sequence[str]
"""The text of one item in each column; empty where it has none."""


class Block(Generic[T]):
    """Consecutive items.

    Its texts never change, so that any thread may read them.
    """

    __slots__ = ("_size", "items", "pieces", "texts")

    def __init__(
        self, items: tuple[T, ...], texts: Sequence[Texts], before: "Block[T] | None" = None
    ) -> None:
        """Args:
        items: sorted.
        texts: of each item.
        before: the block that it replaces; the pieces of unchanged columns are taken from it.
        """
        self.items = items
        self.texts = texts
        self.pieces: list[Piece | None] = [None] * len(texts[0]) if texts else []
        self._size: int | None = None
        if before is not None and any(before.pieces):
            for column, piece in enumerate(before.pieces):
                if before.text(column) == self.text(column):
                    self.pieces[column] = piece

    def text(self, column: int) -> bytes:
        """Return the texts of a column."""
        return "".join([texts[column] for texts in self.texts]).encode()

    def piece(self, column: int) -> Piece:
        """Return the texts of a column, compressed at the first call."""
        piece = self.pieces[column]
        if piece is None:
            piece = self.pieces[column] = deflate(self.text(column))
        return piece

    @property
    def size(self) -> int:
        """The length of all texts (bytes)."""
        if self._size is None:
            self._size = sum(len(self.text(column)) for column in range(len(self.pieces)))
        return self._size


class Blocks(Generic[T]):
    """Renders items in blocks; `blocks` is replaced by each update, and never changed.

    Not safe for threads, except that any thread may read what `blocks` was at any time.
    """

    def __init__(self, columns: int, key: Callable[[T], Any], render: Callable[[T], Texts]) -> None:
        """Args:
        columns: number of texts of each item.
        key: returns the sort key of an item, which identifies it.
        render: returns the texts of an item.
        """
        self._columns = columns
        self._key = key
        self._render = render
        self._parts: Sequence[tuple[T, ...]] = ()
        self._tree = Tree(columns)
        self.blocks: tuple[Block[T], ...] = ()

    def update(self, parts: Sequence[tuple[T, ...]]) -> None:
        """Bring the blocks up to date.

        Args:
            parts: all items in order. A part that is the same object as before is not looked into.
        """
        begin, end, end_before = _changed(self._parts, parts)
        if begin == end == end_before:
            return
        first, last, head, tail = self._region(begin, end_before)
        items = (*head, *chain.from_iterable(parts[begin:end]), *tail)
        region = list(self._updated(self.blocks[first:last], items))
        self.blocks = (*self.blocks[:first], *region, *self.blocks[last:])
        self._parts = parts

    def pieces(self) -> list[Piece]:
        """Return each column, compressed; unchanged ones are joined already."""
        return self._tree.join(self.blocks)

    def _region(self, begin: int, end: int) -> tuple[int, int, tuple[T, ...], tuple[T, ...]]:
        """Return the blocks that hold some parts, and the items before and after these parts.

        Args:
            begin: the first part.
            end: the part after the last.
        """
        lengths = list(map(len, self._parts))
        offset, after = sum(lengths[:begin]), sum(lengths[:end])
        if not self.blocks:
            return 0, 0, (), ()
        ends = list(accumulate(len(block.items) for block in self.blocks))
        # One block more on the left, so that small neighbours are found and merged.
        first = max(0, bisect_right(ends, offset) - 1)
        last = min(bisect_left(ends, after) + 1, len(ends))
        items = chain.from_iterable(block.items for block in self.blocks[first:last])
        head = tuple(islice(items, offset - (ends[first - 1] if first else 0)))
        block = self.blocks[last - 1]
        return first, last, head, block.items[len(block.items) - (ends[last - 1] - after) :]

    def _updated(self, blocks: Sequence[Block[T]], items: tuple[T, ...]) -> list[Block[T]]:
        """Return blocks for the items, which are between the same neighbours as those before."""
        found: list[Block[T]] = []
        begin = 0
        blocks = blocks or (Block((), ()),)
        for number, block in enumerate(blocks, 1):
            is_last = number == len(blocks)
            end = len(items) if is_last else begin + len(block.items)
            part = items[begin:end]
            if part and part == block.items:  # of identical items no field is compared
                block.items = part
                _append(found, block)
            else:
                if not is_last:
                    bound = self._key(blocks[number].items[0])
                    end = bisect_left(items, bound, lo=begin, key=self._key)
                for changed in self._rendered(block, items[begin:end]):
                    _append(found, changed)
                    time.sleep(PAUSE_SECONDS)
            begin = end
        return found

    def _rendered(self, block: Block[T], items: tuple[T, ...]) -> Iterator[Block[T]]:
        """Yield the items in place of a block; those that it holds are not rendered again."""
        key, render = self._key, self._render
        rendered = {
            key(item): (item, texts) for item, texts in zip(block.items, block.texts, strict=True)
        }
        is_one = len(items) <= 2 * BLOCK_ITEMS
        step = 2 * BLOCK_ITEMS if is_one else BLOCK_ITEMS
        for begin in range(0, len(items), step):
            part = items[begin : begin + step]
            texts = []
            for item in part:
                before = rendered.get(key(item))
                if before is not None and (before[0] is item or before[0] == item):
                    texts.append(before[1])
                else:
                    texts.append(render(item))
            yield Block(part, texts, block if is_one else None)


def _append(blocks: list[Block[T]], block: Block[T]) -> None:
    """Append a block, or merge it with the last one if both are small."""
    if blocks and len(blocks[-1].items) + len(block.items) <= BLOCK_ITEMS:
        last = blocks.pop()
        block = Block((*last.items, *block.items), (*last.texts, *block.texts))
    blocks.append(block)


def _changed(before: Sequence[object], after: Sequence[object]) -> tuple[int, int, int]:
    """Return the range of the parts that changed: its begin, and its end after and before."""
    length = min(len(before), len(after))
    begin = _same(before, after, length)
    rest = length - begin
    same_at_end = _same(before[::-1], after[::-1], rest)
    return begin, len(after) - same_at_end, len(before) - same_at_end


def _same(one: Iterable[object], other: Iterable[object], length: int) -> int:
    """Return how many objects at the begin are the same, at most `length`."""
    for number, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if number == length or mine is not yours:
            return number
    return length
