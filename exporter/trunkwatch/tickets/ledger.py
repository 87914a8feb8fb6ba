"""What the tickets command must not forget: permits, tickets, and plans written before they begin.

One process at a time: two that work from one file would each open the issue that the other is about
to open. SQLite's exclusive mode keeps the file locked until the process is gone, however it ends.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from trunkwatch.errors import StoreError
from trunkwatch.store.migration import Schema
from trunkwatch.store.opening import open_file
from trunkwatch.tickets.codec import plan_of, plan_text, ticket_of, ticket_text
from trunkwatch.tickets.facts import JobName, Key
from trunkwatch.tickets.model import Create, Plan, Ticket
from trunkwatch.tickets.payload import Permit

SCHEMA = Schema(
    application_id=0x54575449,  # "TWTI"
    migrations=(
        (
            "CREATE TABLE permits (repo TEXT, branch TEXT, name TEXT, workflow TEXT, job_name TEXT,"
            " at REAL NOT NULL, alertmanager TEXT,"
            " PRIMARY KEY (repo, branch, name, workflow, job_name)) WITHOUT ROWID",
            "CREATE TABLE tickets (repo TEXT, branch TEXT, name TEXT, text TEXT NOT NULL,"
            " PRIMARY KEY (repo, branch, name)) WITHOUT ROWID",
            "CREATE TABLE plans (repo TEXT, branch TEXT, name TEXT, text TEXT NOT NULL,"
            " PRIMARY KEY (repo, branch, name)) WITHOUT ROWID",
            "CREATE TABLE created (nonce TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
        ),
    ),
    foreign_file="is no file of tickets; give one of its own",
)
"""The schema of the file that stores tickets."""

PERMIT_SECONDS = 7 * 86_400.0
"""Seconds after which a delivery that nothing came of is forgotten. Alertmanager repeats what goes
on firing far more often: its own limit, the retention of what it has said, is five days."""

HOUR = 3600.0


class Ledger:
    """The storage file of the tickets command; any thread may use it."""

    def __init__(self, path: str) -> None:
        """Open the file and lock it.

        Args:
            path: of the file; `:memory:` for none.

        Raises:
            StoreError: it cannot be used, is of another kind, or another process has it.
        """
        self._lock = threading.Lock()
        self._db = open_file(path, SCHEMA, exclusive=True)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    # ------------------------------------------------------------------ permits

    def permit(self, permits: Iterable[Permit], now: float) -> None:
        """Remember, all or nothing, what was delivered.

        Raises:
            StoreError: it could not be stored.
        """
        rows = [(*permit.key, *permit.job, now, permit.alertmanager) for permit in permits]
        try:
            with self._transaction() as db:
                db.executemany("INSERT OR REPLACE INTO permits VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                db.execute("DELETE FROM permits WHERE at < ?", (now - PERMIT_SECONDS,))
        except sqlite3.Error as error:
            raise StoreError("of tickets", str(error)) from None

    def permits(self) -> dict[Key, list[Permit]]:
        """Return what was delivered and has not served yet."""
        found: dict[Key, list[Permit]] = {}
        for repo, branch, name, workflow, job_name, address in self._rows(
            "SELECT repo, branch, name, workflow, job_name, alertmanager FROM permits ORDER BY at"
        ):
            key = Key(repo, branch, name)
            found.setdefault(key, []).append(Permit(key, JobName(workflow, job_name), address))
        return found

    def forget(self, key: Key, before: float) -> None:
        """Forget what was delivered for a key before a moment: nothing of it was broken then."""
        statement = "DELETE FROM permits WHERE (repo, branch, name) = (?, ?, ?) AND at < ?"
        with self._transaction() as db:
            db.execute(statement, (*key, before))

    # ------------------------------------------------------------------ tickets and plans

    def tickets(self) -> dict[Key, Ticket]:
        """Return every ticket, the closed ones too."""
        found = (ticket_of(text) for (text,) in self._rows("SELECT text FROM tickets"))
        return {ticket.key: ticket for ticket in found}

    def record(self, ticket: Ticket) -> None:
        """Remember a ticket as it is now."""
        with self._transaction() as db:
            _put(db, "tickets", ticket.key, ticket_text(ticket))

    def plans(self) -> dict[Key, Plan]:
        """Return every plan that was begun and not finished."""
        found = (plan_of(text) for (text,) in self._rows("SELECT text FROM plans"))
        return {plan.after.key: plan for plan in found}

    def write(self, plan: Plan) -> Plan:
        """Remember how far a plan is; return it."""
        with self._transaction() as db:
            _put(db, "plans", plan.after.key, plan_text(plan))
            step = plan.steps[plan.done] if plan.done < len(plan.steps) else None
            if isinstance(step, Create) and plan.tried_at is not None:
                row = (step.nonce, plan.tried_at)
                db.execute("INSERT OR IGNORE INTO created VALUES (?, ?)", row)
        return plan

    def finish(self, plan: Plan) -> None:
        """Remember the ticket that a plan has led to, and nothing of the plan."""
        with self._transaction() as db:
            _put(db, "tickets", plan.after.key, ticket_text(plan.after))
            _drop(db, plan)

    def drop(self, plan: Plan) -> None:
        """Forget a plan of which nothing was done."""
        with self._transaction() as db:
            _drop(db, plan)

    def created_since(self, now: float) -> int:
        """Return how many issues were opened, or tried to be, in the hour before a moment."""
        with self._transaction() as db:
            db.execute("DELETE FROM created WHERE at <= ?", (now - HOUR,))
            (number,) = db.execute("SELECT count(*) FROM created").fetchone()
        return int(number)


def _put(db: sqlite3.Connection, table: str, key: Key, text: str) -> None:
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", (*key, text))  # noqa: S608 — ours


def _drop(db: sqlite3.Connection, plan: Plan) -> None:
    db.execute("DELETE FROM plans WHERE (repo, branch, name) = (?, ?, ?)", plan.after.key)


def advanced(plan: Plan, number: int | None = None) -> Plan:
    """Return a plan of which one more step is done, and which knows the issue's number."""
    after = plan.after if number is None else replace(plan.after, number=number)
    return replace(plan, done=plan.done + 1, tried_at=None, after=after)
