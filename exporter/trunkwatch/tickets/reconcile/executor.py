"""The executor of plans: each step is stored before it is sent, and again once it is done.

If the result of a step is unknown, the executor searches for the issue or comment before it sends
the step again, else it would exist twice. A step that only changes fields is sent again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from trunkwatch.errors import IssueGone, TrackerLimited, TrackerRefused
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.metrics import TicketMetrics
from trunkwatch.tickets.model import Change, Comment, Create, Plan, State, Ticket
from trunkwatch.tickets.reconcile.decide import dismissed
from trunkwatch.tickets.store import TicketStore

log = logging.getLogger(__name__)

REQUEST_SETTLE_SECONDS = 30.0
"""How long a request may still take effect after a timeout, and be missing in lists."""

INVALID = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Answers of GitLab and of GitHub to a text or a person that they do not accept."""


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

        A refused comment does not keep the steps after it from being executed: a locked issue takes
        no comment, and can be edited and closed.

        Args:
            plan: as last stored.
            fresh: it was made in this round, from the current status.

        Raises:
            IssueGone: the issue does not exist any more, which is stored; the plan is deleted.
            TrackerError: a step failed, or its result is unknown. A plan with a refused change is
                deleted, to be made again from the status of its time; any other is kept.
        """
        if not fresh and plan.done == 0 and plan.tried_at is None:
            # No step was sent, and the status that the plan was made from may be outdated.
            self.store.drop_plan(plan)
            return True
        while plan.done < len(plan.steps):
            if self._has_to_settle(plan):
                return False
            try:
                following = self._advance(plan)
            except IssueGone:
                self._mark_gone(plan)
                raise
            except TrackerRefused as error:
                following = self._without_refused(plan, error)
            if following is None:
                return True
            plan = following
        self.store.finish_plan(plan)
        self.runtime.checkpoint(f"{plan.operation}: the plan is finished")
        self.runtime.metrics.add("operations", plan.operation)
        ticket = plan.after
        fields = {"operation": plan.operation, "issue": ticket.number, "issue_repo": ticket.repo}
        log.info("plan finished", extra={**fields, **ticket.key._asdict()})
        return True

    def _has_to_settle(self, plan: Plan) -> bool:
        sent = _is_unresolved(plan)
        return sent and self.runtime.clock() < (plan.tried_at or 0.0) + REQUEST_SETTLE_SECONDS

    def _advance(self, plan: Plan) -> Plan | None:
        """Send the next step, or search for it if it was sent; return None if it was dropped."""
        return self._resolve(plan) if _is_unresolved(plan) else self._step(plan)

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
        except (TrackerRefused, TrackerLimited):
            # These errors guarantee that the step had no effect.
            self.store.save_plan(replace(plan, tried_at=None))
            raise
        self.runtime.checkpoint(f"{point} was sent")
        plan = self.store.save_plan(advanced(plan, number))
        self.runtime.checkpoint(f"{point} is recorded")
        return plan

    def _without_refused(self, plan: Plan, error: TrackerRefused) -> Plan:
        """Return a plan that goes on without the refused part, and store it.

        Raises:
            TrackerRefused: it is to be tried again later.
        """
        step = plan.steps[plan.done]
        self.runtime.metrics.add("refusals", step.operation)
        if isinstance(step, Create):
            plan = replace(plan, steps=(_without_assignees(step, error),))
        elif isinstance(step, Comment):
            plan = replace(advanced(plan), refused=plan.refused + 1)
        elif step.operation == "edit" and error.status in INVALID:
            # The same text would be refused again; the next one is sent.
            plan = advanced(plan)
        else:
            self._undo(plan, step)
            raise error
        fields = {"operation": step.operation, "issue": plan.after.number, "error": error}
        log.warning("refused, left out", extra={**fields, **plan.after.key._asdict()})
        return self.store.save_plan(replace(plan, tried_at=None))

    def _undo(self, plan: Plan, change: Change) -> None:
        """Delete a plan whose change was refused; store its comment, if it was executed."""
        if plan.done == plan.refused:
            self.store.drop_plan(plan)
            return
        before = self._stored(plan)
        after = replace(plan.after, title=before.title, body=before.body)
        if "state" in change.fields:
            after = replace(after, state=before.state, closed_at=before.closed_at)
        self.store.finish_plan(replace(plan, after=after))

    def _mark_gone(self, plan: Plan) -> None:
        """Store that the issue no longer exists, and delete the plan."""
        ticket = replace(self._stored(plan), gone=True)
        if ticket.state is State.OPEN:
            ticket = dismissed(ticket, self.runtime.clock())
        self.store.finish_plan(replace(plan, after=ticket))

    def _stored(self, plan: Plan) -> Ticket:
        """Return the ticket without the plan."""
        return self.store.tickets()[plan.after.key]


def advanced(plan: Plan, number: int | None = None) -> Plan:
    """Return a plan with one more step done, and with the number of a created issue."""
    after = plan.after if number is None else replace(plan.after, number=number)
    return replace(plan, done=plan.done + 1, tried_at=None, after=after)


def _is_unresolved(plan: Plan) -> bool:
    """Return whether the next step was sent, and must not be sent twice."""
    return plan.tried_at is not None and not isinstance(plan.steps[plan.done], Change)


def _without_assignees(step: Create, error: TrackerRefused) -> Create:
    """Return the step without assignees if one was rejected: the issue is more important.

    Raises:
        TrackerRefused: something else was refused.
    """
    if not step.assignees or error.status not in INVALID:
        raise error
    return replace(step, assignees=())
