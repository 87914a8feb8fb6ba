"""Times as CI servers and files write them."""

from datetime import UTC, datetime


def parse_time(text: object) -> float:
    """Read an RFC 3339 time; return seconds since the epoch.

    Raises:
        ValueError: it is not a time, or has no time zone.
    """
    if not isinstance(text, str):
        raise ValueError("is not a text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone; end it with Z for UTC")
    return moment.timestamp()


def format_time(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the microsecond where that matters."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat().replace("+00:00", "Z")
