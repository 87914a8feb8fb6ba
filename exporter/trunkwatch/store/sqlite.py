"""The embedded store: one SQLite file, or memory."""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from trunkwatch.domain.model import Observation, RawJob, RunId, Trunk, TrunkOrder, rewrites
from trunkwatch.engine.alerts import AlertChanges
from trunkwatch.engine.bases import BaseChanges, TrunkBase
from trunkwatch.engine.facts import Fact
from trunkwatch.engine.row_cache import Touched
from trunkwatch.errors import StoreError
from trunkwatch.store import schema, statements
from trunkwatch.store.alerts import NO_ALERTS, read_alerts, write_alerts
from trunkwatch.store.bases import Bases, IsDropped
from trunkwatch.store.changes import Changes, changed_entries
from trunkwatch.store.evaluations import (
    NO_UPDATES,
    Evaluations,
    EvaluationUpdate,
    StoredEvaluation,
)
from trunkwatch.store.file_guard import FileGuard, file_size
from trunkwatch.store.names import Names, block_of
from trunkwatch.store.opening import DAMAGE, MEMORY, MOVE_AWAY, open_file, readable
from trunkwatch.store.port import Applied, Labels, Stored, StoredSource
from trunkwatch.store.statements import SELECT
from trunkwatch.store.tables import (
    read_entries,
    read_files,
    read_labels,
    read_orders,
    read_source,
    read_workflow_states,
)
from trunkwatch.store.writing import Writer

JOBS_PER_QUERY = 500
"""Jobs whose rows at some commits are held in memory at once."""


