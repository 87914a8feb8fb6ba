"""What the rate limit still allows, and how much of it is ours to use.

GitHub counts requests per token and hour and says in each answer what is left
(https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping

HOUR = 3600.0
MINUTE = 60.0
LEAST_WAIT = 60.0
"""Seconds that an exhausted budget is left alone at least: it comes back in single requests."""


class Quota:
    """One token's requests: what was used in the last hour, and what may be used now."""

    def __init__(self, share: float, clock: Callable[[], float]) -> None:
        """Args:
        share: the part of the limit that may be used, above 0 and up to 1.
        clock: seconds since the epoch.
        """
        self._share = share
        self._clock = clock
        self._used: deque[float] = deque()
        self._limit: int | None = None
        self._reset = 0.0
        self._blocked_until = 0.0
        self.remaining: int | None = None
        self.counted = 0

    def answered(self, headers: Mapping[str, str], *, counted: bool) -> None:
        """Take note of an answer: whether it was counted, and what it says is left."""
        now = self._clock()
        if counted:
            self.counted += 1
            self._used.append(now)
        limit, remaining = _number(headers, "limit"), _number(headers, "remaining")
        if limit is not None and remaining is not None:
            self._limit, self.remaining = limit, remaining
            self._reset = float(_number(headers, "reset") or now + HOUR)

    def spent(self) -> dict[int, int]:
        """Return what the last hour has cost, by minute: what a restart must not forget."""
        self._forget()
        return Counter(int(moment // MINUTE) for moment in self._used)

    def restore(self, spent: Mapping[int, int]) -> None:
        """Take up what was spent before a restart; a minute's requests count until its end."""
        before = sorted((minute + 1) * MINUTE for minute, n in spent.items() for _ in range(n))
        self._used.extendleft(reversed(before))

    def _forget(self) -> None:
        while self._used and self._used[0] <= self._clock() - HOUR:
            self._used.popleft()

    def block(self, until: float) -> None:
        """Send nothing before a moment (seconds since the epoch): GitHub asked for that."""
        self._blocked_until = max(self._blocked_until, until)

    @property
    def spent_until(self) -> float | None:
        """When GitHub's own window begins anew, if nothing of it is left; else None."""
        if self.remaining == 0 and self._clock() < self._reset:
            return self._reset
        return None

    @property
    def budget(self) -> float:
        """Requests an hour that are ours to use; 0 where nothing is known of a limit."""
        return self._share * (self._limit or 0)

    def available(self) -> float:
        """Return how many requests may be counted now; infinite where there is no limit.

        Our share of the limit less what the last sixty minutes have cost, and never more than our
        share of what everybody who uses the token has left over.
        """
        now = self._clock()
        if now < self._blocked_until:
            return 0.0
        if self._limit is None:
            return math.inf
        self._forget()
        ours = self.budget - len(self._used)
        if now < self._reset and self.remaining is not None:
            ours = min(ours, self._share * self.remaining)
        return max(0.0, math.floor(ours))

    def free_at(self) -> float:
        """When at least one more request may be counted (seconds since the epoch)."""
        now = self._clock()
        if self.available() >= 1:
            return now
        if now < self._blocked_until:
            return self._blocked_until
        oldest = self._used[0] + HOUR if self._used else self._reset
        return max(now + LEAST_WAIT, min(oldest, max(self._reset, now)))


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"x-ratelimit-{name}", "")
    return int(text) if text.isdecimal() else None
