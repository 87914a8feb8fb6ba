"""A clock that a test sets."""

from dataclasses import dataclass

from tests.support.rows import NOW


@dataclass
class Clock:
    """A clock that stands still until it is set.

    Attributes:
        now: seconds since the epoch.
    """

    now: float = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now
