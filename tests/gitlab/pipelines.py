"""The pipelines of a fake GitLab: the runs of a fake GitHub, which GitLab lists and retries.

https://docs.gitlab.com/api/jobs/#retry-a-job, https://docs.gitlab.com/api/pipelines/. A retried job
is a new row. Jobs that were skipped after it are processed again under their own ids, as
https://docs.gitlab.com/ci/pipelines/ shows: a retry continues the pipeline. Clock, faults, requests
and tokens are those of the fake GitHub.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import NamedTuple

import yaml

from tests.github.checks import WorkflowJob
from tests.github.commits import first_parents
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpRequest
from tests.github.render import Renderer
from tests.github.repo import PlannedRun, Repo
from tests.github.rerun_endpoints import RerunEndpoints
from tests.github.reruns import after_needs
from tests.github.responses import Document, ErrorResponse
from tests.github.runs import Attempt
from tests.github.server import GitHubServer
from tests.github.workflows import Job, skipped
from tests.gitlab.fake import TOKEN, FakeGitLab
from tests.gitlab.world import Pipeline, Project, Row, project, time_text
from tests.support.fakehttp import Answer, Request, as_json

API = "/api/v4"
CONFIGURATION = ".gitlab-ci.yml"
"""The key of `Repo.workflow_texts`; by default all jobs of the repository, without environment."""

STATUSES: Mapping[str | None, str] = {
    "success": "success",
    "neutral": "success",
    "failure": "failed",
    "timed_out": "failed",
    "cancelled": "canceled",
    "skipped": "skipped",
}
"""Statuses by the conclusion of a plan; another one is itself the status."""

FORBIDDEN = as_json({"message": "403 Forbidden"}, 403)
NOT_RETRYABLE = as_json({"message": "403 Forbidden - Job is not retryable"}, 403)
NOT_FOUND = as_json({"message": "404 Not found"}, 404)
RETRYABLE = frozenset({"success", "failed", "canceled"})
PASSED = frozenset({"success"})

_RETRY = re.compile(r"/projects/(?P<project>[^/]+)/(?P<kind>jobs|pipelines)/(?P<id>\d+)/retry")


class _Listed(NamedTuple):
    """One row of a job.

    Attributes:
        id: of the row.
        row: the planned job.
        status: of the row, as GitLab names it.
    """

    id: int
    row: WorkflowJob
    status: str


class GitlabPipelines(RerunEndpoints):
    """The endpoints of projects, commits, pipelines, jobs and retries.

    Attributes:
        scope: of the token.
        version: of the server.
        sources: what started a pipeline, by its id; by default its event.
    """

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(renderer)
        self.scope = "api"
        self.version = FakeGitLab.version
        self.sources: dict[int, str] = {}

    def handles(self, path: str) -> bool:
        """Return whether a path belongs to these endpoints."""
        return path.startswith("/projects/") or path == "/version"

    def answer(self, request: HttpRequest, path: str, who: str) -> Document | ErrorResponse:
        """Handle one request."""
        del who
        asked = _RETRY.fullmatch(path)
        if request.method == "POST" and asked is not None:
            answer = self._retry(path, asked)
        else:
            answer = self._lists()(_as_read(request, path))
        text = answer.body.decode()
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Document(text, answer.status)
        return _Refusal(answer.status, text, answer.headers)

    def _lists(self) -> FakeGitLab:
        made = FakeGitLab(tokens={TOKEN: self.scope}, version=self.version)
        for number, repo in enumerate(self._fake.repos.values(), start=1):
            made.projects[number] = self._mirrored(number, repo)
        return made

    # ------------------------------------------------------------------ lists

    def _mirrored(self, number: int, repo: Repo) -> Project:
        """Return a repository as a project, as it is now."""
        now = self._fake.now
        made = project(number, repo.full_name)
        made.row["archived"] = repo.archived
        for node in reversed(list(first_parents(repo.head("main", now)))):
            made.push(node.title, at=node.date, found=node.sha)
        text = repo.workflow_texts.get(CONFIGURATION)
        made.configurations = dict.fromkeys(made.commits, text or _configuration(repo))
        triggers = _triggers(text) if text else frozenset()
        for run in repo.runs_by_id.values():
            if run.exists(now):
                made.pipelines.append(self._pipeline(made, run, triggers))
        return made

    def _pipeline(self, made: Project, run: PlannedRun, triggers: Collection[str]) -> Pipeline:
        now = self._fake.now
        rows = list(self._rows(run))
        url = f"{made.web_url}/-/pipelines/{run.id}"
        row = made.pipeline(run.commit.sha, _status(rows), at=run.created_at).row
        row |= {"id": run.id, "web_url": url, "updated_at": time_text(run.updated_at(now))}
        row["source"] = self.sources.get(run.id, run.event)
        pipeline = made.pipelines.pop()
        jobs = {listed.row.name: listed.row.plan for listed in rows}
        for listed in rows:
            name, at = listed.row.name, listed.row.created_at
            fields = _fields(listed, now, _depth(jobs[name], jobs))
            if name in triggers:
                pipeline.bridge(name, listed.status, None, at=at, **fields)
            else:
                pipeline.job(name, listed.status, at=at, **fields)
        return pipeline

    def _rows(self, run: PlannedRun) -> Iterator[_Listed]:
        """Yield the rows of all jobs, oldest first; one that was skipped keeps its id."""
        now, ids = self._fake.now, dict[str, int]()
        found: dict[int, _Listed] = {}
        for attempt in run.attempts:
            for row in attempt.rows if attempt.at <= now else ():
                status = _status_of(row, attempt, now)
                number = ids.pop(row.name, row.id)
                found[number] = _Listed(number, row, status)
                if status == "skipped":
                    ids[row.name] = number
        yield from found.values()

    def latest(self, run: PlannedRun) -> dict[str, _Listed]:
        """Return the newest row of each job, by its name."""
        return {listed.row.name: listed for listed in self._rows(run)}

    # ------------------------------------------------------------------ retries

    def _retry(self, path: str, asked: re.Match[str]) -> Answer:
        names = {str(number): name for number, name in enumerate(self._fake.repos, start=1)}
        repo = self._fake.repos.get(
            names.get(asked["project"], asked["project"].replace("%2F", "/"))
        )
        if repo is None:
            return as_json({"message": "404 Project Not Found"}, 404)
        if self.scope != "api":
            return as_json({"error": "insufficient_scope", "error_description": "The request"
                            " requires higher privileges than provided by the access token.",
                            "scope": "api"}, 403)  # fmt: skip
        is_job = asked["kind"] == "jobs"
        run, names_again = self._found(repo, int(asked["id"]), is_job=is_job)
        if run is None:
            return NOT_FOUND
        if repo.archived or self._fake.lacks_write("actions"):
            return FORBIDDEN
        if is_job and not names_again:
            return NOT_RETRYABLE
        self._start(repo, run, names_again)
        self.accepted.append(f"POST {path}")
        mirrored = self._mirrored(int(next(n for n in names if names[n] == repo.full_name)), repo)
        shown = next(each for each in mirrored.pipelines if each.id == run.id)
        if not is_job:
            return as_json(shown.row, 201)
        return as_json(next(row for row in shown.jobs[::-1] if row["name"] in names_again), 201)

    def _found(
        self, repo: Repo, identity: int, *, is_job: bool
    ) -> tuple[PlannedRun | None, set[str]]:
        """Return a pipeline and the names of the jobs that a request retries."""
        for run in repo.runs_by_id.values():
            if not run.exists(self._fake.now):
                continue
            latest = self.latest(run)
            if not is_job and run.id == identity:
                again = (name for name in latest if latest[name].status in ("failed", "canceled"))
                return run, set(again)
            for listed in self._rows(run) if is_job else ():
                if listed.id == identity:
                    newest = latest[listed.row.name]
                    may = newest.id == identity and newest.status in RETRYABLE
                    return run, {listed.row.name} if may else set()
        return None, set()

    def _start(self, repo: Repo, run: PlannedRun, names: Collection[str]) -> None:
        """Retry some jobs, and continue the pipeline after them."""
        latest = self.latest(run)
        jobs = {name: listed.row.plan for name, listed in latest.items()}
        depths = {name: _depth(job, jobs) for name, job in jobs.items()}
        first = min((depths[name] for name in names), default=0)
        after = {
            name
            for name, listed in latest.items()
            if listed.status == "skipped" and depths[name] > first
        }
        states = {name: listed.status for name, listed in latest.items()}
        plans: list[Job] = []
        for name in sorted({*names, *after}, key=lambda each: depths[each]):
            before = jobs[name].needs or [n for n in jobs if depths[n] < depths[name]]
            passing = PASSED if jobs[name].needs else PASSED | {"skipped"}
            if all(states[each] in passing for each in before if each in states):
                plan = replace(repo.outcome(run, jobs[name]), name=name, needs=jobs[name].needs)
            else:
                plan = skipped(name, needs=jobs[name].needs)
            states[name] = STATUSES.get(plan.conclusion, str(plan.conclusion))
            plans.append(plan)
        if plans:
            run.rerun(self._fake.now, after_needs(plans))


class _Refusal(ErrorResponse):
    """An error with GitLab's own text."""

    @property
    def text(self) -> str:
        return self.message


