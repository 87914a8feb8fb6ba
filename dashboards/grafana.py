"""Builders of Grafana's classic dashboard JSON, as plain dicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.settings import GRAPH_POINTS, NO_DATA, UNKNOWN, UNKNOWN_TEXT, WORST_IN_TIMELINE

Json = dict[str, Any]
States = Mapping[str, tuple[str, str]] | Mapping[int, tuple[str, str]]
"""Texts and colours of values."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# In pixels. Columns that are not wide share the rest of the width, and have at least that of a
# short hash or a team's name: a phone shows a job's name and one column more.
WIDE_COLUMN = 260
COLUMN_WIDTH = 120


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


def over_time(ref: str, expr: str, legend: str) -> Json:
    """Return a query over the time range."""
    return {**target(ref, expr, legend), "instant": False, "range": True}


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Return absolute thresholds; the first step has no value."""
    return {
        "mode": "absolute",
        "steps": [{"color": color, "value": value} for value, color in steps],
    }


def value_map(texts: States) -> Json:
    """Return a mapping of values to a text and its colour."""
    options = {
        str(value): {"color": color, "index": index, "text": text}
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


def panel(kind: str, title: str, description: str, size: str, **parts: Any) -> Json:
    """Return a panel; `size` is "width height" on Grafana's 24 columns, `placed` adds the rest."""
    return {
        "datasource": DATASOURCE,
        "description": description,
        "gridPos": dict(zip("wh", map(int, size.split()), strict=True)),
        "title": title,
        "type": kind,
        **parts,
    }


def stat(title: str, description: str, size: str, query: Json | list[Json], field: Json) -> Json:
    """Return a tile of one number per series."""
    defaults = {"color": {"mode": "thresholds"}, "decimals": 0, "noValue": NO_DATA, **field}
    defaults["mappings"] = [*field.get("mappings", []), *special_maps(NO_DATA)]
    options = {
        "colorMode": "none"
        if field["thresholds"]["steps"][-1]["color"] == "text"
        else "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    }
    return panel(
        "stat",
        title,
        description,
        size,
        fieldConfig={"defaults": defaults, "overrides": []},
        options=options,
        targets=query if isinstance(query, list) else [query],
    )


def override(*columns: str, mode: str = "include", **properties: Json | list[Json] | None) -> Json:
    """Return settings of the columns or lines with these names, or (`exclude`) of all others.

    `custom_width` stands for `custom.width`; None removes the default. The JSON schema that is
    generated for Grafana allows only objects as values, Grafana itself any value. So the defaults
    fit most columns and overrides only remove them, but for links of single columns. Those are
    added to the default ones: remove these first.
    """
    options = {"mode": mode, "names": list(columns)}
    return {"matcher": {"id": "byNames", "options": options}, "properties": _settings(properties)}


def _settings(properties: Mapping[str, Json | list[Json] | None]) -> list[Json]:
    return [
        {"id": name.replace("_", "."), **({} if value is None else {"value": value})}
        for name, value in properties.items()
    ]


def link(title: str, url: str, *, blank: bool = True) -> Json:
    """Return a link of a cell; the schema requires also the members for links of dashboards."""
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": False,
        "keepTime": False,
        "tags": [],
        "targetBlank": blank,
        "title": title,
        "tooltip": "",
        "type": "link",
        "url": url,
    }


def organized(columns: Mapping[str, str], hidden: Sequence[str]) -> list[Json]:
    """Return the transformations that join the queries' rows and put the columns in order.

    `merge` joins the rows that agree in every label they share: here, the labels of a job.
    """
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "includeByName": {},
        "indexByName": {field: place for place, field in enumerate(columns)},
        "renameByName": dict(columns),
    }
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


