"""Stops, restarts, moves and duplicates of parts during an outage send no notification."""

import pytest

from tests.e2e.faults import (
    Fault,
    alertmanager_stopped,
    exporter_moved,
    exporter_stopped,
    prometheus_killed,
    prometheus_stopped,
    source_fails,
    two_exporters,
)
from tests.e2e.live import QUIET_SECONDS, LiveStack, notification
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live-restarts")

GAP_SECONDS = 10.0
"""Ten minutes, at the pace of the live tests."""

AWAY_SECONDS = 6.0
"""Six minutes: longer than an alert lasts with Prometheus' default resend delay of one minute."""

FAULTS: dict[str, tuple[Fault, float]] = {
    "exporter moves": (exporter_moved, 0.0),
    "two exporters": (two_exporters, QUIET_SECONDS),
    "prometheus is killed": (prometheus_killed, 0.0),
    "prometheus is away": (prometheus_stopped, AWAY_SECONDS),
    "alertmanager restarts": (alertmanager_stopped, 0.0),
    "source fails": (source_fails, QUIET_SECONDS),
}
"""Each fault with its additional duration in seconds."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_part_that_goes_and_comes_back_neither_ends_nor_repeats_an_alert(
    live: LiveStack, name: str
) -> None:
    """The alert stays the same, and the next change sends one notification."""
    fault, seconds = FAULTS[name]
    trunk = live.trunk(f"o/{name.replace(' ', '-')}")
    trunk.land(a="P F F F", b="P P P P")
    expected = [notification("a")]
    live.expect(trunk, expected)
    before = live.alerts(trunk)["a"]
    with fault(live):
        live.expect_no_more(trunk, expected, seconds)
    eventually(lambda: live.alerts(trunk), "Alertmanager holds the alert")
    live.wait_until_evaluated()
    live.expect_no_more(trunk, expected)
    after = live.alerts(trunk)["a"]
    assert (after["fingerprint"], after["labels"]) == (before["fingerprint"], before["labels"])

    trunk.land(a="P", b="F")
    expected.append(notification("", resolved="a"))
    live.expect(trunk, expected)
    live.expect_no_more(trunk, expected)


@pytest.mark.parametrize("stopped", [exporter_stopped, prometheus_stopped])
def test_changes_while_a_part_is_stopped_are_sent_afterwards(
    live: LiveStack, stopped: Fault
) -> None:
    """All changes while a part is stopped are sent as one notification afterwards."""
    trunk = live.trunk(f"o/meanwhile-{stopped.__name__}")
    trunk.land(a="P F F F", b="P F F F", c="P P P P")
    expected = [notification("a b")]
    live.expect(trunk, expected)
    with stopped(live):
        trunk.land(a="P P P", b="F F F", c="F F F")
    expected.append(notification("b c", resolved="a"))
    live.expect(trunk, expected)
    live.expect_no_more(trunk, expected)
    with stopped(live):
        trunk.land(a="P", b="P", c="P")
    expected.append(notification("", resolved="b c"))
    live.expect(trunk, expected)
    live.expect_no_more(trunk, expected)


def test_changes_while_alertmanager_is_stopped_are_sent_afterwards(live: LiveStack) -> None:
    """After a restart of Alertmanager its last notification is right once all alerts are resent."""
    # Before that, a notification may lack a job that is still broken, but not list it as resolved;
    # the last one may list only the jobs that were resent first.
    trunk = live.trunk("o/meanwhile-alertmanager")
    trunk.land(a="P F F F", b="P F F F", c="P P P P")
    live.expect(trunk, [notification("a b")])
    with alertmanager_stopped(live):
        trunk.land(a="P P P", b="F F F", c="F F F")
        live.wait_until_read()
    eventually(lambda: live.notifications(trunk)[-1].firing == {"b", "c"}, "all alerts are resent")
    live.expect_no_more(trunk, live.notifications(trunk))
    assert {job for each in live.notifications(trunk) for job in each.resolved} == {"a"}
    assert len(live.notifications(trunk)) <= 3
    with alertmanager_stopped(live):
        trunk.land(a="P", b="P", c="P")
        live.wait_until_read()
    eventually(lambda: live.notifications(trunk)[-1].firing == frozenset(), "the resolve is sent")
    live.expect_no_more(trunk, live.notifications(trunk))
    assert len([each for each in live.notifications(trunk) if not each.firing]) == 1


def test_ten_minutes_without_a_scrape_end_nothing(live: LiveStack) -> None:
    """The outage is held over a gap of scrapes, and only TrunkwatchExporterDown is sent."""
    trunk = live.trunk("o/gap")
    trunk.land(a="P F F F", b="P F P P")
    expected = [notification("a")]
    live.expect(trunk, expected)
    before = live.alerts(trunk)["a"]
    with exporter_stopped(live):
        live.expect_no_more(trunk, expected, GAP_SECONDS)
        eventually(lambda: live.deliveries_of_alert("TrunkwatchExporterDown"), "the watcher speaks")
    live.wait_until_read()
    live.expect_no_more(trunk, expected)
    assert live.alerts(trunk)["a"]["startsAt"] == before["startsAt"]
    assert live.firing_counts(trunk) == {"a": 1}
    trunk.land(a="P", b="P")
    expected.append(notification("", resolved="a"))
    live.expect(trunk, expected)
