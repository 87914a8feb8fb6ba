"""The thread of a program that acts on trunks: a round every minute, and when woken."""

import logging
import threading
from collections.abc import Callable

from trunkwatch.errors import TrunkwatchError
from trunkwatch.process import Background

log = logging.getLogger(__name__)

ROUND_SECONDS = 60.0
"""From one round to the next: then also changes are seen that no delivery reports, such as an issue
that a person closed."""

MIN_PAUSE_SECONDS = 1.0
"""Between two rounds, whatever is delivered: each round reads Alertmanager and every open issue."""


class Worker(Background):
    """A thread that calls a function at an interval, and when woken."""

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        interval: float = ROUND_SECONDS,
        pause: float = MIN_PAUSE_SECONDS,
    ) -> None:
        """Args:
        name: of the thread.
        work: one round; an exception is logged and does not prevent the next round.
        interval: from the end of one round to the next (seconds).
        pause: the least of it, after a wake (seconds).
        """
        super().__init__(name)
        self._work = work
        self._interval = interval
        self._pause = pause
        self._woken = threading.Event()

    def wake(self) -> None:
        """Start the next round now."""
        self._woken.set()

    def stop(self) -> None:
        """Wait for the current round to end, and start no other."""
        super().stop()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        # It begins with a round: the previous process may have left unfinished plans.
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                self._work()
            except TrunkwatchError as error:
                log.error("round failed, to be retried", extra={"error": error})
            except Exception:
                log.exception("round failed, to be retried")
            if not self._stopping.wait(min(self._pause, self._interval)):
                self._woken.wait(self._interval)
