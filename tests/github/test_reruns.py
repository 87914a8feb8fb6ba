"""The fake GitHub runs jobs again on request, as GitHub documents it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
import requests

from tests.github.client import Client
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import Kind
from tests.github.graphql_schema import require_schema
from tests.github.json_parts import time_text
from tests.github.repo import PlannedRun, Repo
from tests.github.rights import APP, CLASSIC, CLASSIC_PUBLIC, FINE_GRAINED, Rights
from tests.github.runs import Run
from tests.github.server import GitHubServer
from tests.github.webhooks import deliveries
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded

CI = Workflow("ci", ".github/workflows/ci.yml")
DAY = 86_400.0
CHECKS = """query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
  ref(qualifiedName: "main") { target { ... on Commit { checkSuites(first: 10) { nodes {
    checkRuns(first: 10, filterBy: {checkType: LATEST}) { nodes { databaseId name status } }
  } } } } } } }"""
"""The newest check runs of the trunk's head."""


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository."""
    return fake.repo("o/r")


@pytest.fixture
def run(repo: Repo, fake: FakeGitHub) -> PlannedRun:
    """Return its only run, which has completed: the build passed, and the rest needs it."""
    jobs = [
        Job("build", 0, 10),
        Job("test", 10, 20, "failure", needs=("build",)),
        skipped("pack", 20, needs=("test",)),
        skipped("deploy", 20, needs=("pack",)),
        Job("lint", 0, 10),
    ]
    run = repo.run(repo.commit("first"), CI, jobs, at=T0)
    fake.now = T0 + 100
    return run


def job_id(client: Client, run: Run, name: str) -> int:
    """Return the id of a job in the newest attempt."""
    jobs = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    return next(int(job["id"]) for job in jobs if job["name"] == name)


def rerun_job(client: Client, run: Run, name: str) -> requests.Response:
    """Run a job of the newest attempt again."""
    return client.post(f"/actions/jobs/{job_id(client, run, name)}/rerun")


def rerun_failed(client: Client, run: Run) -> requests.Response:
    """Run all failed jobs of a run again."""
    return client.post(f"/actions/runs/{run.id}/rerun-failed-jobs")


def again(run: PlannedRun) -> list[str]:
    """Return the names of the jobs that run again in the newest attempt."""
    return sorted(row.name for row in run.attempts[-1].rows if row.copy_of is None)


def refused(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the message of an error."""
    document: dict[str, Any] = answer.json()
    return answer.status_code, document["message"]


# ---------------------------------------------------------------------- what runs again


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("build", ["build", "deploy", "pack", "test"]),
        ("test", ["deploy", "pack", "test"]),
        ("deploy", ["deploy"]),
        ("lint", ["lint"]),
    ],
)
def test_a_job_runs_again_with_its_dependents(
    client: Client, run: PlannedRun, name: str, expected: list[str]
) -> None:
    """All jobs that need the job run again as well, also through other jobs."""
    answer = rerun_job(client, run, name)
    assert (answer.status_code, answer.json()) == (HTTPStatus.CREATED, {})
    assert again(run) == expected


def test_failed_and_cancelled_jobs_run_again_with_their_dependents(
    client: Client, repo: Repo, fake: FakeGitHub
) -> None:
    """Jobs that passed or were skipped do not run again unless they need one that does."""
    jobs = [
        Job("pass", 0, 1),
        Job("fail", 0, 1, "failure"),
        hanging("hang", 0, 1),
        superseded("cancel", 0, 1),
        skipped("skip"),
        Job("after", 1, 2, needs=("cancel",)),
    ]
    run = repo.run(repo.commit("first"), CI, jobs, at=T0)
    fake.now = T0 + 100
    answer = rerun_failed(client, run)
    assert (answer.status_code, answer.json()) == (HTTPStatus.CREATED, {})
    assert again(run) == ["after", "cancel", "fail", "hang"]


def test_only_failures_of_the_newest_attempt_run_again(client: Client, run: PlannedRun) -> None:
    """A job that failed in the first attempt and passed in the second does not run again."""
    run.rerun(T0 + 50, [Job("test", 0, 1), Job("pack", 0, 1, "failure")], copies=True)
    assert rerun_failed(client, run).status_code == HTTPStatus.CREATED
    assert again(run) == ["deploy", "pack"]


