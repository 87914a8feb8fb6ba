"""A trunk's state: its jobs' rows, startup failures, retirement, names and exemptions."""

from typing import Any

import pytest
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import STARTUP_JOB, Observation, TrunkOrder
from trunkwatch.domain.names import FoldRule, Naming
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    FOLDED,
    HOUR,
    NOW,
    MemoryRows,
    evaluate,
    evaluate_histories,
    history,
    job_named,
    jobs_of,
    place_of,
    row,
    trunk,
    unfinished,
)

FEW = 5
RETIRES_SOON = Policy(retire_after=FEW)


def verdicts(state: TrunkState, name: str, workflow: str = "ci") -> str:
    return " ".join(job_named(state, name, workflow).verdicts)


# ---------------------------------------------------------------------- which rows make a job


def test_jobs_are_sorted() -> None:
    """All jobs are listed, by workflow and name."""
    rows = [row(job="b"), row(job="a"), row(job="a", workflow="bench")]
    assert list(jobs_of(evaluate(rows, trunk(1)))) == ["bench / a", "ci / a", "ci / b"]


def test_shards_are_one_job() -> None:
    """Rows that fold to one name are one job; without its rule they are two."""
    rows = history("P|P F|P F|. F|P")
    assert job_named(evaluate(rows, trunk(4), Policy(naming=FOLDED)), "job").broken
    assert len(evaluate(rows, trunk(4)).jobs) == 2


def test_a_cancelled_shard_holds_the_streak() -> None:
    """A green shard beside a cancelled one neither ends the streak nor closes the outage."""
    state = evaluate(history("P|P F|P F|P F|P P|-"), trunk(5), Policy(naming=FOLDED))
    assert (job_named(state, "job").consecutive_failures, job_named(state, "job").broken) == (
        3,
        True,
    )
    closed = evaluate(history("P|P F|P F|P F|P P|s"), trunk(5), Policy(naming=FOLDED))
    assert not job_named(closed, "job").broken


def test_ignored_jobs_are_not_listed() -> None:
    """A job that the configuration ignores is not listed."""
    policy = Policy(naming=Naming(ignore=(Pattern("b"),)))
    assert list(jobs_of(evaluate_histories({"a": "F", "b": "F"}, policy))) == ["ci / a"]


def test_an_alias_joins_histories() -> None:
    """An alias continues the old name's streak under the new one."""
    policy = Policy(naming=Naming(aliases={("ci", "old"): "new"}))
    state = evaluate_histories({"old": "P F F .", "new": ". . . F"}, policy)
    assert list(jobs_of(state)) == ["ci / new"]
    assert job_named(state, "new").broken


def test_each_job_is_in_one_group() -> None:
    """The first group that matches gives a job its thresholds."""
    groups = (
        Group("a", "t", "P1", match=Match(job_name=Pattern("a"))),
        Group("rest", "t", "P2"),
    )
    state = evaluate_histories({"a": "P", "b": "P"}, Policy(groups=groups))
    assert [job.group.name for job in state.jobs] == ["a", "rest"]


def test_a_nightly_is_counted_by_runs() -> None:
    """In a group that counts runs, three failing runs of one commit break a job."""
    policy = Policy(groups=(Group("nightly", "t", "P2", count=Count.RUNS),))
    state = evaluate(history("P/F/F/F"), trunk(1), policy)
    assert job_named(state, "job").broken


def test_a_runs_number_may_come_from_another_job() -> None:
    """A run is placed by its number even where the job's own row leaves it out."""
    policy = Policy(groups=(Group("nightly", "t", "P2", count=Count.RUNS),))
    rows = [
        row(run_id=1, conclusion="failure"),
        row(run_id=1, job="other", run_number=8),
        row(run_id=2, run_number=7),
    ]
    assert verdicts(evaluate(rows, trunk(1), policy), "job") == "PASS FAIL"


# ---------------------------------------------------------------------- what does not count


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha": "f" * 40}, "commit"),
        ({"head_repo": "fork/r"}, "head_repo"),
        ({"head_branch": "topic"}, "head_branch"),
        ({"event": "pull_request"}, "event"),
    ],
)
def test_foreign_runs_change_no_job(changes: dict[str, Any], reason: str) -> None:
    """A run that does not count is counted by reason and changes no state."""
    plain = evaluate_histories({"job": "P F F"})
    foreign = [row(2, run_id=77, conclusion="failure").changed(**changes) for _ in range(2)]
    state = evaluate_histories({"job": "P F F"}, extra=foreign)
    assert state.jobs == plain.jobs
    assert state.ignored_runs == {reason: 1}


