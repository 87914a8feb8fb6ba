"""How a refresh, its failure and the passing of time change the snapshot."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.model import (
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    Verdict,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.engine.facts import Cursor, Fact, SourceState, TrunkRemoved
from trunkwatch.engine.snapshot import readiness_problems
from trunkwatch.errors import OrderConflictError, SourceError, StoreError
from trunkwatch.metrics.collector import branch_families, job_families
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.evaluation import MAX_UNKNOWN_WORDS, OTHER_WORDS
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import Refresh
from trunkwatch.store import Labels, SqliteStore
from trunkwatch.times import parse_time

from tests.poller.harness import ONE, TWO, Harness, ScriptedSource, Update, config_of
from tests.support.counting_store import CountingStore
from tests.support.rows import (
    HOUR,
    NOW,
    TRUNK,
    commit,
    history,
    named,
    order,
    pending,
    run,
    sha,
)

OTHER = Trunk("o/other", "main")
BUILDBOT = "{name: ci, type: buildbot, url: 'http://h', repo: o/r, branches: [%s], git: g}"


def broken(harness: Harness) -> bool:
    return harness.job().broken


# ---------------------------------------------------------------------- failures


def test_a_failed_refresh_keeps_every_value() -> None:
    """The last known values stay; the source is down, with the reason counted."""
    harness = Harness()
    harness.ingest(*history("P F F F"))
    before = harness.trunk()
    harness.clock.now = NOW + 60
    assert not harness.refresh(ScriptedSource(SourceError("connection refused")))
    assert harness.trunk().jobs == before.jobs
    assert harness.trunk().data_at == before.data_at
    source = harness.source()
    assert (source.up, source.last_success) == (False, NOW)
    assert source.problem == "source ci: connection refused"
    assert harness.count("trunkwatch_source_errors_total", "ci", "error") == 1
    assert harness.refresh(ScriptedSource([]))
    source = harness.source()
    assert (source.up, source.last_success, source.problem) == (True, NOW + 60, None)


def test_a_refresh_that_breaks_in_the_middle_changes_nothing() -> None:
    """Facts are taken whole or not at all, whatever is raised while they are read."""
    harness = Harness()
    harness.ingest(*history("P F F"))
    before = harness.trunk()

    class Breaks:
        def refresh(self, state: SourceState) -> Refresh:
            del state
            return Refresh(self._facts())

        def _facts(self) -> Iterator[Observation]:
            yield run(3, "failure")
            raise SourceError("half of it")

    assert not harness.poller.refresh_once(harness.section("ci"), Breaks())
    assert harness.trunk().order == before.order
    assert harness.trunk().jobs == before.jobs


def test_up_before_the_first_refresh_is_0_and_not_absent() -> None:
    """A source that has not answered yet is down, and every reason of an error is counted as 0."""
    harness = Harness(config_of(TWO))
    assert [source.up for source in harness.engine.snapshot.sources] == [False, False]
    counts = harness.counters.totals().counts
    reasons = {key[2] for key in counts if key[:2] == ("trunkwatch_source_errors_total", "ci")}
    assert {"error", "unreachable", "answer", "file", "git", "order"} <= reasons


def test_complete_when_every_source_has_answered_well_or_badly() -> None:
    """One source that never answers well must not hide what the others know."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P"))
    assert not harness.engine.snapshot.complete
    harness.refresh(ScriptedSource(SourceError("gone")), "other")
    assert harness.engine.snapshot.complete


def test_rows_that_cannot_be_read_are_judged_by_the_next_refresh() -> None:
    """A refresh that was stored but could not be judged is not forgotten, although its source
    will only repeat the stored rows.
    """
    store = BreakableStore()
    harness = Harness(store=store)
    assert harness.refresh(ScriptedSource(history("P F F")))
    store.breaks = True
    assert not harness.refresh(ScriptedSource(history("P F F F")))
    assert harness.count("trunkwatch_source_errors_total", "ci", "store") == 1
    assert not harness.source().up
    assert not broken(harness)
    store.breaks = False
    assert harness.refresh(ScriptedSource([]))
    assert broken(harness)
    assert harness.job().consecutive_failures == 3