def test_a_job_passes_by_default_after_its_needs(
    client: Client, run: PlannedRun, fake: FakeGitHub
) -> None:
    """A job passes 300 seconds after the start, and one that needs it starts when it has ended."""
    rerun_job(client, run, "test")
    fake.now += 1000
    listed = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    times = {
        job["name"]: (job["started_at"], job["completed_at"], job["conclusion"]) for job in listed
    }
    assert [times[name] for name in ("test", "pack", "deploy")] == [
        (time_text(T0 + 130), time_text(T0 + 400), "success"),
        (time_text(T0 + 400), time_text(T0 + 670), "success"),
        (time_text(T0 + 670), time_text(T0 + 940), "success"),
    ]
    assert client.get(f"/actions/runs/{run.id}")["conclusion"] == "success"


def test_the_outcome_is_planned_by_the_test(
    client: Client, run: PlannedRun, repo: Repo, fake: FakeGitHub
) -> None:
    """The outcome receives the run and the last plan; the job's name and needs stay."""
    asked: list[tuple[int, str | None]] = []

    def outcome(run: Run, job: Job) -> Job:
        asked.append((run.id, job.conclusion))
        return Job("another name", 5, 9, "failure", "Step two")

    repo.outcome = outcome
    rerun_job(client, run, "pack")
    assert asked == [(run.id, "skipped"), (run.id, "skipped")]
    assert [row.plan.needs for row in run.attempts[-1].rows[-2:]] == [("test",), ("pack",)]
    fake.now += 9
    found = client.get(f"/actions/jobs/{job_id(client, run, 'pack')}")
    assert (found["conclusion"], found["completed_at"]) == ("failure", time_text(T0 + 109))


def test_a_job_whose_need_never_ends_is_never_created(
    client: Client, run: PlannedRun, repo: Repo, fake: FakeGitHub
) -> None:
    """The run stays in progress, and its list lacks the job."""
    repo.outcome = lambda _run, job: replace(job, start=0, end=None)
    rerun_job(client, run, "pack")
    fake.now += 9 * DAY
    jobs = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    assert "deploy" not in {job["name"] for job in jobs}
    assert client.get(f"/actions/runs/{run.id}")["status"] == "in_progress"


# ---------------------------------------------------------------------- where it is seen


def test_every_interface_shows_the_new_attempt_at_once(
    client: Client, run: PlannedRun, fake: FakeGitHub, repo: Repo
) -> None:
    """Lists, check runs, GraphQL, deliveries and expected results have it as of the request."""
    require_schema()
    before = job_id(client, run, "lint")
    rerun_job(client, run, "lint")
    new = job_id(client, run, "lint")
    assert new != before
    (listed,) = client.get("/actions/runs", status="queued")["workflow_runs"]
    assert (listed["id"], listed["run_attempt"]) == (run.id, 2)
    assert listed["run_started_at"] == listed["updated_at"] == time_text(T0 + 100)
    checks = client.get("/commits/main/check-runs", check_name="lint")["check_runs"]
    assert [(check["id"], check["status"]) for check in checks] == [(new, "queued")]
    (suite,) = client.query(CHECKS, owner="o", name="r")["repository"]["ref"]["target"][
        "checkSuites"
    ]["nodes"]
    assert {"databaseId": new, "name": "lint", "status": "QUEUED"} in suite["checkRuns"]["nodes"]
    sent = [(each.at, each.event) for each in deliveries(fake, T0 + 99, T0 + 100)]
    assert sorted(sent) == [
        (T0 + 100, event) for event in ("check_run", "workflow_job", "workflow_run")
    ]
    expected = fake.expected_facts(repo)[1]
    assert (new, 2) in {(row.job_id, row.attempt) for row in expected}


@pytest.mark.parametrize("relists", [True, False])
def test_a_job_has_an_id_in_the_newest_attempt_only(
    client: Client, run: PlannedRun, repo: Repo, fake: FakeGitHub, relists: bool
) -> None:
    """An id of an earlier attempt is refused; a job that is listed again has another id."""
    repo.relists_jobs = relists
    old = job_id(client, run, "build")
    rerun_job(client, run, "lint")
    fake.now += 1000
    assert refused(client.post(f"/actions/jobs/{old}/rerun")) == (
        403,
        "Only jobs from the current attempt can be re-run",
    )
    names = {job["name"] for job in client.get(f"/actions/runs/{run.id}/jobs")["jobs"]}
    assert names == ({"build", "test", "pack", "deploy", "lint"} if relists else {"lint"})
    if relists:
        assert rerun_job(client, run, "build").status_code == HTTPStatus.CREATED
        assert again(run) == ["build", "deploy", "pack", "test"]


