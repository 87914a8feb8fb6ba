"""The notifications that a real Alertmanager with the project's settings sends, and when."""

import json
import queue
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.deploy.files import ALERTMANAGER, TEMPLATES, load
from tests.deploy.live import PATIENCE, post, running

pytestmark = pytest.mark.live


class Delivery(NamedTuple):
    """One notification, as a webhook receives it.

    Attributes:
        receiver: the name in Alertmanager's settings.
        status: `firing` while any of its alerts fires, else `resolved`.
        jobs: the status of each job by name.
    """

    receiver: str
    status: str
    jobs: dict[str, str]


class Inbox(ThreadingHTTPServer):
    """A webhook on loopback that keeps all deliveries, those of the probe apart."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told: queue.Queue[Delivery] = queue.Queue()
        self.probe: queue.Queue[Delivery] = queue.Queue()

    def take(self) -> Delivery:
        """Return the next notification about jobs."""
        return self.told.get(timeout=PATIENCE)


class Handler(BaseHTTPRequestHandler):
    """Accepts every notification."""

    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        jobs = {alert["labels"].get("job_name", ""): alert["status"] for alert in body["alerts"]}
        delivery = Delivery(body["receiver"], body["status"], jobs)
        is_probe = body["groupLabels"]["alertname"] == "Probe"
        (self.server.probe if is_probe else self.server.told).put(delivery)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


class Alertmanager(NamedTuple):
    """A running Alertmanager.

    Attributes:
        port: its port on loopback.
        inbox: the webhook of all receivers.
    """

    port: int
    inbox: Inbox

    def post(self, *alerts: dict[str, Any]) -> None:
        """Send alerts as Prometheus does."""
        post(self.port, *alerts)

    def let_an_interval_pass(self) -> None:
        """Return when every group has been evaluated again.

        A probe in its own group fires and is resolved. Its resolve is sent one group_interval after
        its start at the earliest, and every other group is evaluated within that time.
        """
        for ended in (False, True):
            self.post(alert({"alertname": "Probe"}, ended=ended))
            self.inbox.probe.get(timeout=PATIENCE)


def alert(labels: dict[str, str], *, title: str = "", ended: bool = False) -> dict[str, Any]:
    """Return an alert in the form of Alertmanager's API."""
    end = timedelta(seconds=-1) if ended else timedelta(minutes=10)
    return {
        "labels": labels,
        "annotations": {"title": title},
        "endsAt": (datetime.now(UTC) + end).isoformat(),
    }


def broken(
    job: str,
    *,
    group: str = "inductor",
    branch: str = "main",
    commits: int = 3,
    ended: bool = False,
) -> dict[str, Any]:
    """Return a TrunkJobBroken of team broken-inductor."""
    labels = {
        "alertname": "TrunkJobBroken",
        "repo": "o/r",
        "branch": branch,
        "workflow": "ci",
        "job_name": job,
        "group": group,
        "team": "broken-inductor",
        "priority": "P2",
    }
    return alert(labels, title=f"broken for {commits} commits in a row", ended=ended)


def of_branch(name: str, priority: str) -> dict[str, Any]:
    """Return an alert of team trunk about the branch main."""
    labels = {"alertname": name, "repo": "o/r", "branch": "main"}
    return alert({**labels, "team": "trunk", "priority": priority})


def settings(folder: Path, inbox: Inbox) -> Path:
    """Write the settings with the webhooks and intervals of this test; return the file."""
    config = load(ALERTMANAGER)
    for receiver in config["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{inbox.server_port}/"
    config["route"] |= {"group_wait": "300ms", "group_interval": "500ms"}
    shutil.copytree(TEMPLATES, folder / TEMPLATES.name)
    path = folder / ALERTMANAGER.name
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    """Run Alertmanager with the project's settings; every receiver posts to one inbox."""
    with Inbox() as inbox:
        threading.Thread(target=inbox.serve_forever, daemon=True).start()
        try:
            with running(settings(tmp_path, inbox)) as port:
                yield Alertmanager(port, inbox)
        finally:
            inbox.shutdown()


def test_two_jobs_of_a_group_are_one_notification(alertmanager: Alertmanager) -> None:
    """Two jobs that break together are one notification; another group has its own."""
    alertmanager.post(broken("a"), broken("b"), broken("x", group="dynamo"))
    told = sorted((alertmanager.inbox.take() for _ in range(2)), key=lambda it: len(it.jobs))
    assert told == [
        Delivery("broken-inductor-ticket", "firing", {"x": "firing"}),
        Delivery("broken-inductor-ticket", "firing", {"a": "firing", "b": "firing"}),
    ]
    alertmanager.let_an_interval_pass()
    assert alertmanager.inbox.told.empty()


def test_a_new_commit_is_no_notification_and_a_new_job_is_one(alertmanager: Alertmanager) -> None:
    """A changed annotation sends nothing; another broken job sends exactly one notification."""
    alertmanager.post(broken("a"), broken("b"))
    assert alertmanager.inbox.take().jobs == {"a": "firing", "b": "firing"}

    alertmanager.post(broken("a", commits=4), broken("b", commits=4))
    alertmanager.let_an_interval_pass()
    assert alertmanager.inbox.told.empty()

    alertmanager.post(broken("c"))
    assert alertmanager.inbox.take().jobs == {"a": "firing", "b": "firing", "c": "firing"}
    alertmanager.let_an_interval_pass()
    assert alertmanager.inbox.told.empty()


def test_the_resolve_of_each_job_is_sent(alertmanager: Alertmanager) -> None:
    """A fixed job is sent as resolved while another still fires; then the last one is."""
    alertmanager.post(broken("a"), broken("b"))
    assert alertmanager.inbox.take().status == "firing"

    alertmanager.post(broken("a", ended=True))
    half = alertmanager.inbox.take()
    assert (half.status, half.jobs) == ("firing", {"a": "resolved", "b": "firing"})

    alertmanager.post(broken("b", ended=True))
    last = alertmanager.inbox.take()
    assert (last.status, last.jobs) == ("resolved", {"b": "resolved"})


def test_a_mass_breakage_silences_the_jobs_of_its_branch(alertmanager: Alertmanager) -> None:
    """A mass breakage silences the broken jobs of its own branch only."""
    alertmanager.post(of_branch("TrunkCommitBrokeEverything", "P1"))
    assert alertmanager.inbox.take().receiver == "page"

    alertmanager.post(broken("a", branch="main"), broken("a", branch="release"))
    assert alertmanager.inbox.take() == Delivery(
        "broken-inductor-ticket", "firing", {"a": "firing"}
    )
    alertmanager.let_an_interval_pass()
    assert alertmanager.inbox.told.empty()


def test_stale_data_never_silences_a_broken_job(alertmanager: Alertmanager) -> None:
    """TrunkDataStale silences "not green" of its branch, but no broken job."""
    alertmanager.post(of_branch("TrunkDataStale", "P2"))
    assert alertmanager.inbox.take().receiver == "ticket"

    alertmanager.post(of_branch("TrunkNotGreen", "P2"), broken("a"))
    assert alertmanager.inbox.take().receiver == "broken-inductor-ticket"
    alertmanager.let_an_interval_pass()
    assert alertmanager.inbox.told.empty()
