"""The storage file of `trunkwatch tickets`: firing alerts, tickets, and unfinished plans.

One process at a time: two processes on one file would open an issue twice.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from trunkwatch.errors import StoreError
from trunkwatch.status.trunk_status import JobName
from trunkwatch.store.migration import Schema
from trunkwatch.store.program_file import ProgramFile
from trunkwatch.tickets.alerts import FiringAlert
from trunkwatch.tickets.firing_room import Room
from trunkwatch.tickets.model import (
    Change,
    Comment,
    Create,
    Links,
    Plan,
    ReportedJob,
    State,
    Step,
    Ticket,
    TicketKey,
)

SCHEMA = Schema(
    application_id=0x54575449,  # "TWTI"
    migrations=(
        (
            "CREATE TABLE firing_alerts (repo TEXT, branch TEXT, name TEXT, workflow TEXT,"
            " job_name TEXT, at REAL NOT NULL, alertmanager TEXT,"
            " PRIMARY KEY (repo, branch, name, workflow, job_name)) WITHOUT ROWID",
            "CREATE TABLE tickets (repo TEXT, branch TEXT, name TEXT, text TEXT NOT NULL,"
            " PRIMARY KEY (repo, branch, name)) WITHOUT ROWID",
            "CREATE TABLE plans (repo TEXT, branch TEXT, name TEXT, text TEXT NOT NULL,"
            " PRIMARY KEY (repo, branch, name)) WITHOUT ROWID",
            "CREATE TABLE created (nonce TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
        ),
        ("CREATE TABLE server (api TEXT NOT NULL)",),
    ),
    foreign_file="is not a file of trunkwatch tickets; choose a separate file for it",
)
"""The schema of the storage file."""

FIRING_ALERT_RETENTION_SECONDS = 7 * 86_400.0
"""Alertmanager forgets a notification after five days, and then repeats a firing alert."""

HOUR_SECONDS = 3600.0


class TicketStore(ProgramFile):
    """The storage file; any thread may use it."""

    def __init__(self, path: str) -> None:
        """Open the file and lock it; see `ProgramFile`."""
        super().__init__(path, SCHEMA, "trunkwatch tickets")
        self.has_news = False
        """A group has got its first alert since `firing_alerts` was called."""

    def bind(self, api: str) -> None:
        """Record the server of the issues, of which another one has others of the same numbers.

        Args:
            api: address of its API, without credentials.

        Raises:
            StoreError: the file has issues of another server.
        """
        with self.transaction() as db:
            stored = db.execute("SELECT api FROM server").fetchone()
            is_used = db.execute("SELECT 1 FROM tickets UNION SELECT 1 FROM plans").fetchone()
            if stored and is_used and stored[0] != api:
                raise StoreError(
                    self.path,
                    f"it has the issues of {stored[0]}, and the configuration names {api}: choose"
                    " another file; open issues are found again",
                )
            db.execute("DELETE FROM server")
            db.execute("INSERT INTO server VALUES (?)", (api,))

    def add_firing(
        self,
        alerts: Iterable[FiringAlert],
        now: float,
        is_known: Callable[[TicketKey], bool] = lambda _: True,
    ) -> int:
        """Store the firing alerts of a delivery in one transaction; delete expired ones.

        Args:
            alerts: of the delivery.
            now: seconds since the epoch.
            is_known: whether a group exists; the number of alerts of others is limited.

        Returns:
            The number of alerts that were not stored because there are too many.

        Raises:
            StoreError: they could not be stored.
        """
        expired = now - FIRING_ALERT_RETENTION_SECONDS
        with self.transaction() as db:
            db.execute("DELETE FROM firing_alerts WHERE at < ?", (expired,))
            room = Room(db, is_known)
            admitted = [alert for alert in alerts if room.admits(alert)]
            db.executemany(
                "INSERT OR REPLACE INTO firing_alerts VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*alert.key, *alert.job, now, alert.alertmanager) for alert in admitted],
            )
        self.has_news = self.has_news or room.has_news
        return room.refused

    def firing_alerts(self) -> dict[TicketKey, list[FiringAlert]]:
        """Return the stored firing alerts by group, oldest delivery first."""
        found: dict[TicketKey, list[FiringAlert]] = {}
        self.has_news = False
        for repo, branch, name, workflow, job_name, address in self.rows(
            "SELECT repo, branch, name, workflow, job_name, alertmanager"
            " FROM firing_alerts ORDER BY at"
        ):
            key, job = TicketKey(repo, branch, name), JobName(workflow, job_name)
            found.setdefault(key, []).append(FiringAlert(key, job, address))
        return found

    def forget_firing(self, keys: Iterable[TicketKey], before: float) -> None:
        """Delete the firing alerts of groups that were delivered before a time."""
        statement = "DELETE FROM firing_alerts WHERE (repo, branch, name) = (?, ?, ?) AND at < ?"
        with self.transaction() as db:
            db.executemany(statement, [(*key, before) for key in keys])

    def tickets(self) -> dict[TicketKey, Ticket]:
        """Return every ticket, including closed ones."""
        rows = self.rows("SELECT text FROM tickets")
        with self.reported_errors():
            found = [_ticket(json.loads(text)) for (text,) in rows]
        return {ticket.key: ticket for ticket in found}

    def save_ticket(self, ticket: Ticket) -> None:
        """Store a ticket."""
        with self.transaction() as db:
            _put(db, "tickets", ticket.key, _ticket_document(ticket))

    def plans(self) -> dict[TicketKey, Plan]:
        """Return every unfinished plan."""
        rows = self.rows("SELECT text FROM plans")
        with self.reported_errors():
            found = [_plan(json.loads(text)) for (text,) in rows]
        return {plan.after.key: plan for plan in found}

    def save_plan(self, plan: Plan) -> Plan:
        """Store a plan with its progress; return it.

        If its next step creates an issue and was sent, that counts towards the hourly limit, and
        does no longer if it was refused.
        """
        with self.transaction() as db:
            _put(db, "plans", plan.after.key, _plan_document(plan))
            step = plan.steps[plan.done] if plan.done < len(plan.steps) else None
            if isinstance(step, Create):
                db.execute("DELETE FROM created WHERE nonce = ?", (step.nonce,))
                if plan.tried_at is not None:
                    db.execute("INSERT INTO created VALUES (?, ?)", (step.nonce, plan.tried_at))
        return plan

    def finish_plan(self, plan: Plan) -> None:
        """Store the ticket of a finished plan, and delete the plan."""
        with self.transaction() as db:
            _put(db, "tickets", plan.after.key, _ticket_document(plan.after))
            _delete_plan(db, plan)

    def drop_plan(self, plan: Plan) -> None:
        """Delete a plan of which no step was executed."""
        with self.transaction() as db:
            _delete_plan(db, plan)

    def created_in_last_hour(self, now: float) -> int:
        """Return the number of attempts to create an issue in the hour before `now`."""
        with self.transaction() as db:
            db.execute("DELETE FROM created WHERE at <= ?", (now - HOUR_SECONDS,))
            (number,) = db.execute("SELECT count(*) FROM created").fetchone()
        return int(number)


def _put(db: sqlite3.Connection, table: str, key: TicketKey, document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False)
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", (*key, text))  # noqa: S608 — every caller passes a literal


def _delete_plan(db: sqlite3.Connection, plan: Plan) -> None:
    db.execute("DELETE FROM plans WHERE (repo, branch, name) = (?, ?, ?)", plan.after.key)


_STEP_KINDS: Mapping[str, Callable[..., Step]] = {
    "create": Create,
    "comment": Comment,
    "change": Change,
}
_KIND_NAMES = {kind: name for name, kind in _STEP_KINDS.items()}


def _plan_document(plan: Plan) -> dict[str, Any]:
    steps = [{"kind": _KIND_NAMES[type(step)], **_fields(step)} for step in plan.steps]
    return {**_fields(plan), "steps": steps, "after": _ticket_document(plan.after)}


def _plan(document: dict[str, Any]) -> Plan:
    steps = tuple(_step(row) for row in document["steps"])
    return Plan(**{**document, "steps": steps, "after": _ticket(document["after"])})


def _step(row: dict[str, Any]) -> Step:
    kind = _STEP_KINDS[row.pop("kind")]
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()})


def _ticket_document(ticket: Ticket) -> dict[str, Any]:
    jobs = [[*name, *job] for name, job in ticket.reported_jobs.items()]
    return {**_fields(ticket), "state": ticket.state.value, "reported_jobs": jobs}


def _ticket(document: dict[str, Any]) -> Ticket:
    parsed = {
        "key": TicketKey(*document["key"]),
        "links": Links(*document["links"]),
        "state": State(document["state"]),
        "assignees": tuple(document.get("assignees", ())),
        "reported_jobs": {
            JobName(*row[:2]): ReportedJob(*row[2:]) for row in document["reported_jobs"]
        },
    }
    return Ticket(**{**document, **parsed})


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
