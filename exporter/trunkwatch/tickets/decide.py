"""What is to be done about one key: pure, from what is remembered and what is true now."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trunkwatch.tickets.comments import (
    Ended,
    changed_comment,
    ended_jobs,
    reopened_comment,
    resolved_comment,
)
from trunkwatch.tickets.compose import Scene, edited, labels_of, new_ticket, told_of
from trunkwatch.tickets.facts import (
    JobFacts,
    JobName,
)
from trunkwatch.tickets.marker import new_nonce
from trunkwatch.tickets.model import (
    Change,
    Comment,
    Create,
    Plan,
    Settings,
    State,
    Step,
    Ticket,
)
from trunkwatch.tickets.render import resolved_body


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done.

    Attributes:
        plan: steps on GitHub.
        record: the ticket as it is to be remembered, where nothing is to be done on GitHub.
        forget: the permits to open have served: nothing is broken.
    """

    plan: Plan | None = None
    record: Ticket | None = None
    forget: bool = False


NOTHING = Decision()


def decide(scene: Scene, settings: Settings) -> Decision:
    """Say what is to be done about one key now; at most one plan at a time."""
    ticket = scene.ticket
    if ticket is None:
        decision = _opened(scene, settings) if scene.may_open(scene.broken) else NOTHING
    elif ticket.state is State.OPEN:
        decision = _kept(scene, ticket, settings)
    elif ticket.state is State.CLOSED:
        again = scene.may_open(scene.broken)
        decision = _returned(scene, ticket, settings) if again else NOTHING
    else:
        decision = _watched(scene, ticket, settings)
    return replace(decision, forget=decision.plan is None and _is_over(scene))


def _is_over(scene: Scene) -> bool:
    """Whether what was delivered has had its time.

    The exporter alone does not say so: of two replicas, the one that is asked here may hear of a
    failure a minute after the one that Prometheus has seen it on.
    """
    agreed = scene.alerts is not None and not scene.alerts
    return agreed and scene.picture.reliable and not scene.broken


def dismissed(ticket: Ticket, at: float) -> Ticket:
    """Return a ticket whose issue a person has closed; its jobs are known and need no words."""
    quiet = None if ticket.still_broken else at
    return replace(ticket, state=State.DISMISSED, closed_at=at, quiet_since=quiet)


def adopted(
    scene: Scene, settings: Settings, number: int, nonce: str, state: State, at: float
) -> Ticket:
    """Return a ticket for an issue of ours that was found, and that nothing is remembered of.

    What is broken now counts as told: it is the likelier guess, and the quieter one.
    """
    ticket = new_ticket(scene, settings, nonce)
    if state is State.OPEN:
        return replace(ticket, number=number, title="", body="")
    quiet = at if state is State.CLOSED else None
    return replace(
        ticket, number=number, title="", body="", state=state, closed_at=at, quiet_since=quiet
    )


# ---------------------------------------------------------------------- no issue, or a closed one


def _opened(scene: Scene, settings: Settings, before: Ticket | None = None) -> Decision:
    nonce = new_nonce()
    number = before.number if before and not before.gone else None
    ticket = new_ticket(scene, settings, nonce, number)
    create = Create(
        nonce, ticket.title, ticket.body, labels_of(ticket, settings), settings.assignees
    )
    return Decision(Plan("open", (create,), ticket))


def _returned(scene: Scene, ticket: Ticket, settings: Settings) -> Decision:
    """Something is broken again that was told of in a closed issue."""
    quiet = ticket.quiet_since
    if ticket.gone or (quiet is not None and scene.now - quiet > settings.reopen_within):
        return _opened(scene, settings, ticket)
    fresh = replace(
        ticket, state=State.OPEN, closed_at=None, quiet_since=None, opened_at=scene.now,
        listed=told_of(scene.broken, {}),
    )  # fmt: skip
    after, fields = edited(scene, fresh, settings)
    nonce = new_nonce()
    comment = Comment(nonce, reopened_comment(nonce, scene.key, scene.broken))
    return Decision(Plan("reopen", (Change({**fields, "state": "open"}), comment), after))


