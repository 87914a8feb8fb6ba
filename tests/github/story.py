"""One trunk over eight hours, told as a table: what its jobs say at each commit, and when."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from trunkwatch.config import parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Observation
from trunkwatch.engine.facts import Fact
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import Refresh
from trunkwatch.store import SqliteStore

from tests.github.history import CommitNode
from tests.github.plan import Job, Workflow, hanging, skipped, superseded
from tests.github.repo import Repo
from tests.github.world import T0, World

REPO = "o/r"
SPACING = 1800.0
"""Seconds between commits: longer than a fault may delay a result, so that results of one job
are noticed in the order in which they came."""

BEFORE = 10
"""Commits that are finished when the story begins."""

SHARDS = 96
"""With the other jobs more than a hundred check runs a commit: their list has two pages."""

CI = Workflow("ci", ".github/workflows/ci.yml")
LINT = Workflow("lint", ".github/workflows/lint.yml")
SLOW = Workflow("slow", ".github/workflows/slow.yml")

TOLD: Mapping[Workflow, Mapping[str, str]] = {
    CI: {
        # P passes, F fails, H hangs, C is cancelled by a newer push, S is skipped,
        # R fails and passes when it is run again, "." is not there at all.
        "build": "PPPPPPPPPP" "PPPPPPPPPP",
        "opens and closes": "PPPPPPPPPP" "PPFFFFPPPP",
        "opens and stays": "PPPPPPPPPP" "PPPPFFFFFF",
        "was broken": "PPPPPPFFFF" "FFPPPPPPPP",
        "two in a row": "PPPPPPPPPP" "FFPFFPPPFF",
        "shard": "PPPPPPPPPP" "PFFFFPPPPP",
    },
    LINT: {
        "lint": "PPPPPPPPPP" "PRPFFFRPPP",
        "flaky": "PPPPPPPPFF" "RFFRPPRFFP",
        "seldom": "P...F..F.." ".F..P..F..",
        "skipped": "PPPPPPPPFF" "SSSSFSPSSS",
    },
    SLOW: {
        "hangs": "PPPPPPPPPP" "HHHHHPPPPP",
        "superseded": "PPPPPPPPPP" "CCCCCCCCPC",
        "half superseded": "PPPPPPPPPP" "FCFCCFPPPP",
    },
}  # fmt: skip

STARTUP_FAILURES = (13, 14, 15)
"""Commits at which the workflow `slow` does not even start; what it would have said is not said."""

FORCED = 17
"""The commit that is replaced by another one ten minutes after it was pushed."""

DELETED = 3
"""The commit of which a run is deleted, long after it has been read."""

END = {"lint": 240.0, "flaky": 400.0, "seldom": 330.0, "skipped": 45.0, "build": 700.0}
"""Seconds after which a job is over, where it is not `USUAL_END`."""

USUAL_END = 1500.0
HANGS_FOR = 1200.0
AGAIN_AFTER = 600.0
"""Seconds from the begin of a run to its next attempt."""


@dataclass(frozen=True)
class Story:
    """A world and what happens in it.

    Attributes:
        world: its time stands at the begin of the story.
        repo: the one repository.
        begin: seconds since the epoch.
        end: when everything has been said (seconds since the epoch).
    """

    world: World
    repo: Repo
    begin: float
    end: float


def story(commits: int = 20, shards: int = SHARDS) -> Story:
    """Return the story as a new world.

    Args:
        commits: how many are told, from the oldest on.
        shards: of the job `shard`.
    """
    world = World(T0)
    repo = world.repo(REPO)
    for number in range(commits):
        at = T0 + number * SPACING
        commit = _pushed(repo, number, at)
        for workflow in TOLD:
            _run(repo, commit, workflow, number, at, shards)
        _noise(repo, commit, at)
    begin = T0 + BEFORE * SPACING - 60
    repo.runs_by_id[min(r.id for r in repo.runs if r.commit.title == _title(DELETED))].delete(
        begin + 2 * SPACING
    )
    world.now = begin
    return Story(world, repo, begin, T0 + commits * SPACING + 600)


def _title(number: int) -> str:
    return f"Change number {number}"


def _pushed(repo: Repo, number: int, at: float) -> CommitNode:
    if number != FORCED:
        return repo.commit(_title(number), at=at)
    parent = repo.head("main", at)
    gone = repo.commit("Change that is taken back", at=at - 600)
    failing = [Job(name, end=300.0, conclusion="failure") for name in TOLD[LINT]]
    repo.run(gone, LINT, failing, at=at - 595)
    assert parent is not None
    new = repo.loose_commit(_title(number), date=at, parents=(parent,))
    repo.force_push(new, at=at)
    return new


def _run(
    repo: Repo, commit: CommitNode, workflow: Workflow, number: int, at: float, shards: int
) -> None:
    told = {name: said[number] for name, said in TOLD[workflow].items() if said[number] != "."}
    if workflow is SLOW and number in STARTUP_FAILURES:
        repo.run(commit, workflow, at=at + 5, startup_failure=True)
        return
    jobs = [job for name, letter in told.items() for job in _jobs(name, letter, shards)]
    run = repo.run(commit, workflow, jobs, at=at + 5)
    again = [Job(name, 20.0, 200.0) for name, letter in told.items() if letter == "R"]
    if again:
        run.rerun(at + AGAIN_AFTER, again, copies=number % 2 == 0)


def _jobs(name: str, letter: str, shards: int) -> Iterator[Job]:
    end = END.get(name, USUAL_END)
    match name, letter:
        case "shard", _:
            for number in range(1, shards + 1):
                bad = letter == "F" and number == shards // 2
                yield Job(
                    f"many / test (default, {number}, {shards}, linux.large)",
                    end=600.0 + 288.0 * number / shards,
                    conclusion="failure" if bad else "success",
                )
        case _, "P":
            yield Job(name, end=end)
        case _, "F" | "R":
            yield Job(name, end=end, conclusion="failure", failed_step="Test")
        case _, "H":
            yield hanging(name, limit=HANGS_FOR)
        case _, "C":
            yield superseded(name, end=end)
        case _, "S":
            yield skipped(name)
        case _:
            raise ValueError(f"{name}: {letter!r}")


def _noise(repo: Repo, commit: CommitNode, at: float) -> None:
    """Let a fork's `main` and a pull request fail at everything that trunk does."""
    head = repo.loose_commit(f"Fork of {commit.title}", date=at, parents=(commit,))
    failing = [Job(name, end=300.0, conclusion="failure") for name in TOLD[LINT]]
    repo.run(
        head, LINT, failing, at=at + 50, event="pull_request", head_branch="main",
        head_repo="fork/r",
    )  # fmt: skip
    repo.run(commit, LINT, failing, at=at + 55, event="pull_request", head_branch="topic")


