"""The recorded incident through the real stack: the notifications that are sent, and no others."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.demo.incident import FIRST_BAD, FIX, INCIDENT, LAST_GREEN, THIRD_BAD, lines, sha_of
from trunkwatch.demo.play import append, steps
from trunkwatch.demo.receiver import Delivery, Receiver
from trunkwatch.demo.stack import HOST, Stack, free_port

from tests.dashboards import model
from tests.dashboards.reading import Shown
from tests.dashboards.server import Prometheus
from tests.support.facts import facts_of
from tests.support.waiting import always, eventually

TORCHBENCH = "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_torchbench)"
HUGGINGFACE = "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_huggingface)"
QUIET_SECONDS = 8.0
"""Several scrapes, evaluations and group intervals of this test (1 s, 1 s, 2 s)."""

pytestmark = pytest.mark.xdist_group("stack")

CONFIG = """
sources:
  - {name: demo, type: recorded, path: incident.ndjson, poll_interval: 1s}
jobs: {preset: pytorch}
groups:
  - {name: inductor, match: {workflow: "inductor.*"}, team: broken-inductor, priority: P2}
"""


class IncidentTrunk:
    """The recorded file to which the incident's commits are added one by one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._steps = list(steps(INCIDENT.read_text(encoding="utf-8").splitlines()))
        self._landed = 0

    def land(self, until: int, without: str = "no job") -> None:
        """Add the commits up to a number, without the results of some job."""
        for step in self._steps[self._landed : until + 1]:
            append(self.file, [row for row in step if without not in row.get("job_name", "")])
        self._landed = max(self._landed, until + 1)

    def late_failures(self, job: str, numbers: range) -> None:
        """Add the results that `land` left out, as failures."""
        rows = [row for n in numbers for row in self._steps[n] if job in row.get("job_name", "")]
        append(self.file, [{**row, "conclusion": "failure"} for row in rows])


class IncidentRun:
    """A running stack on the incident and all notifications that were delivered."""

    def __init__(self, stack: Stack, trunk: IncidentTrunk, deliveries: list[Delivery]) -> None:
        self.stack = stack
        self.trunk = trunk
        self._deliveries = deliveries

    def ticket_deliveries(self) -> list[Delivery]:
        """Return the deliveries to the team's ticket receiver, oldest first."""
        return [d for d in self._deliveries if d.receiver == "broken-inductor-ticket"]

    def streak(self, port: int | None = None) -> int:
        """Return the torchbench job's streak from the exporter's JSON; -1 if it is missing."""
        port = port or self.stack.ports.exporter
        answer = requests.get(f"http://{HOST}:{port}/api/v1/trunk/pytorch/pytorch/main", timeout=5)
        if not answer.ok:
            return -1
        jobs = {job["job_name"]: job["consecutive_failures"] for job in answer.json()["jobs"]}
        return int(jobs.get(TORCHBENCH, -1))

    def firing(self) -> list[dict[str, Any]]:
        """Return Alertmanager's active alerts of jobs."""
        return [a for a in self.stack.alerts() if a["labels"]["alertname"] == "TrunkJobBroken"]

    def shown(self, name: str, **chosen: str) -> Shown:
        """Return a dashboard over this stack's Prometheus."""
        prometheus = Prometheus(f"http://{HOST}:{self.stack.ports.prometheus}")
        return Shown(prometheus, name, **chosen)

    def metric(self, expression: str) -> list[str]:
        """Return the values of an instant query."""
        return [sample["value"][1] for sample in self.stack.query(expression)]


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[IncidentRun]:
    """Run the stack on the incident's first five commits, which are green."""
    deliveries: list[Delivery] = []
    lock = threading.Lock()

    def delivered(delivery: Delivery) -> None:
        with lock:
            deliveries.append(delivery)

    (tmp_path / "trunkwatch.yml").write_text(CONFIG)
    trunk = IncidentTrunk(tmp_path / "incident.ndjson")
    trunk.land(LAST_GREEN)
    receiver = Receiver(delivered)
    receiver.start()
    try:
        with Stack(tmp_path, tmp_path / "trunkwatch.yml", receiver.port) as stack:
            yield IncidentRun(stack, trunk, deliveries)
    finally:
        receiver.stop()


