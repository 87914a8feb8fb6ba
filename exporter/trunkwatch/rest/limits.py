"""Rate limits: how an answer reports one, and how much of it an hour and a refresh may use."""

import math
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from trunkwatch.errors import RateLimitedError

HOUR = 3600.0
MINUTE = 60.0

MAX_WAIT_SECONDS = HOUR
"""The longest wait that a header is believed: after that the server is asked again. A vendor's
window is an hour, and milliseconds, or a year 2100, would end the reading for ever."""

MAX_NUMBER = 10**15
"""The largest number of a header that is read, far below what a float can hold."""

QUOTED_CHARACTERS = 40
"""Characters of a header's value that an error quotes."""

UNKNOWN_WAIT_SECONDS = 60.0
"""Seconds to wait at a limit that names no time, as GitHub's rules ask."""

MIN_WAIT_SECONDS = 60.0
"""Seconds for which an exhausted quota is left alone: it comes back in single requests."""


PACE_SHARE = 0.8
"""Share of a vendor's limit of requests a minute up to which new work is begun, which may need a
few more."""

MAX_RESTORED = 100_000
"""Requests of one minute that are restored: more than any vendor allows in an hour."""

BATCH_REQUESTS = 60
"""Requests after which a long read of history pauses, to store and show its results so far."""

SPREAD_SECONDS = 900.0
"""Seconds over which the remaining quota is spread: the less is left, the fewer are sent.

With 2,500 requests an hour and more to ask than that, about 2,000 are used, evenly."""

HISTORY_RESERVE_SHARE = 0.2
"""Share of the quota that reading history leaves to current events."""

MIN_REFRESH_REQUESTS = 10
"""Requests that a refresh may always send while any are left: a small quota progresses too."""


_NUMBER_OR_DATE = re.compile(
    r"[-+0-9.eE]+|(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4,6} [0-9:]{8}"
    r" (GMT|[-+][0-9]{4})"
)


