"""GitHub Actions, through the APIs of github.com or GitHub Enterprise Server.

A refresh reads, per trunk, the list of commits and the newest page of the list of runs, with ETags,
so that it costs nothing while nothing happens. Then it reads the jobs of changed runs, through
GraphQL or REST. docs/github.md describes it for users.
"""

import json
from collections.abc import Iterator, Mapping

from trunkwatch.config.schema import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState, StateEntry, TrunkRemoved
from trunkwatch.errors import BadAnswerError, RateLimitedError, SourceError
from trunkwatch.github import GithubRules, authorization_of
from trunkwatch.github.graphql import GraphClient, graphql_url
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.credentials import Authorization, NoToken, read_secret
from trunkwatch.rest.limits import Quota, RefreshBudget
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.outcome import Graph, Outcome, ReadSettings
from trunkwatch.sources.github.rights import Rights
from trunkwatch.sources.github.state import EntriesByKind, StateStore, TrunkContext, by_trunk
from trunkwatch.sources.github.suites import SuiteClient
from trunkwatch.sources.github.trunk_reader import TrunkReader
from trunkwatch.sources.github.webhook import (
    WebhookHandler,
    check_signature_header,
    verify_signature,
)
from trunkwatch.sources.port import (
    Delivery,
    Refresh,
    RefreshReport,
    Source,
    SourceContext,
    TrunkReport,
)

TRIES = 3
"""Times that a request is sent when it fails by accident (no answer, 5xx, not JSON)."""

WEBHOOK_INTERVAL_FACTOR = 3.0
"""Factor by which the poll interval grows while webhooks arrive."""

WEBHOOK_QUIET_SECONDS = 600.0
"""Seconds without a delivery after which the poll interval is that without webhooks."""

SPENT_KEY = "- - spent -"
"""The key of the entry with the requests of the last hour."""

DEFAULT_BRANCH_SECONDS = 3600.0
"""Seconds after which a repository's default branch is read again."""


def github_source(config: GithubSource, context: SourceContext) -> Source:
    """Return the source that reads the configured repositories."""
    return Github(config, context)