def test_a_job_seen_only_elsewhere_is_no_job() -> None:
    """A job without a row that counts is not listed."""
    state = evaluate([row(job="a"), row(job="b", event="pull_request")], trunk(1))
    assert list(jobs_of(state)) == ["ci / a"]


def test_unknown_words_are_counted() -> None:
    """Words that the evidence table does not list are counted over the whole trunk."""
    rows = [row(place, conclusion="strange") for place in range(3)] + [row(0, "b", None)]
    assert evaluate(rows, trunk(3)).unknown_words == {"strange": 3, "null": 1}


# ---------------------------------------------------------------------- startup failures


def test_a_startup_failure_is_a_pseudo_job() -> None:
    """A run without jobs fails the `(startup)` job of its workflow, whatever its job name."""
    rows = [row(0, "a"), row(1, "any name", "startup_failure")]
    state = evaluate(rows, trunk(2))
    assert list(jobs_of(state)) == [f"ci / {STARTUP_JOB}", "ci / a"]
    assert verdicts(state, STARTUP_JOB) == "PASS FAIL"


def test_a_workflow_that_starts_has_no_pseudo_job() -> None:
    """The pseudo-job exists once a start has failed, not before."""
    assert list(jobs_of(evaluate([row()], trunk(1)))) == ["ci / job"]


@pytest.mark.parametrize("conclusion", ["success", "failure", "cancelled", "skipped"])
def test_any_job_row_passes_the_startup(conclusion: str) -> None:
    """Any row of the workflow proves that it started, whatever its conclusion."""
    rows = [row(0, "x", "startup_failure"), row(1, "a", conclusion), row(2, "x", "startup_failure")]
    assert verdicts(evaluate(rows, trunk(3)), STARTUP_JOB) == "FAIL PASS FAIL"


def test_a_rerun_that_starts_makes_it_flaky() -> None:
    """A run that failed to start and then started at the same commit is a flake."""
    rows = [row(0, "x", "startup_failure"), row(0, "a", attempt=2)]
    assert verdicts(evaluate(rows, trunk(1)), STARTUP_JOB) == "FLAKY"


def test_startup_failures_open_an_outage() -> None:
    """Three commits in a row on which the workflow did not start are an outage."""
    rows = [row(0, "a"), *(row(place, "x", "startup_failure") for place in (1, 2, 3))]
    job = job_named(evaluate(rows, trunk(4)), STARTUP_JOB)
    assert job.broken
    assert job.blame is not None
    assert (place_of(job.blame.first_bad), place_of(job.blame.last_good)) == (1, 0)


def test_other_workflows_do_not_prove_a_start() -> None:
    """Only rows of the same workflow are a pass of its startup."""
    rows = [row(0, "x", "startup_failure"), row(1, "a", workflow="other")]
    assert verdicts(evaluate(rows, trunk(2)), STARTUP_JOB) == "FAIL"


def test_a_fork_proves_no_start() -> None:
    """A row that does not count is no proof of a start, and a fork's failed start is none."""
    rows = [
        row(0, "x", "startup_failure"),
        row(1, "a", head_repo="fork/r"),
        row(0, "a", workflow="other"),
        row(0, "x", "startup_failure", workflow="other", head_repo="fork/r"),
    ]
    state = evaluate(rows, trunk(2))
    assert list(jobs_of(state)) == [f"ci / {STARTUP_JOB}", "other / a"]
    assert verdicts(state, STARTUP_JOB) == "FAIL"


# ---------------------------------------------------------------------- removed jobs


def present(name: str, *places: int, conclusion: str = "success") -> list[Observation]:
    return [row(place, name, conclusion) for place in places]


@pytest.mark.parametrize(("commits", "listed"), [(50, True), (51, False)])
def test_a_job_is_removed_after_fifty_commits(commits: int, listed: bool) -> None:
    """After 49 completed commits without it a job is still listed, after 50 it is not."""
    rows = [*present("stays", *range(commits)), *present("gone", 0)]
    state = evaluate(rows, trunk(commits))
    assert ("ci / gone" in jobs_of(state)) is listed
    assert state.retired == {"removed": 0 if listed else 1, "removed_broken": 0}


def test_a_removed_outage_ends_as_removed() -> None:
    """A job that was broken when it was retired is counted apart."""
    rows = [*present("stays", *range(12)), *present("gone", 0, 1, 2, conclusion="failure")]
    state = evaluate(rows, trunk(12), RETIRES_SOON)
    assert state.retired == {"removed": 0, "removed_broken": 1}
    assert state.groups[0].failing == 0


