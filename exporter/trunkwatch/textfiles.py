"""Text files as common tools write them: in UTF-8, or in UTF-16 with a byte order mark."""

import codecs
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

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


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, to read its bytes.

    Raises:
        OSError: it cannot be opened, or is no regular file: a FIFO may never have a writer, and a
            device no end.
    """
    # Opening some devices has effects, such as rewinding a tape, and opening a socket fails.
    _check_regular(Path(path).stat(), path)
    # The path may have been replaced since; without the flag, opening a FIFO waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(found: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_text(path: str | Path) -> str:
    """Return the text of a file.

    Raises:
        OSError: it cannot be read, or is no regular file.
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16 with a byte order mark.
    """
    with open_regular(path) as file:
        return without_mark(file.read()).decode()
