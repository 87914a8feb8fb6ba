"""Alertmanager's webhook (version 4) and its list of alerts, parsed into values."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from trunkwatch.config.schema import MAX_LABEL_BYTES
from trunkwatch.errors import BadDelivery, ReadingError
from trunkwatch.rest.json_text import no_text, object_of, text_or_none
from trunkwatch.status.trunk_status import JobName
from trunkwatch.tickets.model import Links, TicketKey

ALERT = "TrunkJobBroken"
"""The only alert that opens tickets."""

API_ALERTS = "/api/v2/alerts"
"""The path of Alertmanager's alerts below its address."""

WEBHOOK_VERSION = "4"

LABELS = ("repo", "branch", "group", "workflow", "job_name")

PROBLEMS_SHOWN = 10
"""Skipped alerts that the log and the answer name; the others are counted."""

UNLABELLED, MALFORMED, FOREIGN = "unlabelled", "malformed", "foreign"
"""Why an alert is skipped: a label of `LABELS` is missing, it has another shape, or another
Trunkwatch sent it."""

NAME_LABEL = "trunkwatch"
"""The label with the name of a Trunkwatch, which the only one lacks (rules/build.py)."""


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


class SkippedAlert(NamedTuple):
    """An alert of a delivery that was left out.

    Attributes:
        outcome: `UNLABELLED`, `MALFORMED` or `FOREIGN`.
        problem: its place in the delivery, and the error.
    """

    outcome: str
    problem: str


class WebhookPayload(NamedTuple):
    """One delivery of Alertmanager.

    Attributes:
        firing: the `TrunkJobBroken` alerts that fire.
        resolved: number of `TrunkJobBroken` alerts that have resolved.
        ignored: number of other alerts.
        skipped: the alerts that cannot be read.
    """

    firing: tuple[FiringAlert, ...]
    resolved: int
    ignored: int
    skipped: tuple[SkippedAlert, ...]

    def outcomes(self, refused: int = 0) -> Counter[str]:
        """Return the number of alerts by outcome.

        Args:
            refused: number of the firing alerts that were not stored.
        """
        known = {
            "firing": len(self.firing) - refused,
            "refused": refused,
            "resolved": self.resolved,
            "ignored": self.ignored,
        }
        return Counter(known) + Counter(alert.outcome for alert in self.skipped)

    def problems(self) -> str:
        """Return the problems of the skipped alerts in one line."""
        shown = [alert.problem for alert in self.skipped[:PROBLEMS_SHOWN]]
        more = len(self.skipped) - PROBLEMS_SHOWN
        return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])

    def summary(self) -> str:
        """Return the number of alerts by outcome, as the answer to a delivery."""
        known = f"{len(self.firing)} firing, {self.resolved} resolved, {self.ignored} ignored"
        return f"{known}, {len(self.skipped)} skipped: {self.problems()}" if self.skipped else known


class UnresolvedAlert(NamedTuple):
    """One alert in Alertmanager's list.

    Attributes:
        active: neither silenced nor inhibited; None if it is unknown.
        links: of its annotations.
    """

    active: bool | None
    links: Links


class UnreadableAlert(NamedTuple):
    """An alert in Alertmanager's list that cannot be read.

    Attributes:
        problem: its place in the list, and the error.
        group: the readable labels of its group; None if it belongs to no group.
    """

    problem: str
    group: Mapping[str, str] | None

    def may_concern(self, key: TicketKey) -> bool:
        """Return whether it may be an alert of a group."""
        known = self.group
        return known is not None and known.items() <= key._asdict().items()


