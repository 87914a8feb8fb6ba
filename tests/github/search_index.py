"""The search index from which GitHub answers filtered lists of runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.github.commits import sha_of
from tests.github.runs import Run


@dataclass
class SearchIndex:
    """An index that may be older than the database, or incomplete.

    Attributes:
        frozen_at: the time after which it is not updated (seconds since the epoch), or None.
        lag: by how much it is older than the database, in seconds.
        kept: rows of each list that it has not lost; None for all.
    """

    frozen_at: float | None = None
    lag: float = 0.0
    kept: int | None = None

    def time(self, now: float) -> float:
        """Return the time whose state it has."""
        return min(now - self.lag, now if self.frozen_at is None else self.frozen_at)

    def remaining(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs that are not lost, in the same order."""
        if self.kept is None:
            return list(runs)
        kept = {run.id for run in sorted(runs, key=lambda run: sha_of(run.id))[: self.kept]}
        return [run for run in runs if run.id in kept]
