"""The notes that a source keeps in a store, and what is stored between two refreshes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.engine.facts import SourceState, StateEntry
from trunkwatch.errors import SourceError
from trunkwatch.store import SqliteStore
from trunkwatch.store.schema import APPLICATION_ID, MIGRATIONS, VERSION

from tests.support.rows import NOW, history

NOTES = [StateEntry("a", "1"), StateEntry("b", "2")]


def notes_of(store: SqliteStore, source: str = "ci") -> dict[str, str]:
    return dict(store.load().sources[source].notes)


def test_notes_are_kept_by_source_and_key(tmp_path: Path) -> None:
    """Each source has its own, and they are there after a restart."""
    store = SqliteStore(str(tmp_path / "t.db"))
    store.apply("ci", NOTES, NOW)
    store.apply("other", [StateEntry("a", "9")], NOW)
    store.close()
    again = SqliteStore(str(tmp_path / "t.db"))
    assert notes_of(again) == {"a": "1", "b": "2"}
    assert notes_of(again, "other") == {"a": "9"}
    again.close()


def test_a_note_is_replaced_and_forgotten() -> None:
    """The last word counts; a note without a text is gone."""
    store = SqliteStore()
    store.apply("ci", NOTES, NOW)
    applied = store.apply(
        "ci", [StateEntry("a", "3"), StateEntry("a", "4"), StateEntry("b", None)], NOW
    )
    assert applied.memory.for_source == SourceState(None, {"a": "4"})
    store.close()


def test_notes_that_were_given_out_never_change() -> None:
    """A source may read its notes for minutes while others write."""
    store = SqliteStore()
    given_out = store.apply("ci", NOTES, NOW).memory.notes
    store.apply("ci", [StateEntry("a", None), StateEntry("c", "5")], NOW)
    assert given_out == {"a": "1", "b": "2"}
    store.close()


def test_a_refresh_that_breaks_off_changes_no_note() -> None:
    """All of it or nothing."""
    store = SqliteStore()
    store.apply("ci", NOTES, NOW)

    def facts() -> Iterator[StateEntry]:
        yield StateEntry("a", "9")
        raise SourceError("cut off")

    with pytest.raises(SourceError):
        store.apply("ci", facts(), NOW)
    assert notes_of(store) == {"a": "1", "b": "2"}
    store.close()


def test_what_comes_between_two_refreshes_is_no_success() -> None:
    """A delivery is stored, and the last success stays where it was, or none."""
    store = SqliteStore()
    assert store.apply("ci", [*history("P"), *NOTES], None).memory.last_success is None
    assert store.apply("ci", [], NOW).memory.last_success == NOW
    assert store.apply("ci", history("P F"), None).memory.last_success == NOW
    store.close()


def test_another_process_sees_the_notes(tmp_path: Path) -> None:
    """A `check` beside `serve` goes on where that one is."""
    one, two = SqliteStore(str(tmp_path / "t.db")), SqliteStore(str(tmp_path / "t.db"))
    one.apply("ci", NOTES, NOW)
    assert two.apply("ci", [StateEntry("c", "3")], NOW).memory.notes == {
        "a": "1",
        "b": "2",
        "c": "3",
    }
    one.close()
    two.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from("12")), max_size=9))
def test_notes_are_a_dictionary(words: list[tuple[str, str | None]]) -> None:
    """Whatever is written and forgotten, what is left is what a dictionary would hold."""
    store, expected = SqliteStore(), dict[str, str]()
    for key, text in words:
        store.apply("ci", [StateEntry(key, text)], NOW)
        expected.pop(key, None)
        expected |= {key: text} if text is not None else {}
    assert (notes_of(store) if words else {}) == expected
    store.close()


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """What was stored before there were notes stays."""
    path = tmp_path / "t.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("INSERT INTO sources VALUES ('ci', '7', 5.0)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert VERSION > 1
    store = SqliteStore(str(path))
    memory = store.load().sources["ci"]
    assert (memory.cursor, memory.last_success, dict(memory.notes)) == ("7", 5.0, {})
    store.close()
