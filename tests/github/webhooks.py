"""The webhook deliveries that GitHub would send for a fake GitHub's history."""

import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.github.checks import NEVER, CheckRun, WorkflowJob
from tests.github.commits import CommitNode, reachable
from tests.github.expected import HTML
from tests.github.fake import FakeGitHub
from tests.github.json_parts import Json, dumps, node_id, with_members
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.runs import Run

API = "https://api.github.com"
NO_COMMIT = "0" * 40
SIGNATURE_HEADER = "X-Hub-Signature-256"
PUSH_COMMITS_LIMIT = 20
"""The most commits that the body of a push lists."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a webhook.

    Attributes:
        at: when it is sent (seconds since the epoch).
        event: the header `X-GitHub-Event`.
        delivery_id: the header `X-GitHub-Delivery`.
        body: the bytes that the signature covers.
    """

    at: float
    event: str
    delivery_id: str
    body: bytes

    @property
    def document(self) -> Json:
        """The parsed body."""
        document: Json = json.loads(self.body)
        return document

    def headers(self, secret: str) -> dict[str, str]:
        """Return the headers of the request."""
        return {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/0000000",
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.delivery_id,
            SIGNATURE_HEADER: sign(secret, self.body),
        }


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a body."""
    return f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"


def deliveries(fake: FakeGitHub, since: float, until: float) -> list[Delivery]:
    """Return the deliveries sent after `since` and not after `until`, in order."""
    renderer = _DeliveryRenderer(fake, since, until)
    planned = [each for repo in fake.repos.values() for each in renderer.of(repo)]
    planned.sort(key=lambda each: each.at)
    return [
        Delivery(each.at, each.event, str(uuid.uuid5(uuid.NAMESPACE_URL, each.name)), each.body())
        for each in planned
    ]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A delivery whose body is rendered on demand.

    Attributes:
        at: when it is sent (seconds since the epoch).
        event: the event's name.
        name: unique among all deliveries.
        body: renders the body.
    """

    at: float
    event: str
    name: str
    body: Callable[[], bytes]