@dataclass(frozen=True, slots=True)
class AlertList:
    """Alertmanager's list of unresolved alerts.

    Attributes:
        alerts: by group and job.
        unreadable: the alerts that cannot be read.
    """

    alerts: Mapping[TicketKey, Mapping[JobName, UnresolvedAlert]]
    unreadable: tuple[UnreadableAlert, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Place and error of each unreadable alert."""
        return tuple(alert.problem for alert in self.unreadable)

    def is_complete(self, key: TicketKey) -> bool:
        """Return whether all alerts of a group were read."""
        return not any(alert.may_concern(key) for alert in self.unreadable)


class _SkippedError(ValueError):
    """An alert cannot be used."""

    outcome = MALFORMED


class _UnlabelledError(_SkippedError):
    """An alert without one of our labels."""

    outcome = UNLABELLED


class _ForeignError(_SkippedError):
    """An alert of another Trunkwatch."""

    outcome = FOREIGN


def webhook_payload(document: Any, name: str | None = None) -> WebhookPayload:
    """Parse a delivery; an alert that cannot be read, or is not of this Trunkwatch, is skipped.

    Alertmanager does not repeat a delivery that was answered with 400, so the others must be taken.

    Args:
        document: the body.
        name: the label `trunkwatch` of this Trunkwatch's alerts; None if they have none.

    Raises:
        BadDelivery: it is not a webhook of version 4.
    """
    alerts = _alerts_in(document)
    address = text_or_none(document.get("externalURL"))
    firing: list[FiringAlert] = []
    skipped: list[SkippedAlert] = []
    resolved = ignored = 0
    for index, alert in enumerate(alerts):
        try:
            labels = _labels(alert)
            if labels.get("alertname") != ALERT:
                ignored += 1
                continue
            _check_name(labels, name)
            key, job = identity_of(labels)
            fires = _fires(alert)
        except ValueError as error:
            outcome = error.outcome if isinstance(error, _SkippedError) else MALFORMED
            skipped.append(SkippedAlert(outcome, f"alerts[{index}]: {error}"))
            continue
        if fires:
            firing.append(FiringAlert(key, job, address))
        else:
            resolved += 1
    return WebhookPayload(tuple(firing), resolved, ignored, tuple(skipped))


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


def _labels(alert: object) -> Mapping[str, Any]:
    labels = object_of(alert).get("labels")
    if not isinstance(labels, dict):
        raise ValueError("labels must be an object")
    return labels


def _check_name(labels: Mapping[str, Any], name: str | None) -> None:
    found = labels.get(NAME_LABEL)
    if (found or None) != name:
        which = f"of {_shown(found)}" if found else "without one"
        own = f"`name` is {name!r}" if name else "`name` is not set"
        raise _ForeignError(
            f"an alert {which} in the label {NAME_LABEL}; in the configuration {own}"
        )


def _fires(alert: Mapping[str, Any]) -> bool:
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise ValueError(f"status must be firing or resolved (got {_shown(status)})")
    return bool(status == "firing")


def _shown(value: object) -> str:
    return repr(value)[:40]


def alerts_path(labels: Mapping[str, str]) -> str:
    """Return the path of Alertmanager's alerts with values of labels, also silenced ones.

    Args:
        labels: by name; an empty value is that of an alert without the label.
    """
    matchers = (quote(f'{label}="{value}"', safe="") for label, value in labels.items())
    return f"{API_ALERTS}?" + "&".join(f"filter={matcher}" for matcher in matchers)


def jobs_path(name: str | None) -> str:
    """Return the path of the alerts of broken jobs of the Trunkwatch with that name."""
    return alerts_path({"alertname": ALERT, NAME_LABEL: name or ""})


def parse_alerts(rows: Any) -> AlertList:
    """Parse the answer of `/api/v2/alerts`; alerts other than `TrunkJobBroken` are left out.

    Raises:
        ReadingError: it is not a list.
    """
    if not isinstance(rows, list):
        raise ReadingError(
            "Alertmanager's list of alerts is not the list of its API v2; is --alertmanager.url"
            " its address?"
        )
    found: dict[TicketKey, dict[JobName, UnresolvedAlert]] = {}
    unreadable: list[UnreadableAlert] = []
    for index, row in enumerate(rows):
        labels: Mapping[str, Any] | None = None
        try:
            labels = _labels(row)
            if labels.get("alertname") == ALERT:
                key, job = identity_of(labels)
                found.setdefault(key, {})[job] = UnresolvedAlert(_active(row), _links(row))
        except ValueError as error:
            unreadable.append(UnreadableAlert(f"alerts[{index}]: {error}", _group(labels)))
    return AlertList(found, tuple(unreadable))


def _group(labels: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    """Return the labels of an unreadable alert's group.

    An alert with none of them is of a rule of the same name that is not Trunkwatch's; if it could
    concern every group, it would keep every issue open.
    """
    if labels is None:
        return {}
    texts = {name: text_or_none(labels.get(name)) for name in TicketKey._fields}
    return {name: text for name, text in texts.items() if text is not None} or None


def _active(row: Mapping[str, Any]) -> bool | None:
    status = row.get("status")
    state = text_or_none(status.get("state")) if isinstance(status, dict) else None
    return None if state is None else state == "active"


def _links(row: Mapping[str, Any]) -> Links:
    annotations = row.get("annotations")
    texts = annotations if isinstance(annotations, dict) else {}
    addresses = (texts.get("runbook_url"), texts.get("dashboard_url"), row.get("generatorURL"))
    return Links(*map(text_or_none, addresses))


def identity_of(labels: Mapping[str, Any]) -> tuple[TicketKey, JobName]:
    """Return the group and the job of an alert.

    Raises:
        ValueError: a label is missing, or not a text; the error names it.
    """
    for name in LABELS:
        if text_or_none(labels.get(name)) is None:
            raise _UnlabelledError(f"the label {name} {no_text(labels.get(name))}")
        if len(labels[name].encode("utf-8", "replace")) > MAX_LABEL_BYTES:
            raise ValueError(f"the label {name} is longer than {MAX_LABEL_BYTES} bytes")
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
