"""The trunks that webhooks report news of: a refresh reads them alone, until the next poll."""

import threading
from collections.abc import Hashable, Iterable

NEWS_SECONDS = 10.0
"""Seconds between two refreshes of a trunk that webhooks ask for: each job sends several."""


class News:
    """The trunks that are due before the next poll, by any key; safe to use from any thread."""

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
        """Record that a trunk has news."""
        with self._lock:
            self._due.add(key)

    def take(
        self, keys: Iterable[Hashable], now: float
    ) -> tuple[frozenset[Hashable], float | None]:
        """Return the trunks to read now, and the seconds until the next refresh if it is early.

        Args:
            keys: of all trunks, which are read unless some of them have news.
            now: seconds since the epoch.
        """
        with self._lock:
            due, self._due = self._due, set()
            since_poll = now - self._polled_at
            if not due or not 0 <= since_poll < self._interval:
                self._polled_at = now
                self._read_at = dict.fromkeys(keys, now)
                return frozenset(self._read_at), None
            waits = {key: self._read_at.get(key, 0.0) + NEWS_SECONDS - now for key in due}
            # A clock that was set back makes the wait longer than it may be.
            self._due = {key for key in keys if 0 < waits.get(key, 0.0) <= NEWS_SECONDS}
            chosen = due.intersection(keys) - self._due
            self._read_at.update(dict.fromkeys(chosen, now))
            early = (waits[key] for key in self._due)
            return frozenset(chosen), min([self._interval - since_poll, *early])
