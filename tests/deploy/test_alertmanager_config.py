"""Alertmanager's settings: routes, receivers, grouping and inhibitions."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import ALERTMANAGER, PROJECT, TEMPLATES, load, run, switched_on
from tests.deploy.routes import BROKEN, ROUTES
from tests.support.engines import OLDEST, PAIRS, find_engine


def route_test(labels: dict[str, str], receiver: str) -> str | None:
    """Check with amtool that an alert goes to one receiver only; return its output if not."""
    tested = run(
        find_engine(OLDEST, "amtool"),
        "config",
        "routes",
        "test",
        f"--config.file={ALERTMANAGER}",
        f"--verify.receivers={receiver}",
        *(f"{name}={value}" for name, value in labels.items()),
    )
    return None if tested.returncode == 0 else tested.stdout + tested.stderr


def our_alerts() -> dict[str, dict[str, str]]:
    """Return the fixed labels of every alert in rules/, by the alert's name."""
    return {
        rule["alert"]: rule.get("labels", {})
        for path in (PROJECT / "rules").glob("*.rules.yml")
        for group in load(path)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def webhooks() -> dict[str, dict[str, Any]]:
    """Return the webhook of each receiver by the receiver's name."""
    receivers = load(ALERTMANAGER)["receivers"]
    return {receiver["name"]: receiver["webhook_configs"][0] for receiver in receivers}


def routes(route: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a route and every route below it."""
    return [route] + [found for child in route.get("routes", []) for found in routes(child)]


@pytest.mark.parametrize("pair", PAIRS)
def test_amtool_accepts_the_config_and_every_receiver_that_is_offered(
    pair: str, tmp_path: Path
) -> None:
    """The config is valid as committed, and once the `#` of all offered receivers is removed."""
    amtool = find_engine(pair, "amtool")
    checked = run(amtool, "check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stderr
    assert "1 templates" in checked.stdout
    (tmp_path / ALERTMANAGER.name).write_text(switched_on(ALERTMANAGER))
    shutil.copytree(TEMPLATES, tmp_path / TEMPLATES.name)
    checked = run(amtool, "check-config", tmp_path / ALERTMANAGER.name)
    assert checked.returncode == 0, checked.stderr
    kinds = {kind for entry in load(tmp_path / ALERTMANAGER.name)["receivers"] for kind in entry}
    assert kinds == {
        "name",
        "webhook_configs",
        "pagerduty_configs",
        "slack_configs",
        "webex_configs",
        "email_configs",
    }


@pytest.mark.parametrize(
    ("labels", "receiver"),
    ROUTES,
    ids=[
        "-".join(labels.get(name, "none") for name in ("alertname", "team", "priority"))
        for labels, _ in ROUTES
    ],
)
def test_an_alert_goes_to_exactly_one_receiver(labels: dict[str, str], receiver: str) -> None:
    """P0 and P1 page, P2 is a ticket, P3 is low, per team, and no alert is lost."""
    assert route_test(labels, receiver) is None


def test_the_route_check_can_fail() -> None:
    """The check reports an alert that goes to another receiver."""
    assert route_test({**BROKEN, "team": "broken-inductor", "priority": "P2"}, "page") is not None


def test_every_receiver_is_reached() -> None:
    """Every receiver is the target of some alert in the table."""
    assert set(webhooks()) == {receiver for _, receiver in ROUTES}


def test_the_table_has_the_labels_of_the_rules() -> None:
    """The table has each alert in rules/ with its own team and priority, and a receiver for it."""
    for alert, labels in our_alerts().items():
        # The alert of a job has the labels of its series.
        own = {"alertname": alert, "team": "broken-inductor", "priority": "P2"} | labels
        own = {name: own[name] for name in ("alertname", "team", "priority")}
        own["alertname"] = alert
        receivers = [receiver for row, receiver in ROUTES if own.items() <= row.items()]
        assert receivers, own
        assert "unrouted" not in receivers


def test_resolves_are_sent_to_all_receivers_but_the_heartbeat() -> None:
    """Every receiver is sent resolves; a heartbeat's resolve would count as another beat."""
    sent = {name: webhook["send_resolved"] for name, webhook in webhooks().items()}
    assert sent == {name: name != "heartbeat" for name in sent}


def test_a_webhook_names_its_receiver() -> None:
    """The last part of the URL is the receiver's name, which the demo's receiver prints."""
    for name, webhook in webhooks().items():
        assert webhook["url"] == f"http://receiver:9095/{name}"


def test_one_notification_per_repo_branch_and_group() -> None:
    """The root groups by alert name, repo, branch and group; stale data is grouped by source."""
    root, *others = routes(load(ALERTMANAGER)["route"])
    assert root["group_by"] == ["alertname", "trunkwatch", "repo", "branch", "group"]
    (stale,) = [route for route in others if "group_by" in route]
    assert stale["matchers"] == ['alertname="TrunkDataStale"']
    assert stale["group_by"] == ["alertname", "trunkwatch", "source"]


def test_a_lasting_outage_is_not_repeated_within_half_a_day() -> None:
    """Repeats are sent after 12 to 24 hours, within Alertmanager's retention of five days."""
    root, *others = routes(load(ALERTMANAGER)["route"])
    repeats = {route["repeat_interval"] for route in others if "repeat_interval" in route}
    assert root["repeat_interval"] == "24h"
    assert repeats == {"12h", "5m"}
    assert [route["receiver"] for route in others if route.get("repeat_interval") == "5m"] == [
        "heartbeat"
    ]


def test_inhibition_is_only_what_the_design_allows() -> None:
    """A mass breakage silences broken jobs, old data "not green", its cause the old data."""
    rules = load(ALERTMANAGER)["inhibit_rules"]
    assert rules == [
        {
            "source_matchers": ['alertname="TrunkCommitBrokeEverything"'],
            "target_matchers": ['alertname="TrunkJobBroken"'],
            "equal": ["trunkwatch", "repo", "branch"],
        },
        {
            "source_matchers": ['alertname="TrunkDataStale"'],
            "target_matchers": ['alertname="TrunkNotGreen"'],
            "equal": ["trunkwatch", "repo", "branch"],
        },
        {
            "source_matchers": ['alertname="TrunkwatchSourceFailing"'],
            "target_matchers": ['alertname="TrunkDataStale"'],
            "equal": ["trunkwatch", "source"],
        },
        {
            "source_matchers": ['alertname="TrunkwatchExporterDown"'],
            "target_matchers": ['alertname="TrunkDataStale"'],
            "equal": ["trunkwatch"],
        },
    ]
