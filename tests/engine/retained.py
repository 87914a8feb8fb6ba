"""A trunk of which old results are dropped, to compare with one that keeps all."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from enum import StrEnum, auto
from functools import partial

from trunkwatch.domain.branch import Tally
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.facts import ReportedState
from trunkwatch.engine.row_cache import Touched
from trunkwatch.engine.saved_state import order_digest
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.store import Basis, EvaluationUpdate, SqliteStore, StoredRows

Difference = tuple[str, object, object]
"""What differs, with the value over all results and the one without dropped results."""


class Rows(StoredRows):
    """Rows in a store in memory."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__(SqliteStore(), trunk)
        self.trunk = trunk

    def add(self, rows: Iterable[Observation]) -> Touched:
        """Store some reports; return the jobs and commits that they changed."""
        return self.store.apply("test", rows, None).touched.get(self.trunk, {})


class End(StrEnum):
    """How a process ends after a step: not at all, or with its state stored or lost."""

    RUNS_ON, STOPS, CRASHES = auto(), auto(), auto()


class Kept:
    """A trunk of which results are dropped."""

    def __init__(self, trunk: Trunk, policy: Policy) -> None:
        self.rows = Rows(trunk)
        self.policy = policy
        self.alerting: set[JobKey] = set()
        self._generation = self.rows.store.claim_states()
        self.trunk = TrunkEvaluator(TrunkOrder(trunk, ()), policy, self.rows)

    def update(
        self,
        order: TrunkOrder,
        rows: Iterable[Observation],
        now: float,
        reported: Mapping[str, ReportedState] | None = None,
    ) -> TrunkState:
        """Store some rows and return the state; what alerts is remembered, as by `serve`."""
        state = self.trunk.update(order, self.rows.add(rows), now, reported, self.alerting)
        self.alerting = {job.key for job in state.alerting}
        return state

    def drop(
        self,
        keep: int,
        now: float,
        steps: int,
        *,
        forgets: bool = False,
        outside: bool = False,
    ) -> None:
        """Drop results before the newest commits; go only some steps of the way.

        Args:
            keep: number of the newest commits.
            now: seconds since the epoch.
            steps: how many.
            forgets: whether jobs that were removed before are forgotten.
            outside: whether results of commits outside the trunk are dropped, however old.
        """
        dropping = self.trunk.retention()
        if dropping is None:
            return
        dropping.advance(float("inf"), keep)
        for _ in zip(range(steps), dropping.steps(now, forgets=forgets), strict=False):
            pass
        before, trunk = self.trunk, self.rows.trunk
        self._store_base()
        old = {commit.sha for commit in before.order.commits[: before.base.since]}
        for _ in self.rows.store.drop_rows(trunk, old, dropping.is_dropped):
            pass
        for sha in dropping.outside() if outside else ():
            for _ in self.rows.store.drop_rows(trunk, {sha}, partial(_is_at, sha)):
                pass
            dropping.forget(sha)

    def restart(self, order: TrunkOrder, now: float, *, with_state: bool) -> None:
        """Start anew with the rows, the labels and the base, and perhaps with the saved state."""
        before, store, trunk = self.trunk, self.rows.store, self.rows.trunk
        self._store_base()
        if with_state:
            commits = before.order.commits
            basis = Basis("", len(commits), order_digest(commits))
            update = EvaluationUpdate(basis, before.changes, {})
            store.put_evaluated({}, {trunk: update}, self._generation)
            before.changes_saved()
        base = store.base(trunk)
        self.trunk = TrunkEvaluator(order, self.policy, self.rows, before.labels, base)
        found = store.evaluation(trunk) if with_state else None
        if found is not None:
            self.trunk.restore(found.saved, now)

    def is_cut_off(self, key: JobKey) -> bool:
        """Return whether a job was removed when its results were dropped, with an open end."""
        return any(
            not base.is_settled
            for name, base in self.trunk.base.jobs.items()
            if name.job_name == key.job_name
        )

    def _store_base(self) -> None:
        self.rows.store.put_base(self.rows.trunk, self.trunk.base, self.trunk.base_changes)
        self.trunk.base_saved()


def _is_at(sha: str, _: RawJob, at: str) -> bool:
    return at == sha


def accepted(rows: Collection[Observation], trunk: TrunkEvaluator) -> list[Observation]:
    """Return the rows that are not of a commit before the horizon."""
    return [row for row in rows if trunk.accepts(row)]


def differences(wanted: TrunkState, got: TrunkState) -> list[Difference]:
    """Return the values that differ."""
    before = {job.key: job for job in wanted.jobs}
    after = {job.key: job for job in got.jobs}
    pairs: list[Difference] = [("", wanted, got)]
    pairs += [(str(key), before.get(key), after.get(key)) for key in before | after]
    found = [
        (f"{name} {field.name}", getattr(one, field.name, None), getattr(other, field.name, None))
        for name, one, other in pairs
        for field in fields(TrunkState if name == "" else JobState)
        if field.compare
        and field.name not in ("jobs", "alerting")
        and getattr(one, field.name, None) != getattr(other, field.name, None)
    ]
    one, other = ({job.key for job in state.alerting} for state in (wanted, got))
    if one != other:  # The jobs themselves are compared above.
        found.append((" alerting", one, other))
    return found


def published(state: TrunkState, since: int) -> TrunkState:
    """Return a state without the facts that dropping may change (docs/policy.md, 3.16).

    Args:
        state: of a trunk.
        since: the horizon.
    """
    jobs = [replace(job, history=job.history.trimmed(since)) for job in state.jobs]
    green = state.green
    if green is not None and green.commits_since >= len(state.order.commits) - since:
        green = None  # An old commit does not become green, or red, any more.
    tally = Tally(state.jobs)
    tally.since = since  # An old commit breaks the trunk no more either.
    mass = tally.mass_breakage()
    return replace(state, jobs=tuple(jobs), green=green, mass_breakage=mass)
