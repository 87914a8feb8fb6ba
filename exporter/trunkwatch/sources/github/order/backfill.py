"""How far back a trunk has been read; only that part of it is shown as its order."""

from collections.abc import Iterator

from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.sources.github.order.chain import Chain
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext

CLOCK_SKEW_SECONDS = 3600.0
"""Seconds by which a run may seem to have been created before its commit: clocks differ."""


class Backfill:
    """The commits of a chain that have been read, and those that remain.

    A cold start shows the newest commits as soon as they have been read and reports that older ones
    exist; a commit without results would otherwise look like one on which nothing ran.
    """

    def __init__(self, context: TrunkContext, chain: Chain, runs: RunList, start: float) -> None:
        """Args:
        context: of the trunk.
        chain: its commits.
        runs: its runs, as far as they have been read.
        start: the time before which no run is read (seconds since the epoch).
        """
        self._trunk: Trunk = context.trunk
        self._state = context.state
        self._now = context.now
        self._chain = chain
        self._runs = runs
        self._start = start
        # The stored commit leaves the window as the trunk grows; those after it stay read.
        stored = self._state.get(Kind.READ_DOWN_TO) or ""
        self._last = max(chain.index.get(stored, -1), self._last_read())

    @property
    def started(self) -> bool:
        """Whether any commit of the chain has been read before."""
        return self._last >= 0

    @property
    def is_listed(self) -> bool:
        """Whether the runs of every shown commit have been listed."""
        return all(map(self._is_listed, range(self._last + 1)))

    def shown_commits(self) -> Iterator[tuple[int, str]]:
        """Yield the commits that have been read or are newer than such, newest first."""
        for index, commit in enumerate(self._chain.commits[: self._last + 1]):
            yield index, commit.sha

    def unread_commits(self) -> Iterator[str]:
        """Yield the older commits, newest first."""
        for commit in self._chain.commits[self._last + 1 :]:
            yield commit.sha

    def dates(self) -> Iterator[tuple[str, float | None]]:
        """Yield every commit with its date, newest first."""
        for commit in self._chain.commits:
            yield commit.sha, commit.committed_at

    def due_runs(self, sha: str) -> list[Run]:
        """Return the runs of a commit whose jobs have to be read."""
        return [run for run in self._runs.at(sha) if run.is_due(self._now)]

    def may_lack_runs(self, sha: str) -> bool:
        """Return whether runs of a commit may be missing from the list read so far."""
        return not self._is_listed(self._chain.index[sha])

    def order(self) -> Iterator[TrunkOrder]:
        """Yield the trunk as far as it has been read, and store how far that is."""
        last = max(self._last, self._last_read())
        if last < 0:
            return
        commits = self._chain.commits[: last + 1]
        self._state.put(Kind.READ_DOWN_TO, commits[-1].sha)
        whole = self._chain.root and last == len(self._chain.commits) - 1
        yield TrunkOrder(self._trunk, tuple(reversed(commits)), older_unread=not whole)

    def unread(self) -> int:
        """Return how many commits of the chain have results that were never read."""
        return sum(not self._is_read(index) for index in range(len(self._chain.commits)))

    def _last_read(self) -> int:
        """Return the last index of the newest commits that have been read without a gap.

        Newer commits have no results yet: they are shown as pending.
        """
        last = -1
        for index in range(len(self._chain.commits)):
            if self._is_read(index):
                last = index
            elif last >= 0:
                break
        return last

    def _is_read(self, index: int) -> bool:
        sha = self._chain.commits[index].sha
        return self._is_listed(index) and all(
            run.read_version is not None for run in self._runs.at(sha)
        )

    def _is_listed(self, index: int) -> bool:
        """Return whether a commit's suites were read, or the list of runs back to its time."""
        entry = self._state.get(Kind.COMMIT, self._chain.commits[index].sha) or {}
        return "listed" in entry or self._runs.covered <= self._first_run(index)

    def _first_run(self, index: int) -> float:
        committed_at = self._chain.commits[index].committed_at
        return max(self._start, (committed_at or 0.0) - CLOCK_SKEW_SECONDS)
