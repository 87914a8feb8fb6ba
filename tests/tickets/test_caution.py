"""When an issue stays open: a server is unavailable, or the alert still fires."""

from tests.tickets.builders import fixed, job
from tests.tickets.stage import Stage, opened


def test_nothing_is_closed_while_alertmanager_is_away(stage: Stage) -> None:
    """Without an answer, the alert may still be firing."""
    opened(stage, "a")
    stage.status.alertmanager_up = False
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.writes() == []
    stage.status.alertmanager_up = True
    stage.settle()
    assert stage.issue.state == "closed"


def test_nothing_is_closed_while_the_alert_goes_on(stage: Stage) -> None:
    """An issue stays open while the rules still hold its alert."""
    opened(stage, "a")
    stage.status.lingering = {"a"}
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.writes() == []


def test_nothing_is_closed_while_the_exporter_is_away(stage: Stage) -> None:
    """Without the exporter's JSON, nothing is written."""
    opened(stage, "a")
    stage.status.document = None
    stage.settle()
    assert stage.writes() == []


def test_nothing_is_closed_while_a_source_is_down(stage: Stage) -> None:
    """A job may be missing because it could not be read."""
    opened(stage, "a")
    stage.set_status(up=False)
    stage.settle()
    assert stage.writes() == []


def test_a_job_that_is_not_listed_while_a_source_is_down_is_not_called_removed(
    stage: Stage,
) -> None:
    """Results of other jobs do not prove that a missing job was removed."""
    opened(stage, "a", "b")
    stage.set_status(job("a"), up=False)
    stage.settle()
    assert stage.writes() == []


def test_a_job_that_breaks_while_a_source_is_down_is_reported(stage: Stage) -> None:
    """A failure is valid even if other sources were not read."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"), up=False)
    stage.settle()
    assert "`pull / b`" in stage.issue.comments[0].body


def test_an_alert_that_resolves_while_silenced_closes_the_issue(stage: Stage) -> None:
    """Alertmanager sends nothing about a silenced alert; the next round closes the issue."""
    opened(stage, "a")
    stage.status.silenced = {"a"}
    stage.settle()
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issue.state == "closed"
