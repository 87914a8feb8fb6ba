"""The rows of Gitea's lists; ValueError or KeyError for one without identity or status."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from trunkwatch.domain.model import Commit
from trunkwatch.rest.json_text import int_or_none, list_or_empty, object_or_empty, text_or_none
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.commits import ListedCommit
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.projects import Branch, Project
from trunkwatch.sources.values import identity, name_of, url_of
from trunkwatch.times import parse_time_or_none

COMPLETED = "completed"

STATUSES: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        **{word: (COMPLETED, word) for word in ("success", "failure", "cancelled", "skipped")},
        "waiting": ("queued", None),
        "blocked": ("queued", None),
        "running": ("in_progress", None),
        "cancelling": ("in_progress", None),
    }
)
"""Status and conclusion of an attempt by the status of a task; another word is passed on, and the
evidence table counts it as unknown."""


class Task(msgspec.Struct, frozen=True, array_like=True):
    """One attempt of one job.

    Attributes:
        id: ascending with time, over all repositories of the server.
        run: the number of its run within the repository.
        name: of the job.
        sha: the commit.
        branch: of the run.
        event: that started the run.
        workflow: the name of the workflow's file.
        status: of the attempt.
        begun: seconds since the epoch; 0 or less where there is no time.
        changed: the same; of an attempt that has ended, its end.
        url: of the run's page.
    """

    id: int
    run: int
    name: str
    sha: str
    branch: str
    event: str
    workflow: str
    status: str
    begun: float
    changed: float
    url: str | None

    @property
    def ended(self) -> bool:
        """Whether the attempt has ended."""
        return STATUSES.get(self.status, ("", None))[0] == COMPLETED


class Run(NamedTuple):
    """A run of a workflow.

    Attributes:
        id: ascending with time, over all repositories of the server.
        number: within the repository.
        branch: it is of.
        event: that started it.
        workflow: the name of the workflow's file.
        begun: seconds since the epoch, 0 or less while it waits; a re-run overwrites it.
    """

    id: int
    number: int
    branch: str
    event: str
    workflow: str
    begun: float


class Job(NamedTuple):
    """The newest attempt of a job.

    Attributes:
        id: the same for all attempts.
        run: the id of its run.
        name: of the job.
        sha: the commit.
        attempts: that have begun.
        status: of the newest attempt.
        conclusion: of the newest attempt, or None.
        created: seconds since the epoch, or None.
        started: seconds since the epoch, or None.
        completed: seconds since the epoch, or None.
        url: of its log.
        failed_step: the first step that failed, or None.
    """

    id: int
    run: int
    name: str
    sha: str
    attempts: int
    status: str
    conclusion: str | None
    created: float | None
    started: float | None
    completed: float | None
    url: str | None
    failed_step: str | None


def project_of(row: Mapping[str, Any]) -> Project:
    """Parse a repository."""
    branch = text_or_none(row.get("default_branch"))
    is_empty = row.get("empty") is True or row.get("has_actions") is False
    return Project(
        identity(row["id"]),
        name_of(row["full_name"]),
        branch if branch and not is_empty else None,
        row.get("archived") is True,
    )


def branch_of(row: Mapping[str, Any]) -> Branch:
    """Parse a branch."""
    date = parse_time_or_none(object_or_empty(row.get("commit")).get("timestamp"))
    return Branch(name_of(row["name"]), max(date or 0.0, 0.0))


def commit_of(row: Mapping[str, Any]) -> ListedCommit:
    """Parse a commit."""
    sha, parents = full_hash(row["sha"]), [full_hash(each["sha"]) for each in row["parents"]]
    if sha is None or None in parents:
        raise ValueError(f"a commit with the hash {sha} and the parents {parents}")
    about = object_or_empty(row.get("commit"))
    message = text_or_none(about.get("message"))
    commit = Commit(
        sha,
        parse_time_or_none(object_or_empty(about.get("committer")).get("date")),
        text_or_none(object_or_empty(about.get("author")).get("name")),
        message and message.partition("\n")[0],
    )
    return ListedCommit(commit, tuple(filter(None, parents)))


def task_of(row: Mapping[str, Any]) -> Task:
    """Parse a task."""
    texts = (row["head_branch"], row["event"], row["status"])
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"a task with the branch, event and status {ascii(texts)[:60]}")
    branch, event, status = texts
    started = parse_time_or_none(row.get("run_started_at")) or parse_time_or_none(
        row.get("created_at")
    )
    return Task(
        identity(row["id"]),
        identity(row["run_number"]),
        name_of(row["name"]),
        _sha(row["head_sha"]),
        branch,
        event,
        name_of(row["workflow_id"]),
        status,
        started or 0.0,
        parse_time_or_none(row.get("updated_at")) or 0.0,
        url_of(row.get("url")),
    )


def run_of(row: Mapping[str, Any]) -> Run:
    """Parse a run, which Forgejo describes by other keys."""
    branch = row["head_branch"] if "head_branch" in row else row["prettyref"]
    number = row["run_number"] if "run_number" in row else row["index_in_repo"]
    file = name_of(row["path"] if "path" in row else row["workflow_id"])
    begun = parse_time_or_none(row.get("started_at") or row.get("started"))
    if not isinstance(branch, str) or not isinstance(row["event"], str):
        raise ValueError(f"a run of the branch {ascii(branch)[:60]}")
    return Run(
        identity(row["id"]),
        identity(number),
        branch,
        row["event"],
        # `ci.yml@refs/heads/main`; a task has the file's name alone.
        name_of(file.partition("@")[0].rpartition("/")[2]),
        begun or 0.0,
    )


def job_of(row: Mapping[str, Any]) -> Job:
    """Parse a job of a run."""
    if not isinstance(row["status"], str):
        raise ValueError("a job without status")
    return Job(
        identity(row["id"]),
        identity(row["run_id"]),
        name_of(row["name"]),
        _sha(row["head_sha"]),
        int_or_none(row.get("run_attempt")) or 0,
        row["status"],
        text_or_none(row.get("conclusion")),
        parse_time_or_none(row.get("created_at")),
        parse_time_or_none(row.get("started_at")),
        parse_time_or_none(row.get("completed_at")),
        url_of(row.get("html_url")),
        _failed_step(row.get("steps")),
    )


def _failed_step(steps: object) -> str | None:
    """Return the first step that failed.

    Gitea 1.26 shows the job's conclusion at every step. Steps have their own ones where they
    differ, since a job ends with the first step that fails.
    """
    rows = [each for each in list_or_empty(steps) if isinstance(each, dict)]
    ends = [row.get("conclusion") for row in rows]
    if "failure" not in ends or all(end == "failure" for end in ends):
        return None
    return text_or_none(rows[ends.index("failure")].get("name"))


def _sha(value: object) -> str:
    sha = full_hash(value)
    if sha is None:
        raise ValueError(f"the hash {ascii(value)[:60]}")
    return sha


BRANCHES: Listing[Branch] = Listing(branch_of, lambda branch: branch.name)
PROJECTS: Listing[Project] = Listing(project_of, lambda project: project.id)
COMMITS: Listing[ListedCommit] = Listing(commit_of, lambda listed: listed.commit.sha)
TASKS: Listing[Task] = Listing(
    task_of, lambda task: task.id, key="workflow_runs", total="total_count"
)
RUNS: Listing[Run] = Listing(run_of, lambda run: run.id, key="workflow_runs", total="total_count")
JOBS: Listing[Job] = Listing(job_of, lambda job: job.id, key="jobs", total="total_count")
