"""The fake GitHub's endpoints respond as GitHub documents."""

from typing import Any

import pytest
from trunkwatch.domain.model import STARTUP_JOB

from tests.github.client import Client
from tests.github.commits import CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.json_parts import time_text
from tests.github.repo import PlannedRun, Repo
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded

CI = Workflow("ci", ".github/workflows/ci.yml")


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository."""
    return fake.repo("o/r")


@pytest.fixture
def commit(repo: Repo) -> CommitNode:
    """Return its only commit."""
    return repo.commit("first")


def names(rows: list[dict[str, Any]]) -> list[str]:
    """Return the names of rows."""
    return [row["name"] for row in rows]


def jobs_of(client: Client, run: PlannedRun, which: str = "all") -> list[dict[str, Any]]:
    """Return the jobs of a run."""
    rows: list[dict[str, Any]] = client.get(f"/actions/runs/{run.id}/jobs", filter=which)["jobs"]
    return rows


# ---------------------------------------------------------------------- lists


def test_a_list_comes_in_pages_with_links(client: Client, repo: Repo, commit: CommitNode) -> None:
    """The pages contain every row once, and their Link headers lead from page to page."""
    repo.run(commit, CI, [Job(f"j{n}", 0, 1) for n in range(5)], at=T0 - 9)
    path = "/commits/main/check-runs"
    pages = [client.response(path, per_page=2, page=page) for page in (1, 2, 3)]
    found = [name for page in pages for name in names(page.json()["check_runs"])]
    assert sorted(found) == ["j0", "j1", "j2", "j3", "j4"]
    assert {page.json()["total_count"] for page in pages} == {5}
    assert [sorted(page.links) for page in pages] == [
        ["last", "next"], ["first", "last", "next", "prev"], ["first", "prev"]
    ]  # fmt: skip
    assert client.session.get(pages[0].links["next"]["url"]).json() == pages[1].json()


def test_a_filtered_list_of_runs_ends_at_a_thousand(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The total of a filtered list exceeds the 1,000 reachable runs; an unfiltered list has all."""
    for number in range(1003):
        repo.run(commit, CI, at=T0 - number)
    last = client.get("/actions/runs", branch="main", per_page=100, page=10)
    past = client.get("/actions/runs", branch="main", per_page=100, page=11)
    assert (last["total_count"], len(last["workflow_runs"])) == (1003, 100)
    assert past["workflow_runs"] == []
    assert len(client.get("/actions/runs", per_page=100, page=11)["workflow_runs"]) == 3


@pytest.mark.parametrize(
    ("created", "found"),
    [
        (f">={time_text(T0 - 10)}", [3, 2]),
        (f"<={time_text(T0 - 10)}", [2, 1]),
        (f"{time_text(T0 - 20)}..{time_text(T0 - 10)}", [2]),
        (f"{time_text(T0 - 19)}..{time_text(T0 - 11)}", []),
        (f">{time_text(T0 - 10)}", [3]),
    ],
)
def test_runs_are_filtered_by_their_creation(
    client: Client, repo: Repo, commit: CommitNode, created: str, found: list[int]
) -> None:
    """A range includes both ends, in whole seconds, and the newest run is first."""
    for ago in (20.4, 10.0, 0.0):
        repo.run(commit, CI, at=T0 - ago)
    listed = client.get("/actions/runs", created=created)["workflow_runs"]
    assert [run["run_number"] for run in listed] == found


