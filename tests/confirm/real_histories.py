"""Play random histories with a hidden cause on a real Buildbot, with the real programs.

    python -m tests.confirm.real_histories --count 10 --seed 1

One master builds the branches of all histories at once. `trunkwatch serve` reads it, and
`trunkwatch confirm` makes builds, by rebuilds or with --force by a force scheduler. Prints the
figures, and each end that contradicts its plan with the seed; exits 1 where there is any.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import ceil, log2
from pathlib import Path
from random import Random
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tests.cli.program import Served, acting, serving
from tests.support.buildbot import FORCE, REPO, RealBuildbot
from tests.support.waiting import eventually

BUILDER = "inductor"
BROKEN = {f"broken-{BUILDER}": ""}
SLOW = {f"slow-{BUILDER}": ""}

SECONDS = 3600.0
"""Timeout of each wait: many builds may be in the queue."""

IDLE_ROUNDS = 4
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

    def contradictions(self, *, force: bool) -> Iterator[str]:
        """Yield each contradiction between the end and the plan."""
        expected = None if self.is_outside else self.decidable(force=force)
        if self.suspects != expected:
            yield f"{self.suspects} are suspected instead of {expected}"
        asked = Counter(self.shas.index(each["sha"]) for each in self.asked)
        for number, (course, builds) in enumerate(zip(self.courses, self.builds, strict=True)):
            if builds != asked[number] + (course is not Course.NONE):
                yield f"commit {number} has {builds} builds after {asked[number]} questions"
        kinds = Counter(each["kind"] for each in self.asked)
        left = self.before - 1 if force else sum(
            c is Course.CANCELLED for c in self.courses[self._last_pass + 1 :]
        )  # fmt: skip
        if kinds["which"] > ceil(log2(left + 1)):
            yield f"which was asked {kinds['which']} times for {left} commits"
        states = {each["state"] for each in self.asked} - {"answered"}
        if states:
            yield f"questions are {', '.join(sorted(states))}"

    @property
    def _last_pass(self) -> int:
        ends = [n for n, c in enumerate(self.courses) if c is Course.ENDS]
        return max(n for n in ends if n < self.culprit)


# ---------------------------------------------------------------------- play


def push(ci: RealBuildbot, histories: Sequence[History]) -> None:
    """Push all commits, the histories at once, and let their builds end or stop them."""
    for number in range(max(len(each.courses) for each in histories)):
        now = [each for each in histories if number < len(each.courses)]
        for history in now:
            _push(ci, history, number)
        waiting = list(now)

        def look(number: int = number, waiting: list[History] = waiting) -> bool:
            waiting[:] = [each for each in waiting if not _has_ended(ci, each, number)]
            return not waiting

        eventually(look, f"the builds of the commits {number}", SECONDS)


def _push(ci: RealBuildbot, history: History, number: int) -> None:
    if number:
        ci.repo.checkout(history.branch)
    else:
        ci.new_branch(history.branch)
    course = history.courses[number]
    is_broken = number >= history.culprit and not history.is_outside
    files = {"code": str(number), **SLOW, **(BROKEN if is_broken else {})}
    if history.is_outside and number == history.culprit:
        ci.switch(history.branch, "outside").touch()
    if course is Course.CANCELLED:
        ci.switch(history.branch, "hold").touch()
    push = ci.push_unseen if course is Course.NONE else ci.land
    history.shas.append(push(f"change {number} of {history.branch}", files, history.branch))


def _has_ended(ci: RealBuildbot, history: History, number: int) -> bool:
    """Return whether a commit's build, if it has one, has ended; stop it if that is planned."""
    course, sha = history.courses[number], history.shas[number]
    held = ci.switch(history.branch, "held")
    if course is Course.CANCELLED and held.exists():
        builds = ci.builds(BUILDER, sha)
        if not builds:
            return False  # its step has begun, and the API does not list it yet
        ci.stop_build(builds[0]["buildid"])
        held.unlink()
        ci.switch(history.branch, "hold").unlink()
    return course is Course.NONE or any(each["complete"] for each in ci.builds(BUILDER, sha))


