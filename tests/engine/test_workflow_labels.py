"""The labels of workflows: they follow the names of the CI, but never while a job fails."""

import pytest
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import STARTUP_JOB, Observation
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.patterns import Pattern

from tests.domain.builders import NOW, MemoryRows, evaluate, jobs_of, row, trunk

COMMITS = 10
FILE = ".github/workflows/ci.yml"


class Trunk:
    """A trunk whose rows arrive one after another."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.stored = MemoryRows()
        self.policy = policy or Policy()
        self.evaluator = TrunkEvaluator(trunk(COMMITS), self.policy, self.stored)

    def jobs(self, *rows: Observation) -> list[str]:
        """Add rows and return the jobs; an evaluation from scratch must have the same."""
        touched = self.stored.add(rows)
        state = self.evaluator.update(trunk(COMMITS), touched, NOW)
        labels = self.evaluator.labels
        assert state == evaluate(self.stored, trunk(COMMITS), self.policy, labels=labels)
        return list(jobs_of(state))


def ci(place: int, name: str, conclusion: str = "success", path: str = FILE) -> Observation:
    return row(place, conclusion=conclusion, workflow=name, path=path)


def test_a_new_name_waits_for_the_end_of_the_outage() -> None:
    """A label moves when the last job of its workflow has recovered, not before."""
    found = Trunk()
    broken = [ci(place, "CI", "failure") for place in range(3)]
    other = row(2, "other", "failure", workflow="CI", path=FILE)
    assert found.jobs(*broken, other) == ["CI / job", "CI / other"]
    assert found.jobs(ci(3, "Build", "failure")) == ["CI / job", "CI / other"]
    assert found.jobs(ci(4, "Build")) == ["CI / job", "CI / other"]
    repaired = row(4, "other", workflow="Build", path=FILE)
    assert found.jobs(repaired) == ["Build / job", "Build / other"]


def test_a_streak_below_the_threshold_holds_the_label() -> None:
    """One failure is enough: it may become an outage."""
    found = Trunk()
    assert found.jobs(ci(0, "CI", "failure")) == ["CI / job"]
    assert found.jobs(ci(1, "Build", "failure")) == ["CI / job"]


def test_a_removed_job_holds_no_label() -> None:
    """A job that is not listed any more does not keep its workflow from a new name."""
    found = Trunk(Policy(retire_after=3))
    assert found.jobs(row(0, "gone", "failure", workflow="CI", path=FILE), ci(0, "CI")) == [
        "CI / gone",
        "CI / job",
    ]
    assert found.jobs(ci(1, "Build"), ci(2, "Build")) == ["CI / gone", "CI / job"]
    assert found.jobs(ci(3, "Build")) == ["Build / job"]


def test_a_late_older_name_changes_nothing() -> None:
    """Results that arrive late bring back no older name."""
    found = Trunk()
    assert found.jobs(ci(5, "CI", "failure")) == ["CI / job"]
    assert found.jobs(ci(3, "Older"), ci(4, "Older", "failure")) == ["CI / job"]


@pytest.mark.parametrize(
    ("names", "conclusions", "expected"),
    [
        ("a a b b", "P F F F", "a"),
        ("a b b b", "P P F F", "b"),
        ("a b b b", "F F F F", "a"),
        ("a b b b", "F P F P", "b"),
        ("a b c c", "F K F F", "b"),
    ],
)
def test_the_first_label(names: str, conclusions: str, expected: str) -> None:
    """Read at once, the name of the newest commit after which no job failed is shown."""
    words = {"P": ["success"], "F": ["failure"], "K": ["failure", "success"]}
    rows = [
        ci(place, name, word)
        for place, (name, letter) in enumerate(zip(names.split(), conclusions.split(), strict=True))
        for word in words[letter]
    ]
    assert Trunk().jobs(*rows) == [f"{expected} / job"]


def test_a_file_is_no_name() -> None:
    """A run that is named by its file leaves the label, and its failed start stays there."""
    found = Trunk()
    failed = ci(1, FILE, "startup_failure")
    assert found.jobs(ci(0, "CI")) == ["CI / job"]
    assert found.jobs(failed) == [f"CI / {STARTUP_JOB}", "CI / job"]


def test_a_name_replaces_a_file_at_once() -> None:
    """A workflow is shown by its file until it has a name, whatever its jobs do then."""
    found = Trunk()
    assert found.jobs(ci(0, FILE, "startup_failure")) == [f"{FILE} / {STARTUP_JOB}"]
    assert found.jobs(ci(1, "CI", "failure")) == [f"CI / {STARTUP_JOB}", "CI / job"]


def test_a_newcomer_changes_its_own_label_only() -> None:
    """A second workflow of one name adds its file, whichever path or commit comes first."""
    found = Trunk()
    assert found.jobs(ci(5, "CI", path="w/z.yml")) == ["CI / job"]
    assert found.jobs(ci(1, "CI", path="w/a.yml")) == ["CI / job", "CI (a.yml) / job"]
    # A label is kept as long as it shows the name, also when the name alone becomes free.
    renamed = [ci(6, "Build", path="w/z.yml"), ci(6, "CI", path="w/a.yml")]
    assert found.jobs(*renamed) == ["Build / job", "CI (a.yml) / job"]
    assert found.jobs(ci(7, "Build", path="w/a.yml")) == ["Build / job", "Build (a.yml) / job"]


def test_no_workflow_has_the_label_of_an_event() -> None:
    """A workflow whose name is that of another one's scheduled runs adds its file."""
    nightly = Group("n", "t", "P2", match=Match(event=Pattern("schedule")))
    found = Trunk(Policy(groups=(nightly,)))
    scheduled = row(0, workflow="CI", path=FILE, event="schedule", run_id=9)
    other = ci(0, "CI [schedule]", path="w/other.yml")
    assert found.jobs(ci(0, "CI"), scheduled, other) == [
        "CI / job",
        "CI [schedule] / job",
        "CI [schedule] (other.yml) / job",
    ]


def test_a_label_outlives_a_force_push() -> None:
    """A workflow whose commits all left the trunk has its label when it comes back."""
    stored, order = MemoryRows([ci(0, "CI", "failure")]), trunk(3)
    evaluator = TrunkEvaluator(order, Policy(), stored)
    evaluator.update(order, {}, NOW)
    rewritten = type(order)(order.trunk, order.commits[1:])
    assert evaluator.update(rewritten, {}, NOW).jobs == ()
    touched = stored.add([ci(1, "Build", "failure")])
    assert list(jobs_of(evaluator.update(rewritten, touched, NOW))) == ["CI / job"]
