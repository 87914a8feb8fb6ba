"""The step at which a job failed, which check runs do not tell: asked where people look."""

import re
from collections.abc import Iterable, Iterator, Mapping

from exporter.domain.model import Observation, Trunk
from exporter.errors import SourceAnswerError, SourceMissingError
from exporter.sources.github.client import GithubClient
from exporter.sources.github.jobs import job_of, observation
from exporter.sources.github.notes import Kind, Notebook
from exporter.sources.github.runs import Run

_JOB_URL = re.compile(r".*/job/(\d+)(?:[/?#].*)?")


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

    def waiting(self, urls: Iterable[str]) -> list[str]:
        """Return the ids of the jobs at some addresses that have yet to be asked."""
        found = [match.group(1) for url in urls if (match := _JOB_URL.fullmatch(url))]
        return sorted(job for job in set(found) if self._book.get(Kind.STEP, job) is None)

    def ask(self, job_id: str, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Ask one job, and yield what it says with the step at which it failed."""
        path = f"/repos/{self._trunk.repo}/actions/jobs/{job_id}"
        try:
            job = job_of(self._client.get(path).document)
        except SourceMissingError:
            self._book.put(Kind.STEP, {"run": 0}, job_id)
            return
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceAnswerError(
                self._source, f"GET {path}: not a job as GitHub documents it ({error})"
            ) from None
        self._book.put(Kind.STEP, {"run": job.run or 0}, job_id)
        run = runs.get(job.run or 0)
        if run is not None and job.failed_step and not job.may_have_hung:
            row = observation(self._trunk, run, job, job.conclusion)
            if row is not None:
                yield row
