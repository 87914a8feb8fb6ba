"""Alerts while Prometheus or vmalert is away, 120 times as fast as docker-compose.yml."""

import queue
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from trunkwatch.config.fields import parse_duration
from trunkwatch.demo.stack import Program, free_port

from tests.deploy.files import ALERTMANAGER, COMPOSE, TEMPLATES, load, switched_on
from tests.deploy.live import PATIENCE, Inbox, Message, running, serving
from tests.deploy.notification import LABELS, broken
from tests.support.engines import ENGINES, NEWEST, VMALERT, find_engine
from tests.support.waiting import always, eventually

pytestmark = pytest.mark.live

SPEEDUP = 120
HOLD_SECONDS = 30 * 60 / SPEEDUP
"""How long the rules hold an alert without data."""

AWAY_SECONDS = 6 * 60 / SPEEDUP
"""Longer than Prometheus' default lets an alert live (4 minutes)."""


def write_rules(folder: Path) -> Path:
    """Write one rule, whose alert is that of a broken job; return the file."""
    alert = broken("a")
    rule = {"alert": LABELS["alertname"], "expr": "vector(1)", "annotations": alert.annotations}
    rule["labels"] = {name: value for name, value in alert.labels.items() if name != "alertname"}
    path = folder / "one.rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    return path


def resend_delay() -> str:
    """Return compose's delay at the speed of this test."""
    flags = "\n".join(load(COMPOSE)["services"]["prometheus"]["command"])
    (delay,) = re.findall(r"--rules\.alert\.resend-delay=(\S+)", flags)
    return f"{parse_duration(delay) / SPEEDUP * 1000:.0f}ms"


def prometheus(folder: Path, alertmanager: int, pair: str) -> Program:
    """Return a Prometheus with compose's delay and the rule."""
    managers = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
    config = {
        "global": {"evaluation_interval": "250ms"},
        "rule_files": [str(write_rules(folder))],
        "alerting": {"alertmanagers": managers},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        str(find_engine(pair, "prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--rules.alert.resend-delay={resend_delay()}",
    ]
    return Program("prometheus", command, folder, f"http://127.0.0.1:{port}/-/ready")


@contextmanager
def vmalert(folder: Path, alertmanager: int) -> Iterator[Program]:
    """Run VictoriaMetrics; yield a vmalert with compose's delay and the rule, not started."""
    storage, port = free_port(), free_port()
    data = [
        str(find_engine(NEWEST, "victoria-metrics")),
        f"-httpListenAddr=127.0.0.1:{storage}",
        f"-storageDataPath={folder / 'data'}",
    ]
    command = [
        str(find_engine(NEWEST, "vmalert")),
        f"-rule={write_rules(folder)}",
        f"-datasource.url=http://127.0.0.1:{storage}",
        f"-notifier.url=http://127.0.0.1:{alertmanager}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-evaluationInterval=250ms",
        f"-rule.resendDelay={resend_delay()}",
    ]
    database = Program("data", data, folder, f"http://127.0.0.1:{storage}/health")
    database.start()
    try:
        database.wait_ready()
        yield Program("vmalert", command, folder, f"http://127.0.0.1:{port}/health")
    finally:
        database.stop()


@contextmanager
def alertmanager(folder: Path, inbox: int, pair: str) -> Iterator[int]:
    """Run Alertmanager with the receiver for Slack, whose messages go to a port; yield its port."""
    settings = yaml.safe_load(switched_on(ALERTMANAGER))
    (slack,) = [each for r in settings["receivers"] for each in r.get("slack_configs", [])]
    slack.pop("api_url_file")
    slack["api_url"] = f"http://127.0.0.1:{inbox}/"
    route = {"receiver": "slack", "group_wait": "100ms", "group_interval": "200ms"}
    receivers = [{"name": "slack", "slack_configs": [slack]}]
    shutil.copytree(TEMPLATES, folder / TEMPLATES.name)
    path = folder / ALERTMANAGER.name
    path.write_text(
        yaml.safe_dump({"templates": settings["templates"], "route": route, "receivers": receivers})
    )
    with running(path, pair) as port:
        yield port


def held(port: int) -> dict[str, Any]:
    """Return Alertmanager's only alert."""
    (alert,) = requests.get(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=PATIENCE).json()
    return dict(alert)


def seconds(text: str) -> float:
    """Return a time of Alertmanager's API in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("engine", ENGINES)
def test_six_minutes_without_prometheus_are_no_notification(engine: str, tmp_path: Path) -> None:
    """The alert outlives them and the hold; when it ends at last, no repair is claimed."""
    pair = NEWEST if engine == VMALERT else engine
    told: queue.Queue[Message] = queue.Queue()
    with ExitStack() as stack:
        inbox = stack.enter_context(serving(Inbox(told.put)))
        port = stack.enter_context(alertmanager(tmp_path, inbox, pair))
        if engine == VMALERT:
            program = stack.enter_context(vmalert(tmp_path, port))
        else:
            program = prometheus(tmp_path, port, pair)
        program.start()
        try:
            (fired,) = told.get(timeout=PATIENCE).body["attachments"]
            alert = held(port)
            program.stop()
            always(told.empty, "it is away", AWAY_SECONDS)
            program.start()
            eventually(lambda: held(port)["updatedAt"] != alert["updatedAt"], "it is resent")
            always(told.empty, "it is back", 1.0)
        finally:
            program.stop()
        (ended,) = told.get(timeout=PATIENCE).body["attachments"]
    assert fired["title"].startswith("[P2]")
    assert seconds(alert["endsAt"]) - seconds(alert["updatedAt"]) > HOLD_SECONDS
    assert ended["title"] == (
        "[ENDED] a on pytorch/pytorch main: not confirmed, it may still be broken"
    )
    assert "Ended: `not confirmed, it may still be broken`" in ended["text"]
