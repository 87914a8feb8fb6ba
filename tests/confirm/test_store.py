"""The storage file of confirm: its content, its lock, and files of other formats."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.confirm.model import Asked, Kind, Question, State, Target
from trunkwatch.confirm.store import KEPT_SECONDS, SCHEMA, ConfirmStore
from trunkwatch.domain.model import JobKey
from trunkwatch.errors import StoreError
from trunkwatch.store import STORES

QUESTION = Question(Kind.WHICH, JobKey("o/r", "main", "ci", "tést / a"), "b" * 40, "a" * 40)
TARGET = Target(
    "o/r", "main", "a" * 40, 7, 1, 8, "tést", "ci", ".github/workflows/ci.yml", False, 4.5
)
ASKED = Asked(QUESTION, "g", TARGET, State.ASKED, 10.0, 4.5, sent_at=9.0)


def set_version(path: str) -> None:
    """Make a file of a newer version."""
    ConfirmStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a file that does not exist yet."""
    return str(tmp_path / "confirm.db")


@pytest.mark.parametrize("state", State)
def test_questions_survive_a_restart(path: str, state: State) -> None:
    """They are read back unchanged, with and without a run, reason and answer."""
    other = QUESTION._replace(sha="c" * 40)
    kept = (
        replace(ASKED, state=state, reason="r", answer="P"),
        Asked(other, "g", None, state, 1.5),
    )
    with closing(ConfirmStore(path)) as store:
        store.save(*kept)
    with closing(ConfirmStore(path)) as store:
        assert sorted(store.questions(), key=lambda each: -each.at) == list(kept)


def test_a_question_is_replaced_forgotten_and_dropped_after_sixty_days(path: str) -> None:
    """Sixty days are longer than GitHub repeats a run."""
    newer = replace(ASKED, question=QUESTION._replace(sha="c" * 40), at=10.0 + KEPT_SECONDS)
    with closing(ConfirmStore(path)) as store:
        store.save(ASKED)
        store.save(replace(ASKED, state=State.ANSWERED))
        assert [each.state for each in store.questions()] == [State.ANSWERED]
        store.save(newer)
        assert len(store.questions()) == 2
        store.save(replace(newer, at=newer.at + 1))
        assert len(store.questions()) == 1
        store.forget(newer.question, QUESTION)
        assert store.questions() == []


def test_two_processes_cannot_use_one_file(path: str) -> None:
    """A second one fails until the first closes the file, and names that."""
    named = rf"another process uses it \(trunkwatch confirm, process {os.getpid()} on .* since 2"
    with closing(ConfirmStore(path)), pytest.raises(StoreError, match=named):
        ConfirmStore(path)
    ConfirmStore(path).close()


@pytest.mark.parametrize(
    "text", ["{}", "[", "null", '{"question": []}', '{"question": 1, "target": null}']
)
def test_a_damaged_question_stops_everything(path: str, text: str) -> None:
    """Nothing is asked by a file of which a part cannot be read."""
    ConfirmStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO questions VALUES ('q', 1.0, ?)", (text,))
        db.commit()
    with closing(ConfirmStore(path)) as store, pytest.raises(StoreError, match="cannot be used"):
        store.questions()


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda path: STORES["sqlite"](path).close(), "not a file of trunkwatch confirm"),
        (lambda path: Path(path).write_text("a diary, with some length"), "not a SQLite database"),
        (set_version, "newer Trunkwatch"),
    ],
)
def test_another_file_is_left_alone(path: str, prepare: object, error: str) -> None:
    """The exporter's file, any other file, and that of a newer version are not changed."""
    assert callable(prepare)
    prepare(path)
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match=error):
        ConfirmStore(path)
    assert Path(path).read_bytes() == before
