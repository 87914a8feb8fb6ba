"""The fake GitHub executes GraphQL queries as GitHub documents them."""

from collections.abc import Mapping
from typing import Any

import pytest
from requests import Response

from tests.github.client import Client
from tests.github.commits import CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import Kind
from tests.github.graphql_endpoint import TIMEOUT_SECONDS
from tests.github.graphql_schema import require_schema
from tests.github.repo import Repo
from tests.github.server import GitHubServer, serving_github
from tests.github.workflows import Job, Workflow

CI = Workflow("ci", ".github/workflows/ci.yml")
TRUNK = """
query(
  $first: Int = 10, $after: String, $suites: Int = 10, $rows: Int = 10, $which: CheckRunFilter
) {
  rateLimit { cost limit remaining used nodeCount resetAt }
  repository(owner: "o", name: "r") {
    id databaseId nameWithOwner isArchived isFork isEmpty
    defaultBranchRef { name }
    ref(qualifiedName: "refs/heads/main") { target { oid ... on Commit {
      history(first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes {
          oid committedDate messageHeadline author { name user { login } }
          parents(first: 1) { nodes { oid } }
          checkSuites(first: $suites) {
            totalCount pageInfo { hasNextPage endCursor }
            nodes {
              id databaseId app { slug name databaseId } branch { name }
              conclusion status createdAt updatedAt url commit { oid }
              workflowRun {
                id databaseId runNumber event url createdAt updatedAt
                workflow { name databaseId resourcePath state } file { path }
              }
              checkRuns(first: $rows, filterBy: $which) {
                totalCount pageInfo { hasNextPage endCursor }
                nodes {
                  id databaseId name status conclusion startedAt completedAt detailsUrl permalink
                  url title text
                }
              }
            }
          }
        }
      }
    } } }
  }
}
"""
NODES = """
query($ids: [ID!]!) {
  nodes(ids: $ids) {
    id
    ... on Repository { nameWithOwner }
    ... on Commit { oid }
    ... on WorkflowRun { databaseId }
    ... on CheckSuite { databaseId }
    ... on CheckRun {
      databaseId
      steps(first: 10) { nodes { name number status conclusion } }
      annotations(first: 5) { nodes { annotationLevel message path } }
    }
  }
}
"""


@pytest.fixture(autouse=True)
def _with_schema() -> None:
    require_schema()


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository with ids that exceed 32 bit."""
    fake.skip_ids(2**32)
    return fake.repo("o/r")


@pytest.fixture
def commit(repo: Repo) -> CommitNode:
    """Return its newest commit."""
    repo.commit("first", at=T0 - 100)
    return repo.commit("second", at=T0 - 50)


def history(client: Client, **variables: Any) -> dict[str, Any]:
    """Return the history of the trunk."""
    found: dict[str, Any] = client.query(TRUNK, **variables)["repository"]["ref"]["target"]
    history: dict[str, Any] = found["history"]
    return history


def suites(client: Client, **variables: Any) -> list[dict[str, Any]]:
    """Return the check suites of the newest commit."""
    found: list[dict[str, Any]] = history(client, **variables)["nodes"][0]["checkSuites"]["nodes"]
    return found


def error_of(answer: Response) -> Mapping[str, Any]:
    """Return the first error of an answer."""
    assert answer.status_code == 200
    error: Mapping[str, Any] = answer.json()["errors"][0]
    return error


def ask(fake: FakeGitHub, query: str) -> None:
    """Serve a fake GitHub for one query that it does not support."""
    with serving_github(fake) as server:
        client = Client(server)
        assert client.post_query(query).status_code == 501
        client.close()


# ---------------------------------------------------------------------- objects


def test_one_query_has_the_commits_suites_and_check_runs(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The same commits, suites, runs and check runs are read by GraphQL as by REST."""
    run = repo.run(
        commit, CI, [Job("good", 0, 10), Job("bad", 0, 20, "failure"), Job("later")], at=T0 - 30
    )
    repo.check(commit, "buildbot", "linux", at=T0 - 40, took=10)
    newest, oldest = history(client)["nodes"]
    assert [newest["oid"], oldest["oid"]] == [row["sha"] for row in client.get("/commits")]
    assert newest["parents"]["nodes"] == [{"oid": oldest["oid"]}]
    assert oldest["parents"]["nodes"] == []
    mine, other = newest["checkSuites"]["nodes"]
    by_rest = client.get(f"/actions/runs/{run.id}")
    assert (mine["id"], mine["databaseId"]) == (
        by_rest["check_suite_node_id"],
        by_rest["check_suite_id"],
    )
    assert (mine["status"], mine["conclusion"], mine["branch"]) == (
        "IN_PROGRESS",
        None,
        {"name": "main"},
    )
    assert mine["updatedAt"] == by_rest["updated_at"]
    assert mine["workflowRun"] == {
        "id": by_rest["node_id"],
        "databaseId": by_rest["id"],
        "runNumber": 1,
        "event": "push",
        "url": by_rest["html_url"],
        "createdAt": by_rest["created_at"],
        "updatedAt": by_rest["updated_at"],
        "workflow": {
            "name": "ci",
            "databaseId": by_rest["workflow_id"],
            "resourcePath": "/o/r/actions/workflows/ci.yml",
            "state": "ACTIVE",
        },
        "file": {"path": CI.path},
    }
    assert (other["app"]["slug"], other["conclusion"], other["workflowRun"]) == (
        "buildbot",
        "SUCCESS",
        None,
    )
    rows = {row["databaseId"]: row for row in mine["checkRuns"]["nodes"]}
    for job in client.get(f"/actions/runs/{run.id}/jobs")["jobs"]:
        row = rows[job["id"]]
        assert job["id"] > 2**32
        assert (row["id"], row["name"], row["status"], row["conclusion"]) == (
            job["node_id"],
            job["name"],
            job["status"].upper(),
            job["conclusion"] and job["conclusion"].upper(),
        )
        assert row["detailsUrl"] == job["html_url"]


