"""Tickets and plans as JSON texts, for the storage file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from trunkwatch.tickets.facts import JobName, Key, Links
from trunkwatch.tickets.model import Change, Comment, Create, Listed, Plan, State, Step, Ticket

_KINDS: Mapping[str, Callable[..., Step]] = {
    "create": Create,
    "comment": Comment,
    "change": Change,
}
_WORDS = {kind: word for word, kind in _KINDS.items()}


def ticket_text(ticket: Ticket) -> str:
    """Write a ticket."""
    return json.dumps(_ticket_document(ticket), ensure_ascii=False)


def ticket_of(text: str) -> Ticket:
    """Read what `ticket_text` wrote."""
    return _ticket(json.loads(text))


def plan_text(plan: Plan) -> str:
    """Write a plan."""
    document = {
        "why": plan.why,
        "steps": [{"kind": _WORDS[type(step)], **_plain(step)} for step in plan.steps],
        "after": _ticket_document(plan.after),
        "done": plan.done,
        "tried_at": plan.tried_at,
    }
    return json.dumps(document, ensure_ascii=False)


def plan_of(text: str) -> Plan:
    """Read what `plan_text` wrote."""
    document = json.loads(text)
    steps = tuple(_step(row) for row in document.pop("steps"))
    return Plan(**{**document, "steps": steps, "after": _ticket(document["after"])})


def _plain(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _step(row: dict[str, Any]) -> Step:
    kind = _KINDS[row.pop("kind")]
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()})


def _ticket_document(ticket: Ticket) -> dict[str, Any]:
    return {
        **_plain(ticket),
        "state": ticket.state.value,
        "listed": [[*name, *job] for name, job in ticket.listed.items()],
    }


def _ticket(document: dict[str, Any]) -> Ticket:
    listed = {JobName(*row[:2]): Listed(*row[2:]) for row in document["listed"]}
    known = {"key": Key(*document["key"]), "links": Links(*document["links"])}
    return Ticket(**{**document, **known, "state": State(document["state"]), "listed": listed})
