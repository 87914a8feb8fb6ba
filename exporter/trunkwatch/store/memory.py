"""A store without a file, for commands that end: rows are kept as they are evaluated."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from trunkwatch.domain.model import Observation, RawJob, RunId, Trunk, TrunkOrder
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.alerts import AlertChanges
from trunkwatch.engine.bases import BaseChanges, TrunkBase
from trunkwatch.engine.facts import Fact, FilesReport, ReportedState
from trunkwatch.engine.row_cache import Touched
from trunkwatch.store.alerts import NO_ALERTS
from trunkwatch.store.bases import IsDropped
from trunkwatch.store.changes import Changes, changed_entries
from trunkwatch.store.evaluations import NO_UPDATES, EvaluationUpdate, StoredEvaluation
from trunkwatch.store.port import SPANS_KEPT, Applied, Labels, Stored, StoredSource

_Value = TypeVar("_Value", int, float, str)


class MemoryStore:
    """A store in Python objects.

    A row takes three times the memory that it takes in SQLite, and a tenth of the time.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: dict[Trunk, _Rows] = defaultdict(_Rows)
        self._orders: dict[Trunk, TrunkOrder] = {}
        self._sources: dict[str, StoredSource] = {}
        self._labels: dict[Trunk, dict[str, str]] = defaultdict(dict)
        self._states: dict[Trunk, dict[str, ReportedState]] = defaultdict(dict)
        self._files: dict[Trunk, dict[Span, ChangedFiles]] = defaultdict(dict)

    def load(self) -> Stored:
        """Return everything except the rows."""
        with self._lock:
            return Stored(
                orders=dict(self._orders),
                sources=dict(self._sources),
                labels={trunk: dict(labels) for trunk, labels in self._labels.items()},
                workflow_states={trunk: dict(states) for trunk, states in self._states.items()},
                files={trunk: dict(files) for trunk, files in self._files.items()},
            )

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Store one refresh."""
        # Facts that raise leave nothing: they are read before the first is stored.
        every = list(facts)
        with self._lock:
            before = self._sources.get(source) or StoredSource(None, None, frozenset())
            changes = Changes(self._orders, before.entries)
            touched = changes.touched
            for fact in every:
                changes.add(fact)
                if isinstance(fact, Observation) and self._rows[fact.trunk].add(fact):
                    touched[fact.trunk][fact.job].add(fact.sha)
            self._orders.update(changes.orders)
            self._sources[source] = _source_after(before, changes, now)
            changed = self._put_states(changes.reported_states())
            with_files = self._put_files(changes.files)
            return Applied(
                orders=changes.orders,
                rewritten=frozenset(changes.rewritten),
                touched=touched,
                source=self._sources[source],
                workflow_states={trunk: dict(self._states[trunk]) for trunk in changed},
                files={trunk: dict(self._files[trunk]) for trunk in with_files},
            )

    def claim_states(self) -> int:
        """Return the generation of states that may be stored: none outlives the process."""
        return 0

    def put_evaluated(
        self,
        labels: Labels,
        updates: Mapping[Trunk, EvaluationUpdate] = NO_UPDATES,
        generation: int = 0,
        alerts: AlertChanges = NO_ALERTS,
    ) -> None:
        """Store labels of workflows; those that are not given stay."""
        del updates, alerts, generation
        with self._lock:
            for trunk, of_trunk in labels.items():
                self._labels[trunk].update(of_trunk)

    def unevaluated(self, trunk: Trunk) -> Touched:
        """Return no row: no state is stored."""
        del trunk
        return {}

    def evaluation(self, trunk: Trunk) -> StoredEvaluation | None:
        """Return no state."""
        del trunk
        return None

    def base(self, trunk: Trunk) -> TrunkBase:
        """Return an empty base: no row is deleted."""
        del trunk
        return TrunkBase()

    def put_base(self, trunk: Trunk, base: TrunkBase, changes: BaseChanges) -> None:
        """Do nothing."""

    def drop_rows(
        self, trunk: Trunk, shas: Collection[str], is_dropped: IsDropped
    ) -> Iterator[int]:
        """Delete nothing: commands that end read what they need."""
        del trunk, shas, is_dropped
        return iter(())

    def count_rows(self) -> Iterator[int]:
        """Count nothing: commands that end show no metrics."""
        return iter(())

    def size(self) -> int:
        """Return 0: there is no file."""
        return 0

    def observations(
        self,
        trunk: Trunk,
        jobs: Collection[RawJob] | None = None,
        shas: Collection[str] | None = None,
    ) -> Iterator[Observation]:
        """Yield a trunk's rows: of some raw jobs, at some commits, of both, or all."""
        with self._lock:
            stored = self._rows.get(trunk)
            found = list(stored.find(jobs, shas)) if stored is not None else []
        yield from found

    def close(self) -> None:
        """Do nothing."""

    def _put_states(self, reported: Mapping[tuple[Trunk, str], ReportedState]) -> set[Trunk]:
        """Store states that are others than before; return their trunks."""
        changed: set[Trunk] = set()
        for (trunk, workflow), state in reported.items():
            before = self._states[trunk].get(workflow) if trunk in self._states else None
            if before is None or before.state != state.state:
                self._states[trunk][workflow] = state
                changed.add(trunk)
        return changed

    def _put_files(self, reports: Iterable[FilesReport]) -> set[Trunk]:
        """Store changed files that are others than before; return their trunks."""
        changed: set[Trunk] = set()
        for report in reports:
            stored = self._files[report.trunk]
            before = stored.get(report.span)
            if before is None or _rank_of(report.files) > _rank_of(before):
                stored[report.span] = report.files
                changed.add(report.trunk)
            if len(stored) > SPANS_KEPT:
                del stored[next(iter(stored))]
        return changed


