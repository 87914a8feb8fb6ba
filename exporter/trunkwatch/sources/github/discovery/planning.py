"""Which repositories are read in a refresh, and in which order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.engine.facts import Fact, FilesReport
from trunkwatch.sources.github.discovery.heads import Head
from trunkwatch.sources.github.discovery.idle import RECHECK_SECONDS, last_read
from trunkwatch.sources.github.discovery.repo_reader import RepoOutcome, RepoReader, StoredRepo
from trunkwatch.sources.github.discovery.reports import Reports
from trunkwatch.sources.github.state import Kind

RECHECKS = 2.0
"""Factor by which more idle repositories are read in a refresh than needed to meet
`RECHECK_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Due:
    """A repository that is to be read.

    Attributes:
        stored: its state.
        head: its heads; None where they are uncertain.
        has_news: whether it certainly has news.
        cold: whether it was never read.
    """

    stored: StoredRepo
    head: Head | None
    has_news: bool
    cold: bool


class Planner:
    """Chooses repositories; one per source, since a round may take several refreshes.

    Attributes:
        round_at: when the round began and its heads were read (seconds since the epoch).
        heads: of the repositories, as far as they were answered.
    """

    def __init__(
        self,
        config: GithubSource,
        reader: RepoReader,
        reports: Reports,
        clock: Callable[[], float],
    ) -> None:
        """Args:
        config: of the source.
        reader: of repositories.
        reports: takes the repositories that are idle.
        clock: seconds since the epoch.
        """
        self._config = config
        self._reader = reader
        self._reports = reports
        self._clock = clock
        self.round_at = float("-inf")
        self.heads: Mapping[str, Head] = {}
        self._first = 0
        self._read_at: dict[str, float] = {}
        self._more: set[str] = set()
        self._news: set[str] = set()

    def has_news(self, repo: str) -> None:
        """Note that a webhook came of a repository."""
        self._news.add(repo)

    def begun(self, repo: str) -> None:
        """Note that a repository is being read."""
        self._news.discard(repo)

    def read(self, outcome: RepoOutcome) -> None:
        """Note that a repository was read."""
        self._read_at[outcome.repo] = self._clock()
        # A new result may open an outage, whose details are read next.
        has_results = any(isinstance(fact, Observation | FilesReport) for fact in outcome.facts)
        if has_results or any(each.more for each in outcome.trunks.values()):
            self._more.add(outcome.repo)
        else:
            self._more.discard(outcome.repo)

    def rotated(self, repos: Iterable[StoredRepo]) -> list[Due]:
        """Return few repositories, each time from another one on: none is always the last."""
        due = [Due(stored, None, has_news=True, cold=False) for stored in repos]
        self._first = (self._first + 1) % max(1, len(due))
        return [*due[self._first :], *due[: self._first]]

    def due(self, repos: Sequence[StoredRepo], facts: list[Fact], seconds: float) -> list[Due]:
        """Return the repositories to read: those with news first, then those unread for longest.

        Args:
            repos: all of them; those that are idle are reported as read until now.
            facts: takes the changed records of idle repositories.
            seconds: from one round to the next.
        """
        due: list[Due] = []
        rechecks: list[Due] = []
        now = self._clock()
        for stored in repos:
            head, repo = self.heads.get(stored.repo), stored.repo
            wanted = repo in self._news or repo in self._more
            read_at = self._read_at.get(repo, -1.0)
            is_new = read_at < self.round_at or read_at > now
            if not (wanted or is_new):
                continue
            started = any(Kind.CHAIN in kinds for kinds in stored.trunks.values())
            has_news = started and ((is_new and head is not None) or repo in self._news)
            if wanted or head is None or not self._is_idle(stored, head):
                due.append(Due(stored, head, has_news, cold=not started))
                continue
            if self._is_recheck_due(stored):
                rechecks.append(Due(stored, head, has_news=False, cold=False))
            record = self._reader.with_heads(stored, head)
            if record != stored.record:
                facts.append(record.entry(repo))
            self._reports.idle(repo, record, self._trunks(stored, head), self.round_at)
        limit = max(1, int(RECHECKS * len(repos) * seconds / RECHECK_SECONDS))
        return sorted([*due, *sorted(rechecks, key=self._age)[:limit]], key=self._place)

    def _age(self, due: Due) -> float:
        return self._read_at.get(due.stored.repo, 0.0)

    def _place(self, due: Due) -> tuple[bool, float]:
        return not due.has_news, self._age(due)

    def _trunks(self, stored: StoredRepo, head: Head) -> Mapping[Trunk, str]:
        sections = self._config.branches_of(stored.repo)
        trunks = self._reader.with_heads(stored, head).trunks(stored.repo, sections)
        return {trunk: name for trunk, name in trunks.items() if trunk.branch}

    def _is_idle(self, stored: StoredRepo, head: Head) -> bool:
        """Return whether no trunk of a repository has news, and none begins or ends."""
        trunks = self._trunks(stored, head)
        if not head.default:
            entry = self._config.entry_of(stored.repo)
            return entry is not None and entry.is_glob and not stored.trunks
        return {trunk.branch for trunk in trunks} == stored.trunks.keys() and all(
            last_read(trunk, stored.entries).is_idle(head.tips.get(trunk.branch))
            for trunk in trunks
        )

    def _is_recheck_due(self, stored: StoredRepo) -> bool:
        now = self._clock()
        return any(
            last_read(Trunk(stored.repo, branch), stored.entries).is_recheck_due(now)
            for branch in stored.trunks
        )
