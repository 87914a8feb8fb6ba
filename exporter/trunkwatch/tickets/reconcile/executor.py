"""The executor of plans: each step is stored before it is sent, and again once it is done.

If the result of a step is unknown, the executor searches for the issue or comment before it sends
the step again, else it would exist twice. A step that only changes fields is sent again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from trunkwatch.errors import IssueGone, TrackerError, TrackerLimited, TrackerRefused
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.metrics import TicketMetrics
from trunkwatch.tickets.model import Change, Create, Plan, State
from trunkwatch.tickets.reconcile.decide import dismissed
from trunkwatch.tickets.store import TicketStore

log = logging.getLogger(__name__)

REQUEST_SETTLE_SECONDS = 30.0
"""How long a request may still take effect after a timeout, and be missing in GitHub's lists."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The clock, the metrics and the checkpoints of a reconciler.

    Attributes:
        clock: returns the time (seconds since the epoch).
        metrics: counts operations.
        checkpoint: called with the name of each point at which a kill makes a difference.
    """

    clock: Callable[[], float]
    metrics: TicketMetrics
    checkpoint: Callable[[str], None] = lambda _name: None


@dataclass(frozen=True, slots=True)
class PlanExecutor:
    """Finishes plans, including those that a previous process left unfinished.

    Attributes:
        store: keeps the progress of plans.
        tracker: sends their steps.
        runtime: clock, metrics and checkpoints.
    """

    store: TicketStore
    tracker: IssueTracker
    runtime: Runtime

    def execute(self, plan: Plan, *, fresh: bool) -> bool:
        """Execute the steps that are left; return False if a sent step has to settle first.

        Args:
            plan: as last stored.
            fresh: it was made in this round, from the current status.

        Raises:
            TrackerError: a step failed, or its result is unknown; the plan is kept.
        """
        if not fresh and plan.done == 0 and plan.tried_at is None:
            # No step was sent, and the status that the plan was made from may be outdated.
            self.store.drop_plan(plan)
            return True
        while plan.done < len(plan.steps):
            if plan.tried_at is not None and not isinstance(plan.steps[plan.done], Change):
                if self.runtime.clock() < plan.tried_at + REQUEST_SETTLE_SECONDS:
                    return False
                resolved = self._resolve(plan)
                if resolved is None:
                    return True
                plan = resolved
                continue
            plan = self._step(plan)
        self.store.finish_plan(plan)
        self.runtime.checkpoint(f"{plan.operation}: the plan is finished")
        self.runtime.metrics.add("operations", plan.operation)
        ticket = plan.after
        fields = {"operation": plan.operation, "issue": ticket.number, "issue_repo": ticket.repo}
        log.info("plan finished", extra={**fields, **ticket.key._asdict()})
        return True

    def _resolve(self, plan: Plan) -> Plan | None:
        """Search for the step that was sent; return None if the plan was dropped."""
        step, since = plan.steps[plan.done], plan.tried_at or 0.0
        executed, number = self.tracker.was_executed(plan.after, step, since)
        if executed:
            return self.store.save_plan(advanced(plan, number))
        if plan.done == 0:
            self.store.drop_plan(plan)
            return None
        return self.store.save_plan(replace(plan, tried_at=None))

    def _step(self, plan: Plan) -> Plan:
        step, point = plan.steps[plan.done], f"{plan.operation}: step {plan.done + 1}"
        plan = self.store.save_plan(replace(plan, tried_at=self.runtime.clock()))
        self.runtime.checkpoint(f"{point} is about to be sent")
        try:
            number = self.tracker.execute(plan.after, step)
        except IssueGone:
            self._mark_gone(plan)
            raise
        except (TrackerRefused, TrackerLimited) as error:
            # These errors guarantee that the step had no effect.
            retry = _without_assignees(plan, error) or replace(plan, tried_at=None)
            self.store.save_plan(retry)
            if retry.steps == plan.steps:
                raise
            return retry
        self.runtime.checkpoint(f"{point} was sent")
        plan = self.store.save_plan(advanced(plan, number))
        self.runtime.checkpoint(f"{point} is recorded")
        return plan

    def _mark_gone(self, plan: Plan) -> None:
        """Store that the issue no longer exists, and delete the plan."""
        ticket = replace(plan.after, gone=True)
        if ticket.state is State.OPEN:
            ticket = dismissed(ticket, self.runtime.clock())
        self.store.finish_plan(replace(plan, after=ticket))


def advanced(plan: Plan, number: int | None = None) -> Plan:
    """Return a plan with one more step done, and with the number of a created issue."""
    after = plan.after if number is None else replace(plan.after, number=number)
    return replace(plan, done=plan.done + 1, tried_at=None, after=after)


def _without_assignees(plan: Plan, error: TrackerError) -> Plan | None:
    """Return the plan without assignees if GitHub rejected one: the issue is more important."""
    step = plan.steps[plan.done]
    if not isinstance(step, Create) or not step.assignees:
        return None
    if not isinstance(error, TrackerRefused) or error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return None
    log.warning("assignees rejected, opening the issue without", extra={"error": error})
    return replace(plan, steps=(replace(step, assignees=()), *plan.steps[1:]), tried_at=None)
