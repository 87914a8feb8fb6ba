"""Markdown that nobody else can write into: what CI and commits say stays text.

Everything from outside stands in a code span. GitHub looks for no mention, reference, address or
HTML there, while a backslash in front of `@name` keeps nobody from being called.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

TEXT_LIMIT = 200
"""Characters of one text from outside; the longest job names in the wild have about 150."""

URL_LIMIT = 2000
"""Characters of an address; browsers and proxies take no longer ones for certain."""

TITLE_LIMIT = 256
BODY_LIMIT = 65_536
"""What GitHub takes: characters of a title and of a body."""

_SAFE_IN_URL = "/:?#@!$&'*+,;=%~-._"
_BLANKS = re.compile(r"\s+")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text as one line of printable characters, cut to a limit."""
    line = _BLANKS.sub(" ", text).strip()
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def code(text: str | None) -> str:
    """Return a text from outside as a code span that it cannot end."""
    # The zero-width space keeps a search in the raw text from taking it for one of our markers.
    line = one_line(text or "").replace("<!--", "<\N{ZERO WIDTH SPACE}!--")
    if not line:
        return "unknown"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def address(url: str | None) -> str | None:
    """Return an address that a link can hold; None where it is none that a browser opens."""
    if not url or len(url) > URL_LIMIT:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return quote(url, safe=_SAFE_IN_URL)


def link(text: str, url: str | None) -> str | None:
    """Return a link with a text of our own; None where there is no address."""
    target = address(url)
    return f"[{text}]({target})" if target else None


def row_of(links: Iterable[str | None]) -> str:
    """Return links in one line, without those that are not there."""
    return " · ".join(found for found in links if found)


def size(text: str) -> int:
    """Return how much of GitHub's limit a body takes; the careful guess is that it counts bytes."""
    return len(text.encode())
