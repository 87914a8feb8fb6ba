"""The source against a real Gitea, whose jobs a runner of the tests takes."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from msgspec.structs import replace
from trunkwatch.config import GiteaSource
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.errors import NotFoundError

from tests.cli.program import serving as serving_program
from tests.gitea.fake import TOKEN, FakeGitea
from tests.gitea.server import OWNER, Gitea, Hosted, running_gitea
from tests.sources.one_history import PLAYERS, Step, printed_table, recorded, steps
from tests.sources.reading import Reader
from tests.support.fakehttp import HOST, serving
from tests.support.gitrepo import git
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engines, pytest.mark.live, pytest.mark.xdist_group("gitea")]

SECRET = "secret-of-the-webhooks"


class Played(NamedTuple):
    """A repository in which the history of all sources was played.

    Attributes:
        repo: on the server.
        section: of the configuration, without the name.
        commits: the hashes, oldest first.
        polled: the source, refreshed between any two events of the history.
    """

    repo: Hosted
    section: dict[str, Any]
    commits: list[str]
    polled: Reader


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gitea]:
    with running_gitea(tmp_path_factory.mktemp("gitea")) as running:
        yield running


@pytest.fixture(scope="module")
def played(gitea: Gitea, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("token")
    with gitea.repo("r") as repo:
        section = section_of(gitea, folder, repo.name, "read:repository")
        polled, commits = reader_of(section), []
        for step in steps():
            commits.append(push(repo, step))
            for _ in finished(repo, step):
                polled.refresh()
        yield Played(repo, section, commits, polled)


def section_of(gitea: Gitea, folder: Path, repos: str, *scopes: str) -> dict[str, Any]:
    """Return a section of the configuration, without the name, with a new token."""
    (folder / "token").write_text(gitea.token(*scopes), encoding="utf-8")
    token = {"token_file": str(folder / "token")}
    return {"type": "gitea", "url": gitea.url, "repos": [repos], **token}


def reader_of(section: Mapping[str, Any]) -> Reader:
    """Return a reader with a store of its own."""
    return Reader(GiteaSource.model_validate({"name": "tea", **section}))


def push(repo: Hosted, step: Step) -> str:
    """Push a commit of the history; a skipped job of an odd one needs a job that fails."""
    jobs: dict[str, Mapping[str, Any]] = {}
    for name, words in step.jobs.items():
        if words:
            jobs[name] = {"needs": ["flaky"]} if needs_flaky(step, name) else {}
    return repo.push(jobs, at=step.at)


def needs_flaky(step: Step, name: str) -> bool:
    """Return whether a job is skipped by the server, instead of by the runner."""
    return step.jobs[name] == ["skipped"] and step.place % 2 == 1


def finished(repo: Hosted, step: Step) -> Iterator[None]:
    """Let the runner end each attempt of a commit; stop after each event."""
    own = [name for name, words in step.jobs.items() if words and not needs_flaky(step, name)]
    cancelled = []
    for task in repo.take(len(own)):
        yield
        word = step.jobs[task.name][0]
        if word == "cancelled":
            cancelled.append(task)
        else:
            assert repo.runner.finish(task, word) == word
    if cancelled:
        repo.cancel()
    for task in cancelled:
        yield
        assert repo.runner.finish(task, "success") == "cancelled", "the result came too late"
    repo.newest_run()
    yield
    for name, words in step.jobs.items():
        for word in words[1:]:
            repo.rerun(name)
            yield
            (task,) = repo.take(1)
            yield
            repo.runner.finish(task, word)
            repo.newest_run()
            yield


def test_check_prints_the_table_that_recorded_prints(played: Played, tmp_path: Path) -> None:
    """The history of tests/sources/test_same_table.py is the same table on the real server."""
    found = printed_table(played.section, tmp_path)
    with recorded(tmp_path, played.commits) as (section, _):
        assert without_times(found) == without_times(printed_table(section, tmp_path))


def without_times(table: str) -> str:
    """Remove when a job broke, which is now on the server."""
    return re.sub(r"\d+ \w+ ago *|\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", table)


def test_rows_that_were_polled_are_those_of_a_cold_start(played: Played) -> None:
    """Jobs that wait, run, are cancelled or run again leave nothing but their results."""
    cold = reader_of(played.section)
    cold.refresh()
    assert played.polled.state().orders == cold.state().orders
    assert without_ends(played.polled) == without_ends(cold)
    assert not played.polled.dropped


def without_ends(reader: Reader) -> list[Observation]:
    """Return the rows without their ends: after a re-run, only the list of tasks has one."""
    return [replace(row, completed_at=None) for row in reader.state().rows]


def test_rows_of_the_fake_are_those_of_the_server(played: Played, tmp_path: Path) -> None:
    """Each row of the fake has keys of the server's, with null or a value of the same type."""
    with PLAYERS["gitea"](tmp_path) as (section, _):
        fake = types_of_rows(section)
    real = types_of_rows(played.section)
    for name, types in fake.items():
        for key, kind in types.items():
            assert kind == real[name][key] or "NoneType" in (kind, real[name][key]), (name, key)


