"""A text in parts, so that an answer of many megabytes is never in memory as a whole."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

CHUNK_BYTES = 65_536
"""The unit of writing: one system call each, and no more than this is copied at a time."""


class Parts(NamedTuple):
    """A text whose length is determined before its parts are rendered.

    Attributes:
        size: of the text (bytes).
        parts: of the text, of any length.
    """

    size: int
    parts: Iterable[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Yield the text in chunks of about `CHUNK_BYTES`."""
        waiting: list[bytes] = []
        size = 0
        for part in self.parts:
            for begin in range(0, len(part), CHUNK_BYTES):
                chunk = part[begin : begin + CHUNK_BYTES]
                waiting.append(chunk)
                size += len(chunk)
                if size >= CHUNK_BYTES:
                    yield b"".join(waiting)
                    waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)
