"""GitHub that is down, refuses, limits, or knows issues that we have forgotten."""

from pathlib import Path

import pytest
from trunkwatch.tickets.facts import Key
from trunkwatch.tickets.marker import Marker, find_marker, new_nonce, quoted
from trunkwatch.tickets.model import Settings

from tests.github.faults import Faults, Kind
from tests.github.issue_model import Issue
from tests.tickets.builders import BRANCH, GROUP, REPO, fixed, job
from tests.tickets.stage import MINUTE, Stage, a_stage

KEY = Key(REPO, BRANCH, GROUP)
OURS = "Source:trunkwatch"


def breaks(stage: Stage, *names: str) -> None:
    """Let jobs break, and Alertmanager say so."""
    stage.is_true(*(job(name) for name in names))
    stage.deliver(*names)


def test_nothing_is_lost_while_github_is_down(stage: Stage) -> None:
    """What was delivered is kept on disk, and opened an hour later by another process."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.BAD_GATEWAY, "", times=50)
    for _ in range(60):
        stage.round()
        stage.wait(MINUTE)
    assert stage.issues == []
    stage.server.faults = Faults()
    stage.restart()
    stage.wait(900.0)
    stage.settle()
    assert stage.issue.state == "open"


def test_a_github_that_is_down_is_asked_less_and_less(stage: Stage) -> None:
    """The pause grows to a quarter of an hour."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.BAD_GATEWAY, "", times=500)
    for _ in range(120):
        stage.round()
        stage.wait(MINUTE)
    assert stage.server.sent() < 16


