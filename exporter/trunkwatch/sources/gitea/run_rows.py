"""The observations of one run, from its tasks and its jobs."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.sources.gitea.position import RunState
from trunkwatch.sources.gitea.rows import COMPLETED, STATUSES, Job, Task
from trunkwatch.times import plausible_time


class RunRows(NamedTuple):
    """One run and its state.

    Attributes:
        trunk: the trunk.
        number: of the run within its repository; it is the id of the observations' run, since a
            task does not have the id.
        run: the state; `of` records in it the jobs that wait.
        now: seconds since the epoch.
    """

    trunk: Trunk
    number: int
    run: RunState
    now: float

    def of(self, jobs: Collection[Job]) -> Iterator[Observation]:
        """Yield the attempts that are due, and the jobs that none of the tasks reports.

        The rows of a job have no id: its tasks, and its own row while it waits, are reports of one
        job. Jobs that share a name have their own rows only, since a task does not name its job.
        """
        named = Counter(job.name for job in jobs)
        own = {job.name: job for job in jobs}
        for _, task in sorted(self.run.due.items()):
            if named[task.name] <= 1:
                yield self._of_task(task, own.get(task.name))
        for job in jobs:
            if named[job.name] > 1:
                yield self._of_job(job, max(1, job.attempts), job.id)
            else:
                yield from self._without_task(job)

    def _without_task(self, job: Job) -> Iterator[Observation]:
        """Yield the row of a job that waits for its next attempt, or ended without one."""
        begun, waiting = len(self.run.tasks.get(job.name, ())), self.run.waiting
        if job.status == COMPLETED:
            if not begun or job.name in waiting:
                yield self._of_job(job, begun + 1)
            if job.name in waiting:
                waiting.remove(job.name)
        elif job.attempts >= begun and job.status != "in_progress":
            if job.name not in waiting:
                waiting.append(job.name)
            yield self._of_job(job, begun + 1)

    def _of_task(self, task: Task, job: Job | None) -> Observation:
        status, conclusion = STATUSES.get(task.status, (task.status, None))
        begun = plausible_time(task.begun, self.now)
        earlier = [each for each in self.run.tasks.get(task.name, ()) if each < task.id]
        attempt = 1 + len(earlier)
        newest = job if job is not None and job.attempts == attempt else None
        return self._observation(
            task.sha,
            task.name,
            status=status,
            conclusion=conclusion,
            attempt=attempt,
            created_at=begun,
            started_at=begun,
            completed_at=self._end_of(task, newest) if status == COMPLETED else None,
            url=(job and job.url) or task.url,
            failed_step=newest.failed_step if newest else None,
        )

    def _end_of(self, task: Task, newest: Job | None) -> float | None:
        """Return when an attempt ended (seconds since the epoch).

        The server changes the time of a task again when its log arrives late, and when it deletes
        old logs. The newest attempt's own end, by the runner's clock, is in the row of its job.
        """
        end = task.changed
        if newest is not None and newest.completed:
            end = min(end, max(newest.completed, task.begun))
        return plausible_time(end, self.now)

    def _of_job(self, job: Job, attempt: int, job_id: int | None = None) -> Observation:
        ended = job.status == COMPLETED
        return self._observation(
            job.sha,
            job.name,
            status=job.status,
            conclusion=job.conclusion if ended else None,
            attempt=attempt,
            job_id=job_id,
            created_at=plausible_time(job.created, self.now),
            started_at=plausible_time(job.started, self.now),
            completed_at=plausible_time(job.completed, self.now) if ended else None,
            url=job.url,
            failed_step=job.failed_step if ended else None,
        )

    def _observation(self, sha: str, name: str, **own: object) -> Observation:
        run = self.run
        return Observation(
            self.trunk,
            sha,
            RawJob(run.workflow, run.workflow, name),
            run_id=self.number,
            run_number=self.number,
            event=run.event,
            head_branch=self.trunk.branch,
            head_repo=self.trunk.repo,
            **own,  # type: ignore[arg-type] # its own fields, with their types
        )
