"""What the configuration file may say; docs/configuration.md says it for people.

Every key that is not here is an error, so that a typing mistake never goes unseen.
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from trunkwatch.config.fields import (
    AtLeastOne,
    Duration,
    Flag,
    Location,
    Pattern,
    RepoName,
    Share,
    Until,
    Zone,
    ticket_repo,
)
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import DEFAULT_EVENTS
from trunkwatch.domain.groups import DEFAULT_GROUP, DEFAULT_SILENT_AFTER
from trunkwatch.domain.model import Evidence, Trunk
from trunkwatch.domain.policy import RETIRE_AFTER

DEFAULT_MAX_JOBS = 50_000
DEFAULT_WINDOW = 100

Name = Annotated[str, Field(min_length=1)]
Priority = Literal["P0", "P1", "P2", "P3"]
Completed = Literal["pass", "fail", "skip", "unknown"]


class Section(BaseModel):
    """A mapping of the file; a key that it does not name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class _Source(Section):
    """What every source has.

    Attributes:
        name: unique; the label `source` of the watcher's own metrics.
        poll_interval: seconds from one refresh to the next.
        order: whether it gives the trunk's order; where two sources could, exactly one does.
    """

    looks_again: ClassVar[bool] = False
    """Whether a second look brings more once the first has been judged."""

    name: Name
    poll_interval: Duration = 60.0
    order: Flag | None = None
    compare_url: str | None = None

    @field_validator("compare_url")
    @classmethod
    def _has_both_ends(cls, value: str | None) -> str | None:
        if value is not None and not ("{last_good}" in value and "{first_bad}" in value):
            raise ValueError(
                "must hold {last_good} and {first_bad}, such as"
                " https://git.example.com/o/r/compare/{last_good}...{first_bad}"
            )
        return value

    def feeds(self) -> tuple[Trunk, ...]:
        """The trunks that it is certain to feed, known without asking it."""
        return ()

    def compares(self, trunk: Trunk) -> str | None:
        """Where two commits of a trunk are compared, with {last_good} and {first_bad}."""
        del trunk  # one address for all of them, unless a kind of source knows better
        return self.compare_url

    def could_order(self) -> bool:
        """Whether it has the means to give the order of its trunks."""
        return self.order is not False


class RecordedSource(_Source):
    """A file of recorded results (docs/recorded.md).

    Attributes:
        path: the file, from the folder of the configuration file.
    """

    type: Literal["recorded"]
    path: Location
    poll_interval: Duration = 5.0


