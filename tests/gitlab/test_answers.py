"""The fake GitLab against others: an independent client, and the types of what it sends."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import gitlab
import pytest

from tests.github.fake import TOKEN as HUB_TOKEN
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpRequest
from tests.github.issue_model import Comment
from tests.github.server import GitHubServer
from tests.github.workflows import Job, Workflow, skipped
from tests.gitlab.fake import TOKEN, FakeGitLab
from tests.gitlab.issues import serving_gitlab
from tests.gitlab.pipelines import API, serving_pipelines
from tests.gitlab.webhooks import job_event, pipeline_event, push_event, tag_event
from tests.support.fakehttp import Request, serving

NOW = 1_700_000_000.0
PATH = "group/sub/project"
TYPES = Path(__file__).parents[2] / ".gitlab-types"

ANSWERS = {
    "Partial<ProjectSchema> & CondensedProjectSchema": "projects/1",
    "(Partial<ProjectSchema> & CondensedProjectSchema)[]": "groups/group/projects",
    "CommitSchema[]": "projects/1/repository/commits",
    "BranchSchema[]": "projects/1/repository/branches",
    "PipelineSchema[]": "projects/1/pipelines",
    "ExpandedPipelineSchema": "projects/1/pipelines/101",
    # A job without artifacts has no `artifacts_file`, and only an administrator sees all of a user:
    # https://docs.gitlab.com/api/jobs/#list-pipeline-jobs
    "Without<JobSchema, 'artifacts_file' | 'user'>[]": "projects/1/pipelines/101/jobs",
    "Without<BridgeSchema, 'user'>[]": "projects/1/pipelines/101/bridges",
    "LintSchema": "projects/1/ci/lint",
}
"""Each answer by its type in gitbeaker."""

ISSUE_ANSWERS = {
    # An object of a user, of which gitbeaker has the name of one.
    "Without<IssueSchema, 'closed_by'>": "projects/1/issues/1",
    "Without<IssueSchema, 'closed_by' | 'subscribed'>[]": "projects/1/issues",
    "IssueNoteSchema[]": "projects/1/issues/1/notes",
    "Without<SimpleUserSchema, 'created_at'>[]": "users?username=author-a",
}
"""Those about issues."""

WITHOUT = "type Without<T, K> = { [P in keyof T as P extends K ? never : P]: T[P] };"
"""TypeScript's own Omit drops every key of a type that allows further ones."""


@pytest.fixture
def ci() -> FakeGitLab:
    ci = FakeGitLab(prefix="/gitlab")
    project = ci.project(PATH)
    for number in range(30):
        run = project.pipeline(project.push(f"c{number}", at=NOW), "failed", at=NOW + number)
        run.job("test", "failed", at=NOW)
        run.job("test", "running", at=NOW)
    child = project.pipeline(run.row["sha"], at=NOW, source="parent_pipeline")
    first = project.pipelines[0]
    first.bridge("below", "success", child, at=NOW)
    return ci


def test_an_independent_client_reads_it(ci: FakeGitLab) -> None:
    """python-gitlab finds the project, follows the pages, and sees retried jobs if it asks."""
    with serving(ci) as server:
        client = gitlab.Gitlab(f"{server.url}/gitlab", private_token=TOKEN)
        (listed,) = client.groups.get("group", lazy=True).projects.list(
            include_subgroups=True, get_all=True
        )
        project = client.projects.get(PATH)
        assert (listed.id, project.default_branch) == (project.id, "main")
        commits = project.commits.list(ref_name="main", first_parent=True, get_all=True)
        assert [commit.title for commit in commits] == [f"c{n}" for n in reversed(range(30))]
        (branch,) = project.branches.list(search="^ma", get_all=True)
        assert project.branches.get(branch.name).commit["title"] == "c29"
        runs = project.pipelines.list(order_by="updated_at", sort="asc", per_page=7, get_all=True)
        assert [run.id for run in runs] == list(range(101, 131))
        run = project.pipelines.get(101)
        assert [job.status for job in run.jobs.list(get_all=True)] == ["running"]
        retried = run.jobs.list(include_retried=True, get_all=True)
        assert [job.status for job in retried] == ["running", "failed"]
        (bridge,) = run.bridges.list(get_all=True)
        children = project.pipelines.list(source="parent_pipeline", get_all=True)
        assert [child.id for child in children] == [bridge.downstream_pipeline["id"]]
        stranger = gitlab.Gitlab(f"{server.url}/gitlab", private_token=TOKEN[:-1])
        with pytest.raises(gitlab.exceptions.GitlabAuthenticationError):
            stranger.projects.get(PATH)
        with pytest.raises(gitlab.exceptions.GitlabGetError, match="404"):
            client.projects.get("group/gone")


@pytest.mark.slow
def test_its_answers_have_gitlabs_types(ci: FakeGitLab, tmp_path: Path) -> None:
    """TypeScript accepts every answer and delivery as what gitbeaker declares, and no other."""
    if not (TYPES / "version").exists():
        pytest.skip("gitbeaker's types are not here: tools/fetch-gitlab-types")
    answers = {kind: _answer(ci, path) for kind, path in ANSWERS.items()} | _issue_answers()
    answers |= _deliveries(ci) | _retry_answers()
    assert _problems(tmp_path, answers) == ""
    wrong = json.loads(answers["PipelineSchema[]"])
    del wrong[0]["updated_at"]
    assert "updated_at" in _problems(tmp_path, {"PipelineSchema[]": json.dumps(wrong)})
    assert "stage" in _problems(tmp_path, {"Without<JobSchema, 'user'>[]": '[{"id": 1}]'})


