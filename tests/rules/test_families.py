"""Every exported family is used by a rule or a panel, or has a reason not to be."""

from collections.abc import Mapping

from trunkwatch.metrics.catalogue import BY_NAME

from tests.dashboards.model import FILES, filled, load, targets
from tests.rules import rulebook

UNUSED: Mapping[str, str] = {
    "ci_group_failure_threshold": "the exporter says whether it was reached; its alerts name it",
    "ci_job_suspect_commits": "for people's own panels; the facts have it",
}
"""Families that neither a rule nor a panel reads, with the reason."""


def used() -> set[str]:
    """Return the names that rules, annotations and panels read."""
    queries = [rule["expr"] for rule in rulebook.rules()]
    for alert in rulebook.alerts().values():
        for text in alert["annotations"].values():
            queries += rulebook.template_queries(text)
    for file in FILES:
        queries += [filled(target["expr"]) for _, target in targets(load(file))]
    return {each.name for query in queries for each in rulebook.selections(query)}


def test_every_family_is_used_or_has_a_reason() -> None:
    """A number that nothing looks at hides what it was made for."""
    assert set(BY_NAME) - used() == set(UNUSED)