class BuildbotSource(_Source):
    """A Buildbot master, read through its REST API.

    Attributes:
        url: of the master, without /api/v2.
        repo: the label `repo` of its jobs, as owner/name by habit.
        branches: trunks to watch.
        git: a local clone whose first-parent history is the trunk's order.
        git_fetch: whether to fetch the clone's `origin`, where it has one, before reading it.
        codebase: the one that `repo` is, where a build has several.
        builders: patterns of the builders that are jobs; all of them when empty.
        window: commits that a cold start reads.
        workflow: the label `workflow`; the source's name by default.
        timeout: seconds to wait for one answer.
    """

    type: Literal["buildbot"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    repo: Name
    branches: Annotated[tuple[Name, ...], Field(min_length=1)]
    git: Location | None = None
    git_fetch: Flag = True
    codebase: str = ""
    builders: tuple[Pattern, ...] = ()
    window: AtLeastOne = DEFAULT_WINDOW
    workflow: Name | None = None
    timeout: Duration = 30.0

    @model_validator(mode="after")
    def _order_needs_a_clone(self) -> "BuildbotSource":
        if self.order and self.git is None:
            raise ValueError("order: true needs git: the path of a local clone")
        return self

    def feeds(self) -> tuple[Trunk, ...]:
        """The trunks that it is certain to feed."""
        return tuple(Trunk(self.repo, branch) for branch in self.branches)

    def could_order(self) -> bool:
        """Only with a clone: Buildbot itself does not know the first-parent history."""
        return self.git is not None and self.order is not False


GITHUB_API = "https://api.github.com"
ENTERPRISE_API = "/api/v3"
"""Where GitHub Enterprise Server has its API, below its own address."""


class GithubApp(Section):
    """A GitHub App that is installed where the repositories are.

    Attributes:
        app_id: of the App, or its client ID.
        private_key_file: the App's key, as PEM.
        installation_id: of its installation; looked up by the first repository when missing.
    """

    app_id: int | Name
    private_key_file: Location
    installation_id: AtLeastOne | None = None


class GithubSource(_Source):
    """GitHub Actions, on github.com or GitHub Enterprise Server, read through the REST API.

    Attributes:
        api_url: of the API; https://HOST/api/v3 for GitHub Enterprise Server.
        repos: owner/name of each repository; `repo` is short for one.
        branches: trunks to watch; each repository's default branch when empty.
        token_file: a file that holds a token, read anew when it changes.
        token_env: an environment variable that holds a token.
        app: a GitHub App to authenticate as, instead of a token.
        window: commits that a cold start reads.
        quota_share: the part of the token's requests per hour that may be used.
        checks: apps (slugs) of other CI systems whose check runs are jobs too.
        statuses: patterns of commit statuses (contexts) of other CI systems that are jobs too.
        webhook_secret_file: a file that holds the secret of webhooks; without it they are off.
        timeout: seconds to wait for one answer.
    """

    looks_again: ClassVar[bool] = True

    type: Literal["github"]
    api_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = GITHUB_API
    repo: RepoName | None = None
    repos: tuple[RepoName, ...] = ()
    branches: tuple[Name, ...] = ()
    token_file: Location | None = None
    token_env: Name | None = None
    app: GithubApp | None = None
    window: AtLeastOne = DEFAULT_WINDOW
    quota_share: Share = 0.5
    checks: tuple[Name, ...] = ()
    statuses: tuple[Pattern, ...] = ()
    webhook_secret_file: Location | None = None
    timeout: Duration = 30.0

    @model_validator(mode="after")
    def _names_repositories_once(self) -> "GithubSource":
        if bool(self.repo) == bool(self.repos):
            raise ValueError("needs repo: owner/name or repos: [owner/name, ...], and not both")
        return self

    @model_validator(mode="after")
    def _authenticates_once(self) -> "GithubSource":
        ways = [self.token_file, self.token_env, self.app]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("token_file, token_env and app are three ways to do one; keep one")
        return self

    @property
    def all_repos(self) -> tuple[str, ...]:
        """Every repository once, in the order of the file."""
        return tuple(dict.fromkeys(self.repos or (self.repo or "",)))

    @property
    def site(self) -> str:
        """Where people look at the repositories."""
        if self.api_url == GITHUB_API:
            return "https://github.com"
        return self.api_url.rstrip("/").removesuffix(ENTERPRISE_API)

    def feeds(self) -> tuple[Trunk, ...]:
        """The trunks that it is certain to feed; a default branch has to be asked for first."""
        return tuple(Trunk(repo, branch) for repo in self.all_repos for branch in self.branches)

    def compares(self, trunk: Trunk) -> str | None:
        """GitHub's own page that compares two commits, unless the configuration knows better."""
        known = f"{self.site}/{trunk.repo}/compare/{{last_good}}...{{first_bad}}"
        return self.compare_url or known


SourceConfig = Annotated[
    RecordedSource | BuildbotSource | GithubSource, Field(discriminator="type")
]


class Fold(Section):
    """One fold rule: what matches in full becomes `to`."""

    match: Pattern
    to: str

    @model_validator(mode="after")
    def _template_fits(self) -> "Fold":
        try:
            self.match.sub(self.to, "")
        except (re.error, IndexError) as error:
            raise ValueError(f"to: {self.to!r} does not fit match: {error}") from None
        return self


class Alias(Section):
    """One renamed job; `from` is its old watched name."""

    workflow: Name
    old: Annotated[str, Field(alias="from", min_length=1)]
    to: Name


class EvidenceName(Section):
    """Jobs whose every completed result says the same."""

    match: Pattern
    to: Completed


class EvidenceSection(Section):
    """Rows of the evidence table that the configuration moves."""

    timed_out: Completed | None = None
    cancelled: Completed | None = None
    names: tuple[EvidenceName, ...] = ()

    def moved(self) -> dict[str, Evidence]:
        """Return what is moved, by conclusion."""
        wanted = {"timed_out": self.timed_out, "cancelled": self.cancelled}
        return {name: Evidence(to) for name, to in wanted.items() if to is not None}


class Jobs(Section):
    """From raw results to watched jobs."""

    preset: Literal["pytorch"] | None = None
    ignore: tuple[Pattern, ...] = ()
    fold: tuple[Fold, ...] = ()
    aliases: tuple[Alias, ...] = ()
    evidence: EvidenceSection = EvidenceSection()
    events: Annotated[tuple[Name, ...], Field(min_length=1)] = tuple(sorted(DEFAULT_EVENTS))
    retire_after: AtLeastOne = RETIRE_AFTER
    infra_steps: tuple[Pattern, ...] | None = None


class MatchSection(Section):
    """Full-match patterns; a key that is missing matches all."""

    repo: Pattern | None = None
    branch: Pattern | None = None
    workflow: Pattern | None = None
    job_name: Pattern | None = None


class JobOverride(Section):
    """Other thresholds for some jobs of a group."""

    match: Pattern
    failures_to_open: AtLeastOne | None = None
    passes_to_close: AtLeastOne | None = None
    flaky_closes: Flag | None = None


class GroupSection(Section):
    """Jobs that one team answers for."""

    name: Name
    match: MatchSection = MatchSection()
    team: Name = DEFAULT_GROUP.team
    priority: Priority = "P3"
    failures_to_open: AtLeastOne = DEFAULT_GROUP.thresholds.failures_to_open
    passes_to_close: AtLeastOne = DEFAULT_GROUP.thresholds.passes_to_close
    flaky_closes: Flag = False
    count: Count = Count.COMMITS
    failure_threshold: AtLeastOne = 1
    silent_after: Duration = DEFAULT_SILENT_AFTER
    jobs: tuple[JobOverride, ...] = ()


class KnownBrokenSection(Section):
    """Jobs that are broken on purpose for a while."""

    match: MatchSection
    reason: Name
    until: Until | None = None


class GreenSection(Section):
    """What a green commit of one trunk needs."""

    repo: Name
    branch: Name
    required: Annotated[tuple[Pattern, ...], Field(min_length=1)]


class TicketsSection(Section):
    """How `trunkwatch tickets` keeps issues (docs/tickets.md).

    Attributes:
        repo: where they are opened; {repo} is the repository that the results are about.
        labels: beside those of priority, team and origin.
        assignees: logins.
        auto_close: whether an issue is closed when nothing is broken any more.
        reopen_within: seconds after which a new outage is a new issue.
        max_new_per_hour: issues that are opened at most.
        timezone: of the times.
        timezones: by team, where it is another.
        dashboard_url: of the dashboard, with {repo}, {branch} and {group} where they belong.
        api_url: of GitHub's API; https://HOST/api/v3 for GitHub Enterprise Server.
    """

    repo: Annotated[str, AfterValidator(ticket_repo)] = "{repo}"
    labels: tuple[Name, ...] = ()
    assignees: tuple[Name, ...] = ()
    auto_close: Flag = True
    reopen_within: Duration = 72 * 3600.0
    max_new_per_hour: AtLeastOne = 10
    timezone: Zone = "UTC"
    timezones: dict[Name, Zone] = {}
    dashboard_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = None
    api_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = GITHUB_API


class Limits(Section):
    """What protects Prometheus from us."""

    max_jobs: AtLeastOne = DEFAULT_MAX_JOBS


class Config(Section):
    """The whole file; only `sources` is required."""

    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    jobs: Jobs = Jobs()
    groups: tuple[GroupSection, ...] = ()
    known_broken: tuple[KnownBrokenSection, ...] = ()
    green: tuple[GreenSection, ...] = ()
    limits: Limits = Limits()
    tickets: TicketsSection = TicketsSection()
