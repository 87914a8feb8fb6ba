"""The client of GitHub's issues API: https://docs.github.com/en/rest/issues."""

from collections.abc import Iterator

from trunkwatch.errors import TrackerRefused
from trunkwatch.github import GithubRules
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import HttpContext
from trunkwatch.tickets.issues.api import Asked, Issue, IssueKeys, IssuesClient
from trunkwatch.tickets.model import Comment, Create, Step
from trunkwatch.times import format_time

WRITE_ACCESS = (
    "does the repository exist, does it have issues, and may the token write them"
    " (Issues: read and write)?"
)

KEYS = IssueKeys(number="number", body="body", url="html_url", login="login")


class GithubIssues:
    """GitHub's issues with one token, for one thread at a time; arguments as for `RestClient`."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        timeout: float = 30.0,
    ) -> None:
        self._client = IssuesClient(
            api_url, http, authorization, GithubRules(WRITE_ACCESS), timeout
        )

    def issue(self, repo: str, number: int) -> Issue:
        """Return an issue."""
        return self._client.parsed(self._client.get(f"{_issues(repo)}/{number}"), KEYS)

    def issues(
        self, repo: str, state: Asked, since: float | None, label: str | None = None
    ) -> Iterator[Issue]:
        """Yield the issues with a marker that changed since a time, oldest first."""
        query = [("state", state), ("sort", "created"), ("direction", "asc")]
        query += [("since", format_time(int(since)))] if since is not None else []
        query += [("labels", label)] if label is not None else []
        rows = self._client.rows(_issues(repo), query)
        # GitHub lists pull requests as issues.
        return self._client.marked((row for row in rows if "pull_request" not in row), KEYS)

    def comments(self, repo: str, number: int, since: float) -> Iterator[str]:
        """Yield the text of every comment of an issue since a time, oldest first."""
        query = [("since", format_time(int(since)))]
        for row in self._client.rows(f"{_issues(repo)}/{number}/comments", query):
            yield str(row.get("body"))

    def execute(self, repo: str, number: int | None, step: Step) -> int | None:
        """Send a step once; return the number of a created issue."""
        place = _issues(repo)
        if isinstance(step, Create):
            body = {"title": step.title, "body": step.body, "labels": list(step.labels)}
            people = {"assignees": list(step.assignees)} if step.assignees else {}
            created = self._client.write("POST", place, {**body, **people})
            return self._client.parsed(created, KEYS).number
        if isinstance(step, Comment):
            self._client.write("POST", f"{place}/{number}/comments", {"body": step.body})
        else:
            self._client.write("PATCH", f"{place}/{number}", dict(step.fields))
        return None

    def check_repository(self, repo: str, status: int) -> None:
        """Raise TrackerRefused with the reason if a repository has no issues for this token."""
        found = self._client.follow(f"/repos/{repo}")
        name = found.get("full_name")
        if isinstance(name, str) and name.lower() != repo.lower():
            raise TrackerRefused(f"the repository {repo} is called {name} now", status)
        if found.get("has_issues") is False:
            raise TrackerRefused(f"issues are switched off in the repository {repo}", status)
        # A token that lost the right to issues still reads the repository.
        next(self._client.rows(_issues(repo), [("state", "all")]), None)


def _issues(repo: str) -> str:
    return f"/repos/{repo}/issues"
