"""`trunkwatch init` against the stand-ins for GitHub and GitLab."""

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from trunkwatch.cli.main import main
from trunkwatch.cli.repository import choose_cached
from trunkwatch.config import parse_config
from trunkwatch.store import MEMORY

from tests.gitea.fake import TOKEN as GITEA_TOKEN
from tests.gitea.fake import FakeGitea
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.server import GitHubServer, serving_github
from tests.github.workflows import Job, Workflow
from tests.gitlab.fake import TOKEN as GITLAB_TOKEN
from tests.gitlab.fake import FakeGitLab
from tests.support.fakehttp import serving

CI = Workflow("CI: test", ".github/workflows/ci.yml")
NIGHTLY = Workflow("nightly", ".github/workflows/nightly.yml")
EVERY = 1800.0
COMMITS = 12


def world() -> FakeGitHub:
    """Return a repository with shards, a job that may fail, nightly runs and a broken job."""
    fake = FakeGitHub(time.time())
    repo = fake.repo("o/r", default_branch="trunk")
    for index in range(COMMITS):
        at = fake.now - (COMMITS - index) * EVERY
        commit = repo.commit(f"Change {index}", at=at)
        broken = "failure" if index >= COMMITS - 4 else "success"
        jobs = [
            Job("lint"),
            Job("old", conclusion=broken),
            *(Job(f"test (py3.11, {shard}/3)") for shard in (1, 2, 3)),
            Job("experiment", conclusion="failure", continue_on_error=True),
        ]
        repo.run(commit, CI, jobs, at=at + 5)
        if index % 4 == 0:
            repo.run(commit, CI, [Job("lint")], event="schedule", at=at + 600)
            repo.run(commit, NIGHTLY, [Job("soak")], event="schedule", at=at + 600)
    fake.repo("o/quiet", default_branch="trunk").commit("Nothing runs here")
    return fake


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with serving_github(world()) as server:
        yield server


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, in which the commands run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(server: GitHubServer, *arguments: str) -> Result:
    environment = {"GITHUB_API_URL": server.url, "GITHUB_TOKEN": TOKEN}
    return CliRunner().invoke(main, arguments, env=environment)


def init(server: GitHubServer, *arguments: str) -> Result:
    return call(server, "init", "--repo", "o/r", *arguments)


def test_the_configuration_is_of_the_repository(github: GitHubServer) -> None:
    """Groups, shards, nightly runs and jobs that may fail are those of the repository."""
    done = init(github)
    assert done.exit_code == 0
    written = yaml.safe_load(done.stdout)
    assert [group["name"] for group in written["groups"]] == [
        "CI: test schedule",
        "CI: test",
        "nightly",
    ]
    assert [group.get("count") for group in written["groups"]] == ["runs", None, "runs"]
    assert written["jobs"]["ignore"] == ["experiment"]
    assert len(written["jobs"]["fold"]) == 1
    assert "known_broken" not in written
    assert (
        "# 3 shards into 1 job, such as\n    #   CI: test / test (py3.11): 3 shards" in done.stdout
    )
    assert (
        "  # 3 jobs, 12 runs.\n  # Over these commits, N = 1, 2, 3, 5 gives 1, 1, 1, 0 outages."
        in done.stdout
    )
    assert "# 1 job is broken now and will alert." in done.stdout


def test_it_is_valid_and_the_same_twice(github: GitHubServer, folder: Path) -> None:
    """Stored results are not read again, and `check-config` accepts the file and reads none."""
    init(github, "--output", "one.yml")
    cold = github.counted()
    done = init(github, "--output", "two.yml")
    assert (folder / "one.yml").read_bytes() == (folder / "two.yml").read_bytes()
    assert github.counted() == cold
    assert done.stdout == ""
    assert done.stderr.startswith("two.yml: written. Next: trunkwatch check-config --live ")
    live = call(github, "check-config", "--live", "--config.file", "one.yml")
    assert github.counted() <= cold + 1
    assert live.stderr.startswith(f"Cache: {folder / 'cache'}")
    assert (
        "group CI: test schedule (team trunk, P3): 1 job\n  CI: test [schedule] / lint"
        in live.stdout
    )
    assert "warning" not in live.stdout
    assert live.exit_code == 0


