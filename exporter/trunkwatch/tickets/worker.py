"""Runs rounds for ever: at each delivery, and every minute."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two rounds when nothing is delivered: an alert that resolves while it is
inhibited never says so, and a person may have closed an issue."""


class Worker:
    """A thread that calls a function again and again."""

    def __init__(self, act: Callable[[], None], every: float = EVERY) -> None:
        """Args:
        act: does one round; what it raises is logged, and the next round comes all the same.
        every: seconds from the end of one round to the next.
        """
        self._act = act
        self._every = every
        self._wanted = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="tickets", daemon=True)

    def start(self) -> None:
        """Begin with a round at once: the last process may have left something unfinished."""
        self._thread.start()

    def wake(self) -> None:
        """Begin the next round now."""
        self._wanted.set()

    def stop(self) -> None:
        """Let the round that runs end, and begin no other."""
        self._stopped = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._wanted.clear()
            try:
                self._act()
            except Exception:
                log.exception("a round ended early; the next one goes on")
            if not self._stopped:
                self._wanted.wait(self._every)
