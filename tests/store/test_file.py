"""What only the SQLite file can do wrong: versions, other people's files, other processes."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.engine.facts import Cursor
from trunkwatch.errors import StoreError
from trunkwatch.store import SqliteStore, opening, schema

from tests.support.rows import JOB, NOW, TRUNK, history, named, order, pending, run, sha

NOBODY = 65534
OTHER = Trunk("o/other", "main")
CONTENT_SUFFIXES = ("", "-wal", "-journal")
"""The files that hold content; `-shm` is a shared memory that any reader may make anew."""


def content(path: Path) -> dict[str, bytes]:
    """Return what is in the files; an empty one that a reader had to make holds nothing."""
    files = {suffix: path.with_name(path.name + suffix) for suffix in CONTENT_SUFFIXES}
    found = {suffix: file.read_bytes() for suffix, file in files.items() if file.exists()}
    return {suffix: text for suffix, text in found.items() if text}


def refusal(path: Path) -> str:
    """Return the refusal, after checking that nothing was touched and that it is one line."""
    before = content(path)
    with pytest.raises(StoreError) as caught:
        SqliteStore(str(path))
    assert content(path) == before
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.path == str(path)
    return text


# ---------------------------------------------------------------------- versions


def file_of_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for step in schema.MIGRATIONS[:version]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_every_released_version_opens(tmp_path: Path, version: int) -> None:
    """A file of any schema version up to ours is brought up to date and can be written."""
    path = tmp_path / "old.db"
    file_of_version(path, version)
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
        assert len(list(store.observations(TRUNK))) == 2
    assert version_of(path) == schema.VERSION


def test_results_of_the_second_version_are_told_again_with_annotations(tmp_path: Path) -> None:
    """What was stored before there were annotations has none, until the CI says some."""
    path = tmp_path / "old.db"
    file_of_version(path, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO revisions VALUES (1, ?)", (sha(0),))
        for statement in (
            "INSERT INTO trunks VALUES (1, 'o/r', 'main', 0)",
            "INSERT INTO jobs VALUES (1, 1, 'ci', '', 'build')",
            "INSERT INTO origins VALUES (1, 'push', 'main', 'o/r')",
            "INSERT INTO observations VALUES (1, 1, 100, 1, '', 1, 'failure', 1, 100,"
            " NULL, NULL, NULL, 'https://ci.example/100', NULL, 0)",
        ):
            connection.execute(statement)
        connection.commit()
    with closing(SqliteStore(str(path))) as store:
        assert list(store.observations(TRUNK)) == [run(0, "failure")]
        explained = run(0, "failure", annotations=("killed", "out of memory"))
        applied = store.apply("ci", [explained], NOW)
        assert applied.touched[TRUNK] == {JOB: {sha(0)}}
        assert list(store.observations(TRUNK)) == [explained]


def add_step(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, statements))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)


def test_migration_keeps_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened by a later version, a file has the new step and all of its old content."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", [*history("P F"), Cursor("7")], NOW)
        rows, stored = list(store.observations(TRUNK)), store.load()
    add_step(monkeypatch, "ALTER TABLE sources ADD COLUMN note TEXT", "CREATE TABLE more (x)")
    for _ in range(2):
        with closing(SqliteStore(str(path))) as store:
            assert list(store.observations(TRUNK)) == rows
            assert store.load() == stored
    assert version_of(path) == schema.VERSION


def test_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that fails takes its first statements back: the old program can still use the file."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
    with monkeypatch.context() as later:
        add_step(later, "CREATE TABLE more (x)", "ALTER TABLE no_such_table ADD COLUMN x")
        assert "no_such_table" in refusal(path)
    with closing(SqliteStore(str(path))) as store:
        assert len(list(store.observations(TRUNK))) == 2


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A file of a later version is left to the later version, byte for byte."""
    path = tmp_path / "newer.db"
    file_of_version(path, schema.VERSION)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    assert refusal(path) == (
        f"storage {path}: was written by a newer Trunkwatch (schema {schema.VERSION + 1}, this one"
        f" knows {schema.VERSION}); upgrade, or give another path; it was left untouched"
    )


