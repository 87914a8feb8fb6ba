"""`trunkwatch check --repo` on GitHub, GitLab and Gitea, with a token and without one."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trunkwatch.cli.main import main

from tests.gitea.fake import TOKEN as GITEA_TOKEN
from tests.gitea.fake import FakeGitea
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.server import GitHubServer, serving_github
from tests.github.workflows import Job, Workflow
from tests.gitlab.fake import TOKEN as GITLAB_TOKEN
from tests.gitlab.fake import FakeGitLab
from tests.support.fakehttp import serving

CI = Workflow("ci", ".github/workflows/ci.yml")
EVERY = 1800.0
COMMITS = 70


def world_of(verdicts: str) -> FakeGitHub:
    """Return a repository whose newest commit was made half an hour ago, by the real clock."""
    fake = FakeGitHub(time.time())
    repo = fake.repo("o/r", default_branch="trunk")
    for index, verdict in enumerate(verdicts):
        at = fake.now - (len(verdicts) - index) * EVERY
        commit = repo.commit(f"Change {index}", at=at)
        if verdict != ".":
            conclusion = "failure" if verdict == "F" else "success"
            repo.run(
                commit, CI, [Job("test", conclusion=conclusion, failed_step="Run it")], at=at + 5
            )
    fake.repo("o/quiet", default_branch="trunk").commit("Nothing runs here")
    return fake


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with serving_github(world_of("P" * (COMMITS - 4) + "FFFF")) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of all caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "trunkwatch"


def check(server: GitHubServer, *arguments: str, token: str | None = TOKEN) -> Result:
    return call(server, "check", *arguments, token=token)


def call(server: GitHubServer, *arguments: str, token: str | None = TOKEN) -> Result:
    environment = {"GITHUB_API_URL": server.url, "GITHUB_TOKEN": token}
    return CliRunner().invoke(main, arguments, env=environment)


def test_one_command_reports_the_broken_job(github: GitHubServer) -> None:
    """Job, first bad, suspects, log, step and cost are printed without a configuration."""
    done = check(github, "--repo", "o/r")
    assert done.exit_code == 1
    assert "o/r trunk: 1 broken, 0 failing; 1 job over 60 commits" in done.stdout
    assert "4 in a row" in done.stdout
    assert "first bad" in done.stdout
    assert "/job/" in done.stdout
    assert "(step: Run it)" in done.stdout
    assert f"Requests: {github.counted()} counted against the quota" in done.stdout
    assert done.stderr == ""


def test_without_a_token_the_newest_commits_are_read(
    github: GitHubServer,
) -> None:
    """At sixty requests an hour the newest commits are read, and the rest is reported."""
    done = check(github, "--repo", "o/r", token=None)
    assert done.exit_code == 1
    assert "60 requests an hour" in done.stderr
    assert "1 broken" in done.stdout
    assert "Older results are still unread" in done.stdout
    assert github.counted() <= 60


def test_nothing_to_watch_is_reported_with_its_reason(github: GitHubServer) -> None:
    """A repository without runs of the watched events is never well."""
    done = check(github, "--repo", "o/quiet")
    assert done.exit_code == 2
    assert "Nothing to watch: 0 of 1 commit have results" in done.stdout


@pytest.mark.parametrize(
    ("repo", "token", "error"),
    [
        ("o/none", TOKEN, "HTTP 404"),
        ("o/r", "wrong", "the server refuses the token"),
        ("none", TOKEN, "must be owner/name"),
    ],
)
def test_an_unreadable_repository_is_one_line(
    github: GitHubServer, repo: str, token: str, error: str
) -> None:
    """The error has exit code 2 and no traceback."""
    done = check(github, "--repo", repo, token=token)
    assert done.exit_code == 2
    assert error in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_repository_and_a_configuration_are_one_too_many(github: GitHubServer) -> None:
    """--repo and --config.file exclude each other."""
    done = check(github, "--repo", "o/r", "--config.file", "t.yml")
    assert done.exit_code == 2
    assert "keep one" in str(done.exception) + done.stderr


# ---------------------------------------------------------------------- the cache


def test_three_commands_are_one_cold_start(github: GitHubServer, cache: Path) -> None:
    """Results are kept between commands, in a file that the output names."""
    first = check(github, "--repo", "o/r")
    cold = github.counted()
    (file,) = cache.rglob("*.db")
    named = f"Cache: {file} (delete it to read everything again)."
    assert named in first.stdout
    walk = call(github, "explain", "--repo", "o/r", "test")
    replay = call(github, "backtest", "--repo", "o/r")
    assert (walk.exit_code, replay.exit_code) == (0, 0)
    assert "4" in walk.stdout
    assert named in walk.stdout
    assert named in replay.stdout
    assert github.counted() - cold < cold


def test_the_cache_is_private(github: GitHubServer, cache: Path) -> None:
    """Results of a private repository are readable by their owner alone."""
    check(github, "--repo", "o/r")
    (file,) = cache.rglob("*.db")
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_a_cache_beside_json_is_named_elsewhere(github: GitHubServer) -> None:
    """Standard output is one JSON object."""
    done = check(github, "--repo", "o/r", "--format", "json")
    assert json.loads(done.stdout)
    assert done.stderr.startswith("Cache: ")


def test_a_cache_that_cannot_be_used_is_done_without(github: GitHubServer, cache: Path) -> None:
    """A file in its place is left as it is, and the output has the reason."""
    cache.write_text("not a folder")
    done = check(github, "--repo", "o/r")
    assert done.exit_code == 1
    assert "Cache: none (" in done.stdout
    assert cache.read_text() == "not a folder"


def test_a_storage_is_used_instead_of_the_cache(github: GitHubServer, cache: Path) -> None:
    """`--storage.path` names the file, and no cache is written."""
    storage = cache.with_name("mine.db")
    done = check(github, "--repo", "o/r", "--storage.path", str(storage))
    assert "Cache" not in done.output
    assert storage.exists()
    assert not cache.exists()


def test_a_project_on_gitlab_needs_no_configuration(cache: Path) -> None:
    """`--source gitlab` takes token and address from GitLab's variables, and folds parts."""
    fake = FakeGitLab(prefix="/git")
    project = fake.project("group/sub/project")
    at = time.time() - 3600
    for number, status in enumerate(("success", "failed", "failed", "failed")):
        run = project.pipeline(project.push("a", at=at + number), status, at=at + number)
        run.job("test 1/2", at=at + number)
        run.job("test 2/2", status, at=at + number)
    with serving(fake) as server:
        arguments = ["check", "--source", "gitlab", "--repo"]
        environment = {"CI_SERVER_URL": f"{server.url}/git", "GITLAB_TOKEN": GITLAB_TOKEN}
        done = CliRunner().invoke(main, [*arguments, project.path], env=environment)
        assert done.exit_code == 1
        assert "group/sub/project main: 1 broken, 0 failing; 1 job over 4 commits" in done.stdout
        assert "gitlab / test" in done.stdout
        assert f"{len(server.requests)} counted against the quota" in done.stdout
        assert list(cache.glob("*/group%2Fsub%2Fproject.db"))
        wrong = CliRunner().invoke(main, [*arguments, "project"], env=environment)
        assert (wrong.exit_code, "group/sub/project" in wrong.stderr) == (2, True)
        environment["GITLAB_TOKEN"] = ""
        anonymous = CliRunner().invoke(main, [*arguments, "group/other"], env=environment)
        assert "name one by token_file or token_env" in anonymous.output