def test_a_fork_s_run_is_listed_under_its_branch_name(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """A pull request from a fork's `main` is listed under `main` and has no expected results."""
    repo.run(commit, CI, [Job("a", 0, 1)], event="pull_request", head_repo="fork/r", at=T0 - 9)
    (run,) = client.get("/actions/runs", branch="main")["workflow_runs"]
    assert run["head_repository"]["full_name"] == "fork/r"
    assert fake.expected_facts(repo)[1] == []


def test_commits_are_all_that_is_reachable_and_not_first_parent(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """The list is sorted by date, so merged commits stand between those of the trunk."""
    side = repo.loose_commit("side", date=T0 + 2, parents=[commit])
    repo.commit("trunk", at=T0 + 1)
    tip = repo.merge("merge", side, at=T0 + 3)
    fake.now = T0 + 3
    listed = client.get("/commits", sha="main")
    titles = [row["commit"]["message"].partition("\n")[0] for row in listed]
    assert titles == ["merge", "side", "trunk", "first"]
    assert [parent["sha"] for parent in listed[0]["parents"]][1] == side.sha
    assert [c.title for c in fake.expected_facts(repo)[0].commits] == ["first", "trunk", "merge"]
    assert client.get("/commits/main")["sha"] == tip.sha


def test_a_force_push_moves_the_branch_at_its_time(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """The head is the old tip before a force push and the new one from then on."""
    old = repo.commit("second", at=T0 + 1)
    repo.force_push(commit, at=T0 + 5)
    fake.now = T0 + 4
    assert client.get("/commits")[0]["sha"] == old.sha
    fake.now = T0 + 5
    assert client.get("/commits")[0]["sha"] == commit.sha


# ---------------------------------------------------------------------- jobs


def test_a_job_goes_from_absent_to_completed(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """A job is created when its needs are done, and the run's status follows its jobs."""
    jobs = [Job("a", 10, 20), Job("b", 30, 40, "failure", "Test", needs=("a",))]
    run = repo.run(commit, CI, jobs, at=T0)
    seen = []
    for moment in (0, 10, 20, 30, 40):
        fake.now = T0 + moment
        document = client.get(f"/actions/runs/{run.id}")
        seen.append([document["status"], *(job["status"] for job in jobs_of(client, run))])
    assert seen == [
        ["queued", "queued"],
        ["in_progress", "in_progress"],
        ["in_progress", "completed", "queued"],
        ["in_progress", "completed", "in_progress"],
        ["completed", "completed", "completed"],
    ]
    failed = jobs_of(client, run)[1]
    assert [step["name"] for step in failed["steps"] if step["conclusion"] == "failure"] == ["Test"]


def test_a_run_s_update_moves_and_its_creation_does_not(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """A re-run changes a run's attempt and update time, not its creation time."""
    run = repo.run(commit, CI, [Job("a", 10, 20, "failure")], at=T0)
    run.rerun(T0 + 100, [Job("a", 10, 20)])
    fake.now = T0 + 50
    before = client.get(f"/actions/runs/{run.id}")
    fake.now = T0 + 100
    after = client.get(f"/actions/runs/{run.id}")
    assert (before["created_at"], before["updated_at"]) == (time_text(T0), time_text(T0 + 20))
    assert (after["created_at"], after["updated_at"]) == (time_text(T0), time_text(T0 + 100))
    assert (before["run_attempt"], after["run_attempt"], after["status"]) == (1, 2, "queued")


@pytest.mark.parametrize("copies", [False, True])
def test_a_re_run_gives_new_ids(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub, copies: bool
) -> None:
    """Completed jobs are listed again under new ids with the same times, or not at all."""
    run = repo.run(commit, CI, [Job("a", 1, 2), Job("b", 1, 3, "failure")], at=T0)
    run.rerun(T0 + 100, [Job("b", 1, 3)], copies=copies)
    fake.now = T0 + 200
    rows = jobs_of(client, run)
    assert len({row["id"] for row in rows}) == len(rows) == (4 if copies else 3)
    latest = jobs_of(client, run, "latest")
    assert sorted(names(latest)) == (["a", "b"] if copies else ["b"])
    ended = {(row["started_at"], row["completed_at"]) for row in rows if row["name"] == "a"}
    assert ended == {(time_text(T0 + 1), time_text(T0 + 2))}
    assert sorted((row.job.job_name, row.attempt) for row in fake.expected_facts(repo)[1]) == [
        ("a", 1), ("b", 1), ("b", 2)
    ]  # fmt: skip


def test_a_job_and_its_check_run_are_one(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """A job and its check run share id and URL, and the check suite is that of the run."""
    run = repo.run(commit, CI, [Job("a", 1, 2)], at=T0)
    fake.now = T0 + 9
    (job,) = jobs_of(client, run)
    (check,) = client.get("/commits/main/check-runs")["check_runs"]
    assert (job["id"], job["html_url"]) == (check["id"], check["details_url"])
    assert job["check_run_url"] == check["url"]
    suite = client.get(f"/actions/runs/{run.id}")["check_suite_id"]
    assert (check["check_suite"]["id"], check["app"]["slug"]) == (suite, "github-actions")
    assert client.get(f"/actions/jobs/{job['id']}") == job
    assert client.get(f"/check-runs/{job['id']}") == check


def test_only_annotations_distinguish_a_hang_from_a_cancellation(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """Both conclusions are `cancelled`; the expected result of the hang is `timed_out`."""
    repo.run(commit, CI, [hanging("h", 0), superseded("s", 0)], at=T0)
    fake.now = T0 + 4000
    messages = {}
    for check in client.get("/commits/main/check-runs")["check_runs"]:
        assert check["conclusion"] == "cancelled"
        rows = client.get(f"/check-runs/{check['id']}/annotations")
        assert len(rows) == check["output"]["annotations_count"]
        messages[check["name"]] = rows[0]["message"]
    assert "has exceeded the maximum execution time of 60 minutes." in messages["h"]
    assert messages["s"].startswith("Canceling since a higher priority waiting request for ci-main")
    expected = {row.job.job_name: row.conclusion for row in fake.expected_facts(repo)[1]}
    assert expected == {"h": "timed_out", "s": "cancelled"}


def test_expected_results_of_runs_without_real_jobs(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """An unexpanded matrix counts as its skipped job, and a run without jobs as `(startup)`."""
    run = repo.run(commit, CI, [skipped("t (${{ matrix.x }}, 1)"), skipped("u")], at=T0)
    broken = repo.run(commit, Workflow("w", "w.yml"), startup_failure=True, at=T0)
    fake.now = T0 + 9
    assert names(jobs_of(client, run)) == ["t (${{ matrix.x }}, 1)", "u"]
    assert jobs_of(client, broken) == []
    assert client.get(f"/actions/runs/{broken.id}")["conclusion"] == "startup_failure"
    expected = {row.job.job_name: row.conclusion for row in fake.expected_facts(repo)[1]}
    assert expected == {"t": "skipped", "u": "skipped", STARTUP_JOB: "startup_failure"}


def test_other_systems_report_checks_and_statuses(
    client: Client, repo: Repo, commit: CommitNode, fake: FakeGitHub
) -> None:
    """The combined status has the latest of each context, the list has all."""
    repo.check(commit, "other-ci", "build", "failure", at=T0)
    repo.status(commit, "ci/x", "pending", T0)
    repo.status(commit, "ci/x", "success", T0 + 5)
    fake.now = T0 + 400
    (check,) = client.get("/commits/main/check-runs", app_id=20000 + sum(b"other-ci"))["check_runs"]
    assert (check["app"]["slug"], check["conclusion"]) == ("other-ci", "failure")
    assert client.get(f"/commits/{commit.sha}/status")["state"] == "success"
    states = [row["state"] for row in client.get("/commits/main/statuses")]
    assert states == ["success", "pending"]


def test_a_deleted_run_is_gone(client: Client, repo: Repo, commit: CommitNode) -> None:
    """A deleted run is in no list, and its jobs answer 404."""
    run = repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 9)
    run.delete(T0)
    assert client.response(f"/actions/runs/{run.id}/jobs").status_code == 404
    assert client.get("/actions/runs")["total_count"] == 0
    assert client.get("/commits/main/check-runs")["total_count"] == 0
