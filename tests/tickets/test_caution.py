"""When an issue stays open: a server is unavailable, or the alert still fires."""

from dataclasses import replace

import pytest
from trunkwatch.tickets.alerts import ALERT
from trunkwatch.tickets.reconcile.context import ReconcileContext
from trunkwatch.tickets.reconcile.decide import Decision
from trunkwatch.tickets.reconcile.decide import decide as decided

from tests.tickets.builders import GROUP, fixed, job, listed_alert
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
    """Results of other jobs do not prove that a missing job was removed: its state is unknown."""
    opened(stage, "a", "b")
    stage.set_status(job("a"), up=False)
    stage.settle()
    assert "**State unknown now:** `pull / b`" in stage.issue.body
    assert stage.issue.comments == []
    stage.set_status(job("a"), job("b"))
    stage.settle()
    assert "unknown now" not in stage.issue.body
    assert stage.issue.comments == []


def test_a_job_that_is_fixed_while_a_source_is_down_is_reported(stage: Stage) -> None:
    """A result of one job is valid even if other jobs were not read."""
    opened(stage, "a", "b")
    stage.set_status(job("a"), fixed("b"), up=False)
    stage.settle()
    assert "`pull / b`: fixed by" in stage.issue.comments[0].body


def test_a_row_that_cannot_be_read_is_of_a_job_whose_state_is_unknown(stage: Stage) -> None:
    """It is not called fixed or removed, its issue stays open, and the other jobs go on."""
    opened(stage, "a", "b")
    stage.set_status(fixed("a"), job("b", consecutive_failures=None))
    stage.settle()
    assert stage.writes() == []
    assert stage.metrics.health.unreadable == {"alertmanager": 0, "exporter": 1}
    assert stage.metrics.health.errors == {}
    stage.set_status(fixed("a"), fixed("b"))
    stage.settle()
    assert stage.issue.state == "closed"


def test_a_new_job_whose_row_cannot_be_read_keeps_the_issue_of_its_group_open(
    stage: Stage,
) -> None:
    """It may be broken."""
    opened(stage, "a")
    stage.set_status(fixed("a"), job("b", broken=False, consecutive_failures=None))
    stage.settle()
    assert stage.writes() == []


def test_a_row_of_another_group_that_cannot_be_read_changes_nothing(stage: Stage) -> None:
    """A fault stays where it is."""
    opened(stage, "a")
    stage.set_status(fixed("a"), job("b", group="other", consecutive_failures=None))
    stage.settle()
    assert stage.issue.state == "closed"


def test_without_the_row_of_its_group_no_issue_is_opened(stage: Stage) -> None:
    """Its labels name team and priority, and are set only once."""
    stage.set_status(job("a"), team=None)
    stage.deliver("a")
    stage.settle()
    assert stage.issues == []
    stage.set_status(job("a"))
    stage.settle()
    assert "Team:broken-inductor" in stage.issue.labels


@pytest.mark.parametrize("missing", ["workflow", "job_name"])
def test_an_alert_of_the_group_that_cannot_be_read_keeps_its_issue_open(
    stage: Stage, missing: str
) -> None:
    """It has not resolved."""
    opened(stage, "a")
    row = listed_alert("a")
    del row["labels"][missing]
    stage.status.strange_alerts = [row]
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.writes() == []
    assert stage.metrics.health.unreadable == {"alertmanager": 1, "exporter": 0}
    stage.status.strange_alerts = []
    stage.settle()
    assert stage.issue.state == "closed"


@pytest.mark.parametrize(
    "labels", [{"instance": "x"}, {"repo": "o/other", "group": GROUP}, {"group": "other"}]
)
def test_an_alert_of_no_group_or_another_one_changes_nothing(
    stage: Stage, labels: dict[str, str]
) -> None:
    """Somebody else's rule may have the same name."""
    stage.status.strange_alerts = [{"labels": {"alertname": ALERT, **labels}}]
    opened(stage, "a")
    stage.set_status(fixed("a"))
    stage.settle()
    assert stage.issue.state == "closed"


@pytest.mark.parametrize("status", [None, {}, {"state": 1}])
def test_an_alert_whose_state_cannot_be_read_counts_as_it_was_delivered(
    stage: Stage, status: object
) -> None:
    """It may be silenced, and it has not resolved."""
    stage.status.strange_alerts = [{**listed_alert("a"), "status": status}]
    opened(stage, "a")
    assert stage.issue.state == "open"


def test_unreadable_entries_are_logged_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A line each minute would hide all others."""
    stage.status.strange_alerts = [{"labels": {"alertname": ALERT, "instance": "x"}}]
    opened(stage, "a")
    (record,) = (row for row in caplog.records if row.getMessage().startswith("entries left out"))
    assert vars(record)["first"] == "alerts[1]: the label repo is missing"


def test_an_internal_error_of_one_group_does_not_stop_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the group is retried."""
    opened(stage, "a")
    other = stage.store.tickets()
    (ticket,) = other.values()
    stage.store.save_ticket(replace(ticket, key=ticket.key._replace(group="a first one")))

    def decide(context: ReconcileContext) -> Decision:
        if context.key.group == "a first one":
            raise RuntimeError("an internal error")
        return decided(context)

    monkeypatch.setattr("trunkwatch.tickets.reconcile.reconciler.decide", decide)
    stage.set_status(job("a"), job("b"))
    stage.settle()
    assert "`pull / b`" in stage.issue.body
    assert "an internal error" in caplog.text


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
