"""What alerts, and why an alert ended, also after an edit of the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import JobKey, Observation, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.alerts import KEPT_SECONDS, AlertLedger
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator

from tests.domain.builders import NOW, TRUNK, MemoryRows, evaluate_histories, history, row, trunk
from tests.domain.scripts import bounded
from tests.vectors.notation import sha_of

GROUP = Group("g", "team-g", "P2")
PAIR = replace(GROUP, failure_threshold=2)


class Course:
    """Evaluations of one trunk whose policy may change, with the ledger of its alerts."""

    def __init__(self) -> None:
        self.ledger = AlertLedger()
        self.now = NOW

    def then(self, histories: Mapping[str, str], policy: Policy | None = None) -> TrunkState:
        """Evaluate histories a minute later, from scratch."""
        self.now += 60
        rows = [each for name, text in histories.items() for each in history(text, name)]
        commits = max(len(text.split()) for text in histories.values())
        return self.evaluate(rows, trunk(commits), policy)

    def on(self, numbers: Sequence[int], text: str, *, older_unread: bool = False) -> None:
        """Evaluate the history of a job on a trunk that has some of its commits."""
        chain = trunk(len(text.split())).commits
        order = TrunkOrder(TRUNK, tuple(chain[number] for number in numbers), older_unread)
        self.evaluate(history(text, "a"), order)

    def evaluate(
        self, rows: Sequence[Observation], order: TrunkOrder, policy: Policy | None = None
    ) -> TrunkState:
        rules = policy or Policy(groups=(GROUP,))
        evaluator = TrunkEvaluator(order, rules, MemoryRows(rows))
        state = evaluator.update(order, {}, self.now, alerting=self.ledger.alerting(TRUNK))
        self.ledger.update(state, self.now)
        return state

    @property
    def alerting(self) -> set[str]:
        return {key.job_name for key in self.ledger.alerting(TRUNK)}

    def ended(self) -> dict[str, tuple[str, str | None, str]]:
        """Return reason, commit and detail of each end, by job."""
        found = {}
        for alert in self.ledger.ended(self.now):
            assert alert.end is not None
            commit = alert.end.by.sha if alert.end.by is not None else None
            found[alert.key.job.job_name] = (str(alert.end.reason), commit, alert.end.detail)
        return found


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("P F F F P", ("fixed", sha_of(4), "")),
        ("P F F F F P P", ("fixed", sha_of(5), "")),
        ("P F F F . P", ("fixed", sha_of(5), "")),
        # A retry has passed: there was no third failure.
        ("P F F K", ("revised", None, "")),
        ("P F F K P", ("revised", None, "")),
    ],
)
def test_an_end_names_its_reason(after: str, expected: tuple[str, str | None, str]) -> None:
    """The pass that closed the outage is named; without one nothing is called fixed."""
    course = Course()
    course.then({"a": "P F F F"})
    assert (course.alerting, course.ended()) == ({"a"}, {})
    course.then({"a": after})
    assert (course.alerting, course.ended()) == (set(), {"a": expected})


@pytest.mark.parametrize("after", ["P F F F P F F F P", "P F F F P P F F F F P F F F P"])
def test_of_outages_that_closed_between_two_looks_its_own_end_counts(after: str) -> None:
    """The alert ended with the pass that closed its outage, not with that of a later one."""
    course = Course()
    course.then({"a": "P F F F"})
    course.then({"a": after})
    assert course.ended() == {"a": ("fixed", sha_of(4), "")}
    (alert,) = course.ledger.ended(course.now)
    assert alert.end is not None
    assert alert.end.at == trunk(len(after.split())).commits[4].committed_at


TWICE = "P F F F P P F F F P F F F P ."
"""Of its first nine commits, the second outage is open."""

REVISED, UNREAD = ("revised", None, ""), True


@pytest.mark.parametrize(
    ("before", "after", "older_unread", "expected"),
    [
        # The commits of the outage are removed, and the trunk is shorter or gets others.
        (range(9), range(6), False, REVISED),
        (range(9), range(6), UNREAD, REVISED),
        (range(9), [*range(6), 13], UNREAD, REVISED),
        (range(9), [*range(6), 10, 11, 12, 13], UNREAD, REVISED),
        (range(1, 9), range(6), UNREAD, REVISED),
        (range(1, 9), range(1, 6), UNREAD, REVISED),
        (range(9), [0], UNREAD, REVISED),
        # No commit is left of which the job has a result.
        (range(9), [14], False, REVISED),
        # First bad is older than the trunk is read, and the outage was closed since.
        (range(9), [7, 8, 10, 11, 12, 13], UNREAD, ("fixed", sha_of(13), "")),
        # A gap: the outage may have begun in it. Without older commits there is none.
        (range(4), range(10, 14), UNREAD, ("fixed", sha_of(13), "")),
        (range(4), range(9, 14), UNREAD, REVISED),
        (range(4), range(10, 14), False, REVISED),
        # First bad has another place, before or after the commits that closed an outage.
        (range(9), [0, 6, 1, 2, 3, 4, 5], False, ("fixed", sha_of(4), "")),
        (range(9), [*range(6), 7, 6], False, REVISED),
    ],
)
def test_a_trunk_without_the_commits_of_an_alert(
    before: Sequence[int],
    after: Sequence[int],
    older_unread: bool,
    expected: tuple[str, str | None, str],
) -> None:
    """An outage that left the trunk at its old end can have been closed; a removed one cannot."""
    course = Course()
    course.on(before, TWICE)
    assert course.alerting == {"a"}
    course.on(after, TWICE, older_unread=older_unread)
    assert course.ended() == {"a": expected}


def test_a_trunk_that_changed_during_a_restart() -> None:
    """Without the commits before, an outage counts as the same if no verdict is older."""
    for after, expected in (
        ([7, 8, *range(10, 14)], ("fixed", sha_of(13), "")),
        (range(6), REVISED),
    ):
        course = Course()
        course.on(range(9), TWICE)
        course.ledger = AlertLedger(filter(None, course.ledger.changes.values()))
        course.on(after, TWICE, older_unread=True)
        assert course.ended() == {"a": expected}


def test_a_flake_closes_only_where_it_may() -> None:
    """With `flaky_closes` a flake ends the alert under its own name."""
    course = Course()
    policy = Policy(groups=(replace(GROUP, thresholds=Thresholds(flaky_closes=True)),))
    course.then({"a": "P F F F"}, policy)
    course.then({"a": "P F F F K"}, policy)
    assert course.ended() == {"a": ("flaky", sha_of(4), "")}


@pytest.mark.parametrize(
    ("after", "limits", "ended_by"),
    [
        ("P F F F P", Thresholds(), 4),
        ("P F F F P P P P", Thresholds(), 4),
        ("P F F F P F F", Thresholds(), 4),
        ("P F F F P . P P P", Thresholds(passes_to_close=2), 6),
        ("P F F F P F P P P", Thresholds(passes_to_close=2), 7),
        ("P F F F K P P", Thresholds(flaky_closes=True), 4),
        ("P F F F P K K", Thresholds(), 4),
    ],
)
def test_the_time_of_an_end_is_that_of_its_run(
    after: str, limits: Thresholds, ended_by: int
) -> None:
    """It ended with the run that closed it, not with a later one, nor when it was noticed."""
    course = Course()
    policy = Policy(groups=(replace(GROUP, thresholds=limits),))
    course.then({"a": "P F F F"}, policy)
    course.then({"a": after}, policy)
    (alert,) = course.ledger.ended(course.now)
    assert alert.end is not None
    assert alert.end.by == trunk(len(after.split())).commits[ended_by]
    runs = [row.ended_at for row in history(after, "a") if row.sha == sha_of(ended_by)]
    assert alert.end.at == max(time for time in runs if time is not None)
    assert alert.end.at < alert.end.noticed_at == course.now


def test_an_end_without_a_time_is_noticed() -> None:
    """Without the times of the run and of its commit, the end is when it was noticed."""
    course = Course()
    order = trunk(5)
    course.evaluate([row(n, "a", "failure") for n in range(3)], order)
    commits = tuple(replace(commit, committed_at=None) for commit in order.commits)
    order = replace(order, commits=commits)
    course.evaluate([row(n, "a", "failure") for n in range(3)] + [row(3, "a"), row(4, "a")], order)
    (alert,) = course.ledger.ended(course.now)
    assert alert.end is not None
    assert alert.end.at == alert.end.noticed_at == course.now


EDITS: dict[str, tuple[Policy, tuple[str, str | None, str] | None]] = {
    "threshold": (Policy(groups=(PAIR,)), None),
    "exemption": (
        Policy(groups=(GROUP,), known_broken=(KnownBroken(Match(), "no runner"),)),
        ("muted", None, "no runner"),
    ),
    "team": (
        Policy(groups=(replace(GROUP, team="new", priority="P1"),)),
        ("moved", None, "group g, team new, P1"),
    ),
    "group with a threshold": (
        Policy(groups=(replace(PAIR, name="h"),)),
        ("moved", None, "group h, team team-g, P2"),
    ),
    "failures to open": (
        Policy(groups=(replace(GROUP, thresholds=Thresholds(5)),)),
        ("revised", None, ""),
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_configuration_ends_no_alert_without_a_word(edit: str) -> None:
    """A raised threshold ends nothing; any other edit that ends an alert is named."""
    policy, expected = EDITS[edit]
    course = Course()
    course.then({"a": "P F F F"})
    state = course.then({"a": "P F F F"}, policy)
    assert course.ended() == ({"a": expected} if expected is not None else {})
    still = expected is None or expected[0] == "moved"
    assert course.alerting == ({"a"} if still else set())
    assert state.groups[0].firing is still


def test_an_exemption_of_a_repaired_job_is_no_end() -> None:
    """A job that passed is fixed, also where it is exempt now."""
    course = Course()
    course.then({"a": "P F F F"})
    course.then({"a": "P F F F P"}, EDITS["exemption"][0])
    assert course.ended() == {"a": ("fixed", sha_of(4), "")}


def test_a_job_that_alerts_again_has_not_ended() -> None:
    """After an exemption the same outage alerts again, and its end is forgotten."""
    course = Course()
    course.then({"a": "P F F F"})
    course.then({"a": "P F F F"}, EDITS["exemption"][0])
    course.then({"a": "P F F F"})
    assert (course.alerting, course.ended()) == ({"a"}, {})


def test_a_job_that_is_not_listed_any_more_is_removed_or_unwatched() -> None:
    """Removed if it was retired; unwatched if the configuration ignores it or its repository."""
    removed = Course()
    few = Policy(groups=(GROUP,), retire_after=2)
    removed.then({"a": "P F F F", "b": "P P P P"}, few)
    removed.then({"a": "P F F F . .", "b": "P P P P P P"}, few)
    assert removed.ended() == {"a": ("removed", None, "")}
    ignored = Course()
    ignored.then({"a": "P F F F"})
    ignored.then({"b": "P P P P"})
    assert ignored.ended() == {"a": ("unwatched", None, "")}
    for is_configured, reason in ((True, "removed"), (False, "unwatched")):
        dropped = Course()
        dropped.then({"a": "P F F F"})
        dropped.ledger.drop(TRUNK, NOW, is_configured=is_configured)
        assert dropped.ended() == {"a": (reason, None, "")}
        assert dropped.ledger.trunks() == []


def test_an_end_is_kept_for_a_while() -> None:
    """An end is shown for 45 minutes, and then forgotten in the storage too."""
    course = Course()
    course.then({"a": "P F F F"})
    course.then({"a": "P F F F P"})
    end = course.now
    (kept,) = course.ledger.ended(end + KEPT_SECONDS - 1)
    course.ledger.changes_saved()
    assert course.ledger.ended(end + KEPT_SECONDS) == ()
    assert course.ledger.changes == {kept.key: None}


def test_what_was_stored_is_remembered() -> None:
    """A ledger with the changes of another one goes on from there."""
    course = Course()
    course.then({"a": "P F F F", "b": "P F F F"})
    course.then({"a": "P F F F P", "b": "P F F F F"})
    stored = [alert for alert in course.ledger.changes.values() if alert is not None]
    after = Course()
    after.ledger = AlertLedger(stored)
    assert (after.alerting, after.ended()) == (course.alerting, course.ended()) != (set(), {})
    after.then({"a": "P F F F P", "b": "P F F F P"}, Policy(groups=(PAIR,)))
    assert after.ended()["b"] == ("fixed", sha_of(4), "")


def test_a_look_at_the_alerts_changes_nothing() -> None:
    """The jobs that alert are those of the moment, and a look leaves no trunk behind."""
    course = Course()
    course.then({"a": "P F F F"})
    before = course.ledger.alerting(TRUNK)
    course.then({"a": "P F F F P"})
    assert ({key.job_name for key in before}, course.ledger.trunks()) == ({"a"}, [])
    course.then({"a": "P F F F P F F F"})
    course.ledger.drop(TRUNK, course.now, is_configured=True)
    assert (course.ledger.alerting(TRUNK), course.ledger.trunks()) == (frozenset(), [])


def test_unchanged_outages_are_no_changes() -> None:
    """An evaluation without news stores nothing; a further failure does."""
    course = Course()
    course.then({"a": "P F F F"})
    course.ledger.changes_saved()
    course.then({"a": "P F F F"})
    assert course.ledger.changes == {}
    course.then({"a": "P F F F F"})
    (alert,) = course.ledger.changes.values()
    assert alert is not None
    assert alert.failures == 4


# ---------------------------------------------------------------------- the threshold


def test_the_threshold_is_a_condition_of_the_beginning() -> None:
    """Two broken jobs alert; after the repair of one the other still does, and after a restart."""
    policy = Policy(groups=(PAIR,))
    histories = {"a": "P F F F F F", "b": "P F F F P P", "c": "P P P P P P"}
    state = evaluate_histories(histories, policy)
    assert [job.key.job_name for job in state.alerting] == ["a"]
    (group,) = state.groups
    assert (group.failing, group.firing) == (1, True)
    late = evaluate_histories({"a": "P . . F F F", "b": "F F F P P P"}, policy)
    assert (late.alerting, late.jobs[0].is_gated) == ((), True)
    assert (late.groups[0].failing, late.groups[0].firing) == (1, False)


@pytest.mark.slow
@bounded
@given(
    st.lists(st.lists(st.sampled_from("PFK.F"), min_size=12, max_size=12), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
)
def test_what_alerts_does_not_depend_on_when_it_is_looked_at(
    drawn: list[list[str]], threshold: int, failures_to_open: int, passes_to_close: int
) -> None:
    """Looked at only at the end, the same jobs alert as when each commit is looked at."""
    limits = Thresholds(failures_to_open, passes_to_close)
    policy = Policy(groups=(replace(GROUP, thresholds=limits, failure_threshold=threshold),))
    histories = {f"j{number}": letters for number, letters in enumerate(drawn)}
    alerting: set[JobKey] = set()
    for commits in range(1, 13):
        texts = {name: " ".join(letters[:commits]) for name, letters in histories.items()}
        state = evaluate_histories(texts, policy)
        failing = {job.key for job in state.jobs if job.failing}
        alerting = failing if len(failing) >= threshold else alerting & failing
        assert {job.key for job in state.alerting} == alerting
        assert {job.key for job in state.jobs if job.alerting} == alerting
