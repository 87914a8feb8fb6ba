"""Every alert has a promtool test, a runbook, a route, a panel and instructions to silence it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.model import FILES, load, panels
from tests.deploy.routes import ROUTES
from tests.rules import rulebook
from tests.support.each import for_each

ALERTS = rulebook.alerts()
# Alerts of the table of routes that are not in rules/.
FOREIGN_ALERTS = {"SomebodyElses", "Watchdog"}

# A label and its value: quoted as in PromQL and Alertmanager, or a bare word.
_PAIR = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)")


def expected_to_fire() -> set[str]:
    """Return the alerts that promtool tests expect, with labels and annotations."""
    return {
        case["alertname"]
        for case in rulebook.promtool_cases()
        if case["exp_alerts"] and all(a["exp_annotations"] for a in case["exp_alerts"])
    }


def with_a_runbook() -> set[str]:
    """Return the alerts with a runbook."""
    return {file.stem for file in rulebook.RUNBOOKS.iterdir()}


def routed() -> set[str]:
    """Return the alerts in the table that amtool checks the routes against."""
    return {labels["alertname"] for labels, _ in ROUTES} - FOREIGN_ALERTS


def shown() -> set[str]:
    """Return the alerts that the descriptions of panels name."""
    texts = [panel["description"] for file in FILES for panel in panels(load(file))]
    listed = " ".join(found for text in texts for found in re.findall(r"Alerts?: ([\w, ]+)", text))
    return set(re.findall(r"\bTrunk\w+", listed))


def linked() -> set[str]:
    """Return the alerts to whose existing runbooks some runbook_url leads."""
    urls = [alert["annotations"]["runbook_url"] for alert in ALERTS.values()]
    return {Path(url).name for url in urls} & with_a_runbook()


PARTS = {
    "promtool test": expected_to_fire,
    "runbook": with_a_runbook,
    "runbook_url": linked,
    "route": routed,
    "panel": shown,
}


def gaps(has: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the alerts that lack a part, and the parts that lack an alert."""
    return sorted(set(ALERTS) - set(has)), sorted(set(has) - set(ALERTS))


@pytest.mark.parametrize("part", PARTS)
def test_no_alert_lacks_a_part_and_no_part_its_alert(part: str) -> None:
    """Every alert has the part, and every part belongs to an alert."""
    assert gaps(PARTS[part]()) == ([], [])


def test_a_gap_and_an_orphan_are_found() -> None:
    """The check finds an alert without a part and a part without an alert."""
    lacking_one = set(ALERTS) - {"TrunkwatchWatchdog"}
    assert gaps({*lacking_one, "TrunkGone"}) == (["TrunkwatchWatchdog"], ["TrunkGone"])


def silences(runbook: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the label matchers of a runbook's amtool command and of its silence link."""
    (command,) = re.findall(r"amtool silence add ((?:[^\n]*\\\n)*[^\n]*)", runbook)
    (link,) = re.findall(r"http://localhost:9093/#/silences/new\?filter=\{(.*)\}`", runbook)
    arguments = re.sub(r"--\S+=(?:'[^']*'|\S+)|\\\n", " ", command)
    return unquoted(arguments), unquoted(link.replace(",", " "))


def unquoted(text: str) -> dict[str, str]:
    """Return the labels and values of `a=b c="d"`."""
    return {name: value.strip("\"'") for name, value in _PAIR.findall(text)}


@for_each("alert", ALERTS)
def test_a_runbook_says_how_to_silence_its_alert(alert: str) -> None:
    """The command and the link silence exactly one alert, by labels that it has."""
    by_command, by_link = silences((rulebook.RUNBOOKS / f"{alert}.md").read_text())
    assert by_command["alertname"] == alert
    assert by_link == by_command
    assert set(by_command) == {"alertname"} | identity(alert)


def identity(alert: str) -> set[str]:
    """Return the labels that distinguish alerts of one name in promtool's tests.

    The trunk and the job's name suffice for a job, without its workflow, group and team.
    """
    (labels, *_) = [
        expected["exp_labels"]
        for case in rulebook.promtool_cases()
        for expected in case["exp_alerts"]
        if case["alertname"] == alert
    ]
    return set(labels) & {"repo", "branch", "job_name", "source"}


def inhibited() -> dict[str, set[str]]:
    """Return the alerts that each alert inhibits."""
    file = rulebook.RULES.parent / "deploy" / "alertmanager" / "alertmanager.yml"
    found: dict[str, set[str]] = {}
    for rule in yaml.safe_load(file.read_text())["inhibit_rules"]:
        (source,) = named(rule["source_matchers"])
        targets = set(named(rule["target_matchers"]))
        found.setdefault(source, set()).update(targets)
        for alert in (source, *targets):
            assert {"trunkwatch"} <= set(rule["equal"]) <= {"trunkwatch", *identity(alert)}
    return found


def named(matchers: list[str]) -> list[str]:
    """Return the alerts that matchers name."""
    return [name for text in matchers for name in re.findall(r'alertname="(\w+)"', text)]


def test_inhibitions_are_of_alerts_that_exist() -> None:
    """Inhibiting and inhibited alerts exist and have the labels that must be equal."""
    found = inhibited()
    assert found == {
        "TrunkCommitBrokeEverything": {"TrunkJobBroken"},
        "TrunkDataStale": {"TrunkNotGreen"},
        "TrunkwatchSourceFailing": {"TrunkDataStale"},
        "TrunkwatchExporterDown": {"TrunkDataStale"},
    }


def test_a_mass_breakage_is_there_before_what_it_inhibits() -> None:
    """A mass breakage has no `for` and does not depend on a job's threshold."""
    rule: dict[str, Any] = ALERTS["TrunkCommitBrokeEverything"]
    assert "for" not in rule
    assert "threshold" not in json.dumps(rule["expr"])