def test_a_repository_on_gitea_needs_no_configuration(cache: Path) -> None:
    """`--source gitea` takes token and address from tea's variables; GitHub's lead there."""
    fake = FakeGitea()
    repo = fake.repo("o/r")
    for number, status in enumerate(("success", "failure", "failure", "failure")):
        at = time.time() - 3600 + number
        repo.run(repo.push("a", at=at), at=at).job("test", status, at=at)
    with serving(fake) as server:
        arguments = ["check", "--source", "gitea", "--repo"]
        url = server.url.replace("//", "//user:hidden@")
        environment = {"GITEA_SERVER_URL": url, "GITEA_SERVER_TOKEN": GITEA_TOKEN}
        done = CliRunner().invoke(main, [*arguments, "o/r"], env=environment)
        assert done.exit_code == 1
        assert "o/r main: 1 broken, 0 failing; 1 job over 4 commits" in done.stdout
        assert "ci.yml / test" in done.stdout
        (file,) = cache.glob("*/o%2Fr.db")
        assert "hidden" not in f"{file} {done.output}"
        wrong = CliRunner().invoke(main, [*arguments, "o/r/sub"], env=environment)
        assert (wrong.exit_code, "owner/project" in wrong.stderr) == (2, True)
        text = f"sources: [{{name: t, type: gitea, url: '{server.url}', repos: ['o/z*']}}]"
        (file := cache.with_name("t.yml")).write_text(
            f"{text[:-2]}, token_env: GITEA_SERVER_TOKEN}}]"
        )
        arguments = ["check-config", "--live", "--config.file", str(file)]
        nothing = CliRunner().invoke(main, arguments, env=environment)
        assert nothing.exit_code == 1
        assert "warning: source t: o/z*: no project has such a path" in nothing.stdout
        within_a_job = {"GITHUB_API_URL": f"{server.url}/api/v1", "GITHUB_TOKEN": "a"}
        other = CliRunner().invoke(main, ["check", "--repo", "o/r"], env=within_a_job)
        assert (other.exit_code, "use --source gitea" in other.stderr) == (2, True)
