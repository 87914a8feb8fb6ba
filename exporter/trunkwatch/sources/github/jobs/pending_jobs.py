"""Jobs that a webhook reported before their run was read.

The payload of a `workflow_job` contains neither the event, nor the head repository, nor the
workflow's file, so only its run decides whether it counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trunkwatch.domain.model import Observation
from trunkwatch.sources.github.jobs.job import Job
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.state import Kind, TrunkContext

KEPT_SECONDS = 86_400.0
"""Seconds after which a job whose run was never read is dropped: it is a pull request's."""


@dataclass(frozen=True, slots=True)
class PendingJobs:
    """The jobs of one trunk that wait for their run.

    Attributes:
        context: of the trunk.
        timed_out: decides the conclusion of cancelled jobs.
    """

    context: TrunkContext
    timed_out: TimedOutJobs

    def add(self, run_id: int, job: Job) -> None:
        """Keep a job until its run is read; of two reports of one job, the finished one."""
        entry = self.context.state.get(Kind.PENDING, run_id) or {"at": self.context.now, "jobs": {}}
        stored = entry["jobs"].get(str(job.id))
        if stored is None or not Job(*stored).finished:
            jobs = {**entry["jobs"], str(job.id): list(job)}
            self.context.state.put(Kind.PENDING, {"at": entry["at"], "jobs": jobs}, run_id)

    def of(self, run: Run) -> Iterator[Observation]:
        """Yield the jobs that waited for a run."""
        entry = self.context.state.get(Kind.PENDING, run.id)
        if entry is None:
            return
        self.context.state.drop(Kind.PENDING, run.id)
        for values in entry["jobs"].values():
            yield from self.timed_out.observations(run, Job(*values))

    def of_all(self, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Yield the jobs that waited for any of the runs; drop those that waited too long."""
        for run_id, entry in list(self.context.state.all(Kind.PENDING).items()):
            run = runs.get(int(run_id))
            if run is not None:
                yield from self.of(run)
            elif self.context.now - entry["at"] > KEPT_SECONDS:
                self.context.state.drop(Kind.PENDING, run_id)
