"""Reads a dashboard as Grafana does: the results of its queries, and the rows of its tables."""

from typing import Any

from tests.dashboards import model, server
from tests.dashboards.incident import END

Row = dict[str, Any]
Answer = tuple[dict[str, str], float]

JOB = ("repo", "branch", "workflow", "job_name", "group", "team", "priority")


class Shown:
    """A dashboard over one Trunkwatch.

    Attributes:
        dashboard: as JSON.
        prometheus: answers its queries.
    """

    def __init__(self, prometheus: server.Prometheus, name: str, **chosen: str) -> None:
        """Args:
        prometheus: answers the queries.
        name: of the dashboard's file, without its suffix.
        chosen: the values of variables.
        """
        self.prometheus = prometheus
        self.dashboard = model.load(model.FOLDER / f"{name}.json")
        self._targets = dict(model.targets(self.dashboard))
        self._chosen = chosen

    def answers(self, name: str, at: float = END, **chosen: str) -> list[Answer]:
        """Return the result of an instant query: labels and value of each series."""
        expr = model.filled(self._targets[name]["expr"], **{**self._chosen, **chosen})
        found = self.prometheus.query(expr, at)
        return [(series["metric"], float(series["value"][1])) for series in found]

    def lines(
        self, name: str, start: float, end: float, **chosen: str
    ) -> list[tuple[dict[str, str], list[float]]]:
        """Return the result of a query over time: labels and values of each series."""
        expr = model.filled(self._targets[name]["expr"], **{**self._chosen, **chosen})
        found = self.prometheus.query_range(expr, start, end)
        return [(series["metric"], [float(v) for _, v in series["values"]]) for series in found]

    def text(self, title: str, value: float | None) -> str:
        """Return the text that a tile has for a value."""
        defaults = model.panel(self.dashboard, title)["fieldConfig"]["defaults"]
        if value is None:
            return str(defaults["noValue"])
        return mapped(defaults["mappings"], value) or f"{value:g}"

    def rows(self, title: str, at: float = END, **chosen: str) -> list[Row]:
        """Return a table's rows by header, as Grafana's `merge` and `organize` make them."""
        shown = model.panel(self.dashboard, title)
        organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
        found = {
            t["refId"]: self.answers(f"{title} {t['refId']}", at, **chosen)
            for t in shown["targets"]
        }
        # A table joins rows that agree in the labels that all of its queries have.
        kept = [set().union(*(labels for labels, _ in some)) for some in found.values() if some]
        shared = sorted(set.intersection(*kept)) if kept else []
        merged: dict[tuple[str, ...], Row] = {}
        for ref, some in found.items():
            column = f"Value #{ref}" if len(found) > 1 else "Value"
            for labels, value in some:
                row = merged.setdefault(tuple(labels.get(name, "") for name in shared), {})
                assert column not in row, f"two values for one row: {labels}"
                row |= labels | {column: value}
        headers = organize["renameByName"]
        assert {k for row in merged.values() for k in row} <= {*headers, *organize["excludeByName"]}
        maps = shown["fieldConfig"]["defaults"]["mappings"]
        return [
            {header: mapped(maps, row[k]) or row[k] for k, header in headers.items() if k in row}
            for row in merged.values()
        ]


def mapped(maps: list[dict[str, Any]], value: Any) -> str | None:
    """Return the text that a value mapping has for a value."""
    key = f"{value:g}" if isinstance(value, int | float) else value
    for each in maps:
        if each["type"] == "value" and key in each["options"]:
            return str(each["options"][key]["text"])
    return None
