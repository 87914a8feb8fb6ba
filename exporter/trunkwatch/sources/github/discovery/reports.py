"""What a source reports about its trunks, repository by repository."""

from collections.abc import Iterable
from dataclasses import replace

from trunkwatch.config.repositories import DEFAULT_BRANCH
from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import RateLimitedError, SourceError
from trunkwatch.rest.limits import MAX_WAIT_SECONDS, Quota
from trunkwatch.sources.github.discovery.notes import (
    all_limitations,
    missing_branches,
    renamed,
    slow_rounds,
)
from trunkwatch.sources.github.discovery.record import RepoRecord
from trunkwatch.sources.github.discovery.repo_reader import RepoOutcome, StoredRepo
from trunkwatch.sources.github.outcome import Outcome
from trunkwatch.sources.github.rights import Rights
from trunkwatch.sources.port import Limitation, RefreshReport, TrunkReport

PLAIN_REQUESTS_A_MINUTE = 240
"""Repositories without news that REST alone reads in a minute: about three requests each."""


class Reports:
    """The trunks of each repository, with the time up to which each has been read."""

    def __init__(self, config: GithubSource, rights: Rights) -> None:
        """Args:
        config: of the source.
        rights: the addresses that the token may read.
        """
        self._config = config
        self._rights = rights
        self._trunks: dict[str, dict[Trunk, TrunkReport]] = {}
        self._records: dict[str, RepoRecord] = {}

    @property
    def all_failed(self) -> bool:
        """Whether no trunk could be read."""
        return all(each.error for trunks in self._trunks.values() for each in trunks.values())

    def watched(self, repo: str) -> Iterable[Trunk]:
        """Return the trunks of a repository."""
        return self._trunks.get(repo, {}).keys()

    def is_read(self, repo: str) -> bool:
        """Return whether a repository was read, or an attempt failed."""
        return repo in self._trunks

    def configured_name(self, full_name: str) -> str | None:
        """Return the name under which a repository is read, given its current one.

        Called by the threads of webhooks too.
        """
        if full_name in self._trunks:
            return full_name
        wanted = full_name.lower()
        records = self._records.copy()  # at once, since a refresh may change it meanwhile
        names = (repo for repo, each in records.items() if each.name.lower() == wanted)
        return next(names, None)

    def forget(self, repo: str) -> None:
        """Drop a repository."""
        self._trunks.pop(repo, None)
        self._records.pop(repo, None)

    def idle(self, repo: str, record: RepoRecord, trunks: Iterable[Trunk], at: float) -> None:
        """Record that the trunks of a repository have no news.

        Args:
            repo: owner/name.
            record: of the repository.
            trunks: its trunks.
            at: when their heads were read (seconds since the epoch).
        """
        self._records[repo] = record
        self._trunks[repo] = {trunk: TrunkReport(at) for trunk in trunks}

    def left_out(self, stored: StoredRepo, error: SourceError | None) -> None:
        """Record why a repository was not read; without an error, its trunks are as before."""
        if error is not None:
            self.take(RepoOutcome(stored.repo, trunks=self._failed(stored, error)))

    def _until_now(self, report: TrunkReport, now: float) -> TrunkReport:
        """Return a report; one of the future is of a clock that was wrong."""
        if report.read_until is None or report.read_until <= now:
            return report
        return replace(report, read_until=None)

    def _failed(self, stored: StoredRepo, error: SourceError) -> dict[Trunk, Outcome]:
        branches = stored.trunks or [each.name for each in self._config.branches_of(stored.repo)]
        return {Trunk(stored.repo, branch): Outcome(error=error) for branch in branches}

    def take(self, outcome: RepoOutcome, now: float = 0.0) -> None:
        """Record the outcome of reading a repository; an error leaves the times as they were."""
        if outcome.record is not None:
            self._records[outcome.repo] = outcome.record
        before = self._trunks.get(outcome.repo, {})
        kept = before if outcome.watched is None else {
            trunk: report for trunk, report in before.items() if trunk in outcome.watched
        }  # fmt: skip
        reports = {**kept}
        for trunk, read in outcome.trunks.items():
            until = before.get(trunk, TrunkReport(None)).read_until
            if read.error is None:
                due = read.due_since
                until = now if due is None else max(until or 0.0, due) or None
            reports[trunk] = TrunkReport(until, read.error)
        if len(reports) > 1:
            reports.pop(Trunk(outcome.repo, DEFAULT_BRANCH), None)
        self._trunks[outcome.repo] = reports

    def report(
        self,
        total: Outcome,
        repos: int,
        seconds: float,
        interval: float,
        quota: Quota,
        notes: Iterable[Limitation],
        now: float,
        *,
        graphql: bool,
    ) -> RefreshReport:
        """Return the report of a refresh.

        Args:
            total: the outcome of all repositories.
            repos: their number.
            seconds: from this round to the next.
            interval: what that would be for few repositories.
            quota: of REST.
            notes: limitations of the selection.
            now: seconds since the epoch.
            graphql: whether heads are read.
        """
        # An error of one trunk is that trunk's; one that every trunk met is the source's.
        error = total.error if self.all_failed else None
        retry_after = seconds if seconds > self._config.poll_interval else None
        if total.more and error is None:
            retry_after = 0.0
        if isinstance(total.error, RateLimitedError):
            error = total.error
            retry_after = min(max(0.0, total.error.until - now), MAX_WAIT_SECONDS)
        if not graphql:
            seconds = max(seconds, 60.0 * repos / PLAIN_REQUESTS_A_MINUTE)
        return RefreshReport(
            unread=total.unread,
            quota_remaining=quota.remaining,
            retry_after=retry_after,
            trunks={
                trunk: self._until_now(each, now)
                for trunks in self._trunks.values()
                for trunk, each in trunks.items()
            },
            error=error,
            limitations=all_limitations(
                self._rights.limitations(),
                notes,
                renamed(self._records),
                missing_branches(self._records),
                slow_rounds(repos, interval, seconds, graphql=graphql),
            ),
        )
