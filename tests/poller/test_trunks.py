"""Each trunk of a source is read, or not, on its own; and what a source cannot read."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact, StateEntry, TrunkRemoved
from trunkwatch.engine.snapshot import TrunkState, readiness_problems
from trunkwatch.errors import BadAnswerError, NotFoundError, SourceError
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.source_registry import READ_UNTIL_KEY
from trunkwatch.report.document import document_of_trunks
from trunkwatch.sources import Limitation, RefreshReport, TrunkReport
from trunkwatch.status.trunk_status import parse_trunk_status
from trunkwatch.store import SqliteStore

from tests.poller.harness import ONE, TWO, Harness, ScriptedSource, config_of
from tests.support.rows import HOUR, NOW, TRUNK, commit, history, order, run

GONE = Trunk("o/gone", "main")
EMPTY = Trunk("o/empty", "main")
NOT_FOUND = NotFoundError("GET /repos/o/gone: HTTP 404 Not Found")
CONFLICT = BadAnswerError("GET /repos/o/empty/commits: HTTP 409 Git Repository is empty.")
CHECKS = Limitation("checks", "annotations: the token has no permission Checks")
GITHUB = "{name: hub, type: github, repos: [o/gone]}"


def report(**errors: SourceError) -> RefreshReport:
    """Return a report: TRUNK is read, and others (by the name of their repository) are not."""
    unread: Mapping[Trunk, TrunkReport] = {
        Trunk(f"o/{name}", "main"): TrunkReport(None, error) for name, error in errors.items()
    }
    return RefreshReport(trunks={TRUNK: TrunkReport(NOW), **unread})


def state(harness: Harness, trunk: Trunk) -> TrunkState:
    (found,) = (each for each in harness.engine.snapshot.trunks if each.trunk == trunk)
    return found


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the messages since the last call, with the repository or the limitation."""
    found = [
        (record.getMessage(), getattr(record, "repo", "") or getattr(record, "limitation", ""))
        for record in caplog.records
    ]
    caplog.clear()
    return found


def is_reliable(harness: Harness, trunk: Trunk) -> bool:
    """Return whether tickets rely on a trunk, by the JSON that they read."""
    snapshot = harness.engine.snapshot
    shown = [each for each in snapshot.trunks if each.trunk == trunk]
    return parse_trunk_status(document_of_trunks(snapshot, shown, {}, NOW)).reliable


# ---------------------------------------------------------------------- one trunk of several


def test_an_unreadable_trunk_is_down_and_the_others_are_up() -> None:
    """The source is up, the other trunk is judged and reliable, and this one has its problem."""
    harness = Harness()
    harness.ingest(report(gone=NOT_FOUND), *history("P F F F"))
    good, gone = state(harness, TRUNK), state(harness, GONE)
    assert (harness.source().up, harness.source().problem) == (True, None)
    assert (good.up, good.problems, good.data_at) == (True, (), NOW)
    assert harness.job().broken
    assert (gone.up, gone.problems, gone.data_at) == (False, (NOT_FOUND.of("ci"),), None)
    assert is_reliable(harness, TRUNK)
    assert not is_reliable(harness, GONE)
    assert harness.count("trunkwatch_source_errors_total", "ci", "missing") == 1


def test_a_trunk_that_fails_later_keeps_its_jobs() -> None:
    """The last known values stay, with the time up to which they were read."""
    harness = Harness()
    harness.ingest(report(), *history("P F F F"))
    error = BadAnswerError("GET x: HTTP 502")
    harness.clock.now = NOW + 600
    trunks = {TRUNK: TrunkReport(NOW, error), EMPTY: TrunkReport(NOW + 600)}
    harness.ingest(RefreshReport(trunks=trunks))
    assert harness.job().broken
    assert (harness.trunk().up, harness.trunk().data_at) == (False, NOW)
    assert not is_reliable(harness, TRUNK)
    assert harness.source().up


def test_a_source_is_down_when_every_trunk_is() -> None:
    """Such a refresh is no success; its trunks have each their own problem."""
    harness = Harness()
    unread = {GONE: TrunkReport(None, NOT_FOUND), EMPTY: TrunkReport(None, CONFLICT)}
    harness.ingest(RefreshReport(trunks=unread))
    source = harness.source()
    assert (source.up, source.last_success) == (False, None)
    assert source.problem == NOT_FOUND.of("ci")
    assert state(harness, EMPTY).problems == (CONFLICT.of("ci"),)


