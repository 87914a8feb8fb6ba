"""The position up to which a file was read, as a cursor."""

import json
from contextlib import suppress
from typing import NamedTuple

from trunkwatch.engine.facts import Cursor


class Signature(NamedTuple):
    """The identity of a file and of its content, to detect changes.

    Attributes:
        path: of the file.
        inode: its number; another file under the same path has another one.
        size: bytes.
        modified_ns: nanoseconds since the epoch.
    """

    path: str
    inode: int
    size: int
    modified_ns: int


class Position(NamedTuple):
    """The end of the lines whose facts are stored; the source's cursor.

    Attributes:
        signature: of the file at that time.
        offset: bytes that were read.
        digest: of these bytes.
        valid: whether no line had a problem: a file with problems is read again after a restart,
            so that they are reported.
    """

    signature: Signature
    offset: int
    digest: str
    valid: bool

    def to_cursor(self) -> Cursor:
        """Return the cursor to store."""
        return Cursor(json.dumps({**self._asdict(), "signature": self.signature._asdict()}))

    @classmethod
    def from_cursor(cls, text: str | None) -> "Position | None":
        """Return a stored position; None for none, or one of an earlier version."""
        with suppress(ValueError, TypeError, KeyError):
            fields = json.loads(text or "null")
            return cls(**{**fields, "signature": Signature(**fields["signature"])})
        return None
