"""The first evaluation of a trunk in a process, which may take minutes and needs no lock."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from trunkwatch.domain.model import JobKey, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.bases import TrunkBase
from trunkwatch.engine.facts import ReportedState
from trunkwatch.engine.row_cache import Touched, union
from trunkwatch.engine.saved_state import order_digest
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.errors import StoreError
from trunkwatch.store import Store, StoredRows

log = logging.getLogger(__name__)

NOTHING: Touched = MappingProxyType({})
"""No changed rows."""

ShareDone = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""


class FirstState(NamedTuple):
    """The result of a first evaluation.

    Attributes:
        evaluator: keeps the state up to date from now on.
        state: of the trunk.
        evaluated: the rows that had changed since the stored state, and are evaluated now.
        digest: number and digest of the commits of the stored state; None where none was valid.
    """

    evaluator: TrunkEvaluator
    state: TrunkState
    evaluated: Touched
    digest: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class FirstEvaluation:
    """Evaluates a trunk from its stored state, else from all of its rows.

    It uses nothing that changes: results that are stored meanwhile are evaluated later, because
    they are reported as changes.

    Attributes:
        order: the commits of the trunk.
        policy: the configured policy.
        policy_digest: a stored state of another policy is void.
        labels: of the workflows.
        reported: the states of workflows that their CI reports.
        alerting: jobs whose outage alerts already.
        store: has the rows and the stored state.
    """

    order: TrunkOrder
    policy: Policy
    policy_digest: str
    labels: Mapping[str, str] | None
    reported: Mapping[str, ReportedState] | None
    alerting: Collection[JobKey]
    store: Store

    def run(
        self, now: float, touched: Touched = NOTHING, share_done: ShareDone = lambda _: None
    ) -> FirstState:
        """Evaluate.

        Args:
            now: seconds since the epoch.
            touched: rows that have changed since the stored state.
            share_done: shows how far it is.

        Raises:
            StoreError: rows cannot be read.
        """
        # First, since rows that are written later are not in the state that is read.
        changed = union(touched, self.store.unevaluated(self.order.trunk))
        base = self._base()
        evaluator = self._new(base)
        digest = self._restore(evaluator, now)
        if digest is None:
            evaluator = self._new(base)
        state = evaluator.update(self.order, changed, now, self.reported, self.alerting, share_done)
        return FirstState(evaluator, state, changed, digest)

    def _new(self, base: TrunkBase) -> TrunkEvaluator:
        rows = StoredRows(self.store, self.order.trunk)
        return TrunkEvaluator(self.order, self.policy, rows, self.labels, base)

    def _base(self) -> TrunkBase:
        """Return the base of the trunk: the deleted rows cannot be read again."""
        try:
            return self.store.base(self.order.trunk)
        except StoreError as error:
            log.error("old results are lost, streaks may be longer", extra={"reason": str(error)})
            return TrunkBase(is_void=True)

    def _restore(self, evaluator: TrunkEvaluator, now: float) -> tuple[int, str] | None:
        """Give an evaluator the stored state; return its commits, None where it is not valid."""
        try:
            found = self.store.evaluation(self.order.trunk)
            if found is None or found.basis.policy != self.policy_digest:
                return None
            commits = found.basis.commits
            if order_digest(self.order.commits[:commits]) != found.basis.order:
                return None
            evaluator.restore(found.saved, now)
        except (StoreError, KeyError) as error:
            log.warning("stored state is void, evaluating all rows", extra={"reason": str(error)})
            return None
        return commits, found.basis.order
