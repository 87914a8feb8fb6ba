"""Opens every SQLite file; refuses a foreign file before anything is written."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from trunkwatch.errors import StoreError
from trunkwatch.store.migration import ForeignFileError, Schema, checked_version, migrate

MEMORY = ":memory:"
"""The path of a store without a file."""

SQLITE_MAGIC = b"SQLite format 3\0"
"""The first bytes of every SQLite file (https://www.sqlite.org/fileformat.html)."""

MOVE_AWAY = "if it is damaged, move it away to read everything anew from the CI"
"""The way out of a damage that cannot be repaired."""

BUSY_SECONDS = 10.0
"""Seconds that a writer waits for another process on the same file (`check` beside `serve`)."""


DAMAGE = (sqlite3.Error, ArithmeticError, LookupError, TypeError, ValueError)
"""The errors of reading a damaged file: SQLite notices a damaged page, not a damaged value."""


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Report errors of reading a file.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        yield
    except DAMAGE as error:
        raise StoreError(path, f"cannot be read ({_text(error)}); {MOVE_AWAY}") from error


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, sqlite3.Error) else f"damaged value: {error!r}"


def open_file(path: str, schema: Schema, *, exclusive: bool = False) -> sqlite3.Connection:
    """Open or create a file and migrate it to the current schema.

    Args:
        path: of the file, or `MEMORY`.
        schema: the tables that the file must have.
        exclusive: keep the file locked until the process ends, and fail at once when another
            process uses it.

    Raises:
        StoreError: the file cannot be used, and was left untouched.
    """
    check_path(path)
    file = real_path(path)
    busy_seconds = 0.0 if exclusive else BUSY_SECONDS
    try:
        _refuse_foreign_file(file, schema, busy_seconds)
        connection = sqlite3.connect(
            file, timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
    except (OSError, *DAMAGE, ForeignFileError) as error:
        raise _refused(path, error, exclusive=exclusive) from error
    try:
        _prepare(connection, schema, exclusive=exclusive)
    except (*DAMAGE, ForeignFileError) as error:
        connection.close()
        raise _refused(path, error, exclusive=exclusive) from error
    return connection


def real_path(path: str) -> str:
    """Return the path of a file itself, where `path` leads to it by symbolic links.

    SQLite puts the `-wal` file beside it, and the lock must be one for all of its names.

    Raises:
        StoreError: it cannot be a path.
    """
    if path == MEMORY:
        return path
    try:
        return os.path.realpath(path)
    except ValueError as error:
        raise StoreError(path, f"cannot be a path ({error}); name a file") from None


def check_path(path: str) -> None:
    """Check that a path can be that of a storage file.

    Raises:
        StoreError: it cannot.
    """
    if not path:
        # SQLite opens a temporary file for an empty path and deletes it at the end.
        raise StoreError(path, "the path is empty; name a file, or leave the flag out")
    if path == MEMORY:
        return
    try:
        problem = _problem_of(Path(path), Path(real_path(path)))
    except OSError as error:
        problem = f"cannot be used ({error.strerror}); name another file, or give it access"
    if problem is not None:
        raise StoreError(path, problem)


def _problem_of(path: Path, file: Path) -> str | None:
    for folder in (path.parent, file.parent):
        if not folder.is_dir():
            return f"its folder {folder} does not exist; create it"
    if file.is_dir():
        return "is a folder; name a file in it"
    if file.exists() and not file.is_file():
        # Opening a FIFO would wait for ever.
        return "is not a regular file; name a file"
    return None


def _refuse_foreign_file(path: str, schema: Schema, busy_seconds: float) -> None:
    """Check a file through a read-only connection.

    Closing a read-write connection would checkpoint the `-wal` file of a killed process, and so
    change a file that may be refused.
    """
    if path == MEMORY or not Path(path).exists():
        return
    with Path(path).open("rb") as file:
        header = file.read(len(SQLITE_MAGIC))
    if header and header != SQLITE_MAGIC:
        # SQLite itself treats a file of a few bytes as an empty one and overwrites it.
        raise ForeignFileError("is not a SQLite database; give another path or move it away")
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=busy_seconds)) as connection:
        try:
            checked_version(connection, schema)
        except sqlite3.OperationalError:
            # Only a read-write connection can recover a file whose creation was interrupted; it
            # also reports every other problem.
            return


def _prepare(connection: sqlite3.Connection, schema: Schema, *, exclusive: bool) -> None:
    if exclusive:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not pages:
        # An existing file keeps its size, and uses its free pages again; the pragma would write it.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    migrate(connection, schema, exclusive=exclusive)
    connection.execute("PRAGMA journal_mode = WAL")
    _check_writable(connection, schema)
    # FULL: a committed write survives a power cut, not only a killed process.
    connection.execute("PRAGMA synchronous = FULL")


def _check_writable(connection: sqlite3.Connection, schema: Schema) -> None:
    """Fail at the start, not at the first refresh: BEGIN IMMEDIATE succeeds on a read-only file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA user_version = {schema.version}")
    finally:
        connection.execute("ROLLBACK")


def _refused(path: str, error: Exception, *, exclusive: bool) -> StoreError:
    reason = str(error)
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in reason:
        reason = "is not a SQLite database; give another path or move it away"
    elif exclusive and isinstance(error, sqlite3.OperationalError) and "locked" in reason:
        reason = "another process uses it; give each process a file of its own"
    elif "malformed" in reason:
        reason = f"{reason}; {MOVE_AWAY}"
    return StoreError(path, f"{reason}; it was left untouched")
