"""Projects, commits, pipelines and jobs, with the rows that GitLab documents for them.

https://docs.gitlab.com/api/projects/, https://docs.gitlab.com/api/commits/,
https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/jobs/
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from tests.sources.reading import sha

Row = dict[str, Any]

USER: Row = {
    "id": 1,
    "username": "author-a",
    "name": "author-a",
    "state": "active",
    "avatar_url": "https://gitlab.example.com/avatar.png",
    "web_url": "https://gitlab.example.com/author-a",
}


def time_text(at: float | None) -> str | None:
    """Write a time as the API does."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass(eq=False)
class Pipeline:
    """A pipeline.

    Attributes:
        project: its project.
        row: as a list gives it.
        jobs: rows, in the order of their ids.
        bridges: rows of trigger jobs, without the earlier attempts, which no list gives.
        retried: ids of the jobs that are hidden unless they are asked for.
        yaml_errors: why it has no jobs.
    """

    project: "Project"
    row: Row
    jobs: list[Row] = field(default_factory=list)
    bridges: list[Row] = field(default_factory=list)
    retried: set[int] = field(default_factory=set)
    yaml_errors: str | None = None

    @property
    def id(self) -> int:
        """The id."""
        return int(self.row["id"])

    def set(self, status: str, at: float) -> None:
        """Change the status."""
        self.row |= {"status": status, "updated_at": time_text(at)}

    def job(self, name: str, status: str = "success", *, at: float, **fields: Any) -> Row:
        """Add a job; another one of the name becomes a retried one.

        Args:
            name: of the job.
            status: of the job.
            at: when it was created (seconds since the epoch); it starts and ends 10 s later each.
            fields: that differ from those of a usual job.
        """
        self.retried |= {row["id"] for row in self.jobs if row["name"] == name}
        row = self._job(name, status, at, fields)
        self.jobs.append(row)
        return row

    def bridge(
        self, name: str, status: str, child: "Pipeline | None", *, at: float, **fields: Any
    ) -> Row:
        """Add a trigger job; it takes the place of one of its name."""
        if status == "failed":
            # As one has that repeats the result of the pipeline that it started.
            fields = {"failure_reason": "unknown_failure", **fields}
        row = self._job(name, status, at, fields)
        row["downstream_pipeline"] = child and child.row
        self.bridges = [each for each in self.bridges if each["name"] != name] + [row]
        return row

    def _job(self, name: str, status: str, at: float, fields: Row) -> Row:
        number = next(self.project.job_ids)
        ended = status in ("success", "failed", "canceled")
        started = ended or status == "running"
        return {
            "id": number,
            "name": name,
            "stage": "test",
            "status": status,
            "ref": self.row["ref"],
            "tag": False,
            "coverage": None,
            "allow_failure": False,
            "created_at": time_text(at),
            "started_at": time_text(at + 10) if started else None,
            "finished_at": time_text(at + 20) if ended else None,
            "erased_at": None,
            "duration": 10.0 if ended else None,
            "queued_duration": 10.0 if started else None,
            "artifacts": [],
            "artifacts_expire_at": None,
            "runner": None,
            "tag_list": [],
            "user": USER,
            "commit": self.project.commit_row(self.row["sha"]),
            "pipeline": self.row,
            "web_url": f"{self.project.web_url}/-/jobs/{number}",
            "project": {"ci_job_token_scope_enabled": False},
            **({"failure_reason": "script_failure"} if status == "failed" else {}),
            **fields,
        }


@dataclass(eq=False)
class Project:
    """A project.

    Attributes:
        row: as a list gives it.
        branches: hashes by branch, oldest first.
        commits: rows by hash.
        pipelines: in the order of their ids.
        configurations: the text of the CI configuration by the commit's hash.
        pipeline_ids: the next ids of pipelines.
        job_ids: the next ids of jobs.
        former: a path that it had.
    """

    row: Row
    branches: dict[str, list[str]] = field(default_factory=dict)
    commits: dict[str, Row] = field(default_factory=dict)
    pipelines: list[Pipeline] = field(default_factory=list)
    configurations: dict[str, str] = field(default_factory=dict)
    pipeline_ids: "count[int]" = field(default_factory=lambda: count(101))
    job_ids: "count[int]" = field(default_factory=lambda: count(1001))
    former: str | None = None

    @property
    def path(self) -> str:
        """The path with that of the group."""
        return str(self.row["path_with_namespace"])

    @property
    def web_url(self) -> str:
        """The address of its page."""
        return str(self.row["web_url"])

    def push(self, title: str, *, at: float, branch: str = "main", found: str | None = None) -> str:
        """Add a commit to a branch; return its hash, a new one by default."""
        chain = self.branches.setdefault(branch, [])
        found = found or sha(len(self.commits) + 1)
        self.commits[found] = {
            "id": found,
            "short_id": found[:8],
            "title": title,
            "message": title,
            "author_name": "author-a",
            "author_email": "a@example.com",
            "authored_date": time_text(at),
            "committer_name": "author-a",
            "committer_email": "a@example.com",
            "committed_date": time_text(at),
            "created_at": time_text(at),
            "parent_ids": chain[-1:],
            "web_url": f"{self.web_url}/-/commit/{found}",
        }
        chain.append(found)
        return found

    def branch_row(self, name: str) -> Row:
        """Return the row of a branch."""
        return {
            "name": name,
            "merged": False,
            "protected": False,
            "default": name == self.row["default_branch"],
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": False,
            "web_url": f"{self.web_url}/-/tree/{name}",
            "commit": self.commits[self.branches[name][-1]],
        }

    def commit_row(self, found: str) -> Row:
        """Return the row of a commit within another row."""
        keys = ("id", "short_id", "title", "message", "author_name", "author_email", "created_at")
        row = self.commits.get(found, {"id": found, "short_id": found[:8]})
        return {key: row.get(key, "") for key in keys}

    def pipeline(
        self, found: str, status: str = "success", *, at: float, source: str = "push", **fields: Any
    ) -> Pipeline:
        """Add a pipeline that was created and changed at a time (seconds since the epoch)."""
        number = next(self.pipeline_ids)
        row: Row = {
            "id": number,
            "iid": number - 100,
            "project_id": self.row["id"],
            "sha": found,
            "ref": "main",
            "status": status,
            "source": source,
            "created_at": time_text(at),
            "updated_at": time_text(at),
            "web_url": f"{self.web_url}/-/pipelines/{number}",
            "name": None,
            **fields,
        }
        self.pipelines.append(Pipeline(self, row))
        return self.pipelines[-1]


def project(number: int, path: str) -> Project:
    """Return an empty project."""
    name = path.rpartition("/")[2]
    web = f"https://gitlab.example.com/{path}"
    return Project(
        {
            "id": number,
            "name": name,
            "path": name,
            "path_with_namespace": path,
            "name_with_namespace": path.replace("/", " / "),
            "description": None,
            "created_at": time_text(1_600_000_000),
            "default_branch": "main",
            "topics": [],
            "ssh_url_to_repo": f"git@gitlab.example.com:{path}.git",
            "http_url_to_repo": f"{web}.git",
            "web_url": web,
            "readme_url": None,
            "forks_count": 0,
            "avatar_url": None,
            "star_count": 0,
            "last_activity_at": time_text(1_600_000_000),
            "namespace": {
                "id": 1,
                "name": path.partition("/")[0],
                "path": path.partition("/")[0],
                "kind": "group",
                "full_path": path.rpartition("/")[0],
                "parent_id": None,
                "avatar_url": None,
                "web_url": web.rpartition("/")[0],
            },
            "archived": False,
            "builds_access_level": "enabled",
        }
    )
