"""When to try again: GitHub as a whole, or one key alone."""

from typing import NamedTuple

from trunkwatch.tickets.facts import Key

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""Seconds until something that failed is tried again; doubled each time, up to a quarter hour."""


class _Pause(NamedTuple):
    since: float
    until: float
    length: float


class Pauses:
    """Grows with each failure in a row; the key None stands for GitHub as a whole."""

    def __init__(self) -> None:
        self._pauses: dict[Key | None, _Pause] = {}
        self.why = ""

    @property
    def keys(self) -> set[Key]:
        """The keys that have failed since they last went well."""
        return {key for key in self._pauses if key is not None}

    def over(self, now: float, key: Key | None = None) -> bool:
        """Whether a key may be tried (now in seconds since the epoch)."""
        pause = self._pauses.get(key)
        # A clock that was set back ends a pause too, or it might last for years.
        return pause is None or not pause.since <= now < pause.until

    def pause(
        self, now: float, why: str, key: Key | None = None, until: float | None = None
    ) -> None:
        """Take note of a failure, and of when to ask again where GitHub has said that."""
        before = self._pauses.get(key)
        length = min(before.length * 2, LONGEST_PAUSE) if before else FIRST_PAUSE
        self._pauses[key] = _Pause(now, until or now + length, length)
        self.why = why

    def went_well(self, key: Key) -> None:
        """Forget the failures of a key, and those of GitHub: it has answered."""
        self._pauses.pop(key, None)
        self._pauses.pop(None, None)
