"""The parts that the list of runs is read in: an open one, closed ones, and gaps between them."""

from collections.abc import Collection, Iterator
from math import ceil
from typing import NamedTuple

from trunkwatch.sources.github.notes import Kind, Notebook

RECHECK = 1500.0
"""Seconds after which every closed part is asked for again; a re-run is then noticed within half
an hour, which is the promise."""

RECHECK_OUTAGE = 600.0
"""The same for parts with runs at which jobs that are broken now failed."""


class Part(NamedTuple):
    """A closed part of the list, or a gap.

    Attributes:
        first: the first second of `created` that is in it (since the epoch).
        last: the last one.
        etag: of its address, or None.
        token: whose ETag that is.
        checked: when its address was asked last (seconds since the epoch); 0 for never.
    """

    first: int
    last: int
    etag: str | None = None
    token: str = ""
    checked: float = 0.0

    def holds(self, created: float) -> bool:
        """Whether what was created at a moment is in it."""
        return self.first <= created <= self.last


class Parts:
    """One trunk's parts, as its notes keep them."""

    def __init__(self, book: Notebook, token: str, now: float) -> None:
        """Args:
        book: keeps them.
        token: tells the token that is used now from others.
        now: seconds since the epoch.
        """
        self._book = book
        self._token = token
        self._now = now

    # ------------------------------------------------------------------ the open part

    def open_part(self, start: float) -> tuple[int, str | None]:
        """Return the first second of the open part and its ETag; `start` when nothing is known."""
        head = self._book.get(Kind.HEAD) or {"first": int(start)}
        return head["first"], head.get("etag") if head.get("token") == self._token else None

    def keep_open(self, first: int, etag: str | None) -> None:
        """Keep where the open part begins now."""
        self._book.put(Kind.HEAD, {"first": first, "etag": etag, "token": self._token})

    # ------------------------------------------------------------------ closed parts

    def closed(self) -> Iterator[Part]:
        """Yield the closed parts."""
        for first, note in self._book.all(Kind.WINDOW).items():
            yield Part(int(first), *note)

    def keep(self, part: Part) -> None:
        """Keep a closed part."""
        token = self._token if part.etag else ""
        self._book.put(Kind.WINDOW, [part.last, part.etag, token, part.checked], part.first)

    def etag_of(self, part: Part) -> str | None:
        """Return the ETag of a part, if it is good for the token that is used now."""
        return part.etag if part.token == self._token else None

    def age(self, part: Part) -> float:
        """Return how long ago a part was asked for (seconds)."""
        return self._now - part.checked

    def holding(self, created: Collection[float]) -> list[Part]:
        """Return the closed parts that hold any of what was created at some moments."""
        return [part for part in self.closed() if any(map(part.holds, created))]

    def due(self, interval: float) -> list[Part]:
        """Return the parts whose turn it is, spread over time.

        Args:
            interval: seconds from one refresh to the next.
        """
        parts = sorted(self.closed(), key=lambda part: part.checked)
        late = [part for part in parts if self.age(part) >= RECHECK]
        if late or not parts or self.age(parts[-1]) < RECHECK / len(parts):
            return late
        # They were all read at once, in the beginning, and are not all to be due at once.
        share = ceil(len(parts) * interval / RECHECK)
        return [part for part in parts[:share] if self.age(part) >= RECHECK / 2]

    def unchecked(self) -> list[Part]:
        """Return the closed parts that were never asked for by their own address."""
        return [part for part in self.closed() if not part.checked]

    def doubt(self, created: float) -> None:
        """See to it that the part that holds a moment is read anew, changed or not."""
        head = self._book.get(Kind.HEAD)
        if created >= head["first"]:
            self.keep_open(head["first"], None)
        for part in self.holding([created]):
            self.keep(part._replace(etag=None, checked=0.0))

    # ------------------------------------------------------------------ gaps

    def gaps(self) -> Iterator[Part]:
        """Yield what has not been read."""
        for first, last in self._book.all(Kind.GAP).items():
            yield Part(int(first), last)

    def newest_gap(self) -> Part:
        """Return the gap that ends last; there is one."""
        return max(self.gaps(), key=lambda part: part.last)

    def has_gap(self, since: float) -> bool:
        """Whether runs that were created from some moment on have not been read."""
        return any(gap.last >= since for gap in self.gaps())

    def put_gap(self, first: int, last: int) -> None:
        """Note that a range has to be read; an empty one has not."""
        if first <= last:
            self._book.put(Kind.GAP, last, first)

    def drop_gap(self, first: int) -> None:
        """Note that a gap has been read."""
        self._book.drop(Kind.GAP, first)

    def open_up(self, part: Part) -> None:
        """Turn a closed part that has outgrown a page into a gap."""
        self._book.drop(Kind.WINDOW, part.first)
        self.put_gap(part.first, part.last)

    # ------------------------------------------------------------------ all of them

    def widen(self, start: float) -> None:
        """See to it that everything from a moment on is read, now or later."""
        known = [part.first for part in (*self.closed(), *self.gaps())]
        self.put_gap(int(start), min([self._book.get(Kind.HEAD)["first"], *known]) - 1)

    def forget(self, start: float) -> None:
        """Drop what ends before a moment."""
        book = self._book
        book.drop_all(Kind.WINDOW, [str(p.first) for p in self.closed() if p.last < start])
        book.drop_all(Kind.GAP, [str(p.first) for p in self.gaps() if p.last < start])
