"""Reading the jobs of one commit: whichever way costs fewer requests."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil

from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.errors import SourceMissingError
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.hangs import Hangs
from trunkwatch.sources.github.jobs import CHECKS, JOBS, Job, observation
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runlist import RunList
from trunkwatch.sources.github.runs import STARTUP_FAILURE, Run, startup_failure

LATE = 3600.0
"""Seconds after the end of a run in which a job of it that looks unfinished is asked for again;
after that it is one of those that never end."""

HALF_READ = ""
"""What a run is noted with that has ended while some of its jobs have not."""


class Sweep:
    """Reads jobs and turns them into observations."""

    def __init__(
        self,
        trunk: Trunk,
        client: GithubClient,
        book: Notebook,
        runs: RunList,
        hangs: Hangs,
        now: float,
    ) -> None:
        """Args:
        trunk: whose commits.
        client: asks GitHub.
        book: keeps when each commit was read.
        runs: all that is known of the trunk's runs.
        hangs: knows what cancelled jobs say in the end.
        now: seconds since the epoch.
        """
        self._trunk = trunk
        self._client = client
        self._book = book
        self._runs = runs
        self._hangs = hangs
        self._now = now

    def read(self, sha: str, runs: Sequence[Run]) -> Iterator[Observation]:
        """Yield what the jobs of a commit's runs say, and note that they have been read.

        Args:
            sha: the commit.
            runs: those of its runs that have not said their last.

        Raises:
            SourceError: they could not be read; the runs that were are noted all the same.
        """
        note = self._book.get(Kind.SWEEP, sha) or {}
        never_started = [run for run in runs if _never_started(run)]
        for run in never_started:
            yield startup_failure(run, self._trunk)
            self._runs.put(run.read(0))
        alone = {run.id: run for run in runs if run.attempt > 1 or run.id in note.get("alone", ())}
        together = [run for run in runs if run.id not in alone and run not in never_started]
        total = note.get("rows")
        if together and self._cost_of_commit(total) < sum(map(_cost_of_run, together)):
            checks = self._checks(sha)
            total = len(checks)
            self._book.put(Kind.TYPICAL, total)
            for run in together:
                members = [job for job in checks if job.suite == run.suite]
                if _unclear(run, members):
                    alone[run.id] = run
                else:
                    yield from self._taken(run, members)
        else:
            alone.update((run.id, run) for run in together)
        for run in alone.values():
            yield from self._read_run(run)
        seen = {"at": self._now, "rows": total, "alone": sorted(alone)}
        if total is None:
            seen["alone"] = []
        self._book.put(Kind.SWEEP, seen, sha)

    def _cost_of_commit(self, total: int | None) -> int:
        """Requests that the check runs of a commit cost, as far as that can be foreseen."""
        if total is None:
            total = self._book.get(Kind.TYPICAL) or 0
        return max(1, ceil(total / PER_PAGE))

    def _checks(self, sha: str) -> Sequence[Job]:
        path = f"/repos/{self._trunk.repo}/commits/{sha}/check-runs"
        return self._client.whole_list(path, [("filter", "all")], CHECKS)

    def _read_run(self, run: Run) -> Iterator[Observation]:
        path = f"/repos/{self._trunk.repo}/actions/runs/{run.id}/jobs"
        try:
            jobs = self._client.whole_list(path, [("filter", "all")], JOBS)
        except SourceMissingError:
            # Somebody deleted the run; what it said while it was there stays known.
            self._runs.missing(run)
            return
        if run.finished and run.conclusion == "failure" and not jobs:
            # What GitHub's pages call an invalid workflow file has no jobs and a plain `failure`.
            yield startup_failure(run, self._trunk)
        yield from self._taken(run, jobs)

    def _taken(self, run: Run, jobs: Sequence[Job]) -> Iterator[Observation]:
        for job in jobs:
            row = observation(self._trunk, run, job, self._hangs.conclusion(run, job))
            if row is not None:
                yield row
        read = run.read(len(jobs))
        late = run.finished and not all(job.finished for job in jobs)
        if late and self._now - run.updated < LATE:
            read = replace(read, seen=HALF_READ)
        self._runs.put(read)


def _never_started(run: Run) -> bool:
    return run.finished and run.conclusion == STARTUP_FAILURE


def _cost_of_run(run: Run) -> int:
    return max(1, ceil(run.jobs / PER_PAGE))


def _unclear(run: Run, members: Iterable[Job]) -> bool:
    """Whether check runs do not say enough of a run: they know no attempts.

    A name that stands twice may be a second attempt that began a moment ago; and that a run failed
    without a single job is believed only of the list of its own jobs.
    """
    names = Counter(job.name for job in members)
    empty = run.finished and run.conclusion == "failure" and not names
    return run.suite is None or empty or any(times > 1 for times in names.values())
