"""When groups whose reconciliation failed are tried again."""

from collections.abc import Collection
from typing import NamedTuple

from trunkwatch.errors import TrackerError, TrackerLimited, TrackerRefused
from trunkwatch.tickets.model import TicketKey

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_REFUSED_DELAY_SECONDS = 60.0, 900.0, 3600.0
"""The delay doubles with each failure in a row, up to a quarter of an hour; up to an hour after
a refusal, since that ends only when somebody changes a right or a setting."""


class _Delay(NamedTuple):
    since: float
    until: float
    seconds: float


class Backoff:
    """Exponential backoff per group; the key None stands for the server as a whole."""

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

    def record_failure(self, now: float, error: Exception, key: TicketKey | None = None) -> None:
        """Delay the next attempt, until the time that the error states, if any."""
        before = self._delays.get(key)
        longest = MAX_DELAY_SECONDS
        if isinstance(error, TrackerRefused):
            longest = MAX_REFUSED_DELAY_SECONDS
        seconds = min(before.seconds * 2, longest) if before else FIRST_DELAY_SECONDS
        until = error.until if isinstance(error, TrackerLimited) else now + seconds
        self._delays[key] = _Delay(now, until, seconds)
        if isinstance(error, TrackerError):
            self.last_error = str(error)

    def forget_others(self, keys: Collection[TicketKey]) -> None:
        """Drop the delays of groups other than these: nothing is left to be done for them."""
        self._delays = {k: delay for k, delay in self._delays.items() if k is None or k in keys}

    def record_success(self, key: TicketKey) -> None:
        """Reset the delays of a key and of the server as a whole."""
        self._delays.pop(key, None)
        self._delays.pop(None, None)
