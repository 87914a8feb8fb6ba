"""Builders of Grafana's classic dashboard JSON, as plain dicts."""

from collections.abc import Sequence
from typing import Any

from dashboards.settings import NO_DATA, UNKNOWN, UNKNOWN_TEXT

Json = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# In pixels: fits twelve hexadecimal digits of a commit, or a team's name. Wider columns reset it
# and share the remaining width.
COLUMN_WIDTH = 110


def target(ref: str, expr: str, legend: str = "", *, table: bool = False) -> Json:
    """Return an instant query: `lastNotNull` over a range would show an old value as current."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": "table" if table else "time_series",
        "instant": True,
        "legendFormat": legend,
        "range": False,
        "refId": ref,
    }


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Return absolute thresholds; the first step has no value."""
    return {
        "mode": "absolute",
        "steps": [{"color": color, "value": value} for value, color in steps],
    }


def value_map(**texts: tuple[str, str]) -> Json:
    """Return a mapping of values (`v0` stands for 0) to a text and its colour."""
    options = {
        value.removeprefix("v"): {"color": color, "index": index, "text": text}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return {"options": options, "type": "value"}


def regex_map(pattern: str, text: str) -> Json:
    """Return a mapping of texts that match `pattern`."""
    return {"options": {"pattern": pattern, "result": {"index": 0, "text": text}}, "type": "regex"}


def special_maps(text: str) -> list[Json]:
    """Return mappings of a missing number or label to a grey text."""
    result = {"color": UNKNOWN, "index": 99, "text": text}
    return [
        {"options": {"match": match, "result": result}, "type": "special"}
        for match in ("null+nan", "empty")
    ]


def panel(number: int, kind: str, title: str, description: str, grid: str, **parts: Any) -> Json:
    """Return a panel; `grid` is "x y w h" on Grafana's 24 columns."""
    position = dict(zip("xywh", map(int, grid.split()), strict=True))
    return {
        "datasource": DATASOURCE,
        "description": description,
        "gridPos": position,
        "id": number,
        "title": title,
        "type": kind,
        **parts,
    }


def stat(number: int, title: str, description: str, grid: str, query: Json, field: Json) -> Json:
    """Return a tile of one number per branch or source."""
    defaults = {"color": {"mode": "thresholds"}, "decimals": 0, "noValue": NO_DATA, **field}
    defaults["mappings"] = [*field.get("mappings", []), *special_maps(NO_DATA)]
    options = {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    }
    config = {"defaults": defaults, "overrides": []}
    return panel(
        number,
        "stat",
        title,
        description,
        grid,
        fieldConfig=config,
        options=options,
        targets=[query],
    )


def override(*columns: str, mode: str = "include", **properties: Json | None) -> Json:
    """Return settings of the columns with these headers, or (`exclude`) of all others.

    `custom_width` stands for `custom.width`; None removes the default. Grafana's published schema
    allows no override whose value is a plain number or text, so the defaults fit most columns and
    overrides only remove them.
    """
    settings: list[Json] = [
        {"id": name.replace("_", "."), **({} if value is None else {"value": value})}
        for name, value in properties.items()
    ]
    options = {"mode": mode, "names": list(columns)}
    return {"matcher": {"id": "byNames", "options": options}, "properties": settings}


def link(title: str, url: str) -> Json:
    """Return a link of a cell; the schema requires also the members for links of dashboards."""
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": False,
        "keepTime": False,
        "tags": [],
        "targetBlank": True,
        "title": title,
        "tooltip": "",
        "type": "link",
        "url": url,
    }


def organized(columns: dict[str, str], hidden: Sequence[str]) -> list[Json]:
    """Return the transformations that join the queries' rows and put the columns in order.

    `merge` joins the rows that agree in every label they share: here, the labels of a job.
    """
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "includeByName": {},
        "indexByName": {field: place for place, field in enumerate(columns)},
        "renameByName": columns,
    }
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


def table(
    number: int,
    title: str,
    description: str,
    grid: str,
    *,
    targets: list[Json],
    columns: dict[str, str],
    hidden: Sequence[str],
    mappings: list[Json],
    overrides: list[Json],
    sort_by: Sequence[tuple[str, bool]],
    empty: str,
    **defaults: Any,
) -> Json:
    """Return a table: `columns` has each field's header, in the order of the columns."""
    config = {
        "color": {"mode": "thresholds"},
        "custom": {"align": "left", "inspect": True, "width": COLUMN_WIDTH},
        "mappings": [*mappings, *special_maps(UNKNOWN_TEXT)],
        # Grafana shows this text instead of a table without rows; empty cells have a mapping.
        "noValue": empty,
        "thresholds": thresholds((None, "text")),
        "unit": "none",
        **defaults,
    }
    options = {
        "cellHeight": "sm",
        "footer": {"countRows": False, "reducer": ["sum"], "show": False},
        "frameIndex": 0,
        "showHeader": True,
        "sortBy": [{"desc": desc, "displayName": name} for name, desc in sort_by],
    }
    return panel(
        number,
        "table",
        title,
        description,
        grid,
        fieldConfig={"defaults": config, "overrides": overrides},
        options=options,
        targets=targets,
        transformations=organized(columns, hidden),
    )


def datasource_variable() -> Json:
    """Return the variable of the Prometheus data source, so that the file works in any Grafana."""
    return {
        "current": {"text": "", "value": ""},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def label_variable(name: str, label: str, query: str) -> Json:
    """Return the variable of a label's values. "All" is `.*`, which matches before any exists."""
    return {
        "allValue": ".*",
        # Without a value and with includeAll, Grafana starts with "All".
        "current": {"text": "", "value": ""},
        "datasource": DATASOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": query,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }
