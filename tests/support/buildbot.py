"""A real Buildbot master and worker on loopback that build a real git repository."""

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

OTHER = "other-"
"""Branches with this prefix are built by `TEMPLATE` alone."""

TEMPLATE = "template"
"""A builder that merges waiting requests and takes try builds; its builds are of `VIRTUAL`."""

VIRTUAL = "virtual"
"""The virtual builder under which the builds of `TEMPLATE` are listed."""

REPO = "o/r"
"""The name of the repository in configurations."""

FORCE = "commit"
"""A force scheduler of `BUILDERS`, which builds any commit."""

CODEBASES = "codebases"
"""A builder of the codebases `src` and `tools`, whose builds a person forces."""

REQUEST_SECONDS = 60.0
"""Timeout of a request: a busy Buildbot has sent a body ten seconds after its header."""

WAIT_SECONDS = 180.0
"""A timeout for each wait, far longer than any of them takes."""

T = TypeVar("T")

_MASTER = """\
from buildbot.plugins import schedulers, steps, util, worker


def git(**how):
    return steps.Git(repourl={repository!r}, mode="incremental", **how)


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
            git(name="checkout"),
            run("build"),
            run("test"),
            run("report", alwaysRun=True),
        ]
    )


BuildmasterConfig = {{
    "title": "tests",
    "buildbotURL": "http://{host}:{web}/",
    # Unset, the master would send usage data to buildbot.net.
    "buildbotNetUsageData": None,
    # A bare number would listen on every interface.
    "protocols": {{"pb": {{"port": "tcp:{workers}:interface={host}"}}}},
    "www": {{
        "port": "tcp:{web}:interface={host}",
        "plugins": {{}},
        "change_hook_dialects": {{"base": True}},
        **(
            {{
                "auth": util.UserPasswordAuth({users!r}),
                "authz": util.Authz(
                    allowRules=[util.AnyControlEndpointMatcher(role="builders")],
                    roleMatchers=[
                        util.RolesFromUsername(roles=["builders"], usernames=list({users!r}))
                    ],
                ),
            }}
            if {users!r}
            else {{}}
        ),
    }},
    "db": {{"db_url": "sqlite:///state.sqlite"}},
    # True, its default, would merge queued commits into one build, as TEMPLATE does.
    "collapseRequests": False,
    "workers": [worker.Worker("worker", "password", max_builds=2)],
    "schedulers": [
        schedulers.AnyBranchScheduler(
            name="all",
            treeStableTimer=None,
            builderNames={builders!r},
            change_filter=util.ChangeFilter(branch_fn=lambda name: not name.startswith({other!r})),
        ),
        schedulers.AnyBranchScheduler(
            name="other",
            treeStableTimer=None,
            builderNames=[{template!r}],
            change_filter=util.ChangeFilter(branch_fn=lambda name: name.startswith({other!r})),
        ),
        schedulers.Try_Userpass(
            name="try",
            builderNames=[{template!r}],
            port="tcp:{workers}:interface={host}",
            userpass=[("dev", "password")],
        ),
        schedulers.ForceScheduler(name={force!r}, builderNames={builders!r}),
        schedulers.ForceScheduler(
            name="force",
            builderNames=[{codebases!r}],
            codebases=[util.CodebaseParameter("src"), util.CodebaseParameter("tools")],
        ),
    ],
    "builders": [
        *(
            util.BuilderConfig(name=name, workernames=["worker"], factory=factory(name))
            for name in {builders!r}
        ),
        util.BuilderConfig(
            name={template!r},
            workernames=["worker"],
            factory=factory({template!r}),
            collapseRequests=True,
            properties={{"virtual_builder_name": {virtual!r}}},
        ),
        util.BuilderConfig(
            name={codebases!r},
            workernames=["worker"],
            factory=util.BuildFactory(
                [git(codebase="src", workdir="src"), git(codebase="tools", workdir="tools")]
            ),
        ),
    ],
}}
"""

_SCRIPT = """\
# The build script: sh ci/run.sh STEP BUILDER. A file broken-BUILDER makes the test fail unless the
# switch "forgive" is set, and the switch "outside" does at every commit; a file slow-BUILDER makes
# it wait while the switch "hold" is set.
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
    [ ! -e "$switches/outside" ] || exit 1
    [ ! -e "broken-$2" ] || [ -e "$switches/forgive" ]
    ;;
report) [ ! -e "broken-$2" ] || [ -e "$switches/forgive" ] ;;
esac
"""


