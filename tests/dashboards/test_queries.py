"""Every query uses only metrics and labels of the exporter."""

import re
from typing import Any

import promql_parser
from trunkwatch.confirm.metrics import UP as CONFIRM_UP
from trunkwatch.metrics.catalogue import FAMILIES, JOB_LABELS
from trunkwatch.tickets.metrics import UP as TICKETS_UP

from tests.dashboards.model import (
    FILES,
    annotations,
    filled,
    label_values,
    load,
    panels,
    targets,
    variables,
)
from tests.rules.rulebook import recorded_labels, selections
from tests.support.each import for_each

DASHBOARDS = [load(file) for file in FILES]
# Prometheus writes ALERTS itself, with the labels of the alerts in rules/.
ALERT_LABELS = {"alertname", "alertstate", "trunkwatch", *JOB_LABELS}
RECORDED = {name: labels | {"trunkwatch"} for name, labels in recorded_labels().items()}
# Prometheus' own, of each target.
OF_TARGETS: dict[str, set[str]] = {
    "up": set(),
    "scrape_samples_scraped": set(),
    "scrape_duration_seconds": set(),
}
LABELS = {family.name: set(family.labels) for family in FAMILIES} | RECORDED | OF_TARGETS
LABELS["ALERTS"] = ALERT_LABELS
OF_PROGRAMS = {TICKETS_UP: {"peer"}, CONFIRM_UP: {"peer"}}
LABELS |= OF_PROGRAMS
# What label_replace, label_join and count_values add.
MADE = {
    "suspects",
    "opened",
    "closed",
    "lasted",
    "fixed_by",
    "commits",
    "commit",
    "compare",
    "age",
    "both",
    "whole",
    "rest",
}
OUR_LABELS = set().union(*LABELS.values()) | MADE
QUERIES = {
    f"{dashboard['title']}: {name}": target["expr"]
    for dashboard in DASHBOARDS
    for name, target in (*targets(dashboard), *annotations(dashboard))
}
VARIABLES = {
    f"{dashboard['title']}: {name}": label_values(variable["query"])
    for dashboard in DASHBOARDS
    for name, variable in variables(dashboard).items()
    if variable["type"] == "query"
}

each_query = for_each("expr", QUERIES.values())
each_variable = for_each("query", VARIABLES.values())


@each_query
def test_a_query_is_promql(expr: str) -> None:
    """The query parses once its variables are filled in."""
    promql_parser.parse(filled(expr))


@each_query
def test_a_query_selects_what_the_exporter_exposes(expr: str) -> None:
    """Metrics and labels exist, and each selector is of the chosen Trunkwatch, or of a program."""
    found = selections(filled(expr))
    assert found
    for selection in found:
        assert selection.name in LABELS
        assert selection.matched - {"job"} <= LABELS[selection.name]
        is_recorded = selection.name in RECORDED or selection.name == "ALERTS"
        which = "trunkwatch" if is_recorded else "job"
        assert which in selection.matched or selection.name in OF_PROGRAMS


@each_query
def test_a_query_folds_replicas(expr: str) -> None:
    """Each selector is aggregated by the exporter's labels, so that `instance` is dropped."""
    for selection in selections(filled(expr)):
        assert selection.kept is not None
        assert selection.kept <= OUR_LABELS


@each_query
def test_a_query_matches_on_known_labels(expr: str) -> None:
    """The `by` and `on` labels exist: PromQL silently treats an unknown label as empty."""
    for word, names in re.findall(r"\b(by|on) \(([^)]*)\)", expr):
        # Inside an aggregation a value may be matched with another of the same pod.
        known = OUR_LABELS | {"instance"} if word == "on" else OUR_LABELS
        assert set(re.findall(r"\w+", names)) <= known


@each_query
def test_a_query_obeys_every_choice_it_can(expr: str) -> None:
    """A family with a label of a variable is selected by it; the watchdog is of no trunk."""
    for selection in selections(filled(expr)):
        own = LABELS[selection.name] & {"repo", "branch", "team", "group"}
        assert own <= selection.matched or 'alertname="TrunkwatchWatchdog"' in expr


@each_variable
def test_a_variable_lists_a_label_of_the_exporter(query: tuple[str, str]) -> None:
    """`label_values` names a metric, matchers and a label of the catalogue."""
    series, label = query
    (selection,) = selections(filled(series))
    assert selection.matched | {label} <= LABELS[selection.name] | {"job"}


@for_each("shown", [p for d in DASHBOARDS for p in panels(d)], ids=lambda p: p["title"])
def test_legends_use_labels_that_the_query_keeps(shown: dict[str, Any]) -> None:
    """`{{label}}` of a legend is a label of the metrics in its query."""
    for target in shown["targets"]:
        kept = set().union(*(s.kept or set() for s in selections(filled(target["expr"]))), MADE)
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


DENSE = {
    family.name
    for family in FAMILIES
    if family.name.startswith("ci_job_") and not family.name.endswith("_info")
} - {"ci_job_broken_since_timestamp_seconds", "ci_job_retired_total"}
"""Families that have a series for each job, broken or not."""


def test_the_open_panels_of_trunk_read_no_family_of_all_jobs() -> None:
    """With 10,000 jobs each such family would be 10,000 samples for each point."""
    trunk = next(d for d in DASHBOARDS if d["title"] == "Trunk")
    shown = [panel for panel in trunk["panels"] if panel["type"] != "row"]
    read = {
        selection.name
        for panel in shown
        for target in panel["targets"]
        for selection in selections(filled(target["expr"]))
    }
    assert read & DENSE == set()
