"""Parsing Alertmanager's webhook, its list of alerts, and the exporter's JSON."""

from typing import Any

import pytest
from trunkwatch.errors import BadDelivery, ReadingError
from trunkwatch.report.document import document
from trunkwatch.status.trunk_status import JobName, UnreadableJob, parse_trunk_status
from trunkwatch.tickets.alerts import (
    ALERT,
    FOREIGN,
    MALFORMED,
    UNLABELLED,
    FiringAlert,
    UnresolvedAlert,
    links_of,
    parse_alerts,
    webhook_payload,
)
from trunkwatch.tickets.model import Links, TicketKey

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


@pytest.mark.parametrize(
    ("alerts", "refused", "outcomes"),
    [
        ([alert("a", "resolved")], 0, {"resolved": 1}),
        ([alert("a"), alert("b")], 1, {"firing": 1, "refused": 1}),
        ([alert("a"), alert("b")], 2, {"refused": 2}),
    ],
)
def test_alerts_are_counted_by_outcome(
    alerts: list[dict[str, Any]], refused: int, outcomes: dict[str, int]
) -> None:
    """Firing alerts that were not stored count as refused; a delivery may have no firing one."""
    assert webhook_payload(delivery(*alerts)).outcomes(refused) == outcomes


def test_unknown_fields_are_ignored() -> None:
    """A newer version of Alertmanager may add fields."""
    payload = webhook_payload(delivery(alert("a"), notification_reason="first notification"))
    assert len(payload.firing) == 1


def with_labels(**changed: Any) -> dict[str, Any]:
    """Return an alert with other labels; None for one that is missing."""
    found = {**labels("a"), **changed}
    return {**alert("a"), "labels": {name: v for name, v in found.items() if v is not None}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "the body is not a JSON object"),
        ({}, "version must be '4' (got None)"),
        (delivery(alert("a"), version="3"), "version must be '4' (got '3')"),
        (delivery(), "alerts must be a list that is not empty"),
        (delivery(alerts={}), "alerts must be a list that is not empty"),
    ],
)
def test_what_is_no_delivery_is_rejected_with_a_reason(document: Any, reason: str) -> None:
    """The whole body has another shape."""
    with pytest.raises(BadDelivery) as caught:
        webhook_payload(document)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("bad", "outcome", "problem"),
    [
        ("b", MALFORMED, "is not an object"),
        ({"status": "firing"}, MALFORMED, "labels must be an object"),
        ({**alert("a"), "labels": ["repo"]}, MALFORMED, "labels must be an object"),
        (alert("b", "gone"), MALFORMED, "status must be firing or resolved (got 'gone')"),
        ({**alert("b"), "status": ["firing"]}, MALFORMED, "status must be firing or resolved"),
        (with_labels(trunkwatch="staging"), FOREIGN, "an alert of 'staging' in the label"),
        (with_labels(repo=None), UNLABELLED, "the label repo is missing"),
        (with_labels(group=""), UNLABELLED, "the label group is missing"),
        (with_labels(job_name=5), UNLABELLED, "the label job_name is not a text"),
        (with_labels(workflow="\ud800"), UNLABELLED, "the label workflow is not a text"),
    ],
)
def test_an_alert_that_cannot_be_read_is_skipped(bad: Any, outcome: str, problem: str) -> None:
    """The others of its delivery are taken, and the problem is named and counted."""
    payload = webhook_payload(delivery(alert("a"), bad, alert("c", "resolved")))
    assert [found.job.job_name for found in payload.firing] == ["a"]
    assert payload.outcomes() == {"firing": 1, "resolved": 1, outcome: 1}
    assert payload.summary().startswith(
        f"1 firing, 1 resolved, 0 ignored, 1 skipped: alerts[1]: {problem}"
    )


def test_the_answer_names_ten_problems_of_a_delivery() -> None:
    """A delivery may have thousands of alerts."""
    payload = webhook_payload(delivery(*[with_labels(repo=None)] * 12))
    assert payload.problems().endswith("alerts[9]: the label repo is missing; and 2 more")


def test_alerts_are_listed_by_group_and_job() -> None:
    """Suppressed alerts are listed as not active, and other alerts are left out."""
    other = {**listed_alert("c"), "labels": {"alertname": "Watchdog"}}
    found = parse_alerts([listed_alert("a"), listed_alert("b", "suppressed"), other])
    states = {name.job_name: found.active for name, found in found.alerts[KEY].items()}
    assert states == {"a": True, "b": False}
    assert list(found.alerts) == [KEY]
    assert found.is_complete(KEY)


@pytest.mark.parametrize("rows", [None, {}, "x", {"error": "not found"}])
def test_an_invalid_list_of_alerts_is_an_error(rows: Any) -> None:
    """Treated as empty, it would close issues."""
    with pytest.raises(ReadingError, match=r"--alertmanager\.url"):
        parse_alerts(rows)


