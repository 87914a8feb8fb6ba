"""Stores the evaluated state of trunks beside the rows that it rests on.

A row that changes is marked in the transaction that writes it, and the mark goes in the transaction
that stores the state evaluated from it. So after a crash the state is out of date only where a row
is marked. Every entry has a checksum, and a trunk has that of all of its entries: a state that was
damaged or written in part is void, and costs a full evaluation.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.model import JobKey, RawJob, Trunk
from trunkwatch.engine.row_cache import Touched
from trunkwatch.engine.saved_state import (
    ChangedJob,
    SavedJob,
    SavedTrunk,
    StateChanges,
    WorkflowPlace,
)
from trunkwatch.engine.workflow_commit import WorkflowCommit
from trunkwatch.store.names import Names

COLUMNS_PER_PART = 256
"""Columns of a job that are stored together: 1 kB is written for a new result."""

_CHECKSUM_BYTES = 4

_encode = msgspec.msgpack.Encoder().encode
_decode_job = msgspec.msgpack.Decoder(SavedJob).decode
_decode_commit = msgspec.msgpack.Decoder(WorkflowCommit).decode
_decode_names = msgspec.msgpack.Decoder(tuple[str, str]).decode


class Basis(NamedTuple):
    """What the state of a trunk was evaluated from, beside rows.

    Attributes:
        policy: digest of the policy.
        commits: number of commits of the trunk.
        order: digest of these commits.
    """

    policy: str
    commits: int
    order: str


class StoredEvaluation(NamedTuple):
    """The stored state of a trunk.

    Attributes:
        basis: what it was evaluated from.
        saved: the state.
    """

    basis: Basis
    saved: SavedTrunk


class EvaluationUpdate(NamedTuple):
    """The changes of the state of a trunk.

    Attributes:
        basis: what it was evaluated from.
        changes: the differences from the stored state.
        evaluated: the rows that it takes into account from now on.
    """

    basis: Basis
    changes: StateChanges
    evaluated: Touched


NO_UPDATES: Mapping[Trunk, EvaluationUpdate] = MappingProxyType({})
"""No changes of states."""


class _Key(NamedTuple):
    kind: str
    names: bytes
    part: int = 0


class Evaluations:
    """Reads and writes evaluated states; the caller begins and commits transactions."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        """Args:
        connection: to the file.
        names: of the file.
        """
        self._run = connection.execute
        self._run_many = connection.executemany
        self._names = names

    def mark(self, touched: Mapping[Trunk, Touched]) -> None:
        """Mark changed rows, once any states have been claimed."""
        if not self._generation():
            return
        for trunk, jobs in touched.items():
            trunk_id = self._names.trunk_id(trunk)
            self._run_many(
                "INSERT OR IGNORE INTO unevaluated VALUES (?, ?, ?)",
                ((trunk_id, *row) for row in self._ids(trunk, jobs)),
            )

    def marked(self, trunk: Trunk) -> Touched:
        """Return the rows of a trunk that have changed since they were evaluated."""
        touched: dict[RawJob, set[str]] = {}
        for job, sha in self._run(
            "SELECT u.job, r.sha FROM unevaluated AS u JOIN revisions AS r ON r.id = u.revision"
            " WHERE u.trunk = ?",
            (self._names.trunks.get(trunk),),
        ):
            touched.setdefault(self._names.job(job)[1], set()).add(sha)
        return touched

    def load(self, trunk: Trunk) -> StoredEvaluation | None:
        """Return the stored state of a trunk; None where there is none.

        Raises:
            ValueError: it is damaged.
        """
        trunk_id = self._names.trunks.get(trunk)
        row = self._run(
            "SELECT policy, commits, digest, checksum FROM evaluated_trunks WHERE trunk = ?",
            (trunk_id,),
        ).fetchone()
        if row is None:
            return None
        *basis, checksum = row
        jobs: dict[bytes, SavedJob] = {}
        parts: dict[bytes, list[bytes]] = {}
        workflows: dict[WorkflowPlace, WorkflowCommit] = {}
        found = 0
        for key, body in self._entries(trunk_id):
            found ^= _checksum(key, body)
            if key.kind == "job":
                jobs[key.names] = _decode_job(body)
            elif key.kind == "columns":
                parts.setdefault(key.names, []).append(body)
            else:
                workflows[WorkflowPlace(*_decode_names(key.names))] = _decode_commit(body)
        if found != checksum:
            raise ValueError("its checksum is wrong")
        states = {
            JobKey(*trunk, *_decode_names(names)): (
                job,
                ColumnHistory.from_parts(parts.get(names, ())),
            )
            for names, job in jobs.items()
        }
        saved = SavedTrunk(basis[1], self._names.jobs(trunk), states, workflows)
        return StoredEvaluation(Basis(*basis), saved)

    def claim(self) -> int:
        """Return a new generation of states; those of earlier generations are not written."""
        self._run("UPDATE evaluation_owner SET generation = generation + 1")
        return self._generation()

    def may_save(self, generation: int) -> bool:
        """Return whether no later generation has been claimed.

        An engine that is being replaced evaluates by another policy, and must not mix its state
        into that of its successor.
        """
        return self._generation() == generation

    def save(self, updates: Mapping[Trunk, EvaluationUpdate]) -> None:
        """Write the changes of states of a generation that may be saved."""
        for trunk, update in updates.items():
            self._save(trunk, update)

    def _generation(self) -> int:
        (generation,) = self._run("SELECT generation FROM evaluation_owner").fetchone()
        return int(generation)

    def _save(self, trunk: Trunk, update: EvaluationUpdate) -> None:
        trunk_id, changes = self._names.trunk_id(trunk), update.changes
        checksum = 0
        if changes.is_whole:
            self._run("DELETE FROM evaluations WHERE trunk = ?", (trunk_id,))
        else:
            found = self._run(
                "SELECT checksum FROM evaluated_trunks WHERE trunk = ?", (trunk_id,)
            ).fetchone()
            checksum = found[0] if found is not None else 0
        self._run_many(
            "DELETE FROM unevaluated WHERE trunk = ? AND job = ? AND revision = ?",
            ((trunk_id, *row) for row in self._ids(trunk, update.evaluated)),
        )
        for key, body in _bodies(changes):
            checksum ^= self._replace(trunk_id, key, body, is_new=changes.is_whole)
        self._run(
            "INSERT OR REPLACE INTO evaluated_trunks VALUES (?, ?, ?, ?, ?)",
            (trunk_id, *update.basis, checksum),
        )

    def _replace(self, trunk_id: int, key: _Key, body: bytes | None, *, is_new: bool) -> int:
        """Write, replace or delete an entry; return the change of the checksum."""
        where = (trunk_id, *key)
        before = None
        if not is_new:
            before = self._run(
                "SELECT substr(body, 1, 4) FROM evaluations"
                " WHERE trunk = ? AND kind = ? AND names = ? AND part = ?",
                where,
            ).fetchone()
        change = int.from_bytes(before[0]) if before is not None else 0
        if body is not None:
            checksum = _checksum(key, body)
            change ^= checksum
            self._run(
                "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?)",
                (*where, checksum.to_bytes(_CHECKSUM_BYTES) + body),
            )
        elif before is not None:
            self._run(
                "DELETE FROM evaluations WHERE trunk = ? AND kind = ? AND names = ? AND part = ?",
                where,
            )
        return change

    def _entries(self, trunk_id: int | None) -> Iterator[tuple[_Key, bytes]]:
        """Yield the entries of a trunk; the parts of one job in their order."""
        for kind, names, part, body in self._run(
            "SELECT kind, names, part, body FROM evaluations WHERE trunk = ?"
            " ORDER BY kind, names, part",
            (trunk_id,),
        ):
            yield _Key(kind, names, part), body[_CHECKSUM_BYTES:]

    def _ids(self, trunk: Trunk, touched: Touched) -> Iterator[tuple[int, int]]:
        for raw, shas in touched.items():
            for job in self._names.job_ids(trunk, [raw]):
                for revision in self._names.revisions(trunk, shas):
                    yield job, revision


def _bodies(changes: StateChanges) -> Iterator[tuple[_Key, bytes | None]]:
    """Yield the changed entries; None for one that is deleted."""
    for place, commit in changes.workflows.items():
        body = _encode(commit) if commit is not None else None
        yield _Key("workflow", _encode(place)), body
    for key, job in changes.jobs.items():
        names = _encode((key.workflow, key.job_name))
        yield _Key("job", names), _encode(job.saved) if job.saved is not None else None
        for part, body in _parts(job, is_whole=changes.is_whole):
            yield _Key("columns", names, part), body


def _parts(job: ChangedJob, *, is_whole: bool) -> Iterator[tuple[int, bytes | None]]:
    before = job.before if job.before is not None and not is_whole else ColumnHistory()
    parts = list(job.history.parts(COLUMNS_PER_PART, since=job.history.same_as(before)))
    yield from parts
    more = range(-(-len(job.history) // COLUMNS_PER_PART), -(-len(before) // COLUMNS_PER_PART))
    yield from ((part, None) for part in more)


def _checksum(key: _Key, body: bytes) -> int:
    text = f"{key.kind} {key.part} ".encode()
    return zlib.crc32(body, zlib.crc32(key.names, zlib.crc32(text)))
