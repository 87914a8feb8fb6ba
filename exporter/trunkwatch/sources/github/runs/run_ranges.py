"""The ranges of `created` by which the run list is read: one open, some closed, some unread."""

from collections.abc import Collection, Iterator
from math import ceil
from typing import NamedTuple

from trunkwatch.sources.github.state import Kind, TrunkContext

RECHECK_SECONDS = 1500.0
"""Seconds after which every closed range is checked again; a re-run is then noticed within half an
hour, which is the promise."""

RECHECK_OUTAGE_SECONDS = 600.0
"""The same for ranges with runs at which jobs with an open outage failed."""


class CreatedRange(NamedTuple):
    """A closed or unread range of the run list.

    Attributes:
        first: its first second (since the epoch).
        last: its last second.
        etag: of its address, or None.
        token: the fingerprint of the token that the ETag is valid for.
        checked: when its address was read last (seconds since the epoch); 0 for never.
    """

    first: int
    last: int
    etag: str | None = None
    token: str = ""
    checked: float = 0.0

    def holds(self, created: float) -> bool:
        """Return whether a moment is in the range."""
        return self.first <= created <= self.last


class RunRanges:
    """One trunk's ranges, as they are stored."""

    def __init__(self, context: TrunkContext) -> None:
        self._state = context.state
        self._token = context.client.fingerprint()
        self._now = context.now

    def open_range(self, start: float) -> tuple[int, str | None]:
        """Return the first second of the open range and its ETag; `start` on a cold start."""
        entry = self._state.get(Kind.OPEN_RANGE) or {"first": int(start)}
        return entry["first"], entry.get("etag") if entry.get("token") == self._token else None

    def put_open(self, first: int, etag: str | None) -> None:
        """Store where the open range begins."""
        entry = {"first": first, "etag": etag, "token": self._token}
        self._state.put(Kind.OPEN_RANGE, entry)

    def closed(self) -> Iterator[CreatedRange]:
        """Yield the closed ranges."""
        for first, entry in self._state.all(Kind.CLOSED_RANGE).items():
            yield CreatedRange(int(first), *entry)

    def put(self, closed: CreatedRange) -> None:
        """Store a closed range."""
        token = self._token if closed.etag else ""
        entry = [closed.last, closed.etag, token, closed.checked]
        self._state.put(Kind.CLOSED_RANGE, entry, closed.first)

    def etag_of(self, closed: CreatedRange) -> str | None:
        """Return the ETag of a range, if it is valid for the current token."""
        return closed.etag if closed.token == self._token else None

    def age(self, closed: CreatedRange) -> float:
        """Return how long ago a range was checked (seconds)."""
        return self._now - closed.checked

    def holding(self, created: Collection[float]) -> list[CreatedRange]:
        """Return the closed ranges that hold any of some moments."""
        return [closed for closed in self.closed() if any(map(closed.holds, created))]

    def due(self, interval: float) -> list[CreatedRange]:
        """Return the ranges to check now, spread over time.

        Args:
            interval: seconds from one refresh to the next.
        """
        ranges = sorted(self.closed(), key=lambda closed: closed.checked)
        late = [closed for closed in ranges if self.age(closed) >= RECHECK_SECONDS]
        if late or not ranges or self.age(ranges[-1]) < RECHECK_SECONDS / len(ranges):
            return late
        # After a cold start all have the same age; check some early so that they spread out.
        share = ceil(len(ranges) * interval / RECHECK_SECONDS)
        return [closed for closed in ranges[:share] if self.age(closed) >= RECHECK_SECONDS / 2]

    def unchecked(self) -> list[CreatedRange]:
        """Return the closed ranges that were never read by their own address."""
        return [closed for closed in self.closed() if not closed.checked]

    def invalidate(self, created: float) -> None:
        """Drop the ETag of the range that holds a moment, so that it is read again."""
        head = self._state.get(Kind.OPEN_RANGE)
        if created >= head["first"]:
            self.put_open(head["first"], None)
        for closed in self.holding([created]):
            self.put(closed._replace(etag=None, checked=0.0))

    def unread(self) -> Iterator[CreatedRange]:
        """Yield the unread ranges."""
        for first, last in self._state.all(Kind.UNREAD_RANGE).items():
            yield CreatedRange(int(first), last)

    def newest_unread(self) -> CreatedRange:
        """Return the unread range that ends last; there must be one."""
        return max(self.unread(), key=lambda unread: unread.last)

    def has_unread(self, since: float) -> bool:
        """Return whether runs created since a moment may not have been read."""
        return any(unread.last >= since for unread in self.unread())

    def put_unread(self, first: int, last: int) -> None:
        """Store a range to read later, unless it is empty."""
        if first <= last:
            self._state.put(Kind.UNREAD_RANGE, last, first)

    def drop_unread(self, first: int) -> None:
        """Delete an unread range."""
        self._state.drop(Kind.UNREAD_RANGE, first)

    def split(self, closed: CreatedRange) -> None:
        """Mark a closed range unread that has outgrown a page; reading it splits it."""
        self._state.drop(Kind.CLOSED_RANGE, closed.first)
        self.put_unread(closed.first, closed.last)

    def widen(self, start: float) -> None:
        """Extend the ranges back to a moment, by an unread range."""
        begins = [each.first for each in (*self.closed(), *self.unread())]
        oldest = min([self._state.get(Kind.OPEN_RANGE)["first"], *begins])
        self.put_unread(int(start), oldest - 1)

    def forget(self, start: float) -> None:
        """Delete the ranges that end before a moment."""
        for kind, ranges in (
            (Kind.CLOSED_RANGE, self.closed()),
            (Kind.UNREAD_RANGE, self.unread()),
        ):
            self._state.drop_all(kind, [str(each.first) for each in ranges if each.last < start])
