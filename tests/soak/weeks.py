"""Simulated weeks of a framework's trunk in one process, with faults: leaks and wrong streaks.

    python -m tests.soak.weeks --days 28 --keep 7

With `--keep`, results are dropped after some days: then memory and the storage stay as large as
they are, once that time has passed.

A streak is right if the plan gave it at some time since the trunk's data timestamp. It is not
compared for half an hour after a re-run has changed it: by docs/github.md, a re-run of an older
commit may be seen so late.
"""

import argparse
import gc
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from unittest import mock

from trunkwatch.app.storage import ROUND_SECONDS
from trunkwatch.config import Config
from trunkwatch.domain.model import JobKey
from trunkwatch.metrics.exposition import PLAIN, Exposition
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.store import SqliteStore

from tests.github.direct import DirectSession
from tests.github.exporter import TOKEN_VARIABLE, config_for
from tests.github.fake import TOKEN
from tests.github.fault_day import HOUR
from tests.github.large_trunk import REPO
from tests.github.outage_check import LATENESS_LIMIT
from tests.soak.world import DAY, RemoteWorld, Size, Streaks, Timeline, remote_world

STEP = 900.0
"""Simulated seconds between two refreshes; no streak on /metrics changes between them."""

READ_ALL = 30
"""Refreshes without faults that read the history at the start."""