def test_an_empty_repository_has_no_trunk(client: Client, repo: Repo) -> None:
    """Without a commit neither the branch nor the default branch exists."""
    found = client.query(TRUNK)["repository"]
    assert (found["isEmpty"], found["defaultBranchRef"], found["ref"]) == (True, None, None)
    assert found["nameWithOwner"] == repo.full_name


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (None, ["a", "b"]),
        ({"checkType": "LATEST"}, ["a", "b"]),
        ({"checkType": "ALL"}, ["a", "a", "b"]),
        ({"checkType": "ALL", "conclusions": ["FAILURE"]}, ["a"]),
        ({"checkType": "ALL", "status": "IN_PROGRESS"}, []),
        ({"checkName": "b"}, ["b"]),
    ],
)
def test_the_latest_check_runs_are_the_default(
    client: Client, repo: Repo, commit: CommitNode, which: object, names: list[str]
) -> None:
    """The earlier attempts of a run are in list and total only if all are requested."""
    run = repo.run(commit, CI, [Job("a", 0, 1, "failure"), Job("b", 0, 1)], at=T0 - 30)
    run.rerun(T0 - 20, [Job("a", 0, 1)])
    rows = suites(client, which=which)[0]["checkRuns"]
    assert (sorted(row["name"] for row in rows["nodes"]), rows["totalCount"]) == (names, len(names))


def test_a_change_of_a_check_run_changes_its_suite(
    fake: FakeGitHub, client: Client, repo: Repo, commit: CommitNode
) -> None:
    """`updatedAt` of suite and run is the time of the last change of one of their check runs."""
    repo.run(commit, CI, [Job("a", 10, 20), Job("b", 10, 50)], at=T0)
    seen = []
    for after in (0, 10, 19, 20, 50, 60):
        fake.now = T0 + after
        (suite,) = suites(client)
        assert suite["updatedAt"] == suite["workflowRun"]["updatedAt"]
        seen.append(suite["updatedAt"])
    assert len(set(seen)) == 4
    assert (seen[1] == seen[2], seen[4] == seen[5]) == (True, True)


