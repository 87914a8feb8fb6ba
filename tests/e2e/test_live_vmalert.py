"""The rules on vmalert: the alerts, their facts and their ends are those of Prometheus."""

from pathlib import Path
from typing import Any

import pytest
from trunkwatch.demo.stack import Pace, Stack

from tests.e2e.conftest import CONFIG
from tests.e2e.faults import prometheus_stopped
from tests.e2e.live import AcceleratedStack, LiveStack, LiveTrunk, notification, running
from tests.e2e.vmalert import VISIBLE_SECONDS, RemoteWriteStack
from tests.support.engines import VMALERT
from tests.support.facts import facts_of
from tests.support.rows import sha

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("live-vmalert")]

PACE = Pace(
    scrape="500ms",
    # More than one evaluation, as in deploy/: two may share what one scrape shows.
    group_wait=f"{2 * VISIBLE_SECONDS:g}s",
    group_interval=f"{2 * VISIBLE_SECONDS:g}s",
    resend="8s",
    lookback="10s",
)
LABELS = {
    *("alertname", "alertgroup", "namespace", "severity"),
    *("repo", "branch", "workflow", "job_name", "group", "team", "priority"),
}
"""Those of every engine, and vmalert's name of the group."""


def last_sent(live: LiveStack, trunk: LiveTrunk) -> dict[str, Any]:
    """Return the only alert of the last notification."""
    (alert,) = live.deliveries(trunk)[-1].alerts
    assert set(alert["labels"]) == LABELS
    return dict(alert)


class Remote(RemoteWriteStack, AcceleratedStack):
    """A Prometheus agent writes to VictoriaMetrics, at the pace of the live tests."""


@pytest.mark.parametrize("stack", [AcceleratedStack, Remote])
def test_an_outage_on_vmalert_has_its_facts_and_its_end(tmp_path: Path, stack: type[Stack]) -> None:
    """First bad, last good, suspects, URL and age are there; an end while away has its reason."""
    for name in ("trunks", "other"):
        (tmp_path / f"{name}.ndjson").touch()
    with running(tmp_path, CONFIG, stack, PACE, VMALERT) as live:
        trunk = live.trunk("o/vmalert")
        trunk.land(a="P F F F", b="P P P P")
        expected = [notification("a")]
        live.expect(trunk, expected)
        told = last_sent(live, trunk)
        facts = facts_of(told)
        assert (facts["First bad"], facts["Last good"]) == (sha(1), sha(0))
        assert facts["First failing run"].startswith("https://")
        assert facts["Suspects"] == f"1\n- {sha(1)[:10]} author-1: change 1"
        assert facts["Failures"] == "3"
        assert facts["Title"].startswith("[P2] inductor jobs broken for 3 commits in")
        assert facts["Failing for"].startswith("1h ")

        trunk.land(a="F F F", b="F F F")
        expected.append(notification("a b"))
        live.expect(trunk, expected)
        trunk.land(a="P", b="F")
        expected.append(notification("b", resolved="a"))
        live.expect(trunk, expected)
        with prometheus_stopped(live):
            trunk.land(a="P", b="P")
        expected.append(notification("", resolved="b"))
        live.expect(trunk, expected)
        ended = facts_of(last_sent(live, trunk))
        assert (ended["Ended"], ended["Fixed by"]) == ("fixed", sha(8))
        live.expect_no_more(trunk, expected, 4 * VISIBLE_SECONDS)
