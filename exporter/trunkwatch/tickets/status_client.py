"""The HTTP client of the exporter and of Alertmanager."""

from http import HTTPStatus
from typing import Any

from trunkwatch.addresses import trunk_path
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import ReadingError, RequestError, UnknownTrunkError
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.tickets.alerts import AlertList, jobs_path, parse_alerts
from trunkwatch.tickets.trunk_status import TrunkStatus, parse_trunk_status

TIMEOUT_SECONDS = 20.0
"""Limit for the connection and for each read; the JSON of ten thousand jobs takes a few seconds."""


class HttpStatusClient:
    """Reads the state of trunks and alerts, without a cache."""

    def __init__(self, exporter: str, alertmanager: str, name: str | None = None) -> None:
        """Args:
        exporter: address of `trunkwatch serve`.
        alertmanager: address of Alertmanager, without /api/v2.
        name: of the Trunkwatch whose alerts count; None for the one without.
        """
        self._alerts_path = jobs_path(name)
        http = HttpContext()
        self._exporter = RestClient(exporter, http, timeout=TIMEOUT_SECONDS)
        self._alertmanager = RestClient(alertmanager, http, timeout=TIMEOUT_SECONDS)

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the exporter's state of a trunk."""
        # A redirect to another shard is followed; the password of an address is not sent there.
        path = f"/api/v1{trunk_path(Trunk(repo, branch))}"
        return parse_trunk_status(_read(self._exporter, path, not_found=UnknownTrunkError))

    def alerts(self) -> AlertList:
        """Return the unresolved `TrunkJobBroken` alerts, including silenced ones."""
        return parse_alerts(_read(self._alertmanager, self._alerts_path))

    def check_exporter(self) -> None:
        """Ask the exporter for a small document that every version of it has.

        Raises:
            ReadingError: it does not answer, or is another server.
        """
        _read(self._exporter, "/api/v1/schema")


def _read(client: RestClient, path: str, *, not_found: type[ReadingError] = ReadingError) -> Any:
    try:
        return client.get(path)
    except RequestError as error:
        kind = not_found if error.status == HTTPStatus.NOT_FOUND else ReadingError
        raise kind(str(error)) from None
