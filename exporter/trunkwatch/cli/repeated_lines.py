"""The limit on equal log lines: a fault that repeats must not fill the disk or hide other lines."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

BURST = 10
"""Equal lines that are written within `WINDOW_SECONDS`."""

WINDOW_SECONDS = 60.0

MAX_KINDS = 1_000
"""Kinds of lines that are counted at once: values such as `repo` may be anything. Beyond it, lines
that differ in values alone are equal."""

KEY_FIELDS = (
    "source",
    "peer",
    "repo",
    "branch",
    "group",
    "reason",
    "status",
    "operation",
    "in_thread",
)
"""Fields that make lines of one message different. None of them holds what a client has sent."""

Key = tuple[object, ...]


@dataclass(slots=True)
class _Kind:
    """The lines of one kind.

    Attributes:
        begun: of their window (seconds of the clock).
        written: in the window.
        suppressed: since the last one that was written.
    """

    begun: float
    written: int = 0
    suppressed: int = 0


class RepeatedLines(logging.Filter):
    """Suppresses equal lines after a burst; the next one has their number as `suppressed`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        clock: seconds.
        """
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: OrderedDict[Key, _Kind] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is to be written."""
        with self._lock:
            kind = self._kind(record, self._clock())
            if kind.written == BURST:
                kind.suppressed += 1
                return False
            kind.written += 1
            if kind.suppressed:
                record.suppressed = kind.suppressed
                kind.suppressed = 0
            return True

    def _kind(self, record: logging.LogRecord, now: float) -> _Kind:
        """Return the kind of a line, in a window that has not ended."""
        message = _message(record)
        key = (*message, *(str(vars(record).get(name)) for name in KEY_FIELDS))
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            self._forget(now)
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            key = message
        kind = self._kinds.setdefault(key, _Kind(now))
        if now - kind.begun >= WINDOW_SECONDS:
            kind.begun, kind.written = now, 0
            self._kinds.move_to_end(key)
        return kind

    def _forget(self, now: float) -> None:
        """Drop the kinds whose window has ended; those in front began first."""
        while self._kinds and now - next(iter(self._kinds.values())).begun >= WINDOW_SECONDS:
            self._kinds.popitem(last=False)


def _message(record: logging.LogRecord) -> Key:
    """Return the constant part of the lines of one statement.

    asyncio and urllib3 put values into their messages: in further lines, or as arguments.
    """
    text = str(record.msg).partition("\n")[0]
    error = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, text, error
