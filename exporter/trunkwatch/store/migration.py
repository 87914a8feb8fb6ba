"""The schema of a SQLite file, and the migration of an older file to it."""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one kind of file.

    Attributes:
        application_id: marks a file as of this kind, so that no other program's database is
            written to (https://www.sqlite.org/pragma.html#pragma_application_id).
        migrations: the statements from version n to n + 1; a released migration is never edited.
        foreign_file: the error text for a database of another kind.
    """

    application_id: int
    migrations: tuple[tuple[str, ...], ...]
    foreign_file: str

    @property
    def version(self) -> int:
        """The current version."""
        return len(self.migrations)


class ForeignFileError(Exception):
    """The file is not a database, is one of another kind, or is of a newer Trunkwatch."""


def migrate(connection: sqlite3.Connection, schema: Schema, *, exclusive: bool = False) -> None:
    """Bring an open database to the current version, in one transaction.

    Args:
        connection: of the file, in autocommit mode.
        schema: the tables that it must have.
        exclusive: take the write lock even if nothing is to be migrated.

    Raises:
        ForeignFileError: the file must not be changed; the text gives the reason.
        sqlite3.Error: the file is not a database, or cannot be written.
    """
    if not exclusive and checked_version(connection, schema) == schema.version:
        return
    connection.execute("BEGIN EXCLUSIVE" if exclusive else "BEGIN IMMEDIATE")
    try:
        steps = schema.migrations[_version(connection, schema) :]
        for statement in (statement for step in steps for statement in step):
            connection.execute(statement)
        if steps:
            connection.execute(f"PRAGMA application_id = {schema.application_id}")
            connection.execute(f"PRAGMA user_version = {schema.version}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def checked_version(connection: sqlite3.Connection, schema: Schema) -> int:
    """Return a file's version, 0 for an empty file.

    Raises:
        ForeignFileError: the file must not be changed; the text gives the reason.
        sqlite3.Error: the file is not a database, or cannot be read.
    """
    # One transaction: another process could create the file between two reads.
    connection.execute("BEGIN")
    try:
        return _version(connection, schema)
    finally:
        connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, schema: Schema) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not version and not application:
        return 0
    if application != schema.application_id:
        raise ForeignFileError(schema.foreign_file)
    if version > schema.version:
        raise ForeignFileError(
            f"was written by a newer Trunkwatch (schema {version}, this one knows"
            f" {schema.version}); upgrade, or give another path"
        )
    return int(version)
