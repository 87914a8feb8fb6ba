"""Nothing is closed, and nothing called fixed, while somebody does not answer or does not agree."""

from tests.tickets.builders import fixed, job
from tests.tickets.stage import Stage, opened


def test_nothing_is_closed_while_alertmanager_is_away(stage: Stage) -> None:
    """Who does not answer has not said that the alert has resolved."""
    opened(stage, "a")
    stage.told.alertmanager_up = False
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.writes() == []
    stage.told.alertmanager_up = True
    stage.settle()
    assert stage.issue.state == "closed"


def test_nothing_is_closed_while_the_alert_goes_on(stage: Stage) -> None:
    """The rules hold an alert for a while when a scrape fails."""
    opened(stage, "a")
    stage.told.lingering = {"a"}
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.writes() == []


def test_nothing_is_closed_while_the_exporter_is_away(stage: Stage) -> None:
    """Without its JSON nothing is known, and nothing is written."""
    opened(stage, "a")
    stage.told.document = None
    stage.settle()
    assert stage.writes() == []


def test_nothing_is_closed_while_a_source_is_down(stage: Stage) -> None:
    """A job that is not listed then may only be unread."""
    opened(stage, "a")
    stage.is_true(up=False)
    stage.settle()
    assert stage.writes() == []


def test_a_job_that_is_not_listed_while_a_source_is_down_is_not_called_removed(
    stage: Stage,
) -> None:
    """The other jobs of the issue are no reason to believe it."""
    opened(stage, "a", "b")
    stage.is_true(job("a"), up=False)
    stage.settle()
    assert stage.writes() == []


def test_a_job_that_breaks_while_a_source_is_down_is_told(stage: Stage) -> None:
    """A failure that was seen was seen, whatever else was not."""
    opened(stage, "a")
    stage.is_true(job("a"), job("b"), up=False)
    stage.settle()
    assert "`pull / b`" in stage.issue.comments[0].body


def test_an_alert_that_resolves_while_inhibited_closes_the_issue(stage: Stage) -> None:
    """No delivery says so; the reconciliation finds out."""
    opened(stage, "a")
    stage.told.silenced = {"a"}
    stage.settle()
    stage.is_true(fixed("a"))
    stage.settle()
    assert stage.issue.state == "closed"
