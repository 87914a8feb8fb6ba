"""A test alert through a real Alertmanager, from its begin to its end."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from trunkwatch.app.running_routes import TIMEOUT_SECONDS, read_routes
from trunkwatch.config.alertmanager import SEVERITIES, matched_routes
from trunkwatch.errors import BadAnswerError, RequestError
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.tickets.alerts import API_ALERTS, NAME_LABEL, alerts_path
from trunkwatch.times import format_time

ALERT = "TrunkwatchTestAlert"
"""Its name. No route or inhibition of the ready-made files names it, and no ticket is opened."""

NOTIFYING_SECONDS = 5.0
"""Seconds that Alertmanager has to send a notification after `group_wait`."""

MAX_SECONDS = 900.0
"""The longest that a test alert lasts, however it is interrupted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """How Alertmanager treats a test alert.

    Attributes:
        receivers: that get it.
        is_routed: whether a route below the root takes it.
        wait: seconds until its notification is sent.
        suppressed_by: the silences and alerts that keep it back.
    """

    receivers: tuple[str, ...]
    is_routed: bool
    wait: float
    suppressed_by: tuple[str, ...]


class DeliveryTest:
    """One test alert.

    Attributes:
        labels: of the alert, as those of a broken job; no other test has the same.
        title: the first line of the notification.
        may_fire: whether Alertmanager may have the alert, so that it has to be ended.
    """

    def __init__(
        self,
        alertmanager: str,
        team: str,
        priority: str,
        clock: Callable[[], float] = time.time,
        name: str | None = None,
    ) -> None:
        """Args:
        alertmanager: address of Alertmanager.
        team: the label `team`.
        priority: P0 to P3.
        clock: seconds since the epoch.
        name: of the Trunkwatch whose alerts are tried; None for the one without.
        """
        self._client = RestClient(alertmanager, HttpContext(), timeout=TIMEOUT_SECONDS)
        self._clock = clock
        self.may_fire = False
        self._begun = clock()
        begun = format_time(int(self._begun))
        self.labels: Mapping[str, str] = {
            "alertname": ALERT,
            "team": team,
            "priority": priority,
            "severity": SEVERITIES[priority],
            # Alertmanager joins alerts of one group: an earlier test would delay this one.
            "group": f"test of {begun}",
            # As the rules set it, so that no inhibition by namespace joins it with another alert.
            "namespace": f"trunkwatch/test of {begun}",
            **({NAME_LABEL: name} if name else {}),
        }
        self.title = f"[TEST] Trunkwatch test alert for team {team}, {priority}: nothing is broken"

    def begin(self) -> Accepted:
        """Send the alert, and return how it is treated.

        Raises:
            RequestError: Alertmanager did not answer, or refuses it; the alert fires all the same
                if `may_fire` is set.
        """
        root = read_routes(self._client)
        routes = list(matched_routes(self.labels, root))
        self._send()
        found = self._client.get(alerts_path({"group": self.labels["group"]}))
        try:
            alert = found[0]
            receivers = tuple(str(each["name"]) for each in alert["receivers"])
            suppressed = tuple(_suppressors(alert["status"]))
        except (LookupError, TypeError):
            raise BadAnswerError(f"{API_ALERTS}: the answer lacks the alert") from None
        wait = max((route.group_wait for route in routes), default=root.group_wait)
        wait = min(wait + NOTIFYING_SECONDS, MAX_SECONDS)
        return Accepted(receivers, bool(routes), wait, suppressed)

    def end(self) -> None:
        """End the alert now.

        Raises:
            RequestError: Alertmanager did not answer; the alert ends after `MAX_SECONDS`.
        """
        self._post(self._clock())

    def _send(self) -> None:
        self.may_fire = True
        try:
            self._post(self._begun + MAX_SECONDS)
        except RequestError as error:
            # Without an answer, and behind a proxy that has none, it may have arrived.
            self.may_fire = error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            raise

    def _post(self, ends_at: float) -> None:
        sent = format_time(int(self._begun))
        alert = {
            "labels": self.labels,
            "annotations": {
                "title": self.title,
                "summary": "A test of the way from Trunkwatch to you; nothing is broken.",
                "description": f"Sent by: trunkwatch test-alert at {sent}\nIt ends by itself.",
            },
            "startsAt": format_time(self._begun),
            "endsAt": format_time(ends_at),
        }
        self._client.post(API_ALERTS, [alert])


def _suppressors(status: Mapping[str, Any]) -> Iterator[str]:
    for key, name in (("silencedBy", "silence"), ("inhibitedBy", "inhibition by alert")):
        yield from (f"{name} {each}" for each in status[key] or ())
