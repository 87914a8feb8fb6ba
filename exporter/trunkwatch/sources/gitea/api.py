"""The requests to one Gitea or Forgejo server; every method may raise RequestError."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from trunkwatch.config.repositories import glob_matches
from trunkwatch.config.sources import GiteaSource
from trunkwatch.errors import NotFoundError
from trunkwatch.rest.client import READ_TRIES, Query
from trunkwatch.rest.credentials import token_of
from trunkwatch.rest.http import ApiRules, HttpContext
from trunkwatch.rest.limits import MINUTE, Quota
from trunkwatch.rest.lists import ListClient, Page
from trunkwatch.sources.commits import ListedCommit
from trunkwatch.sources.gitea.rows import (
    BRANCHES,
    COMMITS,
    JOBS,
    PROJECTS,
    RUNS,
    TASKS,
    Job,
    Run,
    Task,
    branch_of,
    project_of,
)
from trunkwatch.sources.projects import Branch, Project


class GiteaRules(ApiRules):
    """How the API is read; neither Gitea nor Forgejo reports a rate limit, a proxy may."""

    vendor = "Gitea"
    message_keys = ("message",)
    advice = (
        "the name or the branch is wrong, the repository is gone, its Actions are off, or the token"
        " may not read it (scope read:repository; for a glob also read:user)"
    )
    conflict = "is the repository empty?"


class GiteaClient(ListClient):
    """A client whose pages may be smaller than asked for: the server has its own limit."""

    per_page = 50

    def _paged(self, query: Query, number: int) -> Query:
        return (*query, ("limit", self.per_page), ("page", number))

    def _is_last(self, page: Page[Any], number: int) -> bool:
        size = len(page.rows) + page.dropped
        return size == 0 or (page.total or 0) in range(1, number * size + 1)


class GiteaApi:
    """The REST API of one server.

    Attributes:
        client: sends the requests.
        quota: of the token.
        has_jobs: whether the server lists the jobs of a run; None until one was asked for.
    """

    def __init__(self, config: GiteaSource, http: HttpContext) -> None:
        """Args:
        config: the source's section of the configuration.
        http: session, counter and clock.
        """
        self.quota = Quota(config.quota_share, http.clock, window=MINUTE)
        self.has_jobs: bool | None = None
        self.client: ListClient = GiteaClient(
            f"{config.site}/api/v1",
            http,
            rules=GiteaRules(),
            authorization=token_of(config.token_file, config.token_env),
            quota=self.quota,
            tries=READ_TRIES,
            timeout=config.timeout,
        )

    def project(self, name: str | int) -> Project:
        """Return a repository by its name, also a former one, or its id."""
        path = f"/repositories/{name}" if isinstance(name, int) else f"/repos/{name}"
        return self.client.row(path, project_of, "a repository; is it a Gitea?")

    def projects_below(self, glob: str) -> Iterable[Project]:
        """Return the repositories of an owner that are not archived."""
        owner = glob.partition("/")[0]
        try:
            found = self.client.whole_list(f"/orgs/{owner}/repos", [], PROJECTS)
        except NotFoundError as error:
            try:
                found = self.client.whole_list(f"/users/{owner}/repos", [], PROJECTS)
            except NotFoundError:
                raise error from None
        return [each for each in found if not each.archived]

    def branches(self, project: Project, glob: str) -> Iterable[Branch]:
        """Return the branches of a repository that a glob matches."""
        found = self.client.whole_list(f"/repos/{project.path}/branches", [], BRANCHES)
        return [each for each in found if glob_matches(glob, each.name)]

    def branch(self, project: Project, name: str) -> Branch:
        """Return a branch of a repository."""
        path = f"/repos/{project.path}/branches/{quote(name)}"
        return self.client.row(path, branch_of, "a branch")

    def commits(self, repo: str, start: str) -> Page[ListedCommit]:
        """Return commits by date, with those of merged branches, from a branch or commit on."""
        # Without these three, the server computes a diff and a signature for each commit.
        cheap = [(name, "false") for name in ("stat", "verification", "files")]
        return self.client.whole_page(
            f"/repos/{repo}/commits", [("sha", start), *cheap], 1, COMMITS
        )

    def tasks(self, repo: str, number: int) -> Page[Task]:
        """Return a page of the tasks of all branches, newest first."""
        return self.client.whole_page(f"/repos/{repo}/actions/tasks", [], number, TASKS)

    def runs(self, repo: str, branch: str, number: int) -> Page[Run]:
        """Return a page of the runs of a branch, newest first; a server may ignore the branch."""
        path = f"/repos/{repo}/actions/runs"
        return self.client.whole_page(path, [("branch", branch)], number, RUNS)

    def jobs(self, repo: str, run: int) -> tuple[tuple[Job, ...], int] | None:
        """Return the jobs of a run and the number of unreadable ones; None if it was deleted.

        Args:
            repo: its repository.
            run: its id. The number of another run would be answered by an empty list.
        """
        path = f"/repos/{repo}/actions/runs/{run}"
        try:
            rows, dropped = self.client.partial_list(f"{path}/jobs", [], JOBS)
        except NotFoundError as error:
            if error.is_refused:
                raise
            if self.has_jobs is None and self._exists(path):
                self.has_jobs = False
            return None
        self.has_jobs = True
        return tuple(row for row in rows if row.run == run), dropped

    def _exists(self, path: str) -> bool:
        try:
            self.client.object("GET", path)
        except NotFoundError:
            return False
        return True
