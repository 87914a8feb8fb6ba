"""The recorded incident through the real stack: who is told what, and who is not told again."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.demo.incident import FIRST_BAD, FIX, INCIDENT, LAST_GREEN, THIRD_BAD, lines, sha_of
from trunkwatch.demo.play import append, steps
from trunkwatch.demo.receiver import Delivery, Receiver
from trunkwatch.demo.stack import HOST, Stack, free_port

from tests.support.waiting import always, eventually

TORCHBENCH = "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_torchbench)"
HUGGINGFACE = "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_huggingface)"
QUIET_SECONDS = 8.0
"""Several scrapes, evaluations and group intervals of the test's pace (1 s, 1 s, 2 s)."""

pytestmark = pytest.mark.xdist_group("stack")

CONFIG = """
sources:
  - {name: demo, type: recorded, path: incident.ndjson, poll_interval: 1s}
jobs: {preset: pytorch}
groups:
  - {name: inductor, match: {workflow: "inductor.*"}, team: broken-inductor, priority: P2}
"""


class Trunk:
    """Lands the incident's commits one by one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._steps = list(steps(INCIDENT.read_text(encoding="utf-8").splitlines()))
        self._landed = 0

    def land(self, until: int, without: str = "no job") -> None:
        """Land the commits up to a number of the story, without the results of some job."""
        for step in self._steps[self._landed : until + 1]:
            append(self.file, [row for row in step if without not in row.get("job_name", "")])
        self._landed = max(self._landed, until + 1)

    def late_failures(self, job: str, numbers: range) -> None:
        """Bring in what `land` left out of some commits, as failures."""
        rows = [row for n in numbers for row in self._steps[n] if job in row.get("job_name", "")]
        append(self.file, [{**row, "conclusion": "failure"} for row in rows])


class World:
    """A running stack on the incident, and everything that was delivered."""

    def __init__(self, stack: Stack, trunk: Trunk, deliveries: list[Delivery]) -> None:
        self.stack = stack
        self.trunk = trunk
        self._deliveries = deliveries

    def told(self) -> list[Delivery]:
        """What the team's ticket receiver was told, oldest first."""
        return [d for d in self._deliveries if d.receiver == "broken-inductor-ticket"]

    def streak(self, port: int | None = None) -> int:
        """The torchbench job's streak, as the exporter's JSON says it; -1 while it is unknown."""
        port = port or self.stack.ports.exporter
        answer = requests.get(f"http://{HOST}:{port}/api/v1/trunk/pytorch/pytorch/main", timeout=5)
        if not answer.ok:
            return -1
        jobs = {job["job_name"]: job["consecutive_failures"] for job in answer.json()["jobs"]}
        return int(jobs.get(TORCHBENCH, -1))

    def firing(self) -> list[dict[str, Any]]:
        """The job alerts that Alertmanager holds."""
        return [a for a in self.stack.alerts() if a["labels"]["alertname"] == "TrunkJobBroken"]

    def metric(self, expression: str) -> list[str]:
        """The values of an instant query."""
        return [sample["value"][1] for sample in self.stack.query(expression)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The stack, with the incident's five green commits landed."""
    deliveries: list[Delivery] = []
    lock = threading.Lock()

    def delivered(delivery: Delivery) -> None:
        with lock:
            deliveries.append(delivery)

    (tmp_path / "trunkwatch.yml").write_text(CONFIG)
    trunk = Trunk(tmp_path / "incident.ndjson")
    trunk.land(LAST_GREEN)
    receiver = Receiver(delivered)
    receiver.start()
    try:
        with Stack(tmp_path, tmp_path / "trunkwatch.yml", receiver.port) as stack:
            yield World(stack, trunk, deliveries)
    finally:
        receiver.stop()


def test_three_bad_commits_tell_the_team_once_and_a_pass_resolves(world: World) -> None:
    """Two bad commits are silent, three tell the team, a fourth is nothing new, a pass ends it."""
    world.trunk.land(FIRST_BAD)
    eventually(lambda: world.streak() == 1, "streak 1")
    world.trunk.land(FIRST_BAD + 1)
    eventually(lambda: world.streak() == 2, "streak 2")
    always(lambda: not world.firing() and not world.told(), "two commits are silent", QUIET_SECONDS)

    world.trunk.land(THIRD_BAD)
    eventually(world.told, "the team is told of three bad commits")
    _check_alert(world.told()[0])

    world.trunk.land(THIRD_BAD + 1)
    eventually(lambda: world.streak() == 4, "streak 4")
    always(lambda: len(world.told()) == 1, "a fourth failure is nothing new", QUIET_SECONDS)

    world.trunk.land(FIX)
    eventually(lambda: len(world.told()) == 2, "the team is told of the end")
    assert world.told()[1].status == "resolved"
    eventually(lambda: not world.firing(), "Alertmanager holds no job alert")


def _check_alert(delivery: Delivery) -> None:
    assert delivery.status == "firing"
    (alert,) = delivery.alerts
    assert alert["labels"] == {
        "alertname": "TrunkJobBroken",
        "repo": "pytorch/pytorch",
        "branch": "main",
        "workflow": "inductor",
        "job_name": TORCHBENCH,
        "group": "inductor",
        "team": "broken-inductor",
        "priority": "P2",
        "severity": "warning",
    }
    notes = alert["annotations"]
    assert notes["title"] == (
        "[P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"
    )
    assert notes["first_bad"] == sha_of(FIRST_BAD)
    assert notes["last_good"] == sha_of(LAST_GREEN)
    assert notes["reason"] == "Failure_Threshold=1, Number_of_Jobs_Failing=1"
    suspects = notes["suspects"].splitlines()
    assert suspects[0] == "2 commits, oldest first"
    assert [line.split(" ")[0] for line in suspects[1:]] == [
        sha_of(LAST_GREEN + 1)[:12],
        sha_of(FIRST_BAD)[:12],
    ]


def test_a_source_that_breaks_while_the_alert_fires_neither_ends_nor_repeats_it(
    world: World,
) -> None:
    """A broken source keeps the last known values: the alert stays, and nobody is told again."""
    world.trunk.land(THIRD_BAD)
    eventually(world.told, "the team is told")
    good = world.trunk.file.read_text()
    world.trunk.file.write_text("<html>the share is gone</html>\n")
    eventually(
        lambda: "0" in world.metric('trunkwatch_source_up{source="demo"}'), "the source is down"
    )
    always(
        lambda: len(world.firing()) == 1 and len(world.told()) == 1,
        "the alert stays as it is",
        QUIET_SECONDS,
    )
    world.trunk.file.write_text(good)
    world.trunk.land(FIX)
    eventually(lambda: len(world.told()) == 2, "the end is told once the source is back", 120)
    assert world.told()[1].status == "resolved"


def test_an_exporter_that_comes_back_elsewhere_neither_ends_nor_repeats_an_alert(
    world: World,
) -> None:
    """The exporter is killed, is away, and comes back under another instance: nobody notices."""
    world.trunk.land(THIRD_BAD)
    eventually(world.told, "the team is told")
    before = world.firing()[0]["startsAt"]
    world.stack.exporter.stop()
    eventually(lambda: world.metric('up{job="trunkwatch"}') == ["0"], "the scrape fails")
    always(lambda: len(world.firing()) == 1, "a failing scrape ends nothing", QUIET_SECONDS)

    port = free_port()
    replacement = world.stack.new_exporter("replacement", port)
    try:
        replacement.start()
        world.stack.scrape([port])
        replacement.wait_ready()
        eventually(
            lambda: world.metric(f'ci_job_broken{{instance="{HOST}:{port}"}} == 1'), "it is scraped"
        )
        always(
            lambda: len(world.firing()) == 1 and len(world.told()) == 1,
            "another instance is the same alert",
            QUIET_SECONDS,
        )
        assert world.firing()[0]["startsAt"] == before
        world.trunk.land(FIX)
        eventually(lambda: len(world.told()) == 2, "its 0 resolves the alert")
        assert world.told()[1].status == "resolved"
    finally:
        replacement.stop()


def test_one_more_broken_job_is_one_more_alert_in_one_more_notification(world: World) -> None:
    """A second job of the group breaks: one more alert, the first unchanged, one notification."""
    world.trunk.land(THIRD_BAD, without="huggingface")
    eventually(world.told, "the team is told of the first job")
    (first,) = world.firing()
    world.trunk.late_failures("huggingface", range(FIRST_BAD, THIRD_BAD + 1))
    eventually(lambda: len(world.told()) == 2, "the team is told of the second job")
    assert {alert["labels"]["job_name"] for alert in world.told()[1].alerts} == {
        TORCHBENCH,
        HUGGINGFACE,
    }
    alerts = {alert["labels"]["job_name"]: alert for alert in world.firing()}
    assert alerts[TORCHBENCH]["fingerprint"] == first["fingerprint"]
    assert alerts[TORCHBENCH]["startsAt"] == first["startsAt"]
    always(lambda: len(world.told()) == 2, "nobody is told a third time", QUIET_SECONDS)


def test_the_incident_is_what_its_generator_writes() -> None:
    """The committed incident equals the output of `trunkwatch.demo.incident`."""
    text = INCIDENT.read_text(encoding="utf-8")
    assert text == "".join(lines())
    assert "Modelled on the incident" in json.loads(text.splitlines()[0])["note"]