@pytest.mark.parametrize(
    ("bad", "concerns", "concerns_other"),
    [
        (1, True, True),
        ({}, True, True),
        ({"labels": {"alertname": ALERT}}, False, False),
        ({"labels": {"alertname": ALERT, "repo": REPO}}, True, True),
        ({"labels": {"alertname": ALERT, "group": GROUP}}, True, False),
        (with_labels(job_name=None), True, False),
        (with_labels(repo=7), True, False),
    ],
)
def test_a_listed_alert_that_cannot_be_read_concerns_the_groups_that_it_may_be_of(
    bad: Any, concerns: bool, concerns_other: bool
) -> None:
    """Whether they have ended is unknown; the other entries are read."""
    found = parse_alerts([bad, listed_alert("a")])
    assert list(found.alerts[KEY]) == [JobName(WORKFLOW, "a")]
    assert found.problems[0].startswith("alerts[0]: ")
    assert found.is_complete(KEY) is not concerns
    assert found.is_complete(KEY._replace(group="other")) is not concerns_other


@pytest.mark.parametrize("annotations", [None, "x", {"runbook_url": 5}, {"runbook_url": ""}])
def test_annotations_of_another_shape_are_no_links(annotations: Any) -> None:
    """A link is worth less than the alert."""
    row = {**listed_alert("a"), "annotations": annotations, "generatorURL": 5}
    (found,) = parse_alerts([row]).alerts[KEY].values()
    assert found == UnresolvedAlert(True, Links())


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"error": "no trunk"}, {**trunk(), "jobs": {}}, {**trunk(), "groups": 1}],
)
def test_an_invalid_trunk_status_is_an_error(answer: Any) -> None:
    """Treated as empty, it would close issues."""
    with pytest.raises(ReadingError, match="same version"):
        parse_trunk_status(answer)


NAME = JobName(WORKFLOW, "a")


@pytest.mark.parametrize(
    ("bad", "problem", "name", "group"),
    [
        (None, "is not an object", None, None),
        ({}, "workflow is missing", None, None),
        (job("a", job_name=5), "job_name is not a text", None, GROUP),
        (job("a", group=None), "group is missing", NAME, None),
        ({**job("a"), "broken": "false"}, "broken must be true or false", NAME, GROUP),
        (job("a", consecutive_failures=True), "consecutive_failures must be", NAME, GROUP),
        (
            {**job("a"), "failures_in_outage": "3"},
            "failures_in_outage must be a whole",
            NAME,
            GROUP,
        ),
        (job("a", known_broken="yes"), "known_broken must be an object", NAME, GROUP),
    ],
)
def test_a_job_whose_row_cannot_be_read_is_unknown(
    bad: Any, problem: str, name: JobName | None, group: str | None
) -> None:
    """The other jobs are read; its own group, or every group if it has none, is not complete."""
    status = parse_trunk_status({**trunk(), "jobs": [bad, job("b")]})
    assert [found.job_name for found in status.jobs] == ["b"]
    assert status.problems[0].startswith(f"jobs[0]: {problem}")
    assert status.unreadable_jobs == (UnreadableJob(name, group),)
    assert status.is_unknown(NAME)
    assert not status.is_unknown(JobName(WORKFLOW, "b"))
    assert not status.is_complete(GROUP)
    assert status.is_complete("other") is (group is not None)


def test_facts_of_another_type_are_missing() -> None:
    """They are shown and decide nothing, so the job is judged without them."""
    decisive = ("workflow", "job_name", "group", "broken", "known_broken", "consecutive_failures",
                "failures_in_outage")  # fmt: skip
    strange = {key: {"x": [1]} for key in [*job("a"), "last_outage"] if key not in decisive}
    odd_lists = {"suspect_commits": [None, {"sha": 5}], "annotations": [5, None], "suspects": True}
    for facts in (strange, odd_lists):
        (found,) = parse_trunk_status(trunk({**job("a"), **facts})).jobs.values()
        assert found.broken
        assert found.suspects is None
        assert found.also_suspect == ()
        assert found.annotations == ()


@pytest.mark.parametrize(
    "sources", [[], [None], [{}], [{"up": "true"}], [{"up": True}, {"up": None}], [{"up": False}]]
)
def test_a_trunk_is_reliable_only_if_each_of_its_sources_is_up(sources: list[Any]) -> None:
    """A trunk without sources was read from none."""
    assert not parse_trunk_status({**trunk(), "sources": sources}).reliable
    assert parse_trunk_status(trunk()).reliable


@pytest.mark.parametrize("row", [None, {}, {"group": GROUP, "team": 5}])
def test_a_group_whose_row_cannot_be_read_is_left_out(row: Any) -> None:
    """The others are read."""
    status = parse_trunk_status({**trunk(job("a")), "groups": [row, *trunk(group="g")["groups"]]})
    assert list(status.groups) == ["g"]
    assert status.problems[0].startswith("groups[0]: ")


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
