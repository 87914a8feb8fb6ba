"""One trunk's stored rows, as the evaluation reads them."""

from collections.abc import Collection, Iterable

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.store.port import Store


class StoredRows:
    """The rows of one trunk in a store; an `engine.row_cache.RowReader`."""

    def __init__(self, store: Store, trunk: Trunk) -> None:
        """Args:
        store: holds the rows.
        trunk: the rows' trunk.
        """
        self.store = store
        self._trunk = trunk

    def of_jobs(
        self, jobs: Collection[RawJob], shas: Collection[str] | None = None
    ) -> Iterable[Observation]:
        """Return the rows of some raw jobs, at some commits or at all."""
        return self.store.observations(self._trunk, jobs=jobs, shas=shas)

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits, those of one commit together."""
        return self.store.observations(self._trunk, shas=shas)

    def all_rows(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""
        return self.store.observations(self._trunk)
