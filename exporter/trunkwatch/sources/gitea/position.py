"""The state of one trunk between refreshes, as JSON in an entry of the source's state."""

from contextlib import suppress

import msgspec

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.sources.gitea.rows import Task
from trunkwatch.sources.projects_source import trunk_key

KEPT_RUNS = 300
"""Runs whose attempts are stored: a later re-run of an older one counts from 1 again."""


class RunState(msgspec.Struct, omit_defaults=True):
    """A run of the trunk.

    Attributes:
        since: when it was seen first, or run again (seconds since the epoch).
        workflow: the name of the workflow's file.
        event: that started it.
        id: for the request of its jobs; None for a run that was not listed.
        tasks: ids of the attempts of each job, by its name.
        due: tasks that have not been reported as they are.
        waiting: names of jobs that were seen waiting for another attempt.
        open: whether its jobs may change.
        is_reported: whether its jobs were read before.
    """

    since: float
    workflow: str
    event: str
    id: int | None = None
    tasks: dict[str, list[int]] = {}
    due: dict[int, Task] = {}
    waiting: list[str] = []
    open: bool = False
    is_reported: bool = False


class Position(msgspec.Struct):
    """The position in one trunk.

    Attributes:
        scope: what selects rows: the server, the repository, and the configuration.
        tip: the newest commit that was listed.
        task: the greatest id of a task that was read, of any branch; 0 before the first.
        run: the greatest id of a run that was read; 0 before the first.
        unended: when a task that has not ended was first seen (seconds since the epoch), by its id.
        unreadable_since: when a row was first unreadable (seconds since the epoch); None while all
            can be read.
        runs: by number.
    """

    scope: list[str]
    tip: str = ""
    task: int = 0
    run: int = 0
    unended: dict[int, float] = {}
    unreadable_since: float | None = None
    runs: dict[int, RunState] = {}

    @classmethod
    def stored(cls, text: str | None, scope: list[str]) -> "Position":
        """Return the stored position, or the one to begin with."""
        with suppress(msgspec.MsgspecError):  # a damaged one: reading begins anew
            position = msgspec.json.decode(text or "", type=cls)
            if position.scope == scope:
                return position
        return cls(scope)

    def entry(self, trunk: Trunk) -> StateEntry:
        """Return the position as a fact."""
        newest = sorted(self.runs, reverse=True)[:KEPT_RUNS]
        kept = {*newest, *(number for number, run in self.runs.items() if run.open or run.due)}
        self.runs = {number: run for number, run in self.runs.items() if number in kept}
        return StateEntry(trunk_key(trunk), msgspec.json.encode(self).decode())
