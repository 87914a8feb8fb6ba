"""One trunk: what to read now, in which order, and within which budget."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from trunkwatch.engine.facts import Fact
from trunkwatch.errors import (
    CredentialsError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    SourceError,
)
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.graph_reader import GraphReader
from trunkwatch.sources.github.jobs.failure_details import Explanations, FailedSteps
from trunkwatch.sources.github.jobs.job_reader import JobReader
from trunkwatch.sources.github.jobs.pending_jobs import PendingJobs
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.order.backfill import CLOCK_SKEW_SECONDS, Backfill
from trunkwatch.sources.github.order.chain import Chain, ChainReader
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.runs.run import INCOMPLETE, Run
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.github.suites import DETAILS_LIMIT, SuiteClient
from trunkwatch.sources.github.workflows import WorkflowStates
from trunkwatch.sources.port import FailureFocus

HISTORY_SECONDS = 90 * 86_400.0
"""Seconds that a read goes back at most: GitHub keeps the logs of a run for 90 days."""

COMMIT_DATE_OUTLIER_SHARE = 1 / 50
"""Tolerated share of commits with a wrong date: an old one must not extend the read by years."""

READ_EVERY_REFRESHES = 2
"""Refreshes from one read of an unfinished commit to the next: a failure is then seen two refreshes
after it happened at the latest, for half of the requests."""

UNREADABLE_COMMIT_TIMEOUT_SECONDS = 1800.0
"""Seconds for which a commit whose jobs cannot be read holds back the newer ones: it may be the
pass between their failures. After that it counts as a commit on which nothing ran."""

FATAL_ERRORS = (CredentialsError, RateLimitedError, NoAnswerError)
"""Errors that every further request of the same refresh would meet too."""

OLDER_RUNS = "older runs"

MAX_LISTED_PAGES = 15
"""Pages of the list of runs that are read beside GraphQL, so that later they show for free whether
a run was run again. A list with more, of the runs of many pull requests, changes all the time."""


class Graph(NamedTuple):
    """GraphQL, where it can be used.

    Attributes:
        suites: reads through it.
        points: that may be used.
    """

    suites: SuiteClient
    points: RefreshBudget


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The settings of a refresh, the same for every trunk of a source.

    Attributes:
        window: commits to read.
        interval: seconds from one refresh to the next.
        external: the results of other CI systems that count.
        budget: the requests that may be sent.
        graph: GraphQL; None where it is not configured.
    """

    window: int
    interval: float
    external: ExternalChecks
    budget: RefreshBudget
    graph: Graph | None = None


@dataclass(slots=True)
class Outcome:
    """The result of reading one trunk, or of all trunks of a source.

    Attributes:
        facts: the facts that are certain now.
        error: the first error of what could not be read.
        unread: commits of the window whose results have not been read.
        more: history could be read at once, and was left for the next refresh.
        due_since: when the oldest read that was left out became due (seconds, epoch), or None.
    """

    facts: list[Fact] = field(default_factory=list)
    error: SourceError | None = None
    unread: int = 0
    more: bool = False
    due_since: float | None = None

    def add_error(self, error: SourceError | None) -> None:
        """Keep the first error."""
        self.error = self.error or error

    def add(self, outcome: "Outcome") -> None:
        """Add the result of one trunk to that of the source."""
        self.facts.extend(outcome.facts)
        self.add_error(outcome.error)
        self.unread += outcome.unread
        self.more |= outcome.more


