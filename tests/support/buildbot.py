"""A real Buildbot master and worker on loopback, building a real git repository."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
from trunkwatch.demo.stack import HOST, Program, free_port

from tests.support.gitrepo import BRANCH, GitRepo
from tests.support.waiting import eventually

BUILDERS = ("unit", "inductor")
STEPS = ("checkout", "build", "test", "report")

WAIT_SECONDS = 60.0
"""How long anything may take; far longer than it does, and a reason to fail, not a pace."""

T = TypeVar("T")

_MASTER = """\
from buildbot.plugins import changes, schedulers, steps, util, worker


def factory(builder):
    def run(step, **how):
        return steps.ShellCommand(
            name=step,
            command=["sh", "ci/run.sh", step, builder],
            env={{
                "SWITCHES": {switches!r},
                "BRANCH": util.Interpolate("%(src::branch)s"),
                "REVISION": util.Interpolate("%(prop:got_revision)s"),
            }},
            **how,
        )

    return util.BuildFactory(
        [
            steps.Git(name="checkout", repourl={repository!r}, mode="incremental"),
            run("build"),
            run("test"),
            run("report", alwaysRun=True),
        ]
    )


BuildmasterConfig = {{
    "title": "tests",
    "buildbotURL": "http://{host}:{web}/",
    # Unset, it would tell buildbot.net about itself.
    "buildbotNetUsageData": None,
    # A bare number would listen on every interface.
    "protocols": {{"pb": {{"port": "tcp:{workers}:interface={host}"}}}},
    "www": {{
        "port": "tcp:{web}:interface={host}",
        "plugins": {{}},
        "change_hook_dialects": {{"base": True}},
    }},
    "db": {{"db_url": "sqlite:///state.sqlite"}},
    # True, its default, would merge queued commits into one build.
    "collapseRequests": False,
    "workers": [worker.Worker("worker", "password", max_builds=2)],
    "schedulers": [
        schedulers.AnyBranchScheduler(
            name="all", treeStableTimer=None, builderNames={builders!r}
        )
    ],
    "builders": [
        util.BuilderConfig(name=name, workernames=["worker"], factory=factory(name))
        for name in {builders!r}
    ],
}}
"""

_SCRIPT = """\
# What CI runs: sh ci/run.sh STEP BUILDER. A file broken-BUILDER breaks its test, unless the machine
# forgives it; a file slow-BUILDER makes it wait until the machine lets it go on.
switches="$SWITCHES/$BRANCH"
case "$1" in
build) ;;
test)
    if [ -e "slow-$2" ] && [ -e "$switches/hold" ]; then
        echo "$$" >"$switches/held"
        turns=0
        while [ -e "$switches/hold" ] && [ "$turns" -lt 600 ]; do
            sleep 0.1
            turns=$((turns + 1))
        done
    fi
    echo "$REVISION" >>"$switches/tested-$2"
    [ ! -e "broken-$2" ] || [ -e "$switches/forgive" ]
    ;;
