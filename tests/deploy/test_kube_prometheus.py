"""Trunkwatch's alerts under the default Alertmanager configuration of kube-prometheus."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.live import PATIENCE, post, running
from tests.support.engines import PAIRS
from tests.support.waiting import eventually

pytestmark = pytest.mark.live

CONFIG = Path(__file__).with_name("kube-prometheus.yml")


def broken(job: str, priority: str, severity: str, namespace: str) -> dict[str, str]:
    """Return the labels of a broken job's alert; an empty label is no label."""
    labels = {"alertname": "TrunkJobBroken", "job_name": job, "priority": priority}
    return labels | {"severity": severity} | ({"namespace": namespace} if namespace else {})


OURS = {
    "page": broken("a", "P1", "critical", "trunkwatch/a"),
    "ticket": broken("b", "P2", "warning", "trunkwatch/b"),
    "low": broken("c", "P3", "notice", "trunkwatch/c"),
    "silent": {"alertname": "TrunkJobSilent", "job_name": "d", "severity": "notice"},
    "heartbeat": {"alertname": "TrunkwatchWatchdog", "severity": "notice"},
}
THEIRS = {
    "their heartbeat": {"alertname": "Watchdog", "severity": "none"},
    "inhibitor": {"alertname": "InfoInhibitor", "severity": "none"},
    "critical": {"alertname": "TargetDown", "severity": "critical", "namespace": "default"},
    "warning": {"alertname": "TargetDown", "severity": "warning", "namespace": "kube-system"},
}
# What happens to alerts without these labels: the test sees it.
WITHOUT = {
    "page without namespace": broken("e", "P1", "critical", ""),
    "ticket without namespace": broken("f", "P2", "warning", ""),
    "low with severity info": broken("g", "P3", "info", ""),
}


def statuses(port: int) -> dict[str, tuple[str, list[str]]]:
    """Return the state and the receivers of each alert."""
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    names = {frozenset(labels.items()): name for name, labels in (OURS | THEIRS | WITHOUT).items()}
    found: list[dict[str, Any]] = requests.get(url, timeout=PATIENCE).json()
    return {
        names[frozenset(alert["labels"].items())]: (
            alert["status"]["state"],
            [receiver["name"] for receiver in alert["receivers"]],
        )
        for alert in found
    }


@pytest.mark.parametrize("pair", PAIRS)
def test_its_defaults_silence_nobody(pair: str, tmp_path: Path) -> None:
    """Trunkwatch inhibits nothing and is not inhibited, and each stack has its own heartbeat."""
    with running(Path(shutil.copy(CONFIG, tmp_path)), pair) as port:
        post(port, *({"labels": labels} for labels in (OURS | THEIRS | WITHOUT).values()))
        inhibited = {"ticket without namespace", "low with severity info"}
        eventually(
            lambda: inhibited <= {n for n, (s, _) in statuses(port).items() if s == "suppressed"},
            "the inhibitions are evaluated",
        )
        found = statuses(port)
    assert {name for name, (state, _) in found.items() if state == "suppressed"} == inhibited
    assert {name: receivers for name, (_, receivers) in found.items() if name in OURS} == {
        "page": ["Critical"],
        "ticket": ["Default"],
        "low": ["Default"],
        "silent": ["Default"],
        "heartbeat": ["Default"],
    }
    assert found["their heartbeat"][1] == ["Watchdog"]