class TrunkReader:
    """Reads one trunk once, the failures in `focus` first."""

    def __init__(self, context: TrunkContext, settings: ReadSettings, focus: FailureFocus) -> None:
        self._context = context
        self._state = context.state
        self._now = context.now
        self._settings = settings
        self._budget = settings.budget
        self._focus = focus
        self._chains = ChainReader(context, settings.window)
        self._runs = RunList(context)
        self._timed_out = TimedOutJobs(context)
        self._jobs = JobReader(context, self._runs, self._timed_out)
        self._steps = FailedSteps(context)
        self._explanations = Explanations(context)
        self._pending = PendingJobs(context, self._timed_out)
        self._outcome = Outcome()
        self._failed: set[str] = set()
        self._unreachable = False

    def read(self) -> Outcome:
        """Read the results that are due, as far as the budget allows; an error loses nothing."""
        outcome = self._outcome
        try:
            chain = self._chains.read()
            start = self._start(chain)
            backfill = Backfill(self._context, chain, self._runs, start)
            if not self._read_graph(backfill, start):
                self._runs.read_newest()
                backfill = Backfill(self._context, chain, self._runs, start)
                self._read_rest(backfill)
            self._read_details()
            self._read_external(backfill)
            self._read_workflows(chain)
        except FATAL_ERRORS as error:
            outcome.add_error(error)
            if not outcome.facts:
                return outcome
        except SourceError as error:
            outcome.add_error(error)
            return outcome
        outcome.facts.extend(self._pending.of_all(self._runs.runs))
        self._conclude(chain, backfill, start)
        return outcome

    def _start(self, chain: Chain) -> float:
        """Return the time from which on runs are read (seconds since the epoch)."""
        dates = sorted(c.committed_at for c in chain.commits if c.committed_at is not None)
        outliers = int(len(dates) * COMMIT_DATE_OUTLIER_SHARE)
        oldest = dates[outliers] if dates else 0.0
        return max(oldest - CLOCK_SKEW_SECONDS, self._now - HISTORY_SECONDS)

    # ------------------------------------------------------------------ GraphQL

    def _read_graph(self, backfill: Backfill, start: float) -> bool:
        """Read through GraphQL; return False where that cannot be used."""
        graph = self._graph
        if graph is None:
            return False
        reader = GraphReader(self._context, graph.suites, self._runs, self._jobs, graph.points)
        self._list_runs(start)
        shas = reader.commits_to_list(backfill, recheck=False)
        if not shas:
            # Nothing is in flight: the list of runs shows for free whether anything has begun.
            self._runs.read_newest()
            listed = self._runs.covered <= start
            if listed and self._runs.is_recheck_due():
                self._try(OLDER_RUNS, self._runs.recheck)
            shas = reader.commits_to_list(backfill, recheck=not listed)
        if shas:
            fatal = None
            try:
                reader.ask(shas, backfill)
            except NotFoundError:
                self._context.refused(Right.GRAPHQL)
                return False
            except FATAL_ERRORS as error:
                fatal = error
            if graph.suites.is_given_up(answered=reader.has_answers, error=reader.error):
                self._context.refused(Right.GRAPHQL)
                return False
            self._outcome.add_error(reader.error)
            self._read_asked(reader, backfill)
            if fatal is not None:
                raise fatal
        self._note_left_out(backfill)
        if backfill.unread():
            self._outcome.more = graph.points.history_later()
        return True

    @property
    def _graph(self) -> Graph | None:
        """GraphQL; None where it is not configured, or was refused."""
        return self._settings.graph if self._context.may(Right.GRAPHQL) else None

    def _read_asked(self, reader: GraphReader, backfill: Backfill) -> None:
        """Take the answers: shown commits, the oldest first, and then unread ones.

        Newer commits wait for one that cannot be read: it may be the pass between their failures.
        """
        for _, sha in reversed(list(backfill.shown_commits())):
            runs = backfill.due_runs(sha)
            if runs and not self._read_commit(sha, partial(reader.read, sha, runs)):
                break
        for sha in backfill.unread_commits():
            runs = backfill.due_runs(sha)
            if runs:
                self._try(sha, partial(reader.read, sha, runs))

    def _list_runs(self, start: float) -> None:
        """Read the list of runs once, as far as it is short enough to be worth it."""
        if self._runs.pages == 0:
            self._runs.read_newest()
            while self._runs.covered > start and self._runs.pages < MAX_LISTED_PAGES:
                if not self._budget.for_history():
                    break
                self._runs.read_older()

    def _note_left_out(self, backfill: Backfill) -> None:
        """Let the data age while shown commits are not listed, or changed runs of them unread."""
        if not backfill.is_listed:
            self._outcome.due_since = 0.0
        for _, sha in backfill.shown_commits():
            unread = [run for run in backfill.due_runs(sha) if run.read_version != run.version]
            if unread:
                self._leave_out(unread)

    # ------------------------------------------------------------------ REST

    def _read_rest(self, backfill: Backfill) -> None:
        """Read through REST: the list of runs, and the jobs of each commit or run."""
        if self._runs.is_recheck_due() and self._budget.for_news():
            self._try(OLDER_RUNS, self._runs.recheck)
        self._read_news(backfill)
        self._read_history(backfill)

    def _read_news(self, backfill: Backfill) -> None:
        """Read the results that may have changed since the last refresh."""
        pause = (READ_EVERY_REFRESHES - 0.5) * self._settings.interval
        while backfill.started and not backfill.is_listed:
            if not self._budget.for_news() or not self._try(OLDER_RUNS, self._runs.read_older):
                # Runs may be missing: hold back everything newer, and let the data age.
                self._outcome.due_since = 0.0
                return
        barrier = 0
        for index, sha, runs in self._due_commits(backfill, pause):
            if index < barrier or not self._budget.for_news():
                self._leave_out(runs)
            elif not self._read_commit(sha, partial(self._jobs.read, sha, runs)):
                barrier = max(barrier, index)

    def _read_commit(self, sha: str, read_jobs: Callable[[], Iterable[Fact]]) -> bool:
        """Read the jobs of a commit; return False if newer commits must wait for it."""
        entry = self._state.get(Kind.COMMIT, sha) or {}
        failing = entry.get("failing", self._now)
        # Written beforehand, because a successful read replaces the entry.
        self._state.put(Kind.COMMIT, {**entry, "failing": failing}, sha)
        read = self._try(sha, read_jobs)
        return read or self._now - failing > UNREADABLE_COMMIT_TIMEOUT_SECONDS

    def _due_commits(self, backfill: Backfill, pause: float) -> list[tuple[int, str, list[Run]]]:
        """Return the commits with unread runs that are to be read now, each with its index.

        Commits that are finished or were never read come first, oldest first: a streak must not
        be seen from its newer end while an older pass waits to be read. Then come unfinished
        commits, the longest unread first.
        """
        found = []
        for index, sha in backfill.shown_commits():
            unread = backfill.due_runs(sha)
            at = (self._state.get(Kind.COMMIT, sha) or {}).get("at", 0.0)
            finished = all(run.finished for run in unread)
            changed = any(run.read_version not in (run.version, INCOMPLETE) for run in unread)
            news = finished and changed
            if unread and (news or self._now - at >= pause):
                unfinished_since = at if at and not news else 0.0
                found.append((unfinished_since, -index, sha, unread))
        found.sort(key=lambda item: item[:2])
        return [(-index, sha, runs) for _, index, sha, runs in found]

    def _leave_out(self, runs: Iterable[Run]) -> None:
        since = min(run.updated for run in runs)
        before = self._outcome.due_since
        self._outcome.due_since = since if before is None else min(before, since)

    # ------------------------------------------------------------------ history

    def _read_history(self, backfill: Backfill) -> None:
        """Read commits that were never read, the newest first, down to the end of the window."""
        for sha in backfill.unread_commits():
            while backfill.may_lack_runs(sha) and OLDER_RUNS not in self._failed:
                if not self._may_go_on():
                    return
                self._try(OLDER_RUNS, self._runs.read_older)
            runs = backfill.due_runs(sha)
            if runs and not self._may_go_on():
                return
            if runs:
                self._try(sha, partial(self._jobs.read, sha, runs))

    def _may_go_on(self) -> bool:
        if self._budget.for_history():
            return True
        self._outcome.more = self._budget.history_later()
        return False

    def _read_details(self) -> None:
        """Read the details that explain failures."""
        runs = self._runs.runs
        self._read_ahead()
        for job in self._timed_out.undecided():
            if self._budget.for_news():
                self._try(job, partial(self._timed_out.read, job, runs))
        self._outcome.facts.extend(self._steps.known(self._focus.without_step))
        for request in self._steps.due(self._focus.without_step, runs):
            if self._budget.for_news():
                self._try(f"steps {request}", partial(self._steps.read, request, runs))
        for row in self._explanations.due(self._focus.unexplained, runs):
            if self._budget.for_news():
                self._try(f"annotations {row.job_id}", partial(self._explanations.read, row))

    def _read_ahead(self) -> None:
        """Read the details of many check runs at once, where GraphQL can be used."""
        graph = self._graph
        if graph is None:
            return
        runs = self._runs.runs
        jobs = dict.fromkeys(self._timed_out.undecided())
        for request in self._steps.due(self._focus.without_step, runs):
            jobs |= dict.fromkeys(request.jobs)
        for row in self._explanations.due(self._focus.unexplained, runs):
            jobs |= dict.fromkeys([str(row.job_id)])
        nodes = [
            (job, entry["node"])
            for job in jobs
            if (entry := self._state.get(Kind.NODE, job)) is not None
        ]
        for begin in range(0, len(nodes), DETAILS_LIMIT):
            chunk = dict(nodes[begin : begin + DETAILS_LIMIT])
            if graph.points.for_news():
                self._try("details", partial(self._take_details, graph.suites, chunk))

    def _take_details(self, suites: SuiteClient, chunk: dict[str, str]) -> None:
        self._context.details.update(suites.details(chunk))

    def _read_workflows(self, chain: Chain) -> None:
        """Read whether workflows were deleted or disabled."""
        states = WorkflowStates(self._context)
        tip = chain.commits[0].sha if chain.commits else ""
        if states.is_due(tip) and self._budget.for_news():
            self._try("workflows", partial(states.read, tip))

    def _read_external(self, backfill: Backfill) -> None:
        """Read the results of other CI systems."""
        external = self._settings.external
        pause = READ_EVERY_REFRESHES * self._settings.interval
        for sha in external.due(self._context, backfill, pause):
            if not self._may_go_on():
                return
            self._try(f"external {sha}", partial(external.read, self._context, sha))

    def _try(self, name: str, read: Callable[[], Iterable[Fact] | None]) -> bool:
        """Read one thing; return whether that succeeded.

        Facts before an error count: they are stored as read.
        """
        if name in self._failed:
            return False
        try:
            for fact in read() or ():
                self._outcome.facts.append(fact)
        except SourceError as error:
            # One address that never answers must not keep all others from being read.
            fatal = isinstance(error, FATAL_ERRORS)
            if fatal and (self._unreachable or not isinstance(error, NoAnswerError)):
                raise
            self._unreachable = self._unreachable or fatal
            self._failed.add(name)
            self._outcome.add_error(error)
            return False
        return True

    # ------------------------------------------------------------------ the end

    def _conclude(self, chain: Chain, backfill: Backfill, start: float) -> None:
        self._runs.forget(start)
        self._forget_details(chain)
        self._outcome.facts.extend(backfill.order())
        self._outcome.unread = backfill.unread()
        self._outcome.facts.extend(self._state.changes())

    def _forget_details(self, chain: Chain) -> None:
        runs = self._runs.runs
        for kind in (Kind.TIMED_OUT, Kind.STEP, Kind.ANNOTATED, Kind.NODE):
            entries = self._state.all(kind).items()
            gone = [job for job, entry in entries if entry["run"] and entry["run"] not in runs]
            self._state.drop_all(kind, gone)
        kept = {*chain.index, *(run.sha for run in runs.values())}
        commits = self._state.all(Kind.COMMIT)
        self._state.drop_all(Kind.COMMIT, [sha for sha in commits if sha not in kept])
