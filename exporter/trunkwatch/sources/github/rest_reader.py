"""Bringing the jobs of one trunk up to date through REST, at a bounded cost."""

import math
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from trunkwatch.rest.limits import HOUR
from trunkwatch.sources.github.checkpoint import Checkpoint
from trunkwatch.sources.github.jobs.job_reader import JobReader
from trunkwatch.sources.github.order.backfill import Backfill
from trunkwatch.sources.github.outcome import Attempts, ReadSettings
from trunkwatch.sources.github.runs.run import INCOMPLETE, Run
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext

OLDER_RUNS = "older runs"

READ_EVERY_REFRESHES = 2
"""Refreshes after which a commit in flight that is not read lets the data age."""

IN_FLIGHT_SHARE = 0.16
"""Share of an hour's usable requests that commits in flight are read with: of 2,500 it is 400, so
that three pages of jobs in flight are read every 27 seconds, and thirty every 270."""

MAX_PAUSE_SECONDS = 270.0
"""The longest pause between two reads of a commit in flight: data is stale after 300 seconds."""

RUNS_SHARE = 0.1
"""The same share where jobs can be read run by run only: each run is read at its end as well."""


class DueCommit(NamedTuple):
    """Runs of one commit that are to be read now.

    Attributes:
        place: of the commit in its chain, 0 for the newest.
        sha: the commit.
        runs: the runs.
    """

    place: int
    sha: str
    runs: list[Run]


