"""The SQLite file: schema versions, foreign files, other processes and kills."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.engine.facts import Cursor
from trunkwatch.errors import StoreError
from trunkwatch.store import ServerLock, SqliteStore, opening, schema
from trunkwatch.tickets.store import TicketStore

from tests.support.rows import JOB, NOW, TRUNK, history, named, order, pending, run, sha

UNPRIVILEGED_UID = 65534
OTHER = Trunk("o/other", "main")
CONTENT_SUFFIXES = ("", "-wal", "-journal")
"""The files with content; `-shm` is shared memory that any reader may create again."""


def content(path: Path) -> dict[str, bytes]:
    """Return the files' content without empty files, which a reader may have to create."""
    files = {suffix: path.with_name(path.name + suffix) for suffix in CONTENT_SUFFIXES}
    found = {suffix: file.read_bytes() for suffix, file in files.items() if file.exists()}
    return {suffix: text for suffix, text in found.items() if text}


def refusal(path: Path) -> str:
    """Return the error, after checking that it is one line and the file is untouched."""
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
        connection.execute(f"PRAGMA application_id = {schema.RESULTS.application_id}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("version", range(1, schema.RESULTS.version + 1))
def test_every_released_version_opens(tmp_path: Path, version: int) -> None:
    """A file of any schema version up to the current one is migrated and can be written."""
    path = tmp_path / "old.db"
    file_of_version(path, version)
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
        assert len(list(store.observations(TRUNK))) == 2
    assert version_of(path) == schema.RESULTS.version


def test_results_of_the_second_version_get_annotations_later(tmp_path: Path) -> None:
    """A row stored before annotations existed has none until it is reported again with some."""
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


def test_rows_of_the_fourth_version_are_stored_anew(tmp_path: Path) -> None:
    """Every row of a file whose rows were clustered by job is there, and new ones can be added."""
    path = tmp_path / "old.db"
    file_of_version(path, 4)
    trunks = (TRUNK, Trunk("o/r", "release"))
    rows = {
        run(place, job=named(f"{job}")).changed(trunk=trunk)
        for trunk in trunks
        for place in range(9)
        for job in range(3)
    }
    with closing(sqlite3.connect(path)) as connection:
        put = connection.execute
        put("INSERT INTO origins VALUES (1, 'push', 'main', 'o/r')")
        for key, trunk in enumerate(trunks):
            put("INSERT INTO trunks VALUES (?, ?, ?, 0)", (key, *trunk))
            for job in range(3):
                name = named(f"{job}")
                values = (key * 3 + job, key, name.workflow_name, name.job_name)
                put("INSERT INTO jobs VALUES (?, ?, ?, '', ?)", values)
        for place in range(9):
            put("INSERT INTO revisions VALUES (?, ?)", (place + 1, sha(place)))
            for job in range(6):
                number = 100 + place
                put(
                    "INSERT INTO observations VALUES (?, ?, ?, 1, '', 1, 'success', 1, ?,"
                    " NULL, NULL, NULL, ?, NULL, 0, NULL, 0)",
                    (job, place + 1, number, number, f"https://ci.example/{number}"),
                )
        connection.commit()
    with closing(SqliteStore(str(path))) as store:
        added = run(9, job=named("0"))
        assert not store.apply("ci", rows, NOW).touched
        store.apply("ci", [added], NOW)
        assert {row for trunk in trunks for row in store.observations(trunk)} == rows | {added}
        wanted = {row for row in rows if row.job == named("1") and row.trunk == TRUNK}
        assert set(store.observations(TRUNK, jobs=[named("1")])) == wanted


def add_step(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    migrations = (*schema.RESULTS.migrations, statements)
    monkeypatch.setattr(schema, "RESULTS", replace(schema.RESULTS, migrations=migrations))


def test_migration_keeps_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that a later version opens has the new tables and all of its old content."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", [*history("P F"), Cursor("7")], NOW)
        rows, stored = list(store.observations(TRUNK)), store.load()
    add_step(monkeypatch, "ALTER TABLE sources ADD COLUMN note TEXT", "CREATE TABLE more (x)")
    for _ in range(2):
        with closing(SqliteStore(str(path))) as store:
            assert list(store.observations(TRUNK)) == rows
            assert store.load() == stored
    assert version_of(path) == schema.RESULTS.version


def test_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails is rolled back, so that the old version can still use the file."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
    with monkeypatch.context() as later:
        add_step(later, "CREATE TABLE more (x)", "ALTER TABLE no_such_table ADD COLUMN x")
        assert "no_such_table" in refusal(path)
    with closing(SqliteStore(str(path))) as store:
        assert len(list(store.observations(TRUNK))) == 2


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A file of a later version is refused and stays unchanged, byte for byte."""
    path = tmp_path / "newer.db"
    file_of_version(path, schema.RESULTS.version)
    with closing(sqlite3.connect(path)) as connection:
        current = schema.RESULTS.version
        connection.execute(f"PRAGMA user_version = {current + 1}")
    assert refusal(path) == (
        f"storage {path}: was written by a newer Trunkwatch (schema {current + 1}, this one"
        f" knows {current}); upgrade, or give another path; it was left untouched"
    )


def test_a_killed_newer_writers_journal_stays(tmp_path: Path) -> None:
    """A refusal leaves the `-wal` file of a killed writer of a later version in place."""
    path = tmp_path / "newer.db"
    file_of_version(path, schema.RESULTS.version)
    killed = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode = WAL')\n"
        f"c.execute('PRAGMA user_version = {schema.RESULTS.version + 1}')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert set(content(path)) == {"", "-wal"}
    assert "newer Trunkwatch" in refusal(path)


# ---------------------------------------------------------------------- foreign files


@pytest.mark.parametrize("text", ["x", "do not lose me\n", "do not lose me\n" * 500])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, text: str) -> None:
    """A text file given by mistake is not overwritten, however short it is."""
    path = tmp_path / "notes.txt"
    path.write_text(text)
    assert refusal(path) == (
        f"storage {path}: is not a SQLite database; give another path or move it away;"
        " it was left untouched"
    )
    assert path.read_text() == text


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_another_programs_database_is_refused(tmp_path: Path, journal: str) -> None:
    """A SQLite file with another application id is refused and gets no tables."""
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
    """A damaged results file is refused with the reason and stays unchanged for a rescue."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert "malformed" in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """The path of a folder is refused."""
    with pytest.raises(StoreError, match=r"is a folder; name a file in it$"):
        SqliteStore(str(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A missing folder is not created: it may be a volume that is not mounted."""
    folder = tmp_path / "not-mounted"
    with pytest.raises(StoreError) as caught:
        SqliteStore(str(folder / "results.db"))
    wanted = f"storage {folder / 'results.db'}: its folder {folder} does not exist; create it"
    assert str(caught.value) == wanted
    assert not folder.exists()


def test_a_link_to_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The folder is that to which the link leads."""
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "not-mounted" / "results.db")
    with pytest.raises(StoreError, match=f"{link}: its folder {tmp_path}/not-mounted does not ex"):
        SqliteStore(str(link))


@pytest.mark.parametrize("use", [SqliteStore, ServerLock, TicketStore])
def test_a_path_that_cannot_be_looked_at_is_refused(use: Callable[[str], object]) -> None:
    """A closed folder, a name that is too long, and NUL are errors of the storage."""
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(0o700)
        with without_rights():
            for path, reason in (
                (f"{closed}/results.db", "cannot be used (Permission denied)"),
                (f"{folder}/{'x' * 300}", "cannot be used (File name too long)"),
                (f"{folder}/{'x' * 300}/results.db", "cannot be used (File name too long)"),
                (f"{folder}/a\0b", "cannot be a path (embedded null byte)"),
            ):
                with pytest.raises(StoreError) as caught:
                    use(path)
                assert str(caught.value).startswith(f"storage {path}: {reason}")


def test_an_empty_path_is_refused() -> None:
    """An empty path is refused: SQLite would delete the file at the end."""
    with pytest.raises(StoreError, match="the path is empty"):
        SqliteStore("")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that any user may enter; pytest's own are private to the owner."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@contextmanager
def without_rights() -> Iterator[None]:
    """Drop root's rights for a moment, since root may write read-only files."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(UNPRIVILEGED_UID)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_is_refused_at_the_start() -> None:
    """A read-only file is refused at the start, not at the first refresh."""
    with open_folder() as folder:
        path = folder / "results.db"
        with closing(SqliteStore(str(path))) as store:
            store.apply("ci", history("P F"), NOW)
        path.chmod(0o444)
        with without_rights():
            assert "readonly" in refusal(path)


def test_a_folder_that_cannot_be_written_is_refused_at_the_start() -> None:
    """A new file in a folder without write permission is refused at the start."""
    with open_folder() as folder:
        folder.chmod(0o555)
        with without_rights():
            assert "unable to open" in refusal(folder / "results.db")


# ---------------------------------------------------------------------- another process


def test_another_process_adds_results_and_both_go_on(tmp_path: Path) -> None:
    """With `check` beside `serve` on one file neither fails, and each reports the other's writes as
    changes, although its own source then only repeats them.
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
    """A row with a job and an event that another process has just added can be read."""
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("ci", history("P"), NOW)
        added = run(0, job=named("new job"), event="workflow_dispatch")
        check.apply("ci", [added], NOW + 1)
        assert added in set(serve.observations(TRUNK))


def test_news_of_another_process_survive_a_broken_refresh(tmp_path: Path) -> None:
    """The changes of another process are reported by the next refresh that succeeds."""
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
    """Both processes report a force push as a rewrite, whichever reads it first."""
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as serve, closing(SqliteStore(path)) as check:
        serve.apply("git", [order(3)], NOW)
        assert check.apply("git", [order(2)], NOW).rewritten == {TRUNK}
        assert serve.apply("git", [order(2)], NOW).rewritten == {TRUNK}


def test_readers_do_not_wait_for_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a refresh others read the state before it, and wait a bounded time to write."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.01)
    path = str(tmp_path / "results.db")
    with closing(SqliteStore(path)) as first:
        first.apply("ci", history("P"), NOW)
    with closing(SqliteStore(path)) as first, closing(SqliteStore(path)) as second:
        seen: list[int] = []
        errors: list[str] = []

        def facts_with_another_reader() -> Iterator[Cursor]:
            seen.append(len(list(second.observations(TRUNK))))
            try:
                second.apply("ci", [], NOW)
            except StoreError as error:
                errors.append(str(error))
            yield Cursor("1")

        first.apply("ci", facts_with_another_reader(), NOW)
        assert seen == [1]
        assert errors == [f"storage {path}: cannot be written (database is locked)"]
        second.apply("ci", [], NOW)


# ---------------------------------------------------------------------- kills

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


@pytest.mark.slow
@pytest.mark.parametrize("refreshes", [1, 2, 5, 11])
def test_kill_9_loses_no_refresh_and_leaves_no_half_one(tmp_path: Path, refreshes: int) -> None:
    """A file whose writer is killed three times in many refreshes has every refresh that was
    reported as done, and no part of an unfinished one.
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
    """Kill a writer after it has reported some refreshes; return the last one it reported."""
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
    """A copy of a file in use together with its `-wal` file contains every reported refresh."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", [*history("P F"), pending(1, attempt=2)], NOW)
        for suffix in content(path):
            shutil.copy(path.with_name(path.name + suffix), tmp_path / f"copy.db{suffix}")
    with closing(SqliteStore(str(tmp_path / "copy.db"))) as copy:
        assert len(list(copy.observations(TRUNK))) == 3
