"""The back-test: every outage of a history, and the notifications of each team."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from trunkwatch.domain.columns import Count
from trunkwatch.domain.groups import Group, Match, Override
from trunkwatch.domain.model import Commit, JobKey, Observation, RawJob, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.backtest import BackTest, Notification, all_teams
from trunkwatch.engine.outage_history import Moment, PastOutage
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.patterns import Pattern

from tests.domain.builders import (
    NOW,
    TRUNK,
    MemoryRows,
    evaluate,
    history,
    length,
    place_of,
    row,
    trunk,
)
from tests.domain.scripts import COMMITS, batches, bounded, policies, thorough

Notified = tuple[int, str, list[str], list[str]]
"""One notification: commit index, group, jobs that broke, jobs that no longer are broken."""


def evaluated(
    rows: Iterable[Observation],
    order: TrunkOrder,
    policy: Policy,
    failures_to_open: int | None = None,
) -> tuple[TrunkState, BackTest]:
    """Return a trunk's current state and its replay."""
    evaluator = TrunkEvaluator(order, policy, MemoryRows(rows))
    return evaluator.update(order, {}, NOW), evaluator.back_test(NOW, failures_to_open)


def replay(
    histories: Mapping[str, str], policy: Policy | None = None, failures_to_open: int | None = None
) -> BackTest:
    """Replay the jobs of one workflow, all of one length."""
    (commits,) = {length(text) for text in histories.values()}
    rows = [each for name, text in histories.items() for each in history(text, name)]
    return evaluated(rows, trunk(commits), policy or Policy(), failures_to_open)[1]


def group(name: str = "g", thresholds: Thresholds | None = None, **settings: object) -> Group:
    """Return a group of all jobs whose name begins with its name."""
    match = Match(job_name=Pattern(f"{name}.*"))
    made = Group(name, f"team-{name}", "P2", thresholds or Thresholds(), match=match)
    return replace(made, **settings)  # type: ignore[arg-type]  # any of its fields


def described(outage: PastOutage) -> tuple[int | None, int | None, int, int | None, str, int]:
    """Return first bad, last good, the commits of its opening and closing, how, and failures."""
    closed = outage.closed.commit_index if outage.closed else None
    ends = place_of(outage.first_bad), place_of(outage.last_good)
    return (
        *ends,
        outage.opened.commit_index,
        closed,
        str(outage.ending),
        outage.failures_in_outage,
    )


def notified(test: BackTest) -> list[Notified]:
    """Return the notifications, each in short."""
    return [_in_short(each) for each in test.notifications]


def _in_short(each: Notification) -> Notified:
    broken, ended = ([key.job_name for key in keys] for keys in (each.broken, each.ended))
    return each.moment.commit_index, each.group.name, broken, ended


# ---------------------------------------------------------------------- outages

THREE, TWO = Thresholds(3), Thresholds(2)


@pytest.mark.parametrize(
    ("text", "limits", "outages", "one_off"),
    [
        ("P F F P F P", THREE, [], 3),
        ("P F F F", THREE, [(1, 0, 3, None, "open", 3)], 0),
        ("P F F F F P", THREE, [(1, 0, 3, 5, "passed", 4)], 0),
        ("P F F P F F F P", THREE, [(4, 3, 6, 7, "passed", 3)], 2),
        ("P F F P F F F P", TWO, [(1, 0, 2, 3, "passed", 2), (4, 3, 5, 7, "passed", 3)], 0),
        ("F F F P", THREE, [(0, None, 2, 3, "passed", 3)], 0),
        ("P . F - F ? F . P", THREE, [(2, 0, 6, 8, "passed", 3)], 0),
        ("P K F F F P", THREE, [(2, None, 4, 5, "passed", 3)], 0),
        ("P F F K F P", THREE, [], 3),
        ("P F F F P F P P F", Thresholds(3, 2), [(1, 0, 3, 7, "passed", 4)], 1),
        ("P F F F P F F P", Thresholds(3, 2), [(1, 0, 3, None, "open", 5)], 0),
        ("P F F F K F P", THREE, [(1, 0, 3, 6, "passed", 4)], 0),
        ("P F F F K F P", Thresholds(3, 1, True), [(1, 0, 3, 4, "flaked", 3)], 1),
        ("P F P F P", Thresholds(1), [(1, 0, 1, 2, "passed", 1), (3, 2, 3, 4, "passed", 1)], 0),
    ],
)
def test_outages_of_one_job(
    text: str, limits: Thresholds, outages: list[object], one_off: int
) -> None:
    """Each outage has its first bad, last good, opening, closing, ending and failures."""
    test = replay({"g": text}, Policy(groups=(group("g", limits),)))
    assert [described(outage) for outage in test.outages] == outages
    assert [(team.outages, team.one_off) for team in test.teams] == [(len(outages), one_off)]


