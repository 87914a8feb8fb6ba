"""Webhook deliveries between refreshes, and the reports of refreshes."""

from collections.abc import Iterator
from functools import partial
from threading import Thread

from trunkwatch.engine.facts import Fact, SourceState, StateEntry
from trunkwatch.errors import BadAnswerError
from trunkwatch.sources import Refresh, RefreshReport, TrunkReport

from tests.poller.harness import TWO, Harness, ScriptedSource, config_of
from tests.support.rows import NOW, TRUNK, history, named, order

TROUBLE = BadAnswerError("GET x: HTTP 502")


def broken(harness: Harness) -> list[bool]:
    return [job.broken for trunk in harness.engine.snapshot.trunks for job in trunk.jobs]


OTHER_JOB = named("other")


def test_what_is_told_is_stored_at_once_and_judged_when_asked() -> None:
    """The sender is answered when its word is safe; many words are judged together."""
    harness = Harness()
    harness.ingest(*history("P F F"))
    harness.deliver(lambda _memory: history("P F F F"))
    assert len(list(harness.store.observations(TRUNK))) == 4
    assert broken(harness) == [False]
    harness.engine.evaluate_pending()
    assert broken(harness) == [True]


def test_what_is_told_before_the_first_refresh_is_not_lost() -> None:
    """It is judged with the first refresh that brings the order of the commits."""
    harness = Harness()
    harness.deliver(lambda _memory: history("P F F F")[1:])
    harness.engine.evaluate_pending()
    harness.ingest(order(4))
    assert broken(harness) == [True]


def test_the_teller_sees_its_newest_notes() -> None:
    """Nothing is stored between its look at them and its word."""
    harness, seen = Harness(), list[SourceState]()
    harness.ingest(StateEntry("run", "1"))

    def tell(text: str, state: SourceState) -> list[StateEntry]:
        seen.append(state)
        return [StateEntry("run", text)]

    for text in ("2", "3"):
        harness.deliver(partial(tell, text))
    assert [state.entries["run"] for state in seen] == ["1", "2"]
    assert harness.engine.state("ci").entries == {"run": "3"}


def test_telling_is_no_success() -> None:
    """Deliveries do not make the data fresh: others may be missing."""
    harness = Harness()
    harness.ingest(*history("P"))
    harness.clock.now = NOW + 600
    harness.deliver(lambda _memory: history("P F"))
    harness.engine.evaluate_pending()
    assert harness.engine.snapshot.sources[0].last_success == NOW
    assert harness.engine.snapshot.trunks[0].data_at == NOW


def test_trouble_takes_what_could_be_read_and_is_no_success() -> None:
    """The rest of the refresh counts; the source is not up, and the error is counted."""
    harness = Harness()
    harness.ingest(*history("P F F"))
    harness.clock.now = NOW + 60
    assert harness.refresh(ScriptedSource([RefreshReport(error=TROUBLE), *history("P F F F")]))
    (source,) = harness.engine.snapshot.sources
    assert broken(harness) == [True]
    assert (source.up, source.last_success, source.problem) == (False, NOW, TROUBLE.of("ci"))
    counts = harness.counters.totals().counts
    assert counts["trunkwatch_source_errors_total", "ci", "answer"] == 1


def test_the_age_of_each_trunk_is_what_its_source_says() -> None:
    """One trunk may be up to date while another waits for the quota."""
    harness = Harness()
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(NOW - 300)}), *history("P"))
    assert harness.engine.snapshot.trunks[0].data_at == NOW - 300
    harness.ingest(RefreshReport(), *history("P F"))
    assert harness.engine.snapshot.trunks[0].data_at == NOW


def test_what_a_source_says_of_its_work_is_shown() -> None:
    """Quota and unread commits are in the snapshot; when to ask again is for the poller."""
    harness = Harness()
    harness.ingest(RefreshReport(unread=7, quota_remaining=4000, retry_after=0.0), *history("P"))
    (source,) = harness.engine.snapshot.sources
    assert (source.unread, source.quota_remaining) == (7, 4000)
    assert harness.engine.retry_after("ci") == 0.0


def test_a_long_reading_is_gone_on_with_until_it_is_done() -> None:
    """One-shot commands refresh until the source's reading is complete, and no longer."""
    harness = Harness()
    more = [RefreshReport(retry_after=0.0), *history("P")]
    source = ScriptedSource(more, more, [RefreshReport(retry_after=600.0)], [])
    assert harness.poller.refresh_until_done(harness.section("ci"), source)
    assert len(source.answers) == 1
    failing = ScriptedSource(more, TROUBLE, [])
    assert not harness.poller.refresh_until_done(harness.section("ci"), failing)
    assert len(failing.answers) == 1


def test_people_look_at_the_commits_of_open_outages_first() -> None:
    """The focus has the commits of open outages and the first failures without annotations."""
    harness = Harness()
    harness.ingest(*history("P F F F"))
    interest = harness.engine.focus(TRUNK)
    (job,) = harness.engine.snapshot.trunks[0].jobs
    shas = [commit.sha for commit in harness.engine.snapshot.trunks[0].order.commits]
    assert interest.commits == set(shas[1:])
    assert job.blame
    assert interest.without_step == ({job.blame.run} if not job.blame.failed_step else set())
    assert interest.unexplained == {job.blame.run}
    harness.ingest(job.blame.run.changed(annotations=("killed",)))
    assert not harness.engine.focus(TRUNK).unexplained
    assert not harness.engine.focus(TRUNK._replace(branch="other")).commits


def test_deliveries_do_not_wait_for_a_source_that_is_read() -> None:
    """The facts of a refresh may come from a slow disk; they are read before the lock is taken."""
    harness = Harness(config_of(TWO))

    def facts() -> Iterator[Fact]:
        delivery = Thread(target=harness.deliver, args=(lambda _state: history("P F"),))
        delivery.start()
        delivery.join(10)
        assert not delivery.is_alive()
        yield from history("P", OTHER_JOB)[1:]

    harness.engine.ingest_refresh("other", Refresh(facts()), lambda: 0.0)
    assert set(harness.names()) == {"build", "other"}