def test_a_failed_refresh_takes_every_trunk_down() -> None:
    """A fault of the source is that of each of its trunks, until a refresh has read them."""
    harness = Harness()
    harness.ingest(report(gone=NOT_FOUND), *history("P"))
    harness.refresh(ScriptedSource(SourceError("refused")))
    assert [each.problems for each in harness.engine.snapshot.trunks] == [
        ("source ci: refused",)
    ] * 2
    harness.ingest(RefreshReport(trunks=report().trunks, error=CONFLICT))
    assert not state(harness, TRUNK).up
    harness.ingest(report())
    assert [each.trunk for each in harness.engine.snapshot.trunks if each.up] == [TRUNK]
    assert GONE not in [each.trunk for each in harness.engine.snapshot.trunks]


def test_a_trunk_has_its_own_sources() -> None:
    """The failure of a source concerns the trunks that it may feed, and no others."""
    harness = Harness(config_of(f"{ONE}, {GITHUB}"))
    harness.ingest(*history("P F F F"))
    harness.refresh(ScriptedSource(NOT_FOUND), "hub")
    assert [source.name for source in harness.trunk().sources] == ["ci"]
    assert is_reliable(harness, TRUNK)


def test_a_source_that_never_succeeded_may_feed_any_trunk() -> None:
    """Its jobs may be missing from the trunk, so that nothing there counts as removed."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P F F F"))
    harness.refresh(ScriptedSource(SourceError("gone")), "other")
    assert not is_reliable(harness, TRUNK)
    harness.ingest(*history("P", trunk=GONE), source="other")
    assert is_reliable(harness, TRUNK)


def test_a_reload_keeps_the_problems_of_trunks() -> None:
    """Until the next refresh a trunk is as up or down as it was."""
    harness = Harness()
    harness.ingest(report(gone=NOT_FOUND), *history("P"))
    before = harness.engine.snapshot
    slower = config_of(ONE.replace("path: a", "path: a, poll_interval: 1h"))
    after = TrunkEngine(slower, harness.store, harness.counters, harness.clock, before=before)
    assert [(each.trunk, each.up, each.problems) for each in after.snapshot.trunks] == [
        (each.trunk, each.up, each.problems) for each in before.trunks
    ]
    assert {s.poll_interval for each in after.snapshot.trunks for s in each.sources} == {HOUR}
    renamed = config_of(ONE.replace("ci", "renamed"))
    other = TrunkEngine(renamed, harness.store, harness.counters, harness.clock, before=before)
    assert GONE not in [each.trunk for each in other.snapshot.trunks]


# ---------------------------------------------------------------------- age, after a start

START = NOW + HOUR


def unread_after_start(before: RefreshReport | None, path: Path) -> list[float | None]:
    """Return up to when GONE is read: before a restart, after it, and after each of two errors.

    Args:
        before: the report of a second refresh before the restart; None for no such refresh.
        path: of the storage.
    """
    harness = Harness(store=SqliteStore(str(path)))
    both = RefreshReport(trunks={TRUNK: TrunkReport(NOW), GONE: TrunkReport(NOW)})
    harness.ingest(both, *history("P"), *history("P", trunk=GONE))
    if before is not None:
        harness.clock.now = NOW + 600
        harness.ingest(before)
    times = [state(harness, GONE).data_at]
    harness.store.close()
    again = Harness(store=SqliteStore(str(path)))
    again.clock.now = START
    times.append(state(again, GONE).data_at)
    for _ in range(2):
        again.ingest(RefreshReport(trunks={TRUNK: TrunkReport(START)}))
        again.ingest(
            RefreshReport(trunks={TRUNK: TrunkReport(START), GONE: TrunkReport(None, NOT_FOUND)})
        )
        times.append(state(again, GONE).data_at)
    again.store.close()
    return times


def test_a_trunk_that_fails_at_a_start_is_as_old_as_the_last_success(tmp_path: Path) -> None:
    """The others are read, and their success is not its own."""
    assert unread_after_start(None, tmp_path / "a.db") == [NOW] * 4


def test_a_trunk_that_failed_before_a_restart_is_no_newer_after_it(tmp_path: Path) -> None:
    """The success of the others before the restart was not its own."""
    failed = RefreshReport(
        trunks={TRUNK: TrunkReport(NOW + 600), GONE: TrunkReport(NOW, NOT_FOUND)}
    )
    assert unread_after_start(failed, tmp_path / "a.db") == [NOW] * 4


@pytest.mark.parametrize("text", ["nan", "inf", "x", ""])
def test_a_damaged_time_is_unknown(text: str) -> None:
    """The trunk counts as never read, and the next reading mends it."""
    harness = Harness()
    entry = StateEntry(f"{READ_UNTIL_KEY} {GONE.repo} {GONE.branch}", text)
    harness.ingest(report(), *history("P", trunk=GONE), entry)
    after = Harness(store=harness.store)
    assert state(after, GONE).data_at is None
    after.ingest(report(gone=NOT_FOUND))
    assert state(after, GONE).data_at is None
    after.ingest(RefreshReport(trunks={GONE: TrunkReport(NOW)}))
    assert state(Harness(store=harness.store), GONE).data_at == NOW


def test_a_first_reading_that_is_not_complete_is_none_after_a_restart() -> None:
    """Some of its results are stored, and the others are not read."""
    harness = Harness()
    harness.ingest(
        RefreshReport(trunks={TRUNK: TrunkReport(NOW), GONE: TrunkReport(None)}),
        *history("P"),
        *history("P", trunk=GONE),
    )
    for each in (harness, Harness(store=harness.store)):
        assert state(each, GONE).data_at is None


def test_a_time_ahead_of_the_clock_is_unknown() -> None:
    """It is of a clock that was wrong."""
    harness = Harness()
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(NOW)}), *history("P"))
    harness.clock.now = NOW - HOUR
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(None, CONFLICT)}))
    assert harness.trunk().data_at is None


def test_the_time_of_a_trunk_ends_with_it() -> None:
    """A branch that is deleted leaves nothing behind."""
    harness = Harness()
    harness.ingest(report(gone=NOT_FOUND), *history("P"), *history("P", trunk=GONE))
    assert entries(harness) != {}
    harness.ingest(report(), TrunkRemoved(GONE, "deleted"))
    assert entries(harness) == {}
    harness.ingest(report(gone=NOT_FOUND))
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(NOW), GONE: TrunkReport(NOW)}))
    assert entries(harness) == {}


def entries(harness: Harness) -> Mapping[str, str]:
    """Return the stored state of the source."""
    return harness.store.load().sources["ci"].entries


# ---------------------------------------------------------------------- readiness


def test_readiness_names_trunks() -> None:
    """A trunk that was never read, or not for five polls and minutes, is named with its problem."""
    harness = Harness()
    harness.ingest(report(gone=NOT_FOUND), *history("P"))
    assert readiness_problems(harness.engine.snapshot, NOW + 300) == [
        f"trunk o/gone main has not been read yet: {NOT_FOUND.of('ci')}"
    ]
    harness.clock.now = NOW + 301
    late = {TRUNK: TrunkReport(NOW, CONFLICT), GONE: TrunkReport(NOW + 301)}
    harness.ingest(RefreshReport(trunks=late), *history("P", trunk=GONE))
    assert readiness_problems(harness.engine.snapshot, NOW + 301) == [
        f"trunk o/r main was read up to 301 s ago: {CONFLICT.of('ci')}"
    ]


def test_a_stale_source_is_named_once() -> None:
    """The trunks of a source that is stale are not named one by one."""
    harness = Harness()
    harness.ingest(*history("P"))
    assert readiness_problems(harness.engine.snapshot, NOW + 301) == [
        "source ci last succeeded 301 s ago"
    ]


# ---------------------------------------------------------------------- the log


def test_a_problem_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """A line when it begins, when it is another one, and when it ends; none in between."""
    caplog.set_level(logging.INFO)
    harness = Harness()
    steps = [report(gone=NOT_FOUND), report(gone=NOT_FOUND), report(gone=CONFLICT), report()]
    seen = []
    for step in steps:
        assert harness.refresh(ScriptedSource([step, *history("P")]))
        seen.append(logged(caplog))
    not_read, again = [("trunk not read", "o/gone")], [("trunk is read again", "o/gone")]
    assert seen == [not_read, [], not_read, again]


def test_a_limitation_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and again when it ends."""
    caplog.set_level(logging.INFO)
    harness = Harness()
    seen = []
    for limitations in ((CHECKS,), (CHECKS,), ()):
        harness.ingest(RefreshReport(limitations=limitations), *history("P"))
        seen.append(logged(caplog))
        assert dict(harness.source().limitations) == {each.name: each.text for each in limitations}
    assert seen == [[("limitation", "checks")], [], [("limitation ended", "checks")]]


