"""What a store must do. Four methods; contract tests run against every store."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trunkwatch.domain.model import Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact, SourceState


@dataclass(frozen=True, slots=True)
class SourceMemory:
    """What is kept of a source between refreshes.

    Attributes:
        cursor: the last `Cursor` text it gave, or None.
        last_success: when a refresh was last stored (seconds since the epoch); None before the
            first one, when only single deliveries were.
        trunks: the trunks that it has said anything about.
        notes: every `StateEntry` that it keeps, by its key; never changed in place.
    """

    cursor: str | None
    last_success: float | None
    trunks: frozenset[Trunk]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def for_source(self) -> SourceState:
        """What the source itself is given back."""
        return SourceState(self.cursor, self.notes)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store holds, apart from the rows themselves.

    Attributes:
        orders: each trunk's commits.
        sources: each source's memory, by name.
    """

    orders: Mapping[Trunk, TrunkOrder]
    sources: Mapping[str, SourceMemory]


@dataclass(frozen=True, slots=True)
class Applied:
    """What one refresh changed.

    Attributes:
        orders: the trunks whose commits changed, as they are now.
        rewritten: the trunks of which the tip that was known is gone (a force push).
        touched: per trunk, the raw jobs with new or changed rows and the commits of these.
        memory: the source's memory as it is now.
    """

    orders: Mapping[Trunk, TrunkOrder]
    rewritten: frozenset[Trunk]
    touched: Mapping[Trunk, Mapping[RawJob, Collection[str]]]
    memory: SourceMemory


class Store(Protocol):
    """Keeps observations, trunk orders and source cursors.

    Every method may be called from any thread. Two reports of one observation are kept as the
    policy needs them: a completed one takes the place of an unfinished one, two different
    completed answers are both kept, and of one answer told twice the fields are united. The
    result does not depend on the order of arrival.
    """

    def load(self) -> Stored:
        """Return trunk orders and source memories."""

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Store one refresh in one transaction; when it returns, nothing of it can be lost.

        If `facts` raises, nothing of the refresh is kept and the error goes on to the caller.

        Args:
            source: its name.
            facts: what it said.
            now: when the refresh succeeded (seconds since the epoch); None for facts that came
                on their own, between refreshes.

        Raises:
            StoreError: the file cannot be written.
        """

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield a trunk's rows: of some raw jobs, or at some commits, or all.

        Rows of one commit come together unless `jobs` is given; rows of one raw job do then.
        """

    def close(self) -> None:
        """Let go of the file."""