def wait_for(what: str, look: Callable[[], T | None], check: Callable[[], None]) -> T:
    """Wait until `look` returns a value; fail after `WAIT_SECONDS` or if a program has exited.

    Args:
        what: the description for the failure message.
        look: returns the value, or None while there is none.
        check: raises if a program has exited.
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
    """A Buildbot master with one worker, and the repository that they build."""

    def __init__(
        self,
        folder: Path,
        builders: Sequence[str] = BUILDERS,
        users: Mapping[str, str] | None = None,
        settings: str = "",
    ) -> None:
        """Args:
        folder: an existing folder for all files.
        builders: those of every branch that has no prefix of its own.
        users: passwords by name of those who may make builds; None for everybody.
        settings: Python that is added to the master's configuration.
        """
        self._settings = settings
        self._users = dict(users or {})
        self._builders = list(builders)
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
        """Create and start both; stop them again if one does not start."""
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
        """Stop both, and the processes that a killed worker left running."""
        # A master that is building would not exit on SIGTERM, and there is nothing to clean up.
        self.kill_worker()
        self._master.stop(signal.SIGKILL)

    def check(self) -> None:
        """Raise if master or worker has exited on its own."""
        self._master.check()
        self._worker.check()

    def source(self, *branches: str, **more: object) -> dict[str, object]:
        """Return the section of the configuration that reads some branches."""
        return {
            "name": "ci",
            "type": "buildbot",
            "url": self.url,
            "repo": REPO,
            "branches": list(branches),
            "git": str(self.repo.bare),
            "poll_interval": "1s",
            **more,
        }

    # ------------------------------------------------------------------ the repository

    def new_branch(self, branch: str) -> None:
        """Create an empty branch with its own switches; nothing is built yet."""
        (self._switches / branch).mkdir()
        self.repo.orphan(branch)

    def switch(self, branch: str, name: str) -> Path:
        """Return a file outside the repository that the build script reads or writes."""
        return self._switches / branch / name

    def land(
        self,
        title: str,
        files: Mapping[str, str | None],
        branch: str = BRANCH,
        author: str = "author-a",
    ) -> str:
        """Push a commit and send the change to Buildbot, as a hook of the repository would."""
        sha = self.push_unseen(title, files, branch, author)
        self.send_change(sha, branch, author, title)
        return sha

    def send_change(
        self, sha: str, branch: str, author: str = "author-a", title: str = "change"
    ) -> None:
        """Send a commit to Buildbot, as a hook of the repository would."""
        change = {"revision": sha, "branch": branch, "author": author, "comments": title}
        self._post("/change_hook/base", data=change)

    def push_unseen(
        self,
        title: str,
        files: Mapping[str, str | None],
        branch: str = BRANCH,
        author: str = "author-a",
    ) -> str:
        """Push a commit of which Buildbot does not learn."""
        now = int(time.time())
        sha = self.repo.commit(title, {"ci/run.sh": _SCRIPT, **files}, author, now)
        self.repo.push(branch)
        return sha

    # ------------------------------------------------------------------ the REST API

    def get(self, path: str, *query: tuple[str, str | int]) -> dict[str, Any]:
        """Return a response of the API, asked for again until all of it has arrived."""
        return wait_for(f"an answer of {path}", lambda: self._whole(path, query), self.check)

    def _whole(self, path: str, query: Sequence[tuple[str, str | int]]) -> dict[str, Any] | None:
        """Return a response of the API, or None if it did not arrive, or not all of it."""
        try:
            answer = requests.get(
                f"{self.url}/api/v2{path}",
                params=list(query),
                # A busy Buildbot has sent compressed answers without the header of gzip.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=REQUEST_SECONDS,
            )
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        except requests.HTTPError:
            raise
        except requests.RequestException as error:
            print(f"asked for {path} again: {error}")
            return None
        return document

    def builds(self, builder: str, sha: str) -> list[dict[str, Any]]:
        """Return a builder's builds of a commit, oldest first."""
        wanted = [("property", "revision"), ("order", "buildid")]
        builds = self.get(f"/builders/{builder}/builds", *wanted)["builds"]
        return [b for b in builds if b["properties"].get("revision", [None])[0] == sha]

    def finished(self, builder: str, sha: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until `count` builds of a commit have completed; return them."""

        def look() -> list[dict[str, Any]] | None:
            builds = [b for b in self.builds(builder, sha) if b["complete"]]
            return builds if len(builds) >= count else None

        return wait_for(f"{count} builds of {sha} by {builder}", look, self.check)

    def rebuild(self, build_id: int) -> None:
        """Rebuild a build, as the button of its page does."""
        self._call(f"/builds/{build_id}", "rebuild", {})

    def stop_build(self, build_id: int) -> None:
        """Stop a running build, as the button of its page does."""
        self._call(f"/builds/{build_id}", "stop", {"reason": "superseded"})

    def force(self, **parameters: str) -> None:
        """Force a build of `CODEBASES`, as the form of its page does."""
        self._call("/forceschedulers/force", "force", parameters)

    def _call(self, path: str, method: str, parameters: Mapping[str, str]) -> None:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        self._post(f"/api/v2{path}", json=call)

    def _post(self, path: str, **body: Any) -> None:
        """Send a request once; raise if its status is an error."""
        # A busy Buildbot has closed connections after the header; only the status is needed.
        with requests.post(self.url + path, timeout=REQUEST_SECONDS, stream=True, **body) as answer:
            answer.raise_for_status()

    def try_patch(self, patch: str, branch: str, sha: str) -> None:
        """Request a build of a commit with a patch, as a developer does with `buildbot try`."""
        file = self._folder / "patch.diff"
        file.write_text(patch, encoding="utf-8")
        address = f"--master={HOST}:{self._worker_port}"
        user = ("--username=dev", "--passwd=password")
        place = (f"--repository={self.repo.bare}", f"--branch={branch}", f"--baserev={sha}")
        source = ("--vc=git", *place, f"--diff={file}", "--patchlevel=1")
        subprocess.run(
            [_program("buildbot"), "try", "--connect=pb", address, *user, *source],
            cwd=self._folder,
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=True,
        )

    # ------------------------------------------------------------------ master and worker

    def restart_master(self) -> None:
        """Stop the master as an administrator does, and start it and the worker again."""
        self._master.stop()
        self.kill_worker()
        self._master.start()
        self._master.wait_ready()
        self.start_worker()

    def kill_worker(self) -> None:
        """Kill the worker without a shutdown, and then the script that it was running."""
        session = self._worker.pid
        self._worker.stop(signal.SIGKILL)
        if session is not None:
            _kill_session(session)

    def start_worker(self) -> None:
        """Start the worker, also after it was killed, and wait until it is connected."""
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

    # ------------------------------------------------------------------ setup

    def _create(self) -> None:
        # Run both at once: each takes a second or two to import itself.
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in self._creators()
        ]
        outputs = [process.communicate(timeout=WAIT_SECONDS)[0] for process in processes]
        for process, text in zip(processes, outputs, strict=True):
            if process.returncode:
                raise RuntimeError(text)
        text = _MASTER.format(
            host=HOST,
            web=self.port,
            workers=self._worker_port,
            repository=str(self.repo.bare),
            switches=str(self._switches),
            builders=self._builders,
            other=OTHER,
            template=TEMPLATE,
            virtual=VIRTUAL,
            codebases=CODEBASES,
            force=FORCE,
            users=self._users,
        )
        file = self._folder / "master" / "master.cfg"
        file.write_text(text + self._settings, encoding="utf-8")

    def _creators(self) -> Sequence[Sequence[str]]:
        master, worker = str(self._folder / "master"), str(self._folder / "worker")
        address = f"{HOST}:{self._worker_port}"
        return (
            [_program("buildbot"), "create-master", "--quiet", master],
            [_program("buildbot-worker"), "create-worker", worker, address, "worker", "password"],
        )


def _program(name: str) -> str:
    """Return the path of a program in the tests' virtual environment."""
    return str(Path(sys.executable).with_name(name))


def _kill_session(session: int) -> None:
    """Kill the remaining processes of a killed worker's session."""
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(ProcessLookupError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
