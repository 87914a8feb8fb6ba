"""The rows of GitLab's lists; ValueError or KeyError for one without identity or status.

https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/jobs/,
https://docs.gitlab.com/api/commits/, https://docs.gitlab.com/api/branches/
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from trunkwatch.domain.model import Commit
from trunkwatch.engine.storable import UNREADABLE
from trunkwatch.rest.json_text import object_or_empty, text_or_none
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.commits import ListedCommit
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.projects import Branch, Project
from trunkwatch.sources.values import identity, name_of, url_of
from trunkwatch.times import parse_time, parse_time_or_none


class Pipeline(msgspec.Struct, frozen=True):
    """A pipeline of a list.

    Attributes:
        id: of the pipeline.
        sha: the commit.
        source: what started it.
        status: of the whole pipeline.
        created: seconds since the epoch, or None.
        updated: seconds since the epoch.
        url: of its page.
    """

    id: int
    sha: str
    source: str
    status: str
    created: float | None
    updated: float
    url: str | None


class Job(NamedTuple):
    """One attempt of a job, or a trigger job.

    Attributes:
        id: ascending with the attempts of a name.
        name: of the job.
        status: of the job; `UNREADABLE` for another type.
        may_fail: a failure does not fail the pipeline.
        reason: of a failure; empty without one.
        created: seconds since the epoch, or None.
        started: seconds since the epoch, or None.
        finished: seconds since the epoch, or None.
        url: of its log.
        child: the pipeline of the same project that it started, or None.
    """

    id: int
    name: str
    status: str
    may_fail: bool
    reason: str
    created: float | None
    started: float | None
    finished: float | None
    url: str | None
    child: Pipeline | None = None


def project_of(row: Mapping[str, Any]) -> Project:
    """Parse a project."""
    branch = text_or_none(row.get("default_branch"))
    has_ci = row.get("builds_access_level") != "disabled"
    return Project(
        identity(row["id"]),
        name_of(row["path_with_namespace"]),
        branch if has_ci and branch else None,
        row.get("archived") is True,
        shows_code="default_branch" in row or not has_ci,
    )


def pipeline_of(row: Mapping[str, Any]) -> Pipeline:
    """Parse a pipeline of a list."""
    sha, status, source = full_hash(row["sha"]), row["status"], row.get("source")
    if sha is None or not isinstance(status, str) or not isinstance(source, str):
        raise ValueError(f"a pipeline of {sha} with the source and status of another type")
    return Pipeline(
        identity(row["id"]),
        sha,
        source,
        status,
        parse_time_or_none(row.get("created_at")),
        parse_time(row["updated_at"]),
        url_of(row.get("web_url")),
    )


def job_of(row: Mapping[str, Any]) -> Job:
    """Parse a job of a pipeline."""
    status = row["status"]
    return Job(
        identity(row["id"]),
        name_of(row["name"]),
        status if isinstance(status, str) else UNREADABLE,
        row.get("allow_failure") is True,
        text_or_none(row.get("failure_reason")) or "",
        parse_time_or_none(row.get("created_at")),
        parse_time_or_none(row.get("started_at")),
        parse_time_or_none(row.get("finished_at")),
        url_of(row.get("web_url")),
    )


def bridge_of(row: Mapping[str, Any]) -> Job:
    """Parse a trigger job; a pipeline of another project is no child."""
    job, found = job_of(row), row.get("downstream_pipeline")
    own = row.get("pipeline")
    if not isinstance(found, dict) or not isinstance(own, dict):
        return job
    if found.get("project_id") is None or found.get("project_id") != own.get("project_id"):
        return job
    return job._replace(child=pipeline_of({"source": "parent_pipeline", **found}))


def commit_of(row: Mapping[str, Any]) -> ListedCommit:
    """Parse a commit."""
    sha, parents = full_hash(row["id"]), tuple(map(full_hash, row["parent_ids"]))
    if sha is None or None in parents:
        raise ValueError(f"a commit with the id {sha} and the parents {parents}")
    commit = Commit(
        sha,
        parse_time_or_none(row.get("committed_date")),
        text_or_none(row.get("author_name")),
        text_or_none(row.get("title")),
    )
    return ListedCommit(commit, tuple(filter(None, parents)))


def branch_of(row: Mapping[str, Any]) -> Branch:
    """Parse a branch."""
    date = object_or_empty(row.get("commit")).get("committed_date")
    return Branch(name_of(row["name"]), parse_time_or_none(date) or 0.0)


BRANCHES: Listing[Branch] = Listing(branch_of, lambda branch: branch.name)
PROJECTS: Listing[Project] = Listing(project_of, lambda project: project.id)
PIPELINES: Listing[Pipeline] = Listing(pipeline_of, lambda pipeline: pipeline.id)
JOBS: Listing[Job] = Listing(job_of, lambda job: job.id, lambda job: job.status == UNREADABLE)
BRIDGES: Listing[Job] = Listing(bridge_of, JOBS.identity, JOBS.is_doubtful)
COMMITS: Listing[ListedCommit] = Listing(commit_of, lambda listed: listed.commit.sha)
