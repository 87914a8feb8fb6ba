"""A queue of the items whose state changes by the passing of time alone."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

COMPACT_FROM = 64
"""Heap entries below which compacting is not worth its cost."""


class ExpiryQueue(Generic[Item]):
    """Items with the time at which each has to be evaluated again; an item has at most one time.

    Obsolete heap entries are skipped when they reach the top, since searching for them would cost
    a pass over the heap. Items of one time are compared, so they must be orderable.
    """

    def __init__(self) -> None:
        self._times: dict[Item, float] = {}
        self._heap: list[tuple[float, Item]] = []

    def put(self, item: Item, expires_at: float | None) -> None:
        """Set when an item expires, replacing its earlier time.

        Args:
            item: the item.
            expires_at: seconds since the epoch; None for never.
        """
        if expires_at is None:
            self._times.pop(item, None)
        elif self._times.get(item) != expires_at:
            self._times[item] = expires_at
            heappush(self._heap, (expires_at, item))
            if len(self._heap) > 2 * len(self._times) + COMPACT_FROM:
                self._compact()

    def pop_expired(self, now: float) -> list[Item]:
        """Remove and return the items that expire at `now` or before."""
        expired = []
        while (expires_at := self.next_expiry()) is not None and expires_at <= now:
            _, item = heappop(self._heap)
            del self._times[item]
            expired.append(item)
        return expired

    def next_expiry(self) -> float | None:
        """Return the earliest time (seconds since the epoch), or None for an empty queue."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _compact(self) -> None:
        """Rebuild the heap without its obsolete entries, which would otherwise pile up."""
        self._heap = [(expires_at, item) for item, expires_at in self._times.items()]
        heapify(self._heap)