def test_a_newer_file_that_was_killed_is_not_even_tidied_up(tmp_path: Path) -> None:
    """What a killed writer of a later version left beside the file stays beside it."""
    path = tmp_path / "newer.db"
    file_of_version(path, schema.VERSION)
    killed = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode = WAL')\n"
        f"c.execute('PRAGMA user_version = {schema.VERSION + 1}')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert set(content(path)) == {"", "-wal"}
    assert "newer Trunkwatch" in refusal(path)


# ---------------------------------------------------------------------- not ours


@pytest.mark.parametrize("text", ["x", "do not lose me\n", "do not lose me\n" * 500])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, text: str) -> None:
    """A text file given by mistake is not written over, however short it is."""
    path = tmp_path / "notes.txt"
    path.write_text(text)
    assert refusal(path) == (
        f"storage {path}: is not a SQLite database; give another path or move it away;"
        " it was left untouched"
    )
    assert path.read_text() == text


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_another_programs_database_is_refused(tmp_path: Path, journal: str) -> None:
    """A SQLite file that is not marked as ours gets no tables of ours."""
    path = tmp_path / "grafana.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE dashboard (id)")
        connection.commit()
    assert refusal(path) == (
        f"storage {path}: is a database of another program; give a path of its own;"
        " it was left untouched"
    )


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """A file of ours with its second half overwritten says so, and is left for a rescue."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert "malformed" in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(StoreError, match=r"is a folder; name a file in it$"):
        SqliteStore(str(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder that does not exist is not made: it may be a volume that is not mounted."""
    folder = tmp_path / "not-mounted"
    with pytest.raises(StoreError) as caught:
        SqliteStore(str(folder / "results.db"))
    wanted = f"storage {folder / 'results.db'}: its folder {folder} does not exist; create it"
    assert str(caught.value) == wanted
    assert not folder.exists()


def test_an_empty_path_is_refused() -> None:
    """An empty variable in a start script must not mean a store that forgets everything."""
    with pytest.raises(StoreError, match="the path is empty"):
        SqliteStore("")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that somebody without rights can reach; pytest's own are the owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may write what is read-only, so that root becomes nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_is_refused_at_the_start() -> None:
    """A file that cannot be written is no use to a refresh in five minutes either."""
    with open_folder() as folder:
        path = folder / "results.db"
        with closing(SqliteStore(str(path))) as store:
            store.apply("ci", history("P F"), NOW)
        path.chmod(0o444)
        with without_rights():
            assert "readonly" in refusal(path)


def test_a_folder_that_cannot_be_written_is_refused_at_the_start() -> None:
    """A new file needs a folder that takes it."""
    with open_folder() as folder:
        folder.chmod(0o555)
        with without_rights():
            assert "unable to open" in refusal(folder / "results.db")


# ---------------------------------------------------------------------- another process


def test_another_process_adds_results_and_both_go_on(tmp_path: Path) -> None:
    """`check` beside `serve` on one file: neither fails, and what the one wrote is news to the
    other, although its own source then only repeats it.
    """
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("ci", history("P"), NOW)
        news = [
            *history("P F", JOB),
            *history("P F", named("new job")),
            *history("F", trunk=OTHER),
            run(0, event="schedule"),
        ]
        check.apply("ci", news, NOW + 1)
        applied = serve.apply("ci", news, NOW + 2)
        assert applied.touched[TRUNK][named("new job")] == {sha(0), sha(1)}
        assert sha(1) in applied.touched[TRUNK][JOB]
        assert applied.orders == {TRUNK: order(2), OTHER: order(1, OTHER)}
        assert set(serve.observations(TRUNK)) == set(check.observations(TRUNK))
        assert not serve.apply("ci", news, NOW + 3).touched


def test_results_of_another_process_can_be_read_at_once(tmp_path: Path) -> None:
    """A job, a trunk's run or an event that another process has just added is no riddle."""
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("ci", history("P"), NOW)
        added = run(0, job=named("new job"), event="workflow_dispatch")
        check.apply("ci", [added], NOW + 1)
        assert added in set(serve.observations(TRUNK))