# ---------------------------------------------------------------------- refusals


def test_a_run_that_has_not_completed_is_refused(
    client: Client, run: PlannedRun, fake: FakeGitHub
) -> None:
    """Both endpoints refuse until the newest attempt completes."""
    assert rerun_failed(client, run).status_code == HTTPStatus.CREATED
    fake.now = T0 + 939
    assert refused(rerun_job(client, run, "test")) == (
        403,
        "The workflow run containing this job is already running",
    )
    assert refused(rerun_failed(client, run)) == (403, "This workflow is already running")
    fake.now = T0 + 940
    assert rerun_job(client, run, "test").status_code == HTTPStatus.CREATED
    assert len(run.attempts) == 3


@pytest.mark.parametrize(("age", "status"), [(30 * DAY - 1, 201), (30 * DAY, 403)])
def test_a_run_can_run_again_for_thirty_days(
    client: Client, run: PlannedRun, fake: FakeGitHub, age: float, status: int
) -> None:
    """The time is counted from the creation of the run, not from its newest attempt."""
    run.rerun(T0 + 29 * DAY, [Job("test", 0, 1, "failure")], copies=True)
    fake.now = T0 + age
    answers = [rerun_job(client, run, "lint")]
    if status == HTTPStatus.FORBIDDEN:
        answers.append(rerun_failed(client, run))
        message = "Unable to retry this workflow run because it was created over a month ago"
        assert {answer.json()["message"] for answer in answers} == {message}
    assert {answer.status_code for answer in answers} == {status}


def test_a_run_can_run_again_fifty_times(client: Client, run: PlannedRun, fake: FakeGitHub) -> None:
    """The fiftieth re-run is accepted and the next one is not."""
    for number in range(49):
        run.rerun(T0 + 40 + number, [Job("test", 0, 1, "failure")])
    assert rerun_failed(client, run).status_code == HTTPStatus.CREATED
    fake.now += 1000
    answers = (rerun_job(client, run, "test"), rerun_failed(client, run))
    assert [answer.status_code for answer in answers] == [403, 403]
    assert len(run.attempts) == 51


@pytest.mark.parametrize(
    ("rights", "private", "status", "message"),
    [
        (CLASSIC, True, 201, None),
        (CLASSIC_PUBLIC, False, 201, None),
        (CLASSIC_PUBLIC, True, 404, "Not Found"),
        (FINE_GRAINED, False, 403, "Resource not accessible by personal access token"),
        (FINE_GRAINED.with_write("actions"), True, 201, None),
        (APP, False, 403, "Resource not accessible by integration"),
        (APP.with_write("actions"), True, 201, None),
    ],
)
def test_a_re_run_needs_the_permission_to_write_actions(
    fake: FakeGitHub,
    client: Client,
    run: PlannedRun,
    repo: Repo,
    rights: Rights,
    private: bool,
    status: int,
    message: str | None,
) -> None:
    """Without the permission also a public repository refuses, and names it."""
    number = job_id(client, run, "lint")
    fake.rights, repo.private = rights, private
    answer = client.post(f"/actions/jobs/{number}/rerun")
    assert (answer.status_code, answer.json().get("message")) == (status, message)
    named = "actions=write" if status == HTTPStatus.FORBIDDEN else None
    assert answer.headers.get("X-Accepted-GitHub-Permissions") == named
    assert len(run.attempts) == (2 if status == HTTPStatus.CREATED else 1)


def test_a_re_run_needs_a_token(server: GitHubServer, run: PlannedRun) -> None:
    """A request without a token answers 401."""
    client = Client(server, token=None)
    assert refused(rerun_failed(client, run)) == (401, "Requires authentication")
    client.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("disabled_manually", "its workflow is disabled"),
        ("disabled_inactivity", "its workflow is disabled"),
        ("archived", "archived"),
    ],
)
def test_a_disabled_workflow_or_an_archived_repository_is_refused(
    client: Client, run: PlannedRun, repo: Repo, change: str, message: str
) -> None:
    """Both endpoints answer 403 until the workflow is enabled."""
    if change == "archived":
        repo.archived = True
    else:
        repo.workflow_states[CI.path] = change
    for answer in (rerun_job(client, run, "test"), rerun_failed(client, run)):
        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert message in answer.json()["message"]
    repo.archived = False
    repo.workflow_states.clear()
    assert rerun_failed(client, run).status_code == HTTPStatus.CREATED


