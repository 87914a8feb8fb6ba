"""Webhook deliveries between refreshes, and the reports of refreshes."""

from dataclasses import replace
from functools import partial

from trunkwatch.engine.facts import SourceState, StateEntry
from trunkwatch.errors import BadAnswerError
from trunkwatch.sources import RefreshReport

from tests.poller.stage import Script, Stage
from tests.support.rows import NOW, TRUNK, history, order

TROUBLE = BadAnswerError("GET x: HTTP 502")


def broken(stage: Stage) -> list[bool]:
    return [job.broken for trunk in stage.watcher.snapshot.trunks for job in trunk.jobs]


def test_what_is_told_is_stored_at_once_and_judged_when_asked() -> None:
    """The sender is answered when its word is safe; many words are judged together."""
    stage = Stage()
    stage.take(*history("P F F"))
    stage.deliver(lambda _memory: history("P F F F"))
    assert len(list(stage.store.observations(TRUNK))) == 4
    assert broken(stage) == [False]
    stage.watcher.evaluate_pending()
    assert broken(stage) == [True]


def test_what_is_told_before_the_first_refresh_is_not_lost() -> None:
    """It is judged with the first refresh that brings the order of the commits."""
    stage = Stage()
    stage.deliver(lambda _memory: history("P F F F")[1:])
    stage.watcher.evaluate_pending()
    stage.take(order(4))
    assert broken(stage) == [True]


def test_the_teller_sees_its_newest_notes() -> None:
    """Nothing is stored between its look at them and its word."""
    stage, seen = Stage(), list[SourceState]()
    stage.take(StateEntry("run", "1"))

    def tell(text: str, state: SourceState) -> list[StateEntry]:
        seen.append(state)
        return [StateEntry("run", text)]

    for text in ("2", "3"):
        stage.deliver(partial(tell, text))
    assert [state.entries["run"] for state in seen] == ["1", "2"]
    assert stage.watcher.state("ci").entries == {"run": "3"}


def test_telling_is_no_success() -> None:
    """Deliveries do not make the data fresh: others may be missing."""
    stage = Stage()
    stage.take(*history("P"))
    stage.clock.now = NOW + 600
    stage.deliver(lambda _memory: history("P F"))
    stage.watcher.evaluate_pending()
    assert stage.watcher.snapshot.sources[0].last_success == NOW
    assert stage.watcher.snapshot.trunks[0].data_at == NOW


def test_trouble_takes_what_could_be_read_and_is_no_success() -> None:
    """The rest of the refresh counts; the source is not up, and the error is counted."""
    stage = Stage()
    stage.take(*history("P F F"))
    stage.clock.now = NOW + 60
    assert stage.refresh(Script([RefreshReport(error=TROUBLE), *history("P F F F")]))
    (source,) = stage.watcher.snapshot.sources
    assert broken(stage) == [True]
    assert (source.up, source.last_success, source.problem) == (False, NOW, TROUBLE.of("ci"))
    counts = stage.counters.totals().counts
    assert counts["trunkwatch_source_errors_total", "ci", "answer"] == 1


def test_the_age_of_each_trunk_is_what_its_source_says() -> None:
    """One trunk may be up to date while another waits for the quota."""
    stage = Stage()
    stage.take(RefreshReport(read_until={TRUNK: NOW - 300}), *history("P"))
    assert stage.watcher.snapshot.trunks[0].data_at == NOW - 300
    stage.take(RefreshReport(), *history("P F"))
    assert stage.watcher.snapshot.trunks[0].data_at == NOW


def test_what_a_source_says_of_its_work_is_shown() -> None:
    """Quota and unread commits are in the snapshot; when to ask again is for the poller."""
    stage = Stage()
    stage.take(RefreshReport(unread=7, quota_remaining=4000, retry_after=0.0), *history("P"))
    (source,) = stage.watcher.snapshot.sources
    assert (source.unread, source.quota_remaining) == (7, 4000)
    assert stage.watcher.retry_after("ci") == 0.0


def test_a_long_reading_is_gone_on_with_until_it_is_done() -> None:
    """One-shot commands refresh until the source's reading is complete, and no longer."""
    stage = Stage()
    more = [RefreshReport(retry_after=0.0), *history("P")]
    source = Script(more, more, [RefreshReport(retry_after=600.0)], [])
    assert stage.poller.refresh_until_done(stage.section("ci"), source)
    assert len(source.answers) == 1
    failing = Script(more, TROUBLE, [])
    assert not stage.poller.refresh_until_done(stage.section("ci"), failing)
    assert len(failing.answers) == 1


def test_people_look_at_the_commits_of_open_outages_first() -> None:
    """The focus has the commits of open outages and the first failures without annotations."""
    stage = Stage()
    stage.take(*history("P F F F"))
    interest = stage.watcher.focus(TRUNK)
    (job,) = stage.watcher.snapshot.trunks[0].jobs
    shas = [commit.sha for commit in stage.watcher.snapshot.trunks[0].order.commits]
    assert interest.commits == set(shas[1:])
    assert job.blame
    assert interest.urls == ({job.blame.url} if not job.blame.failed_step else set())
    assert interest.unexplained == {job.blame.run}
    stage.take(replace(job.blame.run, annotations=("killed",)))
    assert not stage.watcher.focus(TRUNK).unexplained
    assert not stage.watcher.focus(TRUNK._replace(branch="other")).commits