def test_all_trunks_of_a_refresh_that_was_not_judged_are_caught_up() -> None:
    """What one trunk's failure kept from being judged is judged later, on every trunk."""
    store = BreakableStore()
    harness = Harness(store=store)
    harness.ingest(*history("P P"), *history("P P", trunk=OTHER))
    store.breaks = True
    with pytest.raises(StoreError):
        harness.ingest(*history("P P F"), *history("P P F", trunk=OTHER))
    store.breaks = False
    harness.ingest()
    trunks = harness.engine.snapshot.trunks
    assert [state.jobs[0].consecutive_failures for state in trunks] == [1, 1]


class BreakableStore(SqliteStore):
    """A store of which the rows cannot be read for a while."""

    breaks = False

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        if self.breaks:
            raise StoreError(":memory:", "cannot be read (disk I/O error)")
        return super().observations(trunk, jobs, shas)


# ---------------------------------------------------------------------- several sources


def test_two_sources_unite_on_one_trunk() -> None:
    """Observations of both count; the data is as old as that of the one that was read last."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P F F F"))
    harness.clock.now = NOW + 60
    harness.ingest(*history("P P P P", named("lint"))[1:], source="other")
    assert harness.names() == ["build", "lint"]
    assert harness.trunk().data_at == NOW
    harness.clock.now = NOW + 90
    harness.ingest()
    assert harness.trunk().data_at == NOW + 60


def test_runs_wait_for_the_order_of_another_source() -> None:
    """Results that arrive before the order of their trunk are kept, and count once it arrives."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P F F F")[1:])
    assert harness.engine.snapshot.trunks == ()
    harness.ingest(order(4), source="other")
    assert broken(harness)


