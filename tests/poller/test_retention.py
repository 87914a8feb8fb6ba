"""Old results are dropped from the file of a running engine, step by step."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from trunkwatch import process
from trunkwatch.app.storage import StorageKeeper
from trunkwatch.domain import retention as rules
from trunkwatch.domain.model import Commit, Observation
from trunkwatch.engine import retention
from trunkwatch.engine.facts import Fact
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.errors import StoreError
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.store import SqliteStore, bases

from tests.engine.retained import differences, published
from tests.poller.harness import Harness, Update, config_of
from tests.support.clock import Clock
from tests.support.rows import NOW, TRUNK, history, named, order, run, sha

DAY = 86_400.0
HISTORIES = {
    "green": "P P P P P P P P P P P P",
    "red": "P P F F F F F F F F F F",
    "flaky": "P P K P K P F K P K K K",
    "gone": "P P F F F . . . . . . .",
    "late": "P P P P P P F F F F F F",
}
LENGTH = 12
KEEP = 3
CONFIG = config_of(more="storage: {retention: {keep: 36d}}\njobs: {retire_after: 5}")


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "COLUMNS_PER_STEP", 4)
    monkeypatch.setattr(retention, "COMMITS_PER_STEP", 3)
    monkeypatch.setattr(retention, "TRIMMED_COLUMNS", 2)
    monkeypatch.setattr(rules, "SHOWN_COMMITS", 2)
    monkeypatch.setattr(bases, "PLACES_PER_STEP", 5)


def engine(store: SqliteStore, counters: Counters | None = None) -> TrunkEngine:
    """Return an engine a year later, when every commit is old."""
    clock = Clock(NOW + 365 * DAY)
    return TrunkEngine(CONFIG, store, counters or Counters(), clock, keeps_state=True)


def stored(path: Path | str = ":memory:") -> SqliteStore:
    """Return a store with the histories, evaluated once."""
    store = SqliteStore(str(path))
    harness = Harness(config=CONFIG, store=store)
    for name, text in HISTORIES.items():
        harness.ingest(*history(text, named(name)))
    engine(store)
    return store


def state_of(running: TrunkEngine) -> TrunkState:
    """Return the published state of the one trunk."""
    (state,) = running.snapshot.trunks
    return replace(published(state, LENGTH - KEEP), sources=())


def rows_in(store: SqliteStore) -> int:
    """Return the number of stored rows."""
    return sum(1 for _ in store.observations(TRUNK))


def drop_all(running: TrunkEngine) -> int:
    """Drop everything that is old; return the number of steps."""
    return sum(1 for _ in running.drop_results(36 * DAY, KEEP))


def copies(store: SqliteStore, path: Path, folder: Path) -> Iterator[Path]:
    """Drop everything that is old; yield the file as a kill after each transaction leaves it."""
    for number, _ in enumerate(engine(store).drop_results(36 * DAY, KEEP)):
        copy = folder / f"{number}.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
        yield copy


@pytest.mark.slow
def test_a_kill_after_any_step_changes_nothing(tmp_path: Path) -> None:
    """Whenever the process is killed, the next one publishes the same and drops the rest."""
    path = tmp_path / "results.db"
    store = stored(path)
    store.apply("ci", [outside(number, 300) for number in range(3)], NOW)
    wanted, left, before = state_of(engine(store)), [], rows_in(store)
    wanted = replace(wanted, ignored_runs={})
    for copy in copies(store, path, tmp_path):
        again = SqliteStore(str(copy))
        running = engine(again)
        assert not differences(wanted, replace(state_of(running), ignored_runs={}))
        drop_all(running)
        assert not differences(wanted, replace(state_of(running), ignored_runs={}))
        assert engine(again).snapshot.trunks[0].ignored_runs == {}
        left.append(rows_in(again))
        again.close()
    assert len(left) > 20
    assert set(left) == {rows_in(store)}
    assert rows_in(store) < before - 10
    store.close()


def test_without_the_evaluated_state_the_kept_results_give_the_same() -> None:
    """The facts of dropped results are no part of the evaluated state, which may be lost."""
    store = stored()
    wanted = state_of(engine(store))
    drop_all(engine(store))
    store._connection.execute("UPDATE evaluations SET body = x'00'")
    assert not differences(wanted, state_of(engine(store)))


def test_damaged_facts_are_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """If the facts of dropped results are damaged, the kept results count; the log names it."""
    store = stored()
    drop_all(engine(store))
    store._connection.execute("UPDATE bases SET body = x'00000000' || substr(body, 5)")
    (state,) = engine(store).snapshot.trunks
    assert [job.key.job_name for job in state.jobs if job.broken] == ["gone", "late", "red"]
    assert "old results are lost" in caplog.text
    caplog.clear()
    assert engine(store).snapshot.trunks[0].jobs == state.jobs
    assert not caplog.messages


def test_results_of_dropped_commits_are_refused() -> None:
    """A result of a commit before the horizon is not stored, and counted; one after it counts."""
    store, counters = stored(), Counters()
    running = engine(store, counters)
    drop_all(running)
    before, wanted = rows_in(store), state_of(running)

    def deliver(row: Observation) -> int:
        running.ingest_delivery("ci", Update(lambda _: [row]))
        running.evaluate_pending()
        return rows_in(store) - before

    assert deliver(run(LENGTH - KEEP - 1, "failure", job=named("green"))) == 0
    assert not differences(wanted, state_of(running))
    assert counters.totals().counts["trunkwatch_source_rows_dropped_total", "ci", "retention"] == 1
    assert deliver(run(LENGTH - KEEP, "failure", job=named("new"))) == 1


def test_results_that_wait_for_evaluation_are_not_dropped() -> None:
    """A delivery that is stored and not yet evaluated holds the horizon back."""
    store = stored()
    running = engine(store)
    late = run(4, "failure", job=named("late"), run_id=7, attempt=2)
    running.ingest_delivery("ci", Update(lambda _: [late]))
    drop_all(running)
    running.evaluate_pending()
    drop_all(running)
    other = stored()
    full = engine(other)
    full.ingest_delivery("ci", Update(lambda _: [late]))
    full.evaluate_pending()
    assert not differences(state_of(full), state_of(running))


def outside(number: int, days: float | None, name: str = "green") -> Observation:
    """Return a result of a commit outside the trunk that ended some days ago."""
    ended = None if days is None else NOW + (365 - days) * DAY
    return run(0, "failure", job=named(name), run_id=f"{number} {name}").changed(
        sha=f"{0xF00 + number:040x}", created_at=None, started_at=None, completed_at=ended,
    )  # fmt: skip


def shas_in(store: SqliteStore) -> set[str]:
    """Return the commits that have results."""
    return {row.sha for row in store.observations(TRUNK)}


def test_old_results_of_other_commits_are_dropped() -> None:
    """Of a commit outside the trunk, results are dropped together once all of them are old."""
    store = stored()
    rows = [outside(0, 37), outside(0, 50, "red"), outside(1, 35), outside(2, None)]
    rows += [outside(3, 37), outside(3, 35, "red")]
    left = [outside(0, 1), *rows[2:]]
    running = engine(store)
    running.ingest_delivery("ci", Update(lambda _: rows))
    running.evaluate_pending()
    wanted = replace(state_of(running), ignored_runs={"commit": len(left)})
    drop_all(running)
    assert {row.sha for row in rows} - shas_in(store) == {rows[0].sha}
    assert state_of(engine(store)).ignored_runs == {"commit": len(left) - 1}
    running.ingest_delivery("ci", Update(lambda _: left))
    running.evaluate_pending()
    assert not differences(wanted, state_of(running))
    assert not differences(wanted, state_of(engine(store)))
    store._connection.execute("UPDATE evaluations SET body = x'00'")
    assert not differences(wanted, state_of(engine(store)))


def test_results_that_may_still_count_are_not_dropped() -> None:
    """A commit that comes onto the trunk, or whose results wait for evaluation, keeps them."""
    store = stored()
    running = engine(store)
    old = [outside(number, 300) for number in range(3)]
    for rows in (old, [outside(number, 300, "red") for number in range(3)]):
        running.ingest_delivery("ci", Update(partial(_facts, rows)))
        drop_all(running)
        assert {row.sha for row in old} <= shas_in(store)
        running.evaluate_pending()
    steps = running.drop_results(36 * DAY, KEEP)
    while {row.sha for row in old} <= shas_in(store):
        next(steps)
    known = order(LENGTH)
    landed = replace(known, commits=(*known.commits, Commit(old[1].sha), Commit(old[2].sha)))
    running.ingest_delivery("ci", Update(lambda _: [landed]))
    assert list(steps)
    running.evaluate_pending()
    assert old[0].sha not in shas_in(store)
    assert {old[1].sha, old[2].sha} <= shas_in(store)
    (state,) = running.snapshot.trunks
    green = next(job for job in state.jobs if job.key.job_name == "green")
    assert green.consecutive_failures == 2


def _facts(rows: Sequence[Observation], _: object) -> Sequence[Fact]:
    return rows


def test_without_a_horizon_other_commits_keep_their_results() -> None:
    """Before results of the trunk are dropped, an older commit may still be found."""
    store = stored()
    running, old = engine(store), outside(0, 300)
    running.ingest_delivery("ci", Update(lambda _: [old]))
    running.evaluate_pending()
    list(running.drop_results(36 * DAY, LENGTH))
    assert old.sha in shas_in(store)


def test_a_handover_ends_it() -> None:
    """Once a successor reads the stored results, none is dropped by its predecessor."""
    running = engine(stored())
    steps = running.drop_results(36 * DAY, KEEP)
    next(steps)
    running.begin_handover()
    assert list(steps) == []


def test_a_step_is_bounded() -> None:
    """A step writes few rows, and evaluates few columns, whatever is stored."""
    store = stored()
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    counts = []
    for _ in engine(store).drop_results(36 * DAY, KEEP):
        counts.append(sum(text.startswith(("INSERT", "DELETE", "UPDATE")) for text in statements))
        statements.clear()
    assert max(counts[1:]) < 40


def test_the_keeper_drops_measures_and_stops(tmp_path: Path) -> None:
    """One round drops, counts the rows and notes the size; a stop ends the thread within a step."""
    store, counters = stored(tmp_path / "results.db"), Counters()
    before = rows_in(store)
    running = engine(store)
    config = CONFIG.model_copy()
    keeper = StorageKeeper(config, running, store, counters)
    keeper.run_round()
    keeper.measure()
    counts = counters.totals().counts
    assert counts["trunkwatch_store_rows",] == before  # The newest hundred commits are kept.
    assert counts["trunkwatch_store_bytes",] > 4096
    assert counts["trunkwatch_store_oldest_timestamp_seconds",] == NOW - LENGTH * 3600
    keeper.start()
    assert keeper.dead_threads() == []
    keeper.stop()
    assert keeper.dead_threads() == []
    assert "storage" not in {thread.name for thread in threading.enumerate()}


def test_rows_are_counted_only_where_some_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without retention a round reads nothing: a count would read the whole file every hour."""
    store, counters = stored(), Counters()
    keeper = StorageKeeper(config_of(), engine(store), store, counters)
    monkeypatch.setattr(store, "_connection", None)
    keeper.run_round()
    assert ("trunkwatch_store_rows",) not in counters.totals().counts