def serving_pipelines(fake: FakeGitHub) -> GitHubServer:
    """Return a server of a fake GitHub's runs as GitLab's pipelines; the caller stops it."""
    return GitHubServer(fake, API, reruns=GitlabPipelines)


def _as_read(request: HttpRequest, path: str) -> Request:
    return Request(f"{API}{path}", request.query, {"Authorization": f"Bearer {TOKEN}"})


def _status_of(row: WorkflowJob, attempt: Attempt, now: float) -> str:
    if now < row.begins_at:
        return "created" if row.plan.needs else "pending"
    if now < row.ends_at:
        return "running"
    status = STATUSES.get(row.final_conclusion, str(row.final_conclusion))
    is_cut = any(each.final_conclusion == "cancelled" for each in attempt.rows)
    # GitLab cancels jobs that have not begun; GitHub skips those that need a cancelled one.
    return "canceled" if status == "skipped" and is_cut else status


def _status(rows: Sequence[_Listed]) -> str:
    found = {
        "success" if listed.row.plan.continue_on_error else listed.status
        for listed in {listed.row.name: listed for listed in rows}.values()
    }
    for status in ("running", "pending", "manual", "created", "failed", "canceled", "success"):
        if status in found:
            return "running" if status in ("pending", "created") else status
    return "skipped"


