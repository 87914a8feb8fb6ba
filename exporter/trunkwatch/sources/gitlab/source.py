"""The projects of one GitLab server as a source; see the package."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import isfinite

from trunkwatch.config.schema import GitlabSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState, StateEntry, TrunkRemoved
from trunkwatch.errors import NoAnswerError, NotFoundError, RateLimitedError, SourceError
from trunkwatch.sources.deliveries import RowsUpdate, check_signed, secret_of
from trunkwatch.sources.gitlab.api import READERS, GitlabApi
from trunkwatch.sources.gitlab.pipeline_reader import Reading
from trunkwatch.sources.gitlab.position import TRUNK_KEY, Position, trunk_key
from trunkwatch.sources.gitlab.projects import Projects
from trunkwatch.sources.gitlab.rows import Project
from trunkwatch.sources.gitlab.trunk_reader import TrunkRead, TrunkReader
from trunkwatch.sources.gitlab.webhook import TOKEN, read_delivery, verify_token
from trunkwatch.sources.news import News
from trunkwatch.sources.port import (
    Delivery,
    Refresh,
    RefreshReport,
    Source,
    SourceContext,
    TrunkReport,
)


def gitlab_source(config: GitlabSource, context: SourceContext) -> Source:
    """Return the source that reads the configured projects."""
    return Gitlab(config, context)


class Gitlab:
    """The projects that one token reads.

    A refresh sends two requests per trunk. A changed pipeline costs one more for its jobs, one for
    its trigger jobs when it has ended, and one per refresh while it runs.
    """

    def __init__(self, config: GitlabSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        self._config = config
        self._context = context
        self._clock = context.http.clock
        self._api = GitlabApi(config, context.http)
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
        projects = Projects(self._api, self._config)
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
            facts += _removed(state.entries, trunks)
        report = self._report(projects, trunks)
        wait = 0.0 if more else wait or _limited(report.trunks, now)
        if report.failure is not None and not facts:
            raise report.failure
        return Refresh(_changed(facts, state), replace(report, unread=unread, retry_after=wait))

    def _report(self, projects: Projects, trunks: Iterable[Trunk]) -> RefreshReport:
        reports = {trunk: self._reports[trunk] for trunk in trunks if trunk in self._reports}
        for trunk in self._config.feeds():
            if trunk.repo in projects.errors:
                reports[trunk] = TrunkReport(None, projects.errors[trunk.repo])
        return RefreshReport(
            quota_remaining=self._api.quota.remaining,
            trunks=reports,
            error=next(iter(projects.errors.values()), None),
            limitations=tuple(projects.limitations()),
            dropped=self._api.client.take_dropped(),
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
            project = trunks[trunk].id
            text = state.entries.get(trunk_key(trunk))
            position = Position.stored(text, self._scope(project), now)
            reading = Reading(self._api, self._config, self._context.events, trunk, project, now)
            try:
                result = TrunkReader(reading, position).read()
            except SourceError as error:
                result = TrunkRead(error=error)
            if isinstance(result.error, NoAnswerError):
                unreachable.append(result.error)
            return result

        with ThreadPoolExecutor(READERS) as pool:
            yield from zip(trunks, pool.map(read, trunks), strict=True)

    def _scope(self, project: int) -> list[str]:
        """Return what selects the rows of a trunk; when it changes, reading begins anew."""
        config = self._config
        own = [config.workflow or config.name, config.allow_failure, str(config.window)]
        return [config.site, str(project), *own, *sorted(self._context.events)]

    # ------------------------------------------------------------------ webhooks

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""
        return self._config.webhook_secret_file is not None

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without token."""
        check_signed(headers, TOKEN, "secret token")

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request."""
        verify_token(headers, secret_of(self._config.webhook_secret_file))
        key, trunk = read_delivery(headers, body, self._config)
        if trunk is None:
            return Delivery(key, None)
        self._news.add((trunk.repo.lower(), trunk.branch))
        return Delivery(key, RowsUpdate(needs_refresh=True))


def _changed(facts: Iterable[Fact], state: SourceState) -> list[Fact]:
    """Return the facts without entries that are stored as they are: most trunks have no news."""
    return [
        fact
        for fact in facts
        if not (isinstance(fact, StateEntry) and state.entries.get(fact.key) == fact.text)
    ]


def _removed(stored: Mapping[str, str], trunks: Mapping[Trunk, Project]) -> Iterable[Fact]:
    """Yield the end of trunks that are not selected any more: gone, moved or another default."""
    watched = set(map(trunk_key, trunks))
    for key in stored:
        if key.startswith(TRUNK_KEY) and key not in watched:
            _, repo, branch = key.split(" ", 2)
            yield TrunkRemoved(Trunk(repo, branch))
            yield StateEntry(key, None)


def _limited(reports: Mapping[Trunk, TrunkReport], now: float) -> float | None:
    """Return the seconds that the server asked to wait, if it did."""
    ends = [r.error.until for r in reports.values() if isinstance(r.error, RateLimitedError)]
    wait = max(ends, default=now) - now
    return wait if wait > 0 and isfinite(wait) else None
