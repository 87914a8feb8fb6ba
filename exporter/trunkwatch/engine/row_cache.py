"""Stored rows as the assessor reads them, and those that it keeps at hand."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from typing import Protocol

from trunkwatch.domain.model import Observation, RawJob

Touched = Mapping[RawJob, Collection[str]]
"""Which raw jobs have new rows, and at which commits."""


class Records(Protocol):
    """One trunk's stored rows, as the assessor needs to read them."""

    def of_jobs(self, jobs: Collection[RawJob]) -> Iterable[Observation]:
        """Return all rows of some raw jobs."""

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits."""

    def everything(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""


ROW_CACHE_LIMIT = 30_000
"""Rows that are kept in memory, of the commits that were read last: about 20 MB."""

ASSUMED_ROWS_PER_JOB = 100
"""Rows that one job's history is taken to have: what counts is the magnitude."""

RowsOfCommit = Mapping[str, Mapping[RawJob, Collection[Observation]]]
"""One commit's rows, by workflow identity and raw job."""


class RowCache:
    """Rows by commit; the results of one commit come in many small parts, and soon after another.

    Of a commit that is at hand, only the jobs that were touched are read again.
    """

    def __init__(
        self, records: Records, limit: int = ROW_CACHE_LIMIT, history: int = ASSUMED_ROWS_PER_JOB
    ) -> None:
        """Args:
        records: where the rows are stored.
        limit: rows to keep at hand.
        history: rows that one job's history is taken to have.
        """
        self._records = records
        self._limit = limit
        self._history = history
        self._commits: dict[str, dict[str, dict[RawJob, list[Observation]]]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def at_hand(self) -> Collection[str]:
        """The commits whose rows are kept."""
        return self._commits.keys()

    def read(self, touched: Touched, shas: Collection[str]) -> Mapping[str, RowsOfCommit]:
        """Return the rows of some commits, as they are stored now.

        Args:
            touched: what has changed since the last call; all of its commits are among `shas`.
            shas: the commits.
        """
        jobs_at: dict[str, set[RawJob]] = {sha: set() for sha in shas}
        for raw, commits in touched.items():
            for sha in commits:
                jobs_at[sha].add(raw)
        whole = {sha for sha, jobs in jobs_at.items() if self._is_read_as_a_whole(sha, jobs)}
        self._read_jobs({sha: jobs for sha, jobs in jobs_at.items() if jobs and sha not in whole})
        self._read_commits(whole)
        found = {sha: self._commits.get(sha, {}) for sha in shas}
        self._make_room(shas)
        return found

    def _is_read_as_a_whole(self, sha: str, jobs: Collection[RawJob]) -> bool:
        """Whether the whole commit is fewer rows than the whole histories of these jobs."""
        return sha not in self._commits or len(jobs) * self._history > self._sizes[sha]

    def _read_commits(self, shas: Collection[str]) -> None:
        for sha in shas:
            self._commits[sha], self._sizes[sha] = {}, 0
        rows = self._records.of_commits(shas) if shas else ()
        for sha, members in groupby(rows, key=lambda row: row.sha):
            self._add(sha, members)

    def _read_jobs(self, jobs_at: Mapping[str, Collection[RawJob]]) -> None:
        for sha, jobs in jobs_at.items():
            for raw in jobs:
                old = self._commits[sha].get(raw.workflow_key, {}).pop(raw, ())
                self._sizes[sha] -= len(old)
        every = {raw for jobs in jobs_at.values() for raw in jobs}
        for row in self._records.of_jobs(every) if every else ():
            if row.job in jobs_at.get(row.sha, ()):
                self._add(row.sha, [row])

    def _add(self, sha: str, rows: Iterable[Observation]) -> None:
        for row in rows:
            workflow = self._commits[sha].setdefault(row.job.workflow_key, defaultdict(list))
            workflow[row.job].append(row)
            self._sizes[sha] += 1

    def _make_room(self, used: Collection[str]) -> None:
        """Let go of the commits that were not used for longest."""
        for sha in used:
            self._commits[sha] = self._commits.pop(sha)
        total = sum(self._sizes.values())
        for sha in list(self._commits)[:-1]:
            if total <= self._limit:
                break
            total -= self._sizes.pop(sha)
            del self._commits[sha]