def test_two_orders_of_one_trunk_are_a_conflict() -> None:
    """The second source's refresh fails with the correction; the first one's order stays."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P F F F"))
    assert not harness.refresh(ScriptedSource([order(2), run(0, job=named("lint"))]), "other")
    assert harness.source("other").problem == (
        "source other: source ci gives the order of o/r main already;"
        " set order: true on exactly one"
    )
    assert harness.count("trunkwatch_source_errors_total", "other", "order") == 1
    assert harness.names() == ["build"]
    assert len(harness.trunk().order.commits) == 4


def test_the_chosen_source_gives_the_order() -> None:
    """With `order: true` on one of two, whoever comes first, its commits count and both feed."""
    for first, second in (("ci", "other"), ("other", "ci")):
        sources = TWO.replace("path: b", "path: b, order: true")
        harness = Harness(config_of(sources))
        facts = {"ci": history("P F"), "other": history("P P P", named("lint"))}
        harness.ingest(*facts[first], source=first)
        harness.ingest(*facts[second], source=second)
        assert harness.trunk().order == order(3)
        assert harness.names() == ["build", "lint"]
        harness.ingest(*facts["ci"])
        assert harness.trunk().order == order(3)


def test_a_source_that_may_not_order_only_feeds() -> None:
    """With `order: false` its commits are passed over."""
    harness = Harness(config_of(TWO.replace("path: b", "path: b, order: false")))
    harness.ingest(*history("P P P", named("lint")), source="other")
    assert harness.engine.snapshot.trunks == ()
    harness.ingest(*history("P F"))
    assert harness.trunk().order == order(2)
    assert harness.names() == ["build", "lint"]


def test_a_branch_that_is_no_longer_configured_is_gone(tmp_path: Path) -> None:
    """What a source fed under an earlier configuration is still stored, and no longer watched: an
    alert of it would never end.
    """
    store = SqliteStore(str(tmp_path / "results.db"))
    release = Trunk("o/r", "release")
    before = Harness(config_of(BUILDBOT % "main, release"), store)
    before.ingest(*history("P F F F"), *history("P F F F", trunk=release))
    assert len(before.engine.snapshot.trunks) == 2
    after = Harness(config_of(BUILDBOT % "main"), store)
    assert [state.trunk for state in after.engine.snapshot.trunks] == [TRUNK]
    after.ingest(*history("P F F F P"))
    assert [state.trunk for state in after.engine.snapshot.trunks] == [TRUNK]
    assert not after.job().broken


# ---------------------------------------------------------------------- time alone


def test_a_pending_result_expires() -> None:
    """36 hours after it was created an unfinished result is no longer believed, without any news:
    the last moment that it counts, and the first that it does not.
    """
    harness = Harness()
    created = NOW - HOUR
    harness.ingest(order(2), run(0, "failure"), pending(1, created_at=created))
    assert harness.job().pending == 1
    harness.clock.now = created + 36 * HOUR
    harness.engine.expire()
    assert harness.job().pending == 1
    harness.clock.now += 0.001
    harness.engine.expire()
    assert harness.job().pending == 0
    assert harness.engine.snapshot.as_of == harness.clock.now


def test_a_shard_that_never_ends_stops_hiding_the_others() -> None:
    """An expired shard is an answer that is missing: the commit stays without a verdict."""
    harness = Harness(config_of(more="jobs: {fold: [{match: '(.*) \\d', to: '\\1'}]}"))
    harness.ingest(order(1), run(0, job=named("build 1")), pending(0, job=named("build 2"),
                                                               created_at=NOW))  # fmt: skip
    assert harness.job().verdicts == (Verdict.PENDING,)
    harness.clock.now = NOW + 37 * HOUR
    harness.engine.expire()
    assert harness.job().verdicts == (Verdict.NONE,)


def test_an_exemption_ends() -> None:
    """At the first moment of its date a known-broken job alerts again, without any news."""
    more = "known_broken: [{match: {job_name: build}, reason: r, until: 2026-03-02}]"
    harness = Harness(config_of(more=more))
    harness.ingest(*history("P F F F"))
    until = NOW + 12 * HOUR
    assert harness.job().known_broken == ("r", until)
    assert not harness.trunk().groups[0].firing
    harness.clock.now = until - 0.001
    harness.engine.expire()
    assert harness.job().known_broken is not None
    harness.clock.now = until
    harness.engine.expire()
    assert harness.job().known_broken is None
    assert harness.trunk().groups[0].firing


def test_time_that_changes_nothing_renews_nothing() -> None:
    """Where nothing is due, the snapshot is the very same object, so that nothing is rendered."""
    harness = Harness()
    harness.ingest(*history("P F F F"))
    snapshot = harness.engine.snapshot
    harness.clock.now = NOW + 1000 * HOUR
    harness.engine.expire()
    assert harness.engine.snapshot is snapshot


# ---------------------------------------------------------------------- the cap


def capped(limit: int) -> Harness:
    return Harness(config_of(more=f"limits: {{max_jobs: {limit}}}"))


def jobs(*names: str) -> list[Observation | TrunkOrder]:
    return [order(1), *(run(0, job=named(name)) for name in names)]


@pytest.mark.parametrize(("limit", "refused"), [(4, 0), (3, 1), (2, 2), (1, 3)])
def test_the_cap_refuses_new_jobs(limit: int, refused: int) -> None:
    """As many jobs as the cap allows are exported; the others are counted, each once."""
    harness = capped(limit)
    harness.ingest(*jobs("a", "b", "c"))
    harness.ingest(*jobs("a", "b", "c", "d"))
    harness.ingest(*jobs("a", "b", "c", "d"))
    assert harness.names() == ["a", "b", "c", "d"][:limit]
    assert harness.count("trunkwatch_jobs_dropped_total") == refused


def test_unknown_words_are_bounded() -> None:
    """A hundred words are counted by name; the others together, each row once."""
    harness = Harness(config_of())
    words = MAX_UNKNOWN_WORDS + 5
    rows = [run(0, f"word-{n}", job=named(f"j{n}")) for n in range(words)]
    for _ in range(2):
        harness.ingest(order(1), *rows)
    counts = harness.counters.totals().by_last_label("trunkwatch_unknown_conclusions_total")
    assert len(counts) == MAX_UNKNOWN_WORDS + 1
    assert counts.pop(OTHER_WORDS) == 5
    assert set(counts.values()) == {1}


def test_the_cap_never_drops_a_job_that_was_exported() -> None:
    """A job whose name sorts first comes too late for the place of one that is exported."""
    harness = capped(2)
    harness.ingest(*jobs("y", "z"))
    harness.ingest(*jobs("a", "y", "z"))
    assert harness.names() == ["y", "z"]
    assert harness.count("trunkwatch_jobs_dropped_total") == 1


def test_a_place_that_becomes_free_is_taken() -> None:
    """When an exported job's commit is gone from the trunk, a refused one is let in."""
    harness = capped(1)
    harness.ingest(order(2), run(1, job=named("z")))
    harness.ingest(run(0, job=named("a")))
    assert harness.names() == ["z"]
    harness.ingest(TrunkOrder(TRUNK, (commit(0, 2), replace(commit(1, 2), sha="f" * 40))))
    assert harness.names() == ["a"]