def test_another_threshold_is_tried_for_every_job() -> None:
    """A given N replaces the N of groups and of single jobs."""
    override = Override(Pattern("g slow"), Thresholds(9, 2))
    policy = Policy(groups=(group(overrides=(override,)),))
    histories = {"g": "P F F P P", "g slow": "P F F P P"}
    assert replay(histories, policy).outages == ()
    tried = replay(histories, policy, failures_to_open=2)
    assert [(o.key.job_name, o.failures_to_open, described(o)[3]) for o in tried.outages] == [
        ("g", 2, 3),
        ("g slow", 2, 4),
    ]


def test_suspects_are_counted() -> None:
    """The suspects are the commits after last good, or their number is unknown."""
    assert [o.suspects for o in replay({"a": "P . F F F"}).outages] == [2]
    assert [o.suspects for o in replay({"a": ". . F F F"}).outages] == [None]


def test_runs_of_one_commit_are_replayed_one_after_another() -> None:
    """Where runs are counted, an outage that opens and closes at one commit notifies twice."""
    policy = Policy(groups=(group(count=Count.RUNS),))
    test = replay({"g": "P F/F/F/P P"}, policy)
    assert [described(outage) for outage in test.outages] == [(1, 0, 1, 1, "passed", 3)]
    assert notified(test) == [(1, "g", ["g"], []), (1, "g", [], ["g"])]
    assert [o.suspects for o in replay({"g": "P/F F F"}, policy).outages] == [0]


# ---------------------------------------------------------------------- times


def test_a_change_is_dated_by_the_result_that_decides() -> None:
    """An outage opens and closes when the newest attempt of the deciding commit ended."""
    rows = [
        row(0, completed_at=10.0),
        *(row(place, conclusion="failure", completed_at=20.0 + place) for place in (1, 2)),
        row(3, conclusion="failure", attempt=1, completed_at=40.0),
        row(3, conclusion="failure", attempt=2, completed_at=50.0),
        row(4, completed_at=60.0),
    ]
    _, test = evaluated(rows, trunk(5), Policy())
    (outage,) = test.outages
    assert (outage.opened.at, outage.closed and outage.closed.at) == (50.0, 60.0)
    assert [each.moment.at for each in test.notifications] == [50.0, 60.0]


@pytest.mark.parametrize("committed_at", [7.0, None])
def test_without_a_time_of_its_own_the_commits_is_used(committed_at: float | None) -> None:
    """Without an end time of a result the commit's time is used, or it is unknown."""
    commits = tuple(replace(each, committed_at=committed_at) for each in trunk(3).commits)
    rows = [row(place, conclusion="failure") for place in range(3)]
    _, test = evaluated(rows, TrunkOrder(TRUNK, commits), Policy())
    assert [outage.opened.at for outage in test.outages] == [committed_at]
    assert [each.moment.at for each in test.notifications] == [committed_at]


def test_a_notification_is_dated_by_its_last_result() -> None:
    """The jobs that one commit breaks are one notification, at the time of its last result."""
    rows = [
        row(place, job, "failure", completed_at=at + place)
        for job, at in (("a", 100.0), ("b", 500.0), ("c", 300.0))
        for place in range(3)
    ]
    _, test = evaluated(rows, trunk(3), Policy())
    assert [(len(each.broken), each.moment.at) for each in test.notifications] == [(3, 502.0)]


# ---------------------------------------------------------------------- notifications


