"""The order of the rules: an alert ends after those that it inhibits, and with its reason."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules.rulebook import RULE_FILES, alerts

ALERTMANAGER = Path(__file__).resolve().parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"


def named(matchers: list[str]) -> list[str]:
    """Return the alerts that the matchers of an inhibition name."""
    assert matchers, "an inhibition without matchers silences all alerts"
    return [name for name in alerts() if f'alertname="{name}"' in matchers]


def inhibitions() -> Iterator[tuple[str, str]]:
    """Yield each pair of an inhibiting and an inhibited alert."""
    for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        yield from product(named(rule["source_matchers"]), named(rule["target_matchers"]))


def place(name: str) -> tuple[str, str, int]:
    """Return the file and group of an alert or a recorded series, and its index in the group."""
    groups: list[tuple[str, dict[str, Any]]] = [
        (file.name, group)
        for file in RULE_FILES
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    for file, group in groups:
        for number, rule in enumerate(group["rules"]):
            if name in (rule.get("alert"), rule.get("record")):
                return file, group["name"], number
    raise LookupError(name)


def test_every_inhibition_is_checked() -> None:
    """The test below covers every inhibition of the settings."""
    rules = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
    assert len(list(inhibitions())) >= len(rules) > 0


@pytest.mark.parametrize(("louder", "silenced"), list(inhibitions()))
def test_what_silences_is_evaluated_right_after_what_it_silences(
    louder: str, silenced: str
) -> None:
    """In another order it could end first, and fixed jobs would be notified."""
    *group, number = place(louder)
    *other, before = place(silenced)
    assert group == other
    assert number > before


def test_an_alert_ends_by_what_was_recorded_before_its_facts_were_read() -> None:
    """Else a scrape that ends during an evaluation ends the alert before its reason is read."""
    order = [
        "branch:ci_branch_mass_breakage:max",
        "job:ci_job_alerting:max",
        "TrunkJobBroken",
        "TrunkCommitBrokeEverything",
    ]
    assert sorted(map(place, order)) == list(map(place, order))
    for record, alert in zip(order, ("TrunkCommitBrokeEverything", "TrunkJobBroken"), strict=False):
        expression = alerts()[alert]["expr"]
        assert re.search(rf"{record}\{{[^}}]*\}}\[30m\] offset 1ms\)", expression), alert
