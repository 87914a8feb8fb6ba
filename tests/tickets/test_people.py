"""What people do to an issue, and how far it is respected."""

from tests.github.issues import GONE, MOVED
from tests.tickets.builders import fixed, job
from tests.tickets.stage import Stage, opened


def closed_by_a_person(stage: Stage, *names: str) -> None:
    opened(stage, *names)
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    stage.writes()


def test_an_issue_that_a_person_closed_stays_closed(stage: Stage) -> None:
    """More failures, deliveries and a better known first bad change nothing."""
    closed_by_a_person(stage, "a")
    stage.deliver("a")
    stage.is_true(job("a", failures_in_outage=9, first_bad="d" * 40))
    stage.settle()
    assert stage.issue.state == "closed"
    assert stage.writes() == []


def test_another_job_opens_it_again(stage: Stage) -> None:
    """That job was not on the issue which the person closed."""
    closed_by_a_person(stage, "a")
    stage.is_true(job("a"), job("b"))
    stage.deliver("a", "b")
    stage.settle()
    assert stage.issue.state == "open"
    assert "`pull / b`" in stage.issue.comments[-1].body


def test_another_job_that_is_silenced_does_not(stage: Stage) -> None:
    """Nobody is to hear of it."""
    closed_by_a_person(stage, "a")
    stage.told.silenced = {"b"}
    stage.is_true(job("a"), job("b"))
    stage.settle()
    assert stage.writes() == []


def test_a_listed_outage_that_ends_and_opens_anew_opens_it_again(stage: Stage) -> None:
    """The person closed the outage before."""
    closed_by_a_person(stage, "a")
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.writes() == []
    stage.is_true(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.state == "open"


def test_an_outage_that_began_after_the_closing_opens_it_again(stage: Stage) -> None:
    """That it ended between two looks does not hide it."""
    closed_by_a_person(stage, "a")
    later = "2030-01-01T00:00:00Z"
    stage.is_true(job("a", first_bad="e" * 40, since=later))
    stage.settle()
    assert stage.issue.state == "open"


def test_a_person_may_reopen_what_a_person_closed(stage: Stage) -> None:
    """It is kept true again, and closed at the end."""
    closed_by_a_person(stage, "a")
    stage.server.issues.reopen_by(stage.issue)
    stage.settle()
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.issue.closed_by == "user-1"


def test_a_deleted_issue_is_left_alone_until_there_is_news(stage: Stage) -> None:
    """Who deletes it closes it; the next outage is a new issue."""
    opened(stage, "a")
    first = stage.issue
    first.instead = GONE
    stage.settle()
    assert stage.issues == []
    stage.is_true(job("a"), job("b"))
    stage.deliver("a", "b")
    stage.settle()
    assert stage.issue.number == 2


def test_an_issue_that_was_moved_away_is_not_followed(stage: Stage) -> None:
    """Somebody has taken it over."""
    opened(stage, "a")
    stage.issue.instead = MOVED
    stage.is_true(job("a", failures_in_outage=4))
    stage.settle()
    assert stage.writes() == []


def test_labels_and_assignees_of_people_stay(stage: Stage) -> None:
    """Whatever happens later, only text and state are written."""
    opened(stage, "a")
    stage.issue.labels[:] = ["help wanted"]
    stage.issue.assignees = ["author-a"]
    stage.is_true(job("a"), job("b"))
    stage.settle()
    stage.is_true(fixed("a"), fixed("b"))
    stage.settle()
    opened(stage, "a")
    assert stage.issue.labels == ["help wanted"]
    assert stage.issue.assignees == ["author-a"]


def test_a_title_of_a_person_stays_until_ours_changes(stage: Stage) -> None:
    """Only fields that differ from what was sent last are sent."""
    opened(stage, "a")
    stage.issue.title = "mine"
    stage.is_true(job("a", failed_step="Build"))
    stage.settle()
    assert stage.issue.title == "mine"
    assert "`Build`" in stage.issue.body
