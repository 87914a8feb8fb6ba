"""Counts and logs what a listener refuses."""

import logging
import time
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

LOG_SECONDS = 60.0
"""Anybody can open connections: one line a minute at most."""


class Refusals:
    """Counts each refusal; logs the first at once, later ones together. For one thread."""

    def __init__(
        self, count: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args:
        count: called with the reason of each.
        clock: seconds.
        """
        self._count = count
        self._clock = clock
        self._unlogged: Counter[str] = Counter()
        self._next_line = -float("inf")

    def __call__(self, reason: str) -> None:
        """Count a refusal."""
        self._count(reason)
        self._unlogged[reason] += 1
        if self._clock() >= self._next_line:
            self._next_line = self._clock() + LOG_SECONDS
            log.warning("requests or connections refused", extra=dict(self._unlogged))
            self._unlogged.clear()
