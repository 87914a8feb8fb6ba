"""The requests to one GitLab server; every method may raise RequestError."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from trunkwatch.config.repositories import is_glob
from trunkwatch.config.sources import GitlabSource
from trunkwatch.errors import NotFoundError
from trunkwatch.gitlab import GitlabRules, project_path
from trunkwatch.rest.client import READ_TRIES, Query
from trunkwatch.rest.credentials import token_of
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import text_or_none
from trunkwatch.rest.limits import MINUTE, Quota
from trunkwatch.rest.lists import ListClient, Page
from trunkwatch.sources.commits import ListedCommit
from trunkwatch.sources.gitlab.rows import (
    BRANCHES,
    BRIDGES,
    COMMITS,
    JOBS,
    PIPELINES,
    PROJECTS,
    Job,
    Pipeline,
    branch_of,
    project_of,
)
from trunkwatch.sources.projects import Branch, Project
from trunkwatch.times import format_time

READ_ACCESS = (
    "the path or the branch is wrong, the project is gone, its CI is off, or the token"
    " may not read it (scope read_api, role Reporter)"
)
"""The advice of an error about a path that cannot be read."""


class GitlabApi:
    """The REST API of one server.

    Attributes:
        client: sends the requests.
        quota: of the token.
    """

    def __init__(self, config: GitlabSource, http: HttpContext) -> None:
        """Args:
        config: the source's section of the configuration.
        http: session, counter and clock.
        """
        self.quota = Quota(config.quota_share, http.clock, window=MINUTE)
        # A bearer token is what GitLab documents beside PRIVATE-TOKEN; a redirect to another host
        # takes it off, which it would not do with a header of GitLab's own.
        self.client = ListClient(
            f"{config.site}/api/v4",
            http,
            rules=GitlabRules(READ_ACCESS),
            authorization=token_of(config.token_file, config.token_env),
            quota=self.quota,
            tries=READ_TRIES,
            timeout=config.timeout,
        )

    # ------------------------------------------------------------------ projects

    def project(self, name: str | int) -> Project:
        """Return a project by its path, also a former one, or its id."""
        return self.client.row(project_path(name), project_of, "a project; is it a GitLab?")

    def projects_below(self, glob: str) -> Iterable[Project]:
        """Return the projects of the group or person whose projects a glob may match."""
        parts = glob.split("/")
        depth = next(place for place, part in enumerate(parts) if is_glob(part))
        group = quote("/".join(parts[:depth]), safe="")
        query: Query = [("archived", "false"), ("order_by", "id"), ("sort", "asc")]
        below = [("include_subgroups", "true" if "/" in glob or "**" in glob else "false")]
        try:
            path = f"/groups/{group}/projects"
            return self.client.whole_list(
                path, [*query, *below, ("with_shared", "false")], PROJECTS
            )
        except NotFoundError as error:
            try:
                return self.client.whole_list(f"/users/{group}/projects", query, PROJECTS)
            except NotFoundError:
                raise error from None

    # ------------------------------------------------------------------ branches

    def branches(self, project: Project, glob: str) -> tuple[Branch, ...]:
        """Return the branches of a project among which a glob may match some."""
        begin = re.split(r"[*?]", glob)[0]
        query: Query = [("search", f"^{begin}")] if begin else []
        return self.client.whole_list(_branches(project.id), query, BRANCHES)

    def branch(self, project: Project, name: str) -> Branch:
        """Return a branch of a project."""
        path = f"{_branches(project.id)}/{quote(name, safe='')}"
        return self.client.row(path, branch_of, "a branch")

    # ------------------------------------------------------------------ commits and pipelines

    def commits(self, project: int, branch: str, number: int) -> Page[ListedCommit]:
        """Return a page of the first-parent commits of a branch, newest first."""
        path = f"/projects/{project}/repository/commits"
        query = [("ref_name", branch), ("first_parent", "true")]
        return self.client.whole_page(path, query, number, COMMITS)

    def pipelines(
        self, project: int, branch: str, since: int, number: int, source: str | None
    ) -> Page[Pipeline]:
        """Return a page of the pipelines of a branch that changed after a time, in that order.

        Args:
            project: its id.
            branch: of the pipelines.
            since: seconds since the epoch.
            number: of the page.
            source: what started them; None for all but child pipelines.
        """
        query = [
            ("ref", branch),
            ("updated_after", format_time(since)),
            ("order_by", "updated_at"),
            ("sort", "asc"),
            *([("source", source)] if source else []),
        ]
        return self.client.whole_page(f"/projects/{project}/pipelines", query, number, PIPELINES)

    def pipelines_of(self, project: int, branch: str, sha: str) -> tuple[Pipeline, ...]:
        """Return the pipelines of a branch on one commit, without child pipelines."""
        query = [("ref", branch), ("sha", sha)]
        return self.client.whole_list(f"/projects/{project}/pipelines", query, PIPELINES)

    def jobs(self, project: int, pipeline: int) -> tuple[tuple[Job, ...], int]:
        """Return the jobs of a pipeline, retried ones too, and the number of unreadable ones."""
        path = f"/projects/{project}/pipelines/{pipeline}/jobs"
        return self.client.partial_list(path, [("include_retried", "true")], JOBS)

    def bridges(self, project: int, pipeline: int) -> tuple[tuple[Job, ...], int]:
        """Return the trigger jobs of a pipeline, and the number of unreadable ones."""
        path = f"/projects/{project}/pipelines/{pipeline}/bridges"
        return self.client.partial_list(path, [], BRIDGES)

    def yaml_errors(self, project: int, pipeline: int) -> str:
        """Return why the configuration of a pipeline is invalid; empty if it is not."""
        document = self.client.object("GET", f"/projects/{project}/pipelines/{pipeline}")
        return text_or_none(document.get("yaml_errors")) or ""


def _branches(project: int) -> str:
    return f"/projects/{project}/repository/branches"