def test_a_run_without_failures_is_refused(client: Client, repo: Repo, fake: FakeGitHub) -> None:
    """A run that passed, and one that failed before any job, have no failed jobs."""
    commit = repo.commit("first")
    passed = repo.run(commit, CI, [Job("a", 0, 1)], at=T0)
    broken = repo.run(commit, CI, at=T0, startup_failure=True)
    fake.now = T0 + 100
    for run in (passed, broken):
        assert refused(rerun_failed(client, run)) == (403, "This workflow run cannot be retried")


def test_what_does_not_exist_answers_404(
    server: GitHubServer, client: Client, run: PlannedRun, repo: Repo, fake: FakeGitHub
) -> None:
    """Jobs and runs that are unknown, of another system or deleted are not found."""
    check = repo.check(repo.commit("second"), "other-ci", "build", at=T0)
    job = job_id(client, run, "lint")
    elsewhere = Client(server, repo="o/unknown")
    answers = [
        elsewhere.post(f"/actions/jobs/{job}/rerun"),
        client.post("/actions/jobs/1/rerun"),
        client.post(f"/actions/jobs/{check.id}/rerun"),
        client.post("/actions/runs/1/rerun-failed-jobs"),
    ]
    elsewhere.close()
    run.delete(fake.now)
    answers += [client.post(f"/actions/jobs/{job}/rerun"), rerun_failed(client, run)]
    assert [answer.status_code for answer in answers] == [404] * 6


# ---------------------------------------------------------------------- requests over HTTP


def test_a_renamed_repository_is_redirected(
    client: Client, run: PlannedRun, repo: Repo, fake: FakeGitHub
) -> None:
    """The redirection keeps the method, so that the request takes effect."""
    fake.rename(repo, "o/new")
    answer = rerun_failed(client, run)
    assert [each.status_code for each in (*answer.history, answer)] == [307, 201]
    assert len(run.attempts) == 2


def test_of_two_requests_at_once_one_takes_effect(
    server: GitHubServer, client: Client, run: PlannedRun
) -> None:
    """The other one is refused, as the run is already running."""
    server.latency = 0.01
    clients = [client, Client(server)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: rerun_failed(each, run), clients))
    clients[1].close()
    assert sorted(answer.status_code for answer in answers) == [201, 403]
    assert len(run.attempts) == 2
    assert server.reruns.accepted == [f"POST /repos/o/r/actions/runs/{run.id}/rerun-failed-jobs"]


@pytest.mark.parametrize("kind", [Kind.HANG, Kind.RESET, Kind.TRUNCATED])
def test_a_lost_answer_leaves_the_re_run(
    server: GitHubServer, client: Client, run: PlannedRun, kind: Kind
) -> None:
    """The jobs run again although the response is not received, and a second request is refused."""
    server.fail_next(kind, "POST .*/rerun-failed-jobs")
    client.timeout_seconds = 0.5
    with pytest.raises(requests.RequestException):
        rerun_failed(client, run).json()
    assert len(run.attempts) == 2
    client.timeout_seconds = 10.0
    assert refused(rerun_failed(client, run)) == (403, "This workflow is already running")


@pytest.mark.parametrize(
    ("kind", "late", "attempts"),
    [
        (Kind.BAD_GATEWAY, False, 1),
        (Kind.BAD_GATEWAY, True, 2),
        (Kind.SECONDARY_LIMIT, True, 1),
        (Kind.DELETED_RUN, False, 1),
    ],
)
def test_an_error_comes_instead_of_the_re_run_or_after_it(
    server: GitHubServer, client: Client, run: PlannedRun, kind: Kind, late: bool, attempts: int
) -> None:
    """Only a server's error may come after the jobs run again; a limit always prevents it."""
    server.reruns.fail_late = late
    server.fail_next(kind, "POST .*/rerun-failed-jobs")
    assert rerun_failed(client, run).status_code >= 400
    assert len(run.attempts) == attempts


def test_a_null_field_leaves_an_empty_document(
    server: GitHubServer, client: Client, run: PlannedRun
) -> None:
    """A document without members has none to replace."""
    server.fail_next(Kind.NULL_FIELD, "rerun")
    assert rerun_failed(client, run).json() == {}


def test_the_body_may_ask_for_debug_logs(client: Client, run: PlannedRun) -> None:
    """A body that GitHub describes is accepted."""
    path = f"/actions/runs/{run.id}/rerun-failed-jobs"
    answer = client.post(path, {"enable_debug_logging": True})
    assert answer.status_code == HTTPStatus.CREATED
