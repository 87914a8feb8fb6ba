"""Measures the requests that reading a large trunk costs, for docs/github.md and its tests."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import monotonic
from typing import NamedTuple

from trunkwatch.config.sources import GithubSource
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
from tests.github.rights import CLASSIC, Rights
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
        poll: seconds from one refresh to the next.
        seen: per job id, when its result was first stored (seconds since the epoch).
    """

    large_trunk: LargeTrunk
    exporter: SimulatedExporter
    poll: float = POLL
    seen: dict[int, float] = field(default_factory=dict)

    def read_all(self) -> list[RefreshResult]:
        """Read the whole history, with a pause wherever a limit of GitHub asks for one."""
        done = self.exporter.refresh_until_idle()
        while done[-1].state.unread:
            self.large_trunk.fake.now += POLL
            done += self.exporter.refresh_until_idle()
        return done

    def advance(self, seconds: float, commits: Sequence[str]) -> list[RefreshResult]:
        """Refresh for a time, and record when the results of some commits are stored."""
        done = []
        fake = self.large_trunk.fake
        end = fake.now + seconds
        while fake.now < end:
            fake.now += self.poll
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
def reading_large_trunk(
    commits: int = 60, jobs: int = 450, *, graphql: bool = True, rights: Rights = CLASSIC
) -> Iterator[LargeTrunkReader]:
    """Serve a large trunk of a private repository to an exporter that has read nothing yet.

    Args:
        commits: of its history.
        jobs: of each commit.
        graphql: whether GraphQL may be used.
        rights: of the token.
    """
    made = large_trunk(commits=commits, jobs=jobs)
    made.repo.private, made.fake.rights = True, rights
    with running_exporter(made.fake, REPO, graphql=graphql) as exporter:
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


def _worst_hour(costs: Sequence[int], poll: float = POLL) -> int:
    width = int(HOUR / poll)
    return max(sum(costs[begin : begin + width]) for begin in range(max(1, len(costs) - width + 1)))


# ---------------------------------------------------------------------- the delay of results


class Lag(NamedTuple):
    """Seconds from the end of a job at GitHub until its result is on /metrics, by polling.

    Attributes:
        median: of all results.
        p99: 99 of 100 results take no longer.
        worst_hour: the most counted requests within sixty minutes.
    """

    median: float
    p99: float
    worst_hour: int


def measure_lag(*, graphql: bool, minutes: float = 60.0) -> Lag:
    """Measure a trunk of 60 jobs a commit, a commit each ten minutes, at the default interval.

    Args:
        graphql: whether GraphQL may be used.
        minutes: for which commits are pushed.
    """
    made = large_trunk(commits=20, workflows=6, jobs=60, spacing=600, duration=1200)
    poll = GithubSource.model_fields["poll_interval"].default
    with running_exporter(made.fake, REPO, f", poll_interval: {poll:.0f}s", graphql=graphql) as own:
        own.refresh_until_idle()
        on, spacing, duration = LargeTrunkReader(made, own, poll), 600.0, 1200.0
        begun = made.fake.now + 7
        times = [begun + n * spacing for n in range(int(minutes * 60 / spacing))]
        shas = [made.new_commit(at, duration).sha for at in times]
        done = on.advance(minutes * 60 + duration, shas)
        lags = sorted(on.lags(shas, only_failures=False))
        costs = [one.counted for one in done]
        return Lag(median(lags), lags[math.ceil(0.99 * len(lags)) - 1], _worst_hour(costs, poll))


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
