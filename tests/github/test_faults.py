"""Each kind of fault has its documented effect and no other."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.github.client import Client
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import ALL, UNCOUNTED, Faults, Kind
from tests.github.server import GitHubServer, serving_github
from tests.github.workflows import Job, Workflow
from tests.support.waiting import eventually

CI = Workflow("ci", ".github/workflows/ci.yml")
CHECKS = "/commits/main/check-runs"


@pytest.fixture(autouse=True)
def _some_runs(fake: FakeGitHub) -> None:
    repo = fake.repo("o/r")
    commit = repo.commit("first", at=T0 - 99)
    for ago in (30, 20, 10):
        repo.run(commit, CI, [Job(f"j{ago}-{n}", 0, 1) for n in range(3)], at=T0 - ago)


def checks(client: Client, page: int = 1, per_page: int = 4) -> dict[str, Any]:
    """Return one page of the check runs; there are nine."""
    found: dict[str, Any] = client.get(CHECKS, per_page=per_page, page=page)
    return found


def ids(document: dict[str, Any]) -> list[int]:
    """Return the ids of a page's rows."""
    return [row["id"] for row in document["check_runs"]]


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (Kind.SERVER_ERROR, 500, "Server Error"),
        (Kind.BAD_GATEWAY, 502, "Bad Gateway"),
        (Kind.SECONDARY_LIMIT, 403, "You have exceeded a secondary rate limit"),
        (Kind.TOO_MANY, 429, "You have exceeded a secondary rate limit"),
    ],
)
def test_a_refusal_comes_once(
    server: GitHubServer, client: Client, kind: Kind, status: int, message: str
) -> None:
    """Only one response is an error; a limit's error has Retry-After and is not counted."""
    server.fail_next(kind, CHECKS)
    refused = client.response(CHECKS)
    assert refused.status_code == status
    assert refused.json()["message"].startswith(message)
    assert refused.headers.get("Retry-After") == ("60" if kind in UNCOUNTED else None)
    assert server.counted() == (0 if kind in UNCOUNTED else 1)
    assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert client.response(CHECKS).status_code == 200


def test_a_hang_never_answers(server: GitHubServer, client: Client) -> None:
    """A hang lasts until the client times out, and other requests are answered meanwhile."""
    server.fail_next(Kind.HANG)
    client.timeout_seconds = 0.1
    with pytest.raises(requests.ReadTimeout):
        client.response(CHECKS)
    client.timeout_seconds = 10.0
    assert client.response(CHECKS).status_code == 200
    assert [entry.status for entry in server.log] == [0, 200]


def test_a_hang_ends_with_the_server(fake: FakeGitHub) -> None:
    """A server that stops waits for no client and leaves no thread behind."""
    before = threading.active_count()
    with ThreadPoolExecutor(1) as pool:
        with serving_github(fake) as server:
            server.fail_next(Kind.HANG)
            client = Client(server)
            hanging = pool.submit(client.response, CHECKS)
            eventually(server.sent, "the request comes")
        with pytest.raises(requests.ConnectionError):
            hanging.result()
        client.close()
    assert threading.active_count() == before


def test_a_reset_cuts_the_body(server: GitHubServer, client: Client) -> None:
    """The connection breaks before Content-Length bytes were sent."""
    server.fail_next(Kind.RESET)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.response(CHECKS)
    assert client.response(CHECKS).status_code == 200


def test_a_truncated_document_has_a_valid_length(server: GitHubServer, client: Client) -> None:
    """A truncated document is valid HTTP and invalid JSON."""
    server.fail_next(Kind.TRUNCATED)
    answer = client.response(CHECKS)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_missing_row_leaves_the_total_right(server: GitHubServer, client: Client) -> None:
    """The page lacks one row, and the total count does not show it."""
    whole = checks(client)
    server.fail_next(Kind.MISSING_ROW)
    short = checks(client)
    assert (short["total_count"], len(ids(short))) == (9, 3)
    assert set(ids(short)) < set(ids(whole))


def test_a_shifted_page_begins_with_the_row_before(server: GitHubServer, client: Client) -> None:
    """A shifted page repeats one row, and the pages together lack another."""
    first, second, third = (checks(client, page) for page in (1, 2, 3))
    server.fail_next(Kind.SHIFTED_PAGE)
    shifted = checks(client, 2)
    assert ids(shifted) == [ids(first)[-1], *ids(second)[:-1]]
    seen = {*ids(first), *ids(shifted), *ids(third)}
    assert (shifted["total_count"], len(seen)) == (9, 8)


def test_a_duplicated_row_hides_another(server: GitHubServer, client: Client) -> None:
    """A duplicated row replaces another, so that the page keeps its length."""
    server.fail_next(Kind.DUPLICATED_ROW)
    found = ids(checks(client))
    assert (len(found), len(set(found))) == (4, 3)


def test_a_null_field_stands_where_something_was(server: GitHubServer, client: Client) -> None:
    """Exactly one member differs from the original document."""
    whole = checks(client, per_page=1)
    server.fail_next(Kind.NULL_FIELD)
    spoilt = checks(client, per_page=1)
    assert _nulls(spoilt) == _nulls(whole) + 1 or spoilt["total_count"] is None


def _nulls(value: object) -> int:
    if isinstance(value, dict):
        return sum(_nulls(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(_nulls(inner) for inner in value)
    return value is None


def test_a_deleted_run_comes_back(server: GitHubServer, client: Client) -> None:
    """A deleted run is missing in one response: 404 for its jobs, one fewer in the list."""
    runs = client.get("/actions/runs")
    path = f"/actions/runs/{runs['workflow_runs'][0]['id']}/jobs"
    server.fail_next(Kind.DELETED_RUN, "jobs")
    assert [client.response(path).status_code for _ in range(2)] == [404, 200]
    server.fail_next(Kind.DELETED_RUN, "runs$")
    fewer = client.get("/actions/runs")
    assert (fewer["total_count"], len(fewer["workflow_runs"])) == (2, 2)
    assert client.get("/actions/runs") == runs


@pytest.mark.parametrize("kind", [Kind.MISSING_ROW, Kind.NULL_FIELD])
def test_a_spoilt_answer_has_an_etag_of_its_own(
    server: GitHubServer, client: Client, kind: Kind
) -> None:
    """The ETag of a corrupted response does not match afterwards."""
    server.fail_next(kind)
    etag = client.response(CHECKS).headers["ETag"]
    assert client.response(CHECKS, etag=etag).status_code == 200


def test_a_fault_waits_for_its_path(server: GitHubServer, client: Client) -> None:
    """A fault affects only requests of its path, `times` times."""
    server.fail_next(Kind.SERVER_ERROR, CHECKS, times=2)
    assert client.response("/commits").status_code == 200
    assert [client.response(CHECKS).status_code for _ in range(3)] == [500, 500, 200]


@pytest.mark.slow
def test_a_rate_of_faults_is_the_same_for_the_same_seed(
    server: GitHubServer, client: Client
) -> None:
    """Faults occur at about the given rate, are of all given kinds, and depend on the seed."""
    kinds = [kind for kind in ALL if kind not in (Kind.HANG, Kind.RESET)]
    seen = []
    for seed in (3, 3, 4):
        server.faults = Faults(0.3, seed, kinds)
        for _ in range(100):
            client.response(CHECKS)
            client.response("/actions/runs")
        seen.append(list(server.faults.happened))
    assert seen[0] == seen[1] != seen[2]
    assert 40 <= len(seen[0]) <= 80
    assert {kind for kind, _ in seen[0]} == set(kinds)