@pytest.mark.parametrize(
    "others",
    [
        [],
        [row(place, "stays", "cancelled") for place in range(1, 20)],
        [unfinished(place, "stays", created_at=NOW) for place in range(1, 20)],
        [row(place, "stays", workflow="other") for place in range(1, 20)],
        [row(place, "stays", "startup_failure") for place in range(1, 20)],
    ],
    ids=["no run", "cancelled", "pending", "another workflow", "not started"],
)
def test_only_a_completed_workflow_removes(others: list[Observation]) -> None:
    """Commits on which the job's own workflow did not complete prove nothing."""
    assert "ci / gone" in jobs_of(evaluate([row(0, "gone"), *others], trunk(20), RETIRES_SOON))


def test_no_streak_expires_by_the_clock() -> None:
    """However long a workflow does not run, its jobs stay broken."""
    state = evaluate(history("P F F F"), trunk(4), now=NOW + 10_000 * HOUR)
    assert job_named(state, "job").broken


def test_a_skipped_matrix_keeps_its_jobs() -> None:
    """A matrix that was skipped as one row keeps the jobs that it stands for."""
    for conclusion, listed in (("skipped", True), ("neutral", True), ("success", False)):
        parents = [row(place, "test", conclusion) for place in range(1, 20)]
        rows = [row(0, "test (gpu)", "failure"), *parents, *present("stays", *range(20))]
        state = evaluate(rows, trunk(20), RETIRES_SOON)
        assert ("ci / test (gpu)" in jobs_of(state)) is listed


def test_another_matrix_keeps_nothing() -> None:
    """A skipped row of another name, workflow or repository stands for other jobs."""
    strangers = [
        *(row(place, "tests", "skipped") for place in range(1, 20)),
        *(row(place, "test", "skipped", workflow="other") for place in range(1, 20)),
        *(row(place, "test", "skipped", head_repo="fork/r") for place in range(1, 20)),
    ]
    rows = [row(0, "test (gpu)"), *strangers, *present("stays", *range(20))]
    assert "ci / test (gpu)" not in jobs_of(evaluate(rows, trunk(20), RETIRES_SOON))


def test_a_folded_job_has_its_matrix_too() -> None:
    """The parent of a folded job is that of its folded name."""
    fold = FoldRule(Pattern(r"(.*) \(([a-z]+), \d+\)"), r"\1 (\2)")
    parents = [row(place, "a / test", "skipped") for place in range(1, 20)]
    rows = [row(0, "a / test (core, 1)"), *parents]
    policy = Policy(naming=Naming(fold=(fold,)), retire_after=FEW)
    assert "ci / a / test (core)" in jobs_of(evaluate(rows, trunk(20), policy))


def back_after(absence: int) -> TrunkState:
    """Return a trunk on which a broken job was absent from so many completed commits."""
    back = 3 + absence
    rows = [
        *present("comes back", 0, 1, 2, conclusion="failure"),
        *present("comes back", back, conclusion="failure"),
        *present("stays", *range(back + 1)),
    ]
    return evaluate(rows, trunk(back + 1), RETIRES_SOON)


@pytest.mark.parametrize("absence", [FEW - 1, FEW, 3 * FEW])
def test_a_job_that_comes_back_goes_on_with_its_history(absence: int) -> None:
    """A rare job's outage goes on when it comes back, however long it was absent."""
    assert job_named(back_after(absence), "comes back").consecutive_failures == 4
    assert job_named(back_after(absence), "comes back").broken


def test_a_job_that_came_back_is_not_counted_as_removed() -> None:
    """A job that came back is listed and no longer among the removed."""
    assert back_after(FEW).retired == {"removed": 0, "removed_broken": 0}


def test_the_rows_that_a_job_is_evaluated_from() -> None:
    """The rows behind a job are those that count, under all of its names; others have none."""
    rows = [
        row(0, "old", run_id=1),
        row(1, "new", run_id=2),
        row(1, "new", run_id=3, event="pull_request"),
        row(1, "else", run_id=4),
    ]
    order = trunk(2)
    evaluator = TrunkEvaluator(
        order, Policy(naming=Naming(aliases={("ci", "old"): "new"})), MemoryRows(rows)
    )
    key = job_named(evaluator.update(order, {}, NOW), "new").key
    assert {each.run_id for each in evaluator.rows_of(key)} == {1, 2}
    assert evaluator.rows_of(key._replace(job_name="unheard of")) == []


