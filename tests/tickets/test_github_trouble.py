"""The server is down, refuses, limits, or has issues missing in the storage file."""

from pathlib import Path

import pytest
from trunkwatch.config import TicketsSection
from trunkwatch.tickets.model import TicketKey
from trunkwatch.tickets.text.markdown import Marker, find_marker, new_nonce, quoted

from tests.github.faults import Faults, Kind
from tests.github.issue_model import Issue
from tests.tickets.builders import BRANCH, GROUP, REPO, fixed, job
from tests.tickets.stage import MINUTE, Stage, a_stage, each_vendor

KEY = TicketKey(REPO, BRANCH, GROUP)
ORIGIN = "Source:trunkwatch"


def breaks(stage: Stage, *names: str) -> None:
    """Break jobs, and deliver their alerts."""
    stage.set_status(*(job(name) for name in names))
    stage.deliver(*names)


@each_vendor
def test_nothing_is_lost_while_the_server_is_down(stage: Stage) -> None:
    """Deliveries are kept on disk, and another process opens the issue an hour later."""
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


def test_requests_to_a_github_that_is_down_back_off(stage: Stage) -> None:
    """The delay grows to a quarter of an hour."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.BAD_GATEWAY, "", times=500)
    for _ in range(120):
        stage.round()
        stage.wait(MINUTE)
    assert stage.server.sent() < 16


def test_a_limit_is_waited_out_as_long_as_github_says(stage: Stage) -> None:
    """No request is sent before the time that GitHub states."""
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
    """After a timeout, the issue is searched for before it is created again."""
    with a_stage(tmp_path) as stage:
        stage.timeout = 0.3
        stage.restart()
        breaks(stage, "a")
        stage.server.fail_next(Kind.HANG, "POST ")
        stage.round()
        assert stage.metrics.health.errors["github"].endswith("timed out")
        stage.timeout = 10.0
        stage.restart()
        stage.wait(MINUTE)
        stage.settle()
        assert stage.issue.state == "open"


@each_vendor
def test_what_is_fixed_before_the_server_is_back_opens_nothing(stage: Stage) -> None:
    """A plan without an executed step is dropped once it is outdated."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.SERVER_ERROR, "POST ")
    stage.round()
    stage.wait(MINUTE)
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issues == []
    assert not stage.store.plans()


@each_vendor
def test_health_names_failing_peers(stage: Stage) -> None:
    """Health contains each peer that fails, and the number of waiting groups."""
    breaks(stage, "a")
    stage.server.fail_next(Kind.SERVER_ERROR, "POST ")
    stage.status.alertmanager_up = False
    stage.round()
    health = stage.metrics.health
    assert set(health.errors) == {"alertmanager", stage.config.type}
    assert (health.open, health.waiting) == (0, 1)
    stage.status.alertmanager_up = True
    stage.wait(MINUTE)
    stage.settle()
    health = stage.metrics.health
    assert (health.errors, health.open, health.waiting) == ({}, 1, 0)


def test_a_repository_that_refuses_holds_up_no_other(tmp_path: Path) -> None:
    """One group waits; the next is reconciled."""
    with a_stage(tmp_path) as stage:
        breaks(stage, "a")
        first = stage.status.document
        stage.settle()
        assert first is not None
        other = TicketKey("x/none", BRANCH, GROUP)
        stage.store.add_firing(
            [p._replace(key=other) for p in stage.store.firing_alerts()[KEY]], stage.now
        )
        stage.set_status(job("a"), job("b"))
        stage.settle()
        assert len(stage.issue.comments) == 1


def test_who_may_not_be_assigned_does_not_keep_the_issue_from_being_opened(
    tmp_path: Path,
) -> None:
    """The issue is opened without assignees."""
    with a_stage(tmp_path, TicketsSection(assignees=("author-x",))) as stage:
        breaks(stage, "a")
        stage.settle()
        assert stage.issue.assignees == []


def test_labels_and_assignees_of_the_configuration_are_set(tmp_path: Path) -> None:
    """A label is cut to GitHub's limit, and contains no comma."""
    wanted = TicketsSection(labels=("ci, red", "x" * 60), assignees=("author-a",))
    with a_stage(tmp_path, wanted) as stage:
        breaks(stage, "a")
        stage.settle()
        assert stage.issue.assignees == ["author-a"]
        assert stage.issue.labels[3:] == ["ci  red", "x" * 49 + "…"]


def test_no_more_issues_are_opened_than_allowed_in_an_hour(tmp_path: Path) -> None:
    """The other issues are opened in the next hour."""
    with a_stage(tmp_path, TicketsSection(max_new_per_hour=2)) as stage:
        groups = {"a": "g1", "b": "g2", "c": "g3"}
        stage.set_status(*(job(name, group=group) for name, group in groups.items()))
        assert stage.status.document is not None
        (group,) = stage.status.document["groups"]
        stage.status.document["groups"] = [{**group, "group": name} for name in groups.values()]
        stage.status.alertmanager_up = False
        stage.deliver(*groups)
        firing_alerts = [
            alert._replace(key=KEY._replace(group=groups[alert.job.job_name]))
            for alert in stage.store.firing_alerts()[KEY]
        ]
        stage.store.add_firing(firing_alerts, stage.now)
        stage.settle()
        assert len(stage.issues) == 2
        assert stage.metrics.health.waiting == 1
        stage.wait(3600.0)
        stage.settle()
        assert len(stage.issues) == 3


