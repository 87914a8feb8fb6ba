"""Writes the changes of one refresh, within one transaction."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact, FilesReport
from trunkwatch.store.changes import Changes
from trunkwatch.store.names import Names, block_of
from trunkwatch.store.port import SPANS_KEPT
from trunkwatch.store.statements import DELETE_SUPERSEDED, UNFINISHED_AT, UPSERT


class Writer:
    """Writes facts; the caller begins and commits the transaction."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        """Args:
        connection: to the file.
        names: of the file.
        """
        self._connection = connection
        self._names = names

    def write(
        self, facts: Iterable[Fact], changes: Changes, stored: Mapping[Trunk, TrunkOrder]
    ) -> set[Trunk]:
        """Write facts, except the state of their source.

        Args:
            facts: of one refresh.
            changes: where they are noted.
            stored: the stored orders.

        Returns:
            The trunks of which the state of a workflow changed.
        """
        self._write_rows(facts, changes)
        for trunk, order in changes.orders.items():
            self._write_order(order, stored.get(trunk))
        return {
            trunk
            for (trunk, workflow), state in changes.reported_states().items()
            if self._write_state(trunk, workflow, state.state, state.tip)
        }

    def write_files(self, reports: Iterable[FilesReport]) -> set[Trunk]:
        """Write the changed files of commits, and delete the oldest beyond `SPANS_KEPT`.

        Of two reports of the same commits a complete one is kept, else the greater one.

        Returns:
            The trunks of which any changed.
        """
        run, changed = self._connection.execute, set[Trunk]()
        for trunk, span, files in ((each.trunk, each.span, each.files) for each in reports):
            written = run(
                "INSERT INTO changed_files (trunk, until, since, is_complete, paths)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " is_complete = excluded.is_complete, paths = excluded.paths"
                " WHERE (excluded.is_complete, excluded.paths) > (is_complete, paths)",
                (
                    self._names.trunk_id(trunk),
                    span.until,
                    span.since or "",
                    files.is_complete,
                    "\n".join(files.paths),
                ),
            )
            changed |= {trunk} if written.rowcount > 0 else set()
        for trunk in changed:
            run(
                "DELETE FROM changed_files WHERE id IN (SELECT id FROM changed_files"
                " WHERE trunk = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
                (self._names.trunk_id(trunk), SPANS_KEPT),
            )
        return changed

    def write_source(self, source: str, changes: Changes, now: float | None) -> None:
        """Write the cursor, the entries and the trunks of a source."""
        run = self._connection.execute
        run(
            "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " cursor = coalesce(excluded.cursor, cursor),"
            " last_success = coalesce(excluded.last_success, last_success)",
            (source, changes.cursor, now),
        )
        for key, text in changes.entries.items():
            if text is None:
                run("DELETE FROM notes WHERE source = ? AND key = ?", (source, key))
            else:
                run("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (source, key, text))
        for trunk, feeds in changes.feeds.items():
            change = (
                "INSERT OR IGNORE INTO feeds VALUES (?, ?)"
                if feeds
                else "DELETE FROM feeds WHERE source = ? AND trunk = ?"
            )
            run(change, (source, self._names.trunk_id(trunk)))

    def _write_rows(self, facts: Iterable[Fact], changes: Changes) -> None:
        """Write the reports among some facts, one by one, to find out which change anything."""
        revisions: dict[Trunk, dict[str, int]] = {}
        written: dict[int, set[tuple[object, ...]]] = {}
        upsert, touched = self._connection.execute, changes.touched
        for fact in facts:
            changes.add(fact)
            if not isinstance(fact, Observation):
                continue
            trunk, sha = fact.trunk, fact.sha
            ids = revisions.setdefault(trunk, {})
            if sha not in ids:
                ids[sha] = self._names.revision_id(trunk, sha)
            key, values = self._row(fact, ids[sha])
            if upsert(UPSERT, key + values).rowcount > 0:
                touched[trunk][fact.job].add(sha)
                written.setdefault(ids[sha], set()).add((*key, values[2]))
        self._delete_superseded(written)

    def _delete_superseded(self, written: Mapping[int, Collection[tuple[object, ...]]]) -> None:
        """Delete unfinished rows of attempts that have a completed one.

        Args:
            written: per commit, the keys and origins of the attempts with new rows.
        """
        for revision, keys in written.items():
            unfinished = self._connection.execute(UNFINISHED_AT, (revision,)).fetchall()
            superseded = [key for key in unfinished if key in keys]
            self._connection.executemany(DELETE_SUPERSEDED, superseded)

    def _row(
        self, row: Observation, revision: int
    ) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """Return the key of an attempt, and its other columns."""
        finished = row.status == "completed"
        key = (
            block_of(revision),
            self._names.job_id(row.trunk, row.job),
            revision,
            "" if row.run_id is None else row.run_id,
            row.attempt,
            "" if row.job_id is None else row.job_id,
        )
        return key, (
            finished,
            (row.conclusion or "") if finished else row.status,
            self._names.origin_id(row.event, row.head_branch, row.head_repo),
            row.run_number,
            row.created_at,
            row.started_at,
            row.completed_at,
            row.url,
            row.failed_step,
            row.infra,
            "\n".join(row.annotations) or None,
            row.run_completed,
        )

    def _write_order(self, order: TrunkOrder, before: TrunkOrder | None) -> None:
        trunk_id = self._names.trunk_id(order.trunk)
        same = len(before.commits) if before is not None and order.extends(before) else 0
        run = self._connection.execute
        run("DELETE FROM commits WHERE trunk = ? AND place >= ?", (trunk_id, same))
        self._connection.executemany(
            "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?)",
            [
                (trunk_id, place, c.sha, c.committed_at, c.author, c.title)
                for place, c in enumerate(order.commits[same:], same)
            ],
        )
        run("UPDATE trunks SET older_unread = ? WHERE id = ?", (order.older_unread, trunk_id))

    def _write_state(self, trunk: Trunk, workflow: str, state: str, tip: str | None) -> bool:
        """Write a workflow's state; return whether it is another one than before."""
        changed = self._connection.execute(
            "INSERT INTO workflow_states VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " state = excluded.state, tip = excluded.tip WHERE state != excluded.state",
            (self._names.trunk_id(trunk), workflow, state, tip),
        )
        return changed.rowcount > 0
