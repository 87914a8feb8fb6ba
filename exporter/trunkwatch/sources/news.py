"""The trunks with news, which webhooks report: between two polls, a refresh reads only these."""

import threading
from collections.abc import Collection, Hashable

MIN_READ_INTERVAL_SECONDS = 10.0
"""Seconds between two reads of a trunk that webhooks cause: each job sends several."""


class News:
    """The trunks that are due before the next poll. Safe for threads."""

    def __init__(self, interval: float) -> None:
        """Args:
        interval: seconds from one poll to the next.
        """
        self._interval = interval
        self._lock = threading.Lock()
        self._due: set[Hashable] = set()
        self._polled_at = 0.0
        self._read_at: dict[Hashable, float] = {}

    def add(self, key: Hashable) -> None:
        """Record that a trunk, identified by any key, has news."""
        with self._lock:
            self._due.add(key)

    def take(
        self, keys: Collection[Hashable], now: float
    ) -> tuple[frozenset[Hashable], float | None]:
        """Return the trunks to read now, and the seconds until the next refresh.

        If the poll is due, or no trunk has news, these are all trunks, and None: the next refresh
        is the next poll. Otherwise they are the trunks with news; none if all of these were read
        less than `MIN_READ_INTERVAL_SECONDS` ago.

        Args:
            keys: of all trunks.
            now: seconds since the epoch.
        """
        with self._lock:
            due, self._due = self._due, set()
            since_poll = now - self._polled_at
            if not due or not 0 <= since_poll < self._interval:
                self._polled_at = now
                self._read_at = dict.fromkeys(keys, now)
                return frozenset(self._read_at), None
            waits = {
                key: self._read_at.get(key, 0.0) + MIN_READ_INTERVAL_SECONDS - now for key in due
            }
            # A longer wait means that the clock was set back: do not wait for it.
            self._due = {
                key for key in keys if 0 < waits.get(key, 0.0) <= MIN_READ_INTERVAL_SECONDS
            }
            chosen = due.intersection(keys) - self._due
            self._read_at.update(dict.fromkeys(chosen, now))
            news_waits = (waits[key] for key in self._due)
            return frozenset(chosen), min([self._interval - since_poll, *news_waits])