def test_the_cap_holds_over_all_trunks() -> None:
    """The cap counts the jobs of all trunks together, since it protects Prometheus."""
    harness = capped(1)
    harness.ingest(*history("P"), *history("P", trunk=OTHER))
    assert len(harness.names()) == 1
    assert harness.count("trunkwatch_jobs_dropped_total") == 1


def test_a_source_with_too_many_jobs_takes_no_place_of_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the limit of each source all of its jobs are exported; beyond it none of another waits."""
    harness = Harness(config_of(TWO, "limits: {max_jobs: 5, max_jobs_per_source: 2}"))
    harness.ingest(*jobs("a", "b"))
    assert harness.count("trunkwatch_jobs_dropped_total") == 0
    harness.ingest(*jobs("a", "b", "c", "d"))
    rows = [run(0, job=named(name), trunk=OTHER, head_repo=OTHER.repo) for name in "xyz"]
    harness.ingest(order(1, OTHER), *rows, source="other")
    assert sorted(harness.names()) == ["a", "b", "x", "y"]
    assert harness.count("trunkwatch_jobs_dropped_total") == 3
    assert "job refused: limits.max_jobs_per_source is reached" in caplog.text
    harness.ingest(TrunkRemoved(TRUNK, "gone"))
    assert sorted(harness.names()) == ["x", "y"]
    harness.ingest(*jobs("a"))
    assert sorted(harness.names()) == ["a", "b", "x", "y"]


def test_a_refused_job_does_not_make_its_group_fire() -> None:
    """A job that is not exported does not count towards its group either."""
    harness = capped(1)
    harness.ingest(*history("P P P P", named("a")))
    harness.ingest(*history("P F F F", named("b"))[1:])
    assert harness.names() == ["a"]
    assert not harness.trunk().groups[0].firing


def test_a_reload_does_not_drop_exported_jobs() -> None:
    """Jobs exported before a reload stay, even when the new cap is lower than their number."""
    harness = capped(3)
    harness.ingest(*jobs("x", "y"))
    harness.ingest(*jobs("x", "y", "z"))
    harness.ingest(*jobs("a", "x", "y", "z"))
    lower = config_of(more="limits: {max_jobs: 2}")
    after = TrunkEngine(
        lower, harness.store, harness.counters, harness.clock, before=harness.engine.snapshot
    )
    names = [job.key.job_name for state in after.snapshot.trunks for job in state.jobs]
    assert names == ["x", "y", "z"]


# ---------------------------------------------------------------------- counters


def test_counters_follow_what_is_stored_and_never_fall() -> None:
    """Runs that do not count, and unknown conclusions, are counted once, however often they
    are reported; a force push that brings commits in or out takes nothing back.
    """
    harness = Harness()
    strange = run(0, "exploded")
    off_trunk = run(0, sha="f" * 40, run_id=9)
    fork = run(0, head_repo="fork/r", run_id=10)
    by_hand = run(0, event="pull_request", run_id=11)

    def counted() -> list[float]:
        reasons = ("commit", "head_repo", "event")
        runs = [("trunkwatch_off_trunk_runs_total", *TRUNK, reason) for reason in reasons]
        words = [("trunkwatch_unknown_conclusions_total", *TRUNK, "exploded")]
        rewrites = [("trunkwatch_trunk_rewrites_total", *TRUNK)]
        return [harness.count(*key) for key in (*runs, *words, *rewrites)]

    harness.ingest(order(2), strange, off_trunk, fork, by_hand)
    assert counted() == [1, 1, 1, 1, 0]
    harness.ingest(order(2), strange, off_trunk, fork, by_hand)
    assert counted() == [1, 1, 1, 1, 0]
    back = TrunkOrder(TRUNK, (replace(commit(0, 2), sha="f" * 40),))
    harness.ingest(back)
    after = counted()
    assert all(new >= old for new, old in zip(after, [1, 1, 1, 1, 0], strict=True))
    assert after[-1] == 1
    harness.ingest(order(2))
    assert all(new >= old for new, old in zip(counted(), after, strict=True))
    assert counted()[-1] == 2


def test_retired_jobs_are_counted_from_the_start_on() -> None:
    """A retired job is counted, by whether its outage was open; a job that was
    retired before the start is no news.
    """
    harness = Harness(config_of(more="jobs: {retire_after: 2}"))
    harness.ingest(*history("P F F F . .", named("old")), *history("P P P P P .", named("new"))[1:])
    assert harness.names() == ["new", "old"]
    harness.ingest(run(5, job=named("new")))
    assert harness.names() == ["new"]
    assert harness.count("ci_job_retired_total", *TRUNK, "removed_broken") == 1
    assert harness.count("ci_job_retired_total", *TRUNK, "removed") == 0
    restarted = Harness(harness.config, harness.store)
    assert restarted.names() == ["new"]
    assert restarted.count("ci_job_retired_total", *TRUNK, "removed_broken") == 0


# ---------------------------------------------------------------------- restarts, reloads


def test_a_restart_shows_everything_before_the_first_refresh(tmp_path: Path) -> None:
    """With stored history, the snapshot has the values from before, and is not complete."""
    path = str(tmp_path / "results.db")
    before = Harness(store=SqliteStore(path))
    before.ingest(*history("P F F F"), Cursor("7"))
    before.store.close()
    after = Harness(store=SqliteStore(path))
    assert not after.engine.snapshot.complete
    assert after.trunk().order == before.trunk().order
    assert after.trunk().jobs == before.trunk().jobs
    assert after.trunk().data_at == before.trunk().data_at
    source = after.source()
    assert (source.up, source.answered, source.last_success) == (False, False, NOW)
    script = ScriptedSource([])
    assert after.refresh(script)
    assert script.cursors == ["7"]
    assert after.engine.snapshot.complete
    assert after.trunk().jobs == before.trunk().jobs


def test_a_reload_keeps_what_is_known_of_sources() -> None:
    """Under a new configuration a source is as up or down as it was, at its new interval."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("P"))
    harness.refresh(ScriptedSource(SourceError("gone")), "other")
    slower = config_of(TWO.replace("path: b", "path: b, poll_interval: 1h"))
    after = TrunkEngine(
        slower, harness.store, harness.counters, harness.clock, before=harness.engine.snapshot
    ).snapshot
    assert after.complete
    (one,), (other,) = after.trunks, harness.engine.snapshot.trunks
    assert one.jobs == other.jobs
    assert [(s.up, s.problem) for s in one.sources] == [(s.up, s.problem) for s in other.sources]
    assert [(s.up, s.problem) for s in after.sources] == [
        (True, None),
        (False, "source other: gone"),
    ]
    assert [s.poll_interval for s in after.sources] == [5.0, 3600.0]