def test_one_outage_notifies_twice() -> None:
    """A job alone in its group causes a notification when it breaks and when it is repaired."""
    test = replay({"g": "P F F F F P"}, Policy(groups=(group(),)))
    assert notified(test) == [(3, "g", ["g"], []), (5, "g", [], ["g"])]
    assert [outage.notifications for outage in test.outages] == [2]
    twice = replay({"g": "P F F F P F F F"}, Policy(groups=(group(),)))
    assert [outage.notifications for outage in twice.outages] == [2, 1]


def test_each_change_of_the_set_notifies_once() -> None:
    """All changes of the broken jobs by one commit are one notification."""
    test = replay(
        {
            "g a": "P F F F F F P P",
            "g b": "P P F F F F F P",
            "g c": "P P P P F F F P",
        },
        Policy(groups=(group(),)),
    )
    assert notified(test) == [
        (3, "g", ["g a"], []),
        (4, "g", ["g b"], []),
        (6, "g", ["g c"], ["g a"]),
        (7, "g", [], ["g b", "g c"]),
    ]
    assert [outage.notifications for outage in test.outages] == [2, 2, 2]


def test_groups_are_notified_apart() -> None:
    """One commit that breaks jobs of two groups causes a notification to each team."""
    policy = Policy(groups=(group("g"), group("h")))
    test = replay({"g": "P F F F", "h": "P F F F", "x": "P P P F"}, policy)
    assert notified(test) == [(3, "g", ["g"], []), (3, "h", ["h"], [])]
    assert [(t.team, t.jobs, t.notifications, t.one_off) for t in test.teams] == [
        ("team-g", 1, 1, 0),
        ("team-h", 1, 1, 0),
        ("trunk", 1, 0, 1),
    ]


def test_a_group_below_its_threshold_is_not_notified() -> None:
    """At a threshold of two jobs the second notifies of both, and each repair ends its own."""
    test = replay(
        {
            "g a": "P F F F F F F P",
            "g b": "P P F F F F P P",
        },
        Policy(groups=(group(failure_threshold=2),)),
    )
    assert notified(test) == [
        (4, "g", ["g a", "g b"], []),
        (6, "g", [], ["g b"]),
        (7, "g", [], ["g a"]),
    ]
    assert [outage.notifications for outage in test.outages] == [2, 2]
    alone = replay({"g a": "P F F F P"}, Policy(groups=(group(failure_threshold=2),)))
    assert (notified(alone), len(alone.outages)) == ([], 1)
    assert alone.outages[0].notifications == 0


def test_a_third_job_is_one_more_notification() -> None:
    """Above the threshold each further job is a notification of its own."""
    histories = {"g a": "F F F F F", "g b": "F F F F F", "g c": "P P F F F"}
    test = replay(histories, Policy(groups=(group(failure_threshold=2),)))
    assert notified(test) == [(2, "g", ["g a", "g b"], []), (4, "g", ["g c"], [])]


def test_one_off_failures_and_flakes_do_not_notify() -> None:
    """Failures outside an outage and flaky commits are counted for their team without notifying."""
    test = replay({"g": "P F P K F F P K K P F"}, Policy(groups=(group(),)))
    (team,) = test.teams
    assert (team.one_off, team.flaky, team.notifications, team.outages) == (4, 3, 0, 0)


# ---------------------------------------------------------------------- known broken


def exempt(until: float | None, name: str = "g") -> Policy:
    known = KnownBroken(Match(job_name=Pattern(name)), "no runner", until)
    return Policy(groups=(group(),), known_broken=(known,))


@pytest.mark.parametrize("until", [None, NOW + 1])
def test_an_exemption_that_holds_does_not_notify(until: float | None) -> None:
    """An outage under an exemption is listed with its reason and does not notify."""
    test = replay({"g": "P F F F P F F F"}, exempt(until))
    assert [(o.known_broken, o.alerting_from, o.notifications) for o in test.outages] == [
        ("no runner", None, 0)
    ] * 2
    assert notified(test) == []
    assert [team.outages for team in test.teams] == [2]


def test_an_exemption_of_another_job_changes_nothing() -> None:
    """A job that no exemption covers notifies."""
    (outage,) = replay({"g": "P F F F"}, exempt(None, "other")).outages
    assert (outage.known_broken, outage.notifications) == (None, 1)


