"""The fake GitHub refuses in private repositories what the three kinds of tokens may not read."""

import pytest

from tests.github.client import Client
from tests.github.fake import T0, FakeGitHub
from tests.github.graphql_schema import require_schema
from tests.github.repo import PlannedRun
from tests.github.rights import APP, CLASSIC, CLASSIC_PUBLIC, FINE_GRAINED, READABLE, Rights
from tests.github.workflows import Job, Workflow

CI = Workflow("ci", ".github/workflows/ci.yml")
ENDPOINTS = {
    "": "metadata",
    "/actions/runs": "actions",
    "/actions/workflows": "actions",
    "/actions/workflows/ci.yml/runs": "actions",
    "/commits": "contents",
    "/compare/main...main": "contents",
    "/contents/.github/workflows/ci.yml": "contents",
    "/commits/main/check-runs": "checks",
    "/commits/main/check-suites": "checks",
    "/commits/main/status": "statuses",
}
QUERY = """{ repository(owner: "o", name: "r") {
  nameWithOwner
  ref(qualifiedName: "main") { target { ... on Commit { oid
    checkSuites(first: 10) { totalCount nodes { status workflowRun { databaseId } } } } } }
} }"""
SUITE = ("repository", "ref", "target", "checkSuites", "nodes", 0)


@pytest.fixture(autouse=True)
def run(fake: FakeGitHub) -> PlannedRun:
    """Return the only run of a private repository."""
    repo = fake.repo("o/r", private=True)
    return repo.run(repo.commit("first", at=T0 - 60), CI, [Job("a", 0, 1)], at=T0 - 50)


@pytest.mark.parametrize("missing", sorted(READABLE - {"metadata", "issues"}))
def test_each_endpoint_needs_its_permission(fake: FakeGitHub, client: Client, missing: str) -> None:
    """Exactly the endpoints of a missing permission answer 403 and name it."""
    fake.rights = APP.without(missing)
    for path, permission in ENDPOINTS.items():
        answer = client.response(path)
        assert answer.status_code == (403 if permission == missing else 200)
        if permission == missing:
            assert answer.json()["message"] == "Resource not accessible by integration"
            assert answer.headers["X-Accepted-GitHub-Permissions"] == f"{missing}=read"


@pytest.mark.parametrize(
    ("rights", "status", "message"),
    [
        (CLASSIC, 200, None),
        (CLASSIC_PUBLIC, 404, "Not Found"),
        (FINE_GRAINED, 403, "Resource not accessible by personal access token"),
        (APP, 200, None),
    ],
)
def test_a_public_repository_is_open_to_every_token(
    fake: FakeGitHub, client: Client, rights: Rights, status: int, message: str | None
) -> None:
    """Check runs are refused in the private repository only."""
    fake.rights = rights
    fake.repo("o/public").commit("first")
    open_client = Client(client.server, repo="o/public")
    assert open_client.response("/commits/main/check-runs").status_code == 200
    open_client.close()
    answer = client.response("/commits/main/check-runs")
    assert (answer.status_code, answer.json().get("message")) == (status, message)


@pytest.mark.parametrize(
    ("rights", "path", "kind"),
    [
        (FINE_GRAINED, SUITE, "FORBIDDEN"),
        (APP.without("checks"), SUITE, "FORBIDDEN"),
        (APP.without("actions"), (*SUITE, "workflowRun"), "FORBIDDEN"),
        (APP.without("contents"), SUITE[:2], "FORBIDDEN"),
        (CLASSIC_PUBLIC, SUITE[:1], "NOT_FOUND"),
    ],
)
def test_graphql_refuses_field_by_field(
    fake: FakeGitHub, client: Client, rights: Rights, path: tuple[str | int, ...], kind: str
) -> None:
    """A refused field or row is null beside an error with its path, and the others are answered."""
    require_schema()
    fake.rights = rights
    answer = client.post_query(QUERY).json()
    (error,) = answer["errors"]
    assert (error["type"], tuple(error["path"])) == (kind, path)
    value = answer["data"]
    for key in path:
        value = value[key]
    assert value is None


def test_graphql_refuses_refused_nodes_by_their_id(
    fake: FakeGitHub, client: Client, run: PlannedRun
) -> None:
    """A token without Checks may read a run by its id, and not its suite and check runs."""
    require_schema()
    by_rest = client.get(f"/actions/runs/{run.id}")
    (job,) = client.get(f"/actions/runs/{run.id}/jobs")["jobs"]
    fake.rights = FINE_GRAINED
    ids = [by_rest["node_id"], by_rest["check_suite_node_id"], job["node_id"]]
    answer = client.post_query("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids).json()
    assert answer["data"]["nodes"] == [{"id": ids[0]}, None, None]
    assert [error["type"] for error in answer["errors"]] == ["FORBIDDEN", "FORBIDDEN"]