def test_a_store_of_other_sources_is_no_history() -> None:
    """What sources that are not configured have stored is not shown."""
    before = Harness()
    before.ingest(*history("P F F F"))
    after = Harness(config_of(ONE.replace("ci", "renamed")), before.store)
    assert after.engine.snapshot.trunks == ()
    assert not after.engine.snapshot.complete


def test_the_cursor_is_handed_back() -> None:
    """A source goes on where its last stored refresh ended, never where a broken one did."""
    harness = Harness()
    script = ScriptedSource([Cursor("1")], SourceError("x"), [], [Cursor("2")], [])
    for _ in range(5):
        harness.refresh(script)
    assert script.cursors == [None, "1", "1", "1", "2"]


def test_results_of_another_process_count(tmp_path: Path) -> None:
    """A `check` on the same storage reads a failure first: `serve` counts it all the same."""
    path = str(tmp_path / "results.db")
    serve, check = Harness(store=SqliteStore(path)), Harness(store=SqliteStore(path))
    serve.ingest(*history("P F F"))
    check.ingest(*history("P F F F"), *history("P P P F", named("new"))[1:])
    serve.ingest(*history("P F F F"), *history("P P P F", named("new"))[1:])
    assert broken(serve)
    assert serve.names() == ["build", "new"]


