"""The catalogue keeps the conventions of Prometheus and of this project."""

import re

from trunkwatch.metrics.catalogue import (
    BRANCH_LABELS,
    BY_NAME,
    FAMILIES,
    JOB_LABELS,
    SOURCE_LABELS,
    Family,
    Kind,
    Scope,
)

from tests.support.each import for_each

RESERVED = {"job", "instance", "le", "quantile", "severity", "alertname"}
"""Labels that Prometheus, its rules and its scrape configuration set themselves."""

DETAILS = {"sha", "first_bad", "last_good", "url", "author", "title"}
"""Labels whose values are many and change: they stand in `_info` families only."""

every_family = for_each("family", FAMILIES, ids=lambda family: family.name)


def test_names_are_unique() -> None:
    """No family is there twice."""
    assert len(BY_NAME) == len(FAMILIES)


@every_family
def test_names_say_what_they_are(family: Family) -> None:
    """A name is lower case with one of the prefixes, and exactly the counters end in `_total`."""
    assert re.fullmatch(r"(ci|trunkwatch)(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
    assert not re.search(r"_(count|sum|bucket|created|ms|minutes|hours|days)$", family.name)


@every_family
def test_times_are_in_seconds(family: Family) -> None:
    """The name of a time ends in its unit, seconds."""
    if re.search(r"timestamp|duration|interval|silent_after", family.name):
        assert family.name.endswith("_seconds")


@every_family
def test_help_is_a_sentence(family: Family) -> None:
    """The help of every family is a sentence."""
    assert family.help.endswith(".")
    assert family.help[0].isupper() or family.help[0].isdigit()
    assert "\n" not in family.help


@every_family
def test_labels_are_ours(family: Family) -> None:
    """Labels are plain, unique and none that Prometheus or a rule sets itself."""
    assert len(set(family.labels)) == len(family.labels)
    assert not RESERVED & set(family.labels)
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in family.labels)


@every_family
def test_labels_begin_with_what_a_family_is_about(family: Family) -> None:
    """Families of one scope share their first labels, so that no rule needs a join to fire."""
    leading = {Scope.JOB: JOB_LABELS, Scope.BRANCH: BRANCH_LABELS, Scope.OWN: ()}[family.scope]
    assert family.labels[: len(leading)] == leading
    if family.name.startswith("trunkwatch_source_"):
        assert family.labels[:1] == SOURCE_LABELS


def test_the_labels_of_a_job() -> None:
    """Job families have these seven labels, in this order."""
    assert JOB_LABELS == (
        "repo", "branch", "workflow", "job_name", "group", "team", "priority",
    )  # fmt: skip


@every_family
def test_only_info_has_details(family: Family) -> None:
    """Hashes, links, authors and titles stand in `_info` families only."""
    if DETAILS & set(family.labels):
        assert family.name.endswith("_info")


@every_family
def test_scopes_are_told_by_prefix(family: Family) -> None:
    """Job families begin with ci_job_, the process's own with trunkwatch_."""
    if family.scope is Scope.JOB:
        assert family.name.startswith("ci_job_")
    if family.name.startswith("trunkwatch_"):
        assert family.scope is Scope.OWN