class RateLimit(NamedTuple):
    """The rate limit that one answer reports; each part is None where the answer omits it.

    Attributes:
        limit: requests per window.
        remaining: requests left in this window.
        reset: when the next window begins (seconds since the epoch).
        retry_after: seconds to wait before the next request.
        headers: those that ask for a wait, with their values, for errors.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    retry_after: float | None = None
    headers: str = ""

    def wait(self, now: float) -> float:
        """Return the seconds to wait after a request was refused, at most `MAX_WAIT_SECONDS`."""
        if self.retry_after is not None:
            return min(self.retry_after, MAX_WAIT_SECONDS)
        if self.remaining == 0 and self.reset is not None and self.reset > now:
            return min(self.reset - now, MAX_WAIT_SECONDS)
        return UNKNOWN_WAIT_SECONDS


class RateLimitHeaders(NamedTuple):
    """The names of a vendor's rate-limit headers: `<prefix>limit`, `remaining` and `reset`.

    Attributes:
        prefix: of the three names.
        reset_is_epoch: `reset` is a time since the epoch; else seconds from now.
    """

    prefix: str
    reset_is_epoch: bool = True

    def read(self, headers: Mapping[str, str], now: float) -> RateLimit:
        """Return the rate limit that the headers of an answer report."""
        limit, remaining, reset = (
            _number(headers.get(f"{self.prefix}{name}")) for name in ("limit", "remaining", "reset")
        )
        if reset is not None and not self.reset_is_epoch:
            reset += int(now)
        if reset is not None:
            reset = min(reset, int(now + MAX_WAIT_SECONDS))
        names = ("Retry-After", f"{self.prefix}reset")
        texts = ", ".join(f"{name}: {_quoted(headers[name])}" for name in names if name in headers)
        wait = _retry_after(headers.get("Retry-After"), now)
        return RateLimit(limit, remaining, reset, wait, texts)


def _quoted(value: str) -> str:
    """Return a number or date as it is: texts of a server are not repeated on pages."""
    is_plain = _NUMBER_OR_DATE.fullmatch(value)
    return value[:QUOTED_CHARACTERS] if is_plain else "neither a number nor a date"


class Quota:
    """One token's requests: those of the vendor's last window, and how many may be sent now.

    Safe to use from any thread.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float],
        per_minute: int | None = None,
        window: float = HOUR,
    ) -> None:
        """Args:
        share: the part of the limit that may be used, above 0 and up to 1.
        clock: seconds since the epoch.
        per_minute: requests a minute that the vendor allows beside the limit that it reports, those
            included that it does not count.
        window: seconds for which the limit that the vendor reports is given.
        """
        self._window = window
        self._share = share
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.RLock()
        self._sent: deque[float] = deque()
        self._in_flight = 0
        self._used: deque[float] = deque()
        self._limit: int | None = None
        self._reset = 0.0
        self._blocked_until = 0.0
        self._blocked_by = ""
        self.remaining: int | None = None
        self.counted = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Reserve a request while it is sent.

        Raises:
            RateLimitedError: none may be sent now.
        """
        with self._lock:
            self.check()
            self._in_flight += 1
            self._sent.append(self._clock())
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def answered(self, limit: RateLimit, *, counted: bool) -> None:
        """Record an answer: whether the vendor counted it, and the limit that it reported."""
        with self._lock:
            now = self._clock()
            if counted:
                self.counted += 1
                self._used.append(now)
            if limit.limit is not None and limit.remaining is not None:
                reset = limit.reset or now + self._window
                # Of concurrent answers, the last one to arrive may be an earlier one.
                if reset != self._reset or self.remaining is None or self._limit != limit.limit:
                    self.remaining = limit.remaining
                self.remaining = min(self.remaining, limit.remaining)
                self._limit, self._reset = limit.limit, reset

    def add_cost(self, cost: int) -> None:
        """Record that the last request counted for more than one."""
        with self._lock:
            self.counted += max(0, cost - 1)
            self._used.extend([self._clock()] * max(0, cost - 1))

    def spent(self) -> dict[int, int]:
        """Return the requests of the last hour by minute, for a restart to continue with."""
        with self._lock:
            self._forget()
            return Counter(int(moment // MINUTE) for moment in self._used)

    def restore(self, spent: Mapping[int, int]) -> None:
        """Add the requests before a restart; those of a minute count until its end.

        Those of the future are of a clock that was wrong: they would count until it comes.
        """
        with self._lock:
            last = self._clock() // MINUTE
            before = sorted(
                (minute + 1) * MINUTE
                for minute, n in spent.items()
                if 0 <= minute <= last
                for _ in range(min(n, MAX_RESTORED))
            )
            self._used.extendleft(reversed(before))

    def _forget(self) -> None:
        """Drop expired moments, and those of the future, which a wrong clock gave."""
        now = self._clock()
        for moments, seconds, ahead in (
            (self._used, self._window, MINUTE),
            (self._sent, MINUTE, 0.0),
        ):
            while moments and moments[0] <= now - seconds:
                moments.popleft()
            if moments and max(moments[0], moments[-1]) > now + ahead:
                kept = [moment for moment in moments if now - seconds < moment <= now + ahead]
                moments.clear()
                moments.extend(kept)
        if self._blocked_until > now + MAX_WAIT_SECONDS:
            self._blocked_until = 0.0
        if self._reset > now + MAX_WAIT_SECONDS:
            self._reset = 0.0

    def block(self, until: float, why: str = "") -> None:
        """Allow no request before a moment.

        Args:
            until: seconds since the epoch, at most `MAX_WAIT_SECONDS` ahead.
            why: the answer that asked for it, for errors.
        """
        with self._lock:
            if (
                until > self._blocked_until
                or self._blocked_until > self._clock() + MAX_WAIT_SECONDS
            ):
                self._blocked_until, self._blocked_by = until, why

    def pause(self, requests: int = 1) -> float:
        """Return the seconds until new work may begin within the vendor's limit of a minute.

        Args:
            requests: of that work; at most the limit.
        """
        with self._lock:
            if self._per_minute is None or self._limit is None:
                return 0.0
            self._forget()
            over = len(self._sent) + requests - int(PACE_SHARE * self._per_minute)
            if over <= 0 or not self._sent:
                return 0.0
            moment = self._sent[min(over, len(self._sent)) - 1]
            return max(0.0, moment + MINUTE - self._clock())

    @property
    def budget(self) -> float:
        """Requests per window that may be used; 0 while no limit has been reported."""
        return self._share * (self._limit or 0)

    def available(self) -> float:
        """Return how many requests may be sent now; infinite while no limit has been reported.

        This is the share of the limit less the requests of the last window, and never more than the
        share of the requests that all users of the token have left.
        """
        with self._lock:
            now = self._clock()
            self._forget()
            if now < self._blocked_until:
                return 0.0
            if self._limit is None:
                return math.inf
            left = self.budget - len(self._used)
            if now < self._reset and self.remaining is not None:
                left = min(left, self._share * self.remaining)
            return max(0.0, math.floor(left) - self._in_flight)

    def free_at(self) -> float:
        """Return when at least one more request may be sent (seconds since the epoch)."""
        with self._lock:
            now = self._clock()
            if self.available() >= 1:
                return now
            if now < self._blocked_until:
                return self._blocked_until
            oldest = self._used[0] + self._window if self._used else self._reset
            return max(now + MIN_WAIT_SECONDS, min(oldest, max(self._reset, now)))

    def check(self) -> None:
        """Raise RateLimitedError if no request may be sent now."""
        if self.available() < 1:
            until = self.free_at()
            if self._blocked_by and self._clock() < self._blocked_until:
                raise RateLimitedError(
                    f"the server asked for a pause: {self._blocked_by}; it is asked again after"
                    f" {until - self._clock():.0f} s",
                    until,
                )
            raise RateLimitedError(
                "the share of the request quota that may be used (quota_share) is used up;"
                " reading goes on as it comes back",
                until,
            )


class RefreshBudget:
    """The requests that one refresh may send; shared by all trunks of a source.

    The next refresh follows after `interval` seconds.
    """

    def __init__(self, quota: Quota, interval: float, batch: int = BATCH_REQUESTS) -> None:
        """Args:
        quota: of the token.
        interval: seconds until the next refresh.
        batch: requests about history in this refresh.
        """
        self._quota = quota
        self._interval = interval
        self._batch = batch
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
        return spent < self._batch and self.history_later()

    def hourly(self, share: float) -> float:
        """Return a share of an hour's requests; infinite while no limit has been reported."""
        return share * self._quota.budget or math.inf

    def history_later(self) -> bool:
        """Return whether a request about history may be sent at once, in another refresh."""
        return self._quota.available() > HISTORY_RESERVE_SHARE * self._quota.budget


def _number(text: str | None) -> int | None:
    if text is None or not text.isdecimal() or len(text) > len(str(MAX_NUMBER)):
        return None
    return min(int(text), MAX_NUMBER)


def _retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date (RFC 9110).

    At most `MAX_WAIT_SECONDS`; `UNKNOWN_WAIT_SECONDS` where it is neither.
    """
    if text is None:
        return None
    if text.isdecimal():
        number = _number(text)
        return min(MAX_WAIT_SECONDS if number is None else float(number), MAX_WAIT_SECONDS)
    try:
        date = parsedate_to_datetime(text)
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return UNKNOWN_WAIT_SECONDS
    return min(max(0.0, seconds), MAX_WAIT_SECONDS)