# ---------------------------------------------------------------------- what is true


class TruthAlong:
    """What is true of every job at one moment after the other."""

    def __init__(self, told: Story) -> None:
        """Args:
        told: whose truth; its time is moved by the caller.
        """
        self._told = told
        config = "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n"
        self._store = SqliteStore()
        self._watcher = TrunkEngine(
            parse_config(config, "t.yml"), self._store, Counters(), lambda: told.world.now
        )
        self._said: set[Observation] = set()

    def now(self) -> dict[JobKey, JobState]:
        """Return every job as it is at the world's time."""
        order, rows = self._told.world.truth(self._told.repo, "main")
        self._tell([order, *(row for row in rows if row not in self._said)])
        self._said.update(rows)
        (state,) = self._watcher.snapshot.trunks
        return {job.key: job for job in state.jobs}

    def _tell(self, facts: Iterable[Fact]) -> None:
        self._watcher.ingest_refresh("gh", Refresh(facts), lambda: 0.0)


Jobs = Mapping[JobKey, JobState]


@cache
def timeline(step: float) -> Mapping[float, Jobs]:
    """Return what is true of the whole story at each moment from its begin on.

    A shorter story is the same as long as it lasts: what comes later changes nothing before.

    Args:
        step: seconds from one moment to the next.
    """
    told = story()
    truth = TruthAlong(told)
    found: dict[float, Jobs] = {told.begin: truth.now()}
    while told.world.now < told.end:
        told.world.now += step
        found[told.world.now] = truth.now()
    return found
