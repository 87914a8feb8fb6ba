"""The part of Gitea's API that the source reads, with its traps.

`recorded.json` has one row of each kind, as a Gitea 1.26.0 answered it; names and addresses are
invented. The rows here differ from those in values only. As in Gitea, a re-run overwrites the row
of its job, an unknown parameter is ignored, a run's id is not its number, the number of a run that
does not exist gets an empty list of jobs, and `1970-01-01T00:00:00Z` stands for no time.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sources.reading import sha
from tests.support.fakehttp import Answer, Request, as_json

Row = dict[str, Any]

TOKEN = "token-of-the-tests"
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_bytes())
NO_TIME = "1970-01-01T00:00:00Z"
FIRST_RUN_ID = 7001

JOB_WORDS = {"waiting": "queued", "blocked": "waiting", "running": "in_progress"}
"""The status of a job by the status of its task; every other one is a conclusion."""


def time_text(at: float) -> str:
    """Write a time as the API does."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


@dataclass(eq=False)
class Run:
    """A run.

    Attributes:
        repo: its repository.
        row: as the list gives it.
        jobs: rows, in the order of their ids.
    """

    repo: "Repo"
    row: Row
    jobs: list[Row] = field(default_factory=list)

    def job(self, name: str, status: str = "success", *, at: float) -> Row:
        """Add a job; one that began has a task.

        Args:
            name: of the job.
            status: as the list of tasks would have it.
            at: when it was created (seconds since the epoch); it takes ten seconds.
        """
        server = self.repo.server
        row: Row = RECORDED["skipped_job"] | {
            "id": server.next_id(),
            "run_id": self.row["id"],
            "name": name,
            "head_sha": self.row["head_sha"],
            "head_branch": self.row["head_branch"],
            "created_at": time_text(at),
            "html_url": f"{self.row['html_url']}/jobs/{len(self.jobs)}",
        }
        self.jobs.append(row)
        if status in ("waiting", "blocked", "skipped"):
            self._set(row, status, None, None)
        else:
            self.attempt(row, status, at=at)
        return row

    def attempt(self, job: Row, status: str, *, at: float) -> Row:
        """Begin an attempt: a new task, and other values in the row of the job."""
        task: Row = RECORDED["task"] | {
            "id": self.repo.server.next_id(),
            "name": job["name"],
            "head_branch": self.row["head_branch"],
            "head_sha": self.row["head_sha"],
            "run_number": self.row["run_number"],
            "event": self.row["event"],
            "workflow_id": self.row["path"].partition("@")[0],
            "url": self.row["html_url"],
            "created_at": time_text(at),
            "run_started_at": time_text(at),
        }
        self.repo.tasks.append(task)
        job["run_attempt"] += 1
        self.end(job, task, status, at=at)
        return task

    def end(self, job: Row, task: Row, status: str, *, at: float) -> None:
        """Change the status of an attempt, ten seconds after a time."""
        task |= {"status": status, "updated_at": time_text(at + 10)}
        self._set(job, status, at, None if status == "running" else at + 10)

    def wait(self, job: Row) -> None:
        """Let a job wait for its next attempt, as a re-run does."""
        self._set(job, "waiting", None, None)

    def _set(self, job: Row, status: str, begun: float | None, ended: float | None) -> None:
        job |= {
            "status": JOB_WORDS.get(status, "completed"),
            "started_at": NO_TIME if begun is None else time_text(begun),
            "completed_at": NO_TIME if ended is None else time_text(ended),
        }
        job.pop("conclusion", None)
        if job["status"] == "completed":
            job["conclusion"] = status


@dataclass(eq=False)
class Repo:
    """A repository.

    Attributes:
        server: its server.
        row: as the API gives it.
        branches: the newest commit of each branch.
        commits: rows by hash, oldest first.
        runs: in the order of their numbers.
        tasks: rows, in the order of their ids.
    """

    server: "FakeGitea"
    row: Row
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Row] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Owner and name."""
        return str(self.row["full_name"])

    def push(self, title: str, *, at: float, branch: str = "main", merges: str = "") -> str:
        """Add a commit to a branch, which may merge another one; return its hash."""
        self.row["empty"] = False
        found = sha(len(self.commits) + 1)
        date = time_text(at)
        person = {"name": "author-a", "email": "a@example.com", "date": date}
        parents = [each for each in (self.branches.get(branch), merges) if each]
        self.commits[found] = RECORDED["commit"] | {
            "sha": found,
            "created": date,
            "commit": {"author": person, "committer": person, "message": f"{title}\n\nmore\n"},
            "parents": [{"sha": each, "created": "0001-01-01T00:00:00Z"} for each in parents],
        }
        self.branches[branch] = found
        return found

    def branch_row(self, branch: str) -> Row:
        """Return the row of a branch; Gitea's documentation calls it Branch."""
        date = self.commits[self.branches[branch]]["created"]
        return {"name": branch, "commit": {"id": self.branches[branch], "timestamp": date}}

    def run(self, commit: str, *, at: float, branch: str = "main", event: str = "push") -> Run:
        """Add a run of `ci.yml`."""
        number = len(self.runs) + 1
        row: Row = RECORDED["run"] | {
            "id": FIRST_RUN_ID + number,
            "run_number": number,
            "html_url": f"{self.row['html_url']}/actions/runs/{number}",
            "path": f"ci.yml@refs/heads/{branch}",
            "event": event,
            "head_sha": commit,
            "head_branch": branch,
            "started_at": time_text(at),
        }
        self.runs.append(Run(self, row))
        return self.runs[-1]

    def history(self, start: str) -> list[Row] | None:
        """Return a commit and all that it contains, newest first by date; None without it."""
        tip = self.branches.get(start, start)
        if tip not in self.commits:
            return None
        found, left = {tip}, [tip]
        while left:
            parents = {each["sha"] for each in self.commits[left.pop()]["parents"]} - found
            found |= parents
            left += parents
        rows = [self.commits[each] for each in found - {tip}]
        # git puts the commit that was asked for first, whatever its date.
        return [self.commits[tip], *sorted(rows, key=lambda row: str(row["created"]), reverse=True)]


