"""The limit on exported jobs: new jobs are refused beyond it, exported ones never."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from trunkwatch.domain.branch import group_states
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.snapshot import TrunkState


class Admission:
    """The jobs that are exported, and those that are refused."""

    def __init__(self, limit: int, admitted: Iterable[JobKey] = ()) -> None:
        """Args:
        limit: the most jobs exported, all trunks together (`limits.max_jobs`).
        admitted: jobs that were exported under an earlier configuration.
        """
        self._limit = limit
        self._admitted: set[JobKey] = set(admitted)
        self._refused: set[JobKey] = set()

    def filter(self, trunks: Sequence[TrunkState]) -> tuple[tuple[TrunkState, ...], list[JobKey]]:
        """Return the trunks with their admitted jobs, and the jobs that are newly refused."""
        present = {job.key for trunk in trunks for job in trunk.jobs}
        self._admitted &= present
        self._refused &= present
        if len(present) <= self._limit:
            self._admitted, self._refused = present, set()
            return tuple(trunks), []
        room = self._limit - len(self._admitted)
        waiting = sorted(present - self._admitted)
        self._admitted |= set(waiting[: max(0, room)])
        refused = present - self._admitted
        newly_refused = sorted(refused - self._refused)
        self._refused = refused
        return tuple(self._without_refused(trunk) for trunk in trunks), newly_refused

    def _without_refused(self, trunk: TrunkState) -> TrunkState:
        jobs = tuple(job for job in trunk.jobs if job.key in self._admitted)
        return replace(trunk, jobs=jobs, groups=group_states(trunk.trunk, jobs))
