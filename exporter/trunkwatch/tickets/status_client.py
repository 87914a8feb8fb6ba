"""The HTTP client of the exporter and of Alertmanager."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests
from requests.utils import get_auth_from_url

from trunkwatch.errors import ReadingError
from trunkwatch.sources.http import USER_AGENT, cause_of, without_credentials
from trunkwatch.tickets.alerts import ALERT, Alerts, parse_alerts
from trunkwatch.tickets.trunk_status import TrunkStatus, parse_trunk_status

TIMEOUT_SECONDS = 20.0
"""Limit for the connection and for each read; the JSON of ten thousand jobs takes a few seconds."""


class _Peer:
    """A JSON server; errors never contain the user:password@ of its address."""

    def __init__(self, url: str, session: Callable[[], requests.Session]) -> None:
        self._base = without_credentials(url).rstrip("/")
        self._session = session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": USER_AGENT})
        user, password = get_auth_from_url(url)
        if user or password:
            self._session.auth = (user, password)

    def get(self, path: str) -> Any:
        url = f"{self._base}{path}"
        try:
            answer = self._session.get(url, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise ReadingError(f"GET {url}: {cause_of(error)}") from None
        if answer.status_code != requests.codes.ok:
            raise ReadingError(f"GET {url}: HTTP {answer.status_code} {answer.reason}")
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise ReadingError(f"GET {url}: the answer is not JSON") from None


class HttpStatusClient:
    """Reads the state of trunks and alerts, without a cache."""

    def __init__(
        self,
        exporter: str,
        alertmanager: str,
        session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        """Args:
        exporter: address of `trunkwatch serve`.
        alertmanager: address of Alertmanager, without /api/v2.
        session: creates an HTTP session.
        """
        self._exporter = _Peer(exporter, session)
        self._alertmanager = _Peer(alertmanager, session)

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the exporter's state of a trunk."""
        return parse_trunk_status(
            self._exporter.get(f"/api/v1/trunk/{quote(repo)}/{quote(branch)}")
        )

    def alerts(self) -> Alerts:
        """Return the unresolved `TrunkJobBroken` alerts, including silenced ones."""
        wanted = quote(f'alertname="{ALERT}"', safe="")
        return parse_alerts(self._alertmanager.get(f"/api/v2/alerts?filter={wanted}"))
