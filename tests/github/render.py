"""Renders the fake GitHub's state at a time as validated JSON documents."""

from collections.abc import Sequence
from functools import cache

from tests.github.checks import CheckRun, Step, WorkflowJob
from tests.github.commits import ChangedFile, CommitNode
from tests.github.fake import FakeGitHub
from tests.github.json_parts import (
    Json,
    JsonParts,
    dumps,
    node_id,
    step_time_text,
    time_text,
    with_members,
)
from tests.github.repo import Repo, Status
from tests.github.runs import Run
from tests.github.schema import Validator
from tests.github.suites import CheckSuite

AVATAR = "https://avatars.githubusercontent.com/u/1?v=4"
CHANGED_FILES_LIMIT = 300
"""The most files that a commit or a comparison lists; GitHub's own limit."""


class Renderer:
    """A renderer of GitHub's JSON documents.

    Attributes:
        parts: builds the parts that contain URLs.
        validator: validates every document that is returned.
    """

    def __init__(self, fake: FakeGitHub, api: str, html: str) -> None:
        """Args:
        fake: the state to render.
        api: base URL of the API.
        html: base URL of the web pages.
        """
        self.fake = fake
        self.parts = JsonParts(api, html)
        self.validator = Validator()
        # Thousands of rows contain the same few texts.
        self.small_repo = cache(self._small_repo)
        self.user = cache(lambda login: dumps(self.parts.user(login)))
        self.app = cache(lambda slug: dumps(self.parts.app(slug)))

    @property
    def now(self) -> float:
        """The time at which documents are rendered (seconds since the epoch)."""
        return self.fake.now

    def _small_repo(self, full_name: str) -> str:
        repo = self.fake.repos.get(full_name)
        identity = repo.id if repo else 9_000_000 + sum(full_name.encode())
        private = repo.private if repo else False
        return dumps(self.parts.small_repo(full_name, identity, private))

    def base(self, repo: str) -> str:
        """Return the API address of a repository."""
        return f"{self.parts.api}/repos/{repo}"

    def repository(self, repo: Repo) -> str:
        return self.validator.check("FullRepository", dumps(self.full_repo(repo)))

    def full_repo(self, repo: Repo) -> Json:
        """Return a repository's own document."""
        head = repo.head(repo.default_branch, self.now)
        pushed = head.date if head else 0.0
        document = self.parts.full_repo(
            repo.full_name, repo.id, repo.default_branch, repo.private, pushed
        )
        return {**document, "archived": repo.archived, "fork": repo.fork}

    # ------------------------------------------------------------------ commits

    def commit(self, repo: Repo, node: CommitNode, *, alone: bool = False) -> str:
        """Return a commit as lists contain it, or with its files if `alone`."""
        base = f"{self.base(repo.full_name)}/commits/{node.sha}"
        page = f"{self.parts.html}/{repo.full_name}/commit"
        document: Json = {
            "sha": node.sha,
            "node_id": f"C_{node.sha}",
            "url": base,
            "html_url": f"{page}/{node.sha}",
            "comments_url": f"{base}/comments",
            "commit": self._git_commit(repo, node),
            "parents": [
                {
                    "sha": parent.sha,
                    "url": f"{self.base(repo.full_name)}/commits/{parent.sha}",
                    "html_url": f"{page}/{parent.sha}",
                }
                for parent in node.parents
            ],
        }
        if alone:
            files = self.changed_files(repo, node.sha, repo.files.get(node.sha, ()))
            added, removed = (
                sum(file[key] for file in files) for key in ("additions", "deletions")
            )
            document["stats"] = {
                "total": added + removed, "additions": added, "deletions": removed
            }  # fmt: skip
            document["files"] = files
        user = self.user(node.author)
        return self.validator.check("Commit", with_members(document, author=user, committer=user))

    def changed_files(self, repo: Repo, sha: str, files: Sequence[ChangedFile]) -> list[Json]:
        """Return the changed files of a commit or a comparison, up to GitHub's limit."""
        part = self.parts.changed_file
        return [part(repo.full_name, sha, file) for file in files[:CHANGED_FILES_LIMIT]]

    def _git_commit(self, repo: Repo, node: CommitNode) -> Json:
        git = f"{self.base(repo.full_name)}/git"
        who = {"name": node.author, "email": f"{node.author}@users.example"}
        when = time_text(node.date)
        return {
            "author": {**who, "date": when},
            "committer": {**who, "date": when},
            "message": f"{node.title}\n\nWhy it is so.",
            "tree": {"sha": node.sha[::-1], "url": f"{git}/trees/{node.sha[::-1]}"},
            "url": f"{git}/commits/{node.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        }

    # ------------------------------------------------------------------ runs

    def run_document(self, repo: Repo, run: Run) -> Json:
        """Return a run without its users and repositories."""
        now, base = self.now, f"{self.base(run.repo)}/actions/runs/{run.id}"
        attempt = run.attempt(now)
        suite = f"{self.base(run.repo)}/check-suites/{run.suite}"
        workflow = repo.workflow_ids[run.workflow.path]
        before = f"{base}/attempts/{attempt.number - 1}" if attempt.number > 1 else None
        return {
            "id": run.id,
            "name": run.workflow.name,
            "node_id": node_id("WFR", run.id),
            "head_branch": run.head_branch,
            "head_sha": run.commit.sha,
            "path": run.workflow.path,
            "display_title": run.commit.title,
            "run_number": run.number,
            "event": run.event,
            "status": run.status(now),
            "conclusion": run.conclusion(now),
            "workflow_id": workflow,
            "check_suite_id": run.suite,
            "check_suite_node_id": node_id("CS", run.suite),
            "url": base,
            "html_url": f"{self.parts.html}/{run.repo}/actions/runs/{run.id}",
            "pull_requests": [],
            "created_at": time_text(run.created_at),
            "updated_at": time_text(run.updated_at(now)),
            "run_attempt": attempt.number,
            "referenced_workflows": [],
            "run_started_at": time_text(attempt.at),
            "jobs_url": f"{base}/jobs",
            "logs_url": f"{base}/logs",
            "check_suite_url": suite,
            "artifacts_url": f"{base}/artifacts",
            "cancel_url": f"{base}/cancel",
            "rerun_url": f"{base}/rerun",
            "previous_attempt_url": before,
            "workflow_url": f"{self.base(run.repo)}/actions/workflows/{workflow}",
            "head_commit": self.small_commit(run.commit),
        }

    def small_commit(self, node: CommitNode) -> Json:
        """Return a commit as runs embed it."""
        who = {"name": node.author, "email": f"{node.author}@users.example"}
        return {
            "id": node.sha,
            "tree_id": node.sha[::-1],
            "message": node.title,
            "timestamp": time_text(node.date),
            "author": who,
            "committer": who,
        }

    def run(self, repo: Repo, run: Run) -> str:
        return self.validator.check("WorkflowRun", self.run_text(repo, run))

    def run_text(self, repo: Repo, run: Run) -> str:
        """Return the JSON of a run with its users and repositories."""
        user = self.user(run.commit.author)
        return with_members(
            self.run_document(repo, run),
            actor=user,
            triggering_actor=user,
            repository=self.small_repo(run.repo),
            head_repository=self.small_repo(run.head_repo),
        )

    def workflow(self, repo: Repo, path: str) -> str:
        number = repo.workflow_ids[path]
        page = f"{self.parts.html}/{repo.full_name}"
        document = {
            "id": number,
            "node_id": node_id("W", number),
            "name": repo.workflow_name(path, self.now),
            "path": path,
            "state": repo.workflow_states.get(path, "active"),
            "created_at": "2020-01-01T00:00:00.000Z",
            "updated_at": "2020-01-01T00:00:00.000Z",
            "url": f"{self.base(repo.full_name)}/actions/workflows/{number}",
            "html_url": f"{page}/blob/{repo.default_branch}/{path}",
            "badge_url": f"{page}/workflows/{path.rpartition('/')[2]}/badge.svg",
        }
        return self.validator.check("Workflow", dumps(document))

    # ------------------------------------------------------------------ jobs and checks

    def job_url(self, row: WorkflowJob, repo: str) -> str:
        """Return the URL of a job's page."""
        return f"{self.parts.html}/{repo}/actions/runs/{row.run_id}/job/{row.id}"

    def job_document(self, repo: Repo, row: WorkflowJob) -> Json:
        """Return a job with its steps."""
        now, base = self.now, self.base(repo.full_name)
        run = repo.runs_by_id[row.run_id]
        begun = now >= row.begins_at and row.final_conclusion != "skipped"
        return {
            "id": row.id,
            "run_id": row.run_id,
            "workflow_name": run.workflow.name,
            "head_branch": run.head_branch,
            "run_url": f"{base}/actions/runs/{row.run_id}",
            "run_attempt": row.attempt,
            "node_id": node_id("CR", row.id),
            "head_sha": row.sha,
            "url": f"{base}/actions/jobs/{row.id}",
            "html_url": self.job_url(row, repo.full_name),
            "status": row.status(now),
            "conclusion": row.conclusion(now),
            "created_at": time_text(row.created_at),
            "started_at": time_text(row.started_at(now)),
            "completed_at": time_text(row.completed_at(now)),
            "name": row.name,
            "steps": [_step(step) for step in row.steps(now)],
            "check_run_url": f"{base}/check-runs/{row.id}",
            "labels": [] if row.final_conclusion == "skipped" else ["ubuntu-latest"],
            "runner_id": row.id % 50 if begun else None,
            "runner_name": f"GitHub Actions {row.id % 50}" if begun else None,
            "runner_group_id": 2 if begun else None,
            "runner_group_name": "GitHub Actions" if begun else None,
        }

    def job(self, repo: Repo, row: WorkflowJob) -> str:
        return self.validator.check("Job", dumps(self.job_document(repo, row)))

    def check_run_text(self, repo: Repo, row: CheckRun) -> str:
        """Return the JSON of a check run."""
        now, url = self.now, f"{self.base(repo.full_name)}/check-runs/{row.id}"
        page = f"{self.parts.html}/{repo.full_name}/runs/{row.id}"
        if isinstance(row, WorkflowJob):
            page = self.job_url(row, repo.full_name)
        document = {
            "id": row.id,
            "name": row.name,
            "node_id": node_id("CR", row.id),
            "head_sha": row.sha,
            "external_id": f"external-{row.id}",
            "url": url,
            "html_url": page,
            "details_url": row.url or page,
            "status": row.status(now),
            "conclusion": row.conclusion(now),
            "started_at": time_text(row.started_at(now)),
            "completed_at": time_text(row.completed_at(now)),
            "output": {
                "title": None,
                "summary": None,
                "text": None,
                "annotations_count": len(row.annotations_at(now)),
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": None if row.id in repo.unlinked else {"id": row.suite},
            "pull_requests": [],
        }
        app = "null" if row.id in repo.unlinked else self.app(row.app)
        return with_members(document, app=app)

    def check_run(self, repo: Repo, row: CheckRun) -> str:
        return self.validator.check("CheckRun", self.check_run_text(repo, row))

    def check_suite(self, repo: Repo, suite: CheckSuite) -> str:
        now, url = self.now, f"{self.base(repo.full_name)}/check-suites/{suite.id}"
        document = {
            "id": suite.id,
            "node_id": node_id("CS", suite.id),
            "head_branch": suite.head_branch,
            "head_sha": suite.sha,
            "status": suite.status(now),
            "conclusion": suite.conclusion(now),
            "url": url,
            "before": None,
            "after": suite.sha,
            "pull_requests": [],
            "created_at": time_text(suite.created_at),
            "updated_at": time_text(suite.updated_at(now)),
            "head_commit": self.small_commit(repo.commits[suite.sha]),
            "latest_check_runs_count": len(suite.rows_at(now, latest=True)),
            "check_runs_url": f"{url}/check-runs",
        }
        text = with_members(
            document,
            app=self.app(suite.app) if suite.app else "null",
            repository=self.small_repo(repo.full_name),
        )
        return self.validator.check("CheckSuite", text)

    def annotation(self, repo: Repo, row: CheckRun, message: str) -> str:
        path = row.annotation_path(message)
        document = {
            "path": path,
            "blob_href": f"{self.parts.html}/{repo.full_name}/blob/{row.sha}/{path}",
            "start_line": 1,
            "start_column": None,
            "end_line": 1,
            "end_column": None,
            "annotation_level": "failure",
            "title": "",
            "message": message,
            "raw_details": "",
        }
        return self.validator.check("CheckAnnotation", dumps(document))

    # ------------------------------------------------------------------ statuses

    def status(self, repo: Repo, status: Status, *, combined: bool = False) -> str:
        """Return a commit status; within a combined status it has no creator."""
        document = {
            "url": f"{self.base(repo.full_name)}/statuses/{status.sha}",
            "avatar_url": AVATAR,
            "id": status.id,
            "node_id": node_id("SC", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": time_text(status.at),
            "updated_at": time_text(status.at),
        }
        if combined:
            return self.validator.check("SimpleCommitStatus", dumps(document))
        return self.validator.check("Status", with_members(document, creator=self.user("ci-bot")))


def _step(step: Step) -> Json:
    return {
        "name": step.name,
        "status": step.status,
        "conclusion": step.conclusion,
        "number": step.number,
        "started_at": step_time_text(step.started_at),
        "completed_at": step_time_text(step.completed_at),
    }