class _DeliveryRenderer(Renderer):
    """A renderer of deliveries, each at its own time.

    Attributes:
        moment: the time to render (seconds since the epoch).
    """

    def __init__(self, fake: FakeGitHub, since: float, until: float) -> None:
        """Args:
        fake: the state to render.
        since: exclusive start of the time range (seconds since the epoch).
        until: inclusive end of the time range (seconds since the epoch).
        """
        super().__init__(fake, API, HTML)
        self.moment = fake.now
        self._since = since
        self._until = until

    @property
    def now(self) -> float:
        """The time at which documents are rendered (seconds since the epoch)."""
        return self.moment

    def _within(self, at: float) -> bool:
        return self._since < at <= self._until

    def of(self, repo: Repo) -> Iterator[_Planned]:
        """Yield the planned deliveries of a repository."""
        for name, branch in repo.branches.items():
            for at, before, head in branch.moves():
                if self._within(at):
                    yield self._push(repo, name, at, before, head)
        for row in repo.rows.values():
            if not isinstance(row, WorkflowJob) or row.copy_of is None:
                yield from self._row(repo, row)
        for run in repo.runs:
            yield from self._run(repo, run)

    def _planned(self, at: float, event: str, name: str, make: Callable[[], str]) -> _Planned:
        def body() -> bytes:
            self.moment = at
            return make().encode()

        return _Planned(at, event, f"{event}/{name}", body)

    # ------------------------------------------------------------------ jobs and checks

    def _row(self, repo: Repo, row: CheckRun) -> Iterator[_Planned]:
        for action, at in _actions(row):
            if not self._within(at):
                continue
            name = f"{row.id}/{action}"
            if isinstance(row, WorkflowJob):
                yield self._planned(
                    at, "workflow_job", name, partial(self._job_body, repo, row, action)
                )
            if action != "in_progress":
                act = "completed" if action == "completed" else "created"
                yield self._planned(
                    at, "check_run", name, partial(self._check_body, repo, row, act)
                )

    def _job_body(self, repo: Repo, row: WorkflowJob, action: str) -> str:
        camel = "".join(word.title() for word in action.split("_"))
        job = dumps(self.job_document(repo, row))
        return self._body(f"WebhookWorkflowJob{camel}", repo, action, workflow_job=job)

    def _check_body(self, repo: Repo, row: CheckRun, action: str) -> str:
        check = self.check_run_text(repo, row)
        return self._body(f"WebhookCheckRun{action.title()}", repo, action, check_run=check)

    # ------------------------------------------------------------------ runs

    def _run(self, repo: Repo, run: Run) -> Iterator[_Planned]:
        for attempt in run.attempts:
            begun = [row.begins_at for row in attempt.rows if row.copy_of is None]
            ended = [row.ends_at for row in attempt.rows if row.copy_of is None]
            moments = {
                "requested": attempt.at,
                "in_progress": min(begun, default=NEVER),
                "completed": max(ended, default=attempt.at),
            }
            for action, at in moments.items():
                if self._within(at) and (action == "completed" or attempt.rows):
                    name = f"{run.id}/{attempt.number}/{action}"
                    yield self._planned(
                        at, "workflow_run", name, partial(self._run_body, repo, run, action)
                    )

    def _run_body(self, repo: Repo, run: Run, action: str) -> str:
        camel = "".join(word.title() for word in action.split("_"))
        return self._body(
            f"WebhookWorkflowRun{camel}",
            repo,
            action,
            workflow_run=self.run_text(repo, run),
            workflow=self._workflow(repo, run),
        )

    def _workflow(self, repo: Repo, run: Run) -> str:
        number, path = repo.workflow_ids[run.workflow.path], run.workflow.path
        page = f"{HTML}/{repo.full_name}"
        return dumps(
            {
                "id": number,
                "node_id": node_id("W", number),
                "name": run.workflow.name,
                "path": path,
                "state": "active",
                "created_at": "2022-05-31T17:54:50.000Z",
                "updated_at": "2022-07-22T01:43:25.000Z",
                "url": f"{self.base(repo.full_name)}/actions/workflows/{number}",
                "html_url": f"{page}/blob/{repo.default_branch}/{path}",
                "badge_url": f"{page}/workflows/{number}/badge.svg",
            }
        )

    # ------------------------------------------------------------------ pushes

    def _push(
        self, repo: Repo, branch: str, at: float, before: CommitNode | None, head: CommitNode
    ) -> _Planned:
        def make() -> str:
            return self._push_body(repo, branch, before, head)

        return self._planned(at, "push", f"{repo.full_name}/{branch}/{at}/{head.sha}", make)

    def _push_body(
        self, repo: Repo, branch: str, before: CommitNode | None, head: CommitNode
    ) -> str:
        old_shas = {commit.sha for commit in reachable(before)}
        new = [commit for commit in reachable(head) if commit.sha not in old_shas]
        listed = [self._pushed(repo, commit) for commit in reversed(new[:PUSH_COMMITS_LIMIT])]
        old = before.sha if before else NO_COMMIT
        forced = before is not None and all(c.sha != before.sha for c in reachable(head))
        document = {
            "ref": f"refs/heads/{branch}",
            "before": old,
            "after": head.sha,
            "created": before is None,
            "deleted": False,
            "forced": forced,
            "base_ref": None,
            "compare": f"{HTML}/{repo.full_name}/compare/{old[:12]}...{head.sha[:12]}",
            "commits": listed,
            "head_commit": self._pushed(repo, head),
            "pusher": {"name": head.author, "email": f"{head.author}@users.example"},
            "repository": self._pushed_repo(repo),
        }
        text = with_members(document, sender=self.user(head.author))
        return self.validator.check("WebhookPush", text)

    def _pushed(self, repo: Repo, commit: CommitNode) -> Json:
        who = {
            "name": commit.author,
            "email": f"{commit.author}@users.example",
            "username": commit.author,
        }
        return {
            **self.small_commit(commit),
            "distinct": True,
            "url": f"{HTML}/{repo.full_name}/commit/{commit.sha}",
            "author": who,
            "committer": who,
            "added": [],
            "removed": [],
            "modified": ["README.md"],
        }

    def _pushed_repo(self, repo: Repo) -> Json:
        """Return the repository of a push, in which some times are numbers."""
        owner = repo.full_name.partition("/")[0]
        document = self.full_repo(repo)
        document["owner"] |= {"name": owner, "email": None}
        return {
            **document,
            "url": f"{HTML}/{repo.full_name}",
            "created_at": 1_577_836_800,
            "pushed_at": int(self.now),
            "stargazers": 0,
            "master_branch": repo.default_branch,
        }

    def _body(self, kind: str, repo: Repo, action: str, **parts: str) -> str:
        text = with_members(
            {"action": action},
            **parts,
            repository=dumps(self.full_repo(repo)),
            sender=self.user("sender-a"),
        )
        return self.validator.check(kind, text)


def _actions(row: CheckRun) -> Iterator[tuple[str, float]]:
    """Yield each action and its time; a skipped check only completes."""
    if row.final_conclusion != "skipped":
        yield "queued", row.created_at
        yield "in_progress", row.begins_at
    if row.ends_at < NEVER:
        yield "completed", row.ends_at