def table(
    title: str,
    description: str,
    size: str,
    *,
    queries: Sequence[str],
    columns: Mapping[str, str],
    wide: Sequence[str],
    sort_by: Sequence[tuple[str, bool]],
    empty: str,
    hidden: Sequence[str] = (),
    mappings: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
    linked: Sequence[str] = (),
    links: Sequence[Json] = (),
    timed: Sequence[str] = (),
    unit: str = "s",
) -> Json:
    """Return a table.

    Args:
        title: of the panel.
        description: of the panel.
        size: as of `panel`.
        queries: PromQL; Grafana calls their values `Value #A` and so on, of one query `Value`.
        columns: each field's header, in the order of the columns.
        wide: headers of the columns that are wide.
        sort_by: headers, and whether descending.
        empty: shown instead of a table without rows; empty cells have a mapping.
        hidden: fields that are no column.
        mappings: of all columns.
        overrides: of single columns.
        linked: headers of the columns whose cells are links.
        links: of each of their cells; Grafana opens a single one at a click, and offers several.
        timed: headers of the columns with `unit`.
        unit: see `timed`.
    """
    config = {
        "color": {"mode": "thresholds"},
        "custom": {
            "align": "left",
            "inspect": True,
            "minWidth": COLUMN_WIDTH,
            "width": WIDE_COLUMN,
        },
        "mappings": [*mappings, *special_maps(UNKNOWN_TEXT)],
        "noValue": empty,
        "thresholds": thresholds((None, "text")),
        "unit": unit if timed else "none",
        **({"decimals": 1} if timed else {}),
        **({"links": list(links)} if links else {}),
    }
    removals = [override(*wide, mode="exclude", custom_width=None)]
    if links:
        removals.append(override(*linked, mode="exclude", links=None))
    if timed:
        removals.append(override(*timed, mode="exclude", unit=None, decimals=None))
    options = {
        "cellHeight": "sm",
        "frameIndex": 0,
        "showHeader": True,
        "sortBy": [{"desc": desc, "displayName": name} for name, desc in sort_by],
    }
    return panel(
        "table",
        title,
        description,
        size,
        fieldConfig={"defaults": config, "overrides": [*removals, *overrides]},
        options=options,
        targets=[
            target(ref, expr, table=True) for ref, expr in zip("ABCDEFGHIJ", queries, strict=False)
        ],
        transformations=organized(columns, ["Time", *hidden]),
    )


def graph(
    title: str,
    description: str,
    size: str,
    queries: Sequence[tuple[str, str]],
    *,
    unit: str = "none",
    empty: str = NO_DATA,
    stacked: bool = False,
    overrides: Sequence[Json] = (),
) -> Json:
    """Return a graph of steps over time; `queries` are PromQL and legend."""
    defaults = {
        "color": {"mode": "palette-classic"},
        "custom": {
            "axisSoftMax": 1,
            "drawStyle": "line",
            "fillOpacity": 60 if stacked else 0,
            "lineInterpolation": "stepAfter",
            "lineWidth": 2,
            "showPoints": "never",
            "spanNulls": False,
            **({"stacking": {"group": "A", "mode": "normal"}} if stacked else {}),
        },
        "min": 0,
        "noValue": empty,
        "thresholds": thresholds((None, UNKNOWN)),
        "unit": unit,
    }
    shown = {
        "calcs": ["lastNotNull", "max"],
        "displayMode": "table",
        "placement": "bottom",
        "showLegend": True,
        "sortBy": "Last *",
        "sortDesc": True,
    }
    return panel(
        "timeseries",
        title,
        description,
        size,
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        maxDataPoints=GRAPH_POINTS,
        options={"legend": shown, "tooltip": {"mode": "multi", "sort": "desc"}},
        targets=[over_time(ref, *query) for ref, query in zip("ABCDEFGH", queries, strict=False)],
    )


def timeline(
    title: str,
    description: str,
    size: str,
    queries: Sequence[tuple[str, str]],
    states: States,
) -> Json:
    """Return rows of states over time."""
    defaults = {
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "mappings": [value_map(states)],
        "noValue": NO_DATA,
        "thresholds": thresholds((None, UNKNOWN)),
        "unit": "none",
    }
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "perPage": WORST_IN_TIMELINE,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel(
        "state-timeline",
        title,
        description,
        size,
        fieldConfig={"defaults": defaults, "overrides": []},
        maxDataPoints=GRAPH_POINTS,
        options=options,
        targets=[over_time(ref, *query) for ref, query in zip("ABCD", queries, strict=False)],
    )


def collapsed(title: str, *panels: Json) -> Json:
    """Return a closed row: its panels send no query until somebody opens it."""
    return {"collapsed": True, "panels": list(panels), "title": title, "type": "row"}


def placed(panels: Sequence[Json]) -> list[Json]:
    """Return the panels with ids and positions, from left to right, line by line."""
    numbers = iter(range(1, 1000))
    x = y = height = 0

    def place(each: Json) -> Json:
        nonlocal x, y, height
        size = each["gridPos"]
        if x + size["w"] > 24:
            x, y, height = 0, y + height, 0
        shown = {**each, "gridPos": {"x": x, "y": y, **size}, "id": next(numbers)}
        x, height = x + size["w"], max(height, size["h"])
        return shown

    found = []
    for each in panels:
        if each["type"] == "row":
            # As if it was open: Grafana moves the panels of a closed row when it is opened.
            row = place({**each, "gridPos": {"h": 1, "w": 24}})
            found.append({**row, "panels": [place(one) for one in each["panels"]]})
        else:
            found.append(place(each))
    return found
