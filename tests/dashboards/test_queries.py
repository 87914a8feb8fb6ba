"""Every query uses only metrics and labels of the exporter."""

import re
from typing import Any

import promql_parser
from trunkwatch.metrics.catalogue import FAMILIES
from trunkwatch.tickets.metrics import UP

from tests.dashboards.model import FILES, filled, label_values, load, targets, variables
from tests.rules.rulebook import selections
from tests.support.each import for_each

DASHBOARD = load(FILES[0])
# Prometheus writes ALERTS itself, with the labels of the alerts in rules/.
ALERT_LABELS = {"alertname", "alertstate", "priority", "team", "group", "repo", "branch"}
LABELS = {family.name: set(family.labels) for family in FAMILIES} | {"ALERTS": ALERT_LABELS}
LABELS[UP] = {"peer"}  # of `trunkwatch tickets`
OUR_LABELS = set().union(*LABELS.values())
QUERIES = {name: target["expr"] for name, target in targets(DASHBOARD)}
VARIABLES = {
    name: label_values(variable["query"])
    for name, variable in variables(DASHBOARD).items()
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
    """Metrics and labels are of the catalogue, and all but ALERTS and tickets have a `job`."""
    found = selections(filled(expr))
    assert found
    for selection in found:
        assert selection.name in LABELS
        assert selection.matched - {"job"} <= LABELS[selection.name]
        assert "job" in selection.matched or selection.name in ("ALERTS", UP)


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
    """A family with a repo or branch label is selected by that variable."""
    for selection in selections(filled(expr)):
        own = LABELS[selection.name] & {"repo", "branch"}
        assert own <= selection.matched


@each_variable
def test_a_variable_lists_a_label_of_the_exporter(query: tuple[str, str]) -> None:
    """`label_values` names a metric, matchers and a label of the catalogue."""
    series, label = query
    (selection,) = selections(filled(series))
    assert selection.matched | {label} <= LABELS[selection.name] | {"job"}


@for_each("shown", DASHBOARD["panels"], ids=lambda p: p["title"])
def test_legends_use_labels_that_the_query_keeps(shown: dict[str, Any]) -> None:
    """`{{label}}` of a legend is a label of the metrics in its query."""
    for target in shown["targets"]:
        kept = set().union(*(s.kept or set() for s in selections(filled(target["expr"]))))
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept
