"""Parts that end, come back, move or double in the middle of an outage: nobody notices."""

import pytest

from tests.e2e.faults import (
    Fault,
    alertmanager_away,
    exporter_away,
    exporter_moves,
    prometheus_away,
    prometheus_killed,
    source_fails,
    two_exporters,
)
from tests.e2e.live import QUIET_SECONDS, World, told
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live-restarts")

GAP_SECONDS = 10.0
"""Ten minutes, at the pace of the live tests."""

FAULTS: dict[str, tuple[Fault, float]] = {
    "exporter moves": (exporter_moves, 0.0),
    "two exporters": (two_exporters, QUIET_SECONDS),
    "prometheus is killed": (prometheus_killed, 0.0),
    "alertmanager restarts": (alertmanager_away, 0.0),
    "source fails": (source_fails, QUIET_SECONDS),
}
"""Each with the seconds for which it lasts, beside what it takes."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_part_that_goes_and_comes_back_neither_ends_nor_repeats_an_alert(
    live: World, name: str
) -> None:
    """The alert stays the same alert, and the next change is told once."""
    fault, seconds = FAULTS[name]
    trunk = live.trunk(f"o/{name.replace(' ', '-')}")
    trunk.land(a="P F F F", b="P P P P")
    so_far = [told("a")]
    live.hears(trunk, so_far)
    before = live.alerts(trunk)["a"]
    with fault(live):
        live.stays(trunk, so_far, seconds)
    eventually(lambda: live.alerts(trunk), "Alertmanager holds the alert")
    live.judged()
    live.stays(trunk, so_far)
    after = live.alerts(trunk)["a"]
    assert (after["fingerprint"], after["labels"]) == (before["fingerprint"], before["labels"])

    trunk.land(a="P", b="F")
    so_far.append(told("", ended="a"))
    live.hears(trunk, so_far)
    live.stays(trunk, so_far)


@pytest.mark.parametrize("away", [exporter_away, prometheus_away])
def test_what_changes_while_a_part_is_away_is_told_once_it_is_back(
    live: World, away: Fault
) -> None:
    """One job is fixed and one more breaks meanwhile: one notification; the end: one more."""
    trunk = live.trunk(f"o/meanwhile-{away.__name__}")
    trunk.land(a="P F F F", b="P F F F", c="P P P P")
    so_far = [told("a b")]
    live.hears(trunk, so_far)
    with away(live):
        trunk.land(a="P P P", b="F F F", c="F F F")
    so_far.append(told("b c", ended="a"))
    live.hears(trunk, so_far)
    live.stays(trunk, so_far)
    with away(live):
        trunk.land(a="P", b="P", c="P")
    so_far.append(told("", ended="b c"))
    live.hears(trunk, so_far)
    live.stays(trunk, so_far)


def test_what_changes_while_alertmanager_is_away_is_told_once_it_knows_all(live: World) -> None:
    """It hears of the change at once and of the rest a resend later: its last word is right."""
    # Before that, a notification may lack a job that is still broken, but does not call it ended;
    # and the end of all may name only what it heard of first, even a job that ended long before.
    trunk = live.trunk("o/meanwhile-alertmanager")
    trunk.land(a="P F F F", b="P F F F", c="P P P P")
    live.hears(trunk, [told("a b")])
    with alertmanager_away(live):
        trunk.land(a="P P P", b="F F F", c="F F F")
        live.settle()
    eventually(lambda: live.told(trunk)[-1].firing == {"b", "c"}, "it knows all")
    live.stays(trunk, live.told(trunk))
    assert {job for each in live.told(trunk) for job in each.ended} == {"a"}
    assert len(live.told(trunk)) <= 3
    with alertmanager_away(live):
        trunk.land(a="P", b="P", c="P")
        live.settle()
    eventually(lambda: live.told(trunk)[-1].firing == frozenset(), "the end is told")
    live.stays(trunk, live.told(trunk))
    assert len([each for each in live.told(trunk) if not each.firing]) == 1


def test_ten_minutes_without_a_scrape_end_nothing(live: World) -> None:
    """The outage is held over the gap, and only the watcher's own alert says that it is blind."""
    trunk = live.trunk("o/gap")
    trunk.land(a="P F F F", b="P F P P")
    so_far = [told("a")]
    live.hears(trunk, so_far)
    before = live.alerts(trunk)["a"]
    with exporter_away(live):
        live.stays(trunk, so_far, GAP_SECONDS)
        eventually(lambda: live.names_of("TrunkwatchExporterDown"), "the watcher speaks")
    live.settle()
    live.stays(trunk, so_far)
    assert live.alerts(trunk)["a"]["startsAt"] == before["startsAt"]
    assert live.firings(trunk) == {"a": 1}
    trunk.land(a="P", b="P")
    so_far.append(told("", ended="a"))
    live.hears(trunk, so_far)