def _deliveries(ci: FakeGitLab) -> dict[str, str]:
    run = ci.projects[1].pipelines[0]
    events = {
        "WebhookPushEventSchema": push_event(run.project),
        "WebhookTagEventSchema": tag_event(run.project, "v1"),
        "WebhookPipelineEventSchema": pipeline_event(run),
        "WebhookJobEventSchema": job_event(run, run.jobs[0]),
    }
    return {kind: json.dumps(event) for kind, event in events.items()}


def _answer(ci: FakeGitLab, path: str) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return ci(Request(f"/gitlab/api/v4/{path}", [], headers)).body.decode()


@contextmanager
def retrying() -> Iterator[GitHubServer]:
    """Serve a project with one failed pipeline, whose job may be retried."""
    fake = FakeGitHub()
    repo = fake.repo(PATH)
    failed = [Job("test", conclusion="failure"), skipped("report", 400, ("test",))]
    repo.run(repo.commit("a", at=fake.now - 3600), Workflow("ci", "x"), failed, at=fake.now - 3600)
    server = serving_pipelines(fake)
    try:
        yield server
    finally:
        server.stop()
    assert server.unexpected == []


def test_an_independent_client_retries_jobs() -> None:
    """python-gitlab reads the configuration, and sees the new row and what runs after it."""
    with retrying() as server:
        site = server.url.removesuffix(API)
        client = gitlab.Gitlab(site, oauth_token=HUB_TOKEN)
        project = client.projects.get(PATH)
        (run,) = project.pipelines.list(get_all=True)
        lint = project.ci_lint.get(content_ref=run.sha, include_jobs=True)
        assert [(job["name"], job["stage"]) for job in lint.jobs] == [
            ("test", "stage-0"),
            ("report", "stage-1"),
        ]
        skipped_one, failed = run.jobs.list(get_all=True)
        project.jobs.get(failed.id, lazy=True).retry()
        with pytest.raises(gitlab.exceptions.GitlabJobRetryError, match="not retryable"):
            project.jobs.get(skipped_one.id, lazy=True).retry()
        server.fake.now += 3600
        rows = run.jobs.list(include_retried=True, get_all=True)
        assert sorted((row.name, row.status) for row in rows) == [
            ("report", "success"),
            ("test", "failed"),
            ("test", "success"),
        ]
        assert skipped_one.id in {row.id for row in rows if row.name == "report"}


def _retry_answers() -> dict[str, str]:
    with retrying() as server:
        run = server.fake.repos[PATH].runs[0]
        paths = {
            "Without<JobSchema, 'artifacts_file' | 'user'>": f"jobs/{run.attempts[0].rows[0].id}",
            "PipelineSchema": f"pipelines/{run.id}",
        }

        def answer(path: str) -> str:
            headers = {"authorization": f"Bearer {HUB_TOKEN}", "user-agent": "test"}
            request = HttpRequest("POST", f"{API}/projects/1/{path}/retry", [], headers)
            return server.respond(request).body.decode()

        return {kind: answer(path) for kind, path in paths.items()}


def _issue_answers() -> dict[str, str]:
    fake = FakeGitHub()
    fake.repo(PATH)
    headers = {"authorization": f"Bearer {HUB_TOKEN}", "user-agent": "test"}
    with serving_gitlab(fake) as server:
        issue = server.issues.open_by("author-a", "t", "b", "l", repo=PATH)
        server.issues.close_by("author-a", issue)
        issue.assignees.append("author-b")
        issue.comments.append(Comment(1, "author-a", "b", NOW))

        def answer(path: str) -> str:
            parts = urlsplit(f"/api/v4/{path}")
            request = HttpRequest("GET", parts.path, parse_qsl(parts.query), headers)
            return server.respond(request).body.decode()

        return {kind: answer(path) for kind, path in ISSUE_ANSWERS.items()}


def _problems(folder: Path, answers: dict[str, str]) -> str:
    names = sorted({word for kind in answers for word in _schemas(kind)})
    lines = [f"import type {{ {', '.join(names)} }} from '@gitbeaker/core';", WITHOUT]
    for number, (kind, answer) in enumerate(answers.items()):
        lines.append(f"export const answer{number}: {kind} = {answer};")
    (folder / "answers.ts").write_text("\n".join(lines), encoding="utf-8")
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(TYPES / "node_modules")
    # GitLab writes null where gitbeaker leaves a value out: hence no strictNullChecks.
    flags = ["--noEmit", "--strict", "--strictNullChecks", "false", "--skipLibCheck"]
    modules = ["--module", "nodenext", "--target", "es2022"]
    done = subprocess.run(
        ["node", TYPES / "node_modules/typescript/bin/tsc", *flags, *modules, "answers.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def _schemas(kind: str) -> list[str]:
    letters = "".join(each if each.isalnum() else " " for each in kind)
    return [word for word in letters.split() if word.endswith("Schema")]
