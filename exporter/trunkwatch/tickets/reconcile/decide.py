"""The decision about one group. Pure: from the stored ticket and the current status to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trunkwatch.status.trunk_status import JobStatus
from trunkwatch.tickets.model import Change, Comment, Create, Plan, State, Step, Ticket
from trunkwatch.tickets.reconcile.context import (
    ReconcileContext,
    edited,
    labels_of,
    new_ticket,
    reported_jobs,
    unknown_jobs,
    with_moved_labels,
)
from trunkwatch.tickets.text.comments import (
    EndedJob,
    changed_comment,
    ended_jobs,
    reopened_comment,
    resolved_comment,
)
from trunkwatch.tickets.text.issue import resolved_body
from trunkwatch.tickets.text.markdown import new_nonce


@dataclass(frozen=True, slots=True)
class Decision:
    """The actions for one group.

    Attributes:
        plan: steps to send.
        record: a ticket to store without a change of its issue.
        remove_firing: the delivered alerts are outdated, since nothing is broken.
    """

    plan: Plan | None = None
    record: Ticket | None = None
    remove_firing: bool = False


NOTHING = Decision()


def decide(context: ReconcileContext) -> Decision:
    """Return the actions for one group now; at most one plan at a time."""
    ticket = with_moved_labels(context)
    if ticket is None:
        decision = _open(context) if context.may_open(context.broken) else NOTHING
    elif ticket.state is State.OPEN:
        decision = _update(context, ticket)
    elif ticket.state is State.CLOSED:
        again = context.may_open(context.broken)
        decision = _reopen(context, ticket) if again else NOTHING
    else:
        decision = _watch_dismissed(context, ticket)
    return replace(decision, remove_firing=decision.plan is None and context.all_ended)


def dismissed(ticket: Ticket, at: float) -> Ticket:
    """Return a ticket whose issue a person closed at a time."""
    resolved_at = None if ticket.broken_jobs else at
    return replace(ticket, state=State.DISMISSED, closed_at=at, resolved_at=resolved_at)


def adopted(
    context: ReconcileContext, number: int, nonce: str, state: State, closed_at: float
) -> Ticket:
    """Return a ticket for an issue that was found on the server and not in the storage file.

    The broken jobs count as reported: the most likely case, and the one that notifies least.
    """
    ticket = replace(new_ticket(context, nonce), number=number, title="", body="", state=state)
    if state is State.OPEN:
        return ticket
    resolved_at = closed_at if state is State.CLOSED else None
    return replace(ticket, closed_at=closed_at, resolved_at=resolved_at)


def _open(context: ReconcileContext, previous: Ticket | None = None) -> Decision:
    nonce = new_nonce()
    number = previous.number if previous and not previous.gone else None
    ticket = new_ticket(context, nonce, number)
    labels = labels_of(ticket, context.config.labels)
    create = Create(nonce, ticket.title, ticket.body, labels, context.config.assignees)
    return Decision(Plan("open", (create,), ticket))


def _reopen(context: ReconcileContext, ticket: Ticket) -> Decision:
    """Reopen a closed issue, or open a new one if it is gone or was resolved too long ago."""
    resolved_at = ticket.resolved_at
    expired = resolved_at is not None and context.now - resolved_at > context.config.reopen_within
    if ticket.gone or expired:
        return _open(context, ticket)
    reopened = replace(
        ticket, state=State.OPEN, closed_at=None, resolved_at=None, opened_at=context.now,
        reported_jobs=reported_jobs(context.broken, {}),
    )  # fmt: skip
    after, fields = edited(context, reopened)
    nonce = new_nonce()
    comment = Comment(nonce, reopened_comment(nonce, context.key, context.broken))
    return Decision(Plan("reopen", (Change({**fields, "state": "open"}), comment), after))


def _watch_dismissed(context: ReconcileContext, ticket: Ticket) -> Decision:
    """Leave an issue closed by a person closed until an outage begins that it did not report."""
    new = [job for job in context.broken if _is_new_outage(job, ticket)]
    if new and context.may_open(new):
        return _reopen(context, ticket)
    kept = {job.name for job in context.broken} | unknown_jobs(context, ticket)
    jobs = {
        name: job if name in kept else job._replace(broken=False)
        for name, job in ticket.reported_jobs.items()
    }
    resolved_at = ticket.resolved_at
    if not kept and resolved_at is None and context.status.is_complete(context.key.group):
        resolved_at = context.now
    return _recorded(context, replace(ticket, reported_jobs=jobs, resolved_at=resolved_at))


def _recorded(context: ReconcileContext, seen: Ticket) -> Decision:
    return Decision(record=seen) if seen != context.ticket else NOTHING


def _is_new_outage(job: JobStatus, ticket: Ticket) -> bool:
    """Return whether the outage of a broken job began after the issue was closed.

    A late result of an older commit moves first bad, which is not a new outage.
    """
    reported = ticket.reported_jobs.get(job.name)
    if reported is None or not reported.broken:
        return True
    moved = job.first_bad is not None and job.first_bad.sha != reported.first_bad
    return moved and (job.broken_since or 0.0) > (ticket.closed_at or 0.0)


def _update(context: ReconcileContext, ticket: Ticket) -> Decision:
    names = {job.name for job in context.broken}
    unknown = unknown_jobs(context, ticket)
    ended_names = ticket.broken_jobs - names - unknown
    ended = ended_jobs(ended_names, context.status, context.key, ticket.reported_jobs, context.now)
    if not names:
        return NOTHING if unknown else _resolve(context, ticket, ended)
    new = [job for job in context.broken if job.name not in ticket.broken_jobs]
    jobs = reported_jobs(context.broken, ticket.reported_jobs, unknown)
    after, fields = edited(context, replace(ticket, reported_jobs=jobs, resolved_at=None))
    steps: list[Step] = []
    if new or ended:
        nonce = new_nonce()
        text = changed_comment(nonce, context.key, new, ended, len(context.broken))
        steps.append(Comment(nonce, text))
    if fields:
        steps.append(Change(fields))
    if steps:
        return Decision(Plan("comment" if new or ended else "edit", tuple(steps), after))
    return _recorded(context, after)


def _resolve(context: ReconcileContext, ticket: Ticket, ended: Sequence[EndedJob]) -> Decision:
    """Close an issue without broken jobs, once Alertmanager has no alert of the group."""
    if not context.all_ended or not (ended or context.config.auto_close):
        return NOTHING
    jobs = ticket.reported_jobs
    starts = [job.broken_since for job in jobs.values() if job.broken_since is not None]
    duration = context.now - min(starts) if starts else None
    nonce = new_nonce()
    comment = Comment(nonce, resolved_comment(nonce, context.key, ended, duration))
    # The comment was made before if only the closing was refused.
    comments = (comment,) if ticket.resolved_at is None else ()
    is_fixed = all(job.fixed for job in ended)
    body = resolved_body(ticket.body, ticket.nonce, context.key, context.name, fixed=is_fixed)
    fields = {"body": body}
    after = replace(
        ticket, body=body, reported_jobs=reported_jobs((), jobs), resolved_at=context.now
    )
    if context.config.auto_close:
        fields |= {"state": "closed", "state_reason": _state_reason(ended)}
        after = replace(after, state=State.CLOSED, closed_at=context.now)
    return Decision(Plan("close", (*comments, Change(fields)), after))


def _state_reason(ended: Sequence[EndedJob]) -> str:
    return "not_planned" if ended and not any(job.fixed for job in ended) else "completed"
