"""The delay before the next attempt, for GitHub as a whole or for one group."""

from typing import NamedTuple

from trunkwatch.tickets.model import TicketKey

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 60.0, 900.0
"""The delay doubles with each failure in a row, up to a quarter of an hour."""


class _Delay(NamedTuple):
    since: float
    until: float
    seconds: float


class Backoff:
    """Exponential backoff per group; the key None stands for GitHub as a whole."""

    def __init__(self) -> None:
        self._delays: dict[TicketKey | None, _Delay] = {}
        self.last_error = ""

    @property
    def failing_keys(self) -> set[TicketKey]:
        """The groups whose last attempt failed."""
        return {key for key in self._delays if key is not None}

    def is_over(self, now: float, key: TicketKey | None = None) -> bool:
        """Return whether a key may be tried (now in seconds since the epoch)."""
        delay = self._delays.get(key)
        # A clock that is set back ends a delay, else it could last for years.
        return delay is None or not delay.since <= now < delay.until

    def record_failure(
        self, now: float, error: str, key: TicketKey | None = None, until: float | None = None
    ) -> None:
        """Delay the next attempt, until GitHub's own time if it states one."""
        before = self._delays.get(key)
        seconds = min(before.seconds * 2, MAX_DELAY_SECONDS) if before else FIRST_DELAY_SECONDS
        self._delays[key] = _Delay(now, until or now + seconds, seconds)
        self.last_error = error

    def record_success(self, key: TicketKey) -> None:
        """Reset the delays of a key and of GitHub as a whole."""
        self._delays.pop(key, None)
        self._delays.pop(None, None)