def _rank_of(files: ChangedFiles) -> tuple[bool, str]:
    """Return a sort key: of two reports of the same commits the greater one is kept."""
    return files.is_complete, "\n".join(files.paths)


def _source_after(before: StoredSource, changes: Changes, now: float | None) -> StoredSource:
    fed = {trunk for trunk, feeds in changes.feeds.items() if feeds}
    return StoredSource(
        before.cursor if changes.cursor is None else changes.cursor,
        before.last_success if now is None else now,
        before.trunks - changes.feeds.keys() | fed,
        changed_entries(before.entries, changes.entries),
    )


class _Rows:
    """The rows of one trunk."""

    def __init__(self) -> None:
        self._by_commit: dict[str, dict[RawJob, list[Observation]]] = {}
        self._by_job: dict[RawJob, list[list[Observation]]] = {}

    def add(self, row: Observation) -> bool:
        """Add a report; return whether that added or changed a row."""
        row = _as_stored(row)
        of_commit = self._by_commit.setdefault(row.sha, {})
        rows = of_commit.get(row.job)
        if rows is None:
            rows = of_commit[row.job] = [row]
            self._by_job.setdefault(row.job, []).append(rows)
            return True
        return _merge(rows, row)

    def find(
        self, jobs: Collection[RawJob] | None, shas: Collection[str] | None
    ) -> Iterator[Observation]:
        """Yield rows in the order of `Store.observations`."""
        if jobs is None:
            for sha in self._by_commit if shas is None else set(shas):
                for rows in self._by_commit.get(sha, {}).values():
                    yield from rows
            return
        for job in set(jobs):
            if shas is None:
                for rows in self._by_job.get(job, ()):
                    yield from rows
            else:
                for sha in set(shas):
                    yield from self._by_commit.get(sha, {}).get(job, ())


def _as_stored(row: Observation) -> Observation:
    """Return a report without the words that do not count: of a conclusion, the empty one."""
    if row.conclusion is None or (row.conclusion and row.finished):
        return row
    return row.changed(conclusion=None)


def _attempt(row: Observation) -> tuple[RunId | None, int, RunId | None, str, str, str]:
    """Return what reports of one attempt have in common."""
    return row.run_id, row.attempt, row.job_id, row.event, row.head_branch, row.head_repo


def _merge(rows: list[Observation], report: Observation) -> bool:
    """Merge a report into the rows of one job at one commit, as `store.statements` does.

    Returns:
        Whether that added or changed a row.
    """
    same = [row for row in rows if _attempt(row) == _attempt(report)]
    if not report.finished and any(row.finished for row in same):
        return False
    for row in same:
        if row.finished == report.finished and _answer(row) == _answer(report):
            united = _united(row, report)
            if united == row:
                return False
            rows[rows.index(row)] = united
            return True
        if report.finished and not row.finished:
            rows.remove(row)
    rows.append(report)
    return True


def _answer(row: Observation) -> str | None:
    return row.conclusion if row.finished else row.status


def _united(row: Observation, report: Observation) -> Observation:
    """Return a row with the greater value of each field; any value is greater than none."""
    texts = "\n".join(row.annotations), "\n".join(report.annotations)
    return row.changed(
        run_number=_greater(row.run_number, report.run_number),
        created_at=_greater(row.created_at, report.created_at),
        started_at=_greater(row.started_at, report.started_at),
        completed_at=_greater(row.completed_at, report.completed_at),
        url=_greater(row.url, report.url),
        failed_step=_greater(row.failed_step, report.failed_step),
        infra=row.infra or report.infra,
        annotations=row.annotations if texts[0] >= texts[1] else report.annotations,
        run_completed=row.run_completed or report.run_completed,
    )


def _greater(one: _Value | None, other: _Value | None) -> _Value | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