# ---------------------------------------------------------------------- workflows' names


def test_a_renamed_workflow_keeps_its_history() -> None:
    """A workflow with a path keeps its history when renamed; a streak holds its name."""
    rows = [
        *(row(p, conclusion="failure", workflow="new", path="w/a.yml") for p in (2, 3)),
        *(row(p, conclusion="failure", workflow="old", path="w/a.yml") for p in (0, 1)),
    ]
    state = evaluate(rows, trunk(5))
    assert list(jobs_of(state)) == ["old / job"]
    assert job_named(state, "job", "old").consecutive_failures == 4
    repaired = [*rows, row(4, workflow="new", path="w/a.yml")]
    assert list(jobs_of(evaluate(repaired, trunk(5)))) == ["new / job"]


def test_without_a_path_the_name_is_the_workflow() -> None:
    """Without a path a rename is another workflow."""
    state = evaluate([row(0, workflow="old"), row(1, workflow="new")], trunk(2))
    assert list(jobs_of(state)) == ["new / job", "old / job"]


def test_two_workflows_of_one_name_stay_two() -> None:
    """Two files of one name are two workflows; the one that came first keeps the name alone."""
    rows = [row(path="w/a.yml"), row(path="w/b.yml", conclusion="failure")]
    assert list(jobs_of(evaluate(rows, trunk(1)))) == ["ci / job", "ci (b.yml) / job"]
    later = [row(1, path="w/a.yml"), row(0, path="w/b.yml")]
    assert list(jobs_of(evaluate(later, trunk(2)))) == ["ci / job", "ci (a.yml) / job"]


def test_a_workflow_seen_elsewhere_renames_no_other() -> None:
    """A second workflow of that name which only runs on forks or pull requests changes nothing."""
    rows = [
        row(path="w/a.yml"),
        row(path="w/b.yml", event="pull_request"),
        *(row(p, "x", path="w/b.yml", head_repo="fork/r") for p in range(10)),
    ]
    assert list(jobs_of(evaluate(rows, trunk(1)))) == ["ci / job"]


# ---------------------------------------------------------------------- known broken


def exempt(until: float | None, name: str = ".*") -> Policy:
    match = Match(job_name=Pattern(name))
    return Policy(known_broken=(KnownBroken(match, "being replaced", until),))


def test_an_exemption_ends() -> None:
    """An exemption holds until its end, and not at it."""
    rows, order = history("P F F F"), trunk(4)
    before = job_named(evaluate(rows, order, exempt(NOW + 0.001)), "job")
    assert before.known_broken == ("being replaced", NOW + 0.001)
    assert before.broken
    assert not before.alerting
    at_end = job_named(evaluate(rows, order, exempt(NOW)), "job")
    assert at_end.known_broken is None
    assert at_end.alerting


def test_an_exemption_without_an_end() -> None:
    """Without an end an exemption holds for ever."""
    state = evaluate(history("P F F F"), trunk(4), exempt(None), now=NOW + 1e9)
    assert job_named(state, "job").known_broken == ("being replaced", None)


def test_the_first_exemption_that_holds_is_used() -> None:
    """An exemption that has ended or does not match is skipped."""
    policy = Policy(
        known_broken=(
            KnownBroken(Match(), "over", NOW - 1),
            KnownBroken(Match(job_name=Pattern("other")), "of another job"),
            KnownBroken(Match(), "holds"),
        )
    )
    assert job_named(evaluate(history("P"), trunk(1), policy), "job").known_broken == (
        "holds",
        None,
    )


# ---------------------------------------------------------------------- time


def test_the_next_change_by_time() -> None:
    """Time alone changes the trunk when the first pending row or exemption ends."""
    pending = unfinished(0, created_at=NOW - HOUR)
    limit = NOW - HOUR + PENDING_LIMIT
    assert evaluate([pending], trunk(1)).changes_at == limit
    assert evaluate([pending], trunk(1), exempt(NOW + 60)).changes_at == NOW + 60
    assert evaluate([pending], trunk(1), exempt(NOW + 1e9)).changes_at == limit
    assert evaluate([row()], trunk(1)).changes_at is None
    assert evaluate([row()], trunk(1), exempt(None)).changes_at is None


