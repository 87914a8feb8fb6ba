"""Reading the jobs of one commit, in whichever way costs fewer requests."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from trunkwatch.domain.model import Observation
from trunkwatch.errors import NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.sources.github.jobs.job import CHECKS, JOBS, Job
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.runs.run import INCOMPLETE, Run, startup_failure
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext

LATE_JOB_SECONDS = 3600.0
"""Seconds after the end of a run in which its unfinished jobs are read again; after that they
count as jobs that never end."""


@dataclass(frozen=True, slots=True)
class JobReader:
    """Reads jobs and turns them into observations.

    Attributes:
        context: of the trunk.
        runs: of the trunk.
        timed_out: decides the conclusion of cancelled jobs.
    """

    context: TrunkContext
    runs: RunList
    timed_out: TimedOutJobs

    def read(self, sha: str, runs: Sequence[Run]) -> Iterator[Observation]:
        """Yield the jobs of a commit's runs, and store that they have been read.

        Args:
            sha: the commit.
            runs: those of its runs that have not been read completely.

        Raises:
            RequestError: some could not be read; the others are stored all the same.
        """
        entry = self.context.state.get(Kind.COMMIT, sha) or {}
        never_started = [run for run in runs if run.never_started]
        for run in never_started:
            yield startup_failure(run, self.context.trunk)
            self.runs.put(run.read(0))
        alone = {run.id: run for run in runs if run.attempt > 1 or run.id in entry.get("alone", ())}
        together = [run for run in runs if run.id not in alone and run not in never_started]
        total = entry.get("rows")
        if together and self._cost_of_commit(total) < sum(map(_cost_of_run, together)):
            checks = self._checks(sha)
            total = len(checks)
            self.context.state.put(Kind.TYPICAL_CHECKS, total)
            for run in together:
                members = [job for job in checks if job.suite == run.suite]
                if _is_ambiguous(run, members):
                    alone[run.id] = run
                else:
                    yield from self._taken(run, members)
        else:
            alone.update((run.id, run) for run in together)
        for run in alone.values():
            yield from self._read_run(run)
        stored = sorted(alone) if total is not None else []
        self.context.state.put(
            Kind.COMMIT, {"at": self.context.now, "rows": total, "alone": stored}, sha
        )

    def _cost_of_commit(self, total: int | None) -> int:
        """Return the requests that the check runs of a commit will cost, as an estimate."""
        if total is None:
            total = self.context.state.get(Kind.TYPICAL_CHECKS) or 0
        return max(1, ceil(total / PER_PAGE))

    def _checks(self, sha: str) -> Sequence[Job]:
        path = f"{self.context.repo_path}/commits/{sha}/check-runs"
        return self.context.client.whole_list(path, [("filter", "all")], CHECKS)

    def _read_run(self, run: Run) -> Iterator[Observation]:
        path = f"{self.context.repo_path}/actions/runs/{run.id}/jobs"
        try:
            jobs = self.context.client.whole_list(path, [("filter", "all")], JOBS)
        except NotFoundError:
            # The run was deleted; its stored results stay.
            self.runs.missing(run)
            return
        if run.finished and run.conclusion == "failure" and not jobs:
            # GitHub reports an invalid workflow file as a plain `failure` without jobs.
            yield startup_failure(run, self.context.trunk)
        yield from self._taken(run, jobs)

    def _taken(self, run: Run, jobs: Sequence[Job]) -> Iterator[Observation]:
        for job in jobs:
            yield from self.timed_out.observations(run, job)
        read = run.read(len(jobs))
        incomplete = run.finished and not all(job.finished for job in jobs)
        if incomplete and self.context.now - run.updated < LATE_JOB_SECONDS:
            read = replace(read, read_version=INCOMPLETE)
        self.runs.put(read)


def _cost_of_run(run: Run) -> int:
    return max(1, ceil(run.jobs / PER_PAGE))


def _is_ambiguous(run: Run, members: Iterable[Job]) -> bool:
    """Return whether the check runs of a run do not suffice: they have no attempt.

    A name that occurs twice may be a second attempt that began a moment ago; and only the run's own
    list of jobs shows that it failed without a single job.
    """
    names = Counter(job.name for job in members)
    empty = run.finished and run.conclusion == "failure" and not names
    return run.suite is None or empty or any(times > 1 for times in names.values())
