"""Reading the jobs of one commit, in whichever way costs fewer requests."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

from trunkwatch.domain.model import Observation
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.sources.github.jobs.job import ACTIONS_APP, CHECKS, JOBS, Job
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.outcome import UNREADABLE_COMMIT_TIMEOUT_SECONDS
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.runs.run import SETTLING_SECONDS, Run, startup_failure
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext

DETAILED = frozenset({"failure", "timed_out", "cancelled"})
"""Conclusions of the jobs whose check runs may be asked for details."""


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
            runs: those of its runs that are due.

        Raises:
            RequestError: some could not be read; the others are stored all the same. Newer commits
                then wait for this one (`Attempts.read_commit`): a job that is missing here may be
                the pass between two failures.
        """
        entry = dict(self.context.state.get(Kind.COMMIT, sha) or {})
        unreadable: list[str] = []
        never_started = [run for run in runs if run.never_started]
        for run in never_started:
            yield from self.never_started(run)
        alone = {run.id: run for run in runs if run.attempt > 1 or run.id in entry.get("alone", ())}
        together = [run for run in runs if run.id not in alone and run not in never_started]
        total = entry.get("rows")
        checks = None
        if together and self._reads_commit(total, together):
            checks = self._checks(sha)
        if checks is None:
            alone.update((run.id, run) for run in together)
        else:
            total = len(checks)
            self.context.state.put(Kind.TYPICAL_CHECKS, total)
            together += self._unlisted_runs(checks, entry)
            for run in together:
                members = [job for job in checks if _is_of(job, run)]
                if is_ambiguous(run, members):
                    alone[run.id] = run
                else:
                    yield from self.taken(run, members)
                    unreadable += _unreadable(run, members)
        for run in alone.values():
            unreadable += yield from self._read_alone(run)
        if unreadable:
            raise BadAnswerError(f"{self.context.trunk} at {sha}: {'; '.join(unreadable)}")
        entry.pop("failing", None)
        if "listed" not in (self.context.state.get(Kind.COMMIT, sha) or {}):
            entry.pop("listed", None)  # a run was missing
        entry |= {"rows": total, "alone": sorted(alone) if total is not None else []}
        if not self._lacks(sha, runs):
            entry["at"] = self.context.now
        self.context.state.put(Kind.COMMIT, entry, sha)

    def cost(self, sha: str, runs: Iterable[Run]) -> int:
        """Return the requests that some runs of a commit will cost, as an estimate."""
        by_run = sum(map(_cost_of_run, runs))
        total = (self.context.state.get(Kind.COMMIT, sha) or {}).get("rows")
        return min(by_run, self._cost_of_commit(total)) if self.reads_commits else by_run

    @property
    def reads_commits(self) -> bool:
        """Whether the check runs of a commit can be read with few requests, whatever its runs."""
        return self.context.may(Right.CHECKS)

    def _reads_commit(self, total: int | None, runs: Iterable[Run]) -> bool:
        """Return whether the check runs of a commit cost less than the jobs of some runs."""
        return self.reads_commits and self._cost_of_commit(total) < sum(map(_cost_of_run, runs))

    def _lacks(self, sha: str, runs: Iterable[Run]) -> bool:
        """Return whether runs of a commit are due that were not among those to read."""
        read = {run.id for run in runs}
        return any(run.id not in read and run.is_due(self.context.now) for run in self.runs.at(sha))

    def read_run(self, run: Run) -> Iterator[Observation]:
        """Yield the jobs of every attempt of one run.

        Raises:
            RequestError: the list or a row cannot be read; the other rows are stored all the same.
        """
        unreadable = yield from self._read_alone(run)
        if unreadable:
            raise BadAnswerError(f"{self.context.trunk} at {run.sha}: {'; '.join(unreadable)}")

    def _read_alone(self, run: Run) -> Generator[Observation, None, list[str]]:
        """Yield the jobs of one run; return what cannot be read of it."""
        path = f"{self.context.repo_path}/actions/runs/{run.id}/jobs"
        try:
            jobs, dropped = self.context.client.partial_list(path, [("filter", "all")], JOBS)
        except NotFoundError:
            self.runs.missing(run)
            return []
        except BadAnswerError as error:
            return [str(error)]
        if run.finished and run.conclusion == "failure" and not jobs and not dropped:
            # GitHub reports an invalid workflow file as a plain `failure` without jobs.
            yield startup_failure(run, self.context.trunk)
        yield from self.taken(run, jobs, dropped)
        return _unreadable(run, jobs, dropped)

    def never_started(self, run: Run) -> Iterator[Observation]:
        """Yield the failure of a run that never had a job."""
        yield startup_failure(run, self.context.trunk)
        self.runs.put(run.read(0, 0, self.context.now))

    def taken(self, run: Run, jobs: Sequence[Job], dropped: int = 0) -> Iterator[Observation]:
        """Yield all jobs of a run, and store that they have been read.

        While one of them cannot be read, the run counts as unread, so that newer commits wait for
        it; after `UNREADABLE_COMMIT_TIMEOUT_SECONDS` that job counts as one that never ends.

        Args:
            run: the run.
            jobs: of it.
            dropped: number of further jobs that cannot be read: they have not ended.
        """
        is_over = run.finished and self.context.now - run.updated > SETTLING_SECONDS
        for job in jobs:
            if job.node and job.conclusion in DETAILED:
                self.context.state.put(Kind.NODE, {"run": run.id, "node": job.node}, job.id)
            for row in self.timed_out.observations(run, job):
                # Conclusions may be written a moment after the end of their run.
                yield row.changed(run_completed=True) if is_over and not job.finished else row
        unreadable = dropped or any(job.is_unreadable for job in jobs)
        if unreadable and not self.is_given_up(run.sha):
            return  # its commit has failed
        ended = sum(job.finished for job in jobs)
        self.runs.put(run.read(len(jobs) + dropped, ended, self.context.now))

    def is_given_up(self, sha: str) -> bool:
        """Note that a commit cannot be read; return whether newer ones wait for it no more."""
        entry = self.context.state.get(Kind.COMMIT, sha) or {}
        failing: float = entry.get("failing", self.context.now)
        self.context.state.put(Kind.COMMIT, {**entry, "failing": failing}, sha)
        return self.context.now - failing > UNREADABLE_COMMIT_TIMEOUT_SECONDS

    def _cost_of_commit(self, total: int | None) -> int:
        """Return the requests that the check runs of a commit will cost, as an estimate."""
        if total is None:
            total = self.context.state.get(Kind.TYPICAL_CHECKS) or 0
        return max(1, ceil(total / PER_PAGE))

    def _checks(self, sha: str) -> Sequence[Job] | None:
        """Return the check runs of a commit; None where they, or one of them, cannot be read.

        A row that cannot be read may be of any run: only the jobs of each run show of which.
        """
        path = f"{self.context.repo_path}/commits/{sha}/check-runs"
        try:
            checks, dropped = self.context.client.partial_list(path, [("filter", "all")], CHECKS)
        except NotFoundError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                self.context.refused(Right.CHECKS)
            return None
        if dropped:
            return None
        # A check run that a step made through the API has another address than a job.
        return [job for job in checks if job.app[0] in (ACTIONS_APP, "") and job.run is not None]

    def _unlisted_runs(self, checks: Iterable[Job], entry: dict[str, Any]) -> list[Run]:
        """Return the runs that have check runs, while the list of runs has not shown them."""
        suites = {run.suite for run in self.runs.runs.values()}
        unlisted = {
            job.run
            for job in checks
            if job.run is not None and (job.suite is None or job.suite not in suites)
        }
        return self.runs.read_unlisted(unlisted, entry)


def _unreadable(run: Run, jobs: Iterable[Job], dropped: int = 0) -> list[str]:
    """Return what cannot be read of a run, until its jobs count as those that never end."""
    names = [job.name for job in jobs if job.is_unreadable]
    if not (names or dropped):
        return []
    named = "".join(f" {name!r}" for name in names[:3])
    return [f"{len(names) + dropped} jobs of run {run.id} cannot be read{named}"]


def _is_of(job: Job, run: Run) -> bool:
    """Return whether a check run is a job of a run."""
    if job.suite is None or run.suite is None:
        return job.run == run.id
    return job.suite == run.suite


def _cost_of_run(run: Run) -> int:
    return max(1, ceil(run.jobs / PER_PAGE))


def is_ambiguous(run: Run, members: Iterable[Job]) -> bool:
    """Return whether the check runs of a run do not suffice: they have no attempt.

    A name that occurs twice may be a second attempt that began a moment ago; and only the run's own
    list of jobs shows that it failed without a single job.
    """
    names = Counter(job.name for job in members)
    empty = run.finished and not names
    return run.attempt > 1 or empty or any(times > 1 for times in names.values())
