"""Reads the rules, their promtool tests and their runbooks, for the tests of this package."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from trunkwatch.metrics.catalogue import JOB_LABELS

RULES = Path(__file__).resolve().parents[2] / "rules"
RULE_FILES = sorted(RULES.glob("*.rules.yml"))
TEST_FILES = sorted((RULES / "tests").glob("*.test.yml"))
RUNBOOKS = RULES / "runbooks"
DISTINCT = "group:ci_job_failures_to_open:distinct"

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_FORMATTED_QUERY = re.compile(rf"printf {_TEXT}([^|{{}}]*)\| query\b")
_PLAIN_QUERY = re.compile(rf"\bquery {_TEXT}")
_VARIABLE = re.compile(rf"(\$\w+) := printf {_TEXT}([^|{{}}]*)-?}}}}")
_QUERY_WORD = re.compile(r"\bquery\b")


@dataclass(frozen=True, slots=True)
class Selection:
    """One selector of an expression.

    Attributes:
        name: the metric.
        matched: the labels that it selects by.
        kept: the labels that the innermost aggregation around it keeps; None without one.
    """

    name: str
    matched: frozenset[str]
    kept: frozenset[str] | None


@cache
def rules() -> list[dict[str, Any]]:
    """Return every rule of every group of every file."""
    return [
        rule
        for file in RULE_FILES
        for group in yaml.load(file.read_text(), yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names of the recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


def recorded_labels() -> dict[str, set[str]]:
    """Return the labels of each recorded series, without those of `rules/build.py --name`."""
    level = {
        "job": set(JOB_LABELS),
        "branch": {"repo", "branch"},
        "feed": {"repo", "branch", "source"},
        "source": {"source"},
        "outcome": {"outcome"},
        "word": {"repo", "branch", "conclusion"},
        "group": {"repo", "branch", "group", "team"},
        "peer": {"peer"},
        "set": {"shards"},
        "trunkwatch": set(),
    }
    labels = {name: level[name.partition(":")[0]] for name in recorded()}
    return labels | {DISTINCT: level["group"] | {"n"}}


@cache
def promtool_cases() -> list[dict[str, Any]]:
    """Return the alert expectations of all promtool tests."""
    return [
        case
        for file in TEST_FILES
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]


def template_queries(template: str) -> list[str]:
    """Return the PromQL queries of an annotation's template, with example label values.

    A query is a literal, or a format whose %s are variables that an earlier printf has set. Any
    other form raises ValueError, so that no query goes unchecked.
    """
    formats = _FORMATTED_QUERY.findall(template)
    plain = _PLAIN_QUERY.findall(template)
    if len(formats) + len(plain) != len(_QUERY_WORD.findall(template)):
        raise ValueError(f"a query is not a literal or a printf: {template}")
    values: dict[str, str] = {}
    for name, text, arguments in _VARIABLE.findall(template):
        values[name] = _formatted(text, arguments, values)
    queries = [_formatted(text, arguments, values) for text, arguments in formats]
    return [query.replace(r"\"", '"') for query in [*queries, *plain]]


def _formatted(text: str, arguments: str, values: Mapping[str, str]) -> str:
    """Return a printf's result, with `x` for the value of a label."""
    for argument in arguments.split():
        value = values.get(argument, r"\"x\"")
        text = re.sub("%[sq]", lambda _, found=value: found, text, count=1)  # type: ignore[misc]
    return text


def runbook_queries(name: str) -> list[str]:
    """Return the lines of a runbook's promql blocks."""
    blocks = re.findall(r"```promql\n(.*?)```", (RUNBOOKS / f"{name}.md").read_text(), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def selections(query: str) -> list[Selection]:
    """Return every selector of a PromQL query."""
    return list(_walk(promql_parser.parse(query), None))


def _matched_by(node: Any) -> frozenset[str] | None:
    """Return the labels on which `and` and `unless` match; None for any other operation."""
    matching = node.modifier.matching if node.modifier is not None else None
    is_filter = str(node.op) in ("and", "unless")
    if not is_filter or matching is None:
        return None
    return frozenset(matching.labels) - {"job", "instance"}  # of one target


def _named_by_pattern(node: Any) -> list[str]:
    """Return the metrics that a selector names by `__name__=~"a|b"`."""
    (pattern,) = [each.value for each in node.matchers.matchers if each.name == "__name__"]
    prefix, _, rest = pattern.partition("(")
    return (
        [f"{prefix}{name}" for name in rest.removesuffix(")").split("|")]
        if (rest)
        else pattern.split("|")
    )


def _walk(node: Any, kept: frozenset[str] | None) -> Iterator[Selection]:
    match node:
        case promql_parser.MatrixSelector():
            yield from _walk(node.vector_selector, kept)
        case promql_parser.VectorSelector():
            matched = frozenset(matcher.name for matcher in node.matchers.matchers)
            for name in [node.name] if node.name is not None else _named_by_pattern(node):
                yield Selection(name, matched - {"__name__"}, kept)
        case promql_parser.AggregateExpr():
            labels = frozenset(node.modifier.labels) if node.modifier else frozenset()
            yield from _walk(node.expr, labels)
        case promql_parser.BinaryExpr():
            yield from _walk(node.lhs, kept)
            matched_by = _matched_by(node)
            yield from _walk(node.rhs, kept if matched_by is None else matched_by)
        case promql_parser.Call():
            for argument in node.args:
                yield from _walk(argument, kept)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            yield from _walk(node.expr, kept)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise TypeError(f"unknown PromQL node {type(node).__name__}")
