"""The hidden first line by which an issue or a comment of ours is found again.

It is looked for at the very start, where nothing but our own text ever stands. The nonce tells two
attempts at the same thing apart; the state tells later that it was us who closed an issue.
"""

import re
import secrets
from typing import NamedTuple
from urllib.parse import quote

from trunkwatch.tickets.facts import Key

_MARKER = re.compile(
    r"\A<!-- trunkwatch:v1 key=(?P<key>\S+) nonce=(?P<nonce>[0-9a-f]+) state=(?P<state>\w+) -->"
)


class Marker(NamedTuple):
    """What a marker says.

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
    """Return what nobody else can have used or guessed."""
    return secrets.token_hex(16)


def quoted(key: Key) -> str:
    """Return a key as one word that cannot end a comment of HTML."""
    return "/".join(quote(part, safe="").replace("-", "%2D") for part in key)


def find_marker(body: object) -> Marker | None:
    """Return the marker at the start of a body; None where there is none of ours."""
    found = _MARKER.match(body) if isinstance(body, str) else None
    return Marker(found["key"], found["nonce"], found["state"]) if found else None
