"""Deliveries have GitHub's format, order and signature."""

import hashlib
import hmac
from collections import Counter

import pytest

from tests.github.fake import T0, FakeGitHub
from tests.github.repo import PlannedRun, Repo
from tests.github.webhooks import deliveries, sign
from tests.github.workflows import Job, Workflow, skipped

CI = Workflow("ci", ".github/workflows/ci.yml")
END = T0 + 9000


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository with one commit."""
    made = fake.repo("o/r")
    made.commit("first", at=T0 + 1)
    return made


@pytest.fixture
def run(repo: Repo) -> PlannedRun:
    """Return its run: one job that passes, one that needs it and fails, one that is skipped."""
    (commit,) = repo.commits.values()
    jobs = [Job("a", 10, 20), Job("b", 30, 40, "failure", needs=("a",)), skipped("c")]
    return repo.run(commit, CI, jobs, at=T0 + 2)


def test_a_run_is_delivered_from_request_to_completion(fake: FakeGitHub, run: PlannedRun) -> None:
    """Each job is queued, runs and completes; a skipped one only completes."""
    actions = [
        (each.at - T0, each.document["action"], each.document["workflow_job"]["name"])
        for each in deliveries(fake, T0, END)
        if each.event == "workflow_job"
    ]
    assert actions == [
        (2, "queued", "a"),
        (7, "completed", "c"),
        (12, "in_progress", "a"),
        (22, "completed", "a"),
        (22, "queued", "b"),
        (32, "in_progress", "b"),
        (42, "completed", "b"),
    ]
    runs = [each for each in deliveries(fake, T0, END) if each.event == "workflow_run"]
    assert [each.document["action"] for each in runs] == ["requested", "in_progress", "completed"]
    assert runs[-1].document["workflow_run"]["conclusion"] == "failure"
    assert runs[-1].document["workflow_run"]["id"] == run.id


def test_a_job_s_body_does_not_describe_its_run(fake: FakeGitHub, run: PlannedRun) -> None:
    """A job's body has neither the event nor the head repository nor the workflow's path."""
    job = next(d for d in deliveries(fake, T0, END) if d.event == "workflow_job").document
    assert job["workflow_job"]["run_id"] == run.id
    assert not {"event", "head_repository", "path"} & job["workflow_job"].keys()


def test_a_window_holds_its_end_and_not_its_begin(fake: FakeGitHub, run: PlannedRun) -> None:
    """Consecutive time ranges contain every delivery exactly once."""
    whole = deliveries(fake, T0, END)
    parts = [*deliveries(fake, T0, T0 + 22), *deliveries(fake, T0 + 22, END)]
    assert parts == whole
    assert max(each.at for each in deliveries(fake, T0, T0 + 22)) == T0 + 22
    assert len({each.delivery_id for each in whole}) == len(whole)
    assert run.created_at == min(each.at for each in whole if each.event == "workflow_run")


def test_every_event_is_as_described(fake: FakeGitHub, repo: Repo, run: PlannedRun) -> None:
    """Other checks, re-runs, failed starts and pushes are delivered and valid."""
    (commit,) = repo.commits.values()
    run.rerun(T0 + 100, [Job("b", 1, 2)], copies=True)
    repo.run(commit, Workflow("w", "w.yml"), startup_failure=True, at=T0 + 3)
    repo.check(commit, "other-ci", "build", at=T0 + 4)
    repo.commit("second", at=T0 + 5)
    repo.force_push(commit, at=T0 + 6)
    found = deliveries(fake, T0, END)
    assert Counter(each.event for each in found) == {
        "workflow_job": 10, "check_run": 9, "workflow_run": 7, "push": 3
    }  # fmt: skip
    pushes = [each.document for each in found if each.event == "push"]
    assert [push["forced"] for push in pushes] == [False, False, True]
    assert [len(push["commits"]) for push in pushes] == [1, 1, 0]


def test_the_signature_is_that_of_the_body() -> None:
    """The signature is the HMAC of the raw bytes, as in GitHub's documentation."""
    # The example of "Validating webhook deliveries" in GitHub's documentation.
    documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign("It's a Secret to Everybody", b"Hello, World!") == documented
    other = hmac.new(b"s", b"{}", hashlib.sha256).hexdigest()
    assert sign("s", b"{}") == f"sha256={other}"
