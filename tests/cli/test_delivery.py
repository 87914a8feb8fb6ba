"""`trunkwatch test-alert` through a real Alertmanager with the ready-made routes."""

import queue
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result
from trunkwatch.app.delivery_test import ALERT, DeliveryTest
from trunkwatch.cli.main import main

from tests.deploy.files import ALERTMANAGER, TEMPLATES
from tests.deploy.live import PATIENCE, Inbox, Message, running, serving
from tests.deploy.notification import render_all

pytestmark = pytest.mark.live

TEAM = "broken-inductor"


@pytest.fixture
def told() -> queue.Queue[Message]:
    """Return the messages that arrive."""
    return queue.Queue()


@pytest.fixture
def alertmanager(tmp_path: Path, told: queue.Queue[Message]) -> Iterator[str]:
    """Run Alertmanager with the ready-made routes and short times; yield its address."""
    with serving(Inbox(told.put)) as port:
        text = ALERTMANAGER.read_text().replace("receiver:9095", f"127.0.0.1:{port}")
        text = re.sub(r"group_wait: \d+s", "group_wait: 0s", text)
        text = re.sub(r"group_interval: \d+m", "group_interval: 1s", text)
        config = tmp_path / "alertmanager.yml"
        config.write_text(text)
        shutil.copytree(TEMPLATES, tmp_path / "templates")
        with running(config) as own:
            yield f"http://127.0.0.1:{own}"


def call(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["test-alert", "--alertmanager.url", url, *arguments])


def test_a_test_alert_arrives_and_ends(alertmanager: str, told: queue.Queue[Message]) -> None:
    """The team's receiver gets it, marked as a test, and gets its end; nothing is left."""
    done = call(alertmanager, "--team", TEAM)
    assert done.exit_code == 0, done.output
    title = f"[TEST] Trunkwatch test alert for team {TEAM}, P2: nothing is broken"
    assert f"Receivers: {TEAM}-ticket\nLook for: {title}\n" in done.stdout
    first, last = told.get(timeout=PATIENCE), told.get(timeout=PATIENCE)
    assert [(each.path, each.body["status"]) for each in (first, last)] == [
        (f"{TEAM}-ticket", "firing"),
        (f"{TEAM}-ticket", "resolved"),
    ]
    (alert,) = first.body["alerts"]
    assert alert["labels"]["alertname"] == ALERT
    (shown, text) = render_all(["trunkwatch.title", "trunkwatch.text"], first.body)
    assert shown == title
    assert "nothing is broken" in text
    assert requests.get(f"{alertmanager}/api/v2/alerts", timeout=PATIENCE).json() == []


def test_a_silence_is_reported(alertmanager: str, told: queue.Queue[Message]) -> None:
    """What keeps an alert back is named, at once and with exit code 1."""
    silence = {
        "matchers": [{"name": "team", "value": TEAM, "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "a test",
        "comment": "quiet",
    }
    made = requests.post(f"{alertmanager}/api/v2/silences", json=silence, timeout=PATIENCE)
    done = call(alertmanager, "--team", TEAM, "--priority", "P1")
    assert done.exit_code == 1
    assert f"warning: kept back by silence {made.json()['silenceID']}" in done.stdout
    assert f"Receivers: {TEAM}-page" in done.stdout
    assert told.empty()


def test_an_interrupted_test_ends_too(alertmanager: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits sends the end."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trunkwatch.cli.delivery.time.sleep", interrupt)
    done = call(alertmanager, "--team", "trunk")
    assert "Ended" in done.stdout
    assert requests.get(f"{alertmanager}/api/v2/alerts", timeout=PATIENCE).json() == []


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://127.0.0.1:1", "Connection refused"), ("nowhere", "must be a URL such as")],
)
def test_an_alertmanager_that_does_not_answer_is_one_line(url: str, error: str) -> None:
    """The error has exit code 2."""
    done = call(url, "--team", "trunk")
    assert done.exit_code == 2
    assert error in done.stderr


def test_two_tests_are_two_notifications() -> None:
    """No label set is that of an earlier test, which Alertmanager would join."""
    seconds = iter((1e9, 1e9 + 1))
    one, two = (DeliveryTest("http://a", "trunk", "P2", lambda: next(seconds)) for _ in range(2))
    assert one.labels != two.labels
