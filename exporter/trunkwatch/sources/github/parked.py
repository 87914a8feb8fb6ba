"""Jobs that a webhook told of before their run was known.

The body of a `workflow_job` names neither the event, nor the head repository, nor the workflow's
file, so whether it counts is not known before its run is.
"""

from collections.abc import Iterator, Mapping

from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.sources.github.hangs import Hangs
from trunkwatch.sources.github.jobs import Job, observation
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runs import Run

KEPT = 86_400.0
"""Seconds after which a job whose run never became known is forgotten: it is a pull request's."""


class Parked:
    """The jobs of one trunk that wait for their run."""

    def __init__(self, trunk: Trunk, book: Notebook, hangs: Hangs) -> None:
        """Args:
        trunk: whose jobs.
        book: keeps them.
        hangs: knows what cancelled jobs say in the end.
        """
        self._trunk = trunk
        self._book = book
        self._hangs = hangs

    def park(self, run_id: int, job: Job, now: float) -> None:
        """Keep a job until its run is known; of one job told twice, the finished one."""
        note = self._book.get(Kind.PARKED, run_id) or {"at": now, "jobs": {}}
        known = note["jobs"].get(str(job.id))
        if known is None or not Job(*known).finished:
            jobs = {**note["jobs"], str(job.id): list(job)}
            self._book.put(Kind.PARKED, {"at": note["at"], "jobs": jobs}, run_id)

    def of(self, run: Run) -> Iterator[Observation]:
        """Yield what the jobs of a run said before it was known."""
        note = self._book.get(Kind.PARKED, run.id)
        if note is None:
            return
        self._book.drop(Kind.PARKED, run.id)
        for values in note["jobs"].values():
            job = Job(*values)
            row = observation(self._trunk, run, job, self._hangs.conclusion(run, job))
            if row is not None:
                yield row

    def of_all(self, runs: Mapping[int, Run], now: float) -> Iterator[Observation]:
        """Yield what the jobs of all known runs said, and forget those that waited for too long."""
        for run_id, note in list(self._book.all(Kind.PARKED).items()):
            run = runs.get(int(run_id))
            if run is not None:
                yield from self.of(run)
            elif now - note["at"] > KEPT:
                self._book.drop(Kind.PARKED, run_id)
