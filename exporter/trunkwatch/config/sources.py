"""The sections of `sources`, one class for each type; docs/configuration.md documents each key."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from trunkwatch.config.clickhouse import Column, ColumnName, Result, TableName, problem_of
from trunkwatch.config.fields import (
    MAX_INTEGER,
    AtLeastOne,
    Duration,
    Flag,
    LabelName,
    Location,
    Name,
    Pattern,
    RepoName,
    Share,
    Url,
)
from trunkwatch.config.repositories import (
    DEFAULT_ONLY,
    BranchEntry,
    BranchSection,
    ExcludeEntry,
    OwnerGlob,
    ProjectGlob,
    RepoEntry,
    RepoSection,
    contradiction,
    is_glob,
    repo_matches,
)
from trunkwatch.config.section import Section
from trunkwatch.domain.model import Trunk
from trunkwatch.urls import without_credentials

DEFAULT_WINDOW = 100


class _Source(Section):
    """The keys of every source.

    Attributes:
        name: unique; the label `source` of Trunkwatch's own metrics.
        poll_interval: seconds from one refresh to the next.
        order: whether it gives the order of the trunk's commits; if several sources could, set it
            on exactly one.
        compare_url: address that compares two commits, with {last_good} and {first_bad}.
    """

    refreshes_after_evaluation: ClassVar[bool] = False
    """Whether `check` refreshes again after the first evaluation, to read details of failures."""

    name: LabelName
    poll_interval: Duration = 60.0
    order: Flag | None = None
    compare_url: str | None = None

    @field_validator("compare_url")
    @classmethod
    def _has_both_ends(cls, value: str | None) -> str | None:
        if value is not None and not ("{last_good}" in value and "{first_bad}" in value):
            raise ValueError(
                "must contain {last_good} and {first_bad}, such as"
                " https://git.example.com/o/r/compare/{last_good}...{first_bad}"
            )
        return value

    def feeds(self) -> tuple[Trunk, ...]:
        """Return the trunks that follow from the configuration alone, without a request."""
        return ()

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether a refresh may find a trunk; no other one is fed by the source."""
        del trunk  # a file may hold any
        return True

    def names(self, trunk: Trunk) -> bool:
        """Return whether the configuration names a trunk, in full or by globs."""
        return trunk in self.feeds()

    def compares(self, trunk: Trunk) -> str | None:
        """Return the address that compares two commits, with {last_good} and {first_bad}."""
        del trunk  # one address for all trunks, unless a kind of source overrides this
        return self.compare_url

    def could_order(self) -> bool:
        """Return whether the source is able and allowed to give the order of its trunks."""
        return self.order is not False


class _ApiSource(_Source):
    """The keys of every source that asks an API of its vendor with a token.

    Attributes:
        token_file: a file that contains a token, read again when it changes.
        token_env: an environment variable that contains a token.
        window: commits that a cold start reads.
        quota_share: the fraction of the token's quota that may be used.
        webhook_secret_file: a file that contains the webhook secret; without it webhooks are off.
        timeout: seconds to wait for one response.
    """

    token_file: Location | None = None
    token_env: Name | None = None
    window: AtLeastOne = DEFAULT_WINDOW
    quota_share: Share = 0.5
    webhook_secret_file: Location | None = None
    timeout: Duration = 30.0


class RecordedSource(_Source):
    """A file of recorded results (docs/recorded.md).

    Attributes:
        path: the file, relative to the folder of the configuration file.
    """

    type: Literal["recorded"]
    path: Location
    poll_interval: Duration = 5.0


class BuildbotSource(_Source):
    """A Buildbot master, read through its REST API.

    Attributes:
        url: address of the master, without /api/v2.
        repo: the label `repo` of its jobs, usually owner/name.
        branches: trunks to watch.
        git: a local clone whose first-parent history is the trunk's order.
        git_fetch: whether to fetch the clone's `origin`, where it has one, before reading it.
        codebase: Buildbot's codebase for `repo`, where a build has several.
        builders: patterns of the builders that are jobs; all of them when empty.
        window: commits that a cold start reads.
        workflow: the label `workflow`; the source's name by default.
        timeout: seconds to wait for one response.
    """

    type: Literal["buildbot"]
    url: Annotated[Url, Field(repr=False)]  # may have a password
    repo: LabelName
    branches: Annotated[tuple[LabelName, ...], Field(min_length=1)]
    git: Location | None = None
    git_fetch: Flag = True
    codebase: str = ""
    builders: tuple[Pattern, ...] = ()
    window: AtLeastOne = DEFAULT_WINDOW
    workflow: LabelName | None = None
    timeout: Duration = 30.0

    @model_validator(mode="after")
    def _order_needs_a_clone(self) -> "BuildbotSource":
        if self.order and self.git is None:
            raise ValueError("order: true needs git: the path of a local clone")
        return self

    def feeds(self) -> tuple[Trunk, ...]:
        """Return the configured branches of the repository."""
        return tuple(Trunk(self.repo, branch) for branch in self.branches)

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether a trunk is a configured branch."""
        return trunk.repo == self.repo and trunk.branch in self.branches

    def could_order(self) -> bool:
        """Return whether a clone is configured: Buildbot has no first-parent history."""
        return self.git is not None and self.order is not False


GITHUB_API = "https://api.github.com"
ENTERPRISE_API = "/api/v3"
"""The API's path on GitHub Enterprise Server."""


