"""A restart reads the stored state, and the rows where that is missing or damaged."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.config import Config
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.store import SqliteStore

from tests.poller.harness import TWO, Harness, Update, config_of
from tests.support.clock import Clock
from tests.support.counting_store import CountingStore
from tests.support.rows import TRUNK, history, named, order, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file with results that `serve` has evaluated."""
    stored = tmp_path / "results.db"
    harness = Harness(store=SqliteStore(str(stored)), keeps_state=True)
    known = replace(order(7), commits=order(7).commits[:6])
    harness.ingest(known, *history("P P P F F F")[1:])
    harness.store.close()
    return stored


def start(path: Path, config: Config | None = None) -> tuple[Snapshot, int]:
    """Return the snapshot of a new engine, and the number of rows that it read."""
    store = CountingStore(str(path))
    engine = TrunkEngine(config or config_of(), store, Counters(), Clock(), keeps_state=True)
    store.close()
    return engine.snapshot, store.rows_read


def evaluated_anew(path: Path, config: Config | None = None) -> Snapshot:
    """Return the snapshot of an engine that has no stored state."""
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM evaluated_trunks")
        connection.execute("DELETE FROM evaluations")
    connection.close()
    return start(path, config)[0]


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def test_a_restart_reads_no_row(path: Path) -> None:
    """The state of the last evaluation is shown at once."""
    snapshot, rows = start(path)
    assert rows == 0
    assert snapshot.trunks[0].jobs[0].consecutive_failures == 3
    assert snapshot == evaluated_anew(path)


def test_rows_of_a_process_that_died_are_evaluated(path: Path) -> None:
    """A delivery that was acknowledged and not evaluated is evaluated at the start."""
    harness = Harness(store=SqliteStore(str(path)), keeps_state=True)
    harness.deliver(lambda _state: [run(5, attempt=2)])
    harness.store.close()
    snapshot, rows = start(path)
    assert 0 < rows <= 4
    assert [verdict.value for verdict in snapshot.trunks[0].jobs[0].verdicts][-1] == "FLAKY"
    assert start(path) == (snapshot, 0)
    assert snapshot == evaluated_anew(path)


def test_commits_of_another_process_are_evaluated(path: Path) -> None:
    """A check beside serve stores no state, and the next start evaluates what it stored."""
    check = Harness(store=SqliteStore(str(path)))
    check.ingest(order(7), run(6))
    check.store.close()
    snapshot, rows = start(path)
    assert 0 < rows <= 3
    assert not snapshot.trunks[0].jobs[0].broken
    assert snapshot == evaluated_anew(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evaluations SET body = x'00000000' || substr(body, 5) WHERE kind = 'job'",
        "UPDATE evaluations SET body = substr(body, 1, 4) || x'00' || substr(body, 6)",
        "DELETE FROM evaluations WHERE kind = 'columns'",
        "UPDATE evaluated_trunks SET checksum = checksum + 1",
        "UPDATE evaluated_trunks SET digest = 'x'",
        "UPDATE evaluated_trunks SET policy = 'x'",
        "DELETE FROM evaluated_trunks",
    ],
)
def test_a_state_that_is_damaged_or_missing_costs_time(path: Path, statement: str) -> None:
    """Whatever happened to it, the rows give the same answer, and the next start is fast."""
    good, _ = start(path)
    change(path, statement)
    snapshot, rows = start(path)
    assert (snapshot, rows > 0) == (good, True)
    assert start(path) == (good, 0)


@pytest.mark.parametrize(
    ("more", "reads"),
    [
        ("groups: [{name: g, team: t, priority: P2, failures_to_open: 4, match: {}}]", True),
        ("jobs: {ignore: ['x']}", True),
        ("known_broken: [{match: {}, reason: 'flaky host'}]", False),
    ],
)
def test_another_policy_is_evaluated_anew(path: Path, more: str, reads: bool) -> None:
    """A state of other thresholds or names is void; exemptions are no part of it."""
    config = config_of(more=more)
    snapshot, rows = start(path, config)
    assert (rows > 0) is reads
    assert snapshot == evaluated_anew(path, config)


def test_a_replaced_engine_stores_no_state(path: Path) -> None:
    """After a reload the old engine still takes deliveries; its policy is not the stored one."""
    old = Harness(store=SqliteStore(str(path)), keeps_state=True)
    config = config_of(more="groups: [{name: g, team: t, priority: P2, match: {}}]")
    new = TrunkEngine(config, old.store, Counters(), old.clock, keeps_state=True)
    old.deliver(lambda _state: [run(5, attempt=2)])
    old.engine.evaluate_pending()
    assert new.snapshot.trunks[0].jobs[0].group.name == "g"
    old.store.close()
    snapshot, _ = start(path, config)
    assert snapshot.trunks[0].jobs[0].group.name == "g"
    assert snapshot == evaluated_anew(path, config)