def test_an_exemption_that_ends_makes_the_outage_alert() -> None:
    """The first commit not older than the exemption's end causes the notification."""
    order = trunk(8)
    until = order.commits[5].committed_at
    assert until is not None
    test = replay({"g": "P F F F F F F P"}, exempt(until))
    assert notified(test) == [(5, "g", ["g"], []), (7, "g", [], ["g"])]
    later = replay({"g": "P F F F F F F P"}, exempt(until + 1))
    assert [place for place, *_ in notified(later)] == [6, 7]
    assert next(each.moment.at for each in later.notifications) == until + 1


def test_an_exemption_that_ended_in_time_changes_nothing() -> None:
    """An outage that opened after the end of the exemption alerts from the start."""
    until = trunk(5).commits[0].committed_at
    (outage,) = replay({"g": "P F F F P"}, exempt(until)).outages
    assert (outage.known_broken, outage.alerting_from) == (None, outage.opened)


def test_an_exemption_that_ends_as_the_outage_opens_changes_nothing() -> None:
    """At the time of its end an exemption no longer holds."""
    (usual,) = replay({"g": "P F F F P"}, exempt(None, "other")).outages
    (outage,) = replay({"g": "P F F F P"}, exempt(usual.opened.at)).outages
    assert (outage.known_broken, outage.alerting_from) == (None, usual.opened)


@pytest.mark.parametrize("ends_at", [4, 6])
def test_an_exemption_that_outlasts_the_outage_does_not_notify(ends_at: int) -> None:
    """An outage that closed before or at the end of its exemption never alerted."""
    until = trunk(8).commits[ends_at].committed_at
    (outage,) = replay({"g": "P F F F P P P P"}, exempt(until)).outages
    assert (outage.known_broken, outage.alerting_from, outage.notifications) == (
        "no runner",
        None,
        0,
    )


def test_an_exemption_may_end_after_the_last_commit() -> None:
    """An outage that is open when its exemption ends notifies, after all results."""
    test = replay({"g": "P F F F"}, exempt(NOW))
    assert notified(test) == [(4, "g", ["g"], [])]
    assert test.notifications[0].moment == Moment(4, 0, trunk(4).commits[-1], NOW)


def test_the_longest_of_two_exemptions_holds() -> None:
    """Of two exemptions of a job the one that ends last decides."""
    short = exempt(trunk(4).commits[0].committed_at)
    long = KnownBroken(Match(), "moved", None)
    both = replace(short, known_broken=(*short.known_broken, long))
    assert [o.known_broken for o in replay({"g": "P F F F"}, both).outages] == ["moved"]


# ---------------------------------------------------------------------- retired jobs


def test_a_removed_job_ends_its_outage() -> None:
    """An outage ends as removed at the commit that makes the job count as removed."""
    test = replay({"a": "P F F F . . .", "b": "P P P P P P P"}, Policy(retire_after=2))
    assert [described(outage) for outage in test.outages] == [(1, 0, 3, 5, "removed", 3)]
    assert [place for place, *_ in notified(test)] == [3, 5]


def test_a_job_that_is_away_for_less_is_still_broken() -> None:
    """With one completed commit fewer the outage is still open."""
    test = replay({"a": "P F F F .", "b": "P P P P P"}, Policy(retire_after=2))
    assert [described(outage) for outage in test.outages] == [(1, 0, 3, None, "open", 3)]


def test_a_removed_job_that_comes_back_broken_notifies_again() -> None:
    """A retired job that comes back broken keeps its first bad and failures, and notifies again."""
    test = replay({"a": "P F F F . . F P", "b": "P P P P P P P P"}, Policy(retire_after=2))
    assert [described(outage) for outage in test.outages] == [
        (1, 0, 3, 5, "removed", 3),
        (1, 0, 6, 7, "passed", 4),
    ]
    assert [place for place, *_ in notified(test)] == [3, 5, 6, 7]


def test_a_removed_job_that_comes_back_green_does_not_notify() -> None:
    """A retired job whose first new result is a pass has no second outage."""
    test = replay({"a": "P F F F . . P", "b": "P P P P P P P"}, Policy(retire_after=2))
    assert [described(outage)[3:5] for outage in test.outages] == [(5, "removed")]
    assert [place for place, *_ in notified(test)] == [3, 5]


