"""Bringing the runs and jobs of one trunk up to date through GraphQL."""

import math
from collections.abc import Collection, Iterator, Sequence

from trunkwatch.domain.model import Observation
from trunkwatch.errors import BadAnswerError, SourceError
from trunkwatch.github.graphql import TooLargeError
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.jobs.job import Job
from trunkwatch.sources.github.jobs.job_reader import JobReader, is_ambiguous
from trunkwatch.sources.github.order.backfill import Backfill
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.runs.run import LATE_JOB_SECONDS, Run, counts
from trunkwatch.sources.github.runs.run_list import RECHECK_SECONDS, RunList
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.github.suites import OWN_EVENTS, Found, SuiteClient

COMMITS_LIMIT = 100
"""Commits whose suites are asked with one query: one point."""

RECENT_COMMITS = 3
"""Newest commits whose suites are asked whenever a query is sent: new runs begin there."""

MAX_FAILURES = 9
"""Queries that fail one after the other in a refresh, each smaller than the last one: from 200
suites to one. GitHub ends each after ten seconds."""


class GraphReader:
    """Reads the suites of commits, and the jobs of those that may have changed.

    Attributes:
        has_answers: whether any query was answered.
        error: the first query, or part of one, that was not answered.
    """

    def __init__(
        self,
        context: TrunkContext,
        suites: SuiteClient,
        runs: RunList,
        jobs: JobReader,
        budget: RefreshBudget,
    ) -> None:
        """Args:
        context: of the trunk.
        suites: the API.
        runs: of the trunk.
        jobs: turns jobs into observations.
        budget: the points that may be used.
        """
        self._context = context
        self._suites = suites
        self._runs = runs
        self._jobs = jobs
        self._budget = budget
        self._commits_limit = COMMITS_LIMIT
        self._asked: set[str] = set()
        self._answered: dict[int, list[Job]] = {}
        self._uncertain: set[int] = set()
        self.has_answers = False
        self.error: SourceError | None = None

    def commits_to_list(self, backfill: Backfill, *, recheck: bool) -> list[str]:
        """Return the commits whose suites are read now, the newest first.

        Args:
            backfill: the commits of the trunk.
            recheck: whether commits that were listed long ago are due again on their own account,
                and not only together with others.
        """
        now = self._context.now
        new, together, old = [], [], []
        has_news = False
        for index, (sha, _) in enumerate(backfill.dates()):
            entry = self._context.state.get(Kind.COMMIT, sha) or {}
            listed, is_doubtful = entry.get("listed"), entry.get("again", False)
            is_due = bool(backfill.due_runs(sha))
            has_news |= is_due or is_doubtful or listed is None
            if listed is None or is_doubtful:
                new.append(sha)
            elif now - listed >= RECHECK_SECONDS:
                old.append(sha)
            elif is_due or index < RECENT_COMMITS:
                together.append(sha)
        if not (has_news or (recheck and old)):
            return []
        return [*new, *together, *old]

    def recheck_due(self, backfill: Backfill) -> float:
        """Return when the first shown commit was to be listed again (seconds since the epoch)."""
        entries = (self._context.state.get(Kind.COMMIT, sha) for _, sha in backfill.shown_commits())
        listed = (entry["listed"] for entry in entries if entry and "listed" in entry)
        return min(listed, default=math.inf) + RECHECK_SECONDS

    def ask(self, shas: Sequence[str], backfill: Backfill) -> None:
        """Ask for the jobs that may have changed; `read` then yields them commit by commit.

        Args:
            shas: commits whose suites are read first.
            backfill: the commits of the trunk.

        Raises:
            NotFoundError: the token may not use GraphQL here.
            RequestError: no further request can be sent now; the answers so far can be read.
        """
        order = _reading_order(backfill)
        wanted = list(shas)
        failures = 0
        while True:
            limit = self._commits_limit
            first, rest = wanted[:limit], wanted[limit:]
            nodes = [] if rest else self._due_suites(order)[: self._suites.size]
            if not (first or nodes):
                break
            if not self._budget.for_news():
                return
            try:
                found = self._suites.ask(self._context.trunk.repo, first, nodes)
            except TooLargeError as error:
                failures += 1
                if failures == MAX_FAILURES or not (nodes or len(first) > 1):
                    self.error = self.error or error
                    break
                self._commits_limit = max(1, len(first) // 2)
                if len(nodes) == 1:
                    self._asked.update(nodes)
                    self._uncertain.add(self._by_suite()[nodes[0]].id)
                continue
            failures, self.has_answers = 0, True
            self._context.granted(Right.GRAPHQL)
            self._context.granted(Right.CHECKS)
            self.error = self.error or found.error
            wanted = rest
            self._asked.update(nodes)
            self._take_runs(found)
            self._take_jobs(found)

    def read(self, sha: str, runs: Sequence[Run]) -> Iterator[Observation]:
        """Yield the jobs of a commit's runs, those of ambiguous runs through REST.

        Args:
            sha: the commit.
            runs: those of its runs that are due; one that was not asked for is left out.

        Raises:
            RequestError: some could not be read; the others are stored all the same.
        """
        for run in runs:
            if run.never_started:
                yield from self._jobs.never_started(run)
            elif run.id in self._answered:
                yield from self._jobs.taken(run, self._answered[run.id])
            elif self.has_answer(run):
                yield from self._jobs.read_run(run)
        due = (run for run in self._runs.at(sha) if run.is_due(self._context.now))
        entry = dict(self._context.state.get(Kind.COMMIT, sha) or {})
        if all(map(self.has_answer, due)) and entry.pop("failing", None) is not None:
            self._context.state.put(Kind.COMMIT, entry, sha)

    def has_answer(self, run: Run) -> bool:
        """Return whether `read` yields the jobs of a run: it was answered, or is read by REST."""
        known = run.never_started or run.id in self._answered or run.id in self._uncertain
        return known or run.attempt > 1 or not run.node

    def _due_suites(self, order: Sequence[str]) -> list[str]:
        now = self._context.now
        return [
            run.node
            for sha in order
            for run in self._runs.at(sha)
            if run.node and run.node not in self._asked and run.attempt == 1
            if run.is_due(now) and not run.never_started
        ]

    def _take_runs(self, found: Found) -> None:
        events, state = self._context.events, self._context.state
        for sha, runs in found.runs.items():
            entry = dict(state.get(Kind.COMMIT, sha) or {})
            before = frozenset(entry.get("doubtful", ()))
            doubtful = found.incomplete.get(sha, set()) | self._take_own(runs, before)
            of_any = (run.id for run in runs if run.event in events - OWN_EVENTS)
            try:
                self._runs.read_unlisted(of_any, entry)
            except BadAnswerError as error:
                self.error = self.error or error
            # What stays doubtful is accepted: it must not hide all others.
            is_read = doubtful <= before
            entry |= {"doubtful": sorted(doubtful), "again": not is_read or "missing" in entry}
            if is_read:
                entry["listed"] = self._context.now
            state.put(Kind.COMMIT, entry, sha)

    def _take_own(self, runs: Sequence[Run], before: Collection[str]) -> set[str]:
        """Take those of some runs that count, and return the suites of doubtful ones.

        A branch that is null may be gone, or be named a moment later: such a run is read again
        once.

        Args:
            runs: of one commit.
            before: the suites that were doubtful when they were read last.
        """
        doubtful = set()
        for run in runs:
            if run.is_doubtful:
                doubtful.add(run.node)
            if run.is_doubtful and run.node not in before:
                continue
            if run.event in OWN_EVENTS and counts(run, self._context.trunk, self._context.events):
                self._runs.take(run)
        return doubtful

    def _take_jobs(self, found: Found) -> None:
        by_node = self._by_suite()
        for node, jobs in found.jobs.items():
            run = by_node[node]
            if jobs is None:
                self._runs.missing(run)
            elif node in found.uncertain or is_ambiguous(run, jobs) or self._is_last(run, jobs):
                self._uncertain.add(run.id)
            else:
                self._answered[run.id] = jobs

    def _is_last(self, run: Run, jobs: Sequence[Job]) -> bool:
        """Return whether a job lacks its conclusion in a run that will not be read again."""
        incomplete = run.finished and any(job.is_incomplete for job in jobs)
        return incomplete and self._context.now - run.updated >= LATE_JOB_SECONDS

    def _by_suite(self) -> dict[str, Run]:
        return {run.node: run for run in self._runs.runs.values()}


def _reading_order(backfill: Backfill) -> list[str]:
    """Return shown commits, the oldest first, and then unread ones, the newest first."""
    shown = [sha for _, sha in backfill.shown_commits()]
    return [*reversed(shown), *backfill.unread_commits()]
