"""The thread that reconciles after each delivery, and every minute."""

import logging
import threading
from collections.abc import Callable

from trunkwatch.errors import TrunkwatchError
from trunkwatch.process import Background

log = logging.getLogger(__name__)

RECONCILE_INTERVAL_SECONDS = 60.0
"""Without a delivery, an alert may resolve while it is inhibited, and a person may close an
issue."""

MIN_PAUSE_SECONDS = 1.0
"""Between two rounds, whatever is delivered: each round reads Alertmanager and every open issue."""


class Worker(Background):
    """A thread that calls a function at an interval, and when woken."""

    def __init__(
        self,
        reconcile: Callable[[], None],
        interval: float = RECONCILE_INTERVAL_SECONDS,
        pause: float = MIN_PAUSE_SECONDS,
    ) -> None:
        """Args:
        reconcile: one round; an exception is logged and does not prevent the next round.
        interval: from the end of one round to the next (seconds).
        pause: the least of it, after a wake (seconds).
        """
        super().__init__("tickets")
        self._reconcile = reconcile
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
                self._reconcile()
            except TrunkwatchError as error:
                log.error("round failed, to be retried", extra={"error": error})
            except Exception:
                log.exception("round failed, to be retried")
            if not self._stopping.wait(min(self._pause, self._interval)):
                self._woken.wait(self._interval)