def _watched(scene: Scene, ticket: Ticket, settings: Settings) -> Decision:
    """A person closed it: it stays closed while only what it told of goes on."""
    fresh = [job for job in scene.broken if _is_news(job, ticket)]
    if fresh and scene.may_open(fresh):
        return _returned(scene, ticket, settings)
    if not scene.picture.reliable:
        return NOTHING
    still = {job.name for job in scene.broken}
    listed = {
        name: job if name in still else job._replace(broken=False)
        for name, job in ticket.listed.items()
    }
    quiet = ticket.quiet_since
    if not scene.broken and quiet is None:
        quiet = scene.now
    seen = replace(ticket, listed=listed, quiet_since=quiet)
    return Decision(record=seen) if seen != ticket else NOTHING


def _is_news(job: JobFacts, ticket: Ticket) -> bool:
    """Whether a broken job is none of those that the person who closed the issue knew of.

    A late result of an older commit moves first bad, and is no new outage; one that began after the
    closing is.
    """
    told = ticket.listed.get(job.name)
    if told is None or not told.broken:
        return True
    moved = job.first_bad is not None and job.first_bad.sha != told.first_bad
    return moved and (job.since or 0.0) > (ticket.closed_at or 0.0)


# ---------------------------------------------------------------------- an open issue


def _kept(scene: Scene, ticket: Ticket, settings: Settings) -> Decision:
    names = {job.name for job in scene.broken}
    gone = ticket.still_broken - names
    if gone and not scene.picture.reliable:
        # A source that does not answer is no reason to believe that its jobs are well.
        return NOTHING
    if not names:
        return _ended(scene, ticket, settings, gone)
    new = [job for job in scene.broken if job.name not in ticket.still_broken]
    ends = ended_jobs(gone, scene.picture, scene.key, ticket.listed, scene.now)
    listed = told_of(scene.broken, ticket.listed)
    after, fields = edited(scene, replace(ticket, listed=listed, quiet_since=None), settings)
    steps: list[Step] = []
    if new or ends:
        nonce = new_nonce()
        text = changed_comment(nonce, scene.key, new, ends, len(scene.broken))
        steps.append(Comment(nonce, text))
    if fields:
        steps.append(Change(fields))
    if steps:
        return Decision(Plan("comment" if new or ends else "edit", tuple(steps), after))
    return Decision(record=after) if after != ticket else NOTHING


def _ended(scene: Scene, ticket: Ticket, settings: Settings, gone: frozenset[JobName]) -> Decision:
    """Nothing is broken: close, once Alertmanager agrees."""
    if not scene.picture.reliable or scene.alerts is None or scene.alerts:
        return NOTHING
    if not gone and not settings.auto_close:
        return NOTHING
    ends = ended_jobs(gone, scene.picture, scene.key, ticket.listed, scene.now)
    nonce = new_nonce()
    begun = [job.since for job in ticket.listed.values() if job.since is not None]
    lasting = scene.now - min(begun) if begun else None
    comment = Comment(nonce, resolved_comment(nonce, scene.key, ends, lasting))
    body = resolved_body(ticket.body, ticket.nonce, scene.key)
    fields = {"body": body}
    listed = {name: job._replace(broken=False) for name, job in ticket.listed.items()}
    after = replace(ticket, body=body, listed=listed, quiet_since=scene.now)
    if settings.auto_close:
        fields |= {"state": "closed", "state_reason": _state_reason(ends)}
        after = replace(after, state=State.CLOSED, closed_at=scene.now)
    return Decision(Plan("close", (comment, Change(fields)), after))


def _state_reason(ends: Iterable[Ended]) -> str:
    ended = list(ends)
    return "not_planned" if ended and not any(end.fixed for end in ended) else "completed"
