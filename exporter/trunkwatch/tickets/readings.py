"""Asks the exporter and Alertmanager what is true."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests
from requests.utils import get_auth_from_url

from trunkwatch.errors import ReadingError
from trunkwatch.sources.http import USER_AGENT, cause_of, without_credentials
from trunkwatch.tickets.facts import ALERT, Alerts, Picture, alerts_of, picture_of

TIMEOUT = 20.0
"""Seconds to wait for a connection and each part of an answer: ten thousand jobs take a few."""


class _Peer:
    """One server that answers with JSON; user:password@ in its address is shown nowhere."""

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
            answer = self._session.get(url, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise ReadingError(f"GET {url}: {cause_of(error)}") from None
        if answer.status_code != requests.codes.ok:
            raise ReadingError(f"GET {url}: HTTP {answer.status_code} {answer.reason}")
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise ReadingError(f"GET {url}: the answer is not JSON") from None


class HttpReadings:
    """What the exporter and Alertmanager say, asked anew each time."""

    def __init__(
        self,
        exporter: str,
        alertmanager: str,
        session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        """Args:
        exporter: address of `trunkwatch serve`.
        alertmanager: address of Alertmanager, without /api/v2.
        session: makes a session for HTTP.
        """
        self._exporter = _Peer(exporter, session)
        self._alertmanager = _Peer(alertmanager, session)

    def trunk(self, repo: str, branch: str) -> Picture:
        """Return what the exporter says of a trunk."""
        return picture_of(self._exporter.get(f"/api/v1/trunk/{quote(repo)}/{quote(branch)}"))

    def alerts(self) -> Alerts:
        """Return the alerts about broken jobs that have not resolved, silenced ones too."""
        wanted = quote(f'alertname="{ALERT}"', safe="")
        return alerts_of(self._alertmanager.get(f"/api/v2/alerts?filter={wanted}"))
