"""The changes of one refresh, as every kind of store notes them."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from trunkwatch.domain.model import (
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
    rewrites,
    splice,
    with_added,
)
from trunkwatch.engine.facts import (
    AddedCommits,
    Cursor,
    Fact,
    FilesReport,
    ReportedState,
    StateEntry,
    TrunkRemoved,
)

NO_ENTRIES: Mapping[str, str] = MappingProxyType({})


class Changes:
    """The changes of one refresh so far.

    Attributes:
        cursor: the text of the last one.
        entries: those with another text than the stored one; None for one that is deleted.
        feeds: whether the source feeds a trunk from now on.
        orders: the current commits of each trunk whose commits changed.
        rewritten: the trunks whose stored tip is gone.
        touched: per trunk, the raw jobs with new or changed rows, and their commits.
        files: of commits, as they are reported.
    """

    def __init__(
        self, orders: Mapping[Trunk, TrunkOrder], entries: Mapping[str, str] = NO_ENTRIES
    ) -> None:
        """Args:
        orders: the stored ones.
        entries: those of the source that are stored.
        """
        self.cursor: str | None = None
        self.entries: dict[str, str | None] = {}
        self.feeds: dict[Trunk, bool] = {}
        self.orders: dict[Trunk, TrunkOrder] = {}
        self.rewritten: set[Trunk] = set()
        self.touched: dict[Trunk, dict[RawJob, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.files: list[FilesReport] = []
        self._stored_orders = orders
        self._stored_entries = entries
        self._reports: dict[tuple[Trunk, str], WorkflowState] = {}

    def add(self, fact: Fact) -> None:
        """Note a fact; the rows of observations are the store's."""
        if isinstance(fact, Observation):  # the most frequent, so it is asked for first
            self.feeds[fact.trunk] = True
        elif isinstance(fact, TrunkOrder | AddedCommits):
            self.feeds[fact.trunk] = True
            self._add_order(fact)
        elif isinstance(fact, Cursor):
            self.cursor = fact.text
        elif isinstance(fact, StateEntry):
            self._add_entry(fact)
        elif isinstance(fact, TrunkRemoved):
            self.feeds[fact.trunk] = False
        elif isinstance(fact, WorkflowReport):
            self._reports[fact.trunk, fact.workflow_key] = fact.state
        elif isinstance(fact, FilesReport):
            self.files.append(fact)

    def order(self, trunk: Trunk) -> TrunkOrder | None:
        """Return the current commits of a trunk; None before the first."""
        return self.orders.get(trunk, self._stored_orders.get(trunk))

    def reported_states(self) -> Mapping[tuple[Trunk, str], ReportedState]:
        """Return the states of workflows as of the newest commits, by trunk and identity."""
        states: dict[tuple[Trunk, str], ReportedState] = {}
        for (trunk, workflow), state in self._reports.items():
            order = self.order(trunk)
            tip = order.commits[-1].sha if order and order.commits else None
            states[trunk, workflow] = ReportedState(state, tip)
        return states

    def _add_entry(self, fresh: StateEntry) -> None:
        if self._stored_entries.get(fresh.key) == fresh.text:
            self.entries.pop(fresh.key, None)
        else:
            self.entries[fresh.key] = fresh.text

    def _add_order(self, fresh: TrunkOrder | AddedCommits) -> None:
        before = self.order(fresh.trunk)
        if isinstance(fresh, TrunkOrder):
            order = splice(before, fresh) if before is not None else fresh
        else:
            order = with_added(before, fresh.order) if before is not None else fresh.order
        if order == before:
            return
        if before is not None and rewrites(before, order):
            self.rewritten.add(order.trunk)
        self.orders[order.trunk] = order


def changed_entries(
    entries: Mapping[str, str], changes: Mapping[str, str | None]
) -> Mapping[str, str]:
    """Return a changed copy of a source's entries: readers may hold the old ones."""
    if not changes:
        return entries
    changed = {**entries, **{key: text for key, text in changes.items() if text is not None}}
    for key, text in changes.items():
        if text is None:
            changed.pop(key, None)
    return changed
