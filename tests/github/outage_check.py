"""Runs the scenario against an exporter and compares its outages with the expected ones."""

from collections.abc import Callable
from dataclasses import dataclass

from trunkwatch.domain.model import JobKey

from tests.github.exporter import SimulatedExporter, expected_jobs, job_differences
from tests.github.faults import Faults
from tests.github.scenario import REPO, expected_timeline

STEP = 120.0
"""Seconds between refreshes."""

LATENESS_LIMIT = 1800.0
"""Seconds by which any result may be late: half an hour is the documented limit for re-runs."""

SETTLING_REFRESHES = 20
"""Refreshes without faults after which everything must have been read."""

SOURCE_OPTIONS = f", poll_interval: {STEP:.0f}s, timeout: 500ms"


@dataclass
class OutageChecker:
    """A check after each refresh that every outage was expected within `LATENESS_LIMIT`.

    Attributes:
        exporter: the exporter.
        complete: whether everything from before the start has been read.
        wrong: the states that were not expected within `LATENESS_LIMIT`.
        outages: how often an outage opened or closed.
    """

    exporter: SimulatedExporter
    complete: bool = False
    outages: int = 0

    def __post_init__(self) -> None:
        self.wrong: list[str] = []
        self._before: set[JobKey] = set()

    def check(self) -> None:
        """Compare the broken jobs with those expected lately."""
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
            # After a cold start, jobs that have not been read yet are missing, not broken.
            unread = not self.complete and key not in broken
            if (key in broken) not in was and not unread:
                self.wrong.append(f"{now:.0f}: {key.job_name} broken={key in broken}")


def run_scenario(
    exporter: SimulatedExporter, until: float, refresh: Callable[[], object]
) -> OutageChecker:
    """Advance the clock up to a time, with a refresh at each step."""
    checker = OutageChecker(exporter)
    while exporter.fake.now + STEP <= until:
        exporter.fake.now += STEP
        refresh()
        checker.check()
    return checker


def differences_after_settling(exporter: SimulatedExporter) -> dict[str, tuple[object, object]]:
    """Return the remaining differences from the expected jobs after refreshes without faults."""
    exporter.server.faults = Faults()
    for _ in range(SETTLING_REFRESHES):
        exporter.fake.now += STEP
        exporter.refresh()
    return job_differences(exporter.jobs(), expected_jobs(exporter, REPO))
