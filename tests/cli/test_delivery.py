"""`trunkwatch test-alert` through Alertmanager with the ready-made routes, and one that fails."""

import queue
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from trunkwatch.app.delivery_test import ALERT, DeliveryTest
from trunkwatch.cli.main import main
from trunkwatch.errors import NoAnswerError, RequestError

from tests.deploy.files import ALERTMANAGER, TEMPLATES
from tests.deploy.live import PATIENCE, Inbox, Message, running, serving
from tests.deploy.notification import render_all

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


@pytest.mark.live
def test_a_test_alert_arrives_and_ends(alertmanager: str, told: queue.Queue[Message]) -> None:
    """The team's receiver gets it, marked as a test of one Trunkwatch, and its end."""
    done = call(alertmanager, "--team", TEAM, "--name", "staging")
    assert done.exit_code == 0, done.output
    title = f"[TEST] Trunkwatch test alert for team {TEAM}, P2: nothing is broken"
    assert f"Receivers: {TEAM}-ticket\nLook for: {title}\n" in done.stdout
    first, last = told.get(timeout=PATIENCE), told.get(timeout=PATIENCE)
    assert [(each.path, each.body["status"]) for each in (first, last)] == [
        (f"{TEAM}-ticket", "firing"),
        (f"{TEAM}-ticket", "resolved"),
    ]
    (alert,) = first.body["alerts"]
    assert (alert["labels"]["alertname"], alert["labels"]["trunkwatch"]) == (ALERT, "staging")
    (shown, text) = render_all(["trunkwatch.title", "trunkwatch.text"], first.body)
    assert shown == title
    assert "nothing is broken" in text
    assert requests.get(f"{alertmanager}/api/v2/alerts", timeout=PATIENCE).json() == []


@pytest.mark.live
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


@pytest.mark.live
def test_an_interrupted_test_ends_too(alertmanager: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits sends the end."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trunkwatch.cli.delivery.time.sleep", interrupt)
    done = call(alertmanager, "--team", "trunk")
    assert "Ended" in done.stdout
    assert requests.get(f"{alertmanager}/api/v2/alerts", timeout=PATIENCE).json() == []


TEAMS = """\
sources: [{name: ci, type: recorded, path: ci.ndjson}]
groups: [{name: a, match: {workflow: w}, team: lost, priority: P1}, {name: b, team: core}]
alertmanager: {url: URL}
"""
UNROUTED = "warning: alertmanager.url: route: no route takes team 'lost', priority P"


@pytest.mark.live
def test_a_team_without_a_route_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check-config --live` warns by the running routes, unless a file was checked or none runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ci.ndjson").touch()
    routes = "[{matchers: ['team=~\"core|trunk\"'], receiver: b}]"
    text = f"route: {{receiver: a, routes: {routes}}}\nreceivers: [{{name: a}}, {{name: b}}]\n"
    (tmp_path / "alertmanager.yml").write_text(text)
    (tmp_path / "routed.yml").write_text(text.replace("core", ".*"))

    def warned(config: str, *arguments: str) -> list[str]:
        (tmp_path / "trunkwatch.yml").write_text(config)
        done = CliRunner().invoke(main, ["check-config", "--live", *arguments])
        return [line for line in done.output.splitlines() if "alertmanager" in line]

    with running(tmp_path / "alertmanager.yml") as port:
        config = TEAMS.replace("URL", f"'http://127.0.0.1:{port}'")
        found = warned(config)
        assert [line[: len(UNROUTED) + 1] for line in found] == [f"{UNROUTED}{n}" for n in (1, 3)]
        assert not any("no route" in each for each in warned(config, "--alertmanager=routed.yml"))
        assert warned(config.partition("alertmanager")[0]) == []
    (failed,) = warned(config)
    assert "the routes of teams cannot be read: " in failed


class FakeClient:
    """A client of an Alertmanager that fails.

    Attributes:
        sent: the ends of the alerts that it got.
    """

    def __init__(
        self, posts: Sequence[RequestError | None], alerts: RequestError | Sequence[Any]
    ) -> None:
        """Args:
        posts: the error of each POST; None for success.
        alerts: the answer to the list of alerts.
        """
        self._posts = iter(posts)
        self._alerts = alerts
        self.sent: list[str] = []

    def object(self, _method: str, _path: str) -> dict[str, Any]:
        """Return the status."""
        return {"config": {"original": "{route: {receiver: a}, receivers: [{name: a}]}"}}

    def post(self, _path: str, alerts: Sequence[Any]) -> None:
        """Take an alert, or fail."""
        self.sent.append(alerts[0]["endsAt"])
        error = next(self._posts)
        if error is not None:
            raise error

    def get(self, _path: str) -> Sequence[Any]:
        """Return the alerts, or fail."""
        if isinstance(self._alerts, RequestError):
            raise self._alerts
        return self._alerts


LOST, DOWN = NoAnswerError("lost"), RequestError("down", status=503)


@pytest.mark.parametrize(
    ("posts", "alerts", "errors"),
    [
        ([None, None], LOST, ["lost"]),
        ([None, None], [], ["lacks the alert"]),
        ([None, DOWN], LOST, ["could not be ended: down; it ends within 15 minutes", "lost"]),
        ([LOST, None], [], ["lost"]),
        ([DOWN, None], [], ["down"]),
        ([RequestError("refused", status=400)], [], ["refused"]),
    ],
)
def test_an_alert_that_may_fire_is_ended(
    monkeypatch: pytest.MonkeyPatch,
    posts: Sequence[RequestError | None],
    alerts: RequestError | Sequence[Any],
    errors: Sequence[str],
) -> None:
    """Whatever fails after it was sent, its end is sent, and each failure is one line."""
    client = FakeClient(posts, alerts)
    monkeypatch.setattr("trunkwatch.app.delivery_test.RestClient", lambda *_, **__: client)
    done = call("http://127.0.0.1:1", "--team", TEAM)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == len(errors)
    for line, error in zip(done.stderr.splitlines(), errors, strict=True):
        assert error in line
    assert len(client.sent) == len(posts)
    assert client.sent == sorted(client.sent, reverse=True)
    assert ("Ended" in done.stdout) == (posts[1:] == [None])


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


def test_a_test_is_of_one_trunkwatch() -> None:
    """A route for the alerts of staging takes its test as well."""
    only, staging = (
        DeliveryTest("http://a", "trunk", "P2", name=each) for each in (None, "staging")
    )
    assert [each.labels.get("trunkwatch") for each in (only, staging)] == [None, "staging"]
