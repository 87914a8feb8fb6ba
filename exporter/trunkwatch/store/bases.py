"""Stores the facts of deleted rows, and deletes these rows.

A base is written before the rows that it stands for are deleted: in between they count no more. So
a process may be killed at any moment.
"""

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from trunkwatch.domain.model import RawJob, Trunk
from trunkwatch.engine.bases import (
    BaseChanges,
    Horizon,
    JobBase,
    JobName,
    TrunkBase,
    WorkflowBase,
)
from trunkwatch.store.names import COMMITS_PER_BLOCK, Names

IsDropped = Callable[[RawJob, str], bool]
"""Returns whether the rows of a raw job at a commit (a full hash) count no more."""

PLACES_PER_STEP = 500
"""Jobs at commits that are looked at in one step; as many statements delete their rows."""

PAGES_PER_STEP = 256
"""Unused pages that are given back to the file system in one step."""

_CHECKSUM_BYTES = 4


class _Frame(NamedTuple):
    """What a trunk keeps beside its jobs and workflows.

    Attributes:
        horizon: see `TrunkBase`.
        busy: a bit for each commit.
        is_void: see `TrunkBase`.
    """

    horizon: Horizon | None
    busy: bytes
    is_void: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_frame = msgspec.msgpack.Decoder(_Frame).decode
_decode_job = msgspec.msgpack.Decoder(JobBase).decode
_decode_job_name = msgspec.msgpack.Decoder(JobName).decode
_decode_workflow = msgspec.msgpack.Decoder(WorkflowBase).decode


class Bases:
    """Reads and writes bases; the caller begins and commits transactions."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        """Args:
        connection: to the file.
        names: of the file.
        """
        self._run = connection.execute
        self._run_many = connection.executemany
        self._run_all = connection.executescript
        self._names = names

    def load(self, trunk: Trunk) -> TrunkBase:
        """Return the base of a trunk.

        Raises:
            ValueError: it is damaged.
        """
        frame, jobs, workflows = _Frame(None, b"", False), {}, {}
        for kind, name, body in self._run(
            "SELECT kind, name, body FROM bases WHERE trunk = ?", (self._names.trunks.get(trunk),)
        ):
            text = body[_CHECKSUM_BYTES:]
            if _checksum(kind, name, text) != body[:_CHECKSUM_BYTES]:
                raise ValueError("its checksum is wrong")
            if kind == "job":
                jobs[_decode_job_name(name)] = _decode_job(text)
            elif kind == "workflow":
                workflows[name.decode()] = _decode_workflow(text)
            else:
                frame = _decode_frame(text)
        return TrunkBase(frame.horizon, jobs, workflows, _indexes(frame.busy), frame.is_void)

    def save(self, trunk: Trunk, base: TrunkBase, changes: BaseChanges) -> None:
        """Write the changes of a base."""
        trunk_id = self._names.trunk_id(trunk)
        if changes.is_whole:
            self._run("DELETE FROM bases WHERE trunk = ?", (trunk_id,))
        if changes.is_whole or changes.has_moved:
            frame = _Frame(base.horizon, _bits(base.busy), base.is_void)
            self._put(trunk_id, "trunk", b"", _encode(frame))
        for name, job in (base.jobs if changes.is_whole else changes.jobs).items():
            self._put(trunk_id, "job", _encode(name), _encode(job) if job is not None else None)
        workflows = base.workflows if changes.is_whole else changes.workflows
        for workflow, each in workflows.items():
            self._put(trunk_id, "workflow", workflow.encode(), _encode(each))
        self._names.delete_jobs(trunk, changes.raw_jobs)

    def _put(self, trunk_id: int, kind: str, name: bytes, body: bytes | None) -> None:
        if body is None:
            delete = "DELETE FROM bases WHERE trunk = ? AND kind = ? AND name = ?"
            self._run(delete, (trunk_id, kind, name))
            return
        self._run(
            "INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)",
            (trunk_id, kind, name, _checksum(kind, name, body) + body),
        )

    # ------------------------------------------------------------------ deletion

    def places(self, block: int, after: tuple[int, int]) -> Sequence[tuple[int, int]]:
        """Return some jobs, with commits, of which a block has rows; none at its end.

        Args:
            block: the block.
            after: the last of those before.
        """
        return self._run(
            "SELECT DISTINCT job, revision FROM observations WHERE block = ?"
            " AND (job, revision) > (?, ?) ORDER BY job, revision LIMIT ?",
            (block, *after, PLACES_PER_STEP),
        ).fetchall()

    def dropped(
        self, places: Sequence[tuple[int, int]], is_dropped: IsDropped
    ) -> Sequence[tuple[int, int]]:
        """Return those of some jobs and commits whose rows count no more."""
        shas = {revision: self._names.sha(revision) for _, revision in places}
        return [
            (job, revision)
            for job, revision in places
            if is_dropped(self._names.job(job)[1], shas[revision])
        ]

    def delete(self, block: int, places: Sequence[tuple[int, int]]) -> int:
        """Delete the rows of some jobs at some commits; return their number."""
        return self._run_many(
            "DELETE FROM observations WHERE block = ? AND job = ? AND revision = ?",
            ((block, *place) for place in places),
        ).rowcount

    def count(self, block: int) -> int:
        """Return the number of rows of a block."""
        query = "SELECT count(*) FROM observations WHERE block = ?"
        (rows,) = self._run(query, (block,)).fetchone()
        return int(rows)

    def delete_empty(self, block: int) -> None:
        """Delete the commits of a block that have no rows left."""
        first = block * COMMITS_PER_BLOCK
        empty = self._run(
            "SELECT id FROM revisions AS r WHERE id >= ? AND id < ? AND NOT EXISTS"
            " (SELECT 1 FROM observations AS o WHERE o.block = ? AND o.revision = r.id)",
            (first, first + COMMITS_PER_BLOCK, block),
        ).fetchall()
        self._run_many("DELETE FROM unevaluated WHERE revision = ?", empty)
        self._run_many("DELETE FROM revisions WHERE id = ?", empty)
        self._names.revisions_deleted()

    def shrink(self) -> None:
        """Give some unused pages back, where the file was made for it."""
        # `execute` ends after the first page, which it takes for a row without columns.
        self._run_all(f"PRAGMA incremental_vacuum({PAGES_PER_STEP})")


def _checksum(kind: str, name: bytes, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(name, zlib.crc32(kind.encode()))).to_bytes(_CHECKSUM_BYTES)


def _bits(indexes: frozenset[int]) -> bytes:
    bits = bytearray((max(indexes, default=-1) + 8) // 8)
    for index in indexes:
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)


def _indexes(bits: bytes) -> frozenset[int]:
    return frozenset(
        8 * place + bit for place, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1
    )
