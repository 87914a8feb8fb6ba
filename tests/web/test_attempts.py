"""The attempts of a job on the real server."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from trunkwatch.addresses import job_path
from trunkwatch.domain.model import JobKey
from trunkwatch.web.attempts import COMMITS_LIMIT

from tests.docs.markdown import read
from tests.support.rows import TRUNK, history, order, pending, run, sha
from tests.web.conftest import Site

PATH = f"/api/v1{job_path(JobKey(*TRUNK, 'ci', 'build'))}"


def query(*shas: str) -> str:
    return "&".join(f"sha={each}" for each in shas)


def error_of(site: Site, path: str, status: int) -> str:
    answer = site.ask(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def test_the_attempts_of_each_commit_that_is_asked_for(site: Site) -> None:
    """Commits are in the order of the question, each once; runs that do not count are not there."""
    site.ingest(
        *history("P K . C"),
        run(1, event="workflow_run", run_id=7),
        run(2, head_repo="fork/r", run_id=8),
        pending(3, run_id=9),
    )
    asked = sha(3), sha(1).upper(), sha(2), sha(1)
    found = site.ask(f"{PATH}?{query(*asked)}&other=1").json()
    assert (found["repo"], found["branch"], found["workflow"], found["job_name"]) == (
        *TRUNK,
        "ci",
        "build",
    )
    shown = [
        (each["sha"], each["state"], [attempt["conclusion"] for attempt in each["attempts"]])
        for each in found["commits"]
    ]
    assert shown == [
        (sha(3), "R", ["cancelled", None]),
        (sha(1), "K", ["success", "failure"]),
        (sha(2), ".", []),
    ]


def test_the_attempts_have_their_published_schema(site: Site) -> None:
    """The object has the form of the schema, which allows no other key."""
    schema: dict[str, Any] = json.loads(read("exporter/trunkwatch/report/attempts.schema.json"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    site.ingest(*history("P F K C S ? ."))
    found = site.ask(f"{PATH}?{query(*map(sha, range(7)))}").json()
    validator.validate(found)
    assert [each["state"] for each in found["commits"]] == list("PFKCSR.")
    found["commits"][0]["attempts"][0]["more"] = 1
    assert not validator.is_valid(found)


@pytest.mark.parametrize(
    ("shas", "error"),
    [
        ((), "name the commits"),
        (("",), "(got '')"),
        ((sha(0), "HEAD"), "(got 'HEAD')"),
        ((sha(0)[:12],), f"(got '{sha(0)[:12]}')"),
        (("<script>" + "x" * 100,), f"(got '&lt;script&gt;{'x' * 72}')"),
    ],
)
def test_a_hash_that_is_none(site: Site, shas: Sequence[str], error: str) -> None:
    """Without a full hash of each commit the question is refused, with the wrong one."""
    site.ingest(*history("P"))
    assert error in error_of(site, f"{PATH}?{query(*map(quote, shas))}", 400)


def test_so_many_commits_may_be_asked_for(site: Site) -> None:
    """Fifty different hashes are answered, whatever their length together; more are refused."""
    count = COMMITS_LIMIT + 1
    site.ingest(order(count), run(0))
    most = [*map(sha, range(COMMITS_LIMIT))]
    found = site.ask(f"{PATH}?{query(*most, *most)}").json()
    assert [each["sha"] for each in found["commits"]] == most
    error = error_of(site, f"{PATH}?{query(*most, sha(COMMITS_LIMIT))}", 400)
    assert error == "at most 50 different commits in one request (got 51)"


def test_a_hash_that_is_not_on_the_trunk(site: Site) -> None:
    """It is named, and nothing is shown of the others: its results were not read."""
    site.ingest(*history("P F"))
    for elsewhere in ("f" * 40, "f" * 64):
        error = error_of(site, f"{PATH}?{query(sha(0), elsewhere)}", 404)
        assert error == f"not on o/r main: {elsewhere}"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (
            f"/api/v1{job_path(JobKey(*TRUNK, 'ci', '<b>'))}",
            "no job ci / &lt;b&gt; on o/r main; the object of the trunk lists its jobs",
        ),
        (
            f"/api/v1{job_path(JobKey('o/r', 'gone', 'ci', 'build'))}",
            "no trunk o/r/gone/job/ci/build; known: o/r/main",
        ),
    ],
)
def test_a_job_that_does_not_exist(site: Site, path: str, error: str) -> None:
    """A job that is not watched, or a trunk that is not read, is 404 in JSON."""
    site.ingest(*history("P"))
    assert error_of(site, f"{path}?{query(sha(0))}", 404) == error
