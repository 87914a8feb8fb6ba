"""The bounds of the stored firing alerts: anybody who may deliver can name any group."""

import sqlite3
from collections.abc import Callable

from trunkwatch.tickets.alerts import FiringAlert
from trunkwatch.tickets.model import TicketKey

MAX_JOBS_OF_GROUP = 10_000
"""Firing alerts of a group that exists: more than any group has jobs."""

MAX_UNKNOWN, MAX_UNKNOWN_OF_TRUNK = 5_000, 2_500
"""Stored alerts of all trunks, and of one, up to which those of unknown groups are stored: anything
can be in a label."""

_COLUMNS = ("repo", "branch", "name", "workflow", "job_name")


class Room:
    """The places for the firing alerts of one delivery.

    Attributes:
        refused: number of alerts without a place.
        has_news: a group has got its first alert.
    """

    def __init__(self, db: sqlite3.Connection, is_known: Callable[[TicketKey], bool]) -> None:
        """Args:
        db: in a transaction.
        is_known: returns whether a group exists.
        """
        self._db = db
        self._is_known = is_known
        self._added: set[tuple[str, ...]] = set()
        self._counts: dict[tuple[str, ...], int] = {}
        self.refused = 0
        self.has_news = False

    def admits(self, alert: FiringAlert) -> bool:
        """Return whether an alert is to be stored, and take its place."""
        row = (*alert.key, *alert.job)
        if row in self._added or self._count(row):
            return True
        if not self._has_place(alert.key):
            self.refused += 1
            return False
        self.has_news = self.has_news or not self._stored(alert.key)
        self._added.add(row)
        for prefix in ((), alert.key[:2], alert.key):
            self._counts[prefix] = self._stored(prefix) + 1
        return True

    def _has_place(self, key: TicketKey) -> bool:
        if self._is_known(key):
            return self._stored(key) < MAX_JOBS_OF_GROUP
        return self._stored(()) < MAX_UNKNOWN and self._stored(key[:2]) < MAX_UNKNOWN_OF_TRUNK

    def _stored(self, prefix: tuple[str, ...]) -> int:
        """Return the number of alerts in all, of a trunk or of a group, with those admitted."""
        if prefix not in self._counts:
            self._counts[prefix] = self._count(prefix)
        return self._counts[prefix]

    def _count(self, prefix: tuple[str, ...]) -> int:
        where = " AND ".join(["1", *(f"{column} = ?" for column in _COLUMNS[: len(prefix)])])
        (number,) = self._db.execute(
            f"SELECT count(*) FROM firing_alerts WHERE {where}",  # noqa: S608 — names of columns
            prefix,
        ).fetchone()
        return int(number)
