"""The limit on exported jobs: new jobs are refused beyond it, exported ones never."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain

from trunkwatch.domain.branch import group_states
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.snapshot import TrunkState

Admitted = Mapping[Trunk, TrunkState | None]
"""The states of trunks with their admitted jobs; None where a trunk is gone."""


class Admission:
    """The jobs that are exported, and those that are refused.

    Below the limit an update only counts jobs; above it, the jobs of the changed trunks are
    compared with those that were admitted before.
    """

    def __init__(self, limit: int, admitted: Iterable[JobKey] = ()) -> None:
        """Args:
        limit: the most jobs exported, all trunks together (`limits.max_jobs`).
        admitted: jobs that were exported under an earlier configuration.
        """
        self._limit = limit
        self._earlier: set[JobKey] | None = set(admitted)
        self._states: dict[Trunk, TrunkState] = {}
        self._jobs = 0
        self._refused: dict[Trunk, set[JobKey]] = {}

    def update(self, changed: Admitted) -> tuple[Admitted, list[JobKey]]:
        """Return the trunks whose admitted jobs may have changed, and the newly refused jobs.

        Args:
            changed: the new states of trunks, with all of their jobs. The first update has all
                trunks: the jobs that were exported earlier and are gone lose their place then.
        """
        before = {trunk: self._states.get(trunk) for trunk in changed}
        for trunk, state in changed.items():
            self._put(trunk, state)
        if self._jobs > self._limit:
            found, refused = self._limited(changed, before)
        else:
            found = {**{trunk: self._states.get(trunk) for trunk in self._refused}, **changed}
            refused, self._refused = [], {}
        self._earlier = None
        return found, refused

    def _put(self, trunk: Trunk, state: TrunkState | None) -> None:
        before = self._states.pop(trunk, None)
        self._jobs -= len(before.jobs) if before is not None else 0
        if state is not None:
            self._states[trunk] = state
            self._jobs += len(state.jobs)

    def _limited(self, changed: Admitted, before: Admitted) -> tuple[Admitted, list[JobKey]]:
        """Refuse new jobs, and admit as many as the limit allows."""
        refused_before = {trunk: self._refused.pop(trunk, set()) for trunk in changed}
        for trunk, state in changed.items():
            earlier = _keys(before[trunk]) if self._earlier is None else self._earlier
            waiting = _keys(state) - (earlier - refused_before[trunk])
            if waiting:
                self._refused[trunk] = waiting
        admitted = self._admit_waiting()
        newly_refused = {
            trunk: self._refused.get(trunk, set()) - refused
            for trunk, refused in refused_before.items()
        }
        found = {trunk: self._with_admitted(trunk) for trunk in {*changed, *admitted}}
        return found, sorted(chain.from_iterable(newly_refused.values()))

    def _admit_waiting(self) -> set[Trunk]:
        """Admit the first of the waiting jobs; return their trunks."""
        room = self._limit - self._jobs + sum(map(len, self._refused.values()))
        if room <= 0:
            return set()
        admitted = set()
        for key in heapq.nsmallest(room, chain.from_iterable(self._refused.values())):
            trunk = key.trunk
            self._refused[trunk].remove(key)
            admitted.add(trunk)
        self._refused = {trunk: keys for trunk, keys in self._refused.items() if keys}
        return admitted

    def _with_admitted(self, trunk: Trunk) -> TrunkState | None:
        state, refused = self._states.get(trunk), self._refused.get(trunk)
        if state is None or not refused:
            return state
        jobs = tuple(job for job in state.jobs if job.key not in refused)
        return replace(state, jobs=jobs, groups=group_states(trunk, jobs))


def _keys(state: TrunkState | None) -> set[JobKey]:
    return {job.key for job in state.jobs} if state is not None else set()