@dataclass(eq=False)
class FakeGitea:
    """A server.

    Attributes:
        prefix: the path below which it is served.
        tokens: those that may read; "" for readers without one, who may not list runs.
        weak: those that may not read repositories.
        page_limit: rows of a page at most, whatever is asked for.
        repos: by id.
        lists_runs: whether it has the list of runs, which Forgejo before 12 lacks.
        lists_jobs: whether it has the jobs of a run, which Forgejo before 16 lacks.
        before: called before each request is answered, to let rows move.
    """

    prefix: str = ""
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    weak: set[str] = field(default_factory=set)
    page_limit: int = 50
    repos: dict[int, Repo] = field(default_factory=dict)
    lists_runs: bool = True
    lists_jobs: bool = True
    before: Callable[[Request], None] = lambda _request: None
    _ids: int = 100

    def next_id(self) -> int:
        """Return an id; tasks and jobs of all repositories share them here."""
        self._ids += 1
        return self._ids

    def repo(self, name: str) -> Repo:
        """Add an empty repository."""
        number = len(self.repos) + 1
        row = RECORDED["repository"] | {
            "id": number,
            "full_name": name,
            "name": name.rpartition("/")[2],
            "html_url": f"https://gitea.example.com/{name}",
            "empty": True,
        }
        self.repos[number] = Repo(self, row)
        return self.repos[number]

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        self.before(request)
        root = f"{self.prefix}/api/v1/"
        if not request.path.startswith(root):
            return Answer(404, b"Not found.\n", "text/plain;charset=utf-8")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.weak:
            text = "token does not have at least one of required scope(s), required="
            return as_json({"message": f"{text}[read:repository], token scope=read:user"}, 403)
        if token not in self.tokens:
            return as_json({"message": "invalid username, password or token"}, 401)
        path = request.path.removeprefix(root).split("/")
        if not token and (path[0] == "repositories" or path[3:] == ["actions", "runs"]):
            return as_json({"message": "token is required"}, 401)
        return self._answer(request, path)

    def _answer(self, request: Request, path: Sequence[str]) -> Answer:
        match path:
            case ["orgs" | "users", owner, "repos"]:
                names = [each for each in self.repos.values() if each.name.startswith(f"{owner}/")]
                if path[0] == "orgs" or not names:
                    return NOT_FOUND
                return self._page(request, [each.row for each in names])
            case ["repositories", number] if int(number) in self.repos:
                return as_json(self.repos[int(number)].row)
            case ["repos", owner, name, *rest]:
                for each in self.repos.values():
                    if each.name.lower() == f"{owner}/{name}".lower():
                        return self._of_repo(request, each, rest)
        return NOT_FOUND

    def _of_repo(self, request: Request, repo: Repo, path: Sequence[str]) -> Answer:
        match path:
            case []:
                return as_json(repo.row)
            case ["commits"]:
                rows = repo.history(request.one("sha") or "")
                if repo.row["empty"]:
                    return as_json({"message": "Git Repository is empty."}, 409)
                return as_json(None, 404) if rows is None else self._page(request, rows)
            case ["branches"] if repo.row["empty"]:
                return as_json(None)
            case ["branches"]:
                return self._page(request, list(map(repo.branch_row, repo.branches)))
            case ["branches", *parts] if "/".join(parts) in repo.branches:
                return as_json(repo.branch_row("/".join(parts)))
            case ["actions", "tasks"]:
                return self._page(request, repo.tasks[::-1], "workflow_runs")
            case ["actions", "runs"] if self.lists_runs:
                branch = request.one("branch")
                runs = [each.row for each in repo.runs if each.row["head_branch"] == branch]
                rows = runs if self.lists_jobs else list(map(_of_forgejo, runs))
                return self._page(request, rows[::-1], "workflow_runs")
            case ["actions", "runs", number]:
                found = [each.row for each in repo.runs if str(each.row["id"]) == number]
                return as_json(found[0]) if found else NOT_FOUND
            case ["actions", "runs", number, "jobs"] if self.lists_jobs:
                jobs = [each.jobs for each in repo.runs if str(each.row["id"]) == number]
                return self._page(request, jobs[0] if jobs else [], "jobs")
        return NOT_FOUND

    def _page(self, request: Request, rows: Sequence[Row], key: str | None = None) -> Answer:
        size = min(int(request.one("limit") or 30), self.page_limit)
        first = size * (int(request.one("page") or 1) - 1)
        shown = list(rows[first : first + size])
        return as_json({key: shown, "total_count": len(rows)} if key else shown)


def _of_forgejo(row: Row) -> Row:
    """Return a run with the keys that Forgejo has for it."""
    return {
        "id": row["id"],
        "index_in_repo": row["run_number"],
        "prettyref": row["head_branch"],
        "commit_sha": row["head_sha"],
        "workflow_id": row["path"].partition("@")[0],
        "event": row["event"],
        "status": "success",
        "started": row["started_at"],
    }


NOT_FOUND = as_json({"message": "not found", "errors": None}, 404)
