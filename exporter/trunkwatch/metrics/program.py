"""The metrics that programs which act on trunks share: counters, and the web configuration."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Samples = list[tuple[dict[str, str], float]]
Family = tuple[str, str, str, Samples]
"""Name, kind, help and samples."""


class CounterFamily(NamedTuple):
    """One counter with one label.

    Attributes:
        name: of the family.
        label: its only label.
        values: label values exported from the start, so that `increase` sees the first event.
        help: the HELP text.
    """

    name: str
    label: str
    values: tuple[str, ...]
    help: str


class ProgramMetrics:
    """Counters by family and label; any thread may use it."""

    def __init__(self, counters: Mapping[str, CounterFamily]) -> None:
        """Args:
        counters: by the key that `add` takes.
        """
        self._counters = counters
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._web_config_ok = True

    def web_config_reloaded(self, ok: bool) -> None:
        """Record whether the newest web configuration is used."""
        self._web_config_ok = ok

    def add(self, counter: str, value: str, number: int = 1) -> None:
        """Count events.

        Args:
            counter: its key.
            value: of its label.
            number: of events.
        """
        with self._lock:
            self._counts[counter, str(value)] += number

    def _counter_families(self) -> Iterator[Family]:
        with self._lock:
            counts = dict(self._counts)
        for key, counter in self._counters.items():
            seen = (value for found, value in counts if found == key)
            values = sorted({*counter.values, *seen})
            samples = [({counter.label: v}, float(counts.get((key, v), 0))) for v in values]
            yield counter.name, "counter", counter.help, samples
