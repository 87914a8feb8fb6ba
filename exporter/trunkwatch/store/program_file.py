"""The storage file of a program that acts on trunks, for one process at a time.

The lock file names the process, and SQLite's exclusive mode also keeps out programs that do not
know it.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from trunkwatch.errors import StoreError
from trunkwatch.store.file_guard import FileGuard, ServerLock
from trunkwatch.store.migration import Schema
from trunkwatch.store.opening import DAMAGE, open_file


class ProgramFile:
    """The storage file; any thread may use it.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str, schema: Schema, program: str) -> None:
        """Open the file and lock it.

        Args:
            path: of the file; `:memory:` for a temporary database.
            schema: its tables.
            program: its name, for the error of another process.

        Raises:
            StoreError: it cannot be used, has another format, or is locked by another process.
        """
        self._lock = threading.Lock()
        self.path = path
        self._process_lock = ServerLock(path, program)
        try:
            self._db = open_file(path, schema, exclusive=True)
        except Exception:
            self._process_lock.close()
            raise
        self._guard = FileGuard(path)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        with self._lock:
            self._db.close()
            self._process_lock.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the file in one transaction, which an exception rolls back.

        Raises:
            StoreError: it cannot be written.
        """
        with self._lock, self.reported_errors():
            self._guard.check()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def reported_errors(self) -> Iterator[None]:
        """Raise StoreError for what a damaged file causes, its contents included."""
        try:
            yield
        except DAMAGE as error:
            raise StoreError(self.path, f"cannot be used ({error})") from error

    def rows(self, statement: str) -> list[tuple[str, ...]]:
        """Return the rows of a SELECT.

        Raises:
            StoreError: it cannot be read.
        """
        with self._lock, self.reported_errors():
            return self._db.execute(statement).fetchall()
