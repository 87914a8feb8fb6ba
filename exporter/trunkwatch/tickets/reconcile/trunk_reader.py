"""Reads the exporter's status of trunks: at most one request for a trunk in a round."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from cachetools import TTLCache

from trunkwatch.errors import UnknownTrunkError
from trunkwatch.status.trunk_status import TrunkStatus
from trunkwatch.tickets.model import TicketKey

log = logging.getLogger(__name__)

Name = tuple[str, str]
"""Repo and branch."""

MAX_LOOKUPS = 20
"""Requests in a round for trunks that were never read: an alert can name any trunk."""

MISSING_SECONDS = 600.0
"""How long a trunk that the exporter lacks is not asked for again."""

MAX_MISSING = 10_000

Report = Callable[[str, str, Callable[[], TrunkStatus | None]], TrunkStatus | None]
"""Calls a function that reads a peer, and reports its error: peer, name, function."""


class TrunkClient(Protocol):
    """Reads the exporter."""

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the status of a trunk; raise UnknownTrunkError or ReadingError."""


class TrunkReader:
    """The status of the trunks in one round, and their groups in earlier rounds."""

    def __init__(self, client: TrunkClient, report: Report, clock: Callable[[], float]) -> None:
        """Args:
        client: reads the exporter.
        report: see `Report`.
        clock: seconds.
        """
        self._client = client
        self._report = report
        self._missing: TTLCache[Name, None] = TTLCache(MAX_MISSING, MISSING_SECONDS, clock)
        self._groups: dict[Name, frozenset[str]] = {}
        self._round: dict[Name, TrunkStatus | None] = {}
        self._lookups = 0

    def begin_round(self) -> None:
        """Forget the status of the round before."""
        self._round = {}
        self._lookups = 0

    def has_group(self, key: TicketKey) -> bool:
        """Return whether a trunk had a group when it was read last; for any thread."""
        return key.group in self._groups.get(key[:2], ())

    def is_missing(self, trunk: Name) -> bool:
        """Return whether the exporter lacked a trunk a short time ago."""
        return trunk in self._missing

    def status(self, trunk: Name, *, has_ticket: bool) -> TrunkStatus | None:
        """Return the status of a trunk; None if it is unknown.

        Args:
            trunk: its name.
            has_ticket: an issue depends on it: it is an error that the exporter lacks it.
        """
        if trunk in self._round:
            return self._round[trunk]
        if not has_ticket and trunk not in self._groups:
            if self.is_missing(trunk) or self._lookups == MAX_LOOKUPS:
                return None
            self._lookups += 1
        read = partial(self._read, trunk, has_ticket)
        found = self._round[trunk] = self._report("exporter", " ".join(trunk), read)
        if found is not None:
            self._groups[trunk] = frozenset(found.groups)
        return found

    def _read(self, trunk: Name, has_ticket: bool) -> TrunkStatus | None:
        try:
            return self._client.trunk(*trunk)
        except UnknownTrunkError:
            self._missing[trunk] = None
            self._groups.pop(trunk, None)
            # As long as no trunk was read, the address may be that of another server.
            if has_ticket or not self._groups:
                raise
            log.warning("unknown trunk", extra={"repo": trunk[0], "branch": trunk[1]})
            return None
