"""The counters of the process: they only grow, and start at zero."""

import threading
from collections.abc import Mapping

from trunkwatch.engine.snapshot import Totals


class Counters:
    """Counts by family name and label values; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], float] = {}
        self._levels: dict[tuple[str, ...], float] = {}
        self._reload_ok = True
        self._web_configs_failed: set[str] = set()
        self._stored_ok = True
        self._is_damaged = False

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Add to a count; adding 0 creates it."""
        with self._lock:
            key = (name, *labels)
            self._counts[key] = self._counts.get(key, 0.0) + amount

    def set(self, name: str, value: float) -> None:
        """Set a value that may also fall."""
        with self._lock:
            self._counts[name,] = value

    def count_increase(self, name: str, *labels: str, level: float, start: float = 0.0) -> None:
        """Add the increase of a level since the last call; a decrease (deleted rows) is ignored.

        Args:
            name: the family.
            labels: label values.
            level: the current level.
            start: the level to count from at the first call.
        """
        with self._lock:
            key = (name, *labels)
            rise = max(0.0, level - self._levels.get(key, start))
            self._levels[key] = level
            self._counts[key] = self._counts.get(key, 0.0) + rise

    def reloaded(self, *, ok: bool) -> None:
        """Record the result of the last reload of the configuration."""
        with self._lock:
            self._reload_ok = ok

    def web_config_reloaded(self, listener: str, ok: bool) -> None:
        """Record whether the newest web configuration of a listener is used."""
        with self._lock:
            (self._web_configs_failed.discard if ok else self._web_configs_failed.add)(listener)

    def stored(self, *, ok: bool) -> None:
        """Record whether the last results could be stored."""
        with self._lock:
            self._stored_ok = ok

    def storage_damaged(self) -> None:
        """Record that the storage file is damaged, until the process ends."""
        with self._lock:
            self._is_damaged = True

    def totals(self) -> Totals:
        """Return all current counts."""
        with self._lock:
            counts: Mapping[tuple[str, ...], float] = dict(self._counts)
            storage_ok = self._stored_ok and not self._is_damaged
            return Totals(counts, self._reload_ok, not self._web_configs_failed, storage_ok)
