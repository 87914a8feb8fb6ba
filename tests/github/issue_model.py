"""Issues, their comments, and their JSON documents."""

from dataclasses import dataclass, field

from tests.github.json_parts import Json, dumps, node_id, time_text
from tests.github.render import Renderer
from tests.github.responses import ErrorResponse


@dataclass(slots=True)
class Comment:
    """One comment.

    Attributes:
        id: unique.
        by: login.
        body: Markdown.
        at: when it was written (seconds since the epoch).
    """

    id: int
    by: str
    body: str
    at: float


@dataclass(slots=True)
class Issue:
    """One issue, possibly deleted or moved.

    Attributes:
        number: unique in its repository.
        by: login of its author.
        title: the current title.
        body: the current body.
        labels: names.
        assignees: logins.
        created_at: seconds since the epoch.
        updated_at: seconds since the epoch.
        closed_at: seconds since the epoch; None while it is open.
        closed_by: login.
        reason: GitHub's `state_reason`.
        comments: oldest first.
        instead: the error response of a deleted or moved issue.
        confidential: whether only members see it; GitLab's.
    """

    number: int
    by: str
    title: str
    body: str
    labels: list[str]
    assignees: list[str]
    created_at: float
    updated_at: float
    closed_at: float | None = None
    closed_by: str | None = None
    reason: str | None = None
    comments: list[Comment] = field(default_factory=list)
    instead: ErrorResponse | None = None
    confidential: bool = False

    @property
    def state(self) -> str:
        return "open" if self.closed_at is None else "closed"


class IssueDocuments:
    """A renderer of validated JSON documents of issues and comments."""

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: provides URLs and the documents of users.
        """
        self._renderer = renderer

    def _place(self, repo: str, issue: Issue) -> str:
        return f"{self._renderer.base(repo)}/issues/{issue.number}"

    def _page(self, repo: str, issue: Issue) -> str:
        return f"{self._renderer.parts.html}/{repo}/issues/{issue.number}"

    def issue(self, repo: str, issue: Issue) -> str:
        place, user = self._place(repo, issue), self._renderer.parts.user
        people = [user(login) for login in issue.assignees]
        return self._renderer.validator.check("Issue", dumps({
            "id": 70_000 + issue.number,
            "node_id": node_id("I", issue.number),
            "url": place,
            "repository_url": self._renderer.base(repo),
            "labels_url": f"{place}/labels{{/name}}",
            "comments_url": f"{place}/comments",
            "events_url": f"{place}/events",
            "html_url": self._page(repo, issue),
            "number": issue.number,
            "state": issue.state,
            "state_reason": issue.reason,
            "title": issue.title,
            "body": issue.body,
            "user": user(issue.by),
            "labels": [self._label(repo, name) for name in issue.labels],
            "assignee": people[0] if people else None,
            "assignees": people,
            "milestone": None,
            "locked": False,
            "active_lock_reason": None,
            "comments": len(issue.comments),
            "closed_at": time_text(issue.closed_at),
            "created_at": time_text(issue.created_at),
            "updated_at": time_text(issue.updated_at),
            "closed_by": user(issue.closed_by) if issue.closed_by else None,
            "author_association": "NONE",
        }))  # fmt: skip

    def _label(self, repo: str, name: str) -> Json:
        number = sum(name.encode())
        return {
            "id": number, "node_id": node_id("LA", number),
            "url": f"{self._renderer.base(repo)}/labels/{name}", "name": name,
            "description": None, "color": "ededed", "default": False,
        }  # fmt: skip

    def comment(self, repo: str, issue: Issue, comment: Comment) -> str:
        return self._renderer.validator.check("IssueComment", dumps({
            "id": comment.id,
            "node_id": node_id("IC", comment.id),
            "url": f"{self._renderer.base(repo)}/issues/comments/{comment.id}",
            "html_url": f"{self._page(repo, issue)}#issuecomment-{comment.id}",
            "body": comment.body,
            "user": self._renderer.parts.user(comment.by),
            "created_at": time_text(comment.at),
            "updated_at": time_text(comment.at),
            "issue_url": self._place(repo, issue),
            "author_association": "NONE",
        }))  # fmt: skip
