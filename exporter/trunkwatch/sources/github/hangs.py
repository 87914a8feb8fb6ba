"""Jobs that hung: GitHub reports one that its own time limit stopped as `cancelled`.

So is one that a newer push cancelled; only the annotations of the check run tell them apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.errors import SourceAnswerError
from trunkwatch.sources.github.annotations import Annotation, read_annotations, why_it_failed
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.jobs import TOO_LONG, Job, observation
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runs import Run

CANCELLED, TIMED_OUT = "cancelled", "timed_out"

ONE_MOMENT = 30.0
"""Seconds within which the jobs of one run that ended as cancelled were cancelled together."""

LIMITS = 300.0
"""Seconds of which time limits are multiples, by habit: such a job is always asked itself."""

AFTER_LIMIT = 45.0
"""Seconds that GitHub may take to stop a job after its limit."""

GAVE_UP = re.compile(r"strategy configuration was cancell?ed")
"""What GitHub says in an annotation of a job whose matrix gave up because of another of its jobs
(`fail-fast`)."""


class Hangs:
    """What long jobs that were cancelled say in the end; each is asked once."""

    def __init__(self, source: str, trunk: Trunk, client: GithubClient, book: Notebook) -> None:
        """Args:
        source: its name, for errors.
        trunk: whose jobs.
        client: asks GitHub.
        book: keeps what has been asked, and what has yet to be.
        """
        self._source = source
        self._trunk = trunk
        self._client = client
        self._book = book

    def conclusion(self, run: Run, job: Job) -> str | None:
        """Return what a job says in the end; None while it is unfinished or has to be asked."""
        if not job.finished:
            return None
        if not job.may_have_hung:
            return job.conclusion
        note = self._book.get(Kind.HANG, job.id)
        if note is None:
            self._book.put(Kind.HANG, {"run": run.id, "job": list(job)}, job.id)
            return None
        answer: str | None = note.get("says")
        return answer

    def waiting(self) -> list[str]:
        """Return the ids of the jobs that have yet to be asked, the newest first."""
        notes = self._book.all(Kind.HANG).items()
        return sorted((job for job, note in notes if "job" in note), key=int, reverse=True)

    def ask(self, job_id: str, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Ask one job, and yield what it says, and those that it speaks for.

        A push that cancels a run cancels all of its jobs at one moment; where one of them did not
        hang, none of them did. A matrix that gives up is another matter: the one job that made it
        give up may have hung.
        """
        note = self._book.get(Kind.HANG, job_id)
        if "job" not in note:
            return  # another job has spoken for it
        annotations = self._annotations(job_id)
        said = [str(each.message) for each in annotations]
        if any(TOO_LONG.search(text) for text in said):
            for row in self._answer(job_id, TIMED_OUT, runs):
                yield replace(row, annotations=why_it_failed(annotations))
            return
        alone = not said or any(GAVE_UP.search(text) for text in said)
        for name in [job_id] if alone else self._cancelled_with(note):
            yield from self._answer(name, CANCELLED, runs)

    def _cancelled_with(self, note: Mapping[str, Any]) -> list[str]:
        """Return the jobs that were cancelled together with one that has been asked, and itself."""
        asked = _job_of_note(note["job"])
        return [
            name
            for name, other in self._book.all(Kind.HANG).items()
            if "job" in other
            and other["run"] == note["run"]
            and _together(asked, _job_of_note(other["job"]))
        ]

    def _answer(self, job_id: str, says: str, runs: Mapping[int, Run]) -> Iterator[Observation]:
        note = self._book.get(Kind.HANG, job_id)
        self._book.put(Kind.HANG, {"run": note["run"], "says": says}, job_id)
        run = runs.get(note["run"])
        if run is not None:
            row = observation(self._trunk, run, _job_of_note(note["job"]), says)
            if row is not None:
                yield row

    def _annotations(self, job_id: str) -> list[Annotation]:
        said = read_annotations(self._source, self._trunk, self._client, job_id)
        if any(each.message is None for each in said):
            # It is asked once, so what it says must be whole.
            raise SourceAnswerError(
                self._source, f"an annotation of check run {job_id} has no message"
            )
        return said


def _together(one: Job, other: Job) -> bool:
    """Whether what one job says of its end holds for another."""
    if one.id == other.id:
        return True
    if one.completed is None or other.completed is None or _ended_at_a_limit(other):
        return False
    return abs(one.completed - other.completed) <= ONE_MOMENT


def _ended_at_a_limit(job: Job) -> bool:
    """Whether a job ran for about as long as people write into `timeout-minutes`."""
    if job.started is None or job.completed is None:
        return True
    return (job.completed - job.started) % LIMITS < AFTER_LIMIT


def _job_of_note(values: list[Any]) -> Job:
    job = Job(*values)
    return job._replace(app=(job.app[0], job.app[1]))
