"""Which trunks have no news: their heads are as they were when everything had been read."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from trunkwatch.domain.model import Observation, Trunk, WorkflowReport
from trunkwatch.engine.facts import FilesReport, StateEntry
from trunkwatch.sources.github.outcome import Outcome
from trunkwatch.sources.github.runs.run import run_of_json
from trunkwatch.sources.github.state import Kind, StateStore, key_of
from trunkwatch.sources.github.stored import stored_value

RECHECK_SECONDS = 1500.0
"""Seconds after which a trunk is read although its heads are the same: a run of an older commit may
have been run again, or a workflow deleted."""

READS = 2
"""Reads with the same heads after which a trunk is idle: a list may lack what the heads show."""

WAITING_SECONDS = 86_400.0
"""Seconds for which an unfinished run or result keeps its trunk from being idle."""


class LastRead(NamedTuple):
    """The last read of a trunk after which nothing was left to read.

    Attributes:
        tip: its heads before that; None if there is no such read.
        reads: how many reads in a row had these heads.
        at: when it was (seconds since the epoch).
    """

    tip: str | None = None
    reads: int = 0
    at: float = 0.0

    def is_idle(self, tip: str | None) -> bool:
        """Return whether a trunk with these heads has no news; None for uncertain ones."""
        return tip is not None and tip == self.tip and self.reads >= READS

    def is_recheck_due(self, now: float) -> bool:
        """Return whether the trunk is read although it is idle."""
        return not 0 <= now - self.at < RECHECK_SECONDS


def last_read(trunk: Trunk, entries: Mapping[str, str]) -> LastRead:
    """Return the last read of a trunk, from the state of the source."""
    return stored_value(entries.get(key_of(trunk, Kind.HEAD)), LastRead) or LastRead()


def note_read(
    trunk: Trunk, before: LastRead, tip: str | None, *, settled: bool, now: float
) -> StateEntry | None:
    """Return the entry about a read, if it changes.

    Args:
        trunk: that was read.
        before: the last read.
        tip: the heads before this read; None where they are uncertain.
        settled: whether nothing was left to read.
        now: seconds since the epoch.
    """
    key = key_of(trunk, Kind.HEAD)
    if not settled or tip is None:
        return StateEntry(key, None) if before.tip is not None else None
    reads = min(READS, before.reads + 1) if before.tip == tip else 1
    return StateEntry(key, json.dumps([tip, reads, round(now)]))


def is_settled(outcome: Outcome, state: StateStore, now: float) -> bool:
    """Return whether nothing is left to read of a trunk until its heads change.

    Args:
        outcome: of its read.
        state: after that.
        now: seconds since the epoch.
    """
    if outcome.error is not None or outcome.more or outcome.due_since is not None:
        return False
    # A new result may open an outage, whose details are then read.
    news = Observation | WorkflowReport | FilesReport
    if outcome.unread or any(isinstance(fact, news) for fact in outcome.facts):
        return False
    runs = map(run_of_json, state.all(Kind.RUN).values())
    waiting = any(
        run.is_due(now)
        or (not run.finished and now - max(run.updated, run.changed) < WAITING_SECONDS)
        for run in runs
    )
    undecided = any("job" in entry for entry in state.all(Kind.TIMED_OUT).values())
    external = any(
        not entry["done"] and now - entry["at"] < RECHECK_SECONDS
        for entry in state.all(Kind.EXTERNAL).values()
    )
    return not (waiting or undecided or external or state.all(Kind.PENDING))
