"""A store that counts the rows that are read."""

from collections.abc import Collection, Iterator

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.store import SqliteStore


class CountingStore(SqliteStore):
    """Counts the rows that are read."""

    rows_read = 0

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield rows as the store does."""
        for row in super().observations(trunk, jobs, shas):
            self.rows_read += 1
            yield row
