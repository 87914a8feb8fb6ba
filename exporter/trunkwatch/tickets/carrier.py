"""Carries out plans: each step is written down before it is sent, and once it is done.

A step that was sent, and of which nobody knows whether it is done, is looked for before it is sent
again: an issue or a comment would be there twice. What only changes an issue is simply sent again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from trunkwatch.errors import IssueGone, TrackerError, TrackerLimited, TrackerRefused
from trunkwatch.tickets.counts import Counts
from trunkwatch.tickets.decide import dismissed
from trunkwatch.tickets.issues import Issues
from trunkwatch.tickets.ledger import Ledger, advanced
from trunkwatch.tickets.model import Change, Create, Plan, State

log = logging.getLogger(__name__)

SETTLE = 30.0
"""Seconds after which what was sent is done or will never be, and is seen by whoever lists it."""


@dataclass(frozen=True, slots=True)
class KeeperTools:
    """What a keeper is given instead of reaching for it.

    Attributes:
        clock: the time (seconds since the epoch).
        counts: is told what happens.
        checkpoint: is told the name of each point at which a kill makes a difference.
    """

    clock: Callable[[], float]
    counts: Counts
    checkpoint: Callable[[str], None] = lambda _name: None


class Carrier:
    """Takes a plan to its end, now or after a restart."""

    def __init__(self, ledger: Ledger, issues: Issues, tools: KeeperTools) -> None:
        """Args:
        ledger: remembers how far a plan is.
        issues: on GitHub.
        tools: time and counts.
        """
        self._ledger = ledger
        self._issues = issues
        self._tools = tools

    def carry_out(self, plan: Plan, *, fresh: bool) -> bool:
        """Do what is left of a plan; return whether there is nothing more to wait for.

        Args:
            plan: as it was written down last.
            fresh: it was made just now, of what is true now.

        Raises:
            TrackerError: something was not done, or nobody knows; the plan is kept.
        """
        if not fresh and plan.done == 0 and plan.tried_at is None:
            # Nothing of it has happened, and what it was made of may not be true any more.
            self._ledger.drop(plan)
            return True
        while plan.done < len(plan.steps):
            if plan.tried_at is not None and not isinstance(plan.steps[plan.done], Change):
                if self._tools.clock() < plan.tried_at + SETTLE:
                    return False
                found = self._resolved(plan)
                if found is None:
                    return True
                plan = found
                continue
            plan = self._step(plan)
        self._ledger.finish(plan)
        self._tools.checkpoint(f"{plan.why}: the plan is finished")
        self._tools.counts.add("operations", plan.why)
        log.info("%s#%s: %s", plan.after.repo, plan.after.number, plan.why)
        return True

    def _resolved(self, plan: Plan) -> Plan | None:
        """Find out whether the step that was begun is done; None where nothing of the plan is."""
        step, since = plan.steps[plan.done], plan.tried_at or 0.0
        done, number = self._issues.was_done(plan.after, step, since)
        if done:
            return self._ledger.write(advanced(plan, number))
        if plan.done == 0:
            self._ledger.drop(plan)
            return None
        return self._ledger.write(replace(plan, tried_at=None))

    def _step(self, plan: Plan) -> Plan:
        step, point = plan.steps[plan.done], f"{plan.why}: step {plan.done + 1}"
        plan = self._ledger.write(replace(plan, tried_at=self._tools.clock()))
        self._tools.checkpoint(f"{point} is about to be sent")
        try:
            number = self._issues.do(plan.after, step)
        except IssueGone:
            self._lose(plan)
            raise
        except (TrackerRefused, TrackerLimited) as error:
            # It is certain that nothing was done.
            fewer = self._ledger.write(_without_people(plan, error) or replace(plan, tried_at=None))
            if fewer.steps == plan.steps:
                raise
            return fewer
        self._tools.checkpoint(f"{point} was sent")
        plan = self._ledger.write(advanced(plan, number))
        self._tools.checkpoint(f"{point} is recorded")
        return plan

    def _lose(self, plan: Plan) -> None:
        """Remember that an issue is not there any more, and nothing of what was to be done."""
        ticket = replace(plan.after, gone=True)
        if ticket.state is State.OPEN:
            ticket = dismissed(ticket, self._tools.clock())
        self._ledger.finish(replace(plan, after=ticket))


def _without_people(plan: Plan, error: TrackerError) -> Plan | None:
    """Somebody who may not be assigned must not keep an issue from being opened."""
    step = plan.steps[plan.done]
    if not isinstance(step, Create) or not step.assignees:
        return None
    if not isinstance(error, TrackerRefused) or error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return None
    log.warning("%s; opened without tickets.assignees", error)
    return replace(plan, steps=(replace(step, assignees=()), *plan.steps[1:]), tried_at=None)
