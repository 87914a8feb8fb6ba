"""A real Gitea, as a process on loopback with SQLite in a folder of its own."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml
from trunkwatch.demo.stack import HOST, free_port

from tests.gitea.runner import LABEL, Runner, Task
from tests.support.gitrepo import GitRepo, git
from tests.support.waiting import eventually

OWNER, PASSWORD = "o", "hunter2"

SETTINGS = """
WORK_PATH = {folder}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true

[server]
HTTP_ADDR = {host}
HTTP_PORT = {port}
ROOT_URL = http://{host}:{port}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true

[database]
DB_TYPE = sqlite3

[security]
INSTALL_LOCK = true
PASSWORD_COMPLEXITY = off
MIN_PASSWORD_LENGTH = 1

[actions]
ENABLED = true

[webhook]
ALLOWED_HOST_LIST = loopback

[log]
LEVEL = warn
"""
"""The program finds its templates beside itself, unless they are built into it."""


class Hosted:
    """A repository on the server, its working copy and its runner.

    Attributes:
        name: owner and name.
        git: the working copy.
        runner: takes the jobs of this repository only.
    """

    def __init__(self, server: "Gitea", name: str, folder: Path) -> None:
        self._server = server
        self.name = f"{OWNER}/{name}"
        folder.mkdir()
        self.git = GitRepo(folder)
        remote = f"{server.url}/{self.name}".replace("://", f"://{OWNER}:{PASSWORD}@")
        git(self.git.work, "remote", "set-url", "origin", remote)
        token = self.ask("POST", "/actions/runners/registration-token")["token"]
        self.runner = Runner(server.url, token)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request about the repository to the API, as its owner."""
        return self._server.ask(method, f"/repos/{self.name}{path}", body)

    def push(self, jobs: Mapping[str, Mapping[str, Any]], at: int | None = None) -> str:
        """Push a commit whose workflow `ci.yml` has these jobs; return its hash.

        Args:
            jobs: their keys beside `runs-on` and `steps`.
            at: the date of the commit (seconds since the epoch).
        """
        common = {"runs-on": LABEL, "steps": [{"run": "true"}]}
        rows = {name: {**common, **keys} for name, keys in jobs.items()}
        workflow = {"on": ["push"], "jobs": rows}
        path = ".gitea/workflows/ci.yml"
        sha = self.git.commit("a", {path: yaml.safe_dump(workflow, sort_keys=False)}, date=at)
        self.git.push()
        # Until the server has noted the first push, it calls the repository empty.
        eventually(lambda: not self.ask("GET", "")["empty"], "the push is noted")
        return sha

    def take(self, count: int) -> list[Task]:
        """Wait for jobs and return them, which run from then on."""
        return [eventually(self.runner.take, "a job waits for a runner") for _ in range(count)]

    def newest_run(self) -> dict[str, Any]:
        """Return the newest run when it has ended, which the server notices later than its jobs."""
        return eventually(self._ended_run, "the run has ended")

    def rerun(self, name: str) -> None:
        """Run a job of the newest run again."""
        path = f"/actions/runs/{self.newest_run()['id']}"
        (job,) = [job for job in self.ask("GET", f"{path}/jobs")["jobs"] if job["name"] == name]
        self.ask("POST", f"{path}/jobs/{job['id']}/rerun")

    def cancel(self) -> None:
        """Cancel the newest run, for which only the web interface has a button."""
        run = self.ask("GET", "/actions/runs")["workflow_runs"][0]
        with requests.Session() as browser:
            login = {"user_name": OWNER, "password": PASSWORD}
            browser.post(f"{self._server.url}/user/login", data=login, timeout=30)
            answer = browser.post(f"{run['html_url']}/cancel", timeout=30)
        assert answer.ok, answer.text

    def _ended_run(self) -> dict[str, Any] | None:
        run: dict[str, Any] = self.ask("GET", "/actions/runs")["workflow_runs"][0]
        return run if run["status"] == "completed" else None


class Gitea:
    """A running server with one user, who owns everything.

    Attributes:
        url: the server's address.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the API as the user, and return the parsed answer."""
        answer = requests.request(
            method, f"{self.url}/api/v1{path}", json=body, auth=(OWNER, PASSWORD), timeout=30
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def token(self, *scopes: str) -> str:
        """Return a new token of the user."""
        body = {"name": uuid4().hex, "scopes": scopes}
        return str(self.ask("POST", f"/users/{OWNER}/tokens", body)["sha1"])

    @contextmanager
    def repo(self, name: str) -> Iterator[Hosted]:
        """Make a repository."""
        self.ask("POST", "/user/repos", {"name": name, "default_branch": "main"})
        made = Hosted(self, name, self._folder / name)
        try:
            yield made
        finally:
            made.runner.close()


@contextmanager
def running_gitea(folder: Path) -> Iterator[Gitea]:
    """Run the `gitea` that is on PATH; skip the test where there is none."""
    program = shutil.which("gitea")
    if program is None:
        pytest.skip("no gitea on PATH; CONTRIBUTING.md describes how to build one")
    port, config, log = free_port(), folder / "app.ini", folder / "gitea.log"
    text = SETTINGS.format(
        folder=folder, host=HOST, port=port, static=Path(program).resolve().parent
    )
    config.write_text(text, encoding="utf-8")
    command = [program, "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "web"], stdout=output, stderr=subprocess.STDOUT)
    with process:
        try:
            server = Gitea(f"http://{HOST}:{port}", folder)
            eventually(lambda: _is_up(server.url, process), f"Gitea answers; its log is {log}")
            user = ["admin", "user", "create", "--admin", "--must-change-password=false"]
            user += [f"--username={OWNER}", f"--password={PASSWORD}", "--email=o@example.com"]
            subprocess.run([*command, *user], check=True, stdout=subprocess.DEVNULL, timeout=60)
            yield server
        finally:
            process.terminate()


def _is_up(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Gitea has exited"
    try:
        return requests.get(f"{url}/api/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False
