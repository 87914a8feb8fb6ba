"""The step at which a job failed, which check runs do not tell: asked where people look."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import NamedTuple

from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.errors import SourceAnswerError, SourceMissingError
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.jobs import JOBS, Job, job_of, observation
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runs import Run

_JOB_URL = re.compile(r".*/runs/(\d+)/job/(\d+)(?:[/?#].*)?")


class Wanted(NamedTuple):
    """Jobs whose steps are asked for with one request, or with as many as their run has pages.

    Attributes:
        run: that they are of.
        jobs: their ids.
    """

    run: int
    jobs: tuple[str, ...]


class Steps:
    """Asks each first failure of a streak once."""

    def __init__(self, source: str, trunk: Trunk, client: GithubClient, book: Notebook) -> None:
        """Args:
        source: its name, for errors.
        trunk: whose jobs.
        client: asks GitHub.
        book: keeps what has been asked.
        """
        self._source = source
        self._trunk = trunk
        self._client = client
        self._book = book

    def waiting(self, urls: Iterable[str], runs: Mapping[int, Run]) -> list[Wanted]:
        """Return what has yet to be asked about the jobs at some addresses.

        Where many jobs of a run broke at once, the list of all of its jobs costs less.
        """
        by_run: dict[int, list[str]] = defaultdict(list)
        for match in filter(None, map(_JOB_URL.fullmatch, sorted(set(urls)))):
            if self._book.get(Kind.STEP, match[2]) is None:
                by_run[int(match[1])].append(match[2])
        wanted = []
        for run_id, jobs in sorted(by_run.items()):
            run = runs.get(run_id)
            if run is None or run.seen is None:
                continue  # too old for its notes to be kept: it would be asked for ever
            if len(jobs) > ceil(run.jobs / PER_PAGE):
                wanted.append(Wanted(run_id, tuple(jobs)))
            else:
                wanted.extend(Wanted(run_id, (job,)) for job in jobs)
        return wanted

    def ask(self, wanted: Wanted, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Ask, and yield what the jobs say with the step at which they failed."""
        jobs: Sequence[Job] = ()
        with suppress(SourceMissingError):  # what was deleted is not asked for again
            jobs = self._jobs_of(wanted) if len(wanted.jobs) > 1 else [self._job(wanted.jobs[0])]
        for job_id in wanted.jobs:
            self._book.put(Kind.STEP, {"run": wanted.run}, job_id)
        for job in jobs:
            if str(job.id) in wanted.jobs and job.failed_step and not job.may_have_hung:
                row = observation(self._trunk, runs[wanted.run], job, job.conclusion)
                if row is not None:
                    yield row

    def _jobs_of(self, wanted: Wanted) -> Sequence[Job]:
        path = f"/repos/{self._trunk.repo}/actions/runs/{wanted.run}/jobs"
        return self._client.whole_list(path, [("filter", "all")], JOBS)

    def _job(self, job_id: str) -> Job:
        path = f"/repos/{self._trunk.repo}/actions/jobs/{job_id}"
        try:
            return job_of(self._client.get(path).document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceAnswerError(
                self._source, f"GET {path}: not a job as GitHub documents it ({error})"
            ) from None
