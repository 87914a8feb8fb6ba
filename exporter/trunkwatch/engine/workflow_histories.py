"""The workflows of a trunk, at each commit and over all commits."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.groups import Events
from trunkwatch.domain.model import Commit
from trunkwatch.domain.retirement import has_left, is_expected_on_pushes
from trunkwatch.engine.bases import NO_WORKFLOW, Skipped, TrunkBase
from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_commit import WorkflowCommit
from trunkwatch.engine.workflow_history import Reported, WorkflowHistory, set_member
from trunkwatch.times import earliest


class WorkflowHistories:
    """Every workflow of a trunk, by identity."""

    def __init__(self, base: TrunkBase | None = None) -> None:
        """Args:
        base: the facts of the results that were dropped.
        """
        base = base or TrunkBase()
        self._workflows = {
            workflow: WorkflowHistory(each) for workflow, each in base.workflows.items()
        }
        self._skips: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._completed: Counter[int] = Counter()
        self._closed_busy = base.busy
        self._busy: list[int] = sorted(base.busy)
        self._ignored_runs: Counter[str] = Counter()
        self._unknown_words: Counter[str] = Counter()
        self._expiries: ExpiryQueue[tuple[str, str]] = ExpiryQueue()
        self._reported: dict[int, Reported] = {}
        self._gone: frozenset[str] = frozenset()
        for workflow, each in base.workflows.items():
            self._ignored_runs.update(each.ignored_runs)
            self._unknown_words.update(each.unknown_words)
            for name, event, commit_index in each.skips:
                self._skips.setdefault((workflow, name), defaultdict(list))[event] = [commit_index]

    def close_before(
        self,
        workflow: str,
        since: int,
        retire_after: int,
        index: Mapping[str, int],
        events: Collection[Events],
    ) -> list[str]:
        """Keep only facts of a workflow before a commit; return the hashes of the closed commits.

        Args:
            workflow: its identity.
            since: the index of the oldest commit that is kept.
            retire_after: see `is_retired`.
            index: of each commit of the trunk, by its hash.
            events: of its jobs.
        """
        history, skips = self.history(workflow), list[Skipped]()
        for (of, name), skipped in self._skips.items():
            for event, indexes in skipped.items() if of == workflow else ():
                closed = bisect_left(indexes, since)
                if closed:
                    skips.append(Skipped(name, event, indexes[closed - 1]))
                    del indexes[: closed - 1]
        dropped = history.close_before(since, retire_after, tuple(skips), index, events)
        completed = [each.commit_index for _, each in dropped if each.complete]
        self._closed_busy |= {index for index in completed if index is not None}
        self._completed.subtract(index for index in completed if index is not None)
        for sha, _ in dropped:
            self._expiries.put((sha, workflow), None)
        return [sha for sha, _ in dropped]

    def outside(self, index: Collection[str]) -> list[str]:
        """Return the hashes of the commits with rows that are not among those of the trunk."""
        shas = set[str]().union(*(each.shas for each in self._workflows.values()))
        return sorted(shas.difference(index))

    def forget(self, sha: str) -> list[str]:
        """Forget a commit outside the trunk, without rows; return the workflows that had some."""
        found: list[str] = []
        for workflow, history in self._workflows.items():
            commit = history.forget(sha)
            if commit is not None:
                self._ignored_runs.subtract(commit.ignored_runs)
                found.append(workflow)
        return found

    @property
    def closed_busy(self) -> frozenset[int]:
        """The indexes of the closed commits at which any workflow completed."""
        return self._closed_busy

    def is_closed(self, workflow: str, commit_index: int | None) -> bool:
        """Return whether a commit is one of which only facts of a workflow are kept."""
        history = self._workflows.get(workflow)
        since = (history.base if history is not None else NO_WORKFLOW).since
        return commit_index is not None and commit_index < since

    @property
    def identities(self) -> Collection[str]:
        """The identities of all workflows."""
        return self._workflows.keys()

    def put(self, workflow: str, sha: str, current: WorkflowCommit) -> Collection[str]:
        """Store the current state of a workflow at a commit, replacing the earlier one.

        Returns:
            The names of the jobs of which a skipped row is new.
        """
        before = self.history(workflow).put(sha, current)
        if before is not None:
            self._ignored_runs.subtract(before.ignored_runs)
            self._unknown_words.subtract(before.unknown_words)
        self._ignored_runs.update(current.ignored_runs)
        self._unknown_words.update(current.unknown_words)
        self._expiries.put((sha, workflow), current.changes_at)
        self._put_completed(before, current)
        for each in (before, current):
            if each is not None and each.commit_index is not None:
                self._reported.pop(each.commit_index, None)
        return self._put_skips(workflow, before, current)

    def get(self, workflow: str, sha: str) -> WorkflowCommit | None:
        """Return a workflow at a commit; None where it has no rows."""
        return self.history(workflow).get(sha)

    def history(self, workflow: str) -> WorkflowHistory:
        """Return a workflow's history over all commits."""
        if workflow not in self._workflows:
            self._workflows[workflow] = WorkflowHistory()
        return self._workflows[workflow]

    def left_at(self, workflow: str, retire_after: int) -> int | None:
        """Return the commit index at which a workflow had left, None if it has not.

        Args:
            workflow: its identity.
            retire_after: see `has_left`.
        """
        history = self.history(workflow)
        first = bisect_right(self._busy, history.newest)
        if len(self._busy) - first < retire_after:
            return None  # The common case costs no pass over the history.
        gap = history.widest_gap
        if not has_left(history.newest, gap, self._busy, retire_after):
            return None
        if not is_expected_on_pushes(workflow, history.events):
            return None
        return self._busy[first + retire_after * gap - 1]

    def skipped(self, workflow: str, names: Iterable[str], events: Events) -> Iterator[int]:
        """Yield the indexes of the commits at which a row of one of some names is a skip."""
        for indexes in self._skips_of(workflow, names, events):
            yield from indexes

    def newest_skip(self, workflow: str, names: Iterable[str], events: Events) -> int:
        """Return the newest of these commits, -1 without any."""
        found = self._skips_of(workflow, names, events)
        return max((indexes[-1] for indexes in found), default=-1)

    def reported(
        self, commits: Sequence[Commit], is_gone: Callable[[str], bool]
    ) -> Mapping[str, float | None]:
        """Return the latest commits that have results that count.

        Args:
            commits: of the trunk, oldest first.
            is_gone: whether a workflow has left: its earlier results are no habit of the trunk.

        Returns:
            By hash, the time at which the first result was reported (seconds since the epoch), or
            None where that is unknown; of the `RECENT_COMMITS` up to the newest with a result.
        """
        gone = frozenset(workflow for workflow in self._workflows if is_gone(workflow))
        if gone != self._gone:
            self._gone = gone
            self._reported.clear()
        present = [each for name, each in self._workflows.items() if name not in gone]
        newest = max((history.newest for history in present), default=-1)
        oldest = max(0, newest + 1 - RECENT_COMMITS)
        for commit_index in range(oldest, newest + 1):
            if commit_index not in self._reported:
                self._reported[commit_index] = _first_report(
                    each.reported_at(commit_index) for each in present
                )
        for commit_index in [index for index in self._reported if index < oldest]:
            del self._reported[commit_index]
        return {
            commits[commit_index].sha: self._reported[commit_index].at
            for commit_index in range(oldest, newest + 1)
            if self._reported[commit_index].counts
        }

    def pop_expired(self, now: float) -> Sequence[tuple[str, str]]:
        """Return the (sha, workflow) pairs to evaluate again because of the time, once each."""
        return self._expiries.pop_expired(now)

    @property
    def changes_at(self) -> float | None:
        """When time alone will change the next workflow (seconds since the epoch), or None."""
        return self._expiries.next_expiry()

    @property
    def ignored_runs(self) -> Mapping[str, int]:
        """Numbers of runs that do not count, by reason."""
        return +self._ignored_runs

    def ignored_from(self) -> Mapping[str, tuple[str, ...]]:
        """Return the events, branches and repositories of runs that do not count, by reason."""
        found: dict[str, set[str]] = {}
        for history in self._workflows.values():
            commits = (each.ignored_from for each in history.at(None))
            for ignored_from in (history.base.ignored_from, *commits):
                for reason, values in ignored_from.items():
                    found.setdefault(reason, set()).update(values)
        return {reason: tuple(sorted(values)) for reason, values in found.items()}

    @property
    def unknown_words(self) -> Mapping[str, int]:
        """Numbers of rows by the status or conclusion that the evidence table does not list."""
        return +self._unknown_words

    def _put_completed(self, before: WorkflowCommit | None, current: WorkflowCommit) -> None:
        """Update the commits at which any workflow completed."""
        for commit, change in ((before, -1), (current, 1)):
            if commit is None or commit.commit_index is None or not commit.complete:
                continue
            self._completed[commit.commit_index] += change
            set_member(
                self._busy,
                commit.commit_index,
                present=self._completed[commit.commit_index] > 0
                or commit.commit_index in self._closed_busy,
            )

    def _put_skips(
        self, workflow: str, before: WorkflowCommit | None, current: WorkflowCommit
    ) -> Collection[str]:
        """Add the skipped rows that are new; completed rows are never deleted."""
        if current.commit_index is None:
            return ()
        new = current.skips - (before.skips if before is not None else frozenset())
        for name, event in new:
            events = self._skips.setdefault((workflow, name), defaultdict(list))
            insort(events[event], current.commit_index)
        return {name for name, _ in new}

    def _skips_of(
        self, workflow: str, names: Iterable[str], events: Events
    ) -> Iterator[Sequence[int]]:
        for name in names:
            for event, indexes in self._skips.get((workflow, name), {}).items():
                if events.covers(event):
                    yield indexes


def _first_report(found: Iterable[Reported]) -> Reported:
    counting = [each for each in found if each.counts]
    return Reported(bool(counting), earliest(each.at for each in counting))