class GithubApp(Section):
    """A GitHub App that is installed on the repositories.

    Attributes:
        app_id: the App's ID or its client ID.
        private_key_file: the App's key, as PEM.
        installation_id: its installation; looked up by the first repository when missing.
    """

    app_id: Annotated[int, Field(le=MAX_INTEGER)] | Name
    private_key_file: Location
    installation_id: AtLeastOne | None = None


class GithubSource(_ApiSource):
    """GitHub Actions, on github.com or GitHub Enterprise Server.

    Attributes:
        api_url: address of the API; https://HOST/api/v3 for GitHub Enterprise Server.
        repos: repositories as owner/name, and globs of an owner's; `repo` is short for one.
        exclude: repositories that no glob selects.
        archived: whether globs select archived repositories.
        forks: whether globs select forks.
        branches: trunks to watch; each repository's default branch when empty.
        app: a GitHub App to authenticate as, instead of a token.
        graphql: whether GraphQL is used where the token may, which costs a tenth of the requests.
        checks: slugs of other CI systems' apps whose check runs are jobs too.
        statuses: patterns of the commit statuses (contexts) that are jobs too.
    """

    refreshes_after_evaluation: ClassVar[bool] = True

    type: Literal["github"]
    api_url: Annotated[Url, Field(repr=False)] = GITHUB_API
    repo: RepoName | None = None
    repos: tuple[RepoEntry, ...] = ()
    exclude: tuple[ExcludeEntry, ...] = ()
    archived: Flag = False
    forks: Flag = False
    branches: tuple[BranchEntry, ...] = ()
    app: GithubApp | None = None
    graphql: Flag = True
    checks: tuple[LabelName, ...] = ()
    statuses: tuple[Pattern, ...] = ()
    poll_interval: Duration = 25.0

    @field_validator("api_url")
    @classmethod
    def _is_of_github(cls, value: str) -> str:
        if value.rstrip("/").endswith("/api/v1"):
            raise ValueError(
                "/api/v1 is the API of Gitea and Forgejo, which type: gitea reads, with url: the"
                " address without /api/v1"
            )
        return value

    @model_validator(mode="after")
    def _names_repositories_once(self) -> "GithubSource":
        if bool(self.repo) == bool(self.repos):
            raise ValueError("needs repo: owner/name or repos: [owner/name, ...], and not both")
        problem = contradiction(self.repos, self.exclude)
        if problem is not None:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _authenticates_once(self) -> "GithubSource":
        credentials = [self.token_file, self.token_env, self.app]
        if sum(credential is not None for credential in credentials) > 1:
            raise ValueError("token_file, token_env and app exclude each other; keep one")
        return self

    @cached_property
    def entries(self) -> tuple[RepoSection, ...]:
        """The entries of `repos`, or `repo`."""
        return self.repos or (RepoSection(name=self.repo or ""),)

    @cached_property
    def _named(self) -> Mapping[str, RepoSection]:
        """The entries without globs by name in lower case, in the order of the file."""
        named: dict[str, RepoSection] = {}
        for entry in self.entries:
            if not entry.is_glob:
                named.setdefault(entry.name.lower(), entry)
        return named

    @property
    def named_repos(self) -> tuple[str, ...]:
        """The repositories that are named in full, without duplicates."""
        return tuple(entry.name for entry in self._named.values())

    @property
    def globs(self) -> tuple[RepoSection, ...]:
        """The entries that are globs."""
        return tuple(entry for entry in self.entries if entry.is_glob)

    def entry_of(self, repo: str) -> RepoSection | None:
        """Return the entry that selects a repository: its name, or the first glob; or None."""
        named = self._named.get(repo.lower())
        if named is not None or any(repo_matches(glob, repo) for glob in self.exclude):
            return named
        return next((glob for glob in self.globs if repo_matches(glob.name, repo)), None)

    def branches_of(self, repo: str) -> tuple[BranchSection, ...]:
        """Return the branches to watch in a repository; none if no entry selects it."""
        entry = self.entry_of(repo)
        return () if entry is None else entry.branches or self.branches or DEFAULT_ONLY

    @property
    def site(self) -> str:
        """The address of the web interface, without credentials."""
        if self.api_url == GITHUB_API:
            return "https://github.com"
        return without_credentials(self.api_url).rstrip("/").removesuffix(ENTERPRISE_API)

    def feeds(self) -> tuple[Trunk, ...]:
        """Return the trunks named in full; default branches and globs take a request."""
        return tuple(
            Trunk(repo, branch.name)
            for repo in self.named_repos
            for branch in self.branches_of(repo)
            if not (branch.is_default or branch.is_glob)
        )

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether an entry selects a trunk; any branch may be the default one."""
        return any(each.may_select(trunk.branch) for each in self.branches_of(trunk.repo))

    def names(self, trunk: Trunk) -> bool:
        """Return whether entries select a trunk, and not as a default branch."""
        return any(
            not each.is_default and each.may_select(trunk.branch)
            for each in self.branches_of(trunk.repo)
        )

    def compares(self, trunk: Trunk) -> str | None:
        """Return `compare_url`, or else GitHub's own compare page."""
        own_page = f"{self.site}/{trunk.repo}/compare/{{last_good}}...{{first_bad}}"
        return self.compare_url or own_page


