"""The fake GitHub renders the states that users of its API report."""

from typing import Any

import pytest

from tests.github.client import Client
from tests.github.commits import CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import Kind
from tests.github.graphql_schema import require_schema
from tests.github.json_parts import time_text
from tests.github.repo import Repo
from tests.github.search_index import SearchIndex
from tests.github.server import GitHubServer
from tests.github.workflows import Job, Workflow

CI = Workflow("ci", ".github/workflows/ci.yml")
SUITES = """{ repository(owner: "o", name: "r") {
  nameWithOwner
  defaultBranchRef { name }
  ref(qualifiedName: "refs/heads/main") { name }
  object(expression: "%s") { ... on Commit { checkSuites(first: 10) { nodes {
    app { slug } branch { name } status conclusion
    workflowRun { databaseId workflow { name state } }
    checkRuns(first: 10) { nodes { name status conclusion } } } } } } } }"""


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository."""
    return fake.repo("o/r")


@pytest.fixture
def commit(repo: Repo) -> CommitNode:
    """Return its only commit."""
    return repo.commit("first", at=T0 - 9000)


def total(client: Client, **query: object) -> int:
    """Return the total of a list of runs, which the list itself has."""
    found = client.get("/actions/runs", per_page=100, **query)
    assert len(found["workflow_runs"]) == min(100, found["total_count"])
    return int(found["total_count"])


def repository(client: Client, commit: CommitNode) -> Any:
    """Return the repository with the check suites of a commit, by GraphQL."""
    require_schema()
    return client.query(SUITES % commit.sha)["repository"]


# ---------------------------------------------------------------------- the search index


@pytest.mark.parametrize(
    "filters",
    [
        {"branch": "main"},
        {"event": "push"},
        {"created": f">={time_text(T0 - 9000)}"},
        {"status": "completed"},
        {"actor": "author-a"},
        {"head_sha": "SHA"},
        {"check_suite_id": "SUITE"},
    ],
    ids=lambda filters: next(iter(filters)),
)
def test_every_filter_reads_the_index(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode, filters: dict[str, str]
) -> None:
    """A frozen index lacks newer runs, while the database has them."""
    run = repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 60)
    values = {"SHA": commit.sha, "SUITE": str(run.suite)}
    filters = {key: values.get(value, value) for key, value in filters.items()}
    assert total(client, **filters) == 1
    fake.index = SearchIndex(frozen_at=T0 - 61)
    assert total(client, **filters) == 0
    assert total(client) == 1
    assert client.get(f"/actions/runs/{run.id}")["id"] == run.id
    assert client.get(f"/commits/{commit.sha}/check-suites")["total_count"] == 1
    assert len(repository(client, commit)["object"]["checkSuites"]["nodes"]) == 1


def test_the_index_may_lag(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """A run is found after the lag, and until then by its former status."""
    repo.run(commit, CI, [Job("a", 0, 50)], at=T0)
    fake.index = SearchIndex(lag=100)
    seen = []
    for after in (60, 100, 149, 150):
        fake.now = T0 + after
        seen.append((total(client, branch="main"), total(client, status="completed")))
    assert seen == [(0, 0), (1, 0), (1, 0), (1, 1)]


@pytest.mark.parametrize("kept", [0, 23, 30, 92, 264])
def test_the_index_may_lose_rows(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode, kept: int
) -> None:
    """Rows and total of a filtered list may be far too few."""
    for number in range(264):
        repo.run(commit, CI, at=T0 - number)
    fake.index = SearchIndex(kept=kept)
    assert (total(client, branch="main"), total(client)) == (kept, 264)


def test_unfiltered_runs_are_not_in_order_of_time(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The order deviates by a limited time, and is the same in each request."""
    for number in range(20):
        repo.run(commit, CI, at=T0 - 60 * number)
    fake.run_order_jitter = 300
    lists = [client.get("/actions/runs")["workflow_runs"] for _ in range(2)]
    created = [row["created_at"] for row in lists[0]]
    assert (created != sorted(created, reverse=True), lists[0] == lists[1]) == (True, True)
    assert created[0] >= time_text(T0 - 300)


# ---------------------------------------------------------------------- repository and branches


def test_a_renamed_repository_is_found_under_its_former_name(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """REST redirects to the repository's id, and GraphQL answers with the new name."""
    run = repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 60)
    fake.rename(repo, "new/name")
    answer = client.session.get(
        f"{client.url}/actions/runs", params={"branch": "main"}, allow_redirects=False
    )
    assert answer.status_code == 301
    assert answer.headers["Location"].endswith(f"/repositories/{repo.id}/actions/runs?branch=main")
    (row,) = client.get("/actions/runs", branch="main")["workflow_runs"]
    assert (row["id"], row["repository"]["full_name"]) == (run.id, "new/name")
    assert row["head_repository"]["full_name"] == "new/name"
    assert client.get("")["full_name"] == "new/name"
    assert repository(client, commit)["nameWithOwner"] == "new/name"


def test_a_name_has_no_case(client: Client, repo: Repo, server: GitHubServer) -> None:
    """A repository is found by its name in capitals."""
    other = Client(server, repo="O/R")
    assert other.get("")["id"] == repo.id == client.get("")["id"]
    other.close()


