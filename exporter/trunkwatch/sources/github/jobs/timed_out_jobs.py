"""Jobs that exceeded their time limit: GitHub reports them as `cancelled`.

It reports a job that a newer push cancelled in the same way; only the annotations of the check run
distinguish them.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trunkwatch.domain.model import Observation
from trunkwatch.errors import BadAnswerError
from trunkwatch.sources.github.jobs.annotations import Annotation, failure_lines, read_annotations
from trunkwatch.sources.github.jobs.job import TIMED_OUT_MESSAGE, Job, observations
from trunkwatch.sources.github.outcome import UNREADABLE_COMMIT_TIMEOUT_SECONDS
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.state import Kind, TrunkContext

CANCELLED, TIMED_OUT = "cancelled", "timed_out"

TOGETHER_SECONDS = 30.0
"""Seconds within which jobs of one run that ended as cancelled were cancelled together."""

LIMIT_MULTIPLE_SECONDS = 300.0
"""Time limits are usually multiples of this; a job that ended at one is always read itself."""

STOP_SECONDS = 45.0
"""Seconds that GitHub may take to stop a job after its limit."""

FAIL_FAST_MESSAGE = re.compile(r"strategy configuration was cancell?ed")
"""GitHub's annotation of a job whose matrix was cancelled because another of its jobs failed
(`fail-fast`)."""


@dataclass(frozen=True, slots=True)
class TimedOutJobs:
    """The conclusions of long jobs that were cancelled; the annotations of each are read once."""

    context: TrunkContext

    def conclusion(self, run: Run, job: Job) -> str | None:
        """Return a job's conclusion; None while it is unfinished or undecided."""
        if not job.finished:
            return None
        if not job.may_have_timed_out:
            return job.conclusion
        entry = self.context.state.get(Kind.TIMED_OUT, job.id)
        if entry is None and not self.context.may(Right.CHECKS):
            return CANCELLED
        if entry is None:
            self.context.state.put(Kind.TIMED_OUT, {"run": run.id, "job": list(job)}, job.id)
            return None
        conclusion: str | None = entry.get("conclusion")
        return conclusion

    def observations(self, run: Run, job: Job) -> Iterator[Observation]:
        """Yield the observation of a job with its conclusion."""
        return observations(self.context.trunk, run, job, self.conclusion(run, job))

    def undecided(self) -> list[str]:
        """Return the ids of the jobs whose annotations have not been read, the newest first."""
        entries = self.context.state.all(Kind.TIMED_OUT).items()
        return sorted((job for job, entry in entries if "job" in entry), key=int, reverse=True)

    def undecided_since(self) -> float | None:
        """Return when the first of the undecided jobs ended (seconds since the epoch), if any."""
        return min((ended or self.context.now for _, ended in self._undecided()), default=None)

    def undecided_workflows(self, runs: Mapping[int, Run]) -> set[str]:
        """Return the paths of the workflows whose undecided jobs all ended within half an hour.

        Args:
            runs: of the trunk, by their ids.
        """
        ended: dict[str, float] = {}
        for run_id, at in self._undecided():
            if run_id in runs:
                path = runs[run_id].path
                ended[path] = min(at or 0.0, ended.get(path, math.inf))
        begin = self.context.now - UNREADABLE_COMMIT_TIMEOUT_SECONDS
        return {path for path, at in ended.items() if at > begin}

    def _undecided(self) -> Iterator[tuple[int, float | None]]:
        """Yield the run of each undecided job, and when the job ended."""
        for entry in self.context.state.all(Kind.TIMED_OUT).values():
            if "job" in entry:
                yield entry["run"], _stored_job(entry["job"]).completed

    def read(self, job_id: str, runs: Mapping[int, Run]) -> Iterator[Observation]:
        """Read the annotations of a job; yield it and the jobs that they also decide.

        A push that cancels a run cancels all of its jobs at one moment; if one of them did not
        exceed its time limit, none did. A matrix that is cancelled by `fail-fast` is different:
        the job that caused it may have exceeded its limit.
        """
        entry = self.context.state.get(Kind.TIMED_OUT, job_id)
        if "job" not in entry:
            return  # another job has decided it
        annotations = self._annotations(job_id)
        messages = [str(each.message) for each in annotations]
        if any(TIMED_OUT_MESSAGE.search(message) for message in messages):
            for row in self._decide(job_id, TIMED_OUT, runs):
                yield row.changed(annotations=failure_lines(annotations))
            return
        alone = not messages or any(FAIL_FAST_MESSAGE.search(message) for message in messages)
        for name in [job_id] if alone else self._cancelled_with(entry):
            yield from self._decide(name, CANCELLED, runs)

    def _cancelled_with(self, entry: Mapping[str, Any]) -> list[str]:
        """Return the undecided jobs that were cancelled together with one, and itself."""
        job = _stored_job(entry["job"])
        return [
            name
            for name, other in self.context.state.all(Kind.TIMED_OUT).items()
            if "job" in other
            and other["run"] == entry["run"]
            and _together(job, _stored_job(other["job"]))
        ]

    def _decide(
        self, job_id: str, conclusion: str, runs: Mapping[int, Run]
    ) -> Iterator[Observation]:
        entry = self.context.state.get(Kind.TIMED_OUT, job_id)
        decided = {"run": entry["run"], "conclusion": conclusion}
        self.context.state.put(Kind.TIMED_OUT, decided, job_id)
        run = runs.get(entry["run"])
        if run is not None:
            job = _stored_job(entry["job"])
            yield from observations(self.context.trunk, run, job, conclusion)

    def _annotations(self, job_id: str) -> list[Annotation]:
        annotations = read_annotations(self.context, job_id)
        if any(each.message is None for each in annotations):
            # They are read once, so they must be complete.
            raise BadAnswerError(f"an annotation of check run {job_id} has no message")
        return annotations


def _together(one: Job, other: Job) -> bool:
    """Return whether the reason why one job ended holds for another."""
    if one.id == other.id:
        return True
    if one.completed is None or other.completed is None or _ended_at_a_limit(other):
        return False
    return abs(one.completed - other.completed) <= TOGETHER_SECONDS


def _ended_at_a_limit(job: Job) -> bool:
    """Return whether a job ran for about as long as a usual `timeout-minutes`."""
    if job.started is None or job.completed is None:
        return True
    return (job.completed - job.started) % LIMIT_MULTIPLE_SECONDS < STOP_SECONDS


def _stored_job(values: list[Any]) -> Job:
    job = Job(*values)
    return job._replace(app=(job.app[0], job.app[1]))
