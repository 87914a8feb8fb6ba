"""Reads the lines of a file in bounded pieces, from its beginning or from where it was read to."""

import io
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from zlib import crc32

from trunkwatch.sources.recorded.content import Content, fingerprint_of
from trunkwatch.textfiles import UTF16_MARKS, without_mark

PADDING = b"\0 \t\r\n"
"""Bytes at the ends of a line that are ignored: after a crash, a file may have a gap of zeros."""

BLOCK_BYTES = 256 * 1024
"""Bytes to read at once."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The longest line: the longest keys take 100 kB, but unknown keys may hold a whole log."""

TOO_LONG = (
    f"is longer than {MAX_LINE_BYTES} bytes; write one object per line, for example by"
    " `jq -c '.[]' OLD > NEW` from an array"
)


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


class _Line:
    """A line of which the pieces are read one after the other, and kept up to the limit."""

    def __init__(self) -> None:
        self.is_too_long = False
        self._pieces: list[bytes] = []
        self._length = 0

    def add(self, piece: bytes) -> None:
        """Add the next bytes of the line."""
        if not self._pieces:
            piece = piece.lstrip(PADDING)
        if not piece:
            return
        content = len(piece.rstrip(PADDING))
        self.is_too_long |= content > 0 and self._length + content > MAX_LINE_BYTES
        if self._length < MAX_LINE_BYTES:
            self._pieces.append(piece[: MAX_LINE_BYTES - self._length])
        self._length += len(piece)

    def content(self) -> bytes:
        """Return the line without ignored bytes; the beginning of one that is too long."""
        return _content_of(b"".join(self._pieces))


class Reading:
    """The content of a file up to a position.

    Attributes:
        content: of the lines before the position.
        offset: of the position: the end of the last line that has ended, or of a last line that is
            complete without a line break.
        unended: the fingerprint of a last line after the position that has not ended and cannot be
            read; empty for none.
        unended_problem: of that line.
    """

    def __init__(self) -> None:
        self.content = Content()
        self.offset = 0
        self.unended, self.unended_problem = b"", ""
        self._checksum = 0
        self._lines = 0
        self._is_open = False

    @property
    def digest(self) -> str:
        """The digest of the bytes before the position."""
        return _digest_of(self._checksum)

    def continues_in(self, file: BinaryIO, size: int) -> bool:
        """Return whether a file begins with the bytes before the position, in whole lines.

        All bytes are compared: a file that was written anew and is longer may have the same inode
        as one that has only grown.

        Args:
            file: to read.
            size: its size (bytes).
        """
        return (
            size >= self.offset
            and begins_with(file, self.offset, self.digest)
            and self.ends_its_line_in(file, size)
        )

    def ends_its_line_in(self, file: BinaryIO, size: int) -> bool:
        """Return whether only white space follows a last line that was taken as complete.

        Args:
            file: that begins with the bytes before the position.
            size: its size (bytes).
        """
        if not self._is_open:
            return True
        for block in _blocks(file, self.offset, size):
            rest, line_break, _ = block.partition(b"\n")
            if rest.strip(PADDING):
                return False
            if line_break:
                break
        return True

    def read(self, file: BinaryIO, size: int) -> None:
        """Add the lines that follow the position.

        Args:
            file: that continues the lines before the position.
            size: where to stop (bytes from the beginning of the file).
        """
        line, checksum, offset = _Line(), self._checksum, self.offset
        for block in _blocks(file, offset, size):
            end = block.rfind(b"\n") + 1
            checksum = crc32(block[:end], checksum)
            if end:
                first, *others = block[: end - 1].split(b"\n")
                line.add(first)
                self._add_lines(line, others)
                self._checksum, self.offset = checksum, offset + end
                line = _Line()
            line.add(block[end:])
            checksum = crc32(block[end:], checksum)
            offset += len(block)
        if self._is_complete(line):
            self._checksum, self.offset = checksum, offset
            self._lines += 1
            self._is_open = True

    def line_after(self) -> int:
        """Return the number of the line that begins at the position."""
        return self._lines + 1

    def _add_lines(self, first: _Line, others: Sequence[bytes]) -> None:
        """Add lines that have ended.

        Args:
            first: the line that begins at the position.
            others: those after it, each shorter than a block.
        """
        if not self._is_open:
            self._lines += 1
        self._is_open = False
        content = first.content()
        if first.is_too_long:
            self.content.drop(self._lines, content, TOO_LONG)
        elif content:
            self.content.add(self._lines, content)
        for number, line in enumerate(others, self._lines + 1):
            stripped = _content_of(line)
            if stripped:
                self.content.add(number, stripped)
        self._lines += len(others)

    def _is_complete(self, line: _Line) -> bool:
        """Add a last line that has not ended, if it is complete all the same; return whether."""
        content = line.content()
        self.unended, self.unended_problem = b"", ""
        if not content:
            return False
        if line.is_too_long:
            problem: str | None = TOO_LONG
        else:
            error = self.content.try_line(self.line_after(), content)
            problem = None if error is None else str(error)
        if problem is None:
            return True
        self.unended, self.unended_problem = fingerprint_of(content), problem
        return False


def begins_with(file: BinaryIO, offset: int, digest: str) -> bool:
    """Return whether the first bytes of a file have a digest.

    Args:
        file: to read.
        offset: how many bytes.
        digest: the `Reading.digest` of them.
    """
    checksum = 0
    for block in _blocks(file, 0, offset):
        checksum = crc32(block, checksum)
    return file.tell() == offset and _digest_of(checksum) == digest


def _digest_of(checksum: int) -> str:
    """Return the text of a CRC-32.

    All bytes are compared whenever the file has changed, and a cryptographic hash would take three
    times as long. One of four billion changed files has the checksum of the file before.
    """
    return f"{checksum:08x}"


def _blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    left = end - start
    while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
        left -= len(block)
        yield block


def _content_of(line: bytes) -> bytes:
    """Return a line without ignored bytes; joined files have a byte order mark in the middle."""
    return line.lstrip(PADDING).removeprefix(BOM_UTF8).strip(PADDING)