def test_node_ids_of_rest_are_read_in_any_order(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """`nodes` answers in the order of its ids, with null and an error for an unknown one."""
    run = repo.run(commit, CI, [Job("a", 0, 1, "failure")], at=T0 - 30)
    by_rest = client.get(f"/actions/runs/{run.id}")
    (job,) = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    ids = [
        job["node_id"],
        by_rest["check_suite_node_id"],
        by_rest["node_id"],
        client.get("/commits")[0]["node_id"],
        client.get("")["node_id"],
        "CS_unknown",
    ]
    answer = client.post_query(NODES, ids=ids)
    found = answer.json()["data"]["nodes"]
    assert [node and node["id"] for node in found] == [*ids[:-1], None]
    assert found[0]["steps"]["nodes"][1]["conclusion"] == "FAILURE"
    assert found[0]["annotations"]["nodes"][0]["annotationLevel"] == "FAILURE"
    assert (error_of(answer)["type"], error_of(answer)["path"]) == ("NOT_FOUND", ["nodes", 5])


def test_the_repositories_of_an_owner_are_listed(client: Client, fake: FakeGitHub) -> None:
    """Archived repositories and forks can be left out."""
    for name in ("o/r", "o/old", "o/fork", "other/x"):
        fake.repo(name).commit("first")
    fake.repos["o/old"].archived = fake.repos["o/fork"].fork = True
    query = """query($login: String!, $isFork: Boolean) { repositoryOwner(login: $login) {
      repositories(first: 10, ownerAffiliations: OWNER, isArchived: false, isFork: $isFork) {
        nodes { nameWithOwner isArchived isFork defaultBranchRef { name target { oid } } } } } }"""
    found = client.query(query, login="o")["repositoryOwner"]["repositories"]["nodes"]
    assert [repo["nameWithOwner"] for repo in found] == ["o/r", "o/fork"]
    found = client.query(query, login="o", isFork=False)["repositoryOwner"]["repositories"]["nodes"]
    assert [repo["nameWithOwner"] for repo in found] == ["o/r"]
    assert found[0]["defaultBranchRef"]["target"] == {"oid": client.get("/commits")[0]["sha"]}
    assert client.query(query, login="nobody") == {"repositoryOwner": None}


# ---------------------------------------------------------------------- pages


def test_a_page_of_the_history_continues_from_its_own_head(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """A commit that is pushed between two pages neither repeats nor drops a row."""
    first = history(client, first=1)
    assert first["pageInfo"]["hasNextPage"]
    repo.commit("third")
    rest = history(client, after=first["pageInfo"]["endCursor"])
    assert [node["oid"] for node in rest["nodes"]] == [commit.parents[0].sha]
    assert not rest["pageInfo"]["hasNextPage"]
    assert error_of(client.post_query(TRUNK, after="unknown"))["type"] == "INVALID_CURSOR_ARGUMENTS"


def test_check_runs_come_in_pages(client: Client, repo: Repo, commit: CommitNode) -> None:
    """The pages of a suite have every check run once."""
    repo.run(commit, CI, [Job(f"j{n}", 0, 1) for n in range(5)], at=T0 - 9)
    (suite,) = suites(client, rows=3)
    rows = suite["checkRuns"]
    query = """query($id: ID!, $after: String) { node(id: $id) { ... on CheckSuite {
        checkRuns(first: 3, after: $after) { nodes { name } pageInfo { hasNextPage } } } } }"""
    rest = client.query(query, id=suite["id"], after=rows["pageInfo"]["endCursor"])["node"]
    names = [row["name"] for row in (*rows["nodes"], *rest["checkRuns"]["nodes"])]
    assert (rows["totalCount"], sorted(names)) == (5, ["j0", "j1", "j2", "j3", "j4"])
    assert not rest["checkRuns"]["pageInfo"]["hasNextPage"]


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("query", "variables", "words"),
    [
        ("{ repository(owner: ", {}, "Syntax Error"),
        ("{ repository { id } }", {}, "is required"),
        (
            '{ repository(owner: "o", name: "r") { refs(refPrefix: "x") { totalCount } } }',
            {},
            "`first` or `last`",
        ),
        (TRUNK.replace("runNumber", "runAttempt"), {}, "runAttempt"),
        (TRUNK, {"first": 101}, "exceeds the `first` limit of 100"),
        (TRUNK, {"first": 100, "suites": 100, "rows": 100}, "limit of 500,000"),
        (NODES, {"ids": ["CS_1"] * 101}, "more than 100 node ids"),
        (NODES, {}, "to be provided"),
    ],
    ids=["syntax", "argument", "no page size", "field", "page", "nodes", "ids", "variable"],
)
def test_a_query_that_github_would_refuse_is_refused(
    client: Client, query: str, variables: Mapping[str, Any], words: str
) -> None:
    """A query that the schema or a documented limit does not allow has an error, and no data."""
    answer = client.post_query(query, **variables)
    assert words in error_of(answer)["message"]
    assert answer.json().get("data") is None


def test_a_field_that_the_fake_does_not_support_fails_the_test(fake: FakeGitHub) -> None:
    """A field that only the schema has fails the test when the server stops."""
    fake.repo("o/r")
    with pytest.raises(AssertionError, match=r"Repository\.forkCount"):
        ask(fake, '{ repository(owner: "o", name: "r") { forkCount } }')


def test_ghes_has_another_address(fake: FakeGitHub) -> None:
    """Where REST is at `/api/v3`, GraphQL is at `/api/graphql`."""
    fake.repo("o/r")
    with serving_github(fake, prefix="/api/v3") as server:
        assert server.graphql_url == server.url.replace("/api/v3", "/api/graphql")
        client = Client(server)
        assert client.query(TRUNK)["repository"]["nameWithOwner"] == "o/r"
        client.close()


@pytest.mark.parametrize(("token", "words"), [(None, "authenticated"), ("wrong", "credentials")])
def test_a_token_is_needed(
    fake: FakeGitHub, server: GitHubServer, token: str | None, words: str
) -> None:
    """GraphQL has no access without a token, even to a public repository."""
    fake.repo("o/r")
    client = Client(server, token)
    answer = client.post_query(TRUNK)
    assert (answer.status_code, words in answer.json()["message"]) == (401, True)
    client.close()


# ---------------------------------------------------------------------- cost


@pytest.mark.usefixtures("commit")
@pytest.mark.parametrize(
    ("variables", "cost", "nodes"),
    [
        ({"first": 50, "suites": 20, "rows": 100}, 11, 50 + 50 + 1000 + 100_000),
        ({"first": 10, "suites": 20, "rows": 100}, 2, 10 + 10 + 200 + 20_000),
        ({"first": 1}, 1, 1 + 1 + 10 + 100),
    ],
)
def test_points_follow_the_documented_formula(
    server: GitHubServer,
    client: Client,
    variables: Mapping[str, Any],
    cost: int,
    nodes: int,
) -> None:
    """A hundred requests of connections are a point, which is charged to a quota of its own."""
    answer = client.post_query(TRUNK, **variables)
    limit = answer.json()["data"]["rateLimit"]
    assert (limit["cost"], limit["nodeCount"], limit["used"]) == (cost, nodes, cost)
    assert limit["remaining"] == 5000 - cost == int(answer.headers["x-ratelimit-remaining"])
    assert answer.headers["x-ratelimit-resource"] == "graphql"
    assert (server.counted(), server.points(), server.sent()) == (cost, cost, 1)
    assert client.response("").headers["x-ratelimit-used"] == "1"
    assert (server.counted(), server.points(), server.sent()) == (cost + 1, cost, 2)


def test_annotations_of_fifty_check_runs_cost_a_point(
    client: Client, server: GitHubServer, repo: Repo, commit: CommitNode
) -> None:
    """A connection below `nodes` is counted once for each id."""
    run = repo.run(commit, CI, [Job(f"j{n}", 0, 1) for n in range(50)], at=T0 - 9)
    jobs = client.get(f"/actions/runs/{run.id}/jobs", per_page=50)["jobs"]
    client.query(NODES, ids=[job["node_id"] for job in jobs])
    assert server.points() == 1


@pytest.mark.usefixtures("commit")
def test_spent_points_refuse_until_the_hour_is_over(fake: FakeGitHub, client: Client) -> None:
    """A used-up quota answers 200 with an error; REST goes on."""
    fake.graphql_limit = 1
    client.query(TRUNK, first=1)
    error = error_of(client.post_query(TRUNK))
    assert (error["type"], error["code"]) == ("RATE_LIMIT", "graphql_rate_limit")
    client.get("")
    fake.now += 3600
    client.query(TRUNK, first=1)


@pytest.mark.parametrize("times_out", [True, False])
def test_a_query_with_too_many_rows_fails(
    fake: FakeGitHub, client: Client, commit: CommitNode, repo: Repo, times_out: bool
) -> None:
    """It ends with 502 after ten seconds, or with an error for each row beyond the limit."""
    repo.run(commit, CI, [Job("a", 0, 1), Job("b", 0, 1)], at=T0 - 9)
    fake.graphql_rows_limit, fake.graphql_times_out = 5, times_out
    answer = client.post_query(TRUNK)
    assert (answer.status_code, fake.now - T0) == (
        (502, TIMEOUT_SECONDS) if times_out else (200, 0)
    )
    if not times_out:
        assert error_of(answer)["type"] == "RESOURCE_LIMITS_EXCEEDED"
        newest, _ = answer.json()["data"]["repository"]["ref"]["target"]["history"]["nodes"]
        assert newest["checkSuites"]["nodes"][0]["checkRuns"]["nodes"] == [None, None]
    fake.graphql_rows_limit = 6
    assert len(suites(client)[0]["checkRuns"]["nodes"]) == 2


@pytest.mark.usefixtures("commit")
@pytest.mark.parametrize(
    ("kind", "status"), [(Kind.BAD_GATEWAY, 502), (Kind.TOO_MANY, 429), (Kind.NULL_FIELD, 200)]
)
def test_faults_are_injected_into_queries(
    server: GitHubServer, client: Client, kind: Kind, status: int
) -> None:
    """The faults of single answers exist for GraphQL too."""
    server.fail_next(kind, "graphql")
    answer = client.post_query(TRUNK, first=1)
    assert (answer.status_code, [one for one, _ in server.faults.happened]) == (status, [kind])
    assert server.points() == (0 if status == 429 else 1)
