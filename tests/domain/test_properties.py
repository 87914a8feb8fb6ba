"""Properties of every history."""

from collections.abc import Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.columns import event_verdicts
from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobRules, JobState, by_commit, evaluate_job, walk_commits
from trunkwatch.domain.model import JobKey, Observation, Verdict
from trunkwatch.domain.outage import OutageWalk, Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.walk import JobWalk

from tests.domain.builders import (
    NOW,
    RULES,
    TRUNK,
    MemoryRows,
    evaluate,
    history,
    job_state,
    length,
    place_of,
    trunk,
)
from tests.domain.scripts import (
    COMMITS,
    batches,
    bounded,
    policies,
    raw_jobs,
    thresholds,
    verdict_texts,
)
from tests.reference.strategies import notations

ORDER = trunk(COMMITS)


@bounded
@given(batches(40), policies(), st.randoms(use_true_random=False))
def test_arrival_does_not_matter(rows: list[Observation], policy: Policy, random: Random) -> None:
    """Any order of arrival gives the same state of the whole trunk."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert evaluate(MemoryRows(rows, 1), ORDER, policy) == evaluate(
        MemoryRows(shuffled, 2), ORDER, policy
    )


@bounded
@given(batches(30), policies())
def test_reading_again_changes_nothing(rows: list[Observation], policy: Policy) -> None:
    """Reporting everything again changes no state and touches no job."""
    stored = MemoryRows(rows)
    once = evaluate(stored, ORDER, policy)
    stored.add(rows)
    assert evaluate(stored, ORDER, policy) == once


@bounded
@given(batches(25, foreign=False), batches(15, foreign=True), policies())
def test_foreign_runs_change_no_state(
    own: list[Observation], foreign: list[Observation], policy: Policy
) -> None:
    """Forks, topic branches and other events never change a job, a group or the trunk."""
    alone, together = evaluate(own, ORDER, policy), evaluate([*own, *foreign], ORDER, policy)
    assert together.jobs == alone.jobs
    assert together.groups == alone.groups
    assert (together.mass_breakage, together.green) == (alone.mass_breakage, alone.green)
    assert (together.retired, together.unknown_words) == (alone.retired, alone.unknown_words)
    assert together.changes_at == alone.changes_at
    assert alone.ignored_runs == {}


@bounded
@given(batches(25, foreign=False), batches(15, foreign=False), policies())
def test_commits_off_the_chain_change_no_state(
    rows: list[Observation], others: list[Observation], policy: Policy
) -> None:
    """Runs of commits that are not on the chain change no job, group or state of the trunk."""
    half = trunk(COMMITS // 2)
    on_chain = [each for each in rows if each.sha in half.index]
    off_chain = [each for each in others if each.sha not in half.index]
    alone, together = (
        evaluate(on_chain, half, policy),
        evaluate([*on_chain, *off_chain], half, policy),
    )
    assert together.jobs == alone.jobs
    assert together.retired == alone.retired
    assert together.green == alone.green


@bounded
@given(batches(25, foreign=False), batches(25, foreign=False), raw_jobs)
def test_other_jobs_do_not_matter(
    own: list[Observation], others: list[Observation], raw: object
) -> None:
    """A job's state does not depend on other jobs' rows, unless jobs are retired."""
    # Startup failures are left out: they are about the whole workflow.
    policy = Policy(retire_after=COMMITS + 1)
    mine = [each for each in own if each.job == raw and each.conclusion != "startup_failure"]
    # The same workflows in both, so that their display names are the same.
    names = [each for each in others if each.job != raw and each.conclusion != "startup_failure"]
    shown = {(each.job.workflow_key, each.sha) for each in mine}
    rest = [each for each in names if (each.job.workflow_key, each.sha) in shown]
    same_name = [each for each in rest if each.job.workflow_name == mine[0].job.workflow_name]
    alone, together = evaluate(mine, ORDER, policy), evaluate([*mine, *same_name], ORDER, policy)
    found = {job.key: job for job in together.jobs}
    assert [found[job.key] for job in alone.jobs] == list(alone.jobs)


@bounded
@given(verdict_texts(), thresholds(), st.integers(1, 6))
def test_further_fails_move_nothing(text: str, limits: Thresholds, more: int) -> None:
    """A FAIL on top of an open outage moves neither first bad nor last good."""
    group = Group("g", "t", "P2", limits)
    before, after = job_state(text, group=group), job_state(text + " F" * more, group=group)
    if before.broken:
        assert after.broken
        assert _ends(after) == _ends(before)
        assert after.failures_in_outage == before.failures_in_outage + more


def _ends(job: JobState) -> tuple[int | None, int | None, object]:
    assert job.blame is not None
    return place_of(job.blame.first_bad), place_of(job.blame.last_good), job.blame.url


@bounded
@given(notations(), st.integers(1, 5), st.integers(1, 3))
def test_a_long_streak_is_an_outage(text: str, failures: int, passes: int) -> None:
    """A streak of N or more is an open outage, and an open outage has at least N FAILs."""
    job = job_state(text, failures_to_open=failures, passes_to_close=passes)
    if job.consecutive_failures >= failures:
        assert job.broken
    if job.broken:
        assert job.failures_in_outage >= max(failures, job.consecutive_failures)
        assert job.blame is not None
    else:
        assert job.failures_in_outage == 0


@bounded
@given(notations())
def test_last_good_passed_and_first_bad_failed(text: str) -> None:
    """First bad is a FAIL, last good a PASS before it, without a verdict between them."""
    job = job_state(text, failures_to_open=2)
    if job.blame is None:
        return
    said = dict(zip(job.commit_indexes, job.verdicts, strict=True))
    assert said[job.blame.commit_index] is Verdict.FAIL
    good = place_of(job.blame.last_good)
    if good is not None:
        assert said[good] is Verdict.PASS
        between = [
            said[place] for place in range(good + 1, job.blame.commit_index) if place in said
        ]
        assert not any(verdict.decided for verdict in between)
        assert [place_of(c) for c in job.blame.suspects or ()] == [
            *range(good + 1, job.blame.commit_index + 1)
        ]
    else:
        assert job.blame.suspects is None


def _outages(verdicts: Sequence[Verdict], limits: Thresholds) -> OutageWalk:
    walk = OutageWalk()
    for place, verdict in enumerate(verdicts):
        walk.add(place, verdict, limits)
    return walk


@bounded
@given(st.lists(st.sampled_from(Verdict), max_size=14), thresholds(), st.integers(0, 3))
def test_no_answer_is_transparent(
    verdicts: Sequence[Verdict], limits: Thresholds, blanks: int
) -> None:
    """Commits without a verdict change neither streak nor outage, wherever they are."""
    silent = (Verdict.NONE, Verdict.PENDING)
    answers = [verdict for verdict in verdicts if verdict not in silent]
    padded = [v for verdict in verdicts for v in [verdict, *silent[:blanks]]]
    one, other = (_outages(each, limits) for each in (padded, answers))
    assert (one.fails, one.passes) == (other.fails, other.passes)
    assert (one.open_from is None) == (other.open_from is None)
    if one.open_from is not None and other.open_from is not None:
        assert (one.open_from[1] is None) == (other.open_from[1] is None)


@bounded
@given(notations(), st.integers(0, 2**16))
def test_a_jobs_rows_have_no_order(text: str, seed: int) -> None:
    """A job's state is the same for any order of its rows, each reported once or twice."""
    rows, order = history(text), trunk(length(text))
    job = job_state(text)
    again = MemoryRows([*rows, *reversed(rows)], seed).all_rows()
    key = JobKey(*TRUNK, "ci", "job")
    assert evaluate_job(key, again, JobRules(job.group, order, Policy().evidence, NOW)) == job


@pytest.mark.parametrize("limits", [Thresholds(1, 2), Thresholds(2, 1, flaky_closes=True)])
def test_passes_are_walked_together(limits: Thresholds) -> None:
    """A walk that takes passing commits together ends like one that takes each alone."""
    rules = JobRules(Group("g", "t", "P2", limits), ORDER, RULES, NOW)
    for text in product(("P", "F", "FP", "?"), repeat=5):
        rows = history(" ".join(text))
        rows[::2] = [each.changed(event="schedule") for each in rows[::2]]
        commits = by_commit(rules.columns(rows))
        together, alone = JobWalk(), JobWalk()
        walk_commits(together, commits, "job", rules)
        for columns in commits:
            events = event_verdicts(columns, ORDER, RULES, rules.group.count, NOW)
            alone.add(columns, events, ORDER, limits)
        assert together == alone, text