@pytest.mark.parametrize("renamed", [True, False])
def test_a_check_suite_of_a_branch_that_is_gone_has_none(
    client: Client, repo: Repo, commit: CommitNode, renamed: bool
) -> None:
    """After a branch is renamed or deleted GraphQL has null, while REST keeps the old name."""
    repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 60)
    repo.check(commit, "buildbot", "linux", at=T0 - 60)
    if renamed:
        repo.rename_branch("main", "trunk")
    else:
        repo.delete_branch("main")
    found = repository(client, commit)
    assert found["ref"] is None
    assert found["defaultBranchRef"] == ({"name": "trunk"} if renamed else None)
    assert [s["branch"] for s in found["object"]["checkSuites"]["nodes"]] == [None, None]
    suites = client.get(f"/commits/{commit.sha}/check-suites")["check_suites"]
    assert [suite["head_branch"] for suite in suites] == ["main", "main"]
    assert client.response("/commits", sha="main").status_code == (404 if renamed else 409)


def test_a_merge_queue_tests_on_a_branch_of_its_own(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """A `merge_group` run of the commit that lands has a head branch that is gone."""
    head = f"gh-readonly-queue/main/pr-1-{commit.sha}"
    repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 60, event="merge_group", head_branch=head)
    (row,) = client.get("/actions/runs", head_sha=commit.sha)["workflow_runs"]
    assert (row["event"], row["head_branch"]) == ("merge_group", head)
    (suite,) = repository(client, commit)["object"]["checkSuites"]["nodes"]
    assert suite["branch"] is None


# ---------------------------------------------------------------------- workflows and rows


def test_workflows_have_a_state_and_their_current_name(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """REST and GraphQL have the state; a run keeps the name that its workflow had."""
    repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 60)
    repo.run(commit, Workflow("renamed", CI.path), [Job("a", 0, 1)], at=T0 + 60)
    repo.run(commit, Workflow("lint", "lint.yml"), [Job("a", 0, 1)], at=T0 - 60)
    repo.workflow_states = {"lint.yml": "deleted", CI.path: "disabled_inactivity"}
    rows = client.get("/actions/workflows")["workflows"]
    assert [(row["name"], row["path"], row["state"]) for row in rows] == [
        ("ci", CI.path, "disabled_inactivity"),
        ("lint", "lint.yml", "deleted"),
    ]
    fake.now = T0 + 60
    assert client.get("/actions/workflows")["workflows"][0]["name"] == "renamed"
    names = {row["name"] for row in client.get("/actions/runs")["workflow_runs"]}
    assert names == {"ci", "renamed", "lint"}
    suites = repository(client, commit)["object"]["checkSuites"]["nodes"]
    assert [suite["workflowRun"]["workflow"] for suite in suites] == [
        {"name": "renamed", "state": "DISABLED_INACTIVITY"},
        {"name": "renamed", "state": "DISABLED_INACTIVITY"},
        {"name": "lint", "state": "DELETED"},
    ]


def test_suites_of_other_apps_are_listed(client: Client, repo: Repo, commit: CommitNode) -> None:
    """A suite counts its latest check runs; one without check runs stays queued."""
    run = repo.run(commit, CI, [Job("a", 0, 1, "failure"), Job("b", 0, 1)], at=T0 - 60)
    run.rerun(T0 - 30, [Job("a", 0, 1)])
    repo.check(commit, "github-actions", "report", "failure", at=T0 - 20, took=5, within=run)
    repo.check(commit, "buildbot", "linux", "failure", at=T0 - 20, took=5)
    repo.suite(commit, "idle-app", at=T0 - 20)
    rows = client.get(f"/commits/{commit.sha}/check-suites")["check_suites"]
    assert [
        (r["app"]["slug"], r["status"], r["conclusion"], r["latest_check_runs_count"]) for r in rows
    ] == [
        ("github-actions", "completed", "success", 3),
        ("buildbot", "completed", "failure", 1),
        ("idle-app", "queued", None, 0),
    ]
    assert rows[0]["updated_at"] == time_text(T0 - 15)
    suites = repository(client, commit)["object"]["checkSuites"]["nodes"]
    assert [suite["app"]["slug"] for suite in suites] == [row["app"]["slug"] for row in rows]


def test_a_check_run_may_have_neither_app_nor_suite(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """GitHub's description allows null for both."""
    row = repo.check(commit, "buildbot", "linux", at=T0 - 60)
    repo.unlinked.add(row.id)
    (found,) = client.get(f"/commits/{commit.sha}/check-runs")["check_runs"]
    assert (found["app"], found["check_suite"]) == (None, None)


def test_a_row_may_complete_without_a_conclusion(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """Such a job keeps null for ever, in every kind of list."""
    run = repo.run(commit, CI, [Job("a", 0, 1, conclusion=None), Job("b", 0, 1)], at=T0 - 60)
    fake.now = T0 + 90 * 86400
    jobs = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    assert [(job["status"], job["conclusion"]) for job in jobs] == [
        ("completed", None),
        ("completed", "success"),
    ]
    (suite,) = repository(client, commit)["object"]["checkSuites"]["nodes"]
    assert suite["checkRuns"]["nodes"][0] == {
        "name": "a",
        "status": "COMPLETED",
        "conclusion": None,
    }


def test_one_request_may_be_refused_a_good_token(
    server: GitHubServer, client: Client, repo: Repo
) -> None:
    """A single 401 does not mean that the token is bad."""
    server.fail_next(Kind.UNAUTHORIZED)
    assert [client.response("").status_code for _ in range(2)] == [401, 200]
    assert client.get("")["id"] == repo.id