def test_time_alone_renews_a_state() -> None:
    """An update with nothing new lets a pending row and an exemption end when their time comes."""
    order, until = trunk(1), NOW + 40 * HOUR
    evaluator = TrunkEvaluator(order, exempt(until), MemoryRows([unfinished(0, created_at=NOW)]))
    assert verdicts(evaluator.update(order, {}, NOW), "job") == "PENDING"
    assert verdicts(evaluator.update(order, {}, NOW + PENDING_LIMIT), "job") == "PENDING"
    assert verdicts(evaluator.update(order, {}, NOW + PENDING_LIMIT + 1), "job") == "NONE"
    assert job_named(evaluator.update(order, {}, until - 1), "job").known_broken is not None
    assert job_named(evaluator.update(order, {}, until), "job").known_broken is None


def test_a_dead_row_completes_its_workflow() -> None:
    """A job is retired when commits without it complete because a pending row expired."""
    order = trunk(FEW + 1)
    rows = [row(0, "gone"), row(0, "stays")]
    for place in range(1, FEW + 1):
        rows += [row(place, "stays"), unfinished(place, "dead", created_at=NOW)]
    evaluator = TrunkEvaluator(order, RETIRES_SOON, MemoryRows(rows))
    assert "ci / gone" in jobs_of(evaluator.update(order, {}, NOW + PENDING_LIMIT))
    assert "ci / gone" not in jobs_of(evaluator.update(order, {}, NOW + PENDING_LIMIT + 1))


# ---------------------------------------------------------------------- what changes later


def test_a_late_result_may_move_first_bad() -> None:
    """A late result for an older commit may move first bad and last good."""
    rows, late = history("P . F F F"), row(1, conclusion="failure", run_id=9)
    stored, order = MemoryRows(rows), trunk(5)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    before = job_named(evaluator.update(order, {}, NOW), "job").blame
    after = job_named(evaluator.update(order, stored.add([late]), NOW), "job").blame
    assert before is not None
    assert after is not None
    assert (place_of(before.first_bad), place_of(after.first_bad)) == (2, 1)


def test_a_force_push_reorders() -> None:
    """After a force push the order is the new tip's; results follow their commit."""
    rows, order = history("P F F F"), trunk(4)
    evaluator = TrunkEvaluator(order, Policy(), MemoryRows(rows))
    assert job_named(evaluator.update(order, {}, NOW), "job").broken
    rewritten = TrunkOrder(order.trunk, (*order.commits[1:3], order.commits[0]))
    state = evaluator.update(rewritten, {}, NOW)
    assert verdicts(state, "job") == "FAIL FAIL PASS"
    assert state.ignored_runs == {"commit": 1}


def test_a_result_may_come_before_its_commit() -> None:
    """A run counts once its commit is on the trunk."""
    stored = MemoryRows(history("P F F"))
    later = trunk(4)
    earlier = TrunkOrder(later.trunk, later.commits[:3])
    evaluator = TrunkEvaluator(earlier, Policy(), stored)
    assert not job_named(evaluator.update(earlier, {}, NOW), "job").broken
    early = stored.add([row(3, conclusion="failure")])
    assert not job_named(evaluator.update(earlier, early, NOW), "job").broken
    state = evaluator.update(later, {}, NOW)
    assert job_named(state, "job").broken
    assert state.ignored_runs == {}


def test_another_jobs_late_result_may_remove_a_job() -> None:
    """A job is retired when a commit completes late, and listed again when it is run again."""
    rows = [row(0, "gone"), *present("stays", 0, *range(2, FEW + 1))]
    order, stored = trunk(FEW + 1), MemoryRows(rows)
    evaluator = TrunkEvaluator(order, RETIRES_SOON, stored)
    assert "ci / gone" in jobs_of(evaluator.update(order, {}, NOW))
    late = stored.add([row(1, "stays")])
    assert "ci / gone" not in jobs_of(evaluator.update(order, late, NOW))
    rerun = stored.add([unfinished(1, "stays", run_id=99, created_at=NOW)])
    assert "ci / gone" in jobs_of(evaluator.update(order, rerun, NOW))


def test_another_jobs_late_result_may_number_a_run() -> None:
    """A run that gets its number from another job's late result is reordered at once."""
    policy = Policy(groups=(Group("nightly", "t", "P2", count=Count.RUNS),))
    order, stored = trunk(1), MemoryRows([row(run_id=1, conclusion="failure")])
    stored.add([row(run_id=2, run_number=7), row(run_id=1, job="other")])
    evaluator = TrunkEvaluator(order, policy, stored)
    assert verdicts(evaluator.update(order, {}, NOW), "job") == "FAIL PASS"
    late = stored.add([row(run_id=1, job="other", run_number=8)])
    assert verdicts(evaluator.update(order, late, NOW), "job") == "PASS FAIL"