def play(histories: Sequence[History], folder: Path, *, force: bool) -> None:
    """Play histories until nothing is asked any more."""
    (folder / "buildbot").mkdir()
    with RealBuildbot(folder / "buildbot", (BUILDER,)) as ci:
        push(ci, histories)
        (folder / "trunkwatch.yml").write_text(_config(ci, histories, force=force))
        flags = ("--storage.path=confirm.db", "--interval=3s")
        with serving(folder) as exporter:
            address = f"--exporter.url=http://127.0.0.1:{exporter.port}"
            eventually(lambda: exporter.get("/-/ready").ok, "the exporter", SECONDS)
            with acting("confirm", folder, address, *flags) as process:
                asked = _until_idle(Served(process))
            for history in histories:
                _read(ci, exporter, history)
                history.asked = [each for each in asked if each["branch"] == history.branch]


def _config(ci: RealBuildbot, histories: Sequence[History], *, force: bool) -> str:
    source = ci.source(*(each.branch for each in histories), poll_interval="2s")
    wide = ("max_runs_per_group", "max_runs_per_repo", "max_minutes_per_repo")
    confirm = {
        "mode": "act",
        "type": "buildbot",
        "api_url": f"{ci.url}/api/v2",
        "builders": [BUILDER],
        **({"force_scheduler": FORCE} if force else {}),
        **dict.fromkeys(wide, 1_000_000),
    }
    return yaml.safe_dump({"sources": [source], "confirm": confirm})


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


def _read(ci: RealBuildbot, exporter: Served, history: History) -> None:
    (job,) = exporter.get(f"/api/v1/trunk/{REPO}/{history.branch}").json()["jobs"]
    history.builds = [len(ci.builds(BUILDER, sha)) for sha in history.shas]
    suspects = job["suspect_commits"]
    history.suspects = (
        tuple(sorted(history.shas.index(each["sha"]) for each in suspects))
        if job["suspects"] is not None
        else None
    )


# ---------------------------------------------------------------------- figures


def figures(histories: Sequence[History], seconds: float) -> Iterator[str]:
    """Yield the lines of the figures."""
    inside = [each for each in histories if not each.is_outside]
    after = [len(each.suspects or ()) for each in inside]
    yield f"{'histories':44} {len(histories)}"
    yield f"{'outages by a commit':44} {len(inside)}"
    yield f"{'  at whose end that commit alone is left':44} {after.count(1)}"
    if inside:
        before = [each.before for each in inside]
        yield f"{'suspects before':44} mean {mean(before):.1f}, largest {max(before)}"
        yield f"{'suspects after':44} mean {mean(after):.1f}, largest {max(after)}"
    unknown = sum(each.suspects is None for each in histories if each.is_outside)
    yield f"{'outages by an outside cause':44} {len(histories) - len(inside)}"
    yield f"{'  at whose end the suspects are unknown':44} {unknown}"
    asked = [len(each.asked) for each in histories]
    yield f"{'builds that were asked for':44} mean {mean(asked):.1f}, largest {max(asked)}"
    yield f"{'builds in all':44} {sum(sum(each.builds) for each in histories)}"
    yield f"{'minutes in all':44} {seconds / 60:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play as many histories as asked for, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--force", action="store_true", help="whether builds are forced")
    options = parser.parse_args(arguments)
    histories = [History(seed) for seed in range(options.seed, options.seed + options.count)]
    begin, wrong = time.monotonic(), 0
    with TemporaryDirectory() as folder:
        play(histories, Path(folder), force=options.force)
    for history in histories:
        found = list(history.contradictions(force=options.force))
        wrong += bool(found)
        for text in found:
            print(f"seed {history.seed}: {text}", flush=True)
    lines = figures(histories, time.monotonic() - begin)
    print(*lines, f"{'wrong histories':44} {wrong}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
