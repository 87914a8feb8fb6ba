"""Rendered pages: their bytes, compressed parts and entity tags, kept while nothing changes."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trunkwatch.blocks import Member, Parts, Piece, deflate

ETAG_BYTES = 16
"""Enough that two pages never have one tag by chance."""

KEPT_BYTES = 32 * 1024 * 1024
"""Text that is kept: a page of 500 jobs and 100 commits has 3 MB."""

ENTRY_BYTES = 100_000
"""Memory that a kept page holds beside its text: the list of the jobs that it was made from."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a page.

    Attributes:
        text: as UTF-8.
        piece: the same, compressed.
    """

    text: bytes
    piece: Piece


def segment(text: str) -> Segment:
    """Return a part of a page; half a surrogate pair, which UTF-8 has no form for, becomes `?`."""
    encoded = text.encode("utf-8", "replace")
    return Segment(encoded, deflate(encoded))


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page.

    Attributes:
        etag: a weak entity tag: equal pages have equal tags.
    """

    etag: str
    _segments: Sequence[Segment]

    @property
    def size(self) -> int:
        """Length of the page (bytes)."""
        return sum(len(each.text) for each in self._segments)

    def plain(self) -> Parts:
        """Return the page."""
        texts = [each.text for each in self._segments]
        return Parts(sum(map(len, texts)), texts)

    def zipped(self) -> Parts:
        """Return the page, compressed with gzip."""
        return Member().plus(each.piece for each in self._segments).complete()


def rendered(*segments: Segment) -> Rendered:
    """Return the page that consists of some parts."""
    digest = hashlib.blake2b(digest_size=ETAG_BYTES)
    for each in segments:
        digest.update(each.text)
    return Rendered(f'W/"{digest.hexdigest()}"', segments)


class Kept(Generic[T]):
    """The latest values by key, each with what it was made from. Any thread may use it."""

    def __init__(self, limit: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        """Args:
        limit: sum of the weights of the values.
        weigh: returns the weight of a value, which counts as 1 at least.
        """
        self._limit = limit
        self._weigh: Callable[[T], int] = lambda value: max(1, weigh(value))
        self._weight = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Sequence[object], T]] = OrderedDict()

    def find(self, key: Hashable, basis: Sequence[object]) -> T | None:
        """Return the value of a key if it was made from the same objects, else None."""
        with self._lock:
            found = self._values.get(key)
            return found[1] if found is not None and _is_same(found[0], basis) else None

    def put(self, key: Hashable, basis: Sequence[object], value: T) -> None:
        """Replace the value of a key."""
        with self._lock:
            self._put(key, basis, value)

    def get(self, key: Hashable, basis: Sequence[object], make: Callable[[], T]) -> T:
        """Return the value of a key; others wait while one thread makes it.

        Args:
            key: of the value.
            basis: what it is made from; the same objects give the same value.
            make: makes it.
        """
        with self._lock:
            found = self._values.get(key)
            if found is None or not _is_same(found[0], basis):
                return self._put(key, basis, make())
            self._values.move_to_end(key)
            return found[1]

    def _put(self, key: Hashable, basis: Sequence[object], value: T) -> T:
        before = self._values.pop(key, None)
        if before is not None:
            self._weight -= self._weigh(before[1])
        self._values[key] = tuple(basis), value
        self._weight += self._weigh(value)
        while self._weight > self._limit and len(self._values) > 1:
            _, (_, oldest) = self._values.popitem(last=False)
            self._weight -= self._weigh(oldest)
        return value


def _is_same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Return whether two bases consist of the same objects; texts and numbers are compared."""
    return len(one) == len(other) and all(
        mine is yours or (isinstance(mine, str | int | float | bool) and mine == yours)
        for mine, yours in zip(one, other, strict=True)
    )