def test_dropped_rows_add_up() -> None:
    """Each refresh reports the rows that it has read; the counts are by reason."""
    harness = Harness()
    harness.ingest(RefreshReport(dropped={"patch": 2}), *history("P"))
    harness.ingest(RefreshReport(dropped={"patch": 1, "bad_time": 4}))
    harness.refresh(ScriptedSource(SourceError("refused")))
    assert dict(harness.source().dropped) == {"patch": 3, "bad_time": 4}
    assert harness.count("trunkwatch_source_rows_dropped_total", "ci", "patch") == 3


# ---------------------------------------------------------------------- doubt


def landed(count: int, results: int) -> list[Fact]:
    """Return a trunk of hourly commits; the oldest ones have results of five minutes' age."""
    rows = [
        run(place, created_at=(commit(place, count).committed_at or 0.0) + 300)
        for place in range(results)
    ]
    return [order(count), *rows]


def test_newest_commits_without_results_are_counted() -> None:
    """Three are too many after forty that all had some; the first result ends it."""
    harness = Harness()
    harness.ingest(*landed(43, 40))
    assert harness.trunk().missing == 3
    harness.ingest(run(42))
    assert harness.trunk().missing == 0


def test_results_that_do_not_count_are_missing() -> None:
    """A run of another event is none of those that are waited for."""
    harness = Harness()
    others = [run(place, event="merge_group") for place in (40, 41, 42)]
    harness.ingest(*landed(43, 40), *others)
    assert harness.trunk().missing == 3


