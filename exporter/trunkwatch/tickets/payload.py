"""What Alertmanager posts (webhook, version 4): which keys to look at, and which may be opened."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkwatch.errors import BadDelivery
from trunkwatch.tickets.facts import ALERT, JobName, Key, identity_of

VERSION = "4"


class Permit(NamedTuple):
    """A firing alert was delivered: its key may have a ticket.

    Attributes:
        key: what the ticket is about.
        job: that fires.
        alertmanager: the address of Alertmanager's own page, for silences.
    """

    key: Key
    job: JobName
    alertmanager: str | None


class Delivered(NamedTuple):
    """What one delivery says.

    Attributes:
        permits: of the alerts that fire.
        resolved: how many of our alerts have resolved.
        others: how many alerts are not about broken jobs.
    """

    permits: tuple[Permit, ...]
    resolved: int
    others: int


def delivered(document: Any) -> Delivered:
    """Understand a delivery, whole or not at all.

    Raises:
        BadDelivery: it is not a webhook of version 4, or an alert lacks one of our labels.
    """
    if not isinstance(document, dict):
        raise BadDelivery("the body is not a JSON object")
    if document.get("version") != VERSION:
        raise BadDelivery(
            f"version must be {VERSION!r} (got {_shown(document.get('version'))}): this endpoint"
            " takes what Alertmanager's webhook_configs sends"
        )
    alerts = document.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise BadDelivery("alerts must be a list that is not empty")
    address = document.get("externalURL")
    address = address if isinstance(address, str) and address else None
    permits: list[Permit] = []
    resolved = others = 0
    for place, alert in enumerate(alerts):
        status, labels = _alert(place, alert)
        if labels.get("alertname") != ALERT:
            others += 1
            continue
        key, job = _identity(place, labels)
        if status == "firing":
            permits.append(Permit(key, job, address))
        else:
            resolved += 1
    return Delivered(tuple(permits), resolved, others)


def _alert(place: int, alert: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        raise BadDelivery(f"alerts[{place}].labels must be an object")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise BadDelivery(
            f"alerts[{place}].status must be firing or resolved (got {_shown(status)})"
        )
    return status, alert["labels"]


def _identity(place: int, labels: Mapping[str, Any]) -> tuple[Key, JobName]:
    try:
        return identity_of(labels)
    except ValueError as error:
        raise BadDelivery(f"alerts[{place}]: {error}") from None


def _shown(value: object) -> str:
    return repr(value)[:40]