def test_a_skipped_matrix_keeps_its_jobs() -> None:
    """Commits at which the whole matrix was skipped do not remove its jobs."""
    rows = [
        *history("P F F F . .", "test (a)"),
        *history("P P P P P P", "other"),
        *(row(place, "test", "skipped") for place in (4, 5)),
    ]
    _, test = evaluated(rows, trunk(6), Policy(retire_after=2))
    assert [str(outage.ending) for outage in test.outages] == ["open"]


# ---------------------------------------------------------------------- the trunk


def test_only_jobs_with_an_outage_are_read_again() -> None:
    """The rows of jobs without an outage, which are most, are not read again."""
    rows = [*history("P F F F", "a"), *history("P F P F", "b")]
    stored = RecordingRows(rows)
    evaluator = TrunkEvaluator(trunk(4), Policy(), stored)
    evaluator.update(trunk(4), {}, NOW)
    stored.read_jobs.clear()
    evaluator.back_test(NOW)
    assert stored.read_jobs == {"a"}


class RecordingRows(MemoryRows):
    """Stored rows that record the names of the jobs that are read."""

    def __init__(self, rows: Iterable[Observation]) -> None:
        super().__init__(rows)
        self.read_jobs: set[str] = set()

    def of_jobs(
        self, jobs: Collection[RawJob], shas: Collection[str] | None = None
    ) -> Iterable[Observation]:
        self.read_jobs.update(raw.job_name for raw in jobs)
        return super().of_jobs(jobs, shas)


def test_teams_of_several_trunks_add_up() -> None:
    """A team's numbers are the sums over all trunks, and teams are sorted by name."""
    one = replay({"g": "P F F F P", "x": "P P K F P"}, Policy(groups=(group(),)))
    (team, default) = all_teams([one, one])
    assert (team.team, team.jobs, team.outages, team.notifications) == ("team-g", 2, 2, 4)
    assert (default.team, default.one_off, default.flaky) == ("trunk", 2, 2)
    assert all_teams([]) == ()


@pytest.mark.slow
@thorough
@given(batches(60), policies())
def test_the_replay_ends_in_the_current_state(rows: list[Observation], policy: Policy) -> None:
    """The replay's open outages after the last commit are the outages of the current state."""
    state, test = evaluated(rows, trunk(COMMITS), policy)
    assert {o.key: _ends(o) for o in test.outages if o.closed is None} == {
        job.key: (job.blame.first_bad, job.blame.last_good, job.failures_in_outage)
        for job in state.jobs
        if job.broken and job.blame
    }
    failing = {o.key for o in test.outages if o.closed is None and o.alerting_from is not None}
    assert failing == {job.key for job in state.jobs if job.failing}
    alerting = {job.key for job in state.jobs if job.alerting}
    assert _broken_by_notifications(test) == alerting == {job.key for job in state.alerting}


def _ends(outage: PastOutage) -> tuple[Commit, Commit | None, int]:
    return outage.first_bad, outage.last_good, outage.failures_in_outage


def _broken_by_notifications(test: BackTest) -> set[JobKey]:
    """Return the jobs that are broken according to all notifications."""
    broken: set[JobKey] = set()
    for each in test.notifications:
        assert not broken.intersection(each.broken)
        assert broken.issuperset(each.ended)
        broken = (broken | set(each.broken)) - set(each.ended)
    return broken


@pytest.mark.slow
@bounded
@given(batches(60, foreign=False), policies())
def test_the_replay_equals_the_policy_at_each_commit(
    rows: list[Observation], policy: Policy
) -> None:
    """The replay's broken jobs at a commit are those of the results up to that commit alone."""
    # One workflow name, since the display name depends on the newest commit.
    rows = [
        each.changed(job=each.job._replace(workflow_path=None, workflow_name="ci")) for each in rows
    ]
    order = trunk(COMMITS)
    _, test = evaluated(rows, order, policy)
    for tip in range(COMMITS):
        then = TrunkOrder(TRUNK, order.commits[: tip + 1])
        earlier = [each for each in rows if order.index[each.sha] <= tip]
        broken = {
            outage.key
            for outage in test.outages
            if outage.opened.commit_index <= tip
            and (outage.closed is None or outage.closed.commit_index > tip)
        }
        assert broken == {job.key for job in evaluate(earlier, then, policy).jobs if job.broken}