def test_the_keeper_goes_on_after_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the file, in a round or in a measure, is logged and ends no thread."""
    store, counters, tries = stored(), Counters(), threading.Semaphore(0)

    def fail(*_: object) -> None:
        tries.release()
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(store, "size", fail)
    monkeypatch.setattr(store, "count_rows", fail)
    monkeypatch.setattr(process, "RESTART_SECONDS", 0.01)
    keeper = StorageKeeper(CONFIG, engine(store), store, counters)
    keeper.start()
    for _ in range(4):
        assert tries.acquire(timeout=30)
    assert keeper.dead_threads() == []
    keeper.stop()
    assert "old results not dropped, next try in an hour" in caplog.messages
    assert "internal error, the thread goes on" in caplog.messages


def test_a_file_that_cannot_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed round the state stays, and the next round goes on."""
    store = stored()
    running = engine(store)
    wanted = state_of(running)

    def fail(*_: object) -> None:
        raise StoreError("results.db", "cannot be written (disk full)")

    with monkeypatch.context() as patch:
        patch.setattr(store, "put_base", fail)
        with pytest.raises(StoreError):
            drop_all(running)
    assert drop_all(running) > 10
    assert not differences(wanted, state_of(running))
    assert not differences(wanted, state_of(engine(store)))


def test_deleted_rows_free_their_pages(tmp_path: Path) -> None:
    """A file that was made for it gets smaller."""
    store = stored(tmp_path / "results.db")
    (mode,) = store._connection.execute("PRAGMA auto_vacuum").fetchone()
    assert mode == 2
    drop_all(engine(store))
    (unused,) = store._connection.execute("PRAGMA freelist_count").fetchone()
    assert unused == 0
    assert isinstance(store._connection, sqlite3.Connection)
    assert sha(0) not in {row.sha for row in store.observations(TRUNK, [named("green")])}