def test_what_was_not_read_is_not_missing() -> None:
    """Results are missing as of the time up to which the trunk was read."""
    harness = Harness()
    read_until = (commit(40, 43).committed_at or 0.0) + 60
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(read_until)}), *landed(43, 40))
    assert harness.trunk().missing == 0
    harness.ingest(RefreshReport(trunks={TRUNK: TrunkReport(None, CONFLICT)}))
    assert harness.trunk().missing == 0


def test_old_commits_that_are_pushed_late_get_their_time() -> None:
    """Commits that were made hours ago are late ten minutes after they were first seen."""
    harness = Harness()
    whole = landed(43, 40)
    (trunk,) = (fact for fact in whole if isinstance(fact, TrunkOrder))
    harness.ingest(replace(trunk, commits=trunk.commits[:40]), *whole[1:])
    harness.clock.now = NOW + 60
    harness.ingest(trunk)
    for seconds, missing in ((660, 3), (659, 0)):
        harness.clock.now = NOW + seconds
        harness.ingest(trunk)
        assert harness.trunk().missing == missing


def test_time_alone_makes_data_doubtful() -> None:
    """A refresh without news finds the commits that have become late."""
    harness = Harness()
    harness.clock.now = (commit(42, 43).committed_at or 0.0) + 599
    harness.ingest(*landed(43, 40))
    assert harness.trunk().missing == 0
    harness.clock.now += 1
    harness.ingest()
    assert harness.trunk().missing == 3


def test_data_ahead_of_the_clock_is_that_of_now() -> None:
    """A CI whose clock is ahead makes no data doubtful early; at its time any refresh does."""
    harness = Harness(config_of(f"{ONE}, {GITHUB}"))
    late_at = (commit(42, 43).committed_at or 0.0) + 600
    harness.clock.now = late_at - 1
    report = RefreshReport(trunks={TRUNK: TrunkReport(late_at + 60)})
    harness.ingest(report, *landed(43, 40))
    assert harness.trunk().missing == 0
    harness.clock.now = late_at
    harness.ingest(source="hub")
    assert harness.trunk().missing == 3
