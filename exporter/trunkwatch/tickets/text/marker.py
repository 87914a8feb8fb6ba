"""The hidden first line that identifies an issue or a comment of this program.

It is matched at the very start only: no text from outside is ever written there. The nonce
identifies one attempt to create something; the state records who closed an issue.
"""

import re
import secrets
from typing import NamedTuple
from urllib.parse import quote

from trunkwatch.tickets.model import TicketKey

_MARKER = re.compile(
    r"\A<!-- trunkwatch:v1 key=(?P<key>\S+) nonce=(?P<nonce>[0-9a-f]+) state=(?P<state>\w+) -->"
)


class Marker(NamedTuple):
    """The fields of a marker.

    Attributes:
        key: the quoted key.
        nonce: unique to one attempt to create something.
        state: `open` or `resolved` of an issue, `comment` of a comment.
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
