"""The ids of trunks, jobs, origins and commits in the file."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from trunkwatch.domain.model import RawJob, Trunk

COMMITS_PER_BLOCK = 4
"""Commits of a trunk whose rows are stored together, job by job.

The rows of one commit arrive together, and the rows of one job are read together. With 1, reading a
job's history is one search per commit; with every commit in one block, each new row is written to a
page of its own. With 4 and 450 jobs, a row costs 0.6 kB of writes, and with 8 1.0 kB.
"""


def block_of(revision: int) -> int:
    """Return the block of a commit."""
    return revision // COMMITS_PER_BLOCK


class Origin(NamedTuple):
    """The fields of a run that decide whether it counts for its trunk."""

    event: str
    head_branch: str
    head_repo: str


class Names:
    """The names behind the ids, and new ids.

    Whole maps are replaced by `read`, since readers hold no lock.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Args:
        connection: to the file; new ids are part of its current transaction.
        """
        self._run = connection.execute
        self._trunk_ids: dict[Trunk, int] = {}
        self._job_ids: dict[Trunk, dict[RawJob, int]] = {}
        self._jobs: dict[int, tuple[Trunk, RawJob]] = {}
        self._origins: dict[int, Origin] = {}
        self._origin_ids: dict[tuple[str, str, str], int] = {}
        self._newest_revisions: dict[Trunk, int | None] = {}
        self.read()

    def read(self) -> None:
        """Read all names: another process may have added some, or a transaction failed."""
        names = {
            key: Trunk(repo, branch)
            for key, repo, branch in self._run("SELECT id, repo, branch FROM trunks")
        }
        jobs: dict[int, tuple[Trunk, RawJob]] = {}
        job_ids: dict[Trunk, dict[RawJob, int]] = defaultdict(dict)
        for key, trunk_id, name, path, job_name in self._run(
            "SELECT id, trunk, workflow_name, workflow_path, job_name FROM jobs"
        ):
            trunk, job = names[trunk_id], RawJob(name, path or None, job_name)
            jobs[key] = trunk, job
            job_ids[trunk][job] = key
        self._trunk_ids = {trunk: key for key, trunk in names.items()}
        self._job_ids = job_ids
        self._origins = {
            key: Origin(*parts)
            for key, *parts in self._run("SELECT id, event, head_branch, head_repo FROM origins")
        }
        self._origin_ids = {origin: key for key, origin in self._origins.items()}
        self._newest_revisions = {}
        self._jobs = jobs

    # ------------------------------------------------------------------ reading

    @property
    def trunks(self) -> dict[Trunk, int]:
        """The id of each trunk."""
        return self._trunk_ids

    def job(self, key: int) -> tuple[Trunk, RawJob]:
        """Return the job of an id."""
        return self._jobs[key]

    def origin(self, key: int) -> Origin:
        """Return the origin of an id."""
        return self._origins[key]

    def knows(self, job: int, origin: int) -> bool:
        """Return whether both ids have been read."""
        return job in self._jobs and origin in self._origins

    def jobs(self, trunk: Trunk) -> Collection[RawJob]:
        """Return the stored jobs of a trunk."""
        return self._job_ids.get(trunk, {}).keys()

    def job_ids(self, trunk: Trunk, jobs: Iterable[RawJob]) -> list[int]:
        """Return the ids of the jobs that are stored, in their order."""
        stored = self._job_ids.get(trunk, {})
        return sorted(stored[job] for job in jobs if job in stored)

    def revisions(self, trunk: Trunk, shas: Collection[str]) -> list[int]:
        """Return the ids of the commits that are stored."""
        found: list[int] = []
        for sha in sorted(shas):
            found += self._revision(trunk, sha)
        return found

    def sha(self, revision: int) -> str:
        """Return the hash of a stored commit."""
        (sha,) = self._run("SELECT sha FROM revisions WHERE id = ?", (revision,)).fetchone()
        return str(sha)

    def blocks(self, trunk: Trunk, shas: Collection[str] | None = None) -> list[int]:
        """Return the blocks of some commits of a trunk; None for all that are stored."""
        rows = self._run(
            "SELECT id, sha FROM revisions WHERE trunk = ? ORDER BY id",
            (self._trunk_ids.get(trunk),),
        )
        found = (block_of(key) for key, sha in rows if shas is None or sha in shas)
        return list(dict.fromkeys(found))

    def _revision(self, trunk: Trunk, sha: str) -> list[int]:
        query = "SELECT id FROM revisions WHERE trunk = ? AND sha = ?"
        return [key for (key,) in self._run(query, (self._trunk_ids.get(trunk), sha))]

    # ------------------------------------------------------------------ writing

    def trunk_id(self, trunk: Trunk) -> int:
        """Return the id of a trunk, a new one if it has none."""
        if trunk not in self._trunk_ids:
            self._trunk_ids[trunk] = _new_id(
                self._run("INSERT INTO trunks (repo, branch) VALUES (?, ?)", trunk)
            )
        return self._trunk_ids[trunk]

    def job_id(self, trunk: Trunk, job: RawJob) -> int:
        """Return the id of a job, a new one if it has none."""
        ids = self._job_ids.setdefault(trunk, {})
        key = ids.get(job)
        if key is None:
            values = (self.trunk_id(trunk), job.workflow_name, job.workflow_path or "")
            key = ids[job] = _new_id(
                self._run(
                    "INSERT INTO jobs (trunk, workflow_name, workflow_path, job_name)"
                    " VALUES (?, ?, ?, ?)",
                    (*values, job.job_name),
                )
            )
            self._jobs[key] = trunk, job
        return key

    def delete_jobs(self, trunk: Trunk, jobs: Collection[RawJob]) -> None:
        """Delete jobs without rows."""
        for key in self.job_ids(trunk, jobs):
            self._run("DELETE FROM jobs WHERE id = ?", (key,))
            self._run("DELETE FROM unevaluated WHERE job = ?", (key,))
        if jobs:
            self.read()

    def origin_id(self, event: str, head_branch: str, head_repo: str) -> int:
        """Return the id of an origin, a new one if it has none."""
        origin = event, head_branch, head_repo
        key = self._origin_ids.get(origin)
        if key is None:
            insert = "INSERT INTO origins (event, head_branch, head_repo) VALUES (?, ?, ?)"
            key = self._origin_ids[origin] = _new_id(self._run(insert, origin))
            self._origins[key] = Origin(*origin)
        return key

    def revision_id(self, trunk: Trunk, sha: str) -> int:
        """Return the id of a commit, a new one if it has none.

        Each block has commits of one trunk, in the order of their first rows.
        """
        found = self._revision(trunk, sha)
        if found:
            return found[0]
        key = self._next_revision(trunk)
        insert = "INSERT INTO revisions (id, trunk, sha) VALUES (?, ?, ?)"
        self._run(insert, (key, self.trunk_id(trunk), sha))
        self._newest_revisions[trunk] = key
        return key

    def revisions_deleted(self) -> None:
        """Note that some commits have been deleted."""
        self._newest_revisions = {}

    def _next_revision(self, trunk: Trunk) -> int:
        if trunk not in self._newest_revisions:
            query = "SELECT max(id) FROM revisions WHERE trunk = ?"
            (newest,) = self._run(query, (self._trunk_ids.get(trunk),)).fetchone()
            self._newest_revisions[trunk] = newest
        newest = self._newest_revisions[trunk]
        if newest is not None and block_of(newest + 1) == block_of(newest):
            return newest + 1
        (last,) = self._run("SELECT coalesce(max(id), 0) FROM revisions").fetchone()
        return (block_of(last) + 1) * COMMITS_PER_BLOCK


def _new_id(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise AssertionError("internal error: an INSERT into a rowid table returned no id")
    return cursor.lastrowid
