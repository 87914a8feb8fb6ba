"""The state of the source between refreshes, as JSON in its cursor."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite

import msgspec

from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Observation
from trunkwatch.engine.facts import Cursor
from trunkwatch.engine.storable import is_storable
from trunkwatch.sources.buildbot.builds import RETRY, Build

FORMAT = "2"
"""Part of the scope: a cursor of another format is not read."""

ATTEMPTS_SECONDS = 7 * 86_400.0
"""Seconds for which the builds of a request that may get another one are remembered."""

LIMITATION_SECONDS = 86_400.0
"""Seconds for which a limitation is reported after the last build that had it."""


@dataclass(slots=True)
class Position:
    """The position of the source.

    Attributes:
        scope: the configuration that selects builds; when it changes, reading begins anew.
        since: when the newest build that was read completed (seconds since the epoch).
        attempts: per build request, its builds that were lost or have not ended, with the time of
            their end or start: the attempts before the one that counts.
        pending: the rows of unfinished builds that were reported, by the build's id.
        limitations: the text of each limitation, and when to stop reporting it, by its name.
    """

    scope: list[str]
    since: float | None = None
    attempts: dict[int, dict[int, float]] = field(default_factory=dict)
    pending: dict[int, Observation] = field(default_factory=dict)
    limitations: dict[str, tuple[str, float]] = field(default_factory=dict)

    @classmethod
    def from_cursor(cls, cursor: str | None, scope: Iterable[str]) -> "Position":
        """Return the stored position, or the one to begin with."""
        wanted = [FORMAT, *scope]
        with suppress(ValueError, RecursionError):  # a damaged one: reading begins anew
            stored = msgspec.convert(json.loads(cursor or "null"), cls, str_keys=True)
            is_sound = isfinite(stored.since or 0.0) and all(
                map(is_storable, stored.pending.values())
            )
            if stored.scope == wanted and is_sound:
                return stored
        return cls(wanted)

    def to_cursor(self) -> Cursor:
        """Return the position as a fact."""
        return Cursor(json.dumps(msgspec.to_builtins(self, str_keys=True)))

    def drop_future(self, now: float) -> None:
        """Drop the moments of the future: they were stored while a clock was wrong."""
        if self.since is not None:
            self.since = min(self.since, now)
        latest = now + LIMITATION_SECONDS
        self.limitations = {n: entry for n, entry in self.limitations.items() if entry[1] <= latest}

    # ------------------------------------------------------------------ builds

    def record(self, builds: Iterable[Build], now: float) -> None:
        """Record builds that were read, in the order of their ids.

        Args:
            builds: complete or not.
            now: seconds since the epoch; a build that completes later does not advance `since`.
        """
        for build in builds:
            if build.complete and build.completed_at is not None:
                self.since = max(self.since or 0.0, min(build.completed_at, now))
            if not build.complete or build.results == RETRY:
                time = build.completed_at or build.started_at or now
                self.attempts.setdefault(build.request_id, {})[build.build_id] = time
            elif self.attempts.get(build.request_id, {}).keys() == {build.build_id}:
                del self.attempts[build.request_id]
        self.attempts = {
            request: times
            for request, times in self.attempts.items()
            if max(times.values()) >= now - ATTEMPTS_SECONDS
        }

    def attempt(self, build: Build) -> int:
        """Return the number of a build among those of its request."""
        builds = self.attempts.get(build.request_id, {})
        return 1 + sum(other < build.build_id for other in builds)

    def forget_expired(self, now: float) -> None:
        """Forget the unfinished builds that are no longer pending, and are not listed any more."""
        horizon = now - PENDING_LIMIT
        self.pending = {
            build: row
            for build, row in self.pending.items()
            if row.started_at is None or row.started_at >= horizon
        }

    def replace_pending(self, rows: Mapping[int, Observation]) -> list[Observation]:
        """Remember the rows of unfinished builds; return the old ones that nothing replaces.

        A build that vanished (the master's database was restored), or that checked out another
        commit than was requested, would otherwise leave a pending result behind.

        Args:
            rows: all rows of this refresh, by the build's id.
        """
        left = [row for build, row in self.pending.items() if _key(row) != _key(rows.get(build))]
        self.pending = {build: row for build, row in rows.items() if not row.finished}
        return [row.changed(status="completed", conclusion="stale") for row in left]

    # ------------------------------------------------------------------ limitations

    def limit(self, found: Mapping[str, str], now: float) -> None:
        """Record the limitations of this refresh.

        Args:
            found: texts by name.
            now: seconds since the epoch.
        """
        until = now + LIMITATION_SECONDS
        current = {name: entry for name, entry in self.limitations.items() if entry[1] > now}
        self.limitations = {**current, **{name: (text, until) for name, text in found.items()}}


def _key(row: Observation | None) -> tuple[object, ...]:
    """Return the fields by which the store replaces an unfinished row with a completed one."""
    if row is None:
        return ()
    return row.job, row.sha, row.trunk, row.run_id, row.attempt, row.head_branch
