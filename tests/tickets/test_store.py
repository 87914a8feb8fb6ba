"""The storage file: its content, its lock, and files of other formats."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.errors import StoreError
from trunkwatch.status.trunk_status import JobName
from trunkwatch.store import STORES
from trunkwatch.store.file_guard import UNKNOWN_HOLDER
from trunkwatch.tickets.alerts import FiringAlert
from trunkwatch.tickets.model import (
    Change,
    Comment,
    Create,
    Links,
    Plan,
    ReportedJob,
    State,
    Ticket,
    TicketKey,
)
from trunkwatch.tickets.reconcile.executor import advanced
from trunkwatch.tickets.store import (
    FIRING_ALERT_RETENTION_SECONDS,
    HOUR_SECONDS,
    SCHEMA,
    TicketStore,
)

KEY = TicketKey("o/r", "main", "inductor")
JOB = JobName("pull", "a / b")
TICKET = Ticket(
    KEY, "o/r", None, "0f", State.OPEN, "title é", "body", {JOB: ReportedJob("b" * 40, 1.5, True)},
    "team", "P2", Links("r", None, "s"), 1.0,
)  # fmt: skip
STEPS = (Create("0f", "t", "b", ("l",), ()), Comment("1f", "c"), Change({"state": "open"}))
PLAN = Plan("open", STEPS, TICKET)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a file that does not exist yet."""
    return str(tmp_path / "tickets.db")


def test_stored_values_survive_a_restart(path: str) -> None:
    """Firing alerts, tickets and plans are read back unchanged."""
    alert = FiringAlert(KEY, JOB, "http://a")
    ticket = replace(
        TICKET, number=7, state=State.DISMISSED, closed_at=3.0, gone=True, previous_number=2
    )
    with closing(TicketStore(path)) as store:
        store.add_firing([alert], 1.0)
        store.save_ticket(ticket)
        store.save_plan(replace(PLAN, done=1, tried_at=2.5))
    with closing(TicketStore(path)) as store:
        assert store.firing_alerts() == {KEY: [alert]}
        assert store.tickets() == {KEY: ticket}
        assert store.plans() == {KEY: replace(PLAN, done=1, tried_at=2.5)}


def test_a_finished_plan_leaves_its_ticket(path: str) -> None:
    """A finished plan is replaced by its ticket in one transaction."""
    with closing(TicketStore(path)) as store:
        plan = store.save_plan(advanced(PLAN, 12))
        store.finish_plan(plan)
        assert store.plans() == {}
        assert store.tickets()[KEY].number == 12


def test_a_dropped_plan_leaves_nothing(path: str) -> None:
    """The ticket stored before the plan stays."""
    with closing(TicketStore(path)) as store:
        store.save_ticket(TICKET)
        store.save_plan(replace(PLAN, after=replace(TICKET, number=9)))
        store.drop_plan(PLAN)
        assert store.plans() == {}
        assert store.tickets() == {KEY: TICKET}


def test_attempts_to_open_count_for_an_hour(path: str) -> None:
    """A repeated attempt counts once, and exactly an hour later it no longer counts."""
    with closing(TicketStore(path)) as store:
        for _ in range(2):
            store.save_plan(replace(PLAN, tried_at=100.0))
        assert store.created_in_last_hour(99.0 + HOUR_SECONDS) == 1
        assert store.created_in_last_hour(100.0 + HOUR_SECONDS) == 0


def test_firing_alerts_expire(path: str) -> None:
    """A firing alert is deleted a week after its last delivery."""
    with closing(TicketStore(path)) as store:
        store.add_firing([FiringAlert(KEY, JOB, None)], 0.0)
        store.add_firing([], FIRING_ALERT_RETENTION_SECONDS)
        assert store.firing_alerts()
        store.add_firing([], FIRING_ALERT_RETENTION_SECONDS + 1)
        assert not store.firing_alerts()


def test_two_processes_cannot_use_one_file(path: str) -> None:
    """A second process fails to open the file until the first one closes it, and names that."""
    named = rf"another process uses it \(trunkwatch tickets, process {os.getpid()} on .* since 2"
    with closing(TicketStore(path)):
        for _ in range(2):
            with pytest.raises(StoreError, match=named):
                TicketStore(path)
        Path(f"{path}-lock").write_bytes(b"\x1b[31m\xff")
        with pytest.raises(StoreError, match=UNKNOWN_HOLDER):
            TicketStore(path)
    TicketStore(path).close()


def test_a_program_that_knows_no_lock_file_is_kept_out(path: str) -> None:
    """The file itself is locked too."""
    with closing(TicketStore(path)):
        Path(f"{path}-lock").unlink()
        with pytest.raises(StoreError, match="another process uses it"):
            TicketStore(path)


def test_the_exporters_file_is_left_alone(tmp_path: Path) -> None:
    """The store of the exporter is refused and left unchanged."""
    path = str(tmp_path / "trunkwatch.db")
    STORES["sqlite"](path).close()
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match="not a file of trunkwatch tickets"):
        TicketStore(path)
    assert Path(path).read_bytes() == before


def test_a_newer_file_is_left_alone(path: str) -> None:
    """A file of a newer version is refused."""
    TicketStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    with pytest.raises(StoreError, match="newer Trunkwatch"):
        TicketStore(path)


def test_a_file_that_is_no_database_is_left_alone(path: str) -> None:
    """A file at a wrong path is not overwritten."""
    Path(path).write_text("my diary, with some length to it")
    with pytest.raises(StoreError, match="not a SQLite database"):
        TicketStore(path)
    assert Path(path).read_text() == "my diary, with some length to it"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names the folder and the fix."""
    with pytest.raises(StoreError, match="does not exist; create it"):
        TicketStore(str(tmp_path / "none" / "tickets.db"))
