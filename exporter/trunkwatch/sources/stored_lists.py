"""Lists that are read again after a time, and kept while they cannot be read."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from trunkwatch.engine.facts import StateEntry
from trunkwatch.errors import SourceError
from trunkwatch.rest.client import FATAL_ERRORS

Row = TypeVar("Row")


class StoredList(msgspec.Struct, Generic[Row]):
    """A list as it is stored.

    Attributes:
        site: address of the server; empty if the list was never read.
        read_at: seconds since the epoch.
        rows: as they were then.
    """

    site: str = ""
    read_at: float = 0.0
    rows: list[Row] = []


class StoredLists:
    """The lists of one refresh; safe to use from any thread.

    Attributes:
        entries: to store.
    """

    def __init__(self, site: str, stored: Mapping[str, str], now: float) -> None:
        """Args:
        site: address of the server.
        stored: the entries of the source's state.
        now: seconds since the epoch.
        """
        self._site = site
        self._stored = stored
        self._now = now
        self._fatal: SourceError | None = None
        self.entries: list[StateEntry] = []

    def read(
        self,
        key: str,
        row: type[Row],
        seconds: float,
        read: Callable[[list[Row]], Iterable[Row]],
        *,
        again: bool,
    ) -> tuple[StoredList[Row], SourceError | None]:
        """Return a list, read if it is due, and why it could not be read.

        Args:
            key: of its entry.
            row: type of its rows.
            seconds: after which it is due again.
            read: returns the list, given the rows that were read last.
            again: whether it is due now, because something in it could not be found.
        """
        listed: StoredList[Row] = StoredList()
        with suppress(msgspec.MsgspecError):
            kind = StoredList[row]  # type: ignore[valid-type]  # msgspec reads rows by their type
            listed = msgspec.json.decode(self._stored.get(key, ""), type=kind)
        if listed.site != self._site:
            listed = StoredList()
        is_recent = listed.read_at <= self._now < listed.read_at + seconds
        if listed.site and is_recent and not again:
            return listed, None
        try:
            if self._fatal is not None:
                raise self._fatal
            rows = list(read(listed.rows))
        except SourceError as error:
            if isinstance(error, FATAL_ERRORS):
                self._fatal = error
            # The stored ones are read on: their own requests show whether that is right.
            return listed, error
        fresh = StoredList(self._site, self._now, rows)
        self.entries.append(StateEntry(key, msgspec.json.encode(fresh).decode()))
        return fresh, None
