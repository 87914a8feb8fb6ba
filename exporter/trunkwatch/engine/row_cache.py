"""The port through which stored rows are read, and a cache of the latest commits' rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from typing import Protocol

from trunkwatch.domain.model import Observation, RawJob

Touched = Mapping[RawJob, Collection[str]]
"""The raw jobs with new or changed rows, and the commits of these rows."""


class RowReader(Protocol):
    """Read access to one trunk's stored rows."""

    def of_jobs(self, jobs: Collection[RawJob]) -> Iterable[Observation]:
        """Return all rows of some raw jobs."""

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits, those of one commit together."""

    def all_rows(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""


CACHED_ROWS_LIMIT = 30_000
"""Rows of the most recently read commits to keep in memory: about 20 MB."""

ASSUMED_ROWS_PER_JOB = 100
"""Assumed rows in the history of one job; only the order of magnitude matters."""

RowsOfCommit = Mapping[str, Mapping[RawJob, Collection[Observation]]]
"""One commit's rows, by workflow identity and raw job."""


class RowCache:
    """The rows of the latest commits: results of one commit arrive in many parts in a short time.

    Of a cached commit, only the jobs with changes are read again.
    """

    def __init__(
        self,
        reader: RowReader,
        limit: int = CACHED_ROWS_LIMIT,
        rows_per_job: int = ASSUMED_ROWS_PER_JOB,
    ) -> None:
        """Args:
        reader: reads the stored rows.
        limit: rows to keep; the latest commit is kept even if it alone has more.
        rows_per_job: assumed rows in the history of one job.
        """
        self._reader = reader
        self._limit = limit
        self._rows_per_job = rows_per_job
        self._commits: dict[str, dict[str, dict[RawJob, list[Observation]]]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def cached_commits(self) -> Collection[str]:
        """The hashes of the commits whose rows are cached."""
        return self._commits.keys()

    def read(self, touched: Touched, shas: Collection[str]) -> Mapping[str, RowsOfCommit]:
        """Return the rows of some commits as they are stored now.

        Args:
            touched: all changes since the last call; all of their commits are among `shas`.
            shas: the commits.
        """
        jobs_at: dict[str, set[RawJob]] = {sha: set() for sha in shas}
        for raw, commits in touched.items():
            for sha in commits:
                jobs_at[sha].add(raw)
        whole = {sha for sha, jobs in jobs_at.items() if self._reads_whole_commit(sha, jobs)}
        self._read_jobs({sha: jobs for sha, jobs in jobs_at.items() if jobs and sha not in whole})
        self._read_commits(whole)
        found = {sha: self._commits.get(sha, {}) for sha in shas}
        self._evict(shas)
        return found

    def _reads_whole_commit(self, sha: str, jobs: Collection[RawJob]) -> bool:
        """Return whether the whole commit has fewer rows than the whole histories of the jobs."""
        return sha not in self._commits or len(jobs) * self._rows_per_job > self._sizes[sha]

    def _read_commits(self, shas: Collection[str]) -> None:
        for sha in shas:
            self._commits[sha], self._sizes[sha] = {}, 0
        rows = self._reader.of_commits(shas) if shas else ()
        for sha, members in groupby(rows, key=lambda row: row.sha):
            self._add(sha, members)

    def _read_jobs(self, jobs_at: Mapping[str, Collection[RawJob]]) -> None:
        for sha, jobs in jobs_at.items():
            for raw in jobs:
                old = self._commits[sha].get(raw.workflow_key, {}).pop(raw, ())
                self._sizes[sha] -= len(old)
        every = {raw for jobs in jobs_at.values() for raw in jobs}
        for row in self._reader.of_jobs(every) if every else ():
            if row.job in jobs_at.get(row.sha, ()):
                self._add(row.sha, [row])

    def _add(self, sha: str, rows: Iterable[Observation]) -> None:
        for row in rows:
            workflow = self._commits[sha].setdefault(row.job.workflow_key, defaultdict(list))
            workflow[row.job].append(row)
            self._sizes[sha] += 1

    def _evict(self, used: Collection[str]) -> None:
        """Drop the least recently used commits while the cache exceeds its limit."""
        for sha in used:
            self._commits[sha] = self._commits.pop(sha)
        total = sum(self._sizes.values())
        for sha in list(self._commits)[:-1]:
            if total <= self._limit:
                break
            total -= self._sizes.pop(sha)
            del self._commits[sha]
