"""The stored rows of one trunk, as the evaluation reads them."""

from collections.abc import Collection, Iterable

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.store.port import Store


class StoredRecords:
    """The rows of one trunk in a store."""

    def __init__(self, store: Store, trunk: Trunk) -> None:
        """Args:
        store: that holds the rows.
        trunk: whose rows.
        """
        self._store = store
        self._trunk = trunk

    def of_jobs(self, jobs: Collection[RawJob]) -> Iterable[Observation]:
        """Return all rows of some raw jobs."""
        return self._store.observations(self._trunk, jobs=jobs)

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits."""
        return self._store.observations(self._trunk, shas=shas)

    def everything(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""
        return self._store.observations(self._trunk)
