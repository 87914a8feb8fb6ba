"""Mistakes that Grafana accepts silently: in ids, positions, variables, units, colours."""

import re
from itertools import combinations
from typing import Any

import pytest
from trunkwatch.engine.snapshot import MIN_STALE_SECONDS

from dashboards import settings
from tests.dashboards.model import (
    FILES,
    annotations,
    load,
    panel,
    panels,
    targets,
    variables,
    variables_in,
)
from tests.rules.rulebook import RULE_FILES, alerts, rules
from tests.support.each import for_each

DASHBOARDS = [load(file) for file in FILES]
BY_TITLE = {dashboard["title"]: dashboard for dashboard in DASHBOARDS}
TRUNK = BY_TITLE["Trunk"]
PANELS = [panel for dashboard in DASHBOARDS for panel in panels(dashboard)]
STATS = [panel for panel in PANELS if panel["type"] == "stat"]
TABLES = [panel for panel in PANELS if panel["type"] == "table"]

each_dashboard = for_each("dashboard", DASHBOARDS, ids=lambda d: d["uid"])
each_panel = for_each("shown", PANELS, ids=lambda p: p["title"])
each_stat = for_each("shown", STATS, ids=lambda p: p["title"])
each_table = for_each("shown", TABLES, ids=lambda p: p["title"])

# Units that Grafana has; it shows an unknown unit id as a suffix.
KNOWN_UNITS = {"none", "s", "percentunit", "short", "bytes", "reqps", "cps"}


def test_the_dashboards_are_there() -> None:
    """The uids, on which links depend, and the titles are fixed."""
    assert {title: dashboard["uid"] for title, dashboard in BY_TITLE.items()} == {
        "Job": "trunkwatch-job",
        "Trunk": "trunkwatch-trunk",
        "Trunkwatch": "trunkwatch-own",
    }


@each_dashboard
def test_dashboards_are_one_list_that_keeps_time_and_choices(dashboard: dict[str, Any]) -> None:
    """Each has the same tag, and a list of the dashboards with it."""
    assert dashboard["tags"] == ["trunkwatch"]
    link = dashboard["links"][0]
    assert (link["type"], link["tags"], link["asDropdown"]) == ("dashboards", ["trunkwatch"], True)
    assert (link["includeVars"], link["keepTime"]) == (True, True)


def test_uids_are_unique_short_and_safe_in_an_address() -> None:
    """Uids are unique, at most 40 characters long, and need no escaping in a URL."""
    uids = [dashboard["uid"] for dashboard in DASHBOARDS]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid) for uid in uids)


@each_dashboard
def test_a_dashboard_can_be_provisioned_from_its_file(dashboard: dict[str, Any]) -> None:
    """The file has no database id, version or import inputs, and forbids edits in the UI."""
    assert dashboard["id"] is None
    assert dashboard["editable"] is False
    assert dashboard["schemaVersion"] == 41
    assert not {"version", "__inputs", "__requires", "iteration"} & set(dashboard)
    assert "DS_" not in str(dashboard)


@each_dashboard
def test_panel_ids_and_titles_are_unique(dashboard: dict[str, Any]) -> None:
    """Panel ids and titles are unique, since Grafana drops a second panel with the same id."""
    rows = [each for each in dashboard["panels"] if each["type"] == "row"]
    ids = [shown["id"] for shown in (*panels(dashboard), *rows)]
    titles = [shown["title"] for shown in panels(dashboard)]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@each_panel
def test_a_panel_stands_inside_the_grid(shown: dict[str, Any]) -> None:
    """A panel stays within the 24 columns of the grid."""
    place = shown["gridPos"]
    assert min(place.values()) >= 0
    assert place["w"] > 0
    assert place["h"] > 0
    assert place["x"] + place["w"] <= 24


@each_dashboard
def test_panels_cover_the_grid_without_overlap(dashboard: dict[str, Any]) -> None:
    """No two panels share a cell, and no cell down to the last row is empty."""
    cells = [
        {
            (x, y)
            for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
            for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
        }
        for p in (
            *panels(dashboard),
            *(each for each in dashboard["panels"] if each["type"] == "row"),
        )
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(cells, 2))
    height = max(y for _, y in set().union(*cells)) + 1
    assert set().union(*cells) == {(x, y) for x in range(24) for y in range(height)}


@each_dashboard
def test_variables_are_used_and_defined(dashboard: dict[str, Any]) -> None:
    """Every used variable is defined, and every defined variable is used."""
    parts = ("annotations", "links", "panels", "templating")
    used = variables_in([dashboard[part] for part in parts])
    assert used == set(variables(dashboard))
    always = {"datasource", "job", "trunkwatch", "repo", "branch", "team", "group", "page"}
    of_job = {"workflow", "job_name"} if dashboard["title"] == "Job" else set()
    alertmanager = {"alertmanager"} if dashboard["title"] != "Trunkwatch" else set()
    assert used == always | of_job | alertmanager


