"""Safe Markdown: texts from CI and commits stay plain text.

Every text from outside stands in a code span, where GitHub renders no mention, reference, address
or HTML. A backslash in front of `@name` does not prevent the notification.
"""

import re
from urllib.parse import quote, urlsplit

from trunkwatch.cuts import cut_to_characters
from trunkwatch.report.words import plain

TEXT_LIMIT = 200
"""Characters of one text from outside; the longest job names in the wild have about 150."""

URL_LIMIT = 2000
"""Characters of a URL that every browser and proxy accepts."""

_SAFE_IN_URL = "/:?#@!$&'*+,;=%~-._"
_BLANKS = re.compile(r"\s+")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text as one line of printable characters, cut to a limit."""
    return cut_to_characters(plain(_BLANKS.sub(" ", text).strip()), limit)


def code(text: str | None) -> str:
    """Return a text from outside as a code span that it cannot end."""
    # The zero-width space keeps a search in the raw text from matching it as a marker.
    line = one_line(text or "").replace("<!--", "<\N{ZERO WIDTH SPACE}!--")
    if not line:
        return "unknown"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def address(url: str | None) -> str | None:
    """Return a URL encoded for a Markdown link; None unless it is a valid http or https URL."""
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
    """Return a link with a trusted text; None without a valid URL."""
    target = address(url)
    return f"[{text}]({target})" if target else None
