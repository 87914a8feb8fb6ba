"""Alertmanager's webhook (version 4) and its list of alerts, parsed into values."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trunkwatch.errors import BadDelivery, ReadingError
from trunkwatch.tickets.model import JobName, Links, TicketKey

ALERT = "TrunkJobBroken"
"""The only alert that opens tickets."""

WEBHOOK_VERSION = "4"

LABELS = ("repo", "branch", "group", "workflow", "job_name")


class FiringAlert(NamedTuple):
    """A firing alert that was delivered; it permits its group to have a ticket.

    Attributes:
        key: the group of the ticket.
        job: the job that fires.
        alertmanager: base URL of Alertmanager's pages, for silence links.
    """

    key: TicketKey
    job: JobName
    alertmanager: str | None


class WebhookPayload(NamedTuple):
    """One delivery of Alertmanager.

    Attributes:
        firing: the `TrunkJobBroken` alerts that fire.
        resolved: number of `TrunkJobBroken` alerts that have resolved.
        ignored: number of other alerts.
    """

    firing: tuple[FiringAlert, ...]
    resolved: int
    ignored: int


class UnresolvedAlert(NamedTuple):
    """One alert in Alertmanager's list.

    Attributes:
        active: neither silenced nor inhibited.
        links: of its annotations.
    """

    active: bool
    links: Links


Alerts = Mapping[TicketKey, Mapping[JobName, UnresolvedAlert]]


def webhook_payload(document: Any) -> WebhookPayload:
    """Parse a delivery; one invalid alert rejects all of it.

    Raises:
        BadDelivery: it is not a webhook of version 4, or an alert lacks a label.
    """
    alerts = _alerts_in(document)
    address = document.get("externalURL")
    address = address if isinstance(address, str) and address else None
    firing: list[FiringAlert] = []
    resolved = ignored = 0
    for index, alert in enumerate(alerts):
        status, labels = _status_and_labels(index, alert)
        if labels.get("alertname") != ALERT:
            ignored += 1
            continue
        try:
            key, job = identity_of(labels)
        except ValueError as error:
            raise BadDelivery(f"alerts[{index}]: {error}") from None
        if status == "firing":
            firing.append(FiringAlert(key, job, address))
        else:
            resolved += 1
    return WebhookPayload(tuple(firing), resolved, ignored)


def _alerts_in(document: Any) -> list[Any]:
    if not isinstance(document, dict):
        raise BadDelivery("the body is not a JSON object")
    if document.get("version") != WEBHOOK_VERSION:
        raise BadDelivery(
            f"version must be {WEBHOOK_VERSION!r} (got {_shown(document.get('version'))}): this"
            " endpoint accepts the payload of Alertmanager's webhook_configs"
        )
    alerts = document.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise BadDelivery("alerts must be a list that is not empty")
    return alerts


def _status_and_labels(index: int, alert: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        raise BadDelivery(f"alerts[{index}].labels must be an object")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise BadDelivery(
            f"alerts[{index}].status must be firing or resolved (got {_shown(status)})"
        )
    return status, alert["labels"]


def _shown(value: object) -> str:
    return repr(value)[:40]


def parse_alerts(rows: Any) -> Alerts:
    """Parse the answer of `/api/v2/alerts`; alerts other than `TrunkJobBroken` are left out.

    Raises:
        ReadingError: it has another shape.
    """
    found: dict[TicketKey, dict[JobName, UnresolvedAlert]] = {}
    try:
        for row in rows:
            labels = row["labels"]
            if labels.get("alertname") == ALERT:
                key, job = identity_of(labels)
                active = row["status"]["state"] == "active"
                found.setdefault(key, {})[job] = UnresolvedAlert(active, _links(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadingError(
            f"Alertmanager's list of alerts has not the shape of its API v2 ({error!r});"
            " is --alertmanager.url its address?"
        ) from None
    return found


def _links(row: Mapping[str, Any]) -> Links:
    annotations = row.get("annotations") or {}
    return Links(
        annotations.get("runbook_url"), annotations.get("dashboard_url"), row.get("generatorURL")
    )


def identity_of(labels: Mapping[str, Any]) -> tuple[TicketKey, JobName]:
    """Return the group and the job of an alert.

    Raises:
        ValueError: a label is missing; the text names it.
    """
    for name in LABELS:
        if not isinstance(labels.get(name), str) or not labels[name]:
            raise ValueError(f"the label {name} is missing")
    return (
        TicketKey(labels["repo"], labels["branch"], labels["group"]),
        JobName(labels["workflow"], labels["job_name"]),
    )


def links_of(alerts: Iterable[UnresolvedAlert], stored: Links) -> Links:
    """Return the stored links, with each missing one taken from the first alert that has it.

    Stored links stay: two replicas of Prometheus alternate between two addresses of one source,
    and the issue would be edited each time.
    """
    for alert in alerts:
        stored = Links(*(old or new for old, new in zip(stored, alert.links, strict=True)))
    return stored
