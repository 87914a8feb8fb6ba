"""Watches what a source says of the story while it is told, and compares it with the truth."""

from collections.abc import Callable
from dataclasses import dataclass

from trunkwatch.domain.model import JobKey

from tests.github.exporter import SimulatedExporter, expected_jobs, job_differences
from tests.github.faults import Faults
from tests.github.scenario import REPO, expected_timeline

STEP = 120.0
"""Seconds from one refresh to the next."""

LATENESS_LIMIT = 1800.0
"""Seconds by which anything may be noticed late: half an hour is the promise for re-runs."""

SETTLING_REFRESHES = 20
"""Refreshes without faults after which everything must have been noticed."""

SOURCE_OPTIONS = f", poll_interval: {STEP:.0f}s, timeout: 150ms"


@dataclass
class OutageChecker:
    """Compares what is said with what was true a while ago, refresh by refresh.

    Attributes:
        player: who says it.
        complete: everything that was there at the start has been read.
        wrong: what was said and had not been true within `LATE`.
        outages: how often an outage was seen to open or to close.
    """

    exporter: SimulatedExporter
    complete: bool = False
    outages: int = 0

    def __post_init__(self) -> None:
        self.wrong: list[str] = []
        self._before: set[JobKey] = set()

    def check(self) -> None:
        """Compare once."""
        state = self.exporter.engine.snapshot.sources[0]
        self.complete = self.complete or (state.up and state.unread == 0)
        trunks = self.exporter.engine.snapshot.trunks
        broken = {job.key for trunk in trunks for job in trunk.jobs if job.broken}
        self.outages += len(broken ^ self._before)
        self._before = broken
        now = self.exporter.fake.now
        lately = [
            jobs
            for at, jobs in expected_timeline(STEP).items()
            if now - LATENESS_LIMIT <= at <= now
        ]
        for key in broken | {key for jobs in lately for key in jobs}:
            was = {key in jobs and jobs[key].broken for jobs in lately}
            # At a cold start what has not been read yet is not known to be broken.
            unread = not self.complete and key not in broken
            if (key in broken) not in was and not unread:
                self.wrong.append(f"{now:.0f}: {key.job_name} broken={key in broken}")


def run_scenario(
    exporter: SimulatedExporter, until: float, refresh: Callable[[], object]
) -> OutageChecker:
    """Let time go by up to a moment, with something done at each step."""
    checker = OutageChecker(exporter)
    while exporter.fake.now + STEP <= until:
        exporter.fake.now += STEP
        refresh()
        checker.check()
    return checker


def differences_after_settling(exporter: SimulatedExporter) -> dict[str, tuple[object, object]]:
    """Return what still differs from the truth after a while without faults."""
    exporter.server.faults = Faults()
    for _ in range(SETTLING_REFRESHES):
        exporter.fake.now += STEP
        exporter.refresh()
    return job_differences(exporter.jobs(), expected_jobs(exporter, REPO))
