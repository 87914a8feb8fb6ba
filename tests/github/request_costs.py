"""Measures the requests that reading a large trunk costs, for docs/github.md and its tests."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Trunk

from tests.github.exporter import (
    POLL,
    RefreshResult,
    SimulatedExporter,
    expected_jobs,
    job_differences,
    running_exporter,
)
from tests.github.large_trunk import REPO, LargeTrunk, large_trunk

HOUR = 3600.0
TRUNK = Trunk(REPO, "main")


@dataclass
class LargeTrunkReader:
    """An exporter that reads a large trunk, and when it stored each result.

    Attributes:
        large_trunk: the trunk.
        exporter: the exporter.
        seen: per job id, when its result was first stored (seconds since the epoch).
    """

    large_trunk: LargeTrunk
    exporter: SimulatedExporter
    seen: dict[int, float] = field(default_factory=dict)

    def advance(self, seconds: float, commits: Sequence[str]) -> list[RefreshResult]:
        """Refresh for a time, and record when the results of some commits are stored."""
        done = []
        fake = self.large_trunk.fake
        end = fake.now + seconds
        while fake.now < end:
            fake.now += POLL
            done.append(self.exporter.refresh())
            self._note(commits)
        return done

    def _note(self, commits: Sequence[str]) -> None:
        now = self.large_trunk.fake.now
        for row in self.exporter.store.observations(TRUNK, shas=commits):
            if row.finished and isinstance(row.job_id, int):
                self.seen.setdefault(row.job_id, now)

    def lags(self, commits: Sequence[str], *, only_failures: bool) -> list[float]:
        """Return the seconds from the end of each result to its storage; infinity for never."""
        _, rows = self.large_trunk.fake.expected_facts(REPO, "main")
        wanted = set(commits)
        return [
            self.seen.get(row.job_id, float("inf")) - row.completed_at
            for row in rows
            if row.sha in wanted and row.finished and row.completed_at is not None
            if isinstance(row.job_id, int) and (row.conclusion == "failure" or not only_failures)
        ]

    def errors(self) -> dict[str, tuple[object, object]]:
        """Return the differences from the expected jobs."""
        return job_differences(self.jobs(), expected_jobs(self.exporter, REPO))

    def jobs(self) -> dict[JobKey, JobState]:
        """Return the state of every job."""
        return self.exporter.jobs()


@contextmanager
def reading_large_trunk(commits: int = 60) -> Iterator[LargeTrunkReader]:
    """Serve a large trunk to an exporter that has read nothing yet."""
    made = large_trunk(commits=commits)
    with running_exporter(made.fake, REPO) as exporter:
        yield LargeTrunkReader(made, exporter)


def counted_requests(refreshes: Iterable[RefreshResult]) -> int:
    """Return how many requests counted against the rate limit."""
    return sum(one.counted for one in refreshes)


def sent_requests(refreshes: Iterable[RefreshResult]) -> int:
    """Return how many requests were made."""
    return sum(one.sent for one in refreshes)


@dataclass(frozen=True, slots=True)
class FollowCost:
    """The cost of reading commits from queued to completed.

    Attributes:
        requests: counted requests in total.
        worst_hour: the most counted requests within sixty minutes.
        worst_failure: the longest time from the end of a failure until it is stored (seconds).
        median_lag: the median time from the end of a result until it is stored (seconds).
    """

    requests: int
    worst_hour: int
    worst_failure: float
    median_lag: float


def follow_commits(on: LargeTrunkReader, commits: int, spacing: float = 360.0) -> FollowCost:
    """Push commits whose jobs take an hour, and measure reading them to their end.

    Args:
        on: the reader of the trunk.
        commits: number of commits.
        spacing: seconds between commits.
    """
    begun = on.large_trunk.fake.now + 30
    nodes = [on.large_trunk.new_commit(begun + n * spacing) for n in range(commits)]
    shas = [node.sha for node in nodes]
    refreshes = on.advance(HOUR + commits * spacing + 600, shas)
    return FollowCost(
        counted_requests(refreshes),
        _worst_hour([one.counted for one in refreshes]),
        max(on.lags(shas, only_failures=True), default=0.0),
        median(on.lags(shas, only_failures=False)),
    )


def _worst_hour(costs: Sequence[int]) -> int:
    width = int(HOUR / POLL)
    return max(sum(costs[begin : begin + width]) for begin in range(max(1, len(costs) - width + 1)))
