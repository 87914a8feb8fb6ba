"""Reads the lines of a file in bounded pieces, from its beginning or from where it was read to."""

import io
from codecs import BOM_UTF8
from collections.abc import Iterator
from hashlib import blake2b
from typing import BinaryIO

from trunkwatch.sources.recorded.content import Content
from trunkwatch.textfiles import UTF16_MARKS, without_mark

PADDING = b"\0 \t\r\n"
"""Bytes at the ends of a line that are ignored: after a crash, a file may have a gap of zeros."""

BLOCK = 256 * 1024
"""Bytes to read at once; a longer line is held as a whole."""

TAIL = 4096
"""Bytes before the position that are compared when a file has grown: some ten lines."""


def as_utf8(file: BinaryIO, size: int) -> tuple[BinaryIO, int]:
    """Return a file and its size, or those of its translation, if it is in UTF-16.

    Raises:
        UnicodeDecodeError: it begins as UTF-16 and is not.
    """
    start = file.read(len(UTF16_MARKS[0]))
    file.seek(0)
    if not start.startswith(UTF16_MARKS):
        return file, size
    text = without_mark(file.read(size))
    return io.BytesIO(text), len(text)


class Reading:
    """The content of a file up to a position.

    Attributes:
        content: of the lines before the position.
        offset: of the position: the end of the last line that has ended, or of a last line that is
            complete without a line break.
        unended: a last line after the position that has not ended and cannot be read.
        unended_problem: of that line.
    """

    def __init__(self) -> None:
        self.content = Content()
        self.offset = 0
        self.unended, self.unended_problem = b"", ""
        self._digest = blake2b(digest_size=16)
        self._tail = b""
        self._lines = 0
        self._is_open = False

    @property
    def digest(self) -> str:
        """The digest of the bytes before the position."""
        return self._digest.hexdigest()

    def continues_in(self, file: BinaryIO, size: int) -> bool:
        """Return whether a file still has the last bytes before the position.

        Args:
            file: that has grown or begins as before.
            size: its size (bytes).
        """
        if size < self.offset:
            return False
        file.seek(self.offset - len(self._tail))
        if file.read(len(self._tail)) != self._tail:
            return False
        # The last line was taken as complete, so that only white space may follow it.
        return not self._is_open or not file.readline().strip(PADDING)

    def read(self, file: BinaryIO, size: int) -> None:
        """Add the lines that follow the position.

        Args:
            file: that continues the lines before the position.
            size: where to stop (bytes from the beginning of the file).
        """
        rest: list[bytes] = []
        for block in _blocks(file, self.offset, size):
            ended, line_break, last = block.rpartition(b"\n")
            if line_break:
                self._add_lines(b"".join([*rest, ended, line_break]))
                rest = []
            rest.append(last)
        self._add_last(b"".join(rest))

    def line_after(self) -> int:
        """Return the number of the line that begins at the position."""
        return self._lines + 1

    def _add_lines(self, text: bytes) -> None:
        """Add lines that have ended."""
        self._consume(text)
        first = self._lines + (not self._is_open)
        self._is_open = False
        lines = text[:-1].split(b"\n")
        self._lines = first + len(lines) - 1
        for number, line in enumerate(lines, first):
            stripped = _content_of(line)
            if stripped:
                self.content.add(number, stripped)

    def _add_last(self, text: bytes) -> None:
        """Add a last line that has not ended, if it is complete all the same."""
        self.unended, self.unended_problem = _content_of(text), ""
        if not self.unended:
            return
        error = self.content.try_line(self.line_after(), self.unended)
        if error is not None:
            self.unended_problem = str(error)
            return
        self.unended = b""
        self._consume(text)
        self._lines += 1
        self._is_open = True

    def _consume(self, text: bytes) -> None:
        self._digest.update(text)
        self._tail = (self._tail + text)[-TAIL:]
        self.offset += len(text)


def begins_with(file: BinaryIO, offset: int, digest: str) -> bool:
    """Return whether the first bytes of a file have a digest.

    Args:
        file: to read.
        offset: how many bytes.
        digest: the `Reading.digest` of them.
    """
    hashed = blake2b(digest_size=16)
    for block in _blocks(file, 0, offset):
        hashed.update(block)
    return file.tell() == offset and hashed.hexdigest() == digest


def _blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    left = end - start
    while left > 0 and (block := file.read(min(BLOCK, left))):
        left -= len(block)
        yield block


def _content_of(line: bytes) -> bytes:
    """Return a line without ignored bytes; joined files have a byte order mark in the middle."""
    return line.removeprefix(BOM_UTF8).strip(PADDING)