def _fields(listed: _Listed, now: float, depth: int) -> Row:
    row, status = listed.row, listed.status
    has_begun = row.begins_at <= now and status not in ("skipped", "manual")
    # A job that was cancelled before a runner took it has no start.
    has_begun = has_begun and not (status == "canceled" and row.ends_at <= row.begins_at)
    reason = "runner_system_failure" if row.plan.failed_step else "script_failure"
    return {
        "id": listed.id,
        "stage": f"stage-{depth}",
        "web_url": f"https://gitlab.example.com/-/jobs/{listed.id}",
        "allow_failure": row.plan.continue_on_error,
        "started_at": time_text(row.begins_at) if has_begun else None,
        "finished_at": time_text(row.ends_at) if row.ends_at <= now else None,
        **({"failure_reason": reason} if status == "failed" else {}),
    }


def _depth(job: Job, jobs: Mapping[str, Job]) -> int:
    """Return the stage of a job: how many others it waits for, one after the other."""
    return max((1 + _depth(jobs[need], jobs) for need in job.needs if need in jobs), default=0)


def _configuration(repo: Repo) -> str:
    jobs = {
        row.name: (row.name, row.plan.needs) for run in repo.runs for row in run.attempts[0].rows
    }
    return _text(tuple(jobs.values()))


@cache
def _text(jobs: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return configuration(Job(name, needs=needs) for name, needs in jobs)


def configuration(jobs: Iterable[Job], **keys: Row) -> str:
    """Return the text of a configuration, a stage for each depth of `needs`.

    Args:
        jobs: the jobs.
        keys: further keys of a job, by its name.
    """
    plans = {job.name: job for job in jobs}
    depths = {name: _depth(job, plans) for name, job in plans.items()}
    document: Row = {"stages": [f"stage-{n}" for n in range(max(depths.values(), default=0) + 1)]}
    for name, job in plans.items():
        needs = {"needs": list(job.needs)} if job.needs else {}
        section = {"stage": f"stage-{depths[name]}", "script": ["make"], **needs}
        document[name] = section | keys.get(name, {})
    return yaml.safe_dump(document, sort_keys=False)


@cache
def _triggers(text: str) -> frozenset[str]:
    """Return the names of the trigger jobs of a configuration."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return frozenset()
    jobs = document.items() if isinstance(document, dict) else ()
    return frozenset(name for name, job in jobs if isinstance(job, dict) and "trigger" in job)