class ProjectsSource(_ApiSource):
    """The keys of every source that reads the projects of one server.

    Attributes:
        url: address of the server, without the path of its API; may have a path.
        repos: projects by their paths, and globs.
        exclude: projects that no glob selects.
        branches: trunks to watch in each project: branches, globs of branches, and `HEAD` for the
            default branch.
    """

    url: Annotated[Url, Field(repr=False)]
    repos: Annotated[tuple[str, ...], Field(min_length=1)]
    exclude: tuple[str, ...] = ()
    branches: Annotated[tuple[BranchEntry, ...], Field(min_length=1)] = DEFAULT_ONLY

    @model_validator(mode="after")
    def _authenticates_once(self) -> Self:
        if self.token_file is not None and self.token_env is not None:
            raise ValueError("token_file and token_env exclude each other; keep one")
        return self

    @property
    def site(self) -> str:
        """The address of the web interface, without credentials."""
        return without_credentials(self.url).rstrip("/")

    def selects(self, repo: str) -> bool:
        """Return whether a project is named, or a glob matches it and none excludes it."""
        named = (entry for entry in self.repos if not is_glob(entry))
        if repo.lower() in map(str.lower, named):
            return True
        is_excluded = any(repo_matches(glob, repo) for glob in self.exclude)
        return not is_excluded and any(repo_matches(glob, repo) for glob in self.repos)

    def feeds(self) -> tuple[Trunk, ...]:
        """Return the trunks named in full; default branches and globs take a request."""
        named = [repo for repo in self.repos if not is_glob(repo)]
        full = [each.name for each in self.branches if not (each.is_default or each.is_glob)]
        return tuple(Trunk(repo, branch) for repo in named for branch in full)

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether an entry selects a trunk; any branch may be the default one."""
        is_watched = any(each.may_select(trunk.branch) for each in self.branches)
        return is_watched and self.selects(trunk.repo)

    def names(self, trunk: Trunk) -> bool:
        """Return whether entries select a trunk, and not as a default branch."""
        named = (each for each in self.branches if not each.is_default)
        is_named = any(each.may_select(trunk.branch) for each in named)
        return is_named and self.selects(trunk.repo)

    def watched(self, repo: str, branch: str | None, default_branch: str | None) -> Trunk | None:
        """Return the trunk of a branch of a project if it is watched.

        Args:
            repo: path of the project.
            branch: of the project, or None.
            default_branch: of the project, or None.
        """
        if branch is None or not self.selects(repo):
            return None
        is_watched = any(
            branch == default_branch if each.is_default else each.may_select(branch)
            for each in self.branches
        )
        return Trunk(repo, branch) if is_watched else None


GITLAB = "https://gitlab.com"
GITLAB_API_PATH = "/api/v4"
GITLAB_API = f"{GITLAB}{GITLAB_API_PATH}"


class GitlabSource(ProjectsSource):
    """GitLab CI, on gitlab.com or a server of one's own.

    Attributes:
        url: address of the server, without /api/v4; may have a path.
        repos: projects by their paths, and globs of a group's projects.
        exclude: projects that no glob selects.
        workflow: the label `workflow`; the source's name by default.
        allow_failure: what a failed job that is allowed to fail counts as.
    """

    type: Literal["gitlab"]
    url: Annotated[Url, Field(repr=False)] = GITLAB
    repos: Annotated[tuple[ProjectGlob, ...], Field(min_length=1)]
    exclude: tuple[ProjectGlob, ...] = ()
    workflow: LabelName | None = None
    allow_failure: Literal["skip", "fail"] = "skip"

    def compares(self, trunk: Trunk) -> str | None:
        """Return `compare_url`, or else GitLab's own compare page."""
        own_page = f"{self.site}/{trunk.repo}/-/compare/{{last_good}}...{{first_bad}}"
        return self.compare_url or own_page


