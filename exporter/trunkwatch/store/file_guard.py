"""Guards of the storage file beside SQLite's own: one server per file, and the file stays."""

import fcntl
import os
import socket
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from trunkwatch.errors import StoreError
from trunkwatch.store.opening import MEMORY, check_path, real_path
from trunkwatch.times import format_time

LOCK_SUFFIX = "-lock"
"""Of the file that a server locks: closing the database itself would drop SQLite's locks."""

UNKNOWN_HOLDER = "its lock file does not name it"

HOLDER_BYTES = 500
"""Bytes that name the holder of a lock, at most; a host name has 64."""

GUARDED_SUFFIXES = ("", "-wal")
"""The files whose loss loses results."""


class FileGuard:
    """Notices that a path no longer names the file that was opened."""

    def __init__(self, path: str) -> None:
        """Args:
        path: of an open SQLite file, or `MEMORY`.
        """
        self._path = path
        file = real_path(path)
        # The given path too: a link to it may be changed to lead to another file.
        names = [] if path == MEMORY else [path, *(file + suffix for suffix in GUARDED_SUFFIXES)]
        self._names = tuple(dict.fromkeys(names))
        self._opened = self._identities()

    def check(self) -> None:
        """Check the file before a write, which would be lost with it.

        Raises:
            StoreError: it was deleted or replaced.
        """
        if self._identities() != self._opened:
            raise StoreError(
                self._path,
                "the file was deleted or replaced while it is in use; results are not stored any"
                " more; put it back and restart, or restart to read everything anew from the CI",
            )

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(name) for name in self._names]


class ServerLock:
    """The lock of the one server of a file; it ends with the process, however that ends.

    The locked file names its holder.
    """

    def __init__(self, path: str, program: str = "trunkwatch serve") -> None:
        """Lock a file.

        Args:
            path: of the storage, or `MEMORY`.
            program: that locks it.

        Raises:
            StoreError: another server uses it, or it cannot be a storage file.
        """
        self._file: int | None = None
        check_path(path)
        if path == MEMORY:
            return
        lock = real_path(path) + LOCK_SUFFIX
        try:
            self._file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            problem = f"{lock} cannot be opened ({error.strerror})"
            raise StoreError(path, problem) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._file)
            self.close()
            raise StoreError(
                path,
                f"another process uses it ({holder}); give each process a file of its own, or"
                " stop that one: its lock ends with it",
            ) from None
        since = format_time(int(time.time()))
        text = f"{program}, process {os.getpid()} on {socket.gethostname()} since {since}\n"
        # A full disk must not keep a server from starting.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode("utf-8", "replace"), 0)

    def close(self) -> None:
        """Unlock the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _holder(file: int) -> str:
    """Return the process that holds the lock of a file, on one printable line."""
    with suppress(OSError):
        text = os.pread(file, HOLDER_BYTES, 0).decode("utf-8", "replace").strip()
        return text if text.isprintable() and text else UNKNOWN_HOLDER
    return UNKNOWN_HOLDER


def file_size(path: str) -> int:
    """Return the size of a file with its log, in bytes."""
    if path == MEMORY:
        return 0
    size, file = 0, real_path(path)
    for suffix in GUARDED_SUFFIXES:
        with suppress(FileNotFoundError):
            size += Path(file + suffix).stat().st_size
    return size


def damage_of(path: str) -> str | None:
    """Return the first problem of a file's structure, or None. Takes a second per half gigabyte.

    SQLite checks the structure of its pages, not the values in them.
    """
    if path == MEMORY:
        return None
    address = f"file:{quote(real_path(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else str(error)
    except sqlite3.Error as error:
        return str(error)
    return None if problem == "ok" else str(problem)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 — twice for each write; a Path costs more
    except OSError:
        return None
    return status.st_dev, status.st_ino
