"""The entries of a source's state in a store, and facts stored between two refreshes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.engine.facts import SourceState, StateEntry
from trunkwatch.errors import SourceError
from trunkwatch.store import SqliteStore
from trunkwatch.store.schema import RESULTS

from tests.support.rows import NOW, history

ENTRIES = [StateEntry("a", "1"), StateEntry("b", "2")]


def entries_of(store: SqliteStore, source: str = "ci") -> dict[str, str]:
    return dict(store.load().sources[source].entries)


def test_entries_are_stored_by_source_and_key(tmp_path: Path) -> None:
    """Each source has entries of its own, which survive a restart."""
    store = SqliteStore(str(tmp_path / "t.db"))
    store.apply("ci", ENTRIES, NOW)
    store.apply("other", [StateEntry("a", "9")], NOW)
    store.close()
    again = SqliteStore(str(tmp_path / "t.db"))
    assert entries_of(again) == {"a": "1", "b": "2"}
    assert entries_of(again, "other") == {"a": "9"}
    again.close()


def test_an_entry_is_replaced_and_deleted() -> None:
    """The last text of an entry replaces earlier ones, and None deletes the entry."""
    store = SqliteStore()
    store.apply("ci", ENTRIES, NOW)
    applied = store.apply(
        "ci", [StateEntry("a", "3"), StateEntry("a", "4"), StateEntry("b", None)], NOW
    )
    assert applied.source.state == SourceState(None, {"a": "4"})
    store.close()


def test_an_entry_that_is_stored_already_is_not_written() -> None:
    """Neither an equal text nor the deletion of no entry is a write, also after another text."""
    store = SqliteStore()
    store.apply("ci", ENTRIES, NOW)
    written: list[str] = []
    store._connection.set_trace_callback(written.append)
    same = [StateEntry("a", "3"), *ENTRIES, StateEntry("c", "5"), StateEntry("c", None)]
    assert dict(store.apply("ci", same, NOW).source.entries) == {"a": "1", "b": "2"}
    assert not [statement for statement in written if "notes" in statement]
    store.apply("ci", [StateEntry("a", "3")], NOW)
    assert len([statement for statement in written if "notes" in statement]) == 1
    store.close()


def test_returned_entries_never_change() -> None:
    """A mapping that was returned does not change: a source may read it for minutes."""
    store = SqliteStore()
    given_out = store.apply("ci", ENTRIES, NOW).source.entries
    store.apply("ci", [StateEntry("a", None), StateEntry("c", "5")], NOW)
    assert given_out == {"a": "1", "b": "2"}
    store.close()


def test_a_refresh_that_raises_changes_no_entry() -> None:
    """A refresh that raises changes no entry."""
    store = SqliteStore()
    store.apply("ci", ENTRIES, NOW)

    def facts() -> Iterator[StateEntry]:
        yield StateEntry("a", "9")
        raise SourceError("cut off")

    with pytest.raises(SourceError):
        store.apply("ci", facts(), NOW)
    assert entries_of(store) == {"a": "1", "b": "2"}
    store.close()


def test_a_delivery_between_refreshes_is_no_success() -> None:
    """A delivery is stored without changing the last success."""
    store = SqliteStore()
    assert store.apply("ci", [*history("P"), *ENTRIES], None).source.last_success is None
    assert store.apply("ci", [], NOW).source.last_success == NOW
    assert store.apply("ci", history("P F"), None).source.last_success == NOW
    store.close()


def test_another_process_reads_the_entries(tmp_path: Path) -> None:
    """A `check` beside `serve` reads the entries that `serve` wrote."""
    one, two = SqliteStore(str(tmp_path / "t.db")), SqliteStore(str(tmp_path / "t.db"))
    one.apply("ci", ENTRIES, NOW)
    assert two.apply("ci", [StateEntry("c", "3")], NOW).source.entries == {
        "a": "1",
        "b": "2",
        "c": "3",
    }
    one.close()
    two.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from("12")), max_size=9))
def test_entries_are_a_dictionary(words: list[tuple[str, str | None]]) -> None:
    """Any sequence of writes and deletions leaves the entries that a dictionary would contain."""
    store, expected = SqliteStore(), dict[str, str]()
    for key, text in words:
        store.apply("ci", [StateEntry(key, text)], NOW)
        expected.pop(key, None)
        expected |= {key: text} if text is not None else {}
    assert (entries_of(store) if words else {}) == expected
    store.close()


def test_a_file_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    """A file of the first schema version keeps its sources."""
    path = tmp_path / "t.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in RESULTS.migrations[0]:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {RESULTS.application_id}")
    connection.execute("INSERT INTO sources VALUES ('ci', '7', 5.0)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert RESULTS.version > 1
    store = SqliteStore(str(path))
    source = store.load().sources["ci"]
    assert (source.cursor, source.last_success, dict(source.entries)) == ("7", 5.0, {})
    store.close()
