"""The embedded store: one SQLite file, or memory."""

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from trunkwatch.domain.model import (
    Commit,
    Observation,
    RawJob,
    RunId,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
    rewrites,
    splice,
    with_added,
)
from trunkwatch.engine.facts import (
    AddedCommits,
    Cursor,
    Fact,
    ReportedState,
    StateEntry,
    TrunkRemoved,
)
from trunkwatch.errors import StoreError
from trunkwatch.store import schema
from trunkwatch.store.opening import MEMORY, open_file
from trunkwatch.store.port import Applied, Labels, Stored, StoredSource
from trunkwatch.store.statements import DELETE_SUPERSEDED, OF_PAIRS, SELECT, UPSERT

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
        self._trunk_ids: dict[Trunk, int] = {}
        self._job_ids: dict[tuple[Trunk, RawJob], int] = {}
        self._jobs: dict[int, tuple[Trunk, RawJob]] = {}
        self._origins: dict[int, _Origin] = {}
        self._origin_ids: dict[_Origin, int] = {}
        self._orders: dict[Trunk, TrunkOrder] = {}
        self._entries: dict[str, Mapping[str, str]] = {}
        try:
            # Read the version first: any later write of another process is then detected.
            self._read_version = self._data_version()
            self._read_names()
            self._orders = self._read_orders()
            self._entries = self._read_entries()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(path, f"cannot be read ({error})") from error

    def load(self) -> Stored:
        """Return everything except the rows."""
        with self._lock:
            rows = self._connection.execute("SELECT name FROM sources").fetchall()
            return Stored(
                orders=dict(self._orders),
                sources={name: self._source(name) for (name,) in rows},
                labels=self._read_labels(),
                workflow_states=self._read_workflow_states(),
            )

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Store one refresh in one transaction."""
        with self._lock:
            batch = _Batch()
            self._begin()
            try:
                version = self._read_external_changes(batch)
                for fact in facts:
                    self._store_fact(fact, batch)
                self._store_workflow_states(batch)
                self._connection.execute(DELETE_SUPERSEDED)
                self._store_source(source, batch, now)
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise StoreError(self._path, f"cannot be written ({error})") from error
                raise
            self._read_version = version
            self._orders.update(batch.orders)
            self._entries[source] = _with_changes(self._entries.get(source, {}), batch.entries)
            states = self._read_workflow_states() if batch.changed_states else {}
            return Applied(
                orders=batch.orders,
                rewritten=frozenset(batch.rewritten),
                touched=batch.touched,
                source=self._source(source),
                workflow_states={trunk: states.get(trunk, {}) for trunk in batch.changed_states},
            )

    def put_labels(self, labels: Labels) -> None:
        """Store labels of workflows; those that are not given stay."""
        with self._lock:
            self._begin()
            try:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO workflow_labels VALUES (?, ?, ?)",
                    [
                        (self._trunk_id(trunk), workflow, label)
                        for trunk, of_trunk in labels.items()
                        for workflow, label in of_trunk.items()
                    ],
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise StoreError(self._path, f"cannot be written ({error})") from error

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield a trunk's rows: of some raw jobs, at some commits, of both, or all."""
        if jobs is not None:
            ids = sorted(self._job_ids[trunk, job] for job in jobs if (trunk, job) in self._job_ids)
            if shas is not None:
                yield from self._rows_of_jobs_at(ids, self._revisions(trunk, shas))
                return
            for job_id in ids:
                yield from self._rows(f"{SELECT} WHERE o.job = ?", (job_id,))
            return
        for revision in self._revisions(trunk, shas):
            yield from self._rows(
                f"{SELECT} JOIN jobs AS j ON j.id = o.job WHERE o.revision = ? AND j.trunk = ?",
                (revision, self._trunk_ids[trunk]),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # ------------------------------------------------------------------ reading

    def _rows_of_jobs_at(self, jobs: list[int], revisions: list[int]) -> Iterator[Observation]:
        """Yield rows by one lookup for each pair of a job and a commit."""
        for start in range(0, len(jobs), JOBS_PER_QUERY):
            some = jobs[start : start + JOBS_PER_QUERY]
            yield from self._rows(SELECT + OF_PAIRS, (json.dumps(some), json.dumps(revisions)))

    def _revisions(self, trunk: Trunk, shas: Collection[str] | None) -> list[int]:
        if trunk not in self._trunk_ids:
            return []
        with self._lock:
            if shas is None:
                rows = self._connection.execute(
                    "SELECT DISTINCT o.revision FROM jobs AS j JOIN observations AS o"
                    " ON o.job = j.id WHERE j.trunk = ? ORDER BY 1",
                    (self._trunk_ids[trunk],),
                ).fetchall()
            else:
                rows = [
                    row
                    for sha in sorted(shas)
                    for row in self._connection.execute(
                        "SELECT id FROM revisions WHERE sha = ?", (sha,)
                    )
                ]
        return [revision for (revision,) in rows]

    def _rows(self, query: str, values: tuple[Any, ...]) -> Iterator[Observation]:
        try:
            with self._lock:
                rows = self._connection.execute(query, values).fetchall()
                # Another process may have added a job or an origin since the last refresh.
                if any(row[1] not in self._jobs or row[8] not in self._origins for row in rows):
                    self._read_names()
        except sqlite3.Error as error:
            raise StoreError(self._path, f"cannot be read ({error})") from error
        for row in rows:
            yield self._observation(row)

    def _observation(self, row: tuple[Any, ...]) -> Observation:
        sha, job, finished, answer, run_id, attempt, job_id, number, origin = row[:9]
        created_at, started_at, completed_at, url, failed_step, infra, annotations = row[9:16]
        trunk, raw = self._jobs[job]
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
            *self._origins[origin],
            created_at,
            started_at,
            completed_at,
            url,
            failed_step,
            bool(infra),
            tuple(annotations.split("\n")) if annotations else (),
            bool(row[16]),
        )

    def _read_names(self) -> None:
        """Read the names behind the ids; replace whole maps, since readers hold no lock."""
        run = self._connection.execute
        names = {
            key: Trunk(repo, branch)
            for key, repo, branch in run("SELECT id, repo, branch FROM trunks")
        }
        jobs = {
            key: (names[trunk_id], RawJob(name, path or None, job_name))
            for key, trunk_id, name, path, job_name in run(
                "SELECT id, trunk, workflow_name, workflow_path, job_name FROM jobs"
            )
        }
        self._trunk_ids = {trunk: key for key, trunk in names.items()}
        self._job_ids = {named: key for key, named in jobs.items()}
        self._origins = {
            key: _Origin(*parts)
            for key, *parts in run("SELECT id, event, head_branch, head_repo FROM origins")
        }
        self._origin_ids = {origin: key for key, origin in self._origins.items()}
        self._jobs = jobs

    def _read_entries(self) -> dict[str, Mapping[str, str]]:
        entries: dict[str, dict[str, str]] = defaultdict(dict)
        for source, key, text in self._connection.execute("SELECT source, key, text FROM notes"):
            entries[source][key] = text
        return dict(entries)

    def _read_orders(self) -> dict[Trunk, TrunkOrder]:
        return {trunk: self._read_order(key, trunk) for trunk, key in self._trunk_ids.items()}

    def _read_order(self, key: int, trunk: Trunk) -> TrunkOrder:
        run = self._connection.execute
        (older,) = run("SELECT older_unread FROM trunks WHERE id = ?", (key,)).fetchone()
        rows = run(
            "SELECT sha, committed_at, author, title FROM commits WHERE trunk = ? ORDER BY place",
            (key,),
        )
        return TrunkOrder(trunk, tuple(Commit(*row) for row in rows), bool(older))

    def _read_labels(self) -> dict[Trunk, dict[str, str]]:
        labels: dict[Trunk, dict[str, str]] = defaultdict(dict)
        for repo, branch, workflow, label in self._connection.execute(
            "SELECT t.repo, t.branch, l.workflow, l.label"
            " FROM workflow_labels AS l JOIN trunks AS t ON t.id = l.trunk"
        ):
            labels[Trunk(repo, branch)][workflow] = label
        return dict(labels)

    def _read_workflow_states(self) -> dict[Trunk, dict[str, ReportedState]]:
        states: dict[Trunk, dict[str, ReportedState]] = defaultdict(dict)
        for repo, branch, workflow, state, tip in self._connection.execute(
            "SELECT t.repo, t.branch, w.workflow, w.state, w.tip"
            " FROM workflow_states AS w JOIN trunks AS t ON t.id = w.trunk"
        ):
            states[Trunk(repo, branch)][workflow] = ReportedState(WorkflowState(state), tip)
        return dict(states)

    def _source(self, source: str) -> StoredSource:
        run = self._connection.execute
        cursor, last_success = run(
            "SELECT cursor, last_success FROM sources WHERE name = ?", (source,)
        ).fetchone()
        fed = run(
            "SELECT t.repo, t.branch FROM feeds AS f JOIN trunks AS t ON t.id = f.trunk"
            " WHERE f.source = ?",
            (source,),
        )
        trunks = frozenset(Trunk(*row) for row in fed)
        return StoredSource(cursor, last_success, trunks, self._entries.get(source, {}))

    # ------------------------------------------------------------------ writing

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StoreError(self._path, f"cannot be written ({error})") from error

    def _data_version(self) -> int:
        """Return a number that changes with each write of another connection, not of this one."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _read_external_changes(self, batch: "_Batch") -> int:
        """Add the writes of another process (a `check` beside `serve`) to this refresh's changes.

        Otherwise the caller would miss them: the same facts from its own source change nothing in
        the file later. Which rows are new is not stored, so all rows count as touched; this is rare
        and costs one evaluation of everything. Returns the version of the file that was read.
        """
        version = self._data_version()
        if version == self._read_version:
            return version
        self._read_names()
        self._entries = self._read_entries()
        batch.changed_states.update(self._trunk_ids)
        for trunk, order in self._read_orders().items():
            before = self._orders.get(trunk)
            if order != before:
                batch.orders[trunk] = order
            if before is not None and rewrites(before, order):
                batch.rewritten.add(trunk)
        run = self._connection.execute
        shas: dict[int, str] = dict(run("SELECT id, sha FROM revisions"))
        for key, revision in run("SELECT DISTINCT job, revision FROM observations"):
            trunk, raw = self._jobs[key]
            batch.touched[trunk][raw].add(shas[revision])
        return version

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        self._read_names()

    def _store_fact(self, fact: Fact, batch: "_Batch") -> None:
        if isinstance(fact, Observation):
            batch.feeds[fact.trunk] = True
            if self._store_observation(fact, batch):
                batch.touched[fact.trunk][fact.job].add(fact.sha)
        elif isinstance(fact, Cursor):
            batch.cursor = fact.text
        elif isinstance(fact, StateEntry):
            batch.entries[fact.key] = fact.text
        elif isinstance(fact, TrunkOrder | AddedCommits):
            batch.feeds[fact.trunk] = True
            self._store_order(fact, batch)
        elif isinstance(fact, WorkflowReport):
            batch.reports[fact.trunk, fact.workflow_key] = fact.state
        elif isinstance(fact, TrunkRemoved):
            batch.feeds[fact.trunk] = False

    def _store_observation(self, row: Observation, batch: "_Batch") -> bool:
        """Store one report; return whether that added or changed a row."""
        if row.sha not in batch.revisions:
            batch.revisions[row.sha] = self._revision_id(row.sha)
        cursor = self._connection.execute(
            UPSERT,
            (
                self._job_id(row.trunk, row.job),
                batch.revisions[row.sha],
                "" if row.run_id is None else row.run_id,
                row.attempt,
                "" if row.job_id is None else row.job_id,
                row.finished,
                (row.conclusion or "") if row.finished else row.status,
                self._origin_id(_Origin(row.event, row.head_branch, row.head_repo)),
                row.run_number,
                row.created_at,
                row.started_at,
                row.completed_at,
                row.url,
                row.failed_step,
                row.infra,
                "\n".join(row.annotations) or None,
                row.run_completed,
            ),
        )
        return cursor.rowcount > 0

    def _store_order(self, fresh: TrunkOrder | AddedCommits, batch: "_Batch") -> None:
        before = batch.orders.get(fresh.trunk, self._orders.get(fresh.trunk))
        order = _united(before, fresh)
        trunk_id = self._trunk_id(fresh.trunk)
        if before is not None and order == before:
            return
        if before is not None and rewrites(before, order):
            batch.rewritten.add(fresh.trunk)
        same = 0
        if before is not None and order.extends(before):
            same = len(before.commits)
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
        batch.orders[fresh.trunk] = order

    def _store_workflow_states(self, batch: "_Batch") -> None:
        """Store the reported states, after the orders: a state is as of the newest commit."""
        for (trunk, workflow), state in batch.reports.items():
            order = batch.orders.get(trunk, self._orders.get(trunk))
            tip = order.commits[-1].sha if order and order.commits else None
            changed = self._connection.execute(
                "INSERT INTO workflow_states VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " state = excluded.state, tip = excluded.tip WHERE state != excluded.state",
                (self._trunk_id(trunk), workflow, state, tip),
            )
            if changed.rowcount > 0:
                batch.changed_states.add(trunk)

    def _store_source(self, source: str, batch: "_Batch", now: float | None) -> None:
        run = self._connection.execute
        run(
            "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " cursor = coalesce(excluded.cursor, cursor),"
            " last_success = coalesce(excluded.last_success, last_success)",
            (source, batch.cursor, now),
        )
        for key, text in batch.entries.items():
            if text is None:
                run("DELETE FROM notes WHERE source = ? AND key = ?", (source, key))
            else:
                run("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (source, key, text))
        for trunk, feeds in batch.feeds.items():
            change = (
                "INSERT OR IGNORE INTO feeds VALUES (?, ?)"
                if feeds
                else "DELETE FROM feeds WHERE source = ? AND trunk = ?"
            )
            run(change, (source, self._trunk_id(trunk)))

    def _trunk_id(self, trunk: Trunk) -> int:
        if trunk not in self._trunk_ids:
            cursor = self._connection.execute(
                "INSERT INTO trunks (repo, branch) VALUES (?, ?)", trunk
            )
            self._trunk_ids[trunk] = _new_id(cursor)
        return self._trunk_ids[trunk]

    def _job_id(self, trunk: Trunk, job: RawJob) -> int:
        stored = self._job_ids.get((trunk, job))
        if stored is not None:
            return stored
        cursor = self._connection.execute(
            "INSERT INTO jobs (trunk, workflow_name, workflow_path, job_name) VALUES (?, ?, ?, ?)",
            (self._trunk_id(trunk), job.workflow_name, job.workflow_path or "", job.job_name),
        )
        key = _new_id(cursor)
        self._job_ids[trunk, job] = key
        self._jobs[key] = trunk, job
        return key

    def _origin_id(self, origin: "_Origin") -> int:
        stored = self._origin_ids.get(origin)
        if stored is not None:
            return stored
        key = _new_id(
            self._connection.execute(
                "INSERT INTO origins (event, head_branch, head_repo) VALUES (?, ?, ?)", origin
            )
        )
        self._origin_ids[origin] = key
        self._origins[key] = origin
        return key

    def _revision_id(self, sha: str) -> int:
        run = self._connection.execute
        found = run("SELECT id FROM revisions WHERE sha = ?", (sha,)).fetchone()
        if found:
            return int(found[0])
        return _new_id(run("INSERT INTO revisions (sha) VALUES (?)", (sha,)))


class _Origin(NamedTuple):
    """The fields of a run that decide whether it counts for its trunk."""

    event: str
    head_branch: str
    head_repo: str


class _Batch:
    """The changes of one transaction so far."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.entries: dict[str, str | None] = {}
        self.feeds: dict[Trunk, bool] = {}
        self.reports: dict[tuple[Trunk, str], WorkflowState] = {}
        self.changed_states: set[Trunk] = set()
        self.orders: dict[Trunk, TrunkOrder] = {}
        self.rewritten: set[Trunk] = set()
        self.revisions: dict[str, int] = {}
        self.touched: dict[Trunk, dict[RawJob, set[str]]] = defaultdict(lambda: defaultdict(set))


def _united(before: TrunkOrder | None, fresh: TrunkOrder | AddedCommits) -> TrunkOrder:
    if isinstance(fresh, AddedCommits):
        return with_added(before, fresh.order) if before else fresh.order
    return splice(before, fresh) if before else fresh


def _with_changes(
    entries: Mapping[str, str], changes: Mapping[str, str | None]
) -> Mapping[str, str]:
    """Return a changed copy of some entries: readers may hold the old ones."""
    if not changes:
        return entries
    changed = {**entries, **{key: text for key, text in changes.items() if text is not None}}
    for key, text in changes.items():
        if text is None:
            changed.pop(key, None)
    return changed


def _new_id(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise AssertionError("internal error: an INSERT into a rowid table returned no id")
    return cursor.lastrowid


def _id_or_none(value: object) -> RunId | None:
    return value if isinstance(value, int | str) and value != "" else None
