"""How far back a trunk has been read; only that part of it is shown as its order."""

from collections.abc import Iterator

from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.sources.github.chain import Chain
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runlist import RunList
from trunkwatch.sources.github.runs import Run


class Depth:
    """The commits of a chain that have been read, and those that have yet to be.

    A cold start shows the newest commits as soon as they have been read and says that older ones
    exist; a commit without results would otherwise look like one on which nothing ran.
    """

    def __init__(
        self, trunk: Trunk, chain: Chain, book: Notebook, runs: RunList, slack: float
    ) -> None:
        """Args:
        trunk: whose chain.
        chain: the newest commits.
        book: keeps the depth.
        runs: all that is known of the trunk's runs.
        slack: seconds by which a run may seem older than its commit.
        """
        self._trunk = trunk
        self._chain = chain
        self._book = book
        self._runs = runs
        self._slack = slack
        # The commit that is noted leaves the window as the trunk grows; those after it stay read.
        self._place = max(chain.place.get(book.get(Kind.DEPTH) or "", -1), self._covered())

    @property
    def known(self) -> bool:
        """Whether any of the chain has been read before."""
        return self._place >= 0

    @property
    def known_from(self) -> float:
        """From when on every run should be known (seconds since the epoch)."""
        return self._first_run(self._place)

    def known_commits(self) -> Iterator[tuple[int, str]]:
        """Yield the commits that have been read or are newer than such, newest first."""
        for place, commit in enumerate(self._chain.commits[: self._place + 1]):
            yield place, commit.sha

    def unread_commits(self) -> Iterator[str]:
        """Yield the older commits, newest first."""
        for commit in self._chain.commits[self._place + 1 :]:
            yield commit.sha

    def dates(self) -> Iterator[tuple[str, float | None]]:
        """Yield every commit with its date, newest first."""
        for commit in self._chain.commits:
            yield commit.sha, commit.committed_at

    def unsettled(self, sha: str) -> list[Run]:
        """Return the runs of a commit that have not said their last."""
        return [run for run in self._runs.at(sha) if not run.settled]

    def is_behind_gap(self, sha: str) -> bool:
        """Whether not all runs of a commit are known."""
        return self._runs.parts.has_gap(self._first_run(self._chain.place[sha]))

    def order(self) -> Iterator[TrunkOrder]:
        """Yield the trunk as far as it has been read, and note how far that is."""
        place = max(self._place, self._covered())
        if place < 0:
            return
        commits = self._chain.commits[: place + 1]
        self._book.put(Kind.DEPTH, commits[-1].sha)
        whole = self._chain.root and place == len(self._chain.commits) - 1
        yield TrunkOrder(self._trunk, tuple(reversed(commits)), older_unread=not whole)

    def unread(self) -> int:
        """Return how many commits of the chain have results that were never read."""
        return sum(not self._is_read(place) for place in range(len(self._chain.commits)))

    def _covered(self) -> int:
        """Return the last place of the newest commits that have been read without a hole.

        What is newer than them has only begun, and is shown as pending.
        """
        places = iter(range(len(self._chain.commits)))
        last = -1
        for place in places:
            if self._is_read(place):
                last = place
            elif last >= 0:
                break
        return last

    def _is_read(self, place: int) -> bool:
        commit = self._chain.commits[place]
        if self._runs.parts.has_gap(self._first_run(place)):
            return False
        return all(run.seen is not None for run in self._runs.at(commit.sha))

    def _first_run(self, place: int) -> float:
        committed_at = self._chain.commits[place].committed_at
        return 0.0 if committed_at is None else committed_at - self._slack
