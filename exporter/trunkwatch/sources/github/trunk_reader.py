"""One trunk: what to read now, in which order, and within which budget."""

from collections.abc import Iterable
from functools import partial

from trunkwatch.errors import NotFoundError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.sources.github.checkpoint import Checkpoint
from trunkwatch.sources.github.commit_files import read_files
from trunkwatch.sources.github.details import DetailsReader
from trunkwatch.sources.github.graph_reader import GraphReader
from trunkwatch.sources.github.jobs.job_reader import JobReader
from trunkwatch.sources.github.jobs.pending_jobs import PendingJobs
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.order.backfill import CLOCK_SKEW_SECONDS, Backfill
from trunkwatch.sources.github.order.chain import Chain, ChainReader
from trunkwatch.sources.github.outcome import Attempts, Graph, Outcome, ReadSettings
from trunkwatch.sources.github.rest_reader import OLDER_RUNS, READ_EVERY_REFRESHES, RestReader
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.github.workflows import WorkflowStates
from trunkwatch.sources.port import FailureFocus

HISTORY_SECONDS = 90 * 86_400.0
"""Seconds that a read goes back at most: GitHub keeps the logs of a run for 90 days."""

COMMIT_DATE_OUTLIER_SHARE = 1 / 50
"""Tolerated share of commits with a wrong date: an old one must not extend the read by years."""

MAX_LISTED_PAGES = 15
"""Pages of the list of runs that are read beside GraphQL, so that later they show for free whether
a run was run again. A list with more, of the runs of many pull requests, changes all the time."""


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
        self._attempts = Attempts(context)
        self._outcome = self._attempts.outcome
        self._details = DetailsReader(
            context, self._runs, self._timed_out, self._attempts, settings.budget
        )
        self._pending = PendingJobs(context, self._timed_out)
        self._checkpoint = Checkpoint(context, self._runs, self._outcome)

    def read(self) -> Outcome:
        """Read the results that are due, as far as the budget allows; an error loses nothing."""
        outcome = self._outcome
        try:
            chain = self._chains.read()
            start = self._start(chain)
            backfill = Backfill(self._context, chain, self._runs, start)
            try:
                if not self._read_graph(backfill, start):
                    self._runs.read_newest()
                    backfill = Backfill(self._context, chain, self._runs, start)
                    self._rest_reader().read(backfill)
                self._details.read(self._focus, self._graph)
            except FATAL_ERRORS:
                self._checkpoint.restore(self._timed_out.undecided_workflows(self._runs.runs))
                raise
            self._read_external(backfill)
            self._read_workflows(chain)
            self._read_files()
        except FATAL_ERRORS as error:
            outcome.add_error(error)
            if not outcome.facts:
                # Since when a commit cannot be read must be stored all the same.
                outcome.facts.extend(self._state.changes())
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
                self._attempts.read(OLDER_RUNS, self._runs.recheck)
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
        self._note_left_out(backfill, reader, start)
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
        A workflow waits while any run of it has no answer: the results of some commits beside
        older ones of others would give a streak that never was.
        """
        shown = [(sha, backfill.due_runs(sha)) for _, sha in backfill.shown_commits()]
        waiting = {path for sha, runs in shown for path in self._unanswered(reader, sha, runs)}
        for sha, due in reversed(shown):
            runs = [run for run in due if run.path not in waiting]
            if runs and not self._attempts.read_commit(sha, partial(reader.read, sha, runs)):
                break
        for sha in backfill.unread_commits():
            runs = backfill.due_runs(sha)
            if runs:
                self._attempts.read(sha, partial(reader.read, sha, runs))

    def _unanswered(self, reader: GraphReader, sha: str, runs: Iterable[Run]) -> set[str]:
        """Return the workflows of a commit that wait for an answer, for half an hour at most."""
        paths = {run.path for run in runs if not reader.has_answer(run)}
        return paths if paths and not self._jobs.is_given_up(sha) else set()

    def _list_runs(self, start: float) -> None:
        """Read the list of runs once, as far as it is short enough to be worth it."""
        if self._runs.pages == 0:
            self._runs.read_newest()
            while self._runs.covered > start and self._runs.pages < MAX_LISTED_PAGES:
                if not self._budget.for_history():
                    break
                self._runs.read_older()

    def _note_left_out(self, backfill: Backfill, reader: GraphReader, start: float) -> None:
        """Let the data age while shown commits are not listed, or runs of them unread.

        A job may have ended in a run that is the same as before, so one without an answer counts.
        """
        recheck_due = reader.recheck_due(backfill)
        if self._runs.covered > start and recheck_due <= self._now:
            self._outcome.leave_out(recheck_due)
        if not backfill.is_listed:
            self._outcome.leave_out(0.0)
        for _, sha in backfill.shown_commits():
            for run in backfill.due_runs(sha):
                if not reader.has_answer(run):
                    self._outcome.leave_out(0.0)
                elif run.read_version != run.version:
                    self._outcome.leave_out(run.updated)

    def _rest_reader(self) -> RestReader:
        return RestReader(
            self._context,
            self._settings,
            self._runs,
            self._jobs,
            self._attempts,
            self._checkpoint,
        )

    def _read_workflows(self, chain: Chain) -> None:
        """Read whether workflows were deleted or disabled."""
        states = WorkflowStates(self._context)
        tip = chain.commits[0].sha if chain.commits else ""
        if states.is_due(tip) and self._budget.for_news():
            self._attempts.read("workflows", partial(states.read, tip))

    def _read_files(self) -> None:
        """Read the files that rank the suspects, with requests that nothing else needs."""
        for span in self._focus.files:
            if self._budget.for_history():
                self._attempts.read(f"files {span}", partial(read_files, self._context, span))

    def _read_external(self, backfill: Backfill) -> None:
        """Read the results of other CI systems."""
        external = self._settings.external
        pause = READ_EVERY_REFRESHES * self._settings.interval
        for sha in external.due(self._context, backfill, pause):
            if not self._outcome.may_go_on(self._budget):
                return
            self._attempts.read(f"external {sha}", partial(external.read, self._context, sha))

    # ------------------------------------------------------------------ the end

    def _conclude(self, chain: Chain, backfill: Backfill, start: float) -> None:
        is_missing = any(self._runs.is_missing(sha) for _, sha in backfill.shown_commits())
        if is_missing or self._runs.has_lost_runs:
            self._outcome.leave_out(0.0)
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
