"""The port of a store, checked by the same contract tests for every store."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trunkwatch.domain.model import Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.alerts import AlertChanges
from trunkwatch.engine.bases import BaseChanges, TrunkBase
from trunkwatch.engine.facts import Fact, ReportedState, SourceState
from trunkwatch.engine.row_cache import Touched
from trunkwatch.engine.shown import Alert
from trunkwatch.store.alerts import NO_ALERTS
from trunkwatch.store.bases import IsDropped
from trunkwatch.store.evaluations import NO_UPDATES, EvaluationUpdate, StoredEvaluation

Labels = Mapping[Trunk, Mapping[str, str]]
"""Per trunk the labels of its workflows, by their identity."""

WorkflowStates = Mapping[Trunk, Mapping[str, ReportedState]]
"""Per trunk the workflows of which a state was reported, by their identity."""

Files = Mapping[Trunk, Mapping[Span, ChangedFiles]]
"""Per trunk the changed files of commits."""

SPANS_KEPT = 500
"""Commits of a trunk, alone or together, of which the changed files are kept: the last that were
reported, more than twice as many as `poller` asks for at once."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    """The stored data of one source.

    Attributes:
        cursor: the text of its last `Cursor`, or None.
        last_success: when a refresh was last stored (seconds since the epoch); None when only
            deliveries between refreshes were.
        trunks: the trunks that it has stored facts of.
        entries: the text of each `StateEntry`, by key; never changed in place.
    """

    cursor: str | None
    last_success: float | None
    trunks: frozenset[Trunk]
    entries: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> SourceState:
        """The part that the source itself reads back."""
        return SourceState(self.cursor, self.entries)


@dataclass(frozen=True, slots=True)
class Stored:
    """All stored data except the rows.

    Attributes:
        orders: each trunk's commits.
        sources: the sources, by name.
        labels: of the workflows.
        workflow_states: of the workflows of which one was reported.
        files: of commits.
        alerts: those that were shown.
    """

    orders: Mapping[Trunk, TrunkOrder]
    sources: Mapping[str, StoredSource]
    labels: Labels = field(default_factory=dict)
    workflow_states: WorkflowStates = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The changes of one refresh.

    Attributes:
        orders: the current commits of each trunk whose commits changed.
        rewritten: the trunks whose stored tip is gone (a force push).
        touched: per trunk, the raw jobs with new or changed rows, and the commits of these rows.
        source: the source after the refresh.
        workflow_states: the current ones of each trunk of which any changed.
        files: the stored ones of each trunk of which any changed.
    """

    orders: Mapping[Trunk, TrunkOrder]
    rewritten: frozenset[Trunk]
    touched: Mapping[Trunk, Mapping[RawJob, Collection[str]]]
    source: StoredSource
    workflow_states: WorkflowStates = field(default_factory=dict)
    files: Files = field(default_factory=dict)


class Store(Protocol):
    """Stores observations, trunk orders and the state of sources.

    Every method may be called from any thread. Reports of one observation are merged: a completed
    report replaces unfinished ones, two completed reports with different conclusions are both
    stored, and the fields of reports with the same conclusion are united. The result does not
    depend on the order of arrival.
    """

    def load(self) -> Stored:
        """Return everything except the rows."""

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Store one refresh in one transaction; once it returns, the refresh is durable.

        If `facts` raises, nothing of the refresh is stored and the error is passed on.

        Args:
            source: its name.
            facts: the facts of the refresh.
            now: when the refresh succeeded (seconds since the epoch); None for a failed refresh
                or a delivery between refreshes.

        Raises:
            StoreError: the file cannot be written.
        """

    def claim_states(self) -> int:
        """Return the generation of states that may be stored from now on.

        Raises:
            StoreError: the file cannot be written.
        """

    def put_evaluated(
        self,
        labels: Labels,
        updates: Mapping[Trunk, EvaluationUpdate] = NO_UPDATES,
        generation: int = 0,
        alerts: AlertChanges = NO_ALERTS,
    ) -> None:
        """Store labels of workflows, evaluated states and alerts in one transaction.

        Labels and alerts that are not given stay.

        Args:
            labels: of the workflows.
            updates: the changes of states; not stored if a later generation has been claimed.
            generation: of the states and alerts.
            alerts: those that have changed; stored with the states.

        Raises:
            StoreError: the file cannot be written.
        """

    def unevaluated(self, trunk: Trunk) -> Touched:
        """Return the rows that have changed since they were evaluated for a stored state.

        Raises:
            StoreError: the file cannot be read.
        """

    def evaluation(self, trunk: Trunk) -> StoredEvaluation | None:
        """Return the evaluated state of a trunk; None where there is none.

        Raises:
            StoreError: it is damaged; the rows are not.
        """

    def base(self, trunk: Trunk) -> TrunkBase:
        """Return the base of a trunk.

        Raises:
            StoreError: it is damaged.
        """

    def put_base(self, trunk: Trunk, base: TrunkBase, changes: BaseChanges) -> None:
        """Store a base in one transaction.

        Args:
            trunk: the trunk.
            base: as it is now.
            changes: its differences from the stored one.

        Raises:
            StoreError: the file cannot be written.
        """

    def drop_rows(
        self, trunk: Trunk, shas: Collection[str], is_dropped: IsDropped
    ) -> Iterator[int]:
        """Delete the rows of a trunk for which a stored base stands.

        Each step takes a short time, in a transaction of its own.

        Args:
            trunk: the trunk.
            shas: the commits of which some rows count no more.
            is_dropped: returns whether rows count no more.

        Yields:
            The number of deleted rows.

        Raises:
            StoreError: the file cannot be written.
        """

    def count_rows(self) -> Iterator[int]:
        """Count all rows, in short steps; yields the number so far.

        Raises:
            StoreError: the file cannot be read.
        """

    def size(self) -> int:
        """Return the size of the file with its log, in bytes; 0 without a file."""

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield a trunk's rows: of some raw jobs, at some commits, of these jobs at these commits,
        or all.

        With `jobs`, rows of one raw job are adjacent; otherwise rows of one commit are. With both,
        only rows that are yielded are read, whatever else is stored.
        """

    def close(self) -> None:
        """Close the file."""