GITEA = "https://gitea.com"


class GiteaSource(ProjectsSource):
    """Gitea Actions or Forgejo Actions.

    Attributes:
        url: address of the server, without /api/v1; may have a path.
        repos: repositories as owner/name, and globs of an owner's.
        exclude: repositories that no glob selects.
    """

    type: Literal["gitea"]
    repos: Annotated[tuple[OwnerGlob, ...], Field(min_length=1)]
    exclude: tuple[ExcludeEntry, ...] = ()

    def compares(self, trunk: Trunk) -> str | None:
        """Return `compare_url`, or else Gitea's own compare page."""
        own_page = f"{self.site}/{trunk.repo}/compare/{{last_good}}...{{first_bad}}"
        return self.compare_url or own_page


class ClickhouseSource(_Source):
    """A table of results in ClickHouse, read over its HTTP interface.

    Attributes:
        url: address of the HTTP interface.
        user: of ClickHouse.
        password_file: a file that contains the password, read again when it changes.
        password_env: an environment variable that contains the password.
        preset: columns, words, table and cursor of a well-known table.
        database: of the table.
        table: the table, or a view.
        columns: where the table has what a result consists of.
        values: the words of its statuses and conclusions, as those of the evidence table.
        allow_failure: what a failure of a job that is allowed to fail counts as.
        repos: the repositories to read.
        branches: trunks to watch in each of them.
        git: a local clone whose first-parent history is the order; of one repository.
        git_fetch: whether to fetch the clone's `origin`, where it has one, before reading it.
        window: commits that are read from the clone.
        look_back: seconds before now from which on a cold start reads rows.
        cursor: the column with the time at which a row was written.
        slack: seconds that each refresh looks back behind the newest row that was read.
        pruned_by: a column of times by which the table is sorted or indexed: older rows than
            `look_back` are skipped by it.
        timeout: seconds to wait for one response.
    """

    type: Literal["clickhouse"]
    url: Annotated[Url, Field(repr=False)]  # may have a password
    user: Name | None = None
    password_file: Location | None = None
    password_env: Name | None = None
    preset: Literal["buildkite", "pytorch"] | None = None
    database: TableName | None = None
    table: TableName | None = None
    columns: dict[Name, Column] = {}  # noqa: RUF012 — pydantic copies it
    values: dict[Name, Result] = {}  # noqa: RUF012 — pydantic copies it
    allow_failure: Literal["skip", "fail"] = "skip"
    repos: Annotated[tuple[LabelName, ...], Field(min_length=1)]
    branches: Annotated[tuple[LabelName, ...], Field(min_length=1)]
    git: Location | None = None
    git_fetch: Flag = True
    window: AtLeastOne = DEFAULT_WINDOW
    look_back: Duration = 14 * 86_400.0
    cursor: ColumnName | None = None
    slack: Duration | None = None
    pruned_by: ColumnName | None = None
    timeout: Duration = 30.0

    @model_validator(mode="after")
    def _describes_a_table(self) -> "ClickhouseSource":
        missing = [key for key in ("table", "cursor") if getattr(self, key) is None]
        if missing and self.preset is None:
            raise ValueError(f"needs preset: buildkite or pytorch, or else {', '.join(missing)}")
        problem = problem_of(self.columns, is_preset=self.preset is not None)
        if problem is not None:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _authenticates_once(self) -> "ClickhouseSource":
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("password_file and password_env exclude each other; keep one")
        if (self.password_file or self.password_env) and self.user is None:
            raise ValueError("a password needs user: the name of the ClickHouse user")
        return self

    @model_validator(mode="after")
    def _has_the_clone_of_its_repository(self) -> "ClickhouseSource":
        if self.order and self.git is None:
            raise ValueError("order: true needs git: the path of a local clone")
        if self.git is not None and len(self.repos) > 1:
            raise ValueError("git is the clone of one repository; make one source for each")
        return self

    def feeds(self) -> tuple[Trunk, ...]:
        """Return the configured branches of the repositories."""
        return tuple(Trunk(repo, branch) for repo in self.repos for branch in self.branches)

    def may_feed(self, trunk: Trunk) -> bool:
        """Return whether a trunk is a configured branch."""
        return trunk.repo in self.repos and trunk.branch in self.branches

    def could_order(self) -> bool:
        """Return whether a clone is configured: the table has no first-parent history."""
        return self.git is not None and self.order is not False


SourceConfig = Annotated[
    RecordedSource | BuildbotSource | GithubSource | GitlabSource | GiteaSource | ClickhouseSource,
    Field(discriminator="type"),
]

RepoSource = GithubSource | GitlabSource | GiteaSource
"""The sources that read one repository without a file (`--repo`)."""
