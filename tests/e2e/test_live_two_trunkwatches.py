"""Staging with N = 1 beside production: one Prometheus, one Alertmanager, the same results."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from trunkwatch.demo.stack import HOST, Program, free_port
from trunkwatch.tickets.alerts import ALERT, NAME_LABEL
from trunkwatch.tickets.status_client import HttpStatusClient

from rules import build
from tests.e2e.live import (
    PACE,
    AcceleratedStack,
    LiveStack,
    LiveTrunk,
    accelerated,
    running,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live-two")

STAGING, PRODUCTION = "staging", ""
DOWN = "TrunkwatchExporterDown"
CONFIG = """
sources: [{name: trunks, type: recorded, path: trunks.ndjson, poll_interval: 200ms}]
groups: [{name: inductor, match: {workflow: "inductor.*"}, team: broken-inductor, priority: P2}]
"""


class TwoTrunkwatches(AcceleratedStack):
    """The stack with a second exporter, whose scrape job is `staging`."""

    def __init__(self, folder: Path, *args: Any, **options: Any) -> None:
        """Args: those of `Stack`."""
        self.port = free_port()
        config = folder / "staging.yml"
        config.write_text(CONFIG.replace("priority: P2", "priority: P2, failures_to_open: 1"))
        command = [sys.executable, "-m", "trunkwatch", "serve", "--config.file", str(config)]
        command += ["--storage.path", str(folder / "staging.db")]
        command += ["--web.listen-address", f"{HOST}:{self.port}"]
        self.staging = Program("staging", command, folder, f"http://{HOST}:{self.port}/-/healthy")
        super().__init__(folder, *args, **options)

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in the order of their start."""
        return (*super().programs, self.staging)

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return the settings with a second scrape job and its rules."""
        settings = super().prometheus_settings(exporter_ports)
        rules = build.render(build.Which('job="staging"', name=STAGING))
        (self.folder / "staging.rules.yml").write_text(accelerated(rules))
        first = settings["scrape_configs"][0]
        targets = [{"targets": [f"{HOST}:{self.port}"]}]
        settings["scrape_configs"].append(
            {**first, "job_name": "staging", "static_configs": targets}
        )
        return settings


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """Run the stack without results."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "trunks.ndjson").touch()
    with running(folder, CONFIG, TwoTrunkwatches, PACE) as live:
        yield live


def sent(live: LiveStack, trunk: LiveTrunk | None, name: str, alert: str = ALERT) -> list[str]:
    """Return the status of each notification of one Trunkwatch; fail if one is of both."""
    found = live.deliveries_of_alert(alert) if trunk is None else live.deliveries(trunk, alert)
    assert all(len({name_of(each) for each in delivery.alerts}) == 1 for delivery in found)
    return [each.body["status"] for each in found if name_of(each.alerts[0]) == name]


def name_of(alert: Any) -> str:
    """Return the name of the Trunkwatch whose alert it is."""
    name: str = alert["labels"].get(NAME_LABEL, PRODUCTION)
    return name


def test_each_notifies_by_its_own_threshold(two: LiveStack) -> None:
    """One failure is an alert of staging alone, and the third one of both, each by itself."""
    trunk = two.trunk("o/both")
    trunk.land(a="P F", b="P P", c="P P")
    eventually(lambda: sent(two, trunk, STAGING) == ["firing"], "staging notifies")
    two.wait_until_read()
    assert sent(two, trunk, PRODUCTION) == []
    manager = f"http://{HOST}:{two.stack.ports.alertmanager}"
    listed = {
        name: trunk.name.repo in {key.repo for key in status.alerts().alerts}
        for name in (STAGING, PRODUCTION)
        for status in [HttpStatusClient(("http://127.0.0.1:1",), manager, name or None)]
    }
    assert listed == {STAGING: True, PRODUCTION: False}
    trunk.land(a="F F", b="P P", c="P P")
    eventually(lambda: sent(two, trunk, PRODUCTION) == ["firing"], "production notifies")
    trunk.land(a="P", b="P", c="P")
    both = ["firing", "resolved"]
    eventually(
        lambda: sent(two, trunk, PRODUCTION) == sent(two, trunk, STAGING) == both, "both resolve"
    )


def test_one_that_is_down_leaves_the_other_as_it_was(two: LiveStack) -> None:
    """An exporter that is down is reported by its name, and the other's alerts are sent."""
    assert isinstance(two.stack, TwoTrunkwatches)
    trunk = two.trunk("o/down")
    trunk.land(a="P P P", b="P P P", c="P P P")
    two.wait_until_read()
    staging = two.stack.staging
    staging.stop()
    try:
        eventually(lambda: "firing" in sent(two, None, STAGING, DOWN), "staging is down")
        assert sent(two, None, PRODUCTION, DOWN)[-1:] != ["firing"]
        trunk.land(a="F F F", b="P P P", c="P P P")
        eventually(lambda: sent(two, trunk, PRODUCTION) == ["firing"], "production notifies")
        assert sent(two, trunk, STAGING) == []
    finally:
        staging.start()
        staging.wait_ready()