def test_nothing_stored_is_unseen_after_a_reload() -> None:
    """Whatever is stored before, while and after a new engine reads the stored rows counts."""
    old = Harness(keeps_state=True)
    old.ingest(*history("P F . . . . ."))
    old.deliver(lambda _state: [run(2, conclusion="failure")])
    old.engine.begin_handover()
    old.deliver(lambda _state: [run(3, conclusion="failure")])
    new = TrunkEngine(old.config, old.store, Counters(), old.clock, keeps_state=True)
    old.deliver(lambda _state: [run(4, conclusion="failure")])
    old.ingest(*history("P . . . . . . F"))
    old.engine.ingest_part("ci", [run(6, conclusion="failure")])
    old.engine.hand_over(new)
    old.deliver(lambda _state: [run(5, conclusion="failure")])
    old.ingest(run(0, conclusion="failure"))
    new.evaluate_pending()
    (job,) = new.snapshot.trunks[0].jobs
    assert (job.consecutive_failures, len(job.verdicts)) == (7, 8)
    after = TrunkEngine(old.config, old.store, Counters(), old.clock, keeps_state=True)
    assert after.snapshot == new.snapshot


def test_deliveries_of_a_source_that_is_gone_are_dropped() -> None:
    """A reload that removes a source loses no other one's deliveries."""
    old = Harness(config_of(TWO), keeps_state=True)
    old.ingest(*history("P F"))
    old.engine.begin_handover()
    new = TrunkEngine(config_of(), old.store, Counters(), old.clock, keeps_state=True)
    old.deliver(lambda _state: [run(1, conclusion="failure", attempt=2)])
    old.engine.ingest_delivery("other", Update(lambda _state: [run(1, job=named("lint"))]))
    old.engine.hand_over(new)
    old.engine.ingest_delivery("other", Update(lambda _state: [run(0, job=named("lint"))]))
    new.evaluate_pending()
    assert [source.name for source in new.snapshot.sources] == ["ci"]
    assert "build" in {job.key.job_name for job in new.snapshot.trunks[0].jobs}


def test_a_state_that_is_written_while_it_is_read_is_whole(path: Path) -> None:
    """A command reads the state as of one moment, whatever serve writes meanwhile."""
    serve = Harness(store=SqliteStore(str(path)), keeps_state=True)
    check = SqliteStore(str(path))
    writes = iter(range(2, 9))

    def trace(statement: str) -> None:
        """Let serve write between two statements of the reader."""
        if statement.startswith("SELECT kind") and (attempt := next(writes, None)) is not None:
            serve.ingest(run(5, attempt=attempt, conclusion="failure"))

    check._connection.set_trace_callback(trace)
    for _ in range(7):
        assert check.evaluation(TRUNK) is not None
    assert next(writes, None) is None
    check.close()
    serve.store.close()


# ---------------------------------------------------------------------- alerts

PAIR = 'groups: [{name: g, match: {job_name: ".*"}, failure_threshold: 2}]'


def ended(snapshot: Snapshot) -> list[str]:
    """Return how alerts ended."""
    return [str(alert.end.reason) for alert in snapshot.ended if alert.end is not None]


def test_an_alert_outlives_a_restart_under_another_configuration(path: Path) -> None:
    """It alerts under its new labels, though its group has too few broken jobs by now."""
    snapshot, _ = start(path, config_of(more=PAIR))
    assert [job.alerting for job in snapshot.trunks[0].jobs] == [True]
    assert ended(snapshot) == ["moved"]
    assert ended(start(path, config_of(more=PAIR))[0]) == ["moved"]


def test_a_repository_that_left_the_configuration_ends_as_unwatched(path: Path) -> None:
    """Its alert has an end after a restart too; a source that may still feed it ends nothing."""
    renamed = config_of("{name: new, type: recorded, path: a}")
    snapshot, _ = start(path, renamed)
    assert (snapshot.trunks, ended(snapshot)) == ((), [])
    elsewhere = config_of("{name: gh, type: github, repos: [o/else], branches: [main]}")
    for _ in range(2):
        snapshot, _ = start(path, elsewhere)
        assert (snapshot.trunks, ended(snapshot)) == ((), ["unwatched"])


def test_a_damaged_alert_is_forgotten(path: Path) -> None:
    """The others are read, and the process starts."""
    change(path, "UPDATE alerts SET body = x'00'")
    snapshot, _ = start(path, config_of(more=PAIR))
    assert [job.alerting for job in snapshot.trunks[0].jobs] == [False]
    assert ended(snapshot) == []
