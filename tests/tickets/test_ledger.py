"""The storage file: what it keeps, whom it keeps out, and what it leaves alone."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.errors import StoreError
from trunkwatch.store import STORES
from trunkwatch.tickets.facts import JobName, Key, Links
from trunkwatch.tickets.ledger import HOUR, PERMIT_SECONDS, Ledger, advanced
from trunkwatch.tickets.model import Change, Comment, Create, Listed, Plan, State, Ticket
from trunkwatch.tickets.payload import Permit

KEY = Key("o/r", "main", "inductor")
JOB = JobName("pull", "a / b")
TICKET = Ticket(
    KEY, "o/r", None, "0f", State.OPEN, "title é", "body", {JOB: Listed("b" * 40, 1.5, True)},
    "team", "P2", Links("r", None, "s"), 1.0,
)  # fmt: skip
STEPS = (Create("0f", "t", "b", ("l",), ()), Comment("1f", "c"), Change({"state": "open"}))
PLAN = Plan("open", STEPS, TICKET)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return where the file is to be."""
    return str(tmp_path / "tickets.db")


def test_what_was_remembered_is_there_after_a_restart(path: str) -> None:
    """Permits, tickets and plans come back as they were."""
    permit = Permit(KEY, JOB, "http://a")
    ticket = replace(TICKET, number=7, state=State.DISMISSED, closed_at=3.0, gone=True, before=2)
    with closing(Ledger(path)) as ledger:
        ledger.permit([permit], 1.0)
        ledger.record(ticket)
        ledger.write(replace(PLAN, done=1, tried_at=2.5))
    with closing(Ledger(path)) as ledger:
        assert ledger.permits() == {KEY: [permit]}
        assert ledger.tickets() == {KEY: ticket}
        assert ledger.plans() == {KEY: replace(PLAN, done=1, tried_at=2.5)}


def test_a_finished_plan_leaves_its_ticket(path: str) -> None:
    """Both happen at once, or neither."""
    with closing(Ledger(path)) as ledger:
        plan = ledger.write(advanced(PLAN, 12))
        ledger.finish(plan)
        assert ledger.plans() == {}
        assert ledger.tickets()[KEY].number == 12


def test_a_dropped_plan_leaves_nothing(path: str) -> None:
    """What was there before stays."""
    with closing(Ledger(path)) as ledger:
        ledger.record(TICKET)
        ledger.write(replace(PLAN, after=replace(TICKET, number=9)))
        ledger.drop(PLAN)
        assert ledger.plans() == {}
        assert ledger.tickets() == {KEY: TICKET}


def test_attempts_to_open_count_for_an_hour(path: str) -> None:
    """The same attempt made twice is one; just an hour later it is none."""
    with closing(Ledger(path)) as ledger:
        for _ in range(2):
            ledger.write(replace(PLAN, tried_at=100.0))
        assert ledger.created_since(99.0 + HOUR) == 1
        assert ledger.created_since(100.0 + HOUR) == 0


def test_permits_are_forgotten_in_the_end(path: str) -> None:
    """Nothing came of them in a week, while Alertmanager repeats what goes on daily."""
    with closing(Ledger(path)) as ledger:
        ledger.permit([Permit(KEY, JOB, None)], 0.0)
        ledger.permit([], PERMIT_SECONDS)
        assert ledger.permits()
        ledger.permit([], PERMIT_SECONDS + 1)
        assert not ledger.permits()


def test_two_processes_cannot_use_one_file(path: str) -> None:
    """Each would open the issue that the other is about to open."""
    with closing(Ledger(path)), pytest.raises(StoreError, match="another process uses it"):
        Ledger(path)
    Ledger(path).close()


def test_the_exporters_file_is_left_alone(tmp_path: Path) -> None:
    """Results and tickets are kept in two files."""
    path = str(tmp_path / "trunkwatch.db")
    STORES["sqlite"](path).close()
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match="no file of tickets"):
        Ledger(path)
    assert Path(path).read_bytes() == before


def test_a_newer_file_is_left_alone(path: str) -> None:
    """An older program would not know what it holds."""
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreError, match="newer Trunkwatch"):
        Ledger(path)


def test_what_is_no_database_is_left_alone(path: str) -> None:
    """A wrong path must not cost anybody a file."""
    Path(path).write_text("my diary, with some length to it")
    with pytest.raises(StoreError, match="not a SQLite database"):
        Ledger(path)
    assert Path(path).read_text() == "my diary, with some length to it"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says what to do."""
    with pytest.raises(StoreError, match="does not exist; create it"):
        Ledger(str(tmp_path / "none" / "tickets.db"))
