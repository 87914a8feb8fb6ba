"""GitHub Actions, through the APIs of github.com or GitHub Enterprise Server.

A refresh selects the repositories, asks for the heads of many of them with few queries, and reads
those with news, several at once. Per trunk it reads the list of commits and the newest page of the
list of runs, with ETags, so that it costs nothing while nothing happens; then the jobs of changed
runs, through GraphQL or REST. docs/github.md describes it for users.
"""

from collections.abc import Mapping
from typing import Any

from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import SourceState
from trunkwatch.github import GithubRules, authorization_of
from trunkwatch.github.graphql import GraphClient, graphql_url
from trunkwatch.rest.client import READ_TRIES, RestClient
from trunkwatch.rest.credentials import Authorization, NoToken
from trunkwatch.rest.limits import Quota
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.deliveries import secret_of, verify_signature
from trunkwatch.sources.github.discovery.refresh import RepoRefresh
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.rights import Rights
from trunkwatch.sources.github.state import EntriesByKind, StateStore, TrunkContext
from trunkwatch.sources.github.stored import stored_value
from trunkwatch.sources.github.suites import SuiteClient
from trunkwatch.sources.github.webhook import SIGNATURE, WebhookHandler, check_signature_header
from trunkwatch.sources.port import Delivery, Refresh, SourceContext
from trunkwatch.sources.traits import Traits

WEBHOOK_INTERVAL_FACTOR = 3.0
"""Factor by which the poll interval grows while webhooks arrive."""

WEBHOOK_QUIET_SECONDS = 600.0
"""Seconds without a delivery after which the poll interval is that without webhooks."""

SPENT_KEY = "- - spent -"
"""The key of the entry with the requests of the last hour."""

REST_PER_MINUTE, POINTS_PER_MINUTE = 900, 2000
"""GitHub's secondary limits of a token.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""


TRAITS = Traits(
    title="GitHub Actions",
    document="github.md",
    attempts="yes",
    failed_step="yes",
    may_fail="no: the job failed in a run that passed; `init` proposes to ignore it",
    order="first parents, from the API",
    webhooks=("push", "workflow_run", "workflow_job", "check_run"),
    # Answers that have not changed are free. For more repositories, GraphQL takes a point for the
    # heads of 50, and they may use half of the points that `quota_share` leaves.
    requests=1,
    trunks=50,
    free_trunks=10,
    most=1_250,
)


class Github:
    """The repositories that one token reads."""

    def __init__(self, config: GithubSource, context: SourceContext) -> None:
        self._config = config
        self._context = context
        self._clock = context.http.clock
        self._quota = Quota(config.quota_share, self._clock, REST_PER_MINUTE)
        authorization = authorization_of(config, context.http)
        self._client = ListClient(
            config.api_url,
            context.http,
            rules=GithubRules(),
            authorization=authorization,
            quota=self._quota,
            tries=READ_TRIES,
            timeout=config.timeout,
        )
        self._rights = Rights()
        external = ExternalChecks(config.checks, config.statuses)
        self._repos = RepoRefresh(
            config,
            context,
            self._client,
            self._quota,
            self._suite_client(authorization),
            self._rights,
            external,
            self._trunk_context,
        )
        self._webhook = WebhookHandler(
            self._watched_trunk, self._trunk_context, external, context.events
        )
        self._delivered_at: float | None = None
        self._quota_restored = False

    def refresh(self, state: SourceState) -> Refresh:
        """Read the results that are due, as far as the budget allows."""
        self._restore_quota(state)
        return self._repos.refresh(state, self._interval(), SPENT_KEY)

    def _restore_quota(self, state: SourceState) -> None:
        """Continue with the quota of before a restart."""
        if not self._quota_restored:
            self._quota_restored = True
            spent = stored_value(state.entries.get(SPENT_KEY), dict[int, int])
            self._quota.restore(spent or {})

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""
        return self._config.webhook_secret_file is not None

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without signature."""
        check_signature_header(headers)

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request."""
        secret = secret_of(self._config.webhook_secret_file)
        verify_signature(headers.get(SIGNATURE, ""), body, secret)
        delivery = self._webhook.parse(headers, body)
        if delivery.update is not None:
            self._delivered_at = self._clock()
        return delivery

    def _watched_trunk(self, repository: Mapping[str, Any], branch: str) -> Trunk | None:
        return self._repos.watched_trunk(repository, branch)

    def _interval(self) -> float:
        """Return the seconds between two refreshes; they grow while webhooks arrive."""
        interval, at = self._config.poll_interval, self._delivered_at
        if at is None or not 0 <= self._clock() - at <= WEBHOOK_QUIET_SECONDS:
            return interval
        return interval * WEBHOOK_INTERVAL_FACTOR

    def _suite_client(self, authorization: Authorization) -> SuiteClient | None:
        """Return the client of GraphQL, which answers no anonymous request."""
        config = self._config
        if isinstance(authorization, NoToken) or not config.graphql:
            return None
        points = Quota(config.quota_share, self._clock, POINTS_PER_MINUTE)
        client = RestClient(
            graphql_url(config.api_url),
            self._context.http,
            rules=GithubRules(),
            authorization=authorization,
            quota=points,
            timeout=config.timeout,
        )
        return SuiteClient(GraphClient(client, points))

    def _trunk_context(
        self, trunk: Trunk, state: SourceState, by_kind: EntriesByKind | None = None
    ) -> TrunkContext:
        now = self._clock()
        store = StateStore(trunk, state.entries, by_kind, now)
        return TrunkContext(trunk, self._client, store, self._context.events, now, self._rights)
