"""A real Alertmanager: what it posts opens an issue, and what it lists is understood."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.tickets.facts import JobName, Key
from trunkwatch.tickets.readings import HttpReadings

from tests.support.binaries import binary_path
from tests.support.rows import TRUNK
from tests.support.waiting import eventually
from tests.tickets.around import LABELS, SECRET, STORED, Around, keeping

pytestmark = pytest.mark.live

PATIENCE = 30
"""Seconds; only a failure waits that long."""

CONFIG: dict[str, Any] = {
    "route": {
        "receiver": "ticket",
        "group_by": ["alertname", "repo", "branch", "group"],
        "group_wait": "100ms",
        "group_interval": "300ms",
    },
}
"""JSON is YAML too, so this is written as it is."""

KEY = Key(LABELS["repo"], LABELS["branch"], LABELS["group"])
JOB = JobName(LABELS["workflow"], LABELS["job_name"])


class Alertmanager:
    """A running Alertmanager.

    Attributes:
        url: where it listens.
    """

    def __init__(self, folder: Path, port: str) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}"

    def tell(self, port: int) -> None:
        """Post notifications to the tickets command from now on."""
        write_config(self._folder, f"http://127.0.0.1:{port}/alerts")
        requests.post(f"{self.url}/-/reload", timeout=PATIENCE).raise_for_status()

    def alert(self, *, ended: bool = False) -> None:
        """Let Prometheus send the alert of the job, or its end."""
        end = datetime.now(UTC) + timedelta(seconds=-1 if ended else 600)
        body = [{"labels": LABELS, "annotations": {}, "endsAt": end.isoformat()}]
        self._post("alerts", body)

    def silence(self) -> None:
        """Let a person silence the group, as our link offers it."""
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
        requests.post(url, json=body, timeout=PATIENCE).raise_for_status()


def write_config(folder: Path, url: str) -> Path:
    token = {"authorization": {"type": "Bearer", "credentials_file": str(folder / "secret")}}
    receiver = {"name": "ticket", "webhook_configs": [{"url": url, "http_config": token}]}
    path = folder / "alertmanager.yml"
    path.write_text(json.dumps({**CONFIG, "receivers": [receiver]}))
    return path


@contextmanager
def running(folder: Path) -> Iterator[Alertmanager]:
    """Run Alertmanager on a free loopback port."""
    (folder / "secret").write_text(f"{SECRET}\n")
    command = [
        binary_path("alertmanager"),
        f"--config.file={write_config(folder, 'http://127.0.0.1:1/')}",
        f"--storage.path={folder / 'storage'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            listening = r'"Listening on" address=127\.0\.0\.1:(\d+)'
            found = next(filter(None, (re.search(listening, line) for line in process.stderr)))
            # A pipe that nobody reads would block it in the end.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Alertmanager(folder, found.group(1))
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    """Run it in a folder of the test."""
    with running(tmp_path) as found:
        yield found


def test_its_list_of_alerts_is_understood(alertmanager: Alertmanager) -> None:
    """An alert is active, then silenced, then gone."""
    readings = HttpReadings("http://127.0.0.1:1", alertmanager.url)

    def state() -> list[bool]:
        return [found.active for found in readings.alerts().get(KEY, {}).values()]

    assert readings.alerts() == {}
    alertmanager.alert()
    eventually(lambda: state() == [True], "active")
    assert list(readings.alerts()[KEY]) == [JOB]
    alertmanager.silence()
    eventually(lambda: state() == [False], "silenced")
    alertmanager.alert(ended=True)
    eventually(lambda: state() == [], "resolved")


def test_what_it_posts_opens_and_closes_an_issue(
    around: Around, alertmanager: Alertmanager
) -> None:
    """From the alert to the repair, with its own bearer token, and nothing played."""
    flags = [*around.flags[:1], f"--alertmanager.url={alertmanager.url}", *around.flags[2:]]
    with keeping(around.folder, *flags, *STORED) as tickets:
        alertmanager.tell(tickets.port)
        alertmanager.alert()
        tickets.wait_for_log("o/r#1: open")
        (issue,) = around.github.issues.all(TRUNK.repo)
        assert "/#/silences/new?filter=%7Balertname%3D%22TrunkJobBroken%22%2C" in issue.body
        around.says("P F F F P")

        def repaired() -> bool:
            alertmanager.alert(ended=True)
            tickets.deliver("resolved")
            return issue.state == "closed"

        eventually(repaired, "closed")
        assert "fixed by `0000000000` by `author-4`: `change 4`" in issue.comments[-1].body
        assert tickets.end() == 0
