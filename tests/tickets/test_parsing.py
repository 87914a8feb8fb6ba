"""Parsing Alertmanager's webhook, its list of alerts, and the exporter's JSON."""

from typing import Any

import pytest
from trunkwatch.errors import BadDelivery, ReadingError
from trunkwatch.report.document import document
from trunkwatch.tickets.alerts import (
    FiringAlert,
    UnresolvedAlert,
    links_of,
    parse_alerts,
    webhook_payload,
)
from trunkwatch.tickets.model import JobName, Links, TicketKey
from trunkwatch.tickets.trunk_status import parse_trunk_status

from tests.domain.builders import NOW
from tests.report.sample import SOURCE, snapshot
from tests.tickets.builders import (
    BRANCH,
    GROUP,
    PAGER,
    REPO,
    WORKFLOW,
    alert,
    delivery,
    job,
    labels,
    listed_alert,
    trunk,
)

KEY = TicketKey(REPO, BRANCH, GROUP)


def test_every_alert_of_a_grouped_delivery_counts() -> None:
    """Firing alerts are returned; resolved and other alerts are counted."""
    other = {**alert("c"), "labels": {"alertname": "TrunkNotGreen", "repo": REPO}}
    payload = webhook_payload(delivery(alert("a"), alert("b"), alert("d", "resolved"), other))
    assert payload.firing == tuple(
        FiringAlert(KEY, JobName(WORKFLOW, name), PAGER) for name in "ab"
    )
    assert (payload.resolved, payload.ignored) == (1, 1)


def test_unknown_fields_are_ignored() -> None:
    """A newer version of Alertmanager may add fields."""
    payload = webhook_payload(delivery(alert("a"), notification_reason="first notification"))
    assert len(payload.firing) == 1


def without(name: str) -> dict[str, Any]:
    return {**alert("a"), "labels": {k: v for k, v in labels("a").items() if k != name}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "the body is not a JSON object"),
        ({}, "version must be '4' (got None)"),
        (delivery(alert("a"), version="3"), "version must be '4' (got '3')"),
        (delivery(), "alerts must be a list that is not empty"),
        (delivery(alerts={}), "alerts must be a list that is not empty"),
        (delivery(alert("a"), "b"), "alerts[1].labels must be an object"),  # type: ignore[arg-type]
        (delivery(alert("a"), alert("b", "gone")), "alerts[1].status must be firing or resolved"),
        (delivery(alert("a"), without("repo")), "alerts[1]: the label repo is missing"),
        (delivery(without("job_name")), "alerts[0]: the label job_name is missing"),
        (delivery(without("group")), "alerts[0]: the label group is missing"),
    ],
)
def test_an_invalid_delivery_is_rejected_with_a_reason(document: Any, reason: str) -> None:
    """One invalid alert rejects the whole delivery."""
    with pytest.raises(BadDelivery) as caught:
        webhook_payload(document)
    assert str(caught.value).startswith(reason)


def test_alerts_are_listed_by_group_and_job() -> None:
    """Suppressed alerts are listed as not active, and other alerts are left out."""
    other = {**listed_alert("c"), "labels": {"alertname": "Watchdog"}}
    found = parse_alerts([listed_alert("a"), listed_alert("b", "suppressed"), other])
    states = {name.job_name: found.active for name, found in found[KEY].items()}
    assert states == {"a": True, "b": False}
    assert list(found) == [KEY]


@pytest.mark.parametrize("rows", [None, [1], [{}], [{"labels": {"alertname": "TrunkJobBroken"}}]])
def test_an_invalid_list_of_alerts_is_an_error(rows: Any) -> None:
    """Treated as empty, it would close issues."""
    with pytest.raises(ReadingError, match=r"--alertmanager\.url"):
        parse_alerts(rows)


@pytest.mark.parametrize("answer", [None, [], {}, {"error": "no trunk"}, {**trunk(), "jobs": [{}]}])
def test_an_invalid_trunk_status_is_an_error(answer: Any) -> None:
    """Treated as empty, it would close issues."""
    with pytest.raises(ReadingError, match="same version"):
        parse_trunk_status(answer)


def test_the_exporters_json_is_parsed() -> None:
    """The JSON of the real exporter has every key that a ticket needs."""
    status = parse_trunk_status(document(snapshot(SOURCE), {}, NOW))
    assert any(found.broken for found in status.jobs.values())
    for found in status.jobs.values():
        assert found.group in status.groups


def test_the_longest_outage_comes_first() -> None:
    """Broken jobs are sorted by failures, without exempt jobs and those of other groups."""
    exempt = {"reason": "r", "until": None}
    jobs = [job("a"), job("b", failures_in_outage=5), job("c", group="x"), job("d", broken=False)]
    found = parse_trunk_status(trunk(*jobs, job("e", known_broken=exempt))).broken(GROUP)
    assert [broken.name.job_name for broken in found] == ["b", "a"]


def test_a_stored_link_stays() -> None:
    """Two replicas of Prometheus alternate between two addresses."""
    alerts = [
        UnresolvedAlert(True, Links("r1", None, "s1")),
        UnresolvedAlert(True, Links("r2", "d2", "s2")),
    ]
    assert links_of(alerts, Links(runbook="r0")) == Links("r0", "d2", "s1")