class RestReader:
    """Reads the list of runs, and the jobs of each commit or run."""

    def __init__(
        self,
        context: TrunkContext,
        settings: ReadSettings,
        runs: RunList,
        jobs: JobReader,
        attempts: Attempts,
        checkpoint: Checkpoint,
    ) -> None:
        """Args:
        context: of the trunk.
        settings: of the refresh.
        runs: of the trunk; its newest page has been read.
        jobs: reads jobs.
        attempts: collects the results.
        checkpoint: from before the refresh has read any job.
        """
        self._state = context.state
        self._now = context.now
        self._interval = settings.interval
        self._budget = settings.budget
        self._runs = runs
        self._jobs = jobs
        self._attempts = attempts
        self._checkpoint = checkpoint
        self._outcome = attempts.outcome

    def read(self, backfill: Backfill) -> None:
        """Read the results that are due, as far as the budget allows."""
        if self._runs.is_recheck_due():
            if self._budget.for_news():
                self._attempts.read(OLDER_RUNS, self._runs.recheck)
            else:
                self._outcome.leave_out(self._runs.recheck_due)
        self._read_news(backfill)
        self._read_history(backfill)

    def _read_news(self, backfill: Backfill) -> None:
        """Read the results that may have changed since the last refresh."""
        while backfill.started and not backfill.is_listed:
            read = self._budget.for_news() and self._attempts.read(
                OLDER_RUNS, self._runs.read_older
            )
            if not read:
                # Runs may be missing: hold back everything newer, and let the data age.
                self._outcome.leave_out(0.0)
                return
        due = self._due_commits(backfill)
        untried, barrier = {each.sha: each for each in due}, 0
        try:
            for commit in due:
                index, sha, runs = commit
                if index < barrier or not self._budget.for_news():
                    self._outcome.leave_out(self._unread_since(commit))
                    continue
                if not self._attempts.read_commit(sha, partial(self._jobs.read, sha, runs)):
                    barrier = max(barrier, index)
                del untried[sha]
        finally:
            late = [each for each in untried.values() if each.place >= barrier]
            # An error is rare. Were a spent budget to hold back the jobs in flight, too, they would
            # wait for as long as it is too small; they are read in turn instead.
            is_cut = sys.exception() is not None
            waiting = self._waiting(late, in_flight=is_cut)
            self._checkpoint.restore(waiting)
            for commit in due:
                if any(run.path in waiting for run in commit.runs):
                    self._outcome.leave_out(self._unread_since(commit))

    def _waiting(self, untried: Iterable[DueCommit], *, in_flight: bool) -> set[str]:
        """Return the workflows with runs that were not reached, for half an hour at most.

        Args:
            untried: the commits that were not reached.
            in_flight: whether runs in flight count, and not only those that have ended.
        """

        def counts(run: Run) -> bool:
            return in_flight or _has_ended(run)

        return {
            run.path
            for commit in untried
            if any(map(counts, commit.runs)) and not self._jobs.is_given_up(commit.sha)
            for run in commit.runs
            if counts(self._runs.runs.get(run.id, run))
        }

    def _due_commits(self, backfill: Backfill) -> list[DueCommit]:
        """Return the commits with unread runs that are to be read now.

        Commits that are finished or were never read come first, oldest first: a streak must not
        be seen from its newer end while an older pass waits to be read. Then come unfinished
        commits, the longest unread first.
        """
        due = [
            DueCommit(index, sha, runs)
            for index, sha in backfill.shown_commits()
            if (runs := backfill.due_runs(sha))
        ]
        pause = self._pause(due)
        ended = _Ended(due, by_run=not self._jobs.reads_commits)
        found = []
        for commit in due:
            at = self._read_at(commit)
            news = all(run.finished for run in commit.runs) and any(map(_has_ended, commit.runs))
            if news or self._now - at >= pause - self._interval / 2:
                found.append((0.0 if news else at, -commit.place, commit))
                continue
            runs = list(ended.runs(commit))
            if not (runs or self._has_results(commit)):
                runs = commit.runs[:1]  # else the commit would seem to have no results
            if runs:
                found.append((0.0, -commit.place, commit._replace(runs=runs)))
            if self._jobs.reads_commits and self._now - at >= READ_EVERY_REFRESHES * self._interval:
                self._outcome.leave_out(at)
        found.sort(key=lambda item: item[:2])
        return [commit for _, _, commit in found]

    def _has_results(self, commit: DueCommit) -> bool:
        return any(run.read_version is not None for run in self._runs.at(commit.sha))

    def _read_at(self, commit: DueCommit) -> float:
        """Return when a commit was read last (seconds since the epoch).

        The first read costs one request for all of its runs, or else one for each: too much for
        rows that are all unfinished.
        """
        never = 0.0 if self._jobs.reads_commits else min(run.created for run in commit.runs)
        at: float = (self._state.get(Kind.COMMIT, commit.sha) or {}).get("at", never)
        return at

    def _unread_since(self, commit: DueCommit) -> float:
        """Return when the first unread result of a commit may have come (seconds since the epoch).

        The last change of a run is no measure: jobs may have ended before it.
        """
        return max(self._read_at(commit), min(run.created for run in commit.runs))

    def _pause(self, due: list[DueCommit]) -> float:
        """Return the seconds between two reads of a commit in flight, so that all keep a budget."""
        cost = sum(self._jobs.cost(commit.sha, commit.runs) for commit in due)
        by_commit = self._jobs.reads_commits
        rate = self._budget.hourly(IN_FLIGHT_SHARE if by_commit else RUNS_SHARE)
        pause = max(self._interval, cost * HOUR / rate)
        return min(pause, max(self._interval, MAX_PAUSE_SECONDS)) if by_commit else pause

    # ------------------------------------------------------------------ history

    def _read_history(self, backfill: Backfill) -> None:
        """Read commits that were never read, the newest first, down to the end of the window."""
        for sha in backfill.unread_commits():
            while backfill.may_lack_runs(sha) and not self._attempts.has_failed(OLDER_RUNS):
                if not self._outcome.may_go_on(self._budget):
                    return
                self._attempts.read(OLDER_RUNS, self._runs.read_older)
            runs = backfill.due_runs(sha)
            if runs and not self._outcome.may_go_on(self._budget):
                return
            if runs:
                self._attempts.read(sha, partial(self._jobs.read, sha, runs))


class _Ended:
    """The runs that are read as soon as they have ended, however many others are in flight."""

    def __init__(self, due: list[DueCommit], *, by_run: bool) -> None:
        """Args:
        due: the commits with runs to read, the newest first.
        by_run: whether every run that has ended is read by itself, and not only failed ones.
        """
        self._by_run = by_run
        self._newest_failure: dict[str, int] = {}
        for commit in due:
            for run in commit.runs:
                if _has_ended(run) and run.conclusion != "success":
                    self._newest_failure.setdefault(run.path, commit.place)

    def runs(self, commit: DueCommit) -> Iterator[Run]:
        """Yield the runs of a commit to read.

        With a failed run come the older ones of its workflow: a pass that is not read yet would be
        missing between two failures.
        """
        for run in commit.runs:
            newest = self._newest_failure.get(run.path, math.inf)
            if commit.place >= newest or (self._by_run and _has_ended(run)):
                yield run


def _has_ended(run: Run) -> bool:
    """Return whether a run has ended since it was read."""
    return run.finished and run.read_version not in (run.version, INCOMPLETE)
