"""The bodies of GitLab's webhooks about a project of the fake GitLab.

https://docs.gitlab.com/user/project/integrations/webhook_events/;
test_answers.py checks their types.
"""

from tests.gitlab.world import USER, Pipeline, Project, Row

NO_COMMIT = "0" * 40


def push_event(project: Project, branch: str = "main") -> Row:
    """Return the event of the newest commit of a branch."""
    chain = project.branches[branch]
    return {
        **_push(project, f"refs/heads/{branch}", [NO_COMMIT, *chain][-2], chain[-1]),
        "object_kind": "push",
        "event_name": "push",
        "user_username": USER["username"],
        "user_email": "a@example.com",
    }


def tag_event(project: Project, tag: str) -> Row:
    """Return the event of a new tag at the newest commit of main."""
    kind = {"object_kind": "tag_push", "event_name": "tag_push"}
    found = project.branches["main"][-1]
    return {**_push(project, f"refs/tags/{tag}", NO_COMMIT, found), **kind}


def pipeline_event(run: Pipeline) -> Row:
    """Return the event of a pipeline as it is now."""
    row, hidden = run.row, run.retried
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            **{key: row[key] for key in ("id", "iid", "name", "ref", "sha", "source", "status")},
            "tag": False,
            "before_sha": NO_COMMIT,
            "detailed_status": row["status"],
            "stages": ["test"],
            "created_at": row["created_at"],
            "finished_at": row["updated_at"],
            "duration": 10,
            "variables": [],
            "url": row["web_url"],
        },
        "merge_request": None,
        "user": USER,
        "project": _project(run.project),
        "commit": _commit(run.project, row["sha"]),
        "source_pipeline": None,
        "builds": [_build(job) for job in run.jobs if job["id"] not in hidden],
    }


def job_event(run: Pipeline, job: Row) -> Row:
    """Return the event of a job as it is now."""
    project = run.project
    commit = project.commit_row(run.row["sha"])
    return {
        "object_kind": "build",
        "ref": run.row["ref"],
        "tag": False,
        "before_sha": NO_COMMIT,
        "sha": run.row["sha"],
        "build_id": job["id"],
        "build_name": job["name"],
        "build_stage": job["stage"],
        "build_status": job["status"],
        "build_created_at": job["created_at"],
        "build_started_at": job["started_at"],
        "build_finished_at": job["finished_at"],
        "build_duration": job["duration"],
        "build_queued_duration": job["queued_duration"],
        "build_allow_failure": job["allow_failure"],
        "build_failure_reason": job.get("failure_reason", "unknown_failure"),
        "retries_count": 0,
        "pipeline_id": run.id,
        "project_id": project.row["id"],
        "project_name": project.row["name_with_namespace"],
        "user": USER,
        "commit": {
            "id": run.id,
            "name": run.row["name"],
            "sha": run.row["sha"],
            "message": commit["message"],
            "author_name": commit["author_name"],
            "author_email": commit["author_email"],
            "status": run.row["status"],
            "duration": None,
            "started_at": run.row["created_at"],
            "finished_at": None,
        },
        "repository": _repository(project),
        "project": _project(project),
        "runner": None,
        "environment": None,
        "source_pipeline": None,
    }


def _push(project: Project, ref: str, before: str, after: str) -> Row:
    commit = {**_commit(project, after), "title": project.commits[after]["title"]}
    return {
        "before": before,
        "after": after,
        "ref": ref,
        "ref_protected": True,
        "checkout_sha": after,
        "user_id": USER["id"],
        "user_name": USER["name"],
        "user_avatar": USER["avatar_url"],
        "project_id": project.row["id"],
        "project": _project(project),
        "repository": _repository(project),
        "commits": [{**commit, "added": [], "modified": ["file"], "removed": []}],
        "total_commits_count": 1,
    }


def _project(project: Project) -> Row:
    row = project.row
    ssh, http = row["ssh_url_to_repo"], row["http_url_to_repo"]
    return {
        **{key: row[key] for key in ("id", "name", "web_url", "avatar_url")},
        **{key: row[key] for key in ("path_with_namespace", "default_branch", "description")},
        "namespace": row["namespace"]["name"],
        "visibility_level": 0,
        "git_ssh_url": ssh,
        "git_http_url": http,
        "ssh_url": ssh,
        "http_url": http,
        "url": ssh,
        "homepage": row["web_url"],
    }


def _repository(project: Project) -> Row:
    whole = _project(project)
    keys = ("name", "url", "description", "homepage", "git_http_url", "git_ssh_url")
    return {key: whole[key] for key in (*keys, "visibility_level")}


def _commit(project: Project, found: str) -> Row:
    row = project.commits[found]
    return {
        "id": found,
        "message": row["message"],
        "timestamp": row["created_at"],
        "url": row["web_url"],
        "author": {"name": row["author_name"], "email": row["author_email"]},
    }


def _build(job: Row) -> Row:
    return {
        **{key: job[key] for key in ("id", "stage", "name", "status", "created_at")},
        **{key: job[key] for key in ("started_at", "finished_at", "duration", "queued_duration")},
        "failure_reason": job.get("failure_reason"),
        "when": "on_success",
        "manual": False,
        "allow_failure": job["allow_failure"],
        "user": USER,
        "runner": None,
        "artifacts_file": {"filename": None, "size": None},
        "environment": None,
    }