def test_rows_of_a_job_can_be_asked_for() -> None:
    """The walk of `explain` sees the rows that a job is judged by, and no others."""
    harness = Harness()
    harness.ingest(*history("P F"), run(0, sha=sha(9)), run(0, job=named("lint")))
    rows = harness.engine.rows_of(harness.job().key)
    assert {row.sha for row in rows} == {sha(0), sha(1)}
    assert harness.engine.rows_of(harness.job().key._replace(repo="nobody/nothing")) == []


def test_the_columns_of_a_job_at_some_commits_are_those_of_its_history() -> None:
    """Each commit's columns have the verdicts that were evaluated, whatever kind of job it is."""
    harness = Harness()
    harness.ingest(
        *history("P F F K ? S", named("build")),
        *history("P P F F . P", named("test"))[1:],
        run(1, "startup_failure", job=named("(run)"), run_id=7, run_number=7),
        run(2, "failure", job=named("test"), event="schedule", run_id=8, run_number=8),
    )
    jobs = harness.trunk().jobs
    assert {job.key.job_name for job in jobs} >= {"build", "test", "(startup)"}
    for job in jobs:
        for commit_index in set(job.commit_indexes):
            columns = harness.engine.columns_at(job.key, [sha(commit_index)])
            assert [c.verdict for c in columns] == list(job.history.at(commit_index)), job.key
    assert harness.engine.columns_at(jobs[0].key._replace(job_name="gone"), [sha(0)]) == []
    assert harness.engine.columns_at(jobs[0].key._replace(repo="gone"), [sha(0)]) == []


def test_columns_are_read_while_the_engine_evaluates() -> None:
    """A page does not wait for the lock that an evaluation holds."""
    harness = Harness()
    harness.ingest(*history("P F"))
    key = harness.job().key
    with harness.engine._lock, ThreadPoolExecutor(1) as other:
        columns = other.submit(harness.engine.columns_at, key, [sha(1)]).result(10)
    assert [column.verdict for column in columns] == [Verdict.FAIL]


def test_conflict_is_a_source_error() -> None:
    """Two sources of one order is a failed refresh like any other, not the end of the program."""
    harness = Harness(config_of(TWO))
    harness.ingest(order(1))
    with pytest.raises(OrderConflictError):
        harness.ingest(order(1), source="other")


def test_a_stored_history_may_be_evaluated_later() -> None:
    """Until then nothing is shown and nothing is ready; then all is as if evaluated at once."""
    before = Harness()
    before.ingest(*history("P F F F"))
    at_once = TrunkEngine(before.config, before.store, Counters(), before.clock)
    later = TrunkEngine(before.config, before.store, Counters(), before.clock, evaluate=False)
    assert not later.snapshot.complete
    assert readiness_problems(later.snapshot, NOW) == ["the stored results are still being read"]
    later.evaluate_stored()
    assert later.snapshot == at_once.snapshot
    assert readiness_problems(later.snapshot, NOW) == []


def test_the_first_refresh_of_a_trunk_reads_each_row_twice() -> None:
    """Once for its workflow and once for its job; new rows are not evaluated again as changes."""
    store = CountingStore()
    Harness(store=store).ingest(*history("P F F F"))
    assert store.rows_read == 8


def test_deliveries_do_not_wait_for_the_evaluation_of_the_stored_history() -> None:
    """Those that arrive at any time of it are stored at once, and count afterwards."""
    store = CountingStore()
    before = Harness(store=store)
    before.ingest(*history("P F F . ."))
    engine = TrunkEngine(before.config, store, Counters(), before.clock, evaluate=False)
    updates = iter([Update(lambda _: [run(3, "failure")]), Update(lambda _: [run(4, "failure")])])
    shown: list[str] = []

    def deliver() -> None:
        shown.extend(engine.unevaluated)
        update = next(updates, None)
        if update is not None:
            thread = Thread(target=engine.ingest_delivery, args=("ci", update))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()

    store.on_row = deliver
    engine.evaluate_stored()
    store.on_row = lambda: None
    assert next(updates, None) is None
    assert shown[0] == "the stored results are being evaluated: 0 of 1 trunks done, 0 % in all"
    assert len(set(shown)) > 1
    assert engine.unevaluated == []
    engine.evaluate_pending()
    assert engine.snapshot.trunks[0].jobs[0].consecutive_failures == 4


