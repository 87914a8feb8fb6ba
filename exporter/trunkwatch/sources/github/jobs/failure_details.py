"""Details of the first failures of streaks: the failed step and the annotations, read once each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from trunkwatch.domain.model import Observation, newest_first
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.sources.github.jobs.annotations import failure_lines, read_annotations
from trunkwatch.sources.github.jobs.job import JOBS, Job, job_of, observations
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.state import Kind, TrunkContext

MAX_ANNOTATED_JOBS = 20
"""Jobs of one commit, and of one refresh, whose annotations are read: each costs a request, a
ticket shows no more jobs, and a commit that breaks hundreds breaks them for few reasons."""

FAILED = ("failure", "timed_out")
"""Conclusions of jobs whose annotations are read."""


class StepRequest(NamedTuple):
    """Jobs whose steps are read with one request, or with as many as their run has pages.

    Attributes:
        run: their run.
        jobs: their ids.
    """

    run: int
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedSteps:
    """Reads the failed step of each first failure of a streak once."""

    context: TrunkContext

    def due(self, rows: Iterable[Observation], runs: Mapping[int, Run]) -> list[StepRequest]:
        """Return the requests to send for some failed jobs.

        Where many jobs of a run failed at once, the list of all of its jobs costs less.
        """
        by_run: dict[int, list[str]] = defaultdict(list)
        for row in newest_first(rows):
            if not isinstance(row.run_id, int) or not isinstance(row.job_id, int):
                continue
            if self.context.state.get(Kind.STEP, row.job_id) is None:
                by_run[row.run_id].append(str(row.job_id))
        requests = []
        for run_id, jobs in sorted(by_run.items()):
            run = runs.get(run_id)
            if run is None or run.read_version is None:
                continue  # too old for its state to be kept: it would be read again for ever
            if len(jobs) > ceil(run.jobs / PER_PAGE):
                requests.append(StepRequest(run_id, tuple(jobs)))
            else:
                requests.extend(StepRequest(run_id, (job,)) for job in jobs)
        return requests

    def known(self, rows: Iterable[Observation]) -> Iterator[Observation]:
        """Yield those of some failed jobs whose step was read ahead, with that step."""
        for row in rows:
            details = self.context.details.get(str(row.job_id))
            if details is not None:
                self.context.state.put(Kind.STEP, {"run": row.run_id}, row.job_id)
                if details.failed_step:
                    yield row.changed(failed_step=details.failed_step)

    def read(self, request: StepRequest, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Send a request; yield the jobs with the step at which they failed."""
        jobs: Sequence[Job] = ()
        with suppress(NotFoundError):  # a deleted job is not read again
            jobs = self._jobs_of(request) if len(request.jobs) > 1 else [self._job(request.jobs[0])]
        for job_id in request.jobs:
            self.context.state.put(Kind.STEP, {"run": request.run}, job_id)
        for job in jobs:
            if str(job.id) in request.jobs and job.failed_step and not job.may_have_timed_out:
                run = runs[request.run]
                yield from observations(self.context.trunk, run, job, job.conclusion)

    def _jobs_of(self, request: StepRequest) -> Sequence[Job]:
        path = f"{self.context.repo_path}/actions/runs/{request.run}/jobs"
        return self.context.client.whole_list(path, [("filter", "all")], JOBS)

    def _job(self, job_id: str) -> Job:
        path = f"{self.context.repo_path}/actions/jobs/{job_id}"
        try:
            return job_of(self.context.client.get(path))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswerError(
                f"GET {path}: not a job as GitHub documents it", detail=str(error)
            ) from None


@dataclass(frozen=True, slots=True)
class Explanations:
    """Reads the annotations of the first failure of each streak once."""

    context: TrunkContext

    def due(self, rows: Iterable[Observation], runs: Mapping[int, Run]) -> list[Observation]:
        """Return the failed jobs whose annotations are to be read now, the newest first."""
        entries = self.context.state.all(Kind.ANNOTATED).values()
        read = [runs.get(entry["run"]) for entry in entries]
        taken = Counter(run.sha for run in read if run is not None)
        found = []
        for row in newest_first(row for row in rows if self._is_wanted(row, runs)):
            if taken[row.sha] < MAX_ANNOTATED_JOBS:
                taken[row.sha] += 1
                found.append(row)
        return found[:MAX_ANNOTATED_JOBS]

    def read(self, row: Observation) -> Iterator[Observation]:
        """Read the annotations of a job; yield its row with them if there are any."""
        annotations = read_annotations(self.context, str(row.job_id))
        self.context.state.put(Kind.ANNOTATED, {"run": row.run_id}, row.job_id)
        lines = failure_lines(annotations)
        if lines:
            yield row.changed(annotations=lines)

    def _is_wanted(self, row: Observation, runs: Mapping[int, Run]) -> bool:
        """Return whether it is a failed job of GitHub Actions whose annotations are not read yet.

        One that is too old for its state to be kept would be read again for ever.
        """
        if not isinstance(row.run_id, int) or not isinstance(row.job_id, int):
            return False
        run = runs.get(row.run_id)
        if run is None or run.read_version is None or row.conclusion not in FAILED:
            return False
        return self.context.state.get(Kind.ANNOTATED, row.job_id) is None
