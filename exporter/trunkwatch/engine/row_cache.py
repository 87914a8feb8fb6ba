"""The port through which stored rows are read, and a cache of the latest commits' rows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from trunkwatch.domain.model import Observation, RawJob

Touched = Mapping[RawJob, Collection[str]]
"""The raw jobs with new or changed rows, and the commits of these rows."""


def union(one: Touched, other: Touched) -> Touched:
    """Return the changed rows of both."""
    if not one or not other:
        return one or other
    return {raw: {*one.get(raw, ()), *other.get(raw, ())} for raw in (*one, *other)}


class RowReader(Protocol):
    """Read access to one trunk's stored rows."""

    def of_jobs(
        self, jobs: Collection[RawJob], shas: Collection[str] | None = None
    ) -> Iterable[Observation]:
        """Return the rows of some raw jobs, at some commits or at all."""

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits, those of one commit together."""

    def all_rows(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""


CACHED_ROWS_LIMIT = 30_000
"""Rows of the most recently read commits to keep in memory: about 20 MB."""

RowsOfWorkflow = Mapping[RawJob, Collection[Observation]]
"""The rows of one workflow at one commit, by raw job."""


class RowCache:
    """The rows of workflows at the latest commits.

    Results of one commit arrive in many parts in a short time: only the jobs with changes are read
    again.
    """

    def __init__(self, reader: RowReader, limit: int = CACHED_ROWS_LIMIT) -> None:
        """Args:
        reader: reads the stored rows.
        limit: rows to keep; those of the latest reading are kept even if they are more.
        """
        self._reader = reader
        self._limit = limit
        self._cached: dict[tuple[str, str], dict[RawJob, list[Observation]]] = {}
        self._rows = 0

    @property
    def cached(self) -> Collection[tuple[str, str]]:
        """The commits and the workflows of which the rows are cached: (sha, workflow)."""
        return self._cached.keys()

    def read(
        self, sha: str, workflow: str, touched: Collection[RawJob], every: Collection[RawJob]
    ) -> RowsOfWorkflow:
        """Return the rows of a workflow at a commit as they are stored now.

        Args:
            sha: the commit.
            workflow: the identity of the workflow.
            touched: the raw jobs with changes there since the last call.
            every: all raw jobs that may have rows there.
        """
        place = sha, workflow
        is_cached = place in self._cached
        found = self._cached.pop(place, {})
        self._cached[place] = found  # The latest one comes last.
        jobs = touched if is_cached else every
        for raw in jobs:
            self._rows -= len(found.pop(raw, ()))
        for row in self._reader.of_jobs(jobs, [sha]) if jobs else ():
            found.setdefault(row.job, []).append(row)
            self._rows += 1
        return found

    def forget(self, sha: str, workflow: str) -> None:
        """Drop the rows of a workflow at a commit, which were deleted."""
        self._rows -= sum(map(len, self._cached.pop((sha, workflow), {}).values()))

    def evict(self, latest: Collection[tuple[str, str]]) -> None:
        """Drop the least recently read rows while there are more than the limit.

        Args:
            latest: those to keep: (sha, workflow).
        """
        for place in list(self._cached):
            if self._rows <= self._limit or place in latest:
                break
            self.forget(*place)