SOURCE_OPTIONS = f", poll_interval: {STEP:.0f}s, window: 100, timeout: 1s"


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources of the process.

    Attributes:
        day: simulated.
        rss_mib: resident memory.
        objects: live blocks of Python's allocator, in thousands.
        descriptors: open.
        threads: running.
        series: samples of /metrics.
        file_mib: the storage.
    """

    day: float
    rss_mib: float
    objects: float
    descriptors: int
    threads: int
    series: int
    file_mib: float


@dataclass
class Report:
    """The result of a soak.

    Attributes:
        minutes: simulated minutes that were checked.
        refreshes: number of them.
        streaks: that were compared.
        awaited: that were not, since a re-run may not be seen yet.
        failed: refreshes that failed as a whole.
        wrong: streaks that were never expected since the data's time, as text.
        late: refreshes after which the data was older than an hour.
        usage: at the end of each period.
    """

    minutes: int = 0
    refreshes: int = 0
    streaks: int = 0
    awaited: int = 0
    failed: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)


class SoakedExporter:
    """An exporter without its listeners, on the clock of a world; a reload replaces its parts."""

    def __init__(self, world: RemoteWorld, config: Config, path: Path) -> None:
        self._world, self._config, self._path = world, config, path
        self._store = SqliteStore(str(path))
        self._counters = Counters()
        self._engine = self._new_engine()
        self._exposition = Exposition(lambda: self._engine.snapshot, self._counters.totals, "0")
        self._build()

    def refresh(self) -> bool:
        """Refresh once, let time pass, and render /metrics."""
        ok = self._poller.refresh_once(self._config.sources[0], self._source)
        self._poller.expire_once()
        self._exposition.update()
        return ok

    def drop(self, keep: float) -> None:
        """Drop the results of an age (seconds)."""
        for _ in self._engine.drop_results(keep, self._config.kept_commits):
            pass

    def reload(self) -> None:
        """Replace the engine and the source, as SIGHUP does."""
        before = self._engine
        before.begin_handover()
        engine = self._new_engine(before)
        before.hand_over(engine)
        self._engine = engine
        self._build()

    def streaks(self) -> tuple[Streaks, float | None]:
        """Return the streaks, and the time of their data."""
        for trunk in self._engine.snapshot.trunks:
            if trunk.order.commits:
                return {job.key: job.consecutive_failures for job in trunk.jobs}, trunk.data_at
        return {}, None

    def usage(self, day: float) -> Usage:
        """Measure the process after a collection."""
        text = self._exposition.body(PLAIN, zipped=False)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        size = sum(each.stat().st_size for each in self._path.parent.glob("*.db*"))
        return Usage(
            day,
            pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            sys.getallocatedblocks() / 1000,
            sum(1 for _ in Path("/proc/self/fd").iterdir()),
            threading.active_count(),
            sum(bool(line) and not line.startswith(b"#") for line in text.split(b"\n")),
            size / 2**20,
        )

    def close(self) -> None:
        """Close the storage."""
        self._store.close()

    def _new_engine(self, before: TrunkEngine | None = None) -> TrunkEngine:
        return TrunkEngine(
            self._config,
            self._store,
            self._counters,
            self._now,
            before=before.snapshot if before else None,
            keeps_state=True,
        )

    def _build(self) -> None:
        section = self._config.sources[0]
        http = HttpContext(self._session, clock=self._now, sleep=lambda _seconds: None)
        context = SourceContext(
            http=http,
            events=frozenset(self._config.jobs.events),
            focus=self._engine.focus,
            store=partial(self._engine.ingest_part, section.name),
        )
        self._source = build_source(section, context)
        self._poller = Poller(self._engine, [], Timing(self._now, lambda: 0.0))

    def _session(self) -> DirectSession:
        return DirectSession(self._world.respond)

    def _now(self) -> float:
        return float(self._world.now)


@dataclass
class Soak:
    """Some simulated time, refreshed step by step.

    Attributes:
        world: is read.
        exporter: reads it.
        keep: seconds after which results are dropped; None to keep all.
        report: so far.
    """

    world: RemoteWorld
    exporter: SoakedExporter
    keep: float | None = None
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self._begin = self.world.now
        self._courses: dict[JobKey, list[tuple[float, int | None]]] = {}
        self._rerun_at: dict[JobKey, float] = {}

    def run(self, seconds: float, period: float, reload_every: float) -> Iterator[Usage]:
        """Yield the resources at the end of each period."""
        begin = self.world.now
        self._step(faults=False)
        for number in range(1, int(seconds / STEP) + 1):
            self._step(faults=True)
            elapsed = number * STEP
            if self.keep is not None and elapsed % ROUND_SECONDS < STEP:
                self.exporter.drop(self.keep)
            if elapsed % reload_every < STEP:
                self.exporter.reload()
            if elapsed % period < STEP:
                usage = self.exporter.usage((self.world.now - begin) / DAY)
                self.report.usage.append(usage)
                yield usage

    def _step(self, *, faults: bool) -> None:
        report, world = self.report, self.world
        timeline = world.advance(world.now + STEP, faults=faults)
        for _ in range(1 if faults else READ_ALL):
            report.failed += not self.exporter.refresh()
            report.refreshes += 1
        found, data_at = self.exporter.streaks()
        known = min(world.now, data_at or self._begin)
        self._extend(timeline, known)
        report.late += world.now - known > HOUR
        report.minutes += len(timeline)
        awaited = self._awaited(known)
        compared = (found.keys() | self._courses.keys()) - awaited
        report.streaks += len(compared)
        report.awaited += len(awaited)
        for key in compared:
            right = {streak for _, streak in self._courses.get(key, [(0.0, None)])}
            if found.get(key) not in right:
                report.wrong.append(f"{world.now:.0f} {key.job_name}: {found.get(key)} not {right}")

    def _awaited(self, known: float) -> Set[JobKey]:
        """Return the jobs that a re-run changed so lately that it may not have been read."""
        for key, at in list(self._rerun_at.items()):
            if at + LATENESS_LIMIT <= known:
                del self._rerun_at[key]
        return self._rerun_at.keys()

    def _extend(self, timeline: Timeline, known: float) -> None:
        """Add the newest minutes to the course of each job, and drop the part before a time."""
        for at, changes in timeline:
            for key, change in changes.items():
                self._courses.setdefault(key, [(0.0, None)]).append((at, change.streak))
                if change.rerun:
                    self._rerun_at[key] = at
        for key, course in list(self._courses.items()):
            while len(course) > 1 and course[1][0] <= known:
                del course[0]
            if course[-1][1] is None and len(course) == 1:
                del self._courses[key]


def soak(
    days: float, size: Size, seed: int = 1, *, periods: int = 4, keep_days: float | None = None
) -> Iterator[Usage | Report]:
    """Yield the resources after each period, and at last the report."""
    with (
        mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}),
        tempfile.TemporaryDirectory() as folder,
        remote_world(size, seed) as world,
    ):
        config = config_for(world.url, REPO, SOURCE_OPTIONS)
        exporter = SoakedExporter(world, config, Path(folder) / "results.db")
        made = Soak(world, exporter, None if keep_days is None else keep_days * DAY)
        yield from made.run(days * DAY, days * DAY / periods, days * DAY / 28)
        exporter.close()
        commits, faults, unexpected = world.sums()
        assert not unexpected, unexpected
        print(f"{commits} commits of {size.jobs} jobs, {faults} faults injected", flush=True)
        yield made.report


def main() -> int:
    """Soak and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=float, default=28)
    parser.add_argument("--jobs", type=int, default=Size().jobs)
    parser.add_argument("--workflows", type=int, default=Size().workflows)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--periods", type=int, default=4)
    parser.add_argument("--keep", type=float, help="days after which results are dropped")
    options = parser.parse_args()
    begun, is_wrong = monotonic(), False
    size = Size(options.workflows, options.jobs)
    for each in soak(
        options.days, size, options.seed, periods=options.periods, keep_days=options.keep
    ):
        print(f"{monotonic() - begun:5.0f} s", each, flush=True)
        is_wrong = isinstance(each, Report) and bool(each.wrong)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
