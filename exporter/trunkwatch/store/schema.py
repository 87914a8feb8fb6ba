"""The SQLite file's tables, and how an older file becomes a newer one."""

import sqlite3

APPLICATION_ID = 0x54574348
"""Marks a file as ours ("TWCH"), so that another program's database is never written to."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1: observations are clustered by job, so that judging one job reads one range.
    (
        "CREATE TABLE trunks (id INTEGER PRIMARY KEY, repo TEXT NOT NULL, branch TEXT NOT NULL,"
        " older_unread INTEGER NOT NULL DEFAULT 0, UNIQUE (repo, branch))",
        "CREATE TABLE commits (trunk INTEGER NOT NULL REFERENCES trunks, place INTEGER NOT NULL,"
        " sha TEXT NOT NULL, committed_at REAL, author TEXT, title TEXT,"
        " PRIMARY KEY (trunk, place)) WITHOUT ROWID",
        "CREATE TABLE revisions (id INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE)",
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, trunk INTEGER NOT NULL REFERENCES trunks,"
        " workflow_name TEXT NOT NULL, workflow_path TEXT NOT NULL, job_name TEXT NOT NULL,"
        " UNIQUE (trunk, workflow_name, workflow_path, job_name))",
        # What decides whether a run counts; part of the key, so that two reports of one observation
        # that contradict each other about it are both kept.
        "CREATE TABLE origins (id INTEGER PRIMARY KEY, event TEXT NOT NULL,"
        " head_branch TEXT NOT NULL, head_repo TEXT NOT NULL,"
        " UNIQUE (event, head_branch, head_repo))",
        # run_id and job_id have no type, so that numbers stay numbers and texts texts; '' is none.
        "CREATE TABLE observations (job INTEGER NOT NULL REFERENCES jobs,"
        " revision INTEGER NOT NULL REFERENCES revisions, run_id NOT NULL,"
        " attempt INTEGER NOT NULL, job_id NOT NULL, finished INTEGER NOT NULL,"
        " answer TEXT NOT NULL, origin INTEGER NOT NULL REFERENCES origins,"
        " run_number INTEGER, created_at REAL, started_at REAL,"
        " completed_at REAL, url TEXT, failed_step TEXT, infra INTEGER NOT NULL,"
        " PRIMARY KEY (job, revision, run_id, attempt, job_id, finished, answer, origin))"
        " WITHOUT ROWID",
        "CREATE INDEX observations_by_revision ON observations (revision, job)",
        "CREATE INDEX observations_unfinished ON observations (job) WHERE finished = 0",
        "CREATE TABLE sources (name TEXT PRIMARY KEY, cursor TEXT, last_success REAL NOT NULL)"
        " WITHOUT ROWID",
        "CREATE TABLE feeds (source TEXT NOT NULL, trunk INTEGER NOT NULL REFERENCES trunks,"
        " PRIMARY KEY (source, trunk)) WITHOUT ROWID",
    ),
    # 2: a source keeps notes by name, and may be heard of before its first refresh.
    (
        "CREATE TABLE notes (source TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
        " PRIMARY KEY (source, key)) WITHOUT ROWID",
        "ALTER TABLE sources RENAME TO sources_1",
        "CREATE TABLE sources (name TEXT PRIMARY KEY, cursor TEXT, last_success REAL)"
        " WITHOUT ROWID",
        "INSERT INTO sources SELECT name, cursor, last_success FROM sources_1",
        "DROP TABLE sources_1",
    ),
    # 3: what the CI says about why a job failed; the lines of one text, which hold no line breaks.
    ("ALTER TABLE observations ADD COLUMN annotations TEXT",),
)
"""What turns schema version n into n + 1; a released step is never edited, only followed."""

VERSION = len(MIGRATIONS)


class NotOursError(Exception):
    """The file is a database of something else, or of a newer Trunkwatch."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open database to the current version, in one transaction.

    Raises:
        NotOursError: it must not be touched; the text says why.
        sqlite3.Error: it is not a database, or cannot be written.
    """
    if checked_version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_version(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def checked_version(connection: sqlite3.Connection) -> int:
    """Return a file's version, 0 for an empty one.

    Raises:
        NotOursError: it must not be touched; the text says why.
        sqlite3.Error: it is not a database, or cannot be read.
    """
    # One look: between two of them, another process could make the file that was not there yet.
    connection.execute("BEGIN")
    try:
        return _version(connection)
    finally:
        connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not version and not application:
        return 0
    if application != APPLICATION_ID:
        raise NotOursError("is a database of another program; give a path of its own")
    if version > VERSION:
        raise NotOursError(
            f"was written by a newer Trunkwatch (schema {version}, this one knows {VERSION});"
            " upgrade, or give another path"
        )
    return int(version)