@pytest.mark.parametrize("file", ["trunkwatch.yml", "my file.yml"])
def test_printed_commands_run(github: GitHubServer, folder: Path, file: str) -> None:
    """Each command that the program or the written file names as a next step runs as it is."""
    written = init(github, "--output", file).stderr + (folder / file).read_text()
    flags = [] if file == "trunkwatch.yml" else ["--config.file", file]
    printed = (
        call(github, *command).output
        for command in (
            ["explain", "none", *flags],
            ["explain", "none", "--repo", "o/r"],
            ["explain", "test", *flags],
            ["check", "--all", *flags],
            ["backtest", *flags],
            ["check-config", "--live", *flags],
        )
    )
    named = re.findall("(?<!`)trunkwatch ([a-z].*)", "\n".join([written, *printed]))
    ran = [shlex.split(command.replace("FILE", shlex.quote(file))) for command in named]
    assert [call(github, *words).exit_code for words in ran] == [0, 0, 0, 1, 1], named


def test_a_baseline_exempts_what_is_broken(github: GitHubServer, folder: Path) -> None:
    """With it nothing fires; without it the broken job does."""
    init(github, "--output", "with.yml", "--baseline", "14d")
    init(github, "--output", "without.yml")
    (known,) = yaml.safe_load((folder / "with.yml").read_text())["known_broken"]
    assert known["match"] == {"workflow": "CI: test", "job_name": "old"}
    assert 12 <= (known["until"] - type(known["until"]).today()).days <= 14
    codes = [
        call(github, "check", "--config.file", name).exit_code
        for name in ("with.yml", "without.yml")
    ]
    assert codes == [0, 1]


def test_an_existing_file_is_replaced_by_force_only(github: GitHubServer, folder: Path) -> None:
    """Without the flag nothing is read or written; nothing is left beside the file."""
    path = folder / "t.yml"
    path.write_text("mine")
    refused = init(github, "--output", "t.yml")
    assert refused.exit_code == 2
    assert "t.yml: exists already; --force replaces it" in str(refused.exception) + refused.stderr
    assert github.counted() == 0
    assert path.read_text() == "mine"
    assert init(github, "--output", "t.yml", "--force").exit_code == 0
    assert path.read_text().startswith("# Trunkwatch for o/r")
    assert sorted(each.name for each in folder.iterdir()) == ["cache", "t.yml"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--repo", "o/quiet"], "Nothing to watch: 0 of 1 commit have results"),
        (["--repo", "o/none"], "HTTP 404"),
        (["--repo", "none"], "must be owner/name"),
        (["--repo", "o/r", "--output", "none/t.yml"], "--output none/t.yml: No such file"),
        (["--repo", "o/r", "--baseline", "two weeks"], "must be a duration such as"),
        ([], "Missing option '--repo'"),
    ],
)
def test_nothing_is_written_without_results(
    github: GitHubServer, folder: Path, arguments: list[str], error: str
) -> None:
    """The reason is printed, with exit code 2."""
    done = call(github, "init", "--output", "t.yml", *arguments)
    assert done.exit_code == 2
    assert error in done.stderr
    assert not (folder / "t.yml").exists()


SAME = "name: github, type: github, repo: o/r"


