"""Play random histories with a hidden cause on a real Buildbot, with the real programs.

    python -m tests.confirm.real_histories --count 500 --seed 1

One master at a time builds the branches of a batch of histories at once. `trunkwatch serve` reads
it, and `trunkwatch confirm` makes builds, by rebuilds or with --force by a force scheduler. Prints
the figures, and each end that contradicts its plan with the seed; exits 1 where there is any.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from math import ceil, log2
from pathlib import Path
from random import Random
from statistics import mean
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import yaml

from tests.cli.program import Served, acting, serving
from tests.support.buildbot import FORCE, REPO, RealBuildbot
from tests.support.gitrepo import git
from tests.support.waiting import eventually

SECONDS = 3600.0
"""Timeout of each wait, far longer than a batch takes."""

BATCH = 40
"""Histories of one master: the exporter reads the builds of ten minutes again at each refresh."""

IDLE_ROUNDS = 3
"""Rounds of confirm without any change after which all histories have ended."""

OPEN = ("proposed", "sending", "asked")


class Course(Enum):
    """The course of the build of one commit."""

    ENDS = "ends"
    CANCELLED = "cancelled while it runs"
    NONE = "no build"


@dataclass
class History:
    """One history, on a branch of its own; commits are numbered from 0, the oldest.

    Attributes:
        seed: it gives the same history again.
        courses: of each commit's build.
        culprit: the commit that breaks the job; where the cause is outside, the first one that is
            pushed after it began.
        is_outside: the cause is outside the repository.
        flaky: commits without a result that fail by chance when they are first tested.
        shas: of the commits.
        suspects: at the end; None where they are unknown.
        before: number of suspects before anything is asked.
        asked: questions at the end, as JSON.
        builds: number of builds by commit, at the end.
    """

    seed: int
    shas: list[str] = field(default_factory=list)
    suspects: tuple[int, ...] | None = ()
    asked: Sequence[Mapping[str, Any]] = ()
    builds: Sequence[int] = ()

    def __post_init__(self) -> None:
        rng = Random(self.seed)
        between = rng.randint(1, 5)
        self.courses = [
            Course.ENDS,
            *rng.choices(list(Course), (0.1, 0.6, 0.3), k=between),
            *[Course.ENDS] * 3,
        ]
        self.is_outside = rng.random() < 0.2
        # A commit that was built before passed: the cause came later.
        built = [n for n in range(between + 1) if self.courses[n] is Course.ENDS]
        self.culprit = between + 1 if self.is_outside else rng.randint(1, between + 1)
        passed = max(n for n in built if n < self.culprit)
        failed = [n for n, c in enumerate(self.courses) if c is Course.ENDS and n >= self.culprit]
        self.before = failed[0] - passed
        self._between = self.courses[passed + 1 : failed[0]]
        untested = (n for n in range(self.culprit) if self.courses[n] is not Course.ENDS)
        self.flaky = {n for n in untested if rng.random() < 0.1 and not self.is_outside}

    @property
    def branch(self) -> str:
        """The name of its branch."""
        return f"history-{self.seed}"

    def testable(self, *, force: bool) -> list[int]:
        """Return the commits that have a result, or can get one."""
        return [n for n, c in enumerate(self.courses) if force or c is not Course.NONE]

    def decidable(self, *, force: bool) -> tuple[int, ...]:
        """Return the suspects that are left when everything was tested that can be."""
        testable = self.testable(force=force)
        last_good = max(n for n in testable if n < self.culprit)
        first_bad = min(n for n in testable if n >= self.culprit)
        return tuple(range(last_good + 1, first_bad + 1))

    @property
    def is_by_chance(self) -> bool:
        """Whether a suspect failed by chance, which makes the suspects unknown."""
        return any(each["sha"] == self.shas[n] for n in self.flaky for each in self.asked)

    def contradictions(self, *, force: bool) -> Iterator[str]:
        """Yield each contradiction between the end and the plan."""
        left = sum(force or course is Course.CANCELLED for course in self._between)
        # Where nothing is tested on request, the suspects are those of the policy.
        is_unknown = (self.is_outside and left) or self.is_by_chance
        expected = None if is_unknown else self.decidable(force=force)
        if self.suspects != expected:
            yield f"{self.suspects} are suspected instead of {expected}"
        asked = Counter(self.shas.index(each["sha"]) for each in self.asked)
        for number, (course, builds) in enumerate(zip(self.courses, self.builds, strict=True)):
            if builds != asked[number] + (course is not Course.NONE):
                yield f"commit {number} has {builds} builds after {asked[number]} questions"
        kinds = Counter(each["kind"] for each in self.asked)
        which = ceil(log2(left + 1))
        # Each answer may give another first bad, which is tested once more.
        for kind, bound in {"which": which, "real": 1 + which, "outside": 1}.items():
            if kinds[kind] > bound:
                yield f"{kind} was asked {kinds[kind]} times for {left} commits"
        states = {each["state"] for each in self.asked} - {"answered"}
        if states:
            yield f"questions are {', '.join(sorted(states))}"


# ---------------------------------------------------------------------- play

_MASTER = """
from pathlib import Path

