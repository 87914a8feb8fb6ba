"""The fake GitHub returns workflow files, the runs of a workflow, and changed files."""

import base64
from typing import Any

import pytest
import yaml

from tests.github.client import Client
from tests.github.commits import ChangedFile, CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.repo import Repo
from tests.github.workflows import Job, Workflow

CI = Workflow("ci: all", ".github/workflows/ci.yml")
DOCS = Workflow("docs", ".github/workflows/docs.yml")
FOLDER = "/contents/.github/workflows"


@pytest.fixture
def repo(fake: FakeGitHub) -> Repo:
    """Return a repository."""
    return fake.repo("o/r")


@pytest.fixture
def commit(repo: Repo) -> CommitNode:
    """Return its first commit."""
    return repo.commit("first", at=T0 - 100)


def text_of(document: dict[str, Any]) -> str:
    """Return the text of a file's document."""
    assert document["encoding"] == "base64"
    return base64.b64decode(document["content"]).decode()


def changed(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the names and statuses of the changed files of a document."""
    return [(file["filename"], file["status"]) for file in document["files"]]


def titles(rows: list[dict[str, Any]]) -> list[str]:
    """Return the first lines of the messages of commits."""
    return [row["commit"]["message"].partition("\n")[0] for row in rows]


# ---------------------------------------------------------------------- workflow files


def test_a_workflow_file_has_the_text_that_a_test_sets(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The text is the same at a branch and at a commit, and its entry in the folder agrees."""
    repo.workflow_texts[CI.path] = text = "on: push\n# é" + 80 * "!"
    found = [client.get(f"{FOLDER}/ci.yml")]
    found += [client.get(f"{FOLDER}/ci.yml", ref=ref) for ref in ("main", commit.sha)]
    assert {text_of(document) for document in found} == {text}
    (entry,) = client.get(FOLDER)
    assert entry.items() <= found[0].items()
    assert (entry["size"], entry["path"]) == (len(text.encode()), CI.path)
    assert "\n" in found[0]["content"].strip()


def test_a_workflow_file_has_the_jobs_of_the_first_run_by_default(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """It is valid YAML that runs on every push, and no job has an environment."""
    jobs = [Job("build"), Job("test (a, 1)", needs=("build",))]
    repo.run(commit, CI, jobs)
    repo.run(commit, CI, [Job("later")])
    text = text_of(client.get(f"{FOLDER}/ci.yml"))
    document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 — builds only texts
    steps = {"runs-on": "ubuntu-latest", "steps": [{"run": "make"}]}
    assert document == {
        "name": "ci: all",
        "on": "push",
        "jobs": {
            "job-1": {"name": "build", **steps},
            "job-2": {"name": "test (a, 1)", "needs": ["job-1"], **steps},
        },
    }


def test_a_workflow_without_jobs_has_one_in_its_file(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The file of a run that failed before any job is valid as well."""
    repo.run(commit, CI, startup_failure=True)
    document = yaml.safe_load(text_of(client.get(f"{FOLDER}/ci.yml")))
    assert list(document["jobs"]) == ["build"]


def test_a_workflow_file_that_does_not_exist_answers_404(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """An unknown name, an unknown ref and a deleted workflow are not found."""
    repo.run(commit, CI, [Job("a")])
    assert client.response(f"{FOLDER}/ci.yml").status_code == 200
    assert client.response(f"{FOLDER}/other.yml").status_code == 404
    assert client.response(f"{FOLDER}/ci.yml", ref="gone").status_code == 404
    repo.workflow_states[CI.path] = "deleted"
    assert client.response(f"{FOLDER}/ci.yml").status_code == 404
    assert client.response(FOLDER).status_code == 404


# ---------------------------------------------------------------------- runs of a workflow


@pytest.mark.parametrize("by_id", [False, True])
def test_the_runs_of_one_workflow_are_listed(
    client: Client, repo: Repo, commit: CommitNode, by_id: bool
) -> None:
    """The list has the filters and pages of the list of all runs."""
    for number, branch in enumerate(("main", "main", "other")):
        repo.run(commit, CI, [Job("a", 0, 1)], at=T0 - 30 + number, head_branch=branch)
        repo.run(commit, DOCS, [Job("b", 0, 1)], at=T0 - 30 + number)
    name = repo.workflow_ids[CI.path] if by_id else "ci.yml"
    path = f"/actions/workflows/{name}/runs"
    found = client.get(path)
    assert found["total_count"] == 3
    assert {run["path"] for run in found["workflow_runs"]} == {CI.path}
    filtered = client.get(path, branch="main", status="success", per_page=1, page=2)
    assert (filtered["total_count"], len(filtered["workflow_runs"])) == (2, 1)
    assert filtered["workflow_runs"][0]["run_number"] == 1
    assert client.get(path, status="failure")["workflow_runs"] == []
    assert client.response("/actions/workflows/other.yml/runs").status_code == 404


# ---------------------------------------------------------------------- changed files


def test_a_commit_has_the_changed_files_that_a_test_sets(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """A commit alone lists its files, which are none by default."""
    second = repo.commit("second", at=T0 - 50)
    renamed = ChangedFile("b.py", "renamed", previous="a.py")
    repo.files[second.sha] = (ChangedFile("notes/x.md"), ChangedFile("y", "removed"), renamed)
    found = client.get(f"/commits/{second.sha}")
    assert changed(found) == [("notes/x.md", "modified"), ("y", "removed"), ("b.py", "renamed")]
    assert found["files"][2]["previous_filename"] == "a.py"
    assert found["stats"] == {"total": 3, "additions": 1, "deletions": 2}
    assert changed(client.get(f"/commits/{commit.sha}")) == []


def test_a_list_of_changed_files_ends_at_three_hundred(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """Both a commit and a comparison leave out further files, as GitHub does."""
    second = repo.commit("second", at=T0 - 50)
    repo.files[second.sha] = [ChangedFile(f"f{number:03}") for number in range(301)]
    paths = (f"/commits/{second.sha}", f"/compare/{commit.sha}...main")
    assert [len(client.get(path)["files"]) for path in paths] == [300, 300]


def test_a_comparison_has_the_commits_and_files_of_the_head(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """The commits come oldest first, and a file that is added and removed again is left out."""
    changes = {
        "one": [ChangedFile("a"), ChangedFile("new", "added"), ChangedFile("brief", "added")],
        "two": [ChangedFile("new"), ChangedFile("brief", "removed"), ChangedFile("z", "removed")],
        "three": [ChangedFile("z", "added"), ChangedFile("c", "renamed", previous="new")],
    }
    for number, (title, files) in enumerate(changes.items()):
        repo.files[repo.commit(title, at=T0 - 50 + number).sha] = files
    found = client.get(f"/compare/{commit.sha}...main")
    assert titles(found["commits"]) == ["one", "two", "three"]
    assert changed(found) == [("a", "modified"), ("c", "added"), ("z", "modified")]
    assert [found[key] for key in ("status", "ahead_by", "behind_by", "total_commits")] == [
        "ahead", 3, 0, 3
    ]  # fmt: skip
    assert found["merge_base_commit"]["sha"] == found["base_commit"]["sha"] == commit.sha


@pytest.mark.parametrize(
    ("base", "head", "status", "commits"),
    [
        ("main", "main", "identical", []),
        ("main", "side", "diverged", ["side"]),
        ("side", "main", "diverged", ["trunk"]),
        ("main", "main~", "behind", []),
    ],
)
def test_a_comparison_begins_at_the_newest_common_commit(
    client: Client,
    repo: Repo,
    commit: CommitNode,
    base: str,
    head: str,
    status: str,
    commits: list[str],
) -> None:
    """Commits that only the base has are counted and change no file."""
    side = repo.commit("side", at=T0 - 50, branch="side", parents=[commit])
    trunk = repo.commit("trunk", at=T0 - 40)
    repo.files |= {side.sha: (ChangedFile("side"),), trunk.sha: (ChangedFile("trunk"),)}
    found = client.get(f"/compare/{base}...{head.replace('main~', commit.sha)}")
    assert (found["status"], titles(found["commits"])) == (status, commits)
    assert [name for name, _ in changed(found)] == commits
    assert found["merge_base_commit"]["sha"] == (trunk if status == "identical" else commit).sha


def test_a_comparison_comes_in_pages_only_on_request(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """Without paging the newest 250 commits are listed; with it only the first page has files."""
    for number in range(251):
        node = repo.commit(f"c{number}", at=T0 - 90)
        repo.files[node.sha] = (ChangedFile("a"),)
    path = f"/compare/{commit.sha}...main"
    whole = client.get(path)
    assert (len(whole["commits"]), whole["total_commits"]) == (250, 251)
    assert titles(whole["commits"])[::249] == ["c1", "c250"]
    first, third = (client.get(path, per_page=100, page=page) for page in (1, 3))
    assert (titles(first["commits"])[0], len(third["commits"])) == ("c0", 51)
    assert changed(first) == [("a", "modified")]
    assert "files" not in third


def test_what_cannot_be_compared_answers_404(
    client: Client, repo: Repo, commit: CommitNode
) -> None:
    """An unknown ref and a history without a common commit are not found."""
    alone = repo.loose_commit("alone", date=T0)
    for refs in ("main...gone", f"{commit.sha}...{alone.sha}", "main"):
        assert client.response(f"/compare/{refs}").status_code == 404
