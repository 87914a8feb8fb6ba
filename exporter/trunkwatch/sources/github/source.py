"""GitHub Actions, through the REST API of github.com or GitHub Enterprise Server.

What is asked in a refresh, per trunk: the list of commits, the open part of the list of runs, and
in turn one of its closed parts; all with ETags, so that it costs nothing while nothing happens.
What has changed is then read where it changed. docs/github.md says it for people.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trunkwatch.config.schema import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState, StateEntry
from trunkwatch.errors import SourceAnswerError, SourceError, SourceLimitedError
from trunkwatch.sources.github.allowance import Allowance
from trunkwatch.sources.github.auth import authorization_of, webhook_secret
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.notes import Notebook, by_trunk
from trunkwatch.sources.github.others import Others
from trunkwatch.sources.github.quota import Quota
from trunkwatch.sources.github.reader import Outcome, Settings, TrunkReader
from trunkwatch.sources.github.transport import Transport
from trunkwatch.sources.github.webhook import (
    UpdateReader,
    WebhookHandler,
    check_signature_header,
    verify_signature,
)
from trunkwatch.sources.port import Delivery, Refresh, RefreshReport, Source, SourceContext

SLOWER = 3.0
"""Times as long as the poll interval that GitHub is left alone while its deliveries come."""

SILENCE = 600.0
"""Seconds without a delivery after which GitHub is asked as often as without webhooks."""

SPENT = "- - spent -"
"""The note of what the last hour has cost."""

BRANCH_EVERY = 3600.0
"""Seconds after which a repository is asked again which branch is its default one."""


def github_source(config: GithubSource, tools: SourceContext) -> Source:
    """Return the source that reads the configured repositories."""
    return Github(config, tools)


@dataclass(slots=True)
class _Total:
    """What a refresh of several trunks came to."""

    facts: list[Fact] = field(default_factory=list)
    troubles: list[SourceError] = field(default_factory=list)
    unread: int = 0
    more: bool = False

    def add(self, outcome: Outcome) -> None:
        self.facts.extend(outcome.facts)
        self.unread += outcome.unread
        self.more |= outcome.more
        if outcome.trouble is not None:
            self.troubles.append(outcome.trouble)


class Github:
    """The repositories that one token reads."""

    def __init__(self, config: GithubSource, tools: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        tools: sessions, time, and what people look at.
        """
        self._config = config
        self._tools = tools
        self._quota = Quota(config.quota_share, tools.clock)
        self._client = GithubClient(
            config.name,
            Transport(
                config.name,
                config.api_url,
                authorization_of(config, tools),
                self._quota,
                tools,
                config.timeout,
            ),
        )
        self._secret = webhook_secret(config)
        self._others = Others(config.checks, config.statuses)
        self._webhook = WebhookHandler(
            config.all_repos,
            config.branches,
            UpdateReader(config.name, self._client, tools.clock),
            self._others,
            tools.events,
        )
        self._delivered_at: float | None = None
        self._read_until: dict[Trunk, float] = {}
        self._begun = tools.clock()
        self._taken_up = False
        self._turn = 0

    def refresh(self, state: SourceState) -> Refresh:
        """Read the results that are due, as far as the budget allows."""
        total = _Total()
        self._take_up(state)
        interval = self._interval()
        allowance = Allowance(self._quota, interval)
        shelves = by_trunk(state.entries)
        for repo in self._in_turn():
            try:
                for trunk in self._trunks(repo, state, total):
                    shelf = shelves.get(f"{trunk.repo} {trunk.branch}", {})
                    book = Notebook(trunk, state.entries, shelf)
                    outcome = self._reader(trunk, book, allowance, interval).read()
                    total.add(outcome)
                    self._note_age(trunk, outcome)
            except SourceError as error:
                total.troubles.append(error)
        if total.troubles and not total.facts:
            raise total.troubles[0]
        spent = json.dumps(self._quota.spent())
        if spent != state.entries.get(SPENT):
            total.facts.append(StateEntry(SPENT, spent))
        return Refresh(total.facts, self._report(total, interval))

    def _take_up(self, memory: SourceState) -> None:
        """Go on with the budget where the exporter was before it was restarted."""
        if not self._taken_up:
            self._taken_up = True
            spent = json.loads(memory.entries.get(SPENT, "{}"))
            self._quota.restore({int(minute): number for minute, number in spent.items()})

    def _note_age(self, trunk: Trunk, outcome: Outcome) -> None:
        """Note up to when a trunk has been read; trouble leaves it as old as it was."""
        now = self._tools.clock()
        known = self._read_until.get(trunk, self._begun)
        since = now if outcome.due_since is None else max(known, outcome.due_since)
        self._read_until[trunk] = known if outcome.trouble is not None else since

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""
        return self._config.webhook_secret_file is not None

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without signature."""
        check_signature_header(headers)

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request."""
        verify_signature(headers, body, self._secret())
        delivery = self._webhook.parse(headers, body)
        if delivery.update is not None:
            self._delivered_at = self._tools.clock()
        return delivery

    def _interval(self) -> float:
        """Return the seconds between two refreshes: more while GitHub tells what happens."""
        interval = self._config.poll_interval
        if self._delivered_at is None or self._tools.clock() - self._delivered_at > SILENCE:
            return interval
        return interval * SLOWER

    def _in_turn(self) -> Iterator[str]:
        """Yield the repositories, beginning with another one each time: none is always the last."""
        repos = self._config.all_repos
        self._turn = (self._turn + 1) % len(repos)
        yield from repos[self._turn :]
        yield from repos[: self._turn]

    def _trunks(self, repo: str, memory: SourceState, total: _Total) -> list[Trunk]:
        if self._config.branches:
            return [Trunk(repo, branch) for branch in self._config.branches]
        return [Trunk(repo, self._default_branch(repo, memory, total))]

    def _default_branch(self, repo: str, memory: SourceState, total: _Total) -> str:
        key = f"{repo} - default -"
        at, _, branch = memory.entries.get(key, "").partition(" ")
        now = self._tools.clock()
        if branch and now - float(at) < BRANCH_EVERY:
            return branch
        document = self._client.get(f"/repos/{repo}").document
        found = document.get("default_branch") if isinstance(document, dict) else None
        if not isinstance(found, str):
            raise SourceAnswerError(self._config.name, f"{repo}: no default branch; name branches")
        total.facts.append(StateEntry(key, f"{now:.0f} {found}"))
        return found

    def _reader(
        self, trunk: Trunk, book: Notebook, allowance: Allowance, interval: float
    ) -> TrunkReader:
        config = self._config
        return TrunkReader(
            Settings(config.name, self._tools.events, config.window, interval, self._others),
            trunk,
            self._client,
            book,
            self._tools.focus(trunk),
            allowance,
            self._tools.clock(),
        )

    def _report(self, total: _Total, interval: float) -> RefreshReport:
        trouble = total.troubles[0] if total.troubles else None
        again = interval if interval > self._config.poll_interval else None
        if total.more and trouble is None:
            again = 0.0
        if isinstance(trouble, SourceLimitedError):
            again = max(0.0, trouble.until - self._tools.clock())
        return RefreshReport(
            unread=total.unread,
            quota_remaining=self._quota.remaining,
            retry_after=again,
            read_until=dict(self._read_until),
            error=trouble,
        )
