"""The stand-ins of tools/compare: ten commits with a job for each trap, or a large trunk."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tests.github.commits import CommitNode
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.large_trunk import REPO, large_trunk
from tests.github.repo import Repo
from tests.github.server import serving_github
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded
from tests.gitlab.fake import TOKEN as GITLAB_TOKEN
from tests.gitlab.fake import FakeGitLab
from tests.gitlab.world import Pipeline, time_text
from tests.support.fakehttp import serving

LARGE_COMMITS, LARGE_DURATION = 60, 3600.0
"""Of the large trunk: commits, and seconds that the jobs of one take."""

SPACING = 1800.0
"""Seconds between commits."""

LATE = 7200.0
"""Seconds that a late result takes: it arrives after those of the commits that follow."""

COMMITS = 10
FORCE_PUSHED = 8
"""The commit that a force push puts in place of one on which every job failed."""

BOTH = ("github", "gitlab")


class Trap(NamedTuple):
    """A job.

    Attributes:
        results: one letter a commit, oldest first. P passes, F fails, L passes late, R fails and
            passes in a re-run, T fails three times, C is cancelled by a newer push, S is skipped,
            H is stopped by its own time limit.
        right: the failing commits in a row at the tip, of each job of this name.
        sources: the stand-ins that can play it.
    """

    results: str
    right: Sequence[int]
    sources: Sequence[str] = BOTH


TRAPS = {
    "three failures": Trap("PPPPPPPFFF", [3]),
    "failure, green re-run": Trap("PPPPPPPPPR", [0]),
    "one commit, three attempts": Trap("PPPPPPPPPT", [1]),
    "cancelled in between": Trap("PPPPPPFFCF", [3]),
    "suspect cancelled": Trap("PPPPPPCFFF", [3]),
    "skipped in between": Trap("PPPPPPFFSF", [3]),
    "skipped since": Trap("PPPPPFFFSS", [3]),
    "older pass arrives last": Trap("PPPPPPPLFF", [2]),
    "time limit": Trap("PPPPPPPHHH", [3]),
    "forced away": Trap("PPPPPPPPFF", [2]),
    "two workflows of one name": Trap("PPPPPPPFFF", [0, 3], ("github",)),
}

CI, TWIN = (Workflow("ci", f".github/workflows/{name}.yml") for name in ("ci", "ci-copy"))


def github_history(fake: FakeGitHub, now: float) -> str:
    """Add a repository whose last result came just now; return its name."""
    repo = fake.repo("o/r")
    begin = now - (COMMITS - 1) * SPACING - LATE - 60
    for number in range(COMMITS):
        at = begin + number * SPACING
        commit = _pushed(repo, number, at)
        letters = {name: trap.results[number] for name, trap in TRAPS.items()}
        run = repo.run(commit, CI, [_job(*each) for each in letters.items()], at=at + 5)
        again = [(name, letter) for name, letter in letters.items() if letter in "RT"]
        for attempt in range(1, 3):
            jobs = [_job(n, "P" if x == "R" else "F") for n, x in again if x == "T" or attempt == 1]
            if jobs:
                run.rerun(at + 600 * attempt, jobs)
        repo.run(commit, TWIN, [Job("two workflows of one name")], at=at + 6)
    return repo.full_name


def _pushed(repo: Repo, number: int, at: float) -> CommitNode:
    if number != FORCE_PUSHED:
        return repo.commit(f"Change number {number}", at=at)
    parent = repo.head("main", at)
    removed = repo.commit("Change that is taken back", at=at - 600)
    repo.run(removed, CI, [_job("forced away", "F")], at=at - 595)
    new = repo.loose_commit(f"Change number {number}", date=at, parents=(parent,) if parent else ())
    repo.force_push(new, at=at)
    return new


def _job(name: str, letter: str) -> Job:
    match letter:
        case "C":
            return superseded(name)
        case "S":
            return skipped(name)
        case "H":
            return hanging(name, limit=600.0)
    return Job(name, end=LATE if letter == "L" else 300.0,
               conclusion="success" if letter in "PL" else "failure")  # fmt: skip


STATUS = {"P": "success", "L": "success", "C": "canceled", "S": "skipped"}


def gitlab_history(fake: FakeGitLab, now: float) -> str:
    """Add a project whose last result came just now; return its path."""
    project = fake.project("group/project")
    begin = now - (COMMITS - 1) * SPACING - LATE - 60
    for number in range(COMMITS):
        at = begin + number * SPACING
        if number == FORCE_PUSHED:
            removed = project.push("Change that is taken back", at=at - 600)
            project.pipeline(removed, "failed", at=at - 595).job("forced away", "failed", at=at)
            project.branches["main"].remove(removed)
        run = project.pipeline(project.push(f"Change number {number}", at=at), "failed", at=at)
        for name, trap in TRAPS.items():
            if "gitlab" in trap.sources:
                _add_attempts(run, name, trap.results[number], at)
    return project.path


def _add_attempts(run: Pipeline, name: str, letter: str, at: float) -> None:
    fields = {}
    if letter == "L":
        fields = {"finished_at": time_text(at + LATE), "duration": LATE}
    if letter == "H":
        fields = {"failure_reason": "job_execution_timeout"}
    for attempt, each in enumerate({"R": "FP", "T": "FFF"}.get(letter, letter)):
        run.job(name, STATUS.get(each, "failed"), at=at + 60 * attempt, **fields)


@contextmanager
def standing_in(
    source: str, history: str
) -> Iterator[tuple[dict[str, str], Callable[[], tuple[int, int]]]]:
    """Yield a stand-in's variables, and a function for its (received, counted) requests."""
    if source == "gitlab":
        fake = FakeGitLab()
        path = gitlab_history(fake, time.time())
        with serving(fake) as lab:
            yield (
                {"URL": lab.url, "TOKEN": GITLAB_TOKEN, "REPO": path},
                lambda: (len(lab.requests), len(lab.requests)),
            )
        return
    world, repo = FakeGitHub(time.time()), REPO
    if history == "large":
        begin = time.time() - (LARGE_COMMITS - 1) * SPACING - LARGE_DURATION - 1800
        world = large_trunk(
            LARGE_COMMITS, spacing=SPACING, duration=LARGE_DURATION, begin=begin
        ).fake
    else:
        repo = github_history(world, time.time())
    with serving_github(world) as hub:

        def count() -> tuple[int, int]:
            world.now = time.time()  # the limits of a minute and of an hour go by
            return hub.sent(), hub.counted()

        yield {"URL": hub.url, "TOKEN": TOKEN, "REPO": repo}, count
