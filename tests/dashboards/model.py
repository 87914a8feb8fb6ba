"""Reads the committed dashboards, for the tests of this package."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))

# Grafana sets these itself.
BUILTIN = {"__range", "__rate_interval", "__interval", "__value", "__data", "__url_time_range"}
# What a choice of "All" or a standard address stands for.
ALL = {
    **dict.fromkeys(("job", "trunkwatch", "repo", "branch", "team", "group"), ".*"),
    # With exactly one value.
    "workflow": "inductor",
    "job_name": "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)",
    "page": "http://localhost:10077",
    "__range": "6h",
    "__interval": "1m",
    "__rate_interval": "2m",
}

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
    return {name for name in found - BUILTIN - {""} if not name.isdigit()}


def variables(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables that a dashboard defines, by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def targets(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each query of the panels with its name, "<title> <refId>"."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels, those of closed rows included, without the rows."""
    nested = [[each] if "targets" in each else each["panels"] for each in dashboard["panels"]]
    return [panel for some in nested for panel in some]


def annotations(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each annotation with its name, like a query of a panel."""
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation


def panel(dashboard: dict[str, Any], title: str) -> dict[str, Any]:
    """Return the one panel with this title."""
    (found,) = [panel for panel in panels(dashboard) if panel["title"] == title]
    return dict(found)


def label_values(query: str) -> tuple[str, str]:
    """Return the series and the label of a variable's `label_values(series, label)`."""
    match = _LABEL_VALUES.fullmatch(query)
    assert match, f"not label_values(series, label): {query}"
    return match["series"], match["label"]


def filled(expr: str, **chosen: str) -> str:
    """Return PromQL as Grafana sends it: each variable is "All", or the chosen value as it is.

    Grafana escapes nothing of a variable with exactly one value but apostrophes, and those not with
    `:raw`.
    """
    values = {**ALL, **chosen}

    def value(match: re.Match[str]) -> str:
        name = next(name for name in match.groups() if name)
        return match[0] if name.isdigit() else values[name]  # $1 is of label_replace

    return re.sub(r"\$\{(\w+)(?::raw)?\}|\$([A-Za-z_]\w*)", value, expr)
