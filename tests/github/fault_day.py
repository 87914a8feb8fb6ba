"""A day of a middle-sized trunk, refreshed each minute while the API has faults of every kind.

    .venv/bin/python -m tests.github.fault_day --seed 1 --hours 24

prints each minute with a wrong or doubtful streak, and the sums. A streak is right if it was
expected at some time since the trunk's data timestamp: old data is no fault if its age is right.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from trunkwatch.engine.snapshot import MIN_STALE_SECONDS

from tests.github.exporter import POLL, SimulatedExporter, running_exporter
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import Faults, Kind
from tests.github.large_trunk import REPO, Breakage, LargeTrunk
from tests.github.scenario import ExpectedOverTime, Jobs
from tests.github.search_index import SearchIndex

HOUR, DAY = 3600.0, 86400.0
WORKFLOWS, JOBS = 12, 60
COMMITS_BEFORE, COMMITS = 20, 40
FAULT_RATE = 0.05
SOURCE_OPTIONS = ", poll_interval: 60s, window: 30, timeout: 1s"
UNAUTHORIZED_AT = 10 * HOUR
ORDER_JITTER = 90.0


def index_at(time: float, begin: float) -> SearchIndex:
    """Return the search index at a time of the day: several hours are stale or incomplete."""
    match int((time - begin) / HOUR):
        case 3 | 4:
            return SearchIndex(frozen_at=begin + 3 * HOUR)
        case 7 | 8:
            return SearchIndex(lag=1800.0)
        case 12:
            return SearchIndex(kept=23)
        case 14:
            return SearchIndex(kept=0)
        case 18 | 19 | 20:
            return SearchIndex(frozen_at=begin + 18 * HOUR, kept=92)
    return SearchIndex()


def day(seed: int = 1) -> LargeTrunk:
    """Return a trunk with a completed history and a planned day of commits and re-runs."""
    made = LargeTrunk(FakeGitHub(T0), WORKFLOWS, JOBS, seed)
    random = Random(seed)
    last = COMMITS_BEFORE + COMMITS
    for slot in random.sample(range(len(made.slots)), 16):
        first = random.randrange(COMMITS_BEFORE - 5, last)
        length = random.choice((1, 2, 3, 4, 7, 15))
        hang = random.random() < 0.2
        made.breakages.append(Breakage(slot, first, min(last, first + length - 1), hang))
    spacing = DAY / COMMITS
    for number in range(last):
        at = T0 + number * spacing + random.random() * spacing / 2
        made.new_commit(at, duration=random.uniform(900, 3600))
        if random.random() < 0.2:
            made.rerun(-1, random.randrange(len(made.slots)), at + random.uniform(600, 7200))
    made.fake.now = T0 + COMMITS_BEFORE * spacing
    made.fake.run_order_jitter = ORDER_JITTER
    return made


def is_doubtful(exporter: SimulatedExporter) -> bool:
    """Return whether the trunk is marked as doubtful or its data as stale."""
    trunk = exporter.trunk
    stale = trunk.data_at is None or exporter.fake.now - trunk.data_at > MIN_STALE_SECONDS
    return stale or bool(getattr(trunk, "doubtful", False))


@dataclass(frozen=True, slots=True)
class Minute:
    """The streaks after one refresh.

    Attributes:
        at: minutes since the start of the day.
        right: the number of streaks that are as expected.
        wrong: the others, as job, found and expected.
        doubtful: whether the trunk is marked as doubtful or stale.
    """

    at: int
    right: int
    wrong: tuple[tuple[str, int | None, int | None], ...]
    doubtful: bool


def measure_day(
    exporter: SimulatedExporter,
    made: LargeTrunk,
    *,
    seed: int = 1,
    hours: float = 24,
    doubtful: Callable[[SimulatedExporter], bool] = is_doubtful,
) -> Iterator[Minute]:
    """Yield each minute of the day, after a first complete reading without faults.

    Args:
        exporter: reads the trunk.
        made: the trunk.
        seed: of the faults.
        hours: the part of the day to measure.
        doubtful: returns whether the exporter marks its trunk as doubtful.
    """
    exporter.refresh_until_idle()
    expected = ExpectedOverTime(made.fake, made.repo)
    lately: list[tuple[float, Jobs]] = [(made.fake.now, expected.now())]
    begin = made.fake.now
    kinds = [kind for kind in Kind if kind is not Kind.UNAUTHORIZED]
    exporter.server.faults = Faults(FAULT_RATE, seed, kinds)
    for minute in range(1, int(hours * 60) + 1):
        if minute * POLL == UNAUTHORIZED_AT:
            exporter.server.fail_next(Kind.UNAUTHORIZED)
        made.fake.now += POLL
        made.fake.index = index_at(made.fake.now, begin)
        lately.append((made.fake.now, expected.now()))
        exporter.refresh()
        known_until = min(made.fake.now, exporter.trunk.data_at or begin)
        while len(lately) > 1 and lately[1][0] <= known_until:
            del lately[0]
        wrong = tuple(wrong_streaks(exporter.jobs(), [jobs for _, jobs in lately]))
        known = len({key for _, jobs in lately for key in jobs})
        yield Minute(minute, known - len(wrong), wrong, doubtful(exporter))


def wrong_streaks(found: Jobs, lately: list[Jobs]) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield each job whose streak was not expected at any of several times.

    Args:
        found: the jobs of the exporter.
        lately: the expected jobs, oldest first.

    Yields:
        The job's name, its streak and the newest expected one.
    """
    for key in sorted(found.keys() | lately[-1].keys()):
        streak = found[key].consecutive_failures if key in found else None
        ok = [jobs[key].consecutive_failures if key in jobs else None for jobs in lately]
        if streak not in ok:
            yield f"{key.workflow} / {key.job_name}", streak, ok[-1]


@dataclass
class DayReport:
    """The sums of a day.

    Attributes:
        minutes: all of them.
        silently_wrong: minutes with a wrong streak that are not marked as doubtful.
        wrong: minutes with a wrong streak, marked or not.
        needlessly_doubtful: minutes that are marked although every streak is right.
    """

    minutes: int = 0
    silently_wrong: int = 0
    wrong: int = 0
    needlessly_doubtful: int = 0

    def add(self, minute: Minute) -> None:
        self.minutes += 1
        self.wrong += bool(minute.wrong)
        self.silently_wrong += bool(minute.wrong) and not minute.doubtful
        self.needlessly_doubtful += minute.doubtful and not minute.wrong

    @property
    def needless_doubt(self) -> float:
        """The share of the minutes with right streaks that are marked as doubtful."""
        return self.needlessly_doubtful / max(1, self.minutes - self.wrong)


def _print(minute: Minute) -> None:
    words = f"minute {minute.at}: {minute.right} right, {len(minute.wrong)} wrong"
    print(f"{words}, {'doubtful' if minute.doubtful else 'not doubtful'}")
    for job, streak, expected in minute.wrong[:3]:
        print(f"    {job}: {streak} instead of {expected}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rest", action="store_true", help="read through REST alone")
    options = parser.parse_args()
    made, report = day(options.seed), DayReport()
    graphql = not options.rest
    with running_exporter(made.fake, REPO, SOURCE_OPTIONS, graphql=graphql) as exporter:
        for minute in measure_day(exporter, made, seed=options.seed, hours=options.hours):
            report.add(minute)
            if minute.wrong or minute.doubtful:
                _print(minute)
        faults = len(exporter.server.faults.happened)
    print(f"{report}, needless doubt {report.needless_doubt:.2%}, {faults} faults")
    return 1 if report.silently_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
