"""Reads the committed dashboards, for the tests of this package."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))

# Grafana sets these itself.
BUILTIN = {"__range", "__rate_interval", "__interval", "__value"}

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)|\$([A-Za-z_]\w*)|\[\[([A-Za-z_]\w*)")
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")


def load(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    dashboard: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def texts(node: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(node, str):
        yield node
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from texts(child)


def variables_in(node: Any) -> set[str]:
    """Return the variables that a JSON value uses, without Grafana's built-in ones."""
    found = {name for text in texts(node) for match in _VARIABLE.findall(text) for name in match}
    return found - BUILTIN - {""}


def variables(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables that a dashboard defines, by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def targets(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each query of the panels with its name, "<title> <refId>"."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target


def panel(dashboard: dict[str, Any], title: str) -> dict[str, Any]:
    """Return the one panel with this title."""
    (found,) = [panel for panel in dashboard["panels"] if panel["title"] == title]
    return dict(found)


def label_values(query: str) -> tuple[str, str]:
    """Return the series and the label of a variable's `label_values(series, label)`."""
    match = _LABEL_VALUES.fullmatch(query)
    assert match, f"not label_values(series, label): {query}"
    return match["series"], match["label"]


def filled(expr: str, **chosen: str) -> str:
    """Return PromQL as Grafana sends it: each variable is "All" or the chosen value."""
    values = {"__range": "6h", "job": ".*", "repo": ".*", "branch": ".*", "group": ".*", **chosen}

    def value(match: re.Match[str]) -> str:
        return values[next(name for name in match.groups() if name)]

    return re.sub(r"\$\{(\w+)\}|\$([A-Za-z_]\w*)", value, expr)
