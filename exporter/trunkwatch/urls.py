"""Addresses of servers, which may have a user and a password."""

import re
from urllib.parse import urlsplit, urlunsplit

_BEGIN = re.compile(r"https?://[^\s/]+", re.IGNORECASE)


def is_server(url: str) -> bool:
    """Return whether a request can be sent to an address."""
    try:
        parts = urlsplit(url)
        return bool(_BEGIN.match(url)) and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, or a port that is none
        return False


def without_credentials(url: str) -> str:
    """Return an address without its user:password@, which no error, metric or page may show."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
