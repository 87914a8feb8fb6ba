"""A real Alertmanager: its webhook opens an issue, and its list of alerts is parsed."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.app.triage import TriageReader
from trunkwatch.config import parse_config
from trunkwatch.engine.triage import AlertNote
from trunkwatch.status.trunk_status import JobName
from trunkwatch.tickets.model import TicketKey
from trunkwatch.tickets.status_client import HttpStatusClient

from tests.deploy.live import running
from tests.support.engines import PAIRS
from tests.support.rows import TRUNK
from tests.support.waiting import eventually
from tests.tickets.around import LABELS, SECRET, STORED, Around, keeping

pytestmark = pytest.mark.live

TIMEOUT_SECONDS = 30
"""Only a failing test waits that long."""

CONFIG: dict[str, Any] = {
    "route": {
        "receiver": "ticket",
        "group_by": ["alertname", "repo", "branch", "group"],
        "group_wait": "100ms",
        "group_interval": "300ms",
    },
}
"""Written as JSON, which is valid YAML."""

KEY = TicketKey(LABELS["repo"], LABELS["branch"], LABELS["group"])
JOB = JobName(LABELS["workflow"], LABELS["job_name"])


class Alertmanager:
    """A running Alertmanager.

    Attributes:
        url: its base URL.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}"

    def notify(self, port: int) -> None:
        """Send notifications to the tickets process from now on."""
        write_config(self._folder, f"http://127.0.0.1:{port}/alerts")
        requests.post(f"{self.url}/-/reload", timeout=TIMEOUT_SECONDS).raise_for_status()

    def alert(self, *, ended: bool = False) -> None:
        """Send the alert of the job, or its end, as Prometheus does."""
        end = datetime.now(UTC) + timedelta(seconds=-1 if ended else 600)
        body = [{"labels": LABELS, "annotations": {}, "endsAt": end.isoformat()}]
        self._post("alerts", body)

    def silence(self) -> None:
        """Silence the group, with the matchers of the silence link."""
        begin = datetime.now(UTC) - timedelta(seconds=1)
        matchers = [
            {"name": name, "value": LABELS[name], "isRegex": False}
            for name in ("alertname", "repo", "branch", "group")
        ]
        self._post("silences", {
            "matchers": matchers, "createdBy": "author-a", "comment": "known",
            "startsAt": begin.isoformat(), "endsAt": (begin + timedelta(hours=1)).isoformat(),
        })  # fmt: skip

    def _post(self, what: str, body: object) -> None:
        url = f"{self.url}/api/v2/{what}"
        requests.post(url, json=body, timeout=TIMEOUT_SECONDS).raise_for_status()


def listed(port: int) -> set[tuple[int, str, tuple[str, ...]]]:
    """Return number, state and assignees of the tickets that a process lists."""
    url = f"http://127.0.0.1:{port}/api/v1/tickets"
    rows = requests.get(url, timeout=TIMEOUT_SECONDS).json()["tickets"]
    return {(row["number"], row["state"], tuple(row["assignees"])) for row in rows}


def write_config(folder: Path, url: str) -> Path:
    token = {"authorization": {"type": "Bearer", "credentials_file": str(folder / "secret")}}
    receiver = {"name": "ticket", "webhook_configs": [{"url": url, "http_config": token}]}
    path = folder / "alertmanager.yml"
    path.write_text(json.dumps({**CONFIG, "receivers": [receiver]}))
    return path


@pytest.fixture(params=PAIRS)
def alertmanager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Alertmanager]:
    """Run Alertmanager in the folder of the test."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    with running(write_config(tmp_path, "http://127.0.0.1:1/"), request.param) as port:
        yield Alertmanager(tmp_path, port)


def test_its_list_of_alerts_is_parsed(alertmanager: Alertmanager) -> None:
    """An alert is active, then silenced, then gone."""
    status = HttpStatusClient(("http://127.0.0.1:1",), alertmanager.url)

    def state() -> list[bool | None]:
        return [found.active for found in status.alerts().alerts.get(KEY, {}).values()]

    assert status.alerts().alerts == {}
    alertmanager.alert()
    eventually(lambda: state() == [True], "active")
    assert list(status.alerts().alerts[KEY]) == [JOB]
    assert status.alerts().unreadable == ()
    alertmanager.silence()
    eventually(lambda: state() == [False], "silenced")
    alertmanager.alert(ended=True)
    eventually(lambda: state() == [], "resolved")


def test_silences_are_read_for_the_pages(alertmanager: Alertmanager) -> None:
    """A job whose alert is silenced has the silence with its author, comment and end."""
    text = f"alertmanager: {{url: '{alertmanager.url}'}}\n"
    text += "sources: [{name: a, type: recorded, path: a}]\n"
    config = parse_config(text, "t.yml")
    reader = TriageReader(lambda: config)

    def notes() -> list[AlertNote]:
        reader.read()
        assert reader.triage.alerts is not None
        assert reader.triage.alerts.problem is None
        return list((reader.triage.alerts.known(time.time()) or {}).values())

    assert notes() == []
    alertmanager.alert()
    eventually(lambda: notes() == [AlertNote((), False)], "an alert that notifies")
    alertmanager.silence()
    eventually(lambda: any(note.silences for note in notes()), "a silence")
    ((silence,),) = (note.silences for note in notes())
    assert (silence.created_by, silence.comment) == ("author-a", "known")
    assert silence.ends_at == pytest.approx(time.time() + 3600, abs=120)


def test_its_webhook_opens_and_closes_an_issue(around: Around, alertmanager: Alertmanager) -> None:
    """With the real webhook and bearer token, an issue is opened and closed."""
    flags = [*around.flags[:1], f"--alertmanager.url={alertmanager.url}", *around.flags[2:]]
    with keeping(around.folder, *flags, *STORED) as tickets:
        alertmanager.notify(tickets.port)
        alertmanager.alert()
        tickets.wait_for_log("operation=open issue=1 issue_repo=o/r ")
        (issue,) = around.github.issues.all(TRUNK.repo)
        assert "/#/silences/new?filter=%7Balertname%3D%22TrunkJobBroken%22%2C" in issue.body
        issue.assignees.append("author-a")

        def is_assigned() -> bool:
            alertmanager.alert()
            tickets.deliver()  # begins a round
            return listed(tickets.port) == {(1, "open", ("author-a",))}

        eventually(is_assigned, "its assignee")
        around.record("P F F F P")

        def repaired() -> bool:
            alertmanager.alert(ended=True)
            tickets.deliver("resolved")
            return issue.state == "closed"

        eventually(repaired, "closed")
        assert "fixed by `0000000000` by `author-4`: `change 4`" in issue.comments[-1].body
        assert tickets.end() == 0