def test_a_limit_is_waited_out_as_long_as_github_says(stage: Stage) -> None:
    """Not a request is sent before."""
    breaks(stage, "a")
    stage.server.faults.retry_after = 3000
    stage.server.fail_next(Kind.SECONDARY_LIMIT)
    for _ in range(int(3000 // MINUTE)):
        stage.round()
        stage.wait(MINUTE)
    assert stage.server.sent() == 1
    stage.settle()
    assert stage.issue.state == "open"


def test_an_answer_that_never_comes_is_given_up(tmp_path: Path) -> None:
    """Whether the issue was opened is found out by looking for it."""
    with a_stage(tmp_path) as stage:
        stage.timeout = 0.3
        stage.restart()
        breaks(stage, "a")
        stage.server.fail_next(Kind.HANG, "POST ")
        stage.round()
        assert stage.counts.health.troubles["github"].endswith("timed out")
        stage.timeout = 10.0
        stage.restart()
        stage.wait(MINUTE)
        stage.settle()
        assert stage.issue.state == "open"


def test_what_is_fixed_before_github_is_back_opens_nothing(stage: Stage) -> None:
    """A plan that nothing came of is made of what is not true any more."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.SERVER_ERROR, "POST ")
    stage.round()
    stage.wait(MINUTE)
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.issues == []
    assert not stage.ledger.plans()


def test_health_tells_what_is_wrong(stage: Stage) -> None:
    """Whoever watches the command sees who does not answer, and what waits for it."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.SERVER_ERROR, "POST ")
    stage.told.alertmanager_up = False
    stage.round()
    health = stage.counts.health
    assert set(health.troubles) == {"alertmanager", "github"}
    assert (health.open, health.waiting) == (0, 1)
    stage.told.alertmanager_up = True
    stage.wait(MINUTE)
    stage.settle()
    health = stage.counts.health
    assert (health.troubles, health.open, health.waiting) == ({}, 1, 0)


def test_a_repository_that_refuses_holds_up_no_other(tmp_path: Path) -> None:
    """One key waits; the next is served."""
    with a_stage(tmp_path) as stage:
        breaks(stage, "a")
        first = stage.told.document
        stage.settle()
        assert first is not None
        other = Key("x/none", BRANCH, GROUP)
        stage.ledger.permit([p._replace(key=other) for p in stage.ledger.permits()[KEY]], stage.now)
        stage.is_true(job("a"), job("b"))
        stage.settle()
        assert len(stage.issue.comments) == 1


def test_who_may_not_be_assigned_does_not_keep_the_issue_from_being_opened(
    tmp_path: Path,
) -> None:
    """It is opened for nobody, and the log says so."""
    with a_stage(tmp_path, Settings(assignees=("author-x",))) as stage:
        breaks(stage, "a")
        stage.settle()
        assert stage.issue.assignees == []


def test_labels_and_assignees_of_the_configuration_are_set(tmp_path: Path) -> None:
    """A label is cut to what GitHub takes, and holds no comma."""
    wanted = Settings(labels=("ci, red", "x" * 60), assignees=("author-a",))
    with a_stage(tmp_path, wanted) as stage:
        breaks(stage, "a")
        stage.settle()
        assert stage.issue.assignees == ["author-a"]
        assert stage.issue.labels[3:] == ["ci  red", "x" * 49 + "…"]


def test_no_more_issues_are_opened_than_allowed_in_an_hour(tmp_path: Path) -> None:
    """The others wait for the next hour, and are not forgotten."""
    with a_stage(tmp_path, Settings(max_new_per_hour=2)) as stage:
        groups = {"a": "g1", "b": "g2", "c": "g3"}
        stage.is_true(*(job(name, group=group) for name, group in groups.items()))
        assert stage.told.document is not None
        (group,) = stage.told.document["groups"]
        stage.told.document["groups"] = [{**group, "group": name} for name in groups.values()]
        stage.told.alertmanager_up = False
        stage.deliver(*groups)
        permits = [
            permit._replace(key=KEY._replace(group=groups[permit.job.job_name]))
            for permit in stage.ledger.permits()[KEY]
        ]
        stage.ledger.permit(permits, stage.now)
        stage.settle()
        assert len(stage.issues) == 2
        assert stage.counts.health.waiting == 1
        stage.wait(3600.0)
        stage.settle()
        assert len(stage.issues) == 3


# ---------------------------------------------------------------------- a lost storage file


def lose(stage: Stage) -> None:
    """Lose the storage file."""
    stage.ledger.close()
    for file in stage.path.parent.glob("tickets.db*"):
        file.unlink()
    stage.start()


def test_an_open_issue_is_found_again(stage: Stage) -> None:
    """Its marker names the key, and nothing is said twice."""
    breaks(stage, "a")
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.comments == []
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.issue.state == "closed"


def test_an_issue_that_was_closed_lately_is_found_again(stage: Stage) -> None:
    """It is reopened, as it would have been."""
    breaks(stage, "a")
    stage.settle()
    stage.is_true(fixed("a"))
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.state == "open"


def test_an_issue_that_a_person_closed_is_found_again_and_stays_closed(stage: Stage) -> None:
    """Its marker does not say that we have resolved it."""
    breaks(stage, "a")
    stage.settle()
    stage.server.issues.close_by("author-a", stage.issue)
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.state == "closed"


def forged(stage: Stage, *labels: str, key: Key = KEY) -> Issue:
    """Let somebody open an issue into which a marker was copied."""
    marker = Marker(quoted(key), new_nonce(), "open")
    return stage.server.issues.open_by("author-x", "mine", f"{marker}\nmine", *labels)


def test_a_marker_without_our_label_is_not_ours(stage: Stage) -> None:
    """Who may not set labels cannot make us write into an issue of theirs."""
    other = forged(stage)
    breaks(stage, "a")
    stage.settle()
    assert other.title == "mine"
    assert len(stage.issues) == 2


def test_an_issue_of_another_key_is_not_taken(stage: Stage) -> None:
    """Two groups have two issues."""
    other = forged(stage, OURS, key=replace_group("other"))
    breaks(stage, "a")
    stage.settle()
    assert other.title == "mine"


def replace_group(name: str) -> Key:
    return KEY._replace(group=name)


def test_an_issue_of_another_page_is_found(stage: Stage) -> None:
    """The list is read to its end."""
    for number in range(130):
        forged(stage, OURS, key=replace_group(f"g{number}"))
    last = forged(stage, OURS)
    breaks(stage, "a")
    stage.settle()
    assert last.title.startswith("[P2]")


@pytest.mark.parametrize(
    "key",
    [KEY, Key("o/r", "release/1-->", "<g>"), Key("o/r", "a b", "ä/ü"), Key("o/r", "a/b", "c")],
)
def test_a_marker_holds_any_key(key: Key) -> None:
    """It is one line, ends where it should, and is found again."""
    marker = Marker(quoted(key), new_nonce(), "open")
    assert str(marker).count("-->") == 1
    assert find_marker(f"{marker}\r\nbody") == marker
    assert find_marker(f"x {marker}") is None


def test_keys_that_look_alike_are_told_apart() -> None:
    """A slash within a part is none between two parts."""
    assert quoted(Key("o/r", "a/b", "c")) != quoted(Key("o/r", "a", "b/c"))


def test_a_title_that_nobody_can_send_is_cut(tmp_path: Path) -> None:
    """GitHub refuses longer ones, so the issue would never be opened."""
    with a_stage(tmp_path) as stage:
        stage.is_true(job("a", failures_in_outage=10**250))
        stage.deliver("a")
        stage.settle()
        assert stage.issue.title.startswith("[P2]")
