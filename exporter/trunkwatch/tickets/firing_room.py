"""The bounds of the stored firing alerts: anybody who may deliver can name any group."""

import sqlite3
from collections import Counter
from collections.abc import Callable

from trunkwatch.tickets.alerts import FiringAlert
from trunkwatch.tickets.model import TicketKey

MAX_JOBS_OF_GROUP = 10_000
"""Firing alerts of a group that exists: more than any group has jobs."""

MAX_UNKNOWN, MAX_UNKNOWN_OF_TRUNK = 5_000, 2_500
"""Firing alerts of all other groups, and of those of one trunk: anything can be in a label."""


class Room:
    """The places that are left for firing alerts: each trunk has its own.

    Attributes:
        refused: number of alerts without a place.
        has_news: a group has got its first alert.
    """

    def __init__(self, db: sqlite3.Connection, is_known: Callable[[TicketKey], bool]) -> None:
        self._db = db
        self._is_known = is_known
        self._added: set[tuple[str, ...]] = set()
        self._groups: Counter[TicketKey] = Counter()
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._all_unknown = 0
        self.refused = 0
        self.has_news = False
        for repo, branch, name, number in db.execute(
            "SELECT repo, branch, name, count(*) FROM firing_alerts GROUP BY repo, branch, name"
        ):
            self._add(TicketKey(repo, branch, name), number)

    def admits(self, alert: FiringAlert) -> bool:
        """Return whether an alert is to be stored, and take its place."""
        row = (*alert.key, *alert.job)
        if row in self._added or self._is_stored(row):
            return True
        if not self._has_place(alert.key):
            self.refused += 1
            return False
        self.has_news = self.has_news or alert.key not in self._groups
        self._added.add(row)
        self._add(alert.key, 1)
        return True

    def _is_stored(self, row: tuple[str, ...]) -> bool:
        statement = (
            "SELECT 1 FROM firing_alerts"
            " WHERE (repo, branch, name, workflow, job_name) = (?, ?, ?, ?, ?)"
        )
        return self._db.execute(statement, row).fetchone() is not None

    def _has_place(self, key: TicketKey) -> bool:
        if self._is_known(key):
            return self._groups[key] < MAX_JOBS_OF_GROUP
        of_trunk = self._unknown[key[:2]]
        return self._all_unknown < MAX_UNKNOWN and of_trunk < MAX_UNKNOWN_OF_TRUNK

    def _add(self, key: TicketKey, number: int) -> None:
        self._groups[key] += number
        if not self._is_known(key):
            self._unknown[key[:2]] += number
            self._all_unknown += number
