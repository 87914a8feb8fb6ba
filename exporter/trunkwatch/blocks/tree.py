"""Joins the compressed columns of many blocks; a change joins a few of them, not all."""

from collections.abc import Sequence
from typing import Protocol

from trunkwatch.blocks.gzip_member import Piece, join

CHILDREN = 8
"""Neighbours that are joined, at each level: the CRCs of two texts take microseconds to combine."""


class Columns(Protocol):
    """A block, or neighbours that were joined."""

    def piece(self, column: int) -> Piece:
        """Return the text of a column, compressed."""
        ...


class Tree:
    """The joined columns of the last blocks. Not safe for threads."""

    def __init__(self, columns: int) -> None:
        """Args:
        columns: number of columns of each block.
        """
        self._columns = columns
        self._levels: list[list[_Node]] = []

    def join(self, blocks: Sequence[Columns]) -> list[Piece]:
        """Return each column of all blocks; unchanged blocks are joined already."""
        levels = [self._joined(blocks, self._levels[:1])]
        while len(levels[-1]) > 1:
            levels.append(self._joined(levels[-1], self._levels[len(levels) : len(levels) + 1]))
        self._levels = levels
        return [levels[-1][0].piece(column) for column in range(self._columns)]

    def _joined(
        self, children: Sequence[Columns], before: "Sequence[Sequence[_Node]]"
    ) -> "list[_Node]":
        """Join neighbours.

        Args:
            children: those of one level.
            before: the result for this level at the last call, if any.
        """
        nodes = []
        for number, begin in enumerate(range(0, max(1, len(children)), CHILDREN)):
            group = tuple(children[begin : begin + CHILDREN])
            old = before[0][number] if before and number < len(before[0]) else None
            is_same = old is not None and old.children == group
            nodes.append(old if old is not None and is_same else _Node(group, self._columns, old))
        return nodes


class _Node:
    """Neighbours, joined."""

    __slots__ = ("_joined", "_pieces", "children")

    def __init__(self, children: tuple[Columns, ...], columns: int, before: "_Node | None") -> None:
        self.children = children
        self._pieces = [
            tuple([child.piece(column) for child in children]) for column in range(columns)
        ]
        self._joined: list[Piece] = [
            before._joined[column]
            if before is not None and before._pieces[column] == pieces
            else join(pieces)
            for column, pieces in enumerate(self._pieces)
        ]

    def piece(self, column: int) -> Piece:
        return self._joined[column]
