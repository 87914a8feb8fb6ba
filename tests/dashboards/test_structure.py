"""Mistakes that Grafana accepts silently: in ids, positions, variables, units, colours."""

import re
from itertools import combinations
from typing import Any

import pytest
from trunkwatch.domain.groups import DEFAULT_GROUP
from trunkwatch.engine.snapshot import MIN_STALE_SECONDS

from dashboards import settings
from tests.dashboards.model import FILES, load, panel, targets, variables, variables_in
from tests.rules.rulebook import RULE_FILES, alerts, rules
from tests.support.each import for_each

DASHBOARDS = [load(file) for file in FILES]
PANELS = [panel for dashboard in DASHBOARDS for panel in dashboard["panels"]]
STATS = [panel for panel in PANELS if panel["type"] == "stat"]
TABLES = [panel for panel in PANELS if panel["type"] == "table"]

each_dashboard = for_each("dashboard", DASHBOARDS, ids=lambda d: d["uid"])
each_panel = for_each("shown", PANELS, ids=lambda p: p["title"])
each_stat = for_each("shown", STATS, ids=lambda p: p["title"])
each_table = for_each("shown", TABLES, ids=lambda p: p["title"])

# Units that Grafana has; it shows an unknown unit id as a suffix.
KNOWN_UNITS = {"none", "s", "percentunit"}


def test_the_dashboard_trunk_is_there() -> None:
    """The uid, on which links depend, and the title are fixed."""
    assert [(d["uid"], d["title"]) for d in DASHBOARDS] == [("trunkwatch-trunk", "Trunk")]


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
    ids = [shown["id"] for shown in dashboard["panels"]]
    titles = [shown["title"] for shown in dashboard["panels"]]
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
        for p in dashboard["panels"]
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(cells, 2))
    height = max(y for _, y in set().union(*cells)) + 1
    assert set().union(*cells) == {(x, y) for x in range(24) for y in range(height)}


@each_dashboard
def test_variables_are_used_and_defined(dashboard: dict[str, Any]) -> None:
    """Every used variable is defined, and every defined variable is used."""
    used = variables_in([dashboard["panels"], dashboard["templating"]])
    assert used == set(variables(dashboard)) == {"datasource", "job", "repo", "branch", "group"}


@each_dashboard
def test_the_data_source_is_a_choice(dashboard: dict[str, Any]) -> None:
    """Every panel, query and variable uses the selected data source."""
    choice = variables(dashboard)["datasource"]
    assert (choice["type"], choice["query"]) == ("datasource", "prometheus")
    assert choice["label"] == "Data source"
    askers = [
        *dashboard["panels"],
        *(target for _, target in targets(dashboard)),
        *(v for v in variables(dashboard).values() if v["type"] == "query"),
    ]
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(asker["datasource"] == source for asker in askers)


@pytest.mark.parametrize("name", ["repo", "branch", "group"])
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
    assert settings.UNKNOWN not in {step["color"] for step in steps}
    assert defaults["noValue"] == "no data"


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


def test_the_table_names_what_a_paged_engineer_needs() -> None:
    """The columns are owner, job, failures, commits and run, in this order."""
    shown = panel(DASHBOARDS[0], "What is broken now")
    organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
    in_order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    assert [organize["renameByName"][field] for field in in_order] == [
        "Group",
        "Team",
        "Priority",
        "Workflow",
        "Job",
        "Failures",
        "Streak",
        "First bad",
        "Last good",
        "Suspects",
        "First failing run",
        "Repo",
        "Branch",
    ]


def test_only_the_run_is_a_link() -> None:
    """The link's URL is the cell's value, so all other columns remove the link."""
    shown = panel(DASHBOARDS[0], "What is broken now")
    (link,) = shown["fieldConfig"]["defaults"]["links"]
    assert link["url"] == "${__value.raw}"
    removals = [
        override["matcher"]
        for override in shown["fieldConfig"]["overrides"]
        if {"id": "links"} in override["properties"]
    ]
    assert removals == [
        {"id": "byNames", "options": {"mode": "exclude", "names": ["First failing run"]}}
    ]


def test_an_alert_leads_to_its_runbook() -> None:
    """The name of an alert that fires is a link to the runbook of that name."""
    shown = panel(DASHBOARDS[0], "Alerts that fire")
    (link,) = shown["fieldConfig"]["defaults"]["links"]
    urls = {alert["annotations"]["runbook_url"] for alert in alerts().values()}
    assert {link["url"].replace("${__value.raw}", name) for name in alerts()} == urls
    removals = [
        override["matcher"]["options"]
        for override in shown["fieldConfig"]["overrides"]
        if {"id": "links"} in override["properties"]
    ]
    assert removals == [{"mode": "exclude", "names": ["Alert"]}]


def test_the_quota_is_red_where_the_rules_call_it_nearly_spent() -> None:
    """The tile's red threshold and its range are those of the alert."""
    expr = " ".join(alerts()["TrunkwatchQuotaNearlySpent"]["expr"].split())
    assert f"<= {settings.QUOTA_NEARLY_SPENT} * max_over_time" in expr
    assert f"[{settings.QUOTA_MEMORY}]" in expr
    steps = panel(DASHBOARDS[0], "Quota left")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0, settings.QUOTA_NEARLY_SPENT]


def test_the_dashed_line_stands_at_the_default_threshold() -> None:
    """The trend's only line is at N = 3, the number at which the exporter opens an outage."""
    shown = panel(DASHBOARDS[0], "Failing commits in a row")
    defaults = shown["fieldConfig"]["defaults"]
    assert defaults["custom"]["thresholdsStyle"] == {"mode": "dashed"}
    lines = [step["value"] for step in defaults["thresholds"]["steps"] if step["value"] is not None]
    assert lines == [DEFAULT_GROUP.thresholds.failures_to_open] == [3]
    assert defaults["custom"]["axisSoftMax"] > 3


def test_a_streak_is_drawn_in_whole_steps_from_zero() -> None:
    """A streak is drawn in steps, without decimals, from zero."""
    defaults = panel(DASHBOARDS[0], "Failing commits in a row")["fieldConfig"]["defaults"]
    assert defaults["custom"]["lineInterpolation"] == "stepAfter"
    assert (defaults["min"], defaults["decimals"]) == (0, 0)


def test_the_dashboard_holds_as_long_as_the_rules() -> None:
    """The dashboard and the rules hold values over a gap for the same time."""
    rule_text = "".join(file.read_text() for file in RULE_FILES)
    assert f'last_over_time(job:ci_job_alerting:max{{trunkwatch=""}}[{settings.HOLD}])' in rule_text


def test_data_is_red_when_the_rules_call_it_stale() -> None:
    """The tile's red threshold, the alert's limit and the limit of fresh data are equal."""
    (limit,) = [
        r["expr"] for r in rules() if r.get("record") == "trunkwatch:data_age_limit_seconds"
    ]
    assert f"> {settings.STALE_AFTER_SECONDS}\n" in limit.replace(" or", "\nor") + "\n"
    assert limit.startswith(f"{settings.STALE_POLLS} * ")
    steps = panel(DASHBOARDS[0], "Data age")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[-1] == {"color": settings.BAD, "value": settings.STALE_AFTER_SECONDS}


def test_data_is_orange_when_the_exporter_is_no_longer_ready() -> None:
    """The tile is orange from the age at which `/-/ready` reports a stale source."""
    steps = panel(DASHBOARDS[0], "Data age")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[-2] == {"color": settings.WARN, "value": MIN_STALE_SECONDS}