class SqliteStore:
    """A store in one SQLite file, in WAL mode so that readers never wait for a writer."""

    def __init__(self, path: str = MEMORY) -> None:
        """Open or create the file.

        Raises:
            StoreError: the file is not a database, is foreign or of a newer version, or cannot be
                written; it was left untouched.
        """
        self._path = path
        self._lock = threading.RLock()
        self._connection = open_file(path, schema.RESULTS)
        try:
            with readable(path):
                # Read the version first: any later write of another process is then detected.
                self._read_version = self._data_version()
                self._names = Names(self._connection)
                self._orders = read_orders(self._connection, self._names.trunks)
                self._entries = read_entries(self._connection)
        except StoreError:
            self._connection.close()
            raise
        self._names_are_read = True
        self._guard = FileGuard(path)
        self._writer = Writer(self._connection, self._names)
        self._evaluations = Evaluations(self._connection, self._names)
        self._bases = Bases(self._connection, self._names)

    def load(self) -> Stored:
        """Return everything except the rows."""
        with self._lock, readable(self._path):
            rows = self._connection.execute("SELECT name FROM sources").fetchall()
            return Stored(
                orders=dict(self._orders),
                sources={name: self._source(name) for (name,) in rows},
                labels=read_labels(self._connection),
                workflow_states=read_workflow_states(self._connection),
                files=read_files(self._connection, self._names.trunks),
                alerts=tuple(read_alerts(self._connection)),
            )

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Store one refresh in one transaction."""
        passed = _PassedFacts(facts)
        with self._lock:
            self._begin()
            try:
                version, foreign = self._foreign_orders()
                stored = {**self._orders, **foreign}
                entries = self._entries.get(source, {})
                changes = Changes(stored, entries)
                changed_states = self._writer.write(passed, changes, stored)
                changed_files = self._writer.write_files(changes.files)
                self._writer.write_source(source, changes, now)
                self._evaluations.mark(changes.touched)
                if version != self._read_version:
                    changed_states |= self._add_foreign_changes(changes, foreign)
                    changed_files |= changed_states
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, DAMAGE) and error is not passed.error:
                    raise StoreError(self._path, f"cannot be written ({error})") from error
                raise
            self._read_version = version
            self._orders.update(changes.orders)
            self._entries[source] = changed_entries(entries, changes.entries)
            with readable(self._path):
                states = read_workflow_states(self._connection) if changed_states else {}
                ids = {trunk: self._names.trunk_id(trunk) for trunk in changed_files}
                files = read_files(self._connection, ids)
                state = self._source(source)
            return Applied(
                orders=changes.orders,
                rewritten=frozenset(changes.rewritten),
                touched=changes.touched,
                source=state,
                workflow_states={trunk: states.get(trunk, {}) for trunk in changed_states},
                files=files,
            )

    def claim_states(self) -> int:
        """Return the generation of states that may be stored from now on."""
        with self._writing():
            return self._evaluations.claim()

    def put_evaluated(
        self,
        labels: Labels,
        updates: Mapping[Trunk, EvaluationUpdate] = NO_UPDATES,
        generation: int = 0,
        alerts: AlertChanges = NO_ALERTS,
    ) -> None:
        """Store labels of workflows, evaluated states and alerts in one transaction."""
        if not labels and not updates and not alerts:
            return
        with self._writing():
            self._connection.executemany(
                "INSERT OR REPLACE INTO workflow_labels VALUES (?, ?, ?)",
                [
                    (self._names.trunk_id(trunk), workflow, label)
                    for trunk, of_trunk in labels.items()
                    for workflow, label in of_trunk.items()
                ],
            )
            if self._evaluations.may_save(generation):
                self._evaluations.save(updates)
                write_alerts(self._connection, self._names, alerts)

    def unevaluated(self, trunk: Trunk) -> Touched:
        """Return the rows that have changed since they were evaluated for a stored state."""
        with self._lock, readable(self._path):
            return self._evaluations.marked(trunk)

    def evaluation(self, trunk: Trunk) -> StoredEvaluation | None:
        """Return the evaluated state of a trunk; None where there is none."""
        with self._lock:
            try:
                # One snapshot: a running `serve` may write while a command reads.
                self._connection.execute("BEGIN")
                try:
                    return self._evaluations.load(trunk)
                finally:
                    self._connection.execute("COMMIT")
            except (msgspec.MsgspecError, *DAMAGE) as error:
                problem = f"the state of {trunk} is damaged ({error})"
                raise StoreError(self._path, problem) from error

    def base(self, trunk: Trunk) -> TrunkBase:
        """Return the base of a trunk."""
        with self._lock:
            try:
                return self._bases.load(trunk)
            except (msgspec.MsgspecError, *DAMAGE) as error:
                problem = f"the base of {trunk} is damaged ({error})"
                raise StoreError(self._path, problem) from error

    def put_base(self, trunk: Trunk, base: TrunkBase, changes: BaseChanges) -> None:
        """Store a base in one transaction."""
        with self._writing():
            self._bases.save(trunk, base, changes)

    def drop_rows(
        self, trunk: Trunk, shas: Collection[str], is_dropped: IsDropped
    ) -> Iterator[int]:
        """Delete the rows of a trunk for which a stored base stands."""
        with self._lock, readable(self._path):
            blocks = self._names.blocks(trunk, shas)
        for block in blocks:
            deleted, after = 0, (-1, -1)
            while True:
                with self._lock, readable(self._path):
                    places = self._bases.places(block, after)
                    dropped = self._bases.dropped(places, is_dropped)
                if not places:
                    break
                after = places[-1]
                if dropped:
                    with self._writing():
                        deleted += self._bases.delete(block, dropped)
                yield deleted
            if deleted:
                with self._writing():
                    self._bases.delete_empty(block)
                with self._lock, readable(self._path):
                    self._bases.shrink()
                yield deleted

    def count_rows(self) -> Iterator[int]:
        """Count all rows, in short steps; yields the number so far."""
        with self._lock, readable(self._path):
            blocks = [block for trunk in self._names.trunks for block in self._names.blocks(trunk)]
        rows = 0
        for block in blocks:
            with self._lock, readable(self._path):
                rows += self._bases.count(block)
            yield rows

    def size(self) -> int:
        """Return the size of the file with its log, in bytes."""
        return file_size(self._path)

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield a trunk's rows: of some raw jobs, at some commits, of both, or all."""
        with self._lock, readable(self._path):
            revisions = None if shas is None else self._names.revisions(trunk, shas)
            blocks = self._names.blocks(trunk) if revisions is None else []
            ids = None if jobs is None else self._names.job_ids(trunk, jobs)
        if ids is not None:
            yield from self._rows_of_jobs(ids, blocks, revisions)
            return
        for revision in revisions or ():
            query = SELECT + statements.OF_REVISION
            yield from self._rows(query, (block_of(revision), revision))
        for block in blocks:
            yield from self._rows(SELECT + statements.OF_BLOCK, (block,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # ------------------------------------------------------------------ reading

    def _rows_of_jobs(
        self, jobs: list[int], blocks: list[int], revisions: list[int] | None
    ) -> Iterator[Observation]:
        """Yield rows of some jobs, in some blocks or at some commits."""
        if revisions is None:
            every = json.dumps(blocks)
            for job in jobs:
                yield from self._rows(SELECT + statements.OF_JOB, (every, job))
            return
        places = json.dumps([(block_of(revision), revision) for revision in revisions])
        for start in range(0, len(jobs), JOBS_PER_QUERY):
            some = json.dumps(jobs[start : start + JOBS_PER_QUERY])
            yield from self._rows(statements.SELECT_PAIRS, (some, places))

    def _rows(self, query: str, values: tuple[Any, ...]) -> Iterator[Observation]:
        with self._lock, readable(self._path):
            rows = self._connection.execute(query, values).fetchall()
            # Another process may have added a job or an origin since the last refresh.
            if not all(self._names.knows(row[1], row[8]) for row in rows):
                self._names.read()
        for row in rows:
            with readable(self._path):
                observation = self._observation(row)
            yield observation

    def _observation(self, row: tuple[Any, ...]) -> Observation:
        sha, job, finished, answer, run_id, attempt, job_id, number, origin = row[:9]
        created_at, started_at, completed_at, url, failed_step, infra, annotations = row[9:16]
        trunk, raw = self._names.job(job)
        return Observation(
            trunk,
            sha,
            raw,
            "completed" if finished else answer,
            (answer or None) if finished else None,
            _id_or_none(run_id),
            attempt,
            _id_or_none(job_id),
            number,
            *self._names.origin(origin),
            created_at,
            started_at,
            completed_at,
            url,
            failed_step,
            bool(infra),
            tuple(annotations.split("\n")) if annotations else (),
            bool(row[16]),
        )

    def _source(self, source: str) -> StoredSource:
        return read_source(self._connection, source, self._entries.get(source, {}))

    # ------------------------------------------------------------------ writing

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction, and report errors of the file.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._lock:
            self._begin()
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, DAMAGE):
                    raise StoreError(self._path, f"cannot be written ({error})") from error
                raise

    def _begin(self) -> None:
        self._guard.check()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StoreError(self._path, f"cannot be written ({error})") from error
        if not self._names_are_read:
            self._roll_back()
            if not self._names_are_read:
                raise StoreError(self._path, f"its names cannot be read; {MOVE_AWAY}")
            self._connection.execute("BEGIN IMMEDIATE")

    def _data_version(self) -> int:
        """Return a number that changes with each write of another connection, not of this one."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _foreign_orders(self) -> tuple[int, Mapping[Trunk, TrunkOrder]]:
        """Read the names that another process has written (a `check` beside `serve`).

        Returns:
            The version of the file, and the commits of each trunk of which they have changed.
        """
        version = self._data_version()
        if version == self._read_version:
            return version, {}
        self._names.read()
        self._entries = read_entries(self._connection)
        orders = read_orders(self._connection, self._names.trunks)
        return version, {
            trunk: order for trunk, order in orders.items() if order != self._orders.get(trunk)
        }

    def _add_foreign_changes(
        self, changes: Changes, foreign: Mapping[Trunk, TrunkOrder]
    ) -> set[Trunk]:
        """Add the writes of another process to this refresh's changes.

        Otherwise the caller would miss them: the same facts from its own source change nothing in
        the file later. Which rows are new is not stored, so all rows count as touched; this is rare
        and costs one evaluation of everything.

        Args:
            changes: of this refresh.
            foreign: the commits of each trunk of which they were changed.

        Returns:
            The trunks of which the states of workflows and the files may have changed.
        """
        for trunk, order in foreign.items():
            changes.orders.setdefault(trunk, order)
            before = self._orders.get(trunk)
            if before is not None and rewrites(before, order):
                changes.rewritten.add(trunk)
        run = self._connection.execute
        shas: dict[int, str] = dict(run("SELECT id, sha FROM revisions"))
        for key, revision in run("SELECT DISTINCT job, revision FROM observations"):
            trunk, raw = self._names.job(key)
            changes.touched[trunk][raw].add(shas[revision])
        return set(self._names.trunks)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        # Without them, ids of the transaction that failed would be used.
        self._names_are_read = False
        with suppress(*DAMAGE):
            self._names.read()
            self._names_are_read = True


class _PassedFacts:
    """Facts whose own error is passed on: it is none of the file."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts = facts
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Fact]:
        try:
            yield from self._facts
        except BaseException as error:
            self.error = error
            raise


def _id_or_none(value: object) -> RunId | None:
    return value if isinstance(value, int | str) and value != "" else None
