"""The evaluated state of every trunk, and the trunks that are out of date."""

from collections.abc import Collection, Iterator, Mapping

from trunkwatch.domain.columns import Column
from trunkwatch.domain.doubt import RECENT_COMMITS, missing_results
from trunkwatch.domain.model import (
    JobKey,
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    Verdict,
)
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.suspects import NO_FILES, ChangedFiles, Span, unread_files_of
from trunkwatch.engine.alerts import AlertLedger
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.retention import Retention
from trunkwatch.engine.row_cache import Touched, union
from trunkwatch.engine.saved_state import order_digest, policy_digest
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.poller.first_evaluation import FirstEvaluation, FirstState
from trunkwatch.poller.totals import Counters
from trunkwatch.sources import FailureFocus
from trunkwatch.store import Applied, Basis, EvaluationUpdate, Store, Stored
from trunkwatch.times import earliest

END = object()
"""What `next` returns at the end."""

FOCUS_COMMITS = 1000
"""The newest commits of which details are asked for: no source reads older ones again."""


MAX_UNKNOWN_WORDS = 100
"""Unknown conclusions of a trunk that are counted by name; each is a series."""

OTHER_WORDS = "(other)"
"""The label of the others."""


class TrunkEvaluations:
    """One evaluator per trunk.

    Not safe for threads; `TrunkEngine` holds its lock around each call.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        stored: Stored,
        counters: Counters,
        *,
        keeps_state: bool,
    ) -> None:
        """Args:
        policy: of the configuration.
        store: has the rows, and the evaluated states.
        stored: the orders, and the labels and states of workflows.
        counters: of the process.
        keeps_state: whether to store evaluated states; those of another process go stale.
        """
        self._policy = policy
        self._orders = dict(stored.orders)
        self._labels = dict(stored.labels)
        self._unstored_labels: dict[Trunk, Mapping[str, str]] = {}
        self._workflow_states = dict(stored.workflow_states)
        self._files = dict(stored.files)
        self._store = store
        self._policy_digest = policy_digest(policy)
        self._generation = store.claim_states() if keeps_state else None
        self._digests: dict[Trunk, tuple[int, str]] = {}
        self._evaluated: dict[Trunk, Touched] = {}
        self._counters = counters
        self._evaluators: dict[Trunk, TrunkEvaluator] = {}
        self._out_of_date: set[Trunk] = set()
        self._seen: dict[Trunk, dict[str, float]] = {}
        self._unknown_words: dict[Trunk, set[str]] = {}
        self._pending: dict[Trunk, dict[RawJob, set[str]]] = {}
        self.alerts = AlertLedger(stored.alerts)
        self.states: dict[Trunk, TrunkState] = {}

    def put(self, applied: Applied, now: float) -> None:
        """Replace the orders, the states of workflows and the files that a refresh changed.

        Args:
            applied: the changes.
            now: when the new commits were first seen (seconds since the epoch).
        """
        for trunk, order in applied.orders.items():
            before = self._orders.get(trunk)
            if before is None or not order.extends(before):
                self._digests.pop(trunk, None)
            if before is not None:
                seen = self._seen.get(trunk, {})
                self._seen[trunk] = {
                    commit.sha: seen.get(commit.sha, now)
                    for commit in order.commits[-RECENT_COMMITS:]
                    if commit.sha in seen or commit.sha not in before.index
                }
        self._orders.update(applied.orders)
        self._workflow_states.update(applied.workflow_states)
        self._files.update(applied.files)

    def drop(self, trunk: Trunk, now: float, *, is_configured: bool) -> None:
        """Drop a trunk that is not watched any more; its jobs end as removed.

        Args:
            trunk: the trunk.
            now: seconds since the epoch.
            is_configured: whether the configuration would watch it.
        """
        self.alerts.drop(trunk, now, is_configured=is_configured)
        state = self.states.pop(trunk, None)
        if state is not None:
            self._count_removed(state)
        self._evaluators.pop(trunk, None)
        self._out_of_date.discard(trunk)

    def store(self) -> None:
        """Store the labels, states and alerts that have changed.

        Raises:
            StoreError: they cannot be written; they are written with the next ones.
        """
        states: Mapping[Trunk, EvaluationUpdate] = {}
        for trunk in self._evaluated.keys() & self._evaluators.keys():
            self._store_base(trunk, self._evaluators[trunk])
        if self._generation is not None:
            states = {
                trunk: EvaluationUpdate(
                    self._basis(trunk), self._evaluators[trunk].changes, evaluated
                )
                for trunk, evaluated in self._evaluated.items()
                if trunk in self._evaluators
            }
        alerts = self.alerts.changes if self._generation is not None else {}
        self._store.put_evaluated(self._unstored_labels, states, self._generation or 0, alerts)
        self._unstored_labels = {}
        self.alerts.changes_saved()
        for trunk in self._evaluated.keys() & self._evaluators.keys():
            self._evaluators[trunk].changes_saved()
        self._evaluated = {}

    def is_kept(self, row: Observation) -> bool:
        """Return whether results of a row's commit are kept; of an older one they are refused."""
        evaluator = self._evaluators.get(row.trunk)
        return evaluator is None or evaluator.accepts(row)

    def dropping(self, trunk: Trunk, oldest: float, kept: int, now: float) -> Iterator[None]:
        """Drop the old results of a trunk, in short steps.

        Args:
            trunk: the trunk.
            oldest: commits of this time and later keep their results (seconds since the epoch).
            kept: number of the newest commits that keep their results.
            now: seconds since the epoch.

        Raises:
            StoreError: the file cannot be written; the next start begins with what it has.
        """
        evaluator = self._evaluators.get(trunk)
        retention = evaluator.retention() if evaluator is not None else None
        if evaluator is None or retention is None or trunk in self._out_of_date:
            return
        if retention.advance(oldest, kept, self._waiting(trunk)):
            self._store_step(trunk, evaluator)
            yield
        if not evaluator.base.since:
            return  # Nor of commits outside the trunk: older ones of it may still be found.
        steps = retention.steps(now)
        while self._is_current(trunk, evaluator, retention) and next(steps, END) is not END:
            self._store_step(trunk, evaluator)
            yield
        old = {commit.sha for commit in evaluator.order.commits[: evaluator.base.since]}
        rows = self._store.drop_rows(trunk, old, retention.is_dropped)
        while self._is_current(trunk, evaluator, retention) and next(rows, END) is not END:
            yield
        for sha in retention.outside():
            if not self._is_current(trunk, evaluator, retention):
                return
            is_on_trunk = sha in self._orders[trunk].index  # It may have come since.
            if not is_on_trunk and sha not in self._waiting(trunk):
                self._drop_outside(trunk, evaluator, retention, sha, oldest)
            yield

    def _drop_outside(
        self,
        trunk: Trunk,
        evaluator: TrunkEvaluator,
        retention: Retention,
        sha: str,
        oldest: float,
    ) -> None:
        """Delete the results of a commit outside the trunk, if all of them are old.

        All in one step: a new result in between would be deleted with the others.
        """
        if not retention.is_old(sha, oldest):
            return
        for _ in self._store.drop_rows(trunk, {sha}, lambda _, at: at == sha):
            pass
        retention.forget(sha)
        self._store_step(trunk, evaluator)

    def _waiting(self, trunk: Trunk) -> set[str]:
        """Return the hashes of the commits of which stored results have yet to be evaluated."""
        return {sha for shas in self._pending.get(trunk, {}).values() for sha in shas}

    def oldest_kept(self) -> float | None:
        """Return the time of the oldest commit whose results are kept, over all trunks."""
        return earliest(
            next((c.committed_at for c in commits if c.committed_at is not None), None)
            for commits in (
                evaluator.order.commits[evaluator.base.since :]
                for evaluator in self._evaluators.values()
            )
        )

    def _is_current(self, trunk: Trunk, evaluator: TrunkEvaluator, retention: Retention) -> bool:
        """Return whether all rows of a trunk have not been read again in the meantime."""
        return self._evaluators.get(trunk) is evaluator and evaluator.is_current(retention)

    def _store_step(self, trunk: Trunk, evaluator: TrunkEvaluator) -> None:
        """Store the changes of one step, if it made any."""
        self._store_base(trunk, evaluator)
        if evaluator.changes:
            self._evaluated.setdefault(trunk, {})
            self.store()

    def _store_base(self, trunk: Trunk, evaluator: TrunkEvaluator) -> None:
        if evaluator.base_changes and self._generation is not None:
            self._store.put_base(trunk, evaluator.base, evaluator.base_changes)
            evaluator.base_saved()

    def missing_results(self, state: TrunkState, as_of: float) -> int:
        """Return the number of newest commits of a trunk that lack results they should have.

        Args:
            state: of the trunk.
            as_of: the time up to which its results have been read (seconds since the epoch).
        """
        seen = self._seen.get(state.trunk, {})
        return missing_results(state.order.commits, state.reported, seen, as_of)

    @property
    def out_of_date(self) -> Collection[Trunk]:
        """The trunks of which the last evaluation failed."""
        return self._out_of_date

    def defer_all(self, applied: Applied) -> None:
        """Add changes to those that the next `take_pending` returns."""
        changed = applied.touched, applied.orders, applied.workflow_states, applied.files
        for trunk in set().union(*changed):
            self.defer(trunk, applied.touched.get(trunk, {}))

    def defer(self, trunk: Trunk, touched: Touched) -> None:
        """Add stored rows to those that the next `take_pending` returns."""
        jobs = self._pending.setdefault(trunk, {})
        for raw, shas in touched.items():
            jobs.setdefault(raw, set()).update(shas)

    def take_pending(self, watched: Collection[Trunk]) -> Mapping[Trunk, Touched]:
        """Return the deferred rows of the watched trunks; discard all deferred rows."""
        pending, self._pending = self._pending, {}
        return {trunk: touched for trunk, touched in pending.items() if trunk in watched}

    def expired(self, now: float) -> list[Trunk]:
        """Return the trunks with a state that time alone has changed.

        Args:
            now: seconds since the epoch.
        """
        return [
            trunk
            for trunk, state in self.states.items()
            if state.changes_at is not None and state.changes_at <= now
        ]

    def evaluate(self, touched: Mapping[Trunk, Touched], now: float) -> None:
        """Evaluate some trunks.

        Args:
            touched: per trunk, the jobs with new or changed rows, and the commits of these rows.
            now: seconds since the epoch.

        Raises:
            StoreError: rows cannot be read; the trunks concerned stay out of date.
        """
        for trunk in self._out_of_date.intersection(touched):
            # The last evaluation failed half-way. The rows that had changed then are not
            # reported again, so all rows have to be read.
            self._evaluators.pop(trunk, None)
        self._out_of_date.update(touched)
        for trunk, jobs in touched.items():
            # Runs may arrive before another source reports the commit order of their trunk.
            if trunk in self._orders:
                self._evaluate(trunk, jobs, now)
            self._out_of_date.discard(trunk)

    def unevaluated(self, watched: Collection[Trunk]) -> list[Trunk]:
        """Return the watched trunks that have no state yet, those with the newest commits first."""
        waiting = [each for each in watched if each in self._orders and each not in self.states]
        return sorted(waiting, key=lambda trunk: _newest(self._orders[trunk]), reverse=True)

    def first_evaluation(self, trunk: Trunk) -> FirstEvaluation:
        """Return the first evaluation of a trunk of which the order is stored."""
        return FirstEvaluation(
            self._orders[trunk],
            self._policy,
            self._policy_digest,
            self._labels.get(trunk),
            self._workflow_states.get(trunk),
            self.alerts.alerting(trunk),
            self._store,
        )

    def install(self, first: FirstState) -> None:
        """Take over the result of a first evaluation.

        Args:
            first: the result. Changes since `first_evaluation` are evaluated afterwards.
        """
        trunk, evaluator = first.state.trunk, first.evaluator
        self._evaluators[trunk] = evaluator
        if first.digest is not None:
            self._digests[trunk] = first.digest
        self._evaluated[trunk] = union(self._evaluated.get(trunk, {}), first.evaluated)
        self._take(trunk, first.state, evaluator.labels)

    def focus(self, trunk: Trunk) -> FailureFocus:
        """Return the failures in a trunk whose details should be read first."""
        state = self.states.get(trunk)
        return _focus_of(state, self.files_of(trunk)) if state else FailureFocus()

    def files_of(self, trunk: Trunk) -> Mapping[Span, ChangedFiles]:
        """Return the changed files of a trunk's commits."""
        return self._files.get(trunk, NO_FILES)

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a job is evaluated from."""
        evaluator = self._evaluators.get(key.trunk)
        return evaluator.rows_of(key) if evaluator else []

    def columns_at(self, key: JobKey, shas: Collection[str], now: float) -> list[Column]:
        """Return the columns of a job at some commits; none for a job that is gone."""
        evaluator = self._evaluators.get(key.trunk)
        try:
            return evaluator.columns_at(key, shas, now) if evaluator else []
        except KeyError:  # It was renamed or removed meanwhile.
            return []

    def back_test(self, now: float, failures_to_open: int | None) -> list[BackTest]:
        """Replay the history of each trunk; see `TrunkEvaluator.back_test`."""
        return [
            self._evaluators[trunk].back_test(now, failures_to_open)
            for trunk in sorted(self.states)
        ]

    def _evaluate(self, trunk: Trunk, jobs: Touched, now: float) -> None:
        if trunk not in self._evaluators:
            self.install(self.first_evaluation(trunk).run(now, jobs))
            return
        evaluator, order = self._evaluators[trunk], self._orders[trunk]
        alerting = self.alerts.alerting(trunk)
        state = evaluator.update(order, jobs, now, self._workflow_states.get(trunk), alerting)
        self._evaluated[trunk] = union(self._evaluated.get(trunk, {}), jobs)
        self._take(trunk, state, evaluator.labels)

    def _take(self, trunk: Trunk, state: TrunkState, labels: Mapping[str, str]) -> None:
        self.alerts.update(state, state.evaluated_at)
        if labels != self._labels.get(trunk, {}):
            self._labels[trunk] = self._unstored_labels[trunk] = labels
        self._count(state, first=trunk not in self.states)
        self.states[trunk] = state

    def _basis(self, trunk: Trunk) -> Basis:
        order = self._orders[trunk]
        commits, digest = self._digests.get(trunk, (0, ""))
        self._digests[trunk] = len(order.commits), order_digest(order.commits[commits:], digest)
        return Basis(self._policy_digest, *self._digests[trunk])

    def _count(self, state: TrunkState, *, first: bool) -> None:
        """Count the increase of stored rows; those stored before the start are not counted."""
        for reason, level in state.ignored_runs.items():
            self._count_increase("trunkwatch_off_trunk_runs_total", state.trunk, reason, level)
        for word, level in self._named(state).items():
            self._count_increase("trunkwatch_unknown_conclusions_total", state.trunk, word, level)
        for reason, level in state.retired.items():
            start = level if first else 0
            self._count_increase("ci_job_retired_total", state.trunk, reason, level, start)

    def _named(self, state: TrunkState) -> Mapping[str, int]:
        """Return the numbers of unknown words: a CI may have any number of words."""
        names = self._unknown_words.setdefault(state.trunk, set())
        found: dict[str, int] = {}
        for word, level in sorted(state.unknown_words.items()):
            if len(names) < MAX_UNKNOWN_WORDS:
                names.add(word)
            name = word if word in names else OTHER_WORDS
            found[name] = found.get(name, 0) + level
        return found

    def _count_removed(self, state: TrunkState) -> None:
        """Count the listed jobs of a trunk that is not watched any more."""
        broken = sum(job.broken for job in state.jobs)
        more = {"removed_broken": broken, "removed": len(state.jobs) - broken}
        for reason, level in state.retired.items():
            total = level + more[reason]
            self._count_increase("ci_job_retired_total", state.trunk, reason, total)

    def _count_increase(
        self, name: str, trunk: Trunk, label: str, level: int, start: int = 0
    ) -> None:
        self._counters.count_increase(name, *trunk, label, level=level, start=start)


def _newest(order: TrunkOrder) -> float:
    """Return the time of the newest commit that has one (seconds since the epoch), else 0."""
    times = (commit.committed_at for commit in reversed(order.commits))
    return next((time for time in times if time is not None), 0.0)


def _focus_of(state: TrunkState, files: Mapping[Span, ChangedFiles]) -> FailureFocus:
    """Return the failures of a trunk that its source reads first.

    Args:
        state: of the trunk.
        files: the changed files of its commits.
    """
    failing = [(job, job.blame) for job in state.jobs if job.blame]
    oldest = len(state.order.commits) - FOCUS_COMMITS
    commits = {
        state.order.commits[place.commit_index].sha
        for job, blame in failing
        if job.broken
        for place in job.history.since(max(blame.commit_index, oldest))
        if place.verdict is Verdict.FAIL
    }
    without_step = {blame.run for _, blame in failing if not blame.failed_step}
    unexplained = {blame.run for _, blame in failing if not blame.annotations}
    unread = unread_files_of((blame for job, blame in failing if job.broken), files)
    return FailureFocus(
        frozenset(commits), frozenset(without_step), frozenset(unexplained), tuple(unread)
    )
