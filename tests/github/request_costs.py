"""Measures the requests that reading a large trunk costs, for docs/github.md and its tests."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

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
from tests.github.fake import T0, FakeGitHub
from tests.github.large_trunk import REPO, LargeTrunk, large_trunk
from tests.github.workflows import Job, Workflow

HOUR, DAY = 3600.0, 86400.0
TRUNK = Trunk(REPO, "main")
CI = Workflow("ci", ".github/workflows/ci.yml")


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
def reading_large_trunk(commits: int = 60, jobs: int = 450) -> Iterator[LargeTrunkReader]:
    """Serve a large trunk to an exporter that has read nothing yet.

    Args:
        commits: of its history.
        jobs: of each commit.
    """
    made = large_trunk(commits=commits, jobs=jobs)
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
        worst_hour_sent: the most requests within sixty minutes.
        worst_failure: the longest time from the end of a failure until it is stored (seconds).
        median_lag: the median time from the end of a result until it is stored (seconds).
    """

    requests: int
    worst_hour: int
    worst_hour_sent: int
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
        _worst_hour([one.sent for one in refreshes]),
        max(on.lags(shas, only_failures=True), default=0.0),
        median(on.lags(shas, only_failures=False)),
    )


def _worst_hour(costs: Sequence[int]) -> int:
    width = int(HOUR / POLL)
    return max(sum(costs[begin : begin + width]) for begin in range(max(1, len(costs) - width + 1)))


# ---------------------------------------------------------------------- all measured cases


@dataclass(frozen=True, slots=True)
class Cost:
    """The requests of one measured case.

    Attributes:
        case: its name.
        counted: REST requests that counted against the rate limit, plus points of GraphQL.
        sent: all requests.
        remark: what else was measured.
    """

    case: str
    counted: int
    sent: int
    remark: str = ""


def cost_of(case: str, refreshes: Sequence[RefreshResult], remark: str = "") -> Cost:
    """Return the cost of some refreshes."""
    points = sum(one.points for one in refreshes)
    remarks = [remark, f"{points} points"] if points else [remark]
    return Cost(case, counted_requests(refreshes), sent_requests(refreshes),
                ", ".join(filter(None, remarks)))  # fmt: skip


def measure_costs(on: LargeTrunkReader) -> Iterator[Cost]:
    """Yield the cost of each case, from a cold start of the large trunk on."""
    first = on.exporter.refresh()
    shown = len(on.exporter.trunk.order.commits)
    rest = on.exporter.refresh_until_idle()
    yield cost_of("cold start", [first, *rest], f"the newest {shown} after {first.counted}")
    yield cost_of("nothing new, 30 refreshes", on.exporter.advance(30 * POLL))
    on.exporter.restart()
    yield cost_of("first refresh after a restart", on.exporter.advance(POLL))
    on.exporter.advance(4 * POLL)
    one = follow_commits(on, 1)
    late = f"no failure seen later than {one.worst_failure:.0f} s after it"
    yield Cost("one commit from queue to done, the worst hour", one.worst_hour,
               one.worst_hour_sent, late)  # fmt: skip
    ten = follow_commits(on, 10)
    yield Cost("ten commits in flight, the worst hour", ten.worst_hour, ten.worst_hour_sent,
               f"median lag {ten.median_lag:.0f} s")  # fmt: skip
    on.large_trunk.rerun(20, 30, on.large_trunk.fake.now + 10)
    yield cost_of("a re-run of an old commit, 30 refreshes", on.exporter.advance(30 * POLL))


@dataclass(frozen=True, slots=True)
class RoundCost:
    """The cost of many repositories that one glob selects.

    Attributes:
        cost: of a round without news.
        seconds: that it took.
        cold: the cost of reading everything first.
        cold_seconds: simulated seconds that this took, within the limits of a minute.
        refused: requests that exceeded a secondary limit.
        read: repositories whose trunk is shown.
    """

    cost: Cost
    seconds: float
    cold: Cost
    cold_seconds: float
    refused: int
    read: int


def measure_idle_round(
    repositories: int = 1000, latency: float = 0.0, *, graphql: bool = True
) -> RoundCost:
    """Read many repositories, and measure a round of them without news.

    Args:
        repositories: their number.
        latency: of each request of the measured round (seconds).
        graphql: whether GraphQL may be used.
    """
    fake = FakeGitHub()
    for number in range(repositories):
        repo = fake.repo(f"org/r{number:04}")
        repo.run(repo.commit("first", at=T0 - DAY), CI, [Job("test")], at=T0 - DAY)
    with running_exporter(fake, '"org/*"', ", quota_share: 1", graphql=graphql) as exporter:
        cold = [exporter.refresh()]
        while cold[-1].sent > 2 * cold[-1].points or len(cold) < 3:
            cold += exporter.advance(POLL)
            if not graphql and cold[-1].counted == 0:
                break
        cold_seconds = fake.now - T0
        exporter.server.latency = latency
        begun = monotonic()
        done = exporter.advance(POLL)
        seconds = monotonic() - begun
        case = f"nothing new, a round over {repositories:,} repositories"
        return RoundCost(
            cost_of(case, done),
            seconds,
            cost_of(f"cold start of {repositories:,} repositories", cold),
            cold_seconds,
            exporter.server.refused_for_now,
            sum(bool(state.order.commits) for state in exporter.engine.snapshot.trunks),
        )
