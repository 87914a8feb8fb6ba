"""Text files as common tools write them: in UTF-8, or in UTF-16 with a byte order mark."""

import codecs
from pathlib import Path

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""The first bytes of a file in UTF-16, as Windows PowerShell's `>` writes it."""


def without_mark(text: bytes) -> bytes:
    """Return a text as UTF-8 without a byte order mark.

    Raises:
        UnicodeDecodeError: it begins as UTF-16 does and is not.
    """
    if text.startswith(UTF16_MARKS):
        text = text.decode("utf-16").encode()
    return text.removeprefix(codecs.BOM_UTF8)


def read_text(path: str | Path) -> str:
    """Return the text of a file.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16 with a byte order mark.
    """
    return without_mark(Path(path).read_bytes()).decode()