@each_dashboard
def test_the_data_source_is_a_choice(dashboard: dict[str, Any]) -> None:
    """Every panel, query and variable uses the selected data source."""
    choice = variables(dashboard)["datasource"]
    assert (choice["type"], choice["query"]) == ("datasource", "prometheus")
    assert choice["label"] == "Data source"
    askers = [
        *panels(dashboard),
        *(target for _, target in targets(dashboard)),
        *(annotation for _, annotation in annotations(dashboard)),
        *(v for v in variables(dashboard).values() if v["type"] == "query"),
    ]
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(asker["datasource"] == source for asker in askers)


@pytest.mark.parametrize("name", ["repo", "branch", "team", "group"])
@each_dashboard
def test_a_choice_of_labels_is_multiple_sorted_and_fresh(
    dashboard: dict[str, Any], name: str
) -> None:
    """A label variable allows several values, is sorted, and reloads with the time range."""
    variable = variables(dashboard)[name]
    assert variable["type"] == "query"
    assert (variable["multi"], variable["includeAll"]) == (True, True)
    assert (variable["refresh"], variable["sort"]) == (2, 1)
    # It must match also while there are no values yet.
    assert variable["allValue"] == ".*"


@each_panel
def test_a_panel_says_what_it_shows(shown: dict[str, Any]) -> None:
    """A panel has a title, a description, a valid unit, and a text for missing data."""
    defaults = shown["fieldConfig"]["defaults"]
    assert shown["title"]
    assert shown["description"].endswith(".")
    assert defaults["unit"] in KNOWN_UNITS
    assert defaults["noValue"]


@each_panel
def test_queries_have_references(shown: dict[str, Any]) -> None:
    """The queries of a panel have the refIds A, B, C, after which columns are named."""
    references = [target["refId"] for target in shown["targets"]]
    assert references == list("ABCDEFGH"[: len(references)])
    assert references


@each_stat
def test_a_tile_has_an_instant_query(shown: dict[str, Any]) -> None:
    """A tile has an instant query: a range query would show old values as current."""
    assert all(target["instant"] and not target["range"] for target in shown["targets"])


@each_stat
def test_no_data_is_a_grey_word(shown: dict[str, Any]) -> None:
    """The base colour, which an empty tile has, is grey and no step's colour."""
    defaults = shown["fieldConfig"]["defaults"]
    base, *steps = defaults["thresholds"]["steps"]
    assert base == {"color": settings.UNKNOWN, "value": None}
    assert settings.UNKNOWN not in {step["color"] for step in steps if step["value"] >= 0}
    assert defaults["noValue"] == settings.NO_DATA


@each_panel
def test_thresholds_climb(shown: dict[str, Any]) -> None:
    """The first step has no value, and the others rise."""
    steps = shown["fieldConfig"]["defaults"]["thresholds"]["steps"]
    values = [step["value"] for step in steps]
    assert values[0] is None
    assert values[1:] == sorted(set(values[1:]))


@each_panel
def test_every_colour_of_an_answer_has_a_text(shown: dict[str, Any]) -> None:
    """Texts distinguish all colours, for colour-blind people."""
    results = [
        result
        for mapping in shown["fieldConfig"]["defaults"].get("mappings", [])
        for result in (
            mapping["options"].values()
            if mapping["type"] == "value"
            else [mapping["options"]["result"]]
        )
    ]
    assert all(result["text"] for result in results)
    colours = {(result["text"], result["color"]) for result in results if "color" in result}
    assert len({text for text, _ in colours}) == len(colours)


@each_table
def test_settings_of_columns_name_columns(shown: dict[str, Any]) -> None:
    """Overrides and sort orders name existing headers; others would have no effect."""
    organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
    headers = set(organize["renameByName"].values())
    assert {order["displayName"] for order in shown["options"]["sortBy"]} <= headers
    for override in shown["fieldConfig"]["overrides"]:
        assert set(override["matcher"]["options"]["names"]) <= headers
    assert set(organize["indexByName"]) == set(organize["renameByName"])
    assert set(organize["indexByName"]).isdisjoint(organize["excludeByName"])


def headers_of(title: str) -> list[str]:
    """Return the headers of a table of Trunk, in order."""
    shown = panel(TRUNK, title)
    organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
    in_order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    return [organize["renameByName"][field] for field in in_order]


