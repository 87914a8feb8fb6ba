"""The state of one trunk between refreshes, as JSON in an entry of the source's state."""

from contextlib import suppress

import msgspec

from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.sources.gitlab.rows import Pipeline
from trunkwatch.sources.projects_source import trunk_key

SLACK_SECONDS = 300.0
"""Seconds that each refresh looks back behind the newest change: a transaction that began earlier
may be seen later."""

SEEN_SECONDS = 6 * 3600.0
"""Seconds for which the versions of pipelines are remembered at least: a child pipeline that ended
is not read again while its parent runs."""


class Position(msgspec.Struct):
    """The position in one trunk.

    Attributes:
        scope: what selects rows: the server, the project, and the configuration.
        since: the newest change that was read (seconds since the epoch); None before the first.
        tip: the newest commit that was listed.
        bridges: whether its pipelines have trigger jobs.
        seen: time of the change and status of each pipeline that was read, by its id.
        open: the pipelines whose jobs may change before they do, or could not be read.
        failed: when those that could not be read failed first, by id (seconds since the epoch).
    """

    scope: list[str]
    since: float | None = None
    tip: str = ""
    bridges: bool = False
    seen: dict[int, tuple[float, str]] = {}
    open: dict[int, Pipeline] = {}
    failed: dict[int, float] = {}

    @classmethod
    def stored(cls, text: str | None, scope: list[str], now: float) -> "Position":
        """Return the stored position, or the one to begin with."""
        with suppress(msgspec.MsgspecError):  # a damaged one: reading begins anew
            position = msgspec.json.decode(text or "", type=cls)
            if position.scope == scope:
                if position.since is not None:
                    # A time of the future was stored while a clock was wrong.
                    position.since = min(max(position.since, 0.0), now)
                return position
        return cls(scope)

    def entry(self, trunk: Trunk, now: float) -> StateEntry:
        """Return the position as a fact."""
        oldest = min((self.since or now) - SLACK_SECONDS, now - SEEN_SECONDS)
        self.seen = {number: seen for number, seen in self.seen.items() if seen[0] > oldest}
        return StateEntry(trunk_key(trunk), msgspec.json.encode(self).decode())

    def has_seen(self, pipeline: Pipeline) -> bool:
        """Return whether a pipeline was read as it is."""
        return self.seen.get(pipeline.id) == (pipeline.updated, pipeline.status)

    def see(self, *pipelines: Pipeline) -> None:
        """Record that pipelines were read."""
        self.seen.update((each.id, (each.updated, each.status)) for each in pipelines)

    def keep_open(self, pipeline: Pipeline, now: float, *, wanted: bool) -> None:
        """Record whether a pipeline has to be read again though it does not change."""
        self.failed.pop(pipeline.id, None)
        created = pipeline.updated if pipeline.created is None else pipeline.created
        if wanted and now - created <= PENDING_LIMIT:
            self.open[pipeline.id] = pipeline
        else:
            self.open.pop(pipeline.id, None)

    def keep_failed(self, pipeline: Pipeline, now: float) -> None:
        """Record that a pipeline, of any age, could not be read and has to be read again.

        It is given up 36 hours after its first failure, else one that never can would cost a
        request and an error at each refresh.
        """
        if now - self.failed.setdefault(pipeline.id, now) <= PENDING_LIMIT:
            self.open[pipeline.id] = pipeline
        else:
            self.failed.pop(pipeline.id)
            self.open.pop(pipeline.id, None)
            self.see(pipeline)  # else it would be new to the next refresh
