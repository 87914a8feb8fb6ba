"""An inhibiting alert ends after the alert that it inhibits."""

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


def place(alert: str) -> tuple[str, str, int]:
    """Return an alert's file, its group and its index in the group."""
    groups: list[tuple[str, dict[str, Any]]] = [
        (file.name, group)
        for file in RULE_FILES
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    for file, group in groups:
        for number, rule in enumerate(group["rules"]):
            if rule.get("alert") == alert:
                return file, group["name"], number
    raise LookupError(alert)


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
