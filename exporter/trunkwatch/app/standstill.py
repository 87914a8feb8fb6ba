"""Notices that the process stood still: it was stopped, or its machine slept."""

import logging
import threading
import time
from collections.abc import Callable

from trunkwatch.process import Background

log = logging.getLogger(__name__)

STANDSTILL_SECONDS = 30.0
"""Seconds without a sign of life: twice as long as the usual scrape interval, so that at least one
scrape has failed, and longer than any computation keeps all threads from running."""

CHECK_SECONDS = 1.0
"""From one sign of life to the next."""


class StandstillGuard(Background):
    """A thread that shows that the process runs, and calls a function after it did not."""

    def __init__(self, noticed: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        """Args:
        noticed: called after a standstill, before `check` returns anywhere.
        clock: seconds since the epoch: other clocks may stand still with the machine.
        """
        super().__init__("standstill")
        self._noticed = noticed
        self._clock = clock
        self._lock = threading.Lock()
        self._alive_at = clock()

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
