"""How much one refresh may spend, so that the budget of an hour lasts the hour."""

from trunkwatch.sources.github.quota import Quota

BATCH = 60
"""Requests after which a long reading pauses: what was read until then is stored and shown."""

HORIZON = 900.0
"""Seconds over which what is left is spread: the less is left, the less often things are asked.

With 2,500 requests an hour and more to ask than that, about 2,000 are used, evenly."""

RESERVE = 0.2
"""Share of the budget that the reading of old commits leaves to what happens now."""

LEAST = 10
"""Requests that a refresh may always spend while there are any: a small budget moves on too."""


class Allowance:
    """What one refresh may spend; all trunks of a source share it."""

    def __init__(self, quota: Quota, interval: float) -> None:
        """Args:
        quota: of the token.
        interval: seconds from one refresh to the next.
        """
        self._quota = quota
        self._interval = interval
        self._begun = quota.counted

    def for_news(self) -> bool:
        """Whether something that happens now may be asked for."""
        spent = self._quota.counted - self._begun
        available = self._quota.available()
        share = (available + spent) * self._interval / HORIZON
        return available >= 1 and spent < max(LEAST, share)

    def for_history(self) -> bool:
        """Whether something old may be asked for in this refresh."""
        return self._quota.counted - self._begun < BATCH and self.history_later()

    def history_later(self) -> bool:
        """Whether something old may be asked for at once, in another refresh."""
        return self._quota.available() > RESERVE * self._quota.budget