def test_three_bad_commits_notify_the_team_once_and_a_pass_resolves(incident: IncidentRun) -> None:
    """Three bad commits in a row notify the team once, and a pass resolves the alert."""
    incident.trunk.land(FIRST_BAD)
    eventually(lambda: incident.streak() == 1, "streak 1")
    incident.trunk.land(FIRST_BAD + 1)
    eventually(lambda: incident.streak() == 2, "streak 2")
    always(
        lambda: not incident.firing() and not incident.ticket_deliveries(),
        "two commits are silent",
        QUIET_SECONDS,
    )

    incident.trunk.land(THIRD_BAD)
    eventually(incident.ticket_deliveries, "the team is notified of three bad commits")
    _check_alert(incident.ticket_deliveries()[0])
    _check_dashboards(incident)

    incident.trunk.land(THIRD_BAD + 1)
    eventually(lambda: incident.streak() == 4, "streak 4")
    always(
        lambda: len(incident.ticket_deliveries()) == 1,
        "a fourth failure is nothing new",
        QUIET_SECONDS,
    )

    incident.trunk.land(FIX)
    eventually(lambda: len(incident.ticket_deliveries()) == 2, "the resolve is sent")
    (resolved,) = incident.ticket_deliveries()[1].alerts
    assert resolved["status"] == "resolved"
    facts = facts_of(resolved)
    assert (facts["Ended"], facts["Fixed by"]) == ("fixed", sha_of(FIX))
    eventually(lambda: not incident.firing(), "Alertmanager holds no job alert")
    (row,) = incident.shown("trunk").rows("Recent outages", time.time())
    assert (row["Job"], row["How"]) == (TORCHBENCH, "✔ fixed")
    assert row["Closed"] in resolved["annotations"]["description"]


def _check_dashboards(incident: IncidentRun) -> None:
    """Check that every query runs, and that Trunk and Job name the same facts as the alert."""
    now = time.time()
    prometheus = incident.shown("trunk").prometheus
    for file in model.FILES:
        dashboard = model.load(file)
        for _, target in (*model.targets(dashboard), *model.annotations(dashboard)):
            expr = model.filled(target["expr"], __range="1h", __rate_interval="1m")
            prometheus.query(expr, now)
    facts = facts_of(incident.ticket_deliveries()[0].alerts[0])
    (row,) = incident.shown("trunk").rows("Broken now", now)
    assert (row["Job"], row["Team"], row["N"]) == (TORCHBENCH, "broken-inductor", 3)
    assert row["Commit"].endswith(facts["First bad"])
    assert facts["First bad by"] == f"{row['First bad by']}: {row['Commit title']}"
    assert (row["Failed step"], row["Run"]) == (facts["Failed step"], facts["First failing run"])
    assert (row["Suspects"], row["Opened (UTC)"]) == ("2", facts["Occurred at"])
    assert row["Suspects"] == facts["Suspects"].splitlines()[0]
    assert len(incident.shown("trunk").rows("Suspect commits", now)) == 2
    (trunk,) = incident.shown("trunk").rows("Trunks", now)
    assert (trunk["State"], trunk["Broken"], trunk["Data age"]) == ("✖ broken", 1, "0m")
    (outage,) = incident.shown("job", workflow="inductor", job_name=TORCHBENCH).rows("Outage", now)
    assert outage["Last good"] == facts["Last good"]


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
        "namespace": "trunkwatch/inductor",
    }
    facts = facts_of(alert)
    assert facts["Title"] == (
        "[P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"
    )
    assert facts["First bad"] == sha_of(FIRST_BAD)
    assert facts["Last good"] == sha_of(LAST_GREEN)
    assert facts["Reason"] == "Failure_Threshold=1, Number_of_Jobs_Failing=1"
    assert [line.split(" ")[:2] for line in facts["Suspects"].splitlines()] == [
        ["2"],
        ["-", sha_of(LAST_GREEN + 1)[:10]],
        ["-", sha_of(FIRST_BAD)[:10]],
    ]


