"""Opening the SQLite file: refusing what is not ours, before anything is written."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from trunkwatch.errors import StoreError
from trunkwatch.store.schema import VERSION, NotOursError, checked_version, migrate

MEMORY = ":memory:"

SQLITE_MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins (https://www.sqlite.org/fileformat.html)."""

BUSY_SECONDS = 10.0
"""How long a writer waits for another process that has the file open (a `check` beside `serve`)."""


def open_file(path: str) -> sqlite3.Connection:
    """Open a file, refuse what is not ours before anything is written, and bring it up to date.

    Raises:
        StoreError: it cannot be used, and was left as it was.
    """
    if not path:
        # SQLite would take it for a temporary file and forget everything at the end.
        raise StoreError(path, "the path is empty; name a file, or leave the flag out")
    if path != MEMORY and not Path(path).parent.is_dir():
        raise StoreError(path, f"its folder {Path(path).parent} does not exist; create it")
    if Path(path).is_dir():
        raise StoreError(path, "is a folder; name a file in it")
    try:
        _refuse_what_is_not_ours(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error, NotOursError) as error:
        raise StoreError(path, f"{_reason(error)}; it was left untouched") from error
    try:
        migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        _prove_writable(connection)
        # FULL: a refresh that was reported as done survives a power cut, not only a kill.
        connection.execute("PRAGMA synchronous = FULL")
    except (sqlite3.Error, NotOursError) as error:
        connection.close()
        raise StoreError(path, f"{_reason(error)}; it was left untouched") from error
    return connection


def _refuse_what_is_not_ours(path: str) -> None:
    """Look at a file through a connection that cannot write.

    A writing one would, on closing, move what a killed writer left beside the file into it.
    """
    if path == MEMORY or not Path(path).exists():
        return
    with Path(path).open("rb") as file:
        begin = file.read(len(SQLITE_MAGIC))
    if begin and begin != SQLITE_MAGIC:
        # SQLite itself takes a file of a few bytes for an empty one and writes over it.
        raise NotOursError("is not a SQLite database; give another path or move it away")
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
        try:
            checked_version(connection)
        except sqlite3.OperationalError:
            # A file that was cut off while it was made has to be repaired before it can be read,
            # which only a writer may do; what else is wrong, it will say.
            return


def _prove_writable(connection: sqlite3.Connection) -> None:
    """Fail now and not at the first refresh; SQLite itself begins even where it cannot write."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        connection.execute("ROLLBACK")


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return "is not a SQLite database; give another path or move it away"
    return str(error)
