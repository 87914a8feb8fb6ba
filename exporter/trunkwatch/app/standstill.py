"""Notices that the process stood still: it was stopped, or its machine slept."""

import logging
import threading
import time
from collections.abc import Callable

from trunkwatch.process import ended_threads, repeating_thread

log = logging.getLogger(__name__)

STANDSTILL_SECONDS = 30.0
"""Seconds without a sign of life: twice as long as the usual scrape interval, so that at least one
scrape has failed, and longer than any computation keeps all threads from running."""

CHECK_SECONDS = 1.0
"""From one sign of life to the next."""


class StandstillGuard:
    """A thread that shows that the process runs, and calls a function after it did not."""

    def __init__(self, noticed: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        """Args:
        noticed: called after a standstill, before `check` returns anywhere.
        clock: seconds since the epoch: other clocks may stand still with the machine.
        """
        self._noticed = noticed
        self._clock = clock
        self._lock = threading.Lock()
        self._alive_at = clock()
        self._stopping = threading.Event()
        self._thread = repeating_thread(self._run, "standstill", self._stopping)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    def dead_threads(self) -> list[str]:
        """Return the name of the thread if it has ended, although `stop` was not called."""
        return [] if self._stopping.is_set() else ended_threads([self._thread])

    def check(self) -> None:
        """Notice a standstill; each scrape calls it too, since the thread may wake up later."""
        with self._lock:
            now = self._clock()
            stood = now - self._alive_at
            if stood > STANDSTILL_SECONDS:
                log.warning("process stood still, reading again", extra={"seconds": round(stood)})
                self._noticed()
            self._alive_at = self._clock()

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            self.check()