def test_news_of_another_process_survive_a_broken_refresh(tmp_path: Path) -> None:
    """What another process wrote is told by the next refresh that succeeds."""
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("ci", history("P"), NOW)
        check.apply("ci", history("P F"), NOW + 1)
        with pytest.raises(ZeroDivisionError):
            serve.apply("ci", (run(1 // 0) for _ in range(1)), NOW + 2)
        applied = serve.apply("ci", [], NOW + 3)
        assert applied.touched == {TRUNK: {JOB: {sha(0), sha(1)}}}
        assert applied.orders == {TRUNK: order(2)}


def test_a_force_push_seen_by_another_process_is_a_rewrite(tmp_path: Path) -> None:
    """Whoever reads it first, both processes say that the known tip is gone."""
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("git", [order(3)], NOW)
        assert check.apply("git", [order(2)], NOW).rewritten == {TRUNK}
        assert serve.apply("git", [order(2)], NOW).rewritten == {TRUNK}


def test_readers_do_not_wait_for_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a refresh others read what was before, and wait with their own for a bounded time."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.01)
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as first:
        first.apply("ci", history("P"), NOW)
    with closing(SqliteStore(path)) as first, closing(SqliteStore(path)) as second:
        seen: list[int] = []
        errors: list[str] = []

        def facts_that_look_around() -> Iterator[Cursor]:
            seen.append(len(list(second.observations(TRUNK))))
            try:
                second.apply("ci", [], NOW)
            except StoreError as error:
                errors.append(str(error))
            yield Cursor("1")

        first.apply("ci", facts_that_look_around(), NOW)
        assert seen == [1]
        assert errors == [f"storage {path}: cannot be written (database is locked)"]
        second.apply("ci", [], NOW)


# ---------------------------------------------------------------------- being killed

BUSY_WRITER = """
import sys
from trunkwatch.engine.facts import Cursor
from trunkwatch.store import SqliteStore
from tests.support.rows import NOW, named, pending, run

store = SqliteStore(sys.argv[1])
cursor = store.load().sources.get("ci")
number = int(cursor.cursor) if cursor else 0
while True:
    number += 1
    between = [run(place, job=named(f"filler {number}")) for place in range(200)]
    first, last = (run(0, job=named(name), run_id=number) for name in ("first", "last"))
    store.apply("ci", [first, Cursor(str(number)), *between, last], NOW)
    print(number, flush=True)
"""


@pytest.mark.parametrize("refreshes", [1, 2, 5, 11])
def test_kill_9_loses_no_refresh_and_leaves_no_half_one(tmp_path: Path, refreshes: int) -> None:
    """Killed in the middle of many refreshes, three times on one file: every refresh that was
    reported as done is there, and of none there is only a part.
    """
    path = tmp_path / "results.db"
    for _ in range(3):
        done = killed_after(refreshes, path)
        with closing(SqliteStore(str(path))) as store:
            first, last = (
                {row.run_id for row in store.observations(TRUNK, jobs=[named(name)])}
                for name in ("first", "last")
            )
            assert first == last
            assert set(range(1, done + 1)) <= first
            assert store.load().sources["ci"].cursor == str(len(first))
            fillers = sum(row.job.job_name.startswith("filler") for row in all_rows(store))
            assert fillers == 200 * len(first)


def all_rows(store: SqliteStore) -> list[Observation]:
    return list(store.observations(TRUNK))


def killed_after(refreshes: int, path: Path) -> int:
    """Kill a writer once it has reported some refreshes; return the last one it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY_WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        reported = [int(writer.stdout.readline()) for _ in range(refreshes)]
        writer.kill()
        reported += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -9
    return reported[-1]


def test_a_copy_of_a_file_in_use_opens(tmp_path: Path) -> None:
    """A backup taken together with what lies beside the file holds all that was reported."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", [*history("P F"), pending(1, attempt=2)], NOW)
        for suffix in content(path):
            shutil.copy(path.with_name(path.name + suffix), tmp_path / f"copy.db{suffix}")
    with closing(SqliteStore(str(tmp_path / "copy.db"))) as copy:
        assert len(list(copy.observations(TRUNK))) == 3
