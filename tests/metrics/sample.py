"""One snapshot in which every family of the catalogue has a sample."""

from dataclasses import replace

from trunkwatch.domain.branch import MassBreakage
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import Commit, JobKey, TrunkOrder, WorkflowState
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.shown import Alert, AlertKey, End, Ended
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, Totals, TrunkSource, TrunkState
from trunkwatch.engine.triage import (
    AlertNote,
    GroupKey,
    Reading,
    Silence,
    TicketNote,
    Triage,
)
from trunkwatch.patterns import Pattern

from tests.domain.builders import NOW, TRUNK, MemoryRows, evaluate, history, length, trunk
from tests.vectors.notation import sha_of

HISTORIES = {
    "inductor / test (core)": "P P P . F F F",  # broken, two suspects, one of them untested
    "inductor / test (perf)": "F F F K K ? ?",  # last good unknown: flaked since
    "lint": "P P P P P P P",
    "docs": ". . . . F F F",  # broken in every commit that was read: truncated
    "windows": "P F F F F F F",  # has an exemption (known_broken)
    "nobody knows": "- - - - - - -",  # never a verdict
}
COMMITS = 7
HOSTILE_TITLE = 'Use "quotes", a \\ backslash\nand a second line: ünïcode ✓'

POLICY = Policy(
    groups=(
        Group(
            "inductor",
            "broken-inductor",
            "P2",
            thresholds=Thresholds(3),
            failure_threshold=1,
            match=Match(job_name=Pattern("inductor / .*")),
        ),
    ),
    known_broken=(KnownBroken(Match(job_name=Pattern("windows")), "no runner", None),),
    green={TRUNK: (Pattern("ci / lint"),)},
)


def main_trunk() -> TrunkState:
    """Return the trunk with all of the jobs; the title of one suspect is hostile."""
    assert {length(text) for text in HISTORIES.values()} == {COMMITS}
    commits = list(trunk(COMMITS).commits)
    commits[4] = replace(commits[4], title=HOSTILE_TITLE)
    order = TrunkOrder(TRUNK, tuple(commits), older_unread=True)
    rows = [row for name, text in HISTORIES.items() for row in history(text, name)]
    inactive = {"nightly": WorkflowState.INACTIVE, "old": WorkflowState.DISABLED}
    state = evaluate(MemoryRows(rows), order, POLICY)
    source = TrunkSource("ci", True, NOW - 5, 60.0)
    mass = MassBreakage(4, 2)
    return replace(
        state, data_at=NOW - 5, workflow_states=inactive, sources=(source,), mass_breakage=mass
    )


def triage() -> Triage:
    """Return a ticket of a group with broken jobs, and a silence of one of them."""
    ticket = TicketNote("o/r#7", "https://git.example/o/r/issues/7", "open", ("a", "b"), NOW - 600)
    silence = Silence("1f", "author-a", "known, see #7", NOW + 3600)
    key = JobKey(*TRUNK, "ci", "inductor / test (core)")
    return Triage(
        Reading({GroupKey(*TRUNK, "inductor"): ticket}, NOW - 20),
        Reading({key: AlertNote((silence,), inhibited=False)}, NOW - 10),
    )


def ended_alert() -> Alert:
    """Return an alert that ended a minute ago."""
    fix = Commit(sha_of(6), NOW, "author-6", "Guard the scheduler")
    outage = Alert(
        key=AlertKey(JobKey(*TRUNK, "ci", "lint"), "default", "trunk", "P3"),
        first_bad=Commit(sha_of(2), NOW, "author-2", "change 2"),
        last_good=sha_of(0),
        suspects=2,
        listed=(Commit(sha_of(1), NOW, None, HOSTILE_TITLE), Commit(sha_of(2), NOW, "a", "b")),
        failures=4,
        broken_since=NOW - 7500,
        url="https://ci.example/7",
        failed_step="Test",
    )
    return outage._replace(end=End(Ended.FIXED, NOW - 60, NOW - 120, fix))


def bare_trunk() -> TrunkState:
    """Return a trunk without any optional value."""
    quiet = TrunkOrder(TRUNK._replace(branch="release/1"), ())
    return evaluate(MemoryRows(), quiet)


def sources() -> tuple[SourceStatus, ...]:
    """Return a source that is well, and one that has never answered."""
    return (
        SourceStatus(
            "ci",
            True,
            True,
            NOW - 5,
            1.25,
            60.0,
            quota_remaining=4800,
            unread=12,
            limitations={"checks": "no steps"},
        ),
        SourceStatus("other", False, True, None, None, 300.0, problem="refused"),
    )


def snapshot() -> Snapshot:
    """Return the snapshot of the sample."""
    return Snapshot(
        NOW, (main_trunk(), bare_trunk()), sources(), complete=True, ended=(ended_alert(),)
    )


def totals() -> Totals:
    """Return one count of every counter."""
    return Totals(
        {
            ("ci_job_retired_total", *TRUNK, "removed"): 2,
            ("ci_job_retired_total", *TRUNK, "removed_broken"): 0,
            ("trunkwatch_webhook_deliveries_total", "accepted"): 7,
            ("trunkwatch_http_refused_total", "late_head"): 2,
            ("trunkwatch_source_requests_total", "ci", "200"): 12,
            ("trunkwatch_source_requests_total", "other", "error"): 3,
            ("trunkwatch_source_errors_total", "other", "unreachable"): 3,
            ("trunkwatch_source_rows_dropped_total", "ci", "bad_time"): 2,
            ("trunkwatch_unknown_conclusions_total", *TRUNK, "strange"): 1,
            ("trunkwatch_off_trunk_runs_total", *TRUNK, "head_repo"): 4,
            ("trunkwatch_label_values_cut_total",): 3,
            ("trunkwatch_store_rows",): 3000,
            ("trunkwatch_store_bytes",): 800_000,
            ("trunkwatch_store_oldest_timestamp_seconds",): 1_764_201_600,
            ("trunkwatch_jobs_dropped_total",): 0,
            ("trunkwatch_shard_info", "3", "8"): 1,
            ("trunkwatch_shards", "8"): 8,
            ("trunkwatch_trunk_rewrites_total", *TRUNK): 1,
        }
    )