# ---------------------------------------------------------------------- a lost storage file


def lose(stage: Stage) -> None:
    """Delete the storage file."""
    stage.store.close()
    for file in stage.path.parent.glob("tickets.db*"):
        file.unlink()
    stage.start()


@each_vendor
def test_an_open_issue_is_found_again(stage: Stage) -> None:
    """Its marker identifies the group, and no comment is repeated."""
    breaks(stage, "a")
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.comments == []
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issue.state == "closed"


@each_vendor
def test_an_issue_that_was_closed_lately_is_found_again(stage: Stage) -> None:
    """It is reopened, as with the storage file."""
    breaks(stage, "a")
    stage.settle()
    stage.set_status(fixed("a"))
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.state == "open"


@each_vendor
def test_an_issue_that_a_person_closed_is_found_again_and_stays_closed(stage: Stage) -> None:
    """Its marker is not in the state `resolved`."""
    breaks(stage, "a")
    stage.settle()
    stage.server.issues.close_by("author-a", stage.issue)
    stage.settle()
    lose(stage)
    breaks(stage, "a")
    stage.settle()
    assert stage.issue.state == "closed"


def test_the_issue_of_another_trunkwatch_is_not_taken(stage: Stage) -> None:
    """Staging opens an issue of its own, and closes that of production neither then nor later."""
    breaks(stage, "a")
    stage.settle()
    stage.name = "staging"
    for _ in range(2):  # the second one finds its own
        lose(stage)
        breaks(stage, "a")
        stage.settle()
        assert [issue.state for issue in stage.issues] == ["open", "open"]
    stage.set_status(fixed("a"))
    stage.settle()
    assert sorted(issue.state for issue in stage.issues) == ["closed", "open"]


def forged(stage: Stage, *labels: str, key: TicketKey = KEY, by: str = "author-x") -> Issue:
    """Open an issue with a copied marker, by default of another user."""
    marker = Marker(quoted(key), new_nonce(), "open")
    return stage.server.issues.open_by(by, "mine", f"{marker}\nmine", *labels)


@each_vendor
def test_a_marker_without_the_origin_label_is_ignored(stage: Stage) -> None:
    """A user without the right to set labels cannot redirect the writes to an issue."""
    other = forged(stage)
    breaks(stage, "a")
    stage.settle()
    assert other.title == "mine"
    assert len(stage.issues) == 2


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("stage", ["gitlab"], indirect=True)
def test_a_guest_of_gitlab_cannot_forge_an_issue(stage: Stage, *, is_closed: bool) -> None:
    """A guest may set the label; yet no issue of his gets texts or counts as closed by a person."""
    other = forged(stage, ORIGIN)
    if is_closed:
        stage.server.issues.close_by("author-x", other)
    breaks(stage, "a")
    stage.settle()
    assert (other.title, other.state) == ("mine", "closed" if is_closed else "open")
    assert [issue.state for issue in stage.issues if issue is not other] == ["open"]


def test_an_issue_of_another_key_is_not_taken(stage: Stage) -> None:
    """Each group has its own issue."""
    other = forged(stage, ORIGIN, key=replace_group("other"))
    breaks(stage, "a")
    stage.settle()
    assert other.title == "mine"


def replace_group(name: str) -> TicketKey:
    return KEY._replace(group=name)


@each_vendor
def test_an_issue_of_another_page_is_found(stage: Stage) -> None:
    """All pages of the list are read."""
    (own,) = stage.server.fake.tokens.values()
    for number in range(130):
        forged(stage, ORIGIN, key=replace_group(f"g{number}"), by=own)
    last = forged(stage, ORIGIN, by=own)
    breaks(stage, "a")
    stage.settle()
    assert last.title.startswith("[P2]")


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        TicketKey("o/r", "release/1-->", "<g>"),
        TicketKey("o/r", "a b", "ä/ü"),
        TicketKey("o/r", "a/b", "c"),
    ],
)
def test_a_marker_holds_any_key(key: TicketKey) -> None:
    """The marker is one line, ends once, and is found again."""
    marker = Marker(quoted(key), new_nonce(), "open")
    assert str(marker).count("-->") == 1
    assert find_marker(f"{marker}\r\nbody") == marker
    assert find_marker(f"x {marker}") is None


def test_keys_that_look_alike_are_told_apart() -> None:
    """A slash within a part differs from one between two parts."""
    assert quoted(TicketKey("o/r", "a/b", "c")) != quoted(TicketKey("o/r", "a", "b/c"))


def test_a_title_that_is_too_long_is_cut(tmp_path: Path) -> None:
    """GitHub refuses a longer title, so the issue would never be opened."""
    with a_stage(tmp_path) as stage:
        stage.set_status(job("a", failures_in_outage=10**250))
        stage.deliver("a")
        stage.settle()
        assert stage.issue.title.startswith("[P2]")
