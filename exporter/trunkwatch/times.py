"""Times as CI servers and files write them."""

from collections.abc import Iterable
from datetime import UTC, datetime

EARLIEST_SECONDS = 86_400.0
"""The earliest plausible time (seconds since the epoch): 1970-01-01 is only a placeholder."""

AHEAD_SECONDS = 86_400.0
"""Seconds by which a plausible time may be ahead of now: clocks and time zones are set wrong."""

FIRST_SECONDS, LAST_SECONDS = -62_135_596_800.0, 253_402_300_799.0
"""The first and the last second of the years 1 to 9999 in UTC, which Python can write."""


def parse_time(text: object) -> float:
    """Read an RFC 3339 time; return seconds since the epoch.

    Raises:
        ValueError: it is not a time, has no time zone, or is outside the years 1 to 9999 in UTC.
    """
    if not isinstance(text, str):
        raise ValueError("is not a text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone; end it with Z for UTC")
    seconds = moment.timestamp()
    if not FIRST_SECONDS <= seconds <= LAST_SECONDS:
        raise ValueError("is outside the years 1 to 9999")
    return seconds


def parse_time_or_none(text: object) -> float | None:
    """Read a time as `parse_time` does; None for any other value."""
    try:
        return parse_time(text)
    except ValueError:
        return None


def plausible_time(seconds: float | None, now: float) -> float | None:
    """Return a time that a CI reports, or None if it cannot be true.

    Placeholders (0, 1970-01-01, the year 1), NaN and times more than a day ahead cannot.

    Args:
        seconds: since the epoch, or None.
        now: seconds since the epoch.
    """
    if seconds is None or not EARLIEST_SECONDS <= seconds <= now + AHEAD_SECONDS:
        return None
    return seconds


def format_time(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the microsecond where that matters."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def format_time_or_none(seconds: float | None) -> str | None:
    """Write a time as `format_time` does; None for an unknown one."""
    return None if seconds is None else format_time(seconds)


def format_minute(seconds: float) -> str:
    """Write seconds since the epoch to the minute, as people read it: `2025-12-09 16:09 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def earliest(moments: Iterable[float | None]) -> float | None:
    """Return the earliest of some times (seconds since the epoch), where None is never."""
    return min((moment for moment in moments if moment is not None), default=None)