report) [ ! -e "broken-$2" ] || [ -e "$switches/forgive" ] ;;
esac
"""


def wait_for(what: str, look: Callable[[], T | None], check: Callable[[], None]) -> T:
    """Look until there is something; fail when a program has ended, or after far too long.

    Args:
        what: is awaited, for the failure's text.
        look: returns it, or None while it is not there yet.
        check: raises when waiting is of no use any more.
    """

    def look_or_check() -> T | None:
        found = look()
        if found is None:
            check()
        return found

    found = eventually(look_or_check, what, WAIT_SECONDS)
    assert found is not None
    return found


class RealBuildbot:
    """One master with one worker, and the repository that they build."""

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: must exist; everything is made in it.
        """
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.repo = GitRepo(folder)
        self._switches = folder / "switches"
        self._switches.mkdir()
        self._folder = folder
        self._worker_port = free_port()
        master = [_program("buildbot"), "start", "--nodaemon", str(folder / "master")]
        self._master = Program("master", master, folder, f"{self.url}/api/v2/builders")
        self._worker = self._new_worker()

    def __enter__(self) -> Self:
        """Make and start both; what did start is stopped again if something does not."""
        try:
            self._create()
            self._master.start()
            self._master.wait_ready()
            self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both."""
        self.stop()

    def stop(self) -> None:
        """Stop both, and what a worker that was killed has left running."""
        # A killed master has nothing to tidy up here, and one that still builds would not end.
        self.kill_worker()
        self._master.stop(signal.SIGKILL)

    def check(self) -> None:
        """Raise when master or worker has ended on its own."""
        self._master.check()
        self._worker.check()

    # ------------------------------------------------------------------ the repository

    def new_branch(self, branch: str) -> None:
        """Go to a new, empty branch with switches of its own; nothing is built yet."""
        (self._switches / branch).mkdir()
        self.repo.orphan(branch)

    def switch(self, branch: str, name: str) -> Path:
        """Return the file, outside the repository, that the script looks at or writes."""
        return self._switches / branch / name

    def land(
        self,
        title: str,
        files: Mapping[str, str | None],
        branch: str = BRANCH,
        author: str = "author-a",
    ) -> str:
        """Push a commit and tell Buildbot about it, as a hook of the repository would."""
        now = int(time.time())
        sha = self.repo.commit(title, {"ci/run.sh": _SCRIPT, **files}, author, now)
        self.repo.push(branch)
        change = {"revision": sha, "branch": branch, "author": author, "comments": title}
        requests.post(f"{self.url}/change_hook/base", data=change, timeout=10).raise_for_status()
        return sha

    # ------------------------------------------------------------------ the REST API

    def get(self, path: str, *query: tuple[str, str | int]) -> dict[str, Any]:
        """Return an answer of the API."""
        answer = requests.get(
            f"{self.url}/api/v2{path}",
            params=list(query),
            headers={"Accept": "application/json"},
            timeout=10,
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def builds(self, builder: str, sha: str) -> list[dict[str, Any]]:
        """Return a builder's builds of a commit, the oldest first."""
        wanted = [("property", "revision"), ("order", "buildid")]
        builds = self.get(f"/builders/{builder}/builds", *wanted)["builds"]
        return [b for b in builds if b["properties"].get("revision", [None])[0] == sha]

    def finished(self, builder: str, sha: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many builds of a commit have ended; return them."""

        def look() -> list[dict[str, Any]] | None:
            builds = [b for b in self.builds(builder, sha) if b["complete"]]
            return builds if len(builds) >= count else None

        return wait_for(f"{count} builds of {sha} by {builder}", look, self.check)

    def rebuild(self, build_id: int) -> None:
        """Ask for a build once more, as its page's button does."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "rebuild", "params": {}}
        answer = requests.post(f"{self.url}/api/v2/builds/{build_id}", json=call, timeout=10)
        answer.raise_for_status()

    # ------------------------------------------------------------------ the worker

    def kill_worker(self) -> None:
        """Kill the worker without a word, and then the script that it was running."""
        session = self._worker.pid
        self._worker.stop(signal.SIGKILL)
        if session is not None:
            _kill_session(session)

    def start_worker(self) -> None:
        """Start the worker, anew after it was killed, and wait until the master has it."""
        with suppress(FileNotFoundError):
            (self._folder / "worker" / "twistd.pid").unlink()
        self._worker = self._new_worker()
        self._worker.start()
        wait_for("the worker", self._connected, self.check)

    def _new_worker(self) -> Program:
        command = [_program("buildbot-worker"), "start", "--nodaemon", str(self._folder / "worker")]
        return Program("worker", command, self._folder, f"{self.url}/api/v2/workers")

    def _connected(self) -> bool | None:
        workers = self.get("/workers")["workers"]
        return True if any(worker["connected_to"] for worker in workers) else None

    # ------------------------------------------------------------------ setting up

    def _create(self) -> None:
        # Both take a second or two, most of it to import themselves.
        made = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in self._creators()
        ]
        said = [process.communicate(timeout=WAIT_SECONDS)[0] for process in made]
        for process, text in zip(made, said, strict=True):
            if process.returncode:
                raise RuntimeError(text)
        settings = _MASTER.format(
            host=HOST,
            web=self.port,
            workers=self._worker_port,
            repository=str(self.repo.bare),
            switches=str(self._switches),
            builders=list(BUILDERS),
        )
        (self._folder / "master" / "master.cfg").write_text(settings, encoding="utf-8")

    def _creators(self) -> Sequence[Sequence[str]]:
        master, worker = str(self._folder / "master"), str(self._folder / "worker")
        address = f"{HOST}:{self._worker_port}"
        return (
            [_program("buildbot"), "create-master", "--quiet", master],
            [_program("buildbot-worker"), "create-worker", worker, address, "worker", "password"],
        )


def _program(name: str) -> str:
    """Return a program of the environment that the tests run in."""
    return str(Path(sys.executable).with_name(name))


def _kill_session(session: int) -> None:
    """Kill what is left of a session that we began: the scripts of a killed worker."""
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(ProcessLookupError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
