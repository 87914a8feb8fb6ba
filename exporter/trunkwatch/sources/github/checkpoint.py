"""Taking back what a refresh has read of some workflows."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from trunkwatch.domain.model import Observation
from trunkwatch.sources.github.outcome import Outcome
from trunkwatch.sources.github.runs.run_list import RunList
from trunkwatch.sources.github.state import Kind, TrunkContext


class Checkpoint:
    """What had been read of a trunk at one moment.

    The results of some commits beside older ones of others would give a streak that never was. So
    where a refresh ends early, the workflows that it has read in part return to this moment.
    """

    def __init__(self, context: TrunkContext, runs: RunList, outcome: Outcome) -> None:
        """Args:
        context: of the trunk.
        runs: of the trunk.
        outcome: of the refresh, so far.
        """
        self._state = context.state
        self._now = context.now
        self._list = runs
        self._facts = outcome.facts
        self._begin = len(outcome.facts)
        self._runs = dict(runs.runs)
        self._read_at = {
            sha: entry.get("at") for sha, entry in context.state.all(Kind.COMMIT).items()
        }

    def restore(self, workflows: Collection[str]) -> None:
        """Drop the results of some workflows, and let their runs be read again.

        Args:
            workflows: the paths of their files.
        """
        runs = [
            run.as_read(self._runs.get(run.id))
            for run in self._list.runs.values()
            if run.path in workflows
        ]
        due = {run.id for run in runs if run.is_due(self._now)}
        kept, read = [], set()
        for fact in self._facts[self._begin :]:
            if isinstance(fact, Observation) and fact.run_id in due:
                read.add(fact.run_id)
                self._state.drop(Kind.STEP, fact.job_id)
                self._state.drop(Kind.ANNOTATED, fact.job_id)
            else:
                kept.append(fact)
        self._facts[self._begin :] = kept
        for run in runs:
            # Else a run that has ended would soon count as one whose jobs change no more.
            self._list.put(replace(run, changed=self._now) if run.id in read else run)
        for sha in {run.sha for run in runs if run.id in due}:
            self._state.put(Kind.COMMIT, self._as_read(sha), sha)

    def _as_read(self, sha: str) -> dict[str, Any]:
        """Return the entry of a commit with the time at which all of it had been read."""
        entry = dict(self._state.get(Kind.COMMIT, sha) or {})
        entry.pop("at", None)
        at = self._read_at.get(sha)
        return entry if at is None else {**entry, "at": at}
