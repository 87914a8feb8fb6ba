"""The requests that one refresh may send, so that the quota of an hour lasts the hour."""

from trunkwatch.rest.limits import Quota

BATCH_REQUESTS = 60
"""Requests after which a long read of history pauses, to store and show its results so far."""

SPREAD_SECONDS = 900.0
"""Seconds over which the remaining quota is spread: the less is left, the fewer are sent.

With 2,500 requests an hour and more to ask than that, about 2,000 are used, evenly."""

HISTORY_RESERVE_SHARE = 0.2
"""Share of the quota that reading history leaves to current events."""

MIN_REFRESH_REQUESTS = 10
"""Requests that a refresh may always send while any are left: a small quota progresses too."""


class RefreshBudget:
    """The requests that one refresh may send; shared by all trunks of a source."""

    def __init__(self, quota: Quota, interval: float) -> None:
        """Args:
        quota: of the token.
        interval: seconds from one refresh to the next.
        """
        self._quota = quota
        self._interval = interval
        self._counted_before = quota.counted

    def for_news(self) -> bool:
        """Return whether a request about current events may be sent."""
        spent = self._quota.counted - self._counted_before
        available = self._quota.available()
        share = (available + spent) * self._interval / SPREAD_SECONDS
        return available >= 1 and spent < max(MIN_REFRESH_REQUESTS, share)

    def for_history(self) -> bool:
        """Return whether a request about history may be sent in this refresh."""
        spent = self._quota.counted - self._counted_before
        return spent < BATCH_REQUESTS and self.history_later()

    def history_later(self) -> bool:
        """Return whether a request about history may be sent at once, in another refresh."""
        return self._quota.available() > HISTORY_RESERVE_SHARE * self._quota.budget