def test_trunks_with_the_newest_commits_are_evaluated_first() -> None:
    """Each is shown as soon as it is evaluated."""
    before = Harness()
    for number, days in enumerate((3, 1, 2)):
        trunk = TRUNK._replace(branch=f"branch-{number}")
        committed = replace(commit(0, 1), committed_at=NOW - days * 86_400)
        row = run(0).changed(trunk=trunk, head_branch=trunk.branch)
        before.ingest(TrunkOrder(trunk, (committed,)), row)
    later = TrunkEngine(before.config, before.store, Counters(), before.clock, evaluate=False)
    shown: list[set[str]] = []
    later.evaluate_stored(
        lambda: shown.append({state.trunk.branch for state in later.snapshot.trunks if state.jobs})
    )
    assert shown == [
        {"branch-1"},
        {"branch-1", "branch-2"},
        {"branch-0", "branch-1", "branch-2"},
    ]


# ---------------------------------------------------------------------- times that cannot be true

claims = st.sampled_from(
    [None, parse_time("0001-01-01T00:00:00Z"), 0.0, NOW - HOUR, NOW, NOW + 30 * 86_400, 1e18]
)


@given(st.lists(st.tuples(claims, claims, claims, claims), min_size=6, max_size=6), st.booleans())
def test_no_time_that_cannot_be_true_is_exported(
    reported: Sequence[tuple[float | None, ...]], by_webhook: bool
) -> None:
    """Whatever times a refresh or a delivery has, results count, and every number is plausible."""
    commits, *_ = trunk_and_rows = history("P P F K F F")
    rows = [fact for fact in trunk_and_rows if isinstance(fact, Observation)]
    assert isinstance(commits, TrunkOrder)
    times = {c.sha: each for c, each in zip(commits.commits, reported, strict=True)}
    claimed: list[Fact] = [
        r.changed(created_at=times[r.sha][0], started_at=times[r.sha][1],
                completed_at=times[r.sha][2])
        for r in rows
    ]  # fmt: skip
    dated = [replace(c, committed_at=times[c.sha][3]) for c in commits.commits]
    claimed.append(replace(commits, commits=tuple(dated)))
    harness = Harness()
    if by_webhook:
        harness.ingest()
        harness.deliver(lambda _: claimed)
        harness.engine.evaluate_pending()
    else:
        harness.ingest(*claimed)
    verdicts = [verdict.value for verdict in harness.job().verdicts]
    assert verdicts == ["PASS", "PASS", "FAIL", "FLAKY", "FAIL", "FAIL"]
    for family in [*job_families([harness.trunk()]), *branch_families([harness.trunk()])]:
        for sample in family.samples:
            if family.name.endswith("timestamp_seconds"):
                assert NOW - 10 * HOUR < sample.value <= NOW + 86_400
            elif family.name == "ci_job_duration_seconds":
                assert 0 <= sample.value <= HOUR


# ---------------------------------------------------------------------- removed

RETIRED = "ci_job_retired_total"


def retired(harness: Harness) -> tuple[float, float]:
    """Return how many jobs of the trunk were removed whole, and how many broken."""
    whole = harness.count(RETIRED, *TRUNK, "removed")
    return whole, harness.count(RETIRED, *TRUNK, "removed_broken")


def test_a_deleted_workflow_ends_its_outages_as_removed() -> None:
    """The jobs of a deleted workflow leave, and come back broken when it is active again."""
    harness = Harness()
    harness.ingest(*history("P F F F"), *history("P P P P", named("lint"))[1:])
    harness.ingest(WorkflowReport(TRUNK, "ci", WorkflowState.DELETED))
    assert harness.names() == []
    assert harness.trunk().workflow_states == {"ci": "deleted"}
    assert retired(harness) == (1, 1)
    harness.ingest(WorkflowReport(TRUNK, "ci", WorkflowState.ACTIVE))
    assert broken(harness)
    assert harness.trunk().workflow_states == {}


