"""The limits of issues and comments, and their hidden marker line.

The marker is the hidden first line that identifies an issue or a comment of this program. It is
matched at the very start only: no text from outside is ever written there.
"""

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from trunkwatch.tickets.model import TicketKey

TITLE_LIMIT = 255
BODY_LIMIT = 65_536
"""The lower limits of a title, which is GitLab's, and of a body, which is GitHub's (characters)."""


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


def quoted(key: TicketKey, name: str | None = None) -> str:
    """Return a key as one word that cannot end an HTML comment.

    Args:
        key: of a ticket.
        name: of the Trunkwatch, which must not take the issues of another one for its own.
    """
    parts = key if name is None else (*key, name)
    return "/".join(quote(part, safe="").replace("-", "%2D") for part in parts)


def find_marker(body: object) -> Marker | None:
    """Return the marker at the start of a body, if any."""
    found = _MARKER.match(body) if isinstance(body, str) else None
    return Marker(found["key"], found["nonce"], found["state"]) if found else None
