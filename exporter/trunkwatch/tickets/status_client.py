"""The HTTP client of the exporters and of Alertmanager."""

import logging
from collections.abc import Sequence

from trunkwatch.errors import ReadingError, RequestError, UnknownTrunkError
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.client import TIMEOUT_SECONDS, ExporterClient
from trunkwatch.status.trunk_status import TrunkStatus
from trunkwatch.tickets.alerts import AlertList, jobs_path, parse_alerts

log = logging.getLogger(__name__)


class HttpStatusClient:
    """Reads the state of trunks and alerts, without a cache."""

    def __init__(
        self, exporters: Sequence[str], alertmanager: str, name: str | None = None
    ) -> None:
        """Args:
        exporters: addresses of `trunkwatch serve`, which are asked in turn.
        alertmanager: address of Alertmanager, without /api/v2.
        name: of the Trunkwatch whose alerts count; None for the one without.
        """
        self._alerts_path = jobs_path(name)
        self._exporters = [ExporterClient(url) for url in exporters]
        self._alertmanager = RestClient(alertmanager, HttpContext(), timeout=TIMEOUT_SECONDS)

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the state of a trunk from the first exporter that has it.

        Raises:
            UnknownTrunkError: every exporter answers that it lacks the trunk.
            ReadingError: none has it, and at least one does not answer: it may be the one.
        """
        unknown: list[str] = []
        errors: list[str] = []
        for exporter in tuple(self._exporters):
            try:
                return exporter.trunk(repo, branch)
            except UnknownTrunkError as error:
                unknown.append(str(error))
            except ReadingError as error:
                errors.append(str(error))
                # Ask it last from now on: one that hangs would cost each trunk its timeout.
                self._exporters.remove(exporter)
                self._exporters.append(exporter)
        raise ReadingError("; ".join(errors)) if errors else UnknownTrunkError("; ".join(unknown))

    def alerts(self) -> AlertList:
        """Return the unresolved `TrunkJobBroken` alerts, including silenced ones."""
        try:
            return parse_alerts(self._alertmanager.get(self._alerts_path))
        except RequestError as error:
            raise ReadingError(str(error)) from None

    def check_exporter(self) -> None:
        """Ask each exporter for a small document that every version of it has.

        Raises:
            ReadingError: none of them answers, or all are other servers.
        """
        errors: list[str] = []
        for exporter in self._exporters:
            try:
                exporter.check()
            except ReadingError as error:
                errors.append(str(error))
        if len(errors) == len(self._exporters):
            raise ReadingError("; ".join(errors))
        if errors:
            log.warning("exporter without an answer", extra={"errors": "; ".join(errors)})
