"""The limits on exported jobs: those of each source, and those of all together."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.poller.admission import Admission, Admitted

MAX_JOBS, MAX_JOBS_PER_SOURCE = "limits.max_jobs", "limits.max_jobs_per_source"


class Refused(NamedTuple):
    """A job that is not exported, and the key of the limit that it exceeds."""

    key: JobKey
    limit: str


class SourceAdmission:
    """Admits the jobs of each source first, and of these as many as all sources may have.

    So a source that invents jobs takes no place of the others.
    """

    def __init__(
        self,
        limit: int,
        limit_per_source: int | None,
        source_of: Callable[[Trunk], str],
        admitted: Iterable[JobKey] = (),
    ) -> None:
        """Args:
        limit: the most jobs exported, all trunks together.
        limit_per_source: the most of the trunks of one source; None for no limit.
        source_of: returns the name of the source that a trunk counts for.
        admitted: jobs that were exported under an earlier configuration.
        """
        self._earlier = frozenset(admitted)
        self._all = Admission(limit, self._earlier)
        self._limit_per_source = limit_per_source
        self._source_of = source_of
        self._counted_for: dict[Trunk, str] = {}
        self._by_source: dict[str, Admission] = {}

    def update(self, changed: Admitted) -> tuple[Admitted, list[Refused]]:
        """Return the trunks whose admitted jobs may have changed, and the newly refused jobs.

        Args:
            changed: see `Admission.update`.
        """
        found, refused = self._within_sources(changed)
        admitted, beyond = self._all.update(found)
        self._earlier = frozenset()
        return admitted, sorted([*refused, *(Refused(key, MAX_JOBS) for key in beyond)])

    def _within_sources(self, changed: Admitted) -> tuple[Admitted, list[Refused]]:
        limit = self._limit_per_source
        if limit is None:
            return changed, []
        gone: dict[str, dict[Trunk, TrunkState | None]] = defaultdict(dict)
        come: dict[str, dict[Trunk, TrunkState | None]] = defaultdict(dict)
        for trunk, state in changed.items():
            before = self._counted_for.pop(trunk, None)
            source = self._source_of(trunk) if state is not None else None
            if before is not None and before != source:
                gone[before][trunk] = None
            if source is not None:
                self._counted_for[trunk] = source
                come[source][trunk] = state
        found: dict[Trunk, TrunkState | None] = dict.fromkeys(changed)
        refused: list[Refused] = []
        for parts in (gone, come):
            for source, part in parts.items():
                if source not in self._by_source:
                    self._by_source[source] = Admission(limit, self._earlier)
                admitted, beyond = self._by_source[source].update(part)
                found.update(admitted)
                refused += (Refused(key, MAX_JOBS_PER_SOURCE) for key in beyond)
        return found, refused