def test_a_source_that_breaks_while_the_alert_fires_neither_ends_nor_repeats_it(
    incident: IncidentRun,
) -> None:
    """A failing source keeps the last known values, so that the alert stays without a repeat."""
    incident.trunk.land(THIRD_BAD)
    eventually(incident.ticket_deliveries, "the team is notified")
    good = incident.trunk.file.read_text()
    incident.trunk.file.write_text("<html>the share is gone</html>\n")
    eventually(
        lambda: "0" in incident.metric('trunkwatch_source_up{source="demo"}'), "the source is down"
    )
    always(
        lambda: len(incident.firing()) == 1 and len(incident.ticket_deliveries()) == 1,
        "the alert stays as it is",
        QUIET_SECONDS,
    )
    incident.trunk.file.write_text(good)
    incident.trunk.land(FIX)
    eventually(
        lambda: len(incident.ticket_deliveries()) == 2,
        "the resolve is sent once the source is back",
        120,
    )
    assert incident.ticket_deliveries()[1].status == "resolved"


def test_an_exporter_that_comes_back_elsewhere_neither_ends_nor_repeats_an_alert(
    incident: IncidentRun,
) -> None:
    """An exporter that restarts under another instance neither ends nor repeats the alert."""
    incident.trunk.land(THIRD_BAD)
    eventually(incident.ticket_deliveries, "the team is notified")
    before = incident.firing()[0]["startsAt"]
    incident.stack.exporter.stop()
    eventually(lambda: incident.metric('up{job="trunkwatch"}') == ["0"], "the scrape fails")
    always(lambda: len(incident.firing()) == 1, "a failing scrape ends nothing", QUIET_SECONDS)

    port = free_port()
    replacement = incident.stack.new_exporter("replacement", port)
    try:
        replacement.start()
        incident.stack.scrape([port])
        replacement.wait_ready()
        eventually(
            lambda: incident.metric(f'ci_job_broken{{instance="{HOST}:{port}"}} == 1'),
            "it is scraped",
        )
        always(
            lambda: len(incident.firing()) == 1 and len(incident.ticket_deliveries()) == 1,
            "another instance is the same alert",
            QUIET_SECONDS,
        )
        assert incident.firing()[0]["startsAt"] == before
        incident.trunk.land(FIX)
        eventually(lambda: len(incident.ticket_deliveries()) == 2, "its 0 resolves the alert")
        assert incident.ticket_deliveries()[1].status == "resolved"
    finally:
        replacement.stop()


def test_one_more_broken_job_is_one_more_alert_in_one_more_notification(
    incident: IncidentRun,
) -> None:
    """A second broken job adds an alert and one notification; the first alert is unchanged."""
    incident.trunk.land(THIRD_BAD, without="huggingface")
    eventually(incident.ticket_deliveries, "the team is notified of the first job")
    (first,) = incident.firing()
    incident.trunk.late_failures("huggingface", range(FIRST_BAD, THIRD_BAD + 1))
    eventually(
        lambda: len(incident.ticket_deliveries()) == 2, "the team is notified of the second job"
    )
    assert {alert["labels"]["job_name"] for alert in incident.ticket_deliveries()[1].alerts} == {
        TORCHBENCH,
        HUGGINGFACE,
    }
    alerts = {alert["labels"]["job_name"]: alert for alert in incident.firing()}
    assert alerts[TORCHBENCH]["fingerprint"] == first["fingerprint"]
    assert alerts[TORCHBENCH]["startsAt"] == first["startsAt"]
    always(
        lambda: len(incident.ticket_deliveries()) == 2,
        "no third notification is sent",
        QUIET_SECONDS,
    )


def test_the_incident_is_what_its_generator_writes() -> None:
    """The committed incident equals the output of `trunkwatch.demo.incident`."""
    text = INCIDENT.read_text(encoding="utf-8")
    assert text == "".join(lines())
    assert "Modelled on the incident" in json.loads(text.splitlines()[0])["note"]
