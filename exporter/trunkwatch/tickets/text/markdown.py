"""Safe Markdown: texts from CI and commits stay plain text; and the hidden marker line.

Every text from outside stands in a code span, where GitHub renders no mention, reference, address
or HTML. A backslash in front of `@name` does not prevent the notification.

The marker is the hidden first line that identifies an issue or a comment of this program. It is
matched at the very start only: no text from outside is ever written there.
"""

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from trunkwatch.tickets.model import TicketKey

TEXT_LIMIT = 200
"""Characters of one text from outside; the longest job names in the wild have about 150."""

URL_LIMIT = 2000
"""Characters of a URL that every browser and proxy accepts."""

TITLE_LIMIT = 256
BODY_LIMIT = 65_536
"""GitHub's limits of a title and of a body (characters)."""

_SAFE_IN_URL = "/:?#@!$&'*+,;=%~-._"
_BLANKS = re.compile(r"\s+")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text as one line of printable characters, cut to a limit."""
    line = _BLANKS.sub(" ", text).strip()
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


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


def link_row(links: Iterable[str | None]) -> str:
    """Return links in one line, skipping missing ones."""
    return " · ".join(found for found in links if found)


def size(text: str) -> int:
    """Return the size of a body against `BODY_LIMIT`, in bytes: the stricter reading of it."""
    return len(text.encode())


def cut_to_limit(body: str) -> str:
    """Return a body cut to `BODY_LIMIT`."""
    return body.encode()[:BODY_LIMIT].decode("utf-8", "ignore")


_MARKER = re.compile(
    r"\A<!-- trunkwatch:v1 key=(?P<key>\S+) nonce=(?P<nonce>[0-9a-f]+) state=(?P<state>\w+) -->"
)


class Marker(NamedTuple):
    """The fields of a marker.

    Attributes:
        key: the quoted key.
        nonce: identifies one attempt to create something.
        state: `comment` of a comment; `open` or, once closed by this program, `resolved` of an
            issue.
    """

    key: str
    nonce: str
    state: str

    def __str__(self) -> str:
        return f"<!-- trunkwatch:v1 key={self.key} nonce={self.nonce} state={self.state} -->"


def new_nonce() -> str:
    """Return a unique text that cannot be guessed."""
    return secrets.token_hex(16)


def quoted(key: TicketKey) -> str:
    """Return a key as one word that cannot end an HTML comment."""
    return "/".join(quote(part, safe="").replace("-", "%2D") for part in key)


def find_marker(body: object) -> Marker | None:
    """Return the marker at the start of a body, if any."""
    found = _MARKER.match(body) if isinstance(body, str) else None
    return Marker(found["key"], found["nonce"], found["state"]) if found else None
