"""A store that counts the rows that are read."""

from collections.abc import Callable, Collection, Iterator

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.store import MEMORY, SqliteStore


class CountingStore(SqliteStore):
    """Counts the rows that are read.

    Attributes:
        rows_read: their number.
        on_row: called for each.
    """

    def __init__(self, path: str = MEMORY) -> None:
        """Args:
        path: of the file.
        """
        super().__init__(path)
        self.rows_read = 0
        self.on_row: Callable[[], None] = lambda: None

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield rows as the store does."""
        for row in super().observations(trunk, jobs, shas):
            self.rows_read += 1
            self.on_row()
            yield row
