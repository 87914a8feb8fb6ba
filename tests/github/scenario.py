"""A scenario of one trunk over ten hours: a table of the results of each job at each commit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from trunkwatch.config import parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import Refresh
from trunkwatch.store import SqliteStore

from tests.github.commits import CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.repo import Repo
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded

REPO = "o/r"
SPACING = 1800.0
"""Seconds between commits: longer than a fault may delay a result, so that the results of one job
are read in order."""

COMMITS_BEFORE_START = 10
"""Commits that have completed when the scenario starts."""

SHARDS = 96
"""With the other jobs a commit has over 100 check runs, so that their list has two pages."""

CI = Workflow("ci", ".github/workflows/ci.yml")
LINT = Workflow("lint", ".github/workflows/lint.yml")
SLOW = Workflow("slow", ".github/workflows/slow.yml")

RESULTS: Mapping[Workflow, Mapping[str, str]] = {
    CI: {
        # P passes, F fails, H hangs, C is cancelled by a newer push, S is skipped,
        # R fails and passes in a re-run, "." does not run.
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
"""Commits at which the workflow `slow` fails to start, so that its jobs have no results."""

FORCE_PUSHED = 17
"""The commit that a force push puts in place of one that was pushed ten minutes earlier."""

WITH_DELETED_RUN = 3
"""The commit one of whose runs is deleted long after it was read."""

END = {"lint": 240.0, "flaky": 400.0, "seldom": 330.0, "skipped": 45.0, "build": 700.0}
"""Seconds until a job completes, for jobs that do not take `DEFAULT_DURATION`."""

DEFAULT_DURATION = 1500.0
HANG_SECONDS = 1200.0
RERUN_AFTER = 600.0
"""Seconds from the start of a run to its next attempt."""


@dataclass(frozen=True)
class Scenario:
    """A fake GitHub on which the scenario is planned.

    Attributes:
        fake: the fake GitHub; its clock is at `begin`.
        repo: its only repository.
        begin: when the scenario starts (seconds since the epoch).
        end: when all jobs have completed (seconds since the epoch).
    """

    fake: FakeGitHub
    repo: Repo
    begin: float
    end: float


def scenario(commits: int = 20, shards: int = SHARDS) -> Scenario:
    """Return the scenario on a new fake GitHub.

    Args:
        commits: number of commits, from the oldest on.
        shards: number of shards of the job `shard`.
    """
    fake = FakeGitHub(T0)
    repo = fake.repo(REPO)
    for number in range(commits):
        at = T0 + number * SPACING
        commit = _pushed(repo, number, at)
        for workflow in RESULTS:
            _run(repo, commit, workflow, number, at, shards)
        _add_foreign_runs(repo, commit, at)
    begin = T0 + COMMITS_BEFORE_START * SPACING - 60
    repo.runs_by_id[
        min(r.id for r in repo.runs if r.commit.title == _title(WITH_DELETED_RUN))
    ].delete(begin + 2 * SPACING)
    fake.now = begin
    return Scenario(fake, repo, begin, T0 + commits * SPACING + 600)


def _title(number: int) -> str:
    return f"Change number {number}"


def _pushed(repo: Repo, number: int, at: float) -> CommitNode:
    if number != FORCE_PUSHED:
        return repo.commit(_title(number), at=at)
    parent = repo.head("main", at)
    removed = repo.commit("Change that is taken back", at=at - 600)
    failing = [Job(name, end=300.0, conclusion="failure") for name in RESULTS[LINT]]
    repo.run(removed, LINT, failing, at=at - 595)
    assert parent is not None
    new = repo.loose_commit(_title(number), date=at, parents=(parent,))
    repo.force_push(new, at=at)
    return new


def _run(
    repo: Repo, commit: CommitNode, workflow: Workflow, number: int, at: float, shards: int
) -> None:
    results = {name: row[number] for name, row in RESULTS[workflow].items() if row[number] != "."}
    if workflow is SLOW and number in STARTUP_FAILURES:
        repo.run(commit, workflow, at=at + 5, startup_failure=True)
        return
    jobs = [job for name, letter in results.items() for job in _jobs(name, letter, shards)]
    run = repo.run(commit, workflow, jobs, at=at + 5)
    again = [Job(name, 20.0, 200.0) for name, letter in results.items() if letter == "R"]
    if again:
        run.rerun(at + RERUN_AFTER, again, copies=number % 2 == 0)


def _jobs(name: str, letter: str, shards: int) -> Iterator[Job]:
    end = END.get(name, DEFAULT_DURATION)
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
            yield hanging(name, limit=HANG_SECONDS)
        case _, "C":
            yield superseded(name, end=end)
        case _, "S":
            yield skipped(name)
        case _:
            raise ValueError(f"{name}: {letter!r}")


def _add_foreign_runs(repo: Repo, commit: CommitNode, at: float) -> None:
    """Add failing runs of a fork's `main` and of a pull request, which do not count."""
    head = repo.loose_commit(f"Fork of {commit.title}", date=at, parents=(commit,))
    failing = [Job(name, end=300.0, conclusion="failure") for name in RESULTS[LINT]]
    repo.run(
        head, LINT, failing, at=at + 50, event="pull_request", head_branch="main",
        head_repo="fork/r",
    )  # fmt: skip
    repo.run(commit, LINT, failing, at=at + 55, event="pull_request", head_branch="topic")


# ---------------------------------------------------------------------- expected results


class ExpectedOverTime:
    """The expected state of every job of a branch `main` while the clock advances."""

    def __init__(self, fake: FakeGitHub, repo: Repo) -> None:
        """Args:
        fake: the fake GitHub, whose clock the caller advances.
        repo: the repository.
        """
        self._fake = fake
        self._repo = repo
        config = "sources: [{name: gh, type: recorded, path: none}]\njobs: {preset: pytorch}\n"
        self._store = SqliteStore()
        self._engine = TrunkEngine(
            parse_config(config, "t.yml"), self._store, Counters(), lambda: fake.now
        )
        self._head: CommitNode | None = None
        self._read_at = 0.0

    def now(self) -> dict[JobKey, JobState]:
        """Return the expected state of every job at the simulated time."""
        head = self._repo.head("main", self._fake.now)
        since = self._read_at if head == self._head else 0.0
        order, rows = self._fake.expected_facts(self._repo, "main", since=since)
        self._engine.ingest_refresh("gh", Refresh([order, *rows]), lambda: 0.0)
        self._head, self._read_at = head, self._fake.now
        (state,) = self._engine.snapshot.trunks
        return {job.key: job for job in state.jobs}


Jobs = Mapping[JobKey, JobState]


@cache
def expected_timeline(step: float) -> Mapping[float, Jobs]:
    """Return the expected jobs of the whole scenario by time (seconds since the epoch).

    They hold for a shorter scenario too: later commits do not change earlier states.

    Args:
        step: seconds between two times.
    """
    plan = scenario()
    expected = ExpectedOverTime(plan.fake, plan.repo)
    found: dict[float, Jobs] = {plan.begin: expected.now()}
    while plan.fake.now < plan.end:
        plan.fake.now += step
        found[plan.fake.now] = expected.now()
    return found
