"""Every exported family is used by a rule or a panel, or has a reason not to be."""

from collections.abc import Mapping

from trunkwatch.confirm import metrics as confirm
from trunkwatch.metrics.catalogue import BY_NAME
from trunkwatch.tickets import metrics as tickets

from tests.dashboards.model import FILES, filled, load, targets
from tests.rules import rulebook

UNUSED: Mapping[str, str] = {
    "ci_group_failure_threshold": "the exporter says whether it was reached; its alerts name it",
    "ci_job_suspect_commits": "for people's own panels; the facts have it",
    "trunkwatch_triage_timestamp_seconds": "its age decides trunkwatch_triage_known",
    "trunkwatch_web_info": "for links to the pages in people's own dashboards",
    "trunkwatch_confirm_answers_total": "for people who compare questions with answers",
    "trunkwatch_confirm_http_refused_total": "for people who look for a client that is refused",
    "trunkwatch_confirm_open": "a question without an answer is no fault",
    "trunkwatch_confirm_questions_total": "for people's own panels; the pages list the questions",
    "trunkwatch_confirm_refusals_total": "a question that must not be asked is no fault",
    "trunkwatch_confirm_requests_total": "for people who look for what spends the quota",
    "trunkwatch_tickets_alerts_total": "for people who look for a missing issue",
    "trunkwatch_tickets_deliveries_total": "the alerts are compared in rounds as well",
    "trunkwatch_tickets_http_refused_total": "for people who look for a client that is refused",
    "trunkwatch_tickets_open": "for people's own panels; GitHub lists them",
    "trunkwatch_tickets_operations_total": "for people who compare issues with operations",
    "trunkwatch_tickets_refusals_total": "the runbook reads it; the peer counts as failed",
    "trunkwatch_tickets_requests_total": "for people who look for what spends the quota",
    "trunkwatch_tickets_unreadable_entries": "for people who look for a missing issue",
    "trunkwatch_tickets_waiting": "a peer that stays away makes it grow, and has an alert",
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
    exported = set(BY_NAME)
    for program in (tickets, confirm):
        exported |= {*program.GAUGES, *(counter.name for counter in program.COUNTERS.values())}
    assert exported - used() == set(UNUSED)