def test_a_state_outlives_a_restart() -> None:
    """A workflow that was deleted before a restart is deleted after it."""
    harness = Harness()
    harness.ingest(*history("F F F"), WorkflowReport(TRUNK, "ci", WorkflowState.DISABLED))
    again = Harness(store=harness.store)
    assert again.names() == []
    assert again.trunk().workflow_states == {"ci": "disabled"}


def test_a_delivery_may_report_a_state() -> None:
    """A state that comes by webhook is evaluated like a result."""
    harness = Harness()
    harness.ingest(*history("F F F"))
    harness.deliver(lambda _: [WorkflowReport(TRUNK, "ci", WorkflowState.DELETED)])
    harness.engine.evaluate_pending()
    assert harness.names() == []


def test_a_trunk_that_no_source_feeds_leaves() -> None:
    """A removed trunk leaves with its jobs as removed, and returns when a source feeds it again."""
    harness = Harness()
    harness.ingest(*history("P F F F"), *history("P P P P", named("lint"))[1:])
    harness.ingest(*history("P", trunk=OTHER))
    harness.ingest(TrunkRemoved(TRUNK))
    assert [state.trunk for state in harness.engine.snapshot.trunks] == [OTHER]
    assert retired(harness) == (1, 1)
    assert [s.trunk for s in Harness(store=harness.store).engine.snapshot.trunks] == [OTHER]
    harness.ingest(order(4))
    assert broken(harness)
    assert retired(harness) == (1, 1)


def test_a_trunk_that_another_source_feeds_stays() -> None:
    """A trunk leaves only when no source feeds it; another source may then give its order."""
    harness = Harness(config_of(TWO))
    harness.ingest(*history("F F F"))
    harness.ingest(run(0, job=named("lint")), source="other")
    harness.ingest(TrunkRemoved(TRUNK))
    assert broken(harness)
    harness.ingest(*history("F F F P"), source="other")
    assert not broken(harness)
    harness.ingest(TrunkRemoved(TRUNK), source="other")
    assert harness.engine.snapshot.trunks == ()


# ---------------------------------------------------------------------- labels of workflows

CI = RawJob("CI", "w/ci.yml", "build")
BUILD = CI._replace(workflow_name="Build and test")


def labels(harness: Harness) -> set[str]:
    return {job.key.workflow for job in harness.trunk().jobs}


def test_a_label_stays_over_a_restart() -> None:
    """A job that broke under one name is broken under it after a restart, whatever is read then."""
    harness = Harness()
    harness.ingest(*history("P F F F", CI))
    harness.ingest(order(5), run(4, "failure", job=BUILD))
    assert labels(harness) == {"CI"}
    # Older results with another name are read late; without the stored label they would decide.
    harness.ingest(run(0, "success", job=CI._replace(workflow_name="Older"), run_id=1))
    assert labels(Harness(store=harness.store)) == labels(harness) == {"CI"}
    harness.ingest(order(6), run(5, job=BUILD))
    assert labels(Harness(store=harness.store)) == labels(harness) == {"Build and test"}


def test_a_label_that_could_not_be_stored_is_stored_later() -> None:
    """A label that could not be written is written at the next evaluation."""

    class Full(SqliteStore):
        full = True

        def put_evaluated(self, labels: Labels, *states: Any) -> None:
            if self.full and labels:
                raise StoreError("results.db", "the disk is full")
            super().put_evaluated(labels, *states)

    store = Full()
    harness = Harness(store=store)
    assert not harness.refresh(ScriptedSource(history("P F", CI)))
    assert labels(harness) == {"CI"}
    store.full = False
    assert harness.refresh(ScriptedSource([run(1, "failure", job=named("lint"))]))
    assert store.load().labels == {TRUNK: {"w/ci.yml": "CI", "ci": "ci"}}


def test_a_row_that_cannot_be_stored_is_dropped_alone() -> None:
    """Its siblings count, and the counter has it."""
    harness = Harness()
    facts = history("F F F")
    row = next(fact for fact in facts if isinstance(fact, Observation))
    harness.ingest(*facts, row.changed(job_id=2**63))
    assert harness.job().consecutive_failures == 3
    assert harness.count("trunkwatch_source_rows_dropped_total", "ci", "value") == 1
