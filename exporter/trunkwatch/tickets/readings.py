"""Reads the current state from the exporter and from Alertmanager."""

from typing import Any
from urllib.parse import quote

from trunkwatch.errors import ReadingError, RequestError
from trunkwatch.rest import HttpContext, RestClient
from trunkwatch.tickets.facts import ALERT, Alerts, Picture, alerts_of, picture_of

TIMEOUT = 20.0
"""Seconds to wait for a connection and each part of an answer: ten thousand jobs take a few."""


class HttpReadings:
    """The state of the exporter and of Alertmanager, read anew each time."""

    def __init__(self, exporter: str, alertmanager: str, http: HttpContext | None = None) -> None:
        """Args:
        exporter: address of `trunkwatch serve`.
        alertmanager: address of Alertmanager, without /api/v2.
        http: the dependencies of both clients.
        """
        http = http or HttpContext()
        self._exporter = RestClient(exporter, http, timeout=TIMEOUT)
        self._alertmanager = RestClient(alertmanager, http, timeout=TIMEOUT)

    def trunk(self, repo: str, branch: str) -> Picture:
        """Return the state of a trunk."""
        return picture_of(_read(self._exporter, f"/api/v1/trunk/{quote(repo)}/{quote(branch)}"))

    def alerts(self) -> Alerts:
        """Return the unresolved alerts about broken jobs, silenced ones too."""
        wanted = quote(f'alertname="{ALERT}"', safe="")
        return alerts_of(_read(self._alertmanager, f"/api/v2/alerts?filter={wanted}"))


def _read(client: RestClient, path: str) -> Any:
    try:
        return client.get(path)
    except RequestError as error:
        raise ReadingError(str(error)) from None
