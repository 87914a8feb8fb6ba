"""The verdicts of a job at all of its columns, which cost little to keep and to extend."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trunkwatch.domain.model import Verdict

_SHIFT = 3
"""Bits of a verdict's code below the index of its commit."""

_SKIPPED = len(Verdict)
"""The code of a NONE of which every row is a skip."""


class Place(NamedTuple):
    """The verdict of one column.

    Attributes:
        commit_index: of its commit in the trunk's order; 0 is the oldest.
        verdict: its verdict.
        skipped: the verdict is NONE only because every row is a skip.
    """

    commit_index: int
    verdict: Verdict
    skipped: bool = False


_CODES = {verdict: code for code, verdict in enumerate(Verdict)}
_VERDICTS = (*Verdict, Verdict.NONE)


class ColumnHistory:
    """The columns of a job, oldest first; immutable.

    A history and its extensions share one array, so that adding a column does not cost a copy of
    all earlier ones: each uses the part that it knows. A column takes four bytes.
    """

    __slots__ = ("_length", "_packed")

    def __init__(self, places: Iterable[Place] = ()) -> None:
        """Args:
        places: in the order of the commits.
        """
        self._packed = array("I", map(_pack, places))
        self._length = len(self._packed)

    def replaced(self, commit_index: int, places: Iterable[Place]) -> "ColumnHistory":
        """Return a history with other columns at a commit and after it.

        Args:
            commit_index: the oldest commit that is replaced.
            places: the columns from it on.
        """
        kept = bisect_left(self._packed, commit_index << _SHIFT, 0, self._length)
        fresh = array("I", map(_pack, places))
        known = self._packed[kept : self._length]
        if known == fresh[: len(known)]:
            kept, fresh = self._length, fresh[len(known) :]
        if not fresh and kept == self._length:
            return self
        other = ColumnHistory()
        other._packed = self._packed if kept == len(self._packed) else self._packed[:kept]
        other._packed.extend(fresh)
        other._length = kept + len(fresh)
        return other

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnHistory) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self._known().tobytes())

    def trimmed(self, commit_index: int) -> "ColumnHistory":
        """Return it without the columns before a commit."""
        first = bisect_left(self._packed, commit_index << _SHIFT, 0, self._length)
        if not first:
            return self
        other = ColumnHistory()
        other._packed = self._packed[first : self._length]
        other._length = len(other._packed)
        return other

    def since(self, commit_index: int) -> Iterator[Place]:
        """Yield the columns at a commit and after it, oldest first."""
        first = bisect_left(self._packed, commit_index << _SHIFT, 0, self._length)
        return map(_unpack, self._packed[first : self._length])

    @classmethod
    def from_parts(cls, parts: Iterable[bytes]) -> "ColumnHistory":
        """Return the history of which all `parts` are given, in their order.

        Raises:
            ValueError: a part is damaged.
        """
        history = cls()
        for part in parts:
            history._packed.frombytes(part)
        history._length = len(history._packed)
        return history

    def parts(self, size: int, since: int) -> Iterator[tuple[int, bytes]]:
        """Yield the history as bytes, with the number of each part from 0 on.

        Args:
            size: columns of a part.
            since: number of columns before which a part may be left out.
        """
        for start in range(since - since % size, self._length, size):
            end = min(start + size, self._length)
            yield start // size, self._packed[start:end].tobytes()

    def same_as(self, before: "ColumnHistory") -> int:
        """Return the number of oldest columns that are those of an earlier history."""
        if before._packed is self._packed:
            return min(before._length, self._length)
        return _common(before._known(), self._known())

    def at(self, commit_index: int) -> Iterator[Verdict]:
        """Yield the verdicts at a commit, oldest first."""
        first = bisect_left(self._packed, commit_index << _SHIFT, 0, self._length)
        last = bisect_left(self._packed, (commit_index + 1) << _SHIFT, first, self._length)
        return (_unpack(packed).verdict for packed in self._packed[first:last])

    def changes(self, before: "ColumnHistory") -> tuple[list[Place], list[Place]]:
        """Return the columns of the commits that differ from an earlier history: lost, gained."""
        # A trimmed history is compared with the part of the earlier one that it still has.
        start = self._packed[0] >> _SHIFT if self._length else 0
        kept = before.trimmed(start)
        lost = list(map(_unpack, before._packed[: before._length - kept._length]))
        same = self.same_as(kept)
        oldest = min((h._packed[same] for h in (kept, self) if same < h._length), default=None)
        if oldest is None:
            return lost, []
        # Columns that are runs: the commit changes as a whole.
        index = oldest >> _SHIFT
        return [*lost, *kept.since(index)], list(self.since(index))

    def newest(self, number: int) -> Iterator[Place]:
        """Yield the newest columns, at most `number`, oldest first."""
        return map(_unpack, self._packed[max(0, self._length - number) : self._length])

    def newest_decided(self, number: int, within: int) -> list[Verdict]:
        """Return the newest verdicts that are PASS, FAIL or FLAKY, newest first.

        Args:
            number: of verdicts, at most.
            within: the newest columns that are read, at most.
        """
        found: list[Verdict] = []
        for column in range(self._length - 1, max(0, self._length - within) - 1, -1):
            verdict = _VERDICTS[self._packed[column] & (1 << _SHIFT) - 1]
            if verdict.decided:
                found.append(verdict)
            if len(found) == number:
                break
        return found

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of each column, oldest first."""
        return tuple(_VERDICTS[packed & (1 << _SHIFT) - 1] for packed in self._known())

    @property
    def commit_indexes(self) -> tuple[int, ...]:
        """The commit of each column, oldest first."""
        return tuple(packed >> _SHIFT for packed in self._known())

    def _known(self) -> "array[int]":
        return self._packed[: self._length]


def _pack(place: Place) -> int:
    return place.commit_index << _SHIFT | (_SKIPPED if place.skipped else _CODES[place.verdict])


def _unpack(packed: int) -> Place:
    code = packed & (1 << _SHIFT) - 1
    return Place(packed >> _SHIFT, _VERDICTS[code], code == _SKIPPED)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the common beginning of two arrays."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
