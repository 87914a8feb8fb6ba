"""Reading the details that explain the failures of one trunk."""

from functools import partial

from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.jobs.failure_details import Explanations, FailedSteps
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.outcome import Attempts, Graph
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.github.suites import DETAILS_LIMIT, SuiteClient
from trunkwatch.sources.port import FailureFocus


class DetailsReader:
    """Reads failed steps, annotations, and whether cancelled jobs ran into their time limits."""

    def __init__(
        self,
        context: TrunkContext,
        runs: RunList,
        timed_out: TimedOutJobs,
        attempts: Attempts,
        budget: RefreshBudget,
    ) -> None:
        """Args:
        context: of the trunk.
        runs: of the trunk.
        timed_out: the jobs that may have run into their time limits.
        attempts: collects the results.
        budget: the requests that may be sent.
        """
        self._context = context
        self._runs = runs
        self._timed_out = timed_out
        self._attempts = attempts
        self._budget = budget
        self._steps = FailedSteps(context)
        self._explanations = Explanations(context)

    def read(self, focus: FailureFocus, graph: Graph | None) -> None:
        """Read the details that are due.

        Args:
            focus: the failures that lack details.
            graph: GraphQL, where it can be used.
        """
        runs, read = self._runs.runs, self._attempts.read
        if graph is not None:
            self._read_ahead(focus, graph)
        for job in self._timed_out.undecided():
            if self._budget.for_news():
                read(job, partial(self._timed_out.read, job, runs))
        since = self._timed_out.undecided_since()
        if since is not None:
            self._attempts.outcome.leave_out(since)
        self._attempts.outcome.facts.extend(self._steps.known(focus.without_step))
        for request in self._steps.due(focus.without_step, runs):
            if self._budget.for_news():
                read(f"steps {request}", partial(self._steps.read, request, runs))
        for row in self._explanations.due(focus.unexplained, runs):
            if self._budget.for_news():
                read(f"annotations {row.job_id}", partial(self._explanations.read, row))

    def _read_ahead(self, focus: FailureFocus, graph: Graph) -> None:
        """Read the details of many check runs at once."""
        runs, state = self._runs.runs, self._context.state
        jobs = dict.fromkeys(self._timed_out.undecided())
        for request in self._steps.due(focus.without_step, runs):
            jobs |= dict.fromkeys(request.jobs)
        for row in self._explanations.due(focus.unexplained, runs):
            jobs |= dict.fromkeys([str(row.job_id)])
        nodes = [
            (job, entry["node"]) for job in jobs if (entry := state.get(Kind.NODE, job)) is not None
        ]
        for begin in range(0, len(nodes), DETAILS_LIMIT):
            chunk = dict(nodes[begin : begin + DETAILS_LIMIT])
            if graph.points.for_news():
                self._attempts.read("details", partial(self._take, graph.suites, chunk))

    def _take(self, suites: SuiteClient, chunk: dict[str, str]) -> None:
        self._context.details.update(suites.details(chunk))
