"""Reads the small tables: everything except the rows."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping

from trunkwatch.domain.model import Commit, Trunk, TrunkOrder, WorkflowState
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.facts import ReportedState
from trunkwatch.store.port import StoredSource


def read_orders(
    connection: sqlite3.Connection, trunks: Mapping[Trunk, int]
) -> dict[Trunk, TrunkOrder]:
    """Return the commits of each trunk, of which the ids are given."""
    return {trunk: _read_order(connection, key, trunk) for trunk, key in trunks.items()}


def _read_order(connection: sqlite3.Connection, key: int, trunk: Trunk) -> TrunkOrder:
    run = connection.execute
    (older,) = run("SELECT older_unread FROM trunks WHERE id = ?", (key,)).fetchone()
    rows = run(
        "SELECT sha, committed_at, author, title FROM commits WHERE trunk = ? ORDER BY place",
        (key,),
    )
    return TrunkOrder(trunk, tuple(Commit(*row) for row in rows), bool(older))


def read_entries(connection: sqlite3.Connection) -> dict[str, Mapping[str, str]]:
    """Return the entries of each source, by key."""
    entries: dict[str, dict[str, str]] = defaultdict(dict)
    for source, key, text in connection.execute("SELECT source, key, text FROM notes"):
        entries[source][key] = text
    return dict(entries)


def read_labels(connection: sqlite3.Connection) -> dict[Trunk, dict[str, str]]:
    """Return the labels of each trunk's workflows, by identity."""
    labels: dict[Trunk, dict[str, str]] = defaultdict(dict)
    for repo, branch, workflow, label in connection.execute(
        "SELECT t.repo, t.branch, l.workflow, l.label"
        " FROM workflow_labels AS l JOIN trunks AS t ON t.id = l.trunk"
    ):
        labels[Trunk(repo, branch)][workflow] = label
    return dict(labels)


def read_workflow_states(
    connection: sqlite3.Connection,
) -> dict[Trunk, dict[str, ReportedState]]:
    """Return the reported states of each trunk's workflows, by identity."""
    states: dict[Trunk, dict[str, ReportedState]] = defaultdict(dict)
    for repo, branch, workflow, state, tip in connection.execute(
        "SELECT t.repo, t.branch, w.workflow, w.state, w.tip"
        " FROM workflow_states AS w JOIN trunks AS t ON t.id = w.trunk"
    ):
        states[Trunk(repo, branch)][workflow] = ReportedState(WorkflowState(state), tip)
    return dict(states)


def read_files(
    connection: sqlite3.Connection, trunks: Mapping[Trunk, int]
) -> dict[Trunk, Mapping[Span, ChangedFiles]]:
    """Return the changed files of each trunk of which the id is given, if it has any."""
    files = {trunk: _files_of(connection, key) for trunk, key in trunks.items()}
    return {trunk: of_trunk for trunk, of_trunk in files.items() if of_trunk}


def _files_of(connection: sqlite3.Connection, trunk: int) -> dict[Span, ChangedFiles]:
    rows = connection.execute(
        "SELECT until, since, is_complete, paths FROM changed_files WHERE trunk = ? ORDER BY id",
        (trunk,),
    )
    return {
        Span(until, since or None): ChangedFiles(
            tuple(paths.split("\n")) if paths else (), bool(is_complete)
        )
        for until, since, is_complete, paths in rows
    }


def read_source(
    connection: sqlite3.Connection, source: str, entries: Mapping[str, str]
) -> StoredSource:
    """Return a source that is stored.

    Args:
        connection: to the file.
        source: its name.
        entries: of the source.
    """
    cursor, last_success = connection.execute(
        "SELECT cursor, last_success FROM sources WHERE name = ?", (source,)
    ).fetchone()
    fed = connection.execute(
        "SELECT t.repo, t.branch FROM feeds AS f JOIN trunks AS t ON t.id = f.trunk"
        " WHERE f.source = ?",
        (source,),
    )
    return StoredSource(cursor, last_success, frozenset(Trunk(*row) for row in fed), entries)