class Github:
    """The repositories that one token reads."""

    def __init__(self, config: GithubSource, context: SourceContext) -> None:
        self._config = config
        self._context = context
        self._clock = context.http.clock
        self._quota = Quota(config.quota_share, self._clock)
        authorization = authorization_of(config, context.http)
        self._client = ListClient(
            config.api_url,
            context.http,
            rules=GithubRules(),
            authorization=authorization,
            quota=self._quota,
            tries=TRIES,
            timeout=config.timeout,
        )
        self._suites = self._suite_client(authorization)
        self._rights = Rights()
        self._external = ExternalChecks(config.checks, config.statuses)
        self._webhook = WebhookHandler(config, self._trunk_context, self._external, context.events)
        self._delivered_at: float | None = None
        self._reports: dict[Trunk, TrunkReport] = {}
        self._started_at = self._clock()
        self._quota_restored = False
        self._first_repo = 0

    def refresh(self, state: SourceState) -> Refresh:
        """Read the results that are due, as far as the budget allows."""
        total = Outcome()
        self._restore_quota(state)
        interval = self._interval()
        budget = RefreshBudget(self._quota, interval)
        graph = None
        if self._suites is not None:
            points = RefreshBudget(self._suites.client.quota, interval)
            graph = Graph(self._suites, points)
        settings = ReadSettings(self._config.window, interval, self._external, budget, graph)
        entries = by_trunk(state.entries)
        for repo in self._rotated_repos():
            try:
                trunks = self._trunks(repo, state, total)
            except SourceError as error:
                total.add_error(error)
                for trunk in self._known_trunks(repo, state):
                    self._record(trunk, Outcome(error=error))
                continue
            for trunk in trunks:
                by_kind = entries.get(f"{trunk.repo} {trunk.branch}", {})
                context = self._trunk_context(trunk, state, by_kind)
                focus = self._context.focus(trunk)
                outcome = TrunkReader(context, settings, focus).read()
                total.add(outcome)
                self._record(trunk, outcome)
        if total.error is not None and not total.facts and self._all_failed():
            raise total.error
        spent = json.dumps(self._quota.spent())
        if spent != state.entries.get(SPENT_KEY):
            total.facts.append(StateEntry(SPENT_KEY, spent))
        return Refresh(total.facts, self._report(total, interval))

    def _restore_quota(self, state: SourceState) -> None:
        """Continue with the quota of before a restart."""
        if not self._quota_restored:
            self._quota_restored = True
            spent = json.loads(state.entries.get(SPENT_KEY, "{}"))
            self._quota.restore({int(minute): number for minute, number in spent.items()})

    def _record(self, trunk: Trunk, outcome: Outcome) -> None:
        """Record up to when a trunk has been read; an error leaves that as it was."""
        now = self._clock()
        before = self._reports.get(trunk, TrunkReport(self._started_at)).read_until
        before = self._started_at if before is None else before
        since = now if outcome.due_since is None else max(before, outcome.due_since)
        until = before if outcome.error is not None else since
        self._reports[trunk] = TrunkReport(until, outcome.error)

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""
        return self._config.webhook_secret_file is not None

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without signature."""
        check_signature_header(headers)

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request."""
        path = self._config.webhook_secret_file
        secret = read_secret(f"webhook_secret_file {path}", path) if path is not None else None
        verify_signature(headers, body, secret)
        delivery = self._webhook.parse(headers, body)
        if delivery.update is not None:
            self._delivered_at = self._clock()
        return delivery

    def _interval(self) -> float:
        """Return the seconds between two refreshes; they grow while webhooks arrive."""
        interval, at = self._config.poll_interval, self._delivered_at
        if at is None or self._clock() - at > WEBHOOK_QUIET_SECONDS:
            return interval
        return interval * WEBHOOK_INTERVAL_FACTOR

    def _rotated_repos(self) -> Iterator[str]:
        """Yield the repositories, each time from another one: none is always the last."""
        repos = self._config.all_repos
        self._first_repo = (self._first_repo + 1) % len(repos)
        yield from repos[self._first_repo :]
        yield from repos[: self._first_repo]

    def _suite_client(self, authorization: Authorization) -> SuiteClient | None:
        """Return the client of GraphQL, which answers no anonymous request."""
        config = self._config
        if isinstance(authorization, NoToken) or not config.graphql:
            return None
        points = Quota(config.quota_share, self._clock)
        client = RestClient(
            graphql_url(config.api_url),
            self._context.http,
            rules=GithubRules(),
            authorization=authorization,
            quota=points,
            timeout=config.timeout,
        )
        return SuiteClient(GraphClient(client, points))

    def _known_trunks(self, repo: str, state: SourceState) -> list[Trunk]:
        """Return the trunks of a repository whose default branch cannot be read now."""
        branches = self._config.branches or filter(None, [_stored_branch(repo, state)[1]])
        return [Trunk(repo, branch) for branch in branches]

    def _trunks(self, repo: str, state: SourceState, total: Outcome) -> list[Trunk]:
        if self._config.branches:
            return [Trunk(repo, branch) for branch in self._config.branches]
        return [Trunk(repo, self._default_branch(repo, state, total))]

    def _default_branch(self, repo: str, state: SourceState, total: Outcome) -> str:
        at, stored = _stored_branch(repo, state)
        now = self._clock()
        if stored and 0 <= now - at < DEFAULT_BRANCH_SECONDS:
            return stored
        document = self._client.get(f"/repos/{repo}")
        branch = document.get("default_branch") if isinstance(document, dict) else None
        if not isinstance(branch, str):
            raise BadAnswerError(f"{repo}: no default branch; name branches")
        total.facts.append(StateEntry(_default_key(repo), f"{now:.0f} {branch}"))
        if stored and branch != stored:
            total.facts.extend(self._without_trunk(Trunk(repo, stored), state))
        return branch

    def _without_trunk(self, trunk: Trunk, state: SourceState) -> Iterator[Fact]:
        """Yield the removal of a trunk and of the state that was stored to read it."""
        self._reports.pop(trunk, None)
        yield TrunkRemoved(trunk)
        prefix = f"{trunk.repo} {trunk.branch} "
        yield from (StateEntry(key, None) for key in state.entries if key.startswith(prefix))

    def _trunk_context(
        self, trunk: Trunk, state: SourceState, by_kind: EntriesByKind | None = None
    ) -> TrunkContext:
        store = StateStore(trunk, state.entries, by_kind)
        return TrunkContext(
            trunk, self._client, store, self._context.events, self._clock(), self._rights
        )

    def _all_failed(self) -> bool:
        return all(report.error is not None for report in self._reports.values())

    def _report(self, total: Outcome, interval: float) -> RefreshReport:
        # An error of one trunk is that trunk's; one that every trunk met is the source's.
        error = total.error if self._all_failed() else None
        retry_after = interval if interval > self._config.poll_interval else None
        if total.more and error is None:
            retry_after = 0.0
        if isinstance(total.error, RateLimitedError):
            error = total.error
            retry_after = max(0.0, total.error.until - self._clock())
        return RefreshReport(
            unread=total.unread,
            quota_remaining=self._quota.remaining,
            retry_after=retry_after,
            trunks=dict(self._reports),
            error=error,
            limitations=self._rights.limitations(),
            dropped=self._client.take_dropped(),
        )


def _default_key(repo: str) -> str:
    return f"{repo} - default -"


def _stored_branch(repo: str, state: SourceState) -> tuple[float, str]:
    """Return when a repository's default branch was read, and what it was; empty for never."""
    at, _, branch = state.entries.get(_default_key(repo), "0 ").partition(" ")
    return float(at), branch
