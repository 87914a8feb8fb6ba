"""What Alertmanager posts, what it lists, and what the exporter serves."""

from typing import Any

import pytest
from trunkwatch.errors import BadDelivery, ReadingError
from trunkwatch.report.document import document
from trunkwatch.tickets.facts import (
    Alert,
    JobName,
    Key,
    Links,
    alerts_of,
    links_of,
    picture_of,
)
from trunkwatch.tickets.payload import Permit, delivered

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

KEY = Key(REPO, BRANCH, GROUP)


def test_every_alert_of_a_grouped_delivery_counts() -> None:
    """Firing ones permit, resolved ones and other alerts are counted."""
    other = {**alert("c"), "labels": {"alertname": "TrunkNotGreen", "repo": REPO}}
    said = delivered(delivery(alert("a"), alert("b"), alert("d", "resolved"), other))
    assert said.permits == tuple(Permit(KEY, JobName(WORKFLOW, name), PAGER) for name in "ab")
    assert (said.resolved, said.others) == (1, 1)


def test_unknown_fields_are_welcome() -> None:
    """Newer versions of Alertmanager say more."""
    said = delivered(delivery(alert("a"), notification_reason="first notification"))
    assert len(said.permits) == 1


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
def test_a_bad_delivery_says_what_is_wrong(document: Any, reason: str) -> None:
    """One bad alert spoils the whole: nothing is half-done."""
    with pytest.raises(BadDelivery) as caught:
        delivered(document)
    assert str(caught.value).startswith(reason)


def test_alerts_are_told_by_key_and_job() -> None:
    """Suppressed ones are there and not active; other alerts are left out."""
    other = {**listed_alert("c"), "labels": {"alertname": "Watchdog"}}
    found = alerts_of([listed_alert("a"), listed_alert("b", "suppressed"), other])
    states = {name.job_name: found.active for name, found in found[KEY].items()}
    assert states == {"a": True, "b": False}
    assert list(found) == [KEY]


@pytest.mark.parametrize("rows", [None, [1], [{}], [{"labels": {"alertname": "TrunkJobBroken"}}]])
def test_a_list_of_something_else_is_no_list_of_alerts(rows: Any) -> None:
    """An empty conclusion would close issues."""
    with pytest.raises(ReadingError, match=r"--alertmanager\.url"):
        alerts_of(rows)


@pytest.mark.parametrize("said", [None, [], {}, {"error": "no trunk"}, {**trunk(), "jobs": [{}]}])
def test_something_else_is_no_picture(said: Any) -> None:
    """An empty conclusion would close issues."""
    with pytest.raises(ReadingError, match="same version"):
        picture_of(said)


def test_the_exporters_own_json_is_understood() -> None:
    """What the exporter really serves has every key that a ticket needs."""
    picture = picture_of(document(snapshot(SOURCE), {}))
    assert any(found.broken for found in picture.jobs.values())
    for found in picture.jobs.values():
        assert found.group in picture.groups


def test_the_longest_outage_comes_first() -> None:
    """Exempt jobs and those of other groups are not among the broken."""
    exempt = {"reason": "r", "until": None}
    jobs = [job("a"), job("b", failures_in_outage=5), job("c", group="x"), job("d", broken=False)]
    found = picture_of(trunk(*jobs, job("e", known_broken=exempt))).broken(GROUP)
    assert [broken.name.job_name for broken in found] == ["b", "a"]


def test_a_known_link_stays() -> None:
    """Two replicas of Prometheus name two addresses in turn."""
    alerts = [Alert(True, Links("r1", None, "s1")), Alert(True, Links("r2", "d2", "s2"))]
    assert links_of(alerts, Links(runbook="r0")) == Links("r0", "d2", "s1")