@for_each("name", sorted(BY_TITLE))
def test_only_a_variable_of_many_values_is_a_pattern(name: str) -> None:
    """Grafana escapes those alone: the parentheses of a single job's name would be a group."""
    dashboard = BY_TITLE[name]
    expressions = [target["expr"] for _, target in [*targets(dashboard), *annotations(dashboard)]]
    expressions += [str(each["query"]) for each in variables(dashboard).values()]
    used = {
        (operator, variable)
        for text in expressions
        for operator, variable in re.findall(r'(=~|!~|=|!=)"[^"$]*\$\{?(\w+)', text)
    }
    assert used
    for operator, variable in used:
        assert ("~" in operator) == variables(dashboard)[variable]["multi"], (operator, variable)


def test_the_job_comes_first_and_is_wide() -> None:
    """A phone shows the job's name and its age; the rest is to the right, in the order of need."""
    assert headers_of("Broken now") == [
        "Job", "Since", "Failures", "N", "First bad by", "Commit", "Failed step", "Run",
        "Suspects", "Running", "State", "Team", "Priority", "Workflow", "Repo", "Branch",
        "Opened (UTC)", "Commit title",
    ]  # fmt: skip
    shown = panel(TRUNK, "Broken now")["fieldConfig"]
    wide = shown["overrides"][0]
    assert wide["properties"] == [{"id": "custom.width"}]
    assert wide["matcher"]["options"] == {"mode": "exclude", "names": ["Job", "Commit title"]}
    custom = shown["defaults"]["custom"]
    assert custom["width"] > custom["minWidth"]


def test_the_quota_is_red_where_the_rules_call_it_nearly_spent() -> None:
    """The tile's red threshold and its range are those of the alert."""
    expr = " ".join(alerts()["TrunkwatchQuotaNearlySpent"]["expr"].split())
    assert f"<= {settings.QUOTA_NEARLY_SPENT} * max_over_time" in expr
    assert f"[{settings.QUOTA_MEMORY}]" in expr
    steps = panel(BY_TITLE["Trunkwatch"], "Quota left")["fieldConfig"]["defaults"]["thresholds"][
        "steps"
    ]
    assert [step["value"] for step in steps] == [None, 0, settings.QUOTA_NEARLY_SPENT]


def test_the_dashed_lines_are_each_job_s_own_threshold() -> None:
    """N is a query of its own and drawn dashed; there is no constant line."""
    shown = panel(TRUNK, "Failing commits in a row")
    _, needed, _ = shown["targets"]
    assert "failures_to_open" in needed["expr"]
    (dashed,) = [
        override["matcher"]["options"]["names"]
        for override in shown["fieldConfig"]["overrides"]
        if any(each["id"] == "custom.lineStyle" for each in override["properties"])
    ]
    assert dashed == [needed["legendFormat"]]
    assert len(shown["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 1


def test_known_broken_jobs_are_dimmed() -> None:
    """The state colours the whole row, and is transparent for a job that alerts."""
    shown = panel(TRUNK, "Broken now")["fieldConfig"]
    (row,) = [
        each["properties"][0]["value"]
        for each in shown["overrides"]
        if each["matcher"]["options"]["names"] == ["State"]
    ]
    assert (row["type"], row["applyToRow"]) == ("color-background", True)
    states = {
        option["text"]: option["color"]
        for mapping in shown["defaults"]["mappings"]
        if mapping["type"] == "value"
        for option in mapping["options"].values()
    }
    assert (states["known broken"], states["broken"]) == (settings.DIMMED, "transparent")


def test_what_is_seldom_needed_is_in_closed_rows() -> None:
    """Their panels send no query until they are opened."""
    rows = [each for each in TRUNK["panels"] if each["type"] == "row"]
    assert all(row["collapsed"] for row in rows)
    words = [row["title"].split()[0].strip(":") for row in rows]
    assert words == ["Silent", "Removed", "Truncated", "Mostly"]


def test_the_dashboard_holds_as_long_as_the_rules() -> None:
    """The dashboard and the rules hold values over a gap for the same time."""
    rule_text = "".join(file.read_text() for file in RULE_FILES)
    assert f'last_over_time(job:ci_job_alerting:max{{trunkwatch=""}}[{settings.HOLD}])' in rule_text


def test_data_is_red_when_the_rules_call_it_stale() -> None:
    """The tile's red threshold and the alert's limit are equal."""
    (limit,) = [
        r["expr"] for r in rules() if r.get("record") == "trunkwatch:data_age_limit_seconds"
    ]
    assert f"> {settings.STALE_AFTER_SECONDS}\n" in limit.replace(" or", "\nor") + "\n"
    steps = panel(TRUNK, "Age of the oldest data")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[-1] == {"color": settings.BAD, "value": settings.STALE_AFTER_SECONDS}


def test_data_is_orange_when_the_exporter_is_no_longer_ready() -> None:
    """The tile is orange from the age at which `/-/ready` reports a stale source."""
    steps = panel(TRUNK, "Age of the oldest data")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[-2] == {"color": settings.WARN, "value": MIN_STALE_SECONDS}
