"""Results that may be older than those of another exporter are not exported before a refresh."""

import pytest
from trunkwatch.app.standstill import STANDSTILL_SECONDS, StandstillGuard
from trunkwatch.engine.facts import SourceState
from trunkwatch.errors import SourceError
from trunkwatch.sources import Refresh
from trunkwatch.store import SqliteStore

from tests.poller.harness import TWO, Answer, Harness, ScriptedSource, config_of
from tests.support.clock import Clock
from tests.support.rows import history


def started(store: SqliteStore, clock: Clock, sources: str = TWO) -> Harness:
    return Harness(config_of(sources), store, clock=clock)


def test_a_restart_exports_nothing_before_every_source_has_answered() -> None:
    """Another exporter may have seen an outage end; the snapshot has the stored results."""
    store, clock = SqliteStore(), Clock()
    before = started(store, clock)
    before.ingest(*history("P F F F"))
    before.ingest(source="other")
    after = started(store, clock)
    assert not after.engine.snapshot.complete
    assert [job.consecutive_failures for job in after.trunk().jobs] == [3]
    after.ingest(*history("P F F F P"))
    assert not after.engine.snapshot.complete
    after.engine.refresh_failed("other", "file", "gone", 0.1)
    assert after.engine.snapshot.complete
    store.close()


def test_after_a_standstill_every_source_is_read_first() -> None:
    """The check finds it before the next scrape is answered, once; shorter ones are nothing."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P F F F"))
    harness.ingest(source="other")
    guard = StandstillGuard(harness.engine.await_answers, harness.clock)
    for seconds, is_shown in ((STANDSTILL_SECONDS, True), (STANDSTILL_SECONDS + 0.1, False)):
        harness.clock.now += seconds
        guard.check()
        assert harness.engine.snapshot.complete == is_shown
    harness.ingest(*history("P F F F P"))
    guard.check()
    assert not harness.engine.snapshot.complete
    harness.engine.refresh_failed("other", "file", "gone", 0.1)
    assert harness.engine.snapshot.complete
    assert harness.names() == ["build"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_refresh_that_began_before_the_standstill_is_no_answer(fails: bool) -> None:
    """Some of its trunks may have been read before; the next refresh reads them again."""
    harness = Harness()
    harness.ingest(*history("P F F F"))
    answers: list[Answer] = [SourceError("cut off") if fails else history("P F F F"), []]

    class Sleeper(ScriptedSource):
        def refresh(self, state: SourceState) -> Refresh:
            if len(self.answers) == 2:
                harness.engine.await_answers()
            return super().refresh(state)

    source = Sleeper(*answers)
    assert harness.refresh(source) != fails
    assert not harness.engine.snapshot.complete
    assert harness.refresh(source)
    assert harness.engine.snapshot.complete
