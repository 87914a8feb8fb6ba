"""The skeleton of a source that reads the trunks of several projects of one server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import isfinite

from trunkwatch.config.sources import ProjectsSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState, StateEntry, TrunkRemoved
from trunkwatch.errors import NoAnswerError, NotFoundError, RateLimitedError, SourceError
from trunkwatch.rest.limits import Quota
from trunkwatch.sources.deliveries import RowsUpdate, secret_of
from trunkwatch.sources.news import News
from trunkwatch.sources.port import (
    Delivery,
    Limitation,
    Refresh,
    RefreshReport,
    SourceContext,
    TrunkReport,
)
from trunkwatch.sources.projects import READERS, Project, Projects, ProjectsApi

UNREADABLE_JOB_TIMEOUT_SECONDS = 1800.0
"""Seconds for which a result that cannot be read holds back the newer ones: the job
may be the pass between their failures."""

TRUNK_KEY = "trunk "


def trunk_key(trunk: Trunk) -> str:
    """Return the key of a trunk's entry; no path and no branch has a space."""
    return f"{TRUNK_KEY}{trunk.repo} {trunk.branch}"


@dataclass(slots=True)
class TrunkRead:
    """The result of one refresh of one trunk.

    Attributes:
        facts: in the order in which they were read.
        error: the first error, or the one that ended the refresh; None if everything was read.
        unread: number of commits with changed pipelines that are left for the next refresh. It
            follows at once, unless there is an error.
    """

    facts: list[Fact] = field(default_factory=list)
    error: SourceError | None = None
    unread: int = 0


class ProjectsReader(ABC):
    """The projects that one token reads; a kind of source reads one trunk, and its deliveries."""

    def __init__(
        self, config: ProjectsSource, context: SourceContext, api: ProjectsApi, quota: Quota
    ) -> None:
        """Args:
        config: the source's section of the configuration.
        context: its dependencies.
        api: of the server.
        quota: of the token.
        """
        self._section = config
        self._context = context
        self._clock = context.http.clock
        self._projects = api
        self._quota = quota
        self._reports: dict[Trunk, TrunkReport] = {}
        self._missing: frozenset[str] = frozenset()
        self._news = News(config.poll_interval)

    # ------------------------------------------------------------------ refresh

    def refresh(self, state: SourceState) -> Refresh:
        """Read every trunk, or after a webhook those that have news.

        Raises:
            SourceError: nothing could be read.
        """
        now = self._clock()
        projects = Projects(self._projects, self._section, self._context.owns)
        projects.read(state.entries, now, self._missing)
        trunks = projects.trunks()
        keys = {trunk: (project.path.lower(), trunk.branch) for trunk, project in trunks.items()}
        due, wait = self._news.take(keys.values(), now)
        chosen = {trunk: project for trunk, project in trunks.items() if keys[trunk] in due}
        facts: list[Fact] = [*projects.entries]
        unread, more = 0, False
        for trunk, read in self._read(chosen, projects.gone, state, now):
            facts += read.facts
            unread += read.unread
            more |= read.unread > 0 and read.error is None
            is_current = read.error is None and not read.unread
            before = self._reports.get(trunk, TrunkReport(None))
            until = now if is_current else before.read_until
            self._reports[trunk] = TrunkReport(until, read.error)
        self._missing = frozenset(
            trunk.repo for trunk in chosen if isinstance(self._reports[trunk].error, NotFoundError)
        )
        if not projects.errors:
            facts += _removed(state.entries, trunks, self._context.owns)
        report = self._report(projects, trunks)
        wait = 0.0 if more else wait or _limited(report.trunks, now)
        if report.failure is not None and not facts:
            raise report.failure
        return Refresh(facts, replace(report, unread=unread, retry_after=wait))

    def _report(self, projects: Projects, trunks: Iterable[Trunk]) -> RefreshReport:
        reports = {trunk: self._reports[trunk] for trunk in trunks if trunk in self._reports}
        # Forget the others, else those of deleted branches would stay for ever.
        self._reports = dict(reports)
        for trunk in self._section.feeds():
            if trunk.repo in projects.errors:
                reports[trunk] = TrunkReport(None, projects.errors[trunk.repo])
        return RefreshReport(
            quota_remaining=self._quota.remaining,
            trunks=reports,
            error=next(iter(projects.errors.values()), None),
            limitations=(*projects.limitations(), *self.limitations()),
            dropped=self._projects.client.take_dropped(),
        )

    def _read(
        self,
        trunks: Mapping[Trunk, Project],
        gone: Mapping[str, SourceError],
        state: SourceState,
        now: float,
    ) -> Iterable[tuple[Trunk, TrunkRead]]:
        unreachable: list[SourceError] = []

        def read(trunk: Trunk) -> TrunkRead:
            if unreachable:
                # An address that never answers must not be waited for by each trunk.
                return TrunkRead(error=unreachable[0])
            if trunk.repo in gone:
                return TrunkRead(error=gone[trunk.repo])
            text = state.entries.get(trunk_key(trunk))
            try:
                result = self.read_trunk(trunk, trunks[trunk], text, now)
            except SourceError as error:
                result = TrunkRead(error=error)
            if isinstance(result.error, NoAnswerError):
                unreachable.append(result.error)
            return result

        with ThreadPoolExecutor(READERS) as pool:
            yield from zip(trunks, pool.map(read, trunks), strict=True)

    @abstractmethod
    def read_trunk(self, trunk: Trunk, project: Project, text: str | None, now: float) -> TrunkRead:
        """Read one trunk; its facts contain its new entry.

        Args:
            trunk: the trunk.
            project: its project.
            text: its stored entry.
            now: seconds since the epoch.

        Raises:
            SourceError: nothing of it could be read.
        """

    def limitations(self) -> Iterable[Limitation]:
        """Return what the source lacks beside projects."""
        return ()

    # ------------------------------------------------------------------ webhooks

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""
        return self._section.webhook_secret_file is not None

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request; one that has news makes a refresh due, and adds no row."""
        key, trunk = self.read_delivery(headers, body, secret_of(self._section.webhook_secret_file))
        if trunk is None or not self._context.owns(trunk.repo):
            return Delivery(key, None)
        self._news.add((trunk.repo.lower(), trunk.branch))
        return Delivery(key, RowsUpdate(needs_refresh=True))

    @abstractmethod
    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without signature or token."""

    @abstractmethod
    def read_delivery(
        self, headers: Mapping[str, str], body: bytes, secret: bytes | None
    ) -> tuple[str, Trunk | None]:
        """Verify a delivery; return its id, and the trunk that has news, if one is watched.

        Raises:
            BadDelivery: it is not one that the CI server documents, or not signed with the secret.
        """


def _removed(
    stored: Mapping[str, str], trunks: Mapping[Trunk, Project], owns: Callable[[str], bool]
) -> Iterable[Fact]:
    """Yield the end of trunks that are not selected any more: gone, moved or another default."""
    watched = set(map(trunk_key, trunks))
    for key in stored:
        if key.startswith(TRUNK_KEY) and key not in watched:
            _, repo, branch = key.split(" ", 2)
            if owns(repo):
                yield TrunkRemoved(Trunk(repo, branch))
                yield StateEntry(key, None)


def _limited(reports: Mapping[Trunk, TrunkReport], now: float) -> float | None:
    """Return the seconds that the server asked to wait, if it did."""
    ends = [r.error.until for r in reports.values() if isinstance(r.error, RateLimitedError)]
    wait = max(ends, default=now) - now
    return wait if wait > 0 and isfinite(wait) else None