def types_of_rows(section: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the types of the values of the newest row of each list, by their keys."""
    root = f"{section['url']}/api/v1/repos/{section['repos'][0]}"
    headers = bearer(Path(section["token_file"]).read_text(encoding="utf-8"))

    def get(path: str) -> Any:
        return requests.get(f"{root}{path}", headers=headers, timeout=30).json()

    run = get("/actions/runs?branch=main")["workflow_runs"][0]
    rows = {
        "repository": get(""),
        "commit": get("/commits?sha=main&stat=false&verification=false&files=false")[0],
        "branch": get("/branches")[0],
        "task": get("/actions/tasks")["workflow_runs"][0],
        "run": run,
        "job": get(f"/actions/runs/{run['id']}/jobs")["jobs"][0],
    }
    return {
        name: {key: type(value).__name__ for key, value in row.items()}
        for name, row in rows.items()
    }


def test_the_fake_refuses_what_the_server_refuses(gitea: Gitea) -> None:
    """A missing row, repository or token has the same status, and an empty repository its own."""
    fake = FakeGitea(tokens={TOKEN, ""})
    fake.repo(f"{OWNER}/refusals").push("a", at=0)
    fake.repo(f"{OWNER}/empty")
    with serving(fake) as server:
        expected = refusals(server.url, TOKEN)
    with gitea.repo("refusals") as repo, gitea.repo("empty"):
        repo.push({})
        token = gitea.token("read:repository", "read:organization", "read:user")
        assert refusals(gitea.url, token) == expected


def refusals(url: str, token: str) -> dict[str, tuple[int, bool]]:
    """Return the status of each request, and whether its answer is null."""
    repo, empty = f"/repos/{OWNER}/refusals", f"/repos/{OWNER}/empty"
    lists = ["", "/commits?sha=main", "/commits?sha=none", "/branches", "/branches/none"]
    lists += ["/actions/tasks", "/actions/runs", "/actions/runs/999", "/actions/runs/999/jobs"]
    paths = [f"{root}{path}" for root in (repo, empty) for path in lists]
    paths += [f"/repos/{OWNER}/none", "/orgs/none/repos", "/users/none/repos", "/repositories/1"]
    found = {}
    for reader, headers in {"anonymous": {}, "token": bearer(token), "other": bearer("a")}.items():
        for path in paths:
            answer = requests.get(f"{url}/api/v1{path}", headers=headers, timeout=30)
            found[f"{reader} {path}"] = (answer.status_code, answer.text.strip() == "null")
    return found


def bearer(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"Authorization": f"Bearer {token}"}


def test_a_glob_needs_one_more_scope(gitea: Gitea, tmp_path: Path) -> None:
    """`read:user` lists a person and an organization; without it, the error names it."""
    gitea.ask("POST", "/orgs", {"username": "acme"})
    gitea.ask("POST", "/orgs/acme/repos", {"name": "app", "auto_init": True})
    reader = reader_of(section_of(gitea, tmp_path, "acme/*", "read:repository", "read:user"))
    reader.refresh()
    assert list(reader.report.trunks) == [Trunk("acme/app", "main")]
    reader = reader_of(section_of(gitea, tmp_path, "acme/*", "read:repository"))
    with pytest.raises(NotFoundError, match="read:user"):
        reader.refresh()


def test_a_trunk_has_its_first_parents_only(gitea: Gitea, tmp_path: Path) -> None:
    """The commits of a merged branch are not in the order, whatever their dates are."""
    with gitea.repo("merges") as repo:
        repo.push({})
        repo.git.checkout("topic", "main")
        repo.git.commit("of the branch")
        repo.git.checkout("main")
        repo.git.commit("of the trunk")
        repo.git.merge("topic")
        repo.git.push()
        reader = reader_of(section_of(gitea, tmp_path, repo.name, "read:repository"))
        reader.refresh()
        chain = git(repo.git.work, "rev-list", "--first-parent", "--reverse", "HEAD").split()
        assert reader.order(Trunk(repo.name, "main")) == chain


def test_a_delivery_makes_a_refresh_due(gitea: Gitea, tmp_path: Path) -> None:
    """A job is seen to run and to fail, long before the next poll of its owner's repositories."""
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    source = section_of(gitea, tmp_path, "o/deliver*", "read:repository", "read:user")
    source |= {"name": "tea", "webhook_secret_file": "secret", "poll_interval": "10m"}
    config = yaml.safe_dump({"sources": [source]})
    (tmp_path / "trunkwatch.yml").write_text(config, encoding="utf-8")
    with gitea.repo("deliveries") as repo:
        repo.push({})
        with serving_program(tmp_path) as served:
            hook = {"url": f"http://{HOST}:{served.port}/webhook/gitea", "content_type": "json"}
            events = ["push", "workflow_run", "workflow_job"]
            body = {"type": "gitea", "active": True, "config": {**hook, "secret": SECRET}}
            repo.ask("POST", "/hooks", {**body, "events": events})
            repo.push({"test": {}})
            (task,) = repo.take(1)
            failures = "ci_job_consecutive_failures"
            eventually(lambda: 0.0 in served.samples(failures).values(), "the job runs")
            repo.runner.finish(task, "failure")
            eventually(lambda: 1.0 in served.samples(failures).values(), "the failure")