@pytest.mark.parametrize(
    ("source", "is_used"),
    [
        (SAME, True),
        (f"{SAME}, token_env: T, window: 10, poll_interval: 5m", True),
        (f"{SAME}, branches: [main]", False),
        (f"{SAME}, checks: [other-ci]", False),
        (SAME.replace("name: github", "name: another"), False),
        (SAME.replace("o/r", "o/quiet"), False),
        (SAME.replace("repo: o/r", "repos: ['o/*']"), False),
    ],
)
def test_the_cache_of_the_same_results_is_used(folder: Path, source: str, is_used: bool) -> None:
    """A source that reads other results, or stores under another name, leaves the cache alone."""
    path = folder / "cache" / "trunkwatch" / "api.github.com" / "o%2Fr.db"
    path.parent.mkdir(parents=True)
    path.touch()
    chosen = choose_cached(parse_config(f"sources: [{{{source}}}]", "t.yml"), MEMORY)
    assert chosen.storage == (str(path) if is_used else MEMORY)


def test_a_project_on_gitlab_is_found_by_the_words_of_check(folder: Path) -> None:
    """Its parts are folded by the preset, nightly pipelines have a group, and the file is valid."""
    fake = FakeGitLab(prefix="/git")
    project = fake.project("group/sub/project")
    at = time.time() - COMMITS * EVERY
    for number in range(COMMITS):
        status = "failed" if number >= COMMITS - 4 else "success"
        sha, when = project.push("a", at=at + number), at + number * EVERY
        run = project.pipeline(sha, status, at=when)
        for part in (1, 2, 3):
            run.job(f"test {part}/3", status, at=when)
        run.job("lint: [a, b]", at=when)
        run.job("experiment", "failed", at=when, allow_failure=True)
        if number % 4 == 0:
            project.pipeline(sha, at=when, source="schedule").job("soak", at=when)
    with serving(fake) as server:
        environment = {"CI_SERVER_URL": f"{server.url}/git", "GITLAB_TOKEN": GITLAB_TOKEN}
        arguments = ["init", "--source", "gitlab", "--repo", project.path, "-o", "one.yml"]
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
        text = (folder / "one.yml").read_text()
        written = yaml.safe_load(text)
        assert written["sources"] == [
            {"name": "gitlab", "type": "gitlab", "repos": [project.path],
             "url": f"{server.url}/git", "token_env": "GITLAB_TOKEN"}
        ]  # fmt: skip
        assert written["jobs"] == {"preset": "gitlab"}
        assert "# 3 shards into 1 job, such as\n  #   gitlab / test: 3 shards" in text
        groups = [(group["name"], group.get("count")) for group in written["groups"]]
        assert groups == [("gitlab", None), ("gitlab (schedule)", "runs")]
        arguments = ["check", "--config.file", "one.yml"]
        checked = CliRunner().invoke(main, arguments, env=environment)
        assert checked.exit_code == 1
        assert "1 broken, 0 failing; 4 jobs" in checked.stdout


def test_a_repository_on_gitea_is_written_as_check_reads_it(folder: Path) -> None:
    """It has the address and the variable of the token, and shards are folded; it is valid."""
    fake = FakeGitea(prefix="/git")
    repo = fake.repo("o/r")
    for number in range(6):
        at = time.time() - 6 * EVERY + number * EVERY
        run = repo.run(repo.push("a", at=at), at=at)
        for part in (1, 2, 3):
            run.job(f"test ({part})", "success" if number < 2 else "failure", at=at)
    with serving(fake) as server:
        environment = {"GITEA_SERVER_URL": f"{server.url}/git", "GITEA_SERVER_TOKEN": GITEA_TOKEN}
        arguments = ["init", "--source", "gitea", "--repo", "o/r", "-o", "one.yml"]
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
        written = yaml.safe_load((folder / "one.yml").read_text())
        assert written["sources"] == [
            {"name": "gitea", "type": "gitea", "repos": ["o/r"],
             "url": f"{server.url}/git", "token_env": "GITEA_SERVER_TOKEN"}
        ]  # fmt: skip
        checked = CliRunner().invoke(main, ["check", "--config.file", "one.yml"], env=environment)
        assert checked.exit_code == 1
        assert "1 broken, 0 failing; 1 job over 6 commits" in checked.stdout
