"""Changes of an issue by people, and how they are respected."""

from trunkwatch.tickets.listing import tickets_object

from tests.tickets.builders import REPO, fixed, job
from tests.tickets.stage import Stage, each_vendor, opened


def closed_by_a_person(stage: Stage, *names: str) -> None:
    opened(stage, *names)
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    stage.writes()


@each_vendor
def test_an_issue_that_a_person_closed_stays_closed(stage: Stage) -> None:
    """More failures, deliveries and a moved first bad change nothing."""
    closed_by_a_person(stage, "a")
    stage.deliver("a")
    stage.set_status(job("a", failures_in_outage=9, first_bad="d" * 40))
    stage.settle()
    assert stage.issue.state == "closed"
    assert stage.writes() == []


def test_another_job_opens_it_again(stage: Stage) -> None:
    """A job that the closed issue did not report reopens it."""
    closed_by_a_person(stage, "a")
    stage.set_status(job("a"), job("b"))
    stage.deliver("a", "b")
    stage.settle()
    assert stage.issue.state == "open"
    assert "`pull / b`" in stage.issue.comments[-1].body


def test_another_job_that_is_silenced_does_not(stage: Stage) -> None:
    """A silenced alert reopens nothing."""
    closed_by_a_person(stage, "a")
    stage.status.silenced = {"b"}
    stage.set_status(job("a"), job("b"))
    stage.settle()
    assert stage.writes() == []


def test_a_listed_outage_that_ends_and_opens_anew_opens_it_again(stage: Stage) -> None:
    """A new outage of a reported job reopens the issue."""
    closed_by_a_person(stage, "a")
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.writes() == []
    stage.set_status(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.state == "open"


def test_an_outage_that_began_after_the_closing_opens_it_again(stage: Stage) -> None:
    """An end between two rounds does not hide the new outage."""
    closed_by_a_person(stage, "a")
    later = "2030-01-01T00:00:00Z"
    stage.set_status(job("a", first_bad="e" * 40, broken_since=later))
    stage.settle()
    assert stage.issue.state == "open"


@each_vendor
def test_a_person_may_reopen_what_a_person_closed(stage: Stage) -> None:
    """The issue is updated again, and closed at the end of the outage."""
    closed_by_a_person(stage, "a")
    stage.server.issues.reopen_by(stage.issue)
    stage.settle()
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issue.closed_by == "user-1"


@each_vendor
def test_labels_and_assignees_of_people_stay(stage: Stage) -> None:
    """After the creation, only text and state are written."""
    opened(stage, "a")
    stage.issue.labels[:] = ["help wanted"]
    stage.issue.assignees = ["author-a"]
    stage.set_status(job("a"), job("b"))
    stage.settle()
    stage.set_status(fixed("a"), fixed("b"))
    stage.settle()
    opened(stage, "a")
    assert stage.issue.labels == ["help wanted"]
    assert stage.issue.assignees == ["author-a"]


def test_an_edited_title_stays_until_the_generated_one_changes(stage: Stage) -> None:
    """Only fields that differ from the last sent ones are sent."""
    opened(stage, "a")
    stage.issue.title = "mine"
    stage.set_status(job("a", failed_step="Build"))
    stage.settle()
    assert stage.issue.title == "mine"
    assert "`Build`" in stage.issue.body


@each_vendor
def test_what_people_did_is_listed(stage: Stage) -> None:
    """The list has the address and the assignees, and an issue closed during its outage."""
    opened(stage, "a")
    stage.issue.assignees.append("author-b")
    stage.settle()
    (row,) = tickets_object(stage.metrics.health, dry_run=False)["tickets"]
    assert (row["state"], row["assignees"]) == ("open", ["author-b"])
    host, _, place = row["url"].partition(f"/{REPO}/")
    assert host
    assert place.removeprefix("-/") == f"issues/{stage.issue.number}"
    stage.restart()
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    (row,) = tickets_object(stage.metrics.health, dry_run=False)["tickets"]
    assert (row["state"], row["assignees"]) == ("dismissed", ["author-b"])
    stage.set_status(fixed("a"))
    stage.settle()
    assert tickets_object(stage.metrics.health, dry_run=False)["tickets"] == []