from buildbot.process import results
from twisted.internet import defer, reactor, task


class Test(steps.BuildStep):
    name = "test"

    @defer.inlineCallbacks
    def run(self):
        branch, sha = self.getProperty("branch"), self.getProperty("revision")
        self.setProperty("got_revision", sha, "test")
        words = ("broken", "chance", "hold", "held", "ended")
        broken, chance, hold, held, ended = (Path({plans!r}, f"{{sha}}.{{word}}") for word in words)
        is_held = hold.exists()
        if is_held:
            hold.rename(held)
        while is_held and not self.stopped:
            yield task.deferLater(reactor, 0.1)
        ended.touch()
        if is_held:
            return results.CANCELLED
        fails = Path({plans!r}, branch).exists() or broken.exists() or chance.exists()
        chance.unlink(missing_ok=True)
        return results.FAILURE if fails else results.SUCCESS


# A builder and a worker of each branch: the master asks its database about all builders of a worker
# whenever a build of it ends.
BRANCHES = {branches!r}
BuildmasterConfig |= {{
    # A database in memory: each of the many small transactions would wait for the disk.
    "db": {{"db_url": "sqlite://"}},
    # The default asks the database about all builders that have requests, whenever one gets one.
    "prioritizeBuilders": lambda master, builders: builders,
    "workers": [worker.LocalWorker(name) for name in BRANCHES],
    "schedulers": [
        schedulers.ForceScheduler(name={force!r}, builderNames=BRANCHES),
        *(
            schedulers.AnyBranchScheduler(
                name=name, builderNames=[name], change_filter=util.ChangeFilter(branch=name)
            )
            for name in BRANCHES
        ),
    ],
    "builders": [
        util.BuilderConfig(name=name, workernames=[name], factory=util.BuildFactory([Test()]))
        for name in BRANCHES
    ],
}}
"""


def _commit(ci: RealBuildbot, histories: Sequence[History]) -> None:
    """Create the commits of all branches by one command: git takes longer than their builds."""
    now = int(time.time())
    lines = [
        f"commit refs/heads/{each.branch}\ncommitter tests <tests@example.com> {now} +0000\n"
        f"data <<END\nchange {number} of {each.branch}\nEND\n"
        for each in histories
        for number in range(len(each.courses))
    ]
    command = ("git", "-C", str(ci.repo.bare), "fast-import", "--quiet")
    subprocess.run(command, input="".join(lines), text=True, check=True)
    for each in histories:
        each.shas = git(ci.repo.bare, "rev-list", "--reverse", each.branch, "--").split()


def push(ci: RealBuildbot, histories: Sequence[History], plans: Path) -> None:
    """Push all commits, the histories at once, and let their builds end or stop them."""
    _commit(ci, histories)
    count = 0
    for number in range(max(len(each.courses) for each in histories)):
        now = [each for each in histories if number < len(each.courses)]
        for history in now:
            count += _push(ci, history, number, plans)
        look = partial(_have_ended, ci, count, plans)
        eventually(look, f"the builds of the commits {number}", SECONDS)


def _push(ci: RealBuildbot, history: History, number: int, plans: Path) -> bool:
    """Push a commit; return whether it is built."""
    course, sha = history.courses[number], history.shas[number]
    if history.is_outside and number == history.culprit:
        (plans / history.branch).touch()
    if not history.is_outside and number >= history.culprit:
        (plans / f"{sha}.broken").touch()
    if number in history.flaky:
        (plans / f"{sha}.chance").touch()
    if course is Course.CANCELLED:
        (plans / f"{sha}.hold").touch()
    if course is Course.NONE:
        return False
    ci.send_change(sha, history.branch)
    return True


def _have_ended(ci: RealBuildbot, count: int, plans: Path) -> bool:
    """Return whether so many builds have ended; stop those that wait."""
    held = {file.stem for file in plans.glob("*.held")}
    if not held and len(list(plans.glob("*.ended"))) < count:
        return False
    running = ci.get("/builds", ("complete", "false"), ("property", "revision"))["builds"]
    for build in running:
        sha = build["properties"].get("revision", [""])[0]  # listed before it is set
        if sha in held:
            ci.stop_build(build["buildid"])
            (plans / f"{sha}.held").unlink()
    return not running and not held


def play(histories: Sequence[History], folder: Path, *, force: bool) -> None:
    """Play histories until nothing is asked any more."""
    plans = folder / "plans"
    plans.mkdir()
    (folder / "buildbot").mkdir()
    branches = [each.branch for each in histories]
    settings = _MASTER.format(plans=str(plans), branches=branches, force=FORCE)
    with RealBuildbot(folder / "buildbot", branches, settings=settings) as ci:
        push(ci, histories, plans)
        (folder / "trunkwatch.yml").write_text(_config(ci, histories, force=force))
        flags = ("--storage.path=confirm.db", "--interval=4s")
        with serving(folder) as exporter:
            address = f"--exporter.url=http://127.0.0.1:{exporter.port}"
            eventually(lambda: exporter.get("/-/ready").ok, "the exporter", SECONDS)
            with acting("confirm", folder, address, *flags) as process:
                confirm = Served(process)
                _discard_logs(exporter, confirm)
                asked = _until_idle(confirm)
            builds = Counter(
                build["properties"]["revision"][0]
                for build in ci.get("/builds", ("property", "revision"))["builds"]
            )
            for history in histories:
                _read(exporter, history)
                history.builds = [builds[sha] for sha in history.shas]
                history.asked = [each for each in asked if each["branch"] == history.branch]


def _config(ci: RealBuildbot, histories: Sequence[History], *, force: bool) -> str:
    source = ci.source(*(each.branch for each in histories), poll_interval="6s")
    wide = ("max_runs_per_group", "max_runs_per_repo", "max_minutes_per_repo")
    confirm = {
        "mode": "act",
        "type": "buildbot",
        "api_url": f"{ci.url}/api/v2",
        "builders": ["history-.*"],
        **({"force_scheduler": FORCE} if force else {}),
        **dict.fromkeys(wide, 1_000_000),
    }
    return yaml.safe_dump({"sources": [source], "confirm": confirm})


def _discard_logs(*programs: Served) -> None:
    """Read what the programs log from now on: a full pipe would stop them."""
    for program in programs:
        assert program.process.stderr is not None
        Thread(target=program.process.stderr.read, daemon=True).start()


def _until_idle(confirm: Served) -> Sequence[Mapping[str, Any]]:
    """Return the questions after some rounds in which none is open, and none is new."""
    rounds = set[str]()
    before: list[tuple[Any, ...]] | None = None

    def look() -> Mapping[str, Any] | None:
        nonlocal rounds, before
        document: dict[str, Any] = confirm.get("/api/v1/confirm").json()
        found = [(each["sha"], each["kind"], each["state"]) for each in document["questions"]]
        is_busy = any(state in OPEN for *_, state in found) or document["problem"] is not None
        if is_busy or found != before or document["as_of"] is None:
            rounds, before = set(), found
        else:
            rounds.add(document["as_of"])
        return document if len(rounds) > IDLE_ROUNDS else None

    ended = eventually(look, "the last answer", SECONDS)
    assert ended is not None
    return list(ended["questions"])


def _read(exporter: Served, history: History) -> None:
    (job,) = exporter.get(f"/api/v1/trunk/{REPO}/{history.branch}").json()["jobs"]
    suspects = job["suspect_commits"]
    history.suspects = (
        tuple(sorted(history.shas.index(each["sha"]) for each in suspects))
        if job["suspects"] is not None
        else None
    )


# ---------------------------------------------------------------------- figures


def figures(histories: Sequence[History], seconds: float, *, force: bool) -> Iterator[str]:
    """Yield the lines of the figures."""
    inside = [each for each in histories if not each.is_outside]
    outside = [each for each in histories if each.is_outside]
    chance = [each for each in inside if each.is_by_chance]
    decided = [
        each for each in inside if each not in chance and len(each.decidable(force=force)) == 1
    ]
    after = [len(each.suspects) for each in inside if each.suspects is not None]
    alone = [each for each in decided if each.suspects == (each.culprit,)]
    tested = [each for each in outside if each.asked]
    for name, found in (
        ("histories", histories),
        ("outages by a commit", inside),
        ("  that tests can find", decided),
        ("    at whose end it alone is left", alone),
        ("  at which a suspect failed by chance", chance),
        ("    at whose end the suspects are unknown", _unknown(chance)),
        ("outages by an outside cause", outside),
        ("  at which a suspect was tested", tested),
        ("    at whose end the suspects are unknown", _unknown(tested)),
    ):
        yield f"{name:44} {len(found)}"
    if after:
        before = [each.before for each in inside]
        yield f"{'suspects before':44} mean {mean(before):.1f}, largest {max(before)}"
        yield f"{'suspects after, if known':44} mean {mean(after):.1f}, largest {max(after)}"
    asked = [len(each.asked) for each in histories]
    yield f"{'builds that were asked for':44} mean {mean(asked):.1f}, largest {max(asked)}"
    yield f"{'builds in all':44} {sum(sum(each.builds) for each in histories)}"
    yield f"{'minutes in all':44} {seconds / 60:.0f}"


def _unknown(histories: Sequence[History]) -> list[History]:
    return [each for each in histories if each.suspects is None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play as many histories as asked for, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--force", action="store_true", help="whether builds are forced")
    options = parser.parse_args(arguments)
    histories = [History(seed) for seed in range(options.seed, options.seed + options.count)]
    begin, wrong = time.monotonic(), 0
    for first in range(0, options.count, BATCH):
        batch = histories[first : first + BATCH]
        with TemporaryDirectory() as folder:
            play(batch, Path(folder), force=options.force)
        for history in batch:
            found = list(history.contradictions(force=options.force))
            wrong += bool(found)
            for text in found:
                print(f"seed {history.seed}: {text}", flush=True)
    lines = figures(histories, time.monotonic() - begin, force=options.force)
    print(*lines, f"{'wrong histories':44} {wrong}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
