"""The workflows of a trunk, at each commit and over all commits."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.groups import ALL_EVENTS, Events
from trunkwatch.domain.model import Commit
from trunkwatch.domain.retirement import has_left, is_expected_on_pushes
from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_commit import WorkflowCommit
from trunkwatch.times import earliest


class WorkflowHistory:
    """One workflow over all commits, kept up to date commit by commit."""

    def __init__(self) -> None:
        self._commits: dict[str, WorkflowCommit] = {}
        self._at: dict[int, WorkflowCommit] = {}
        self._indexes: list[int] = []
        self._gaps: Counter[int] = Counter()
        self._events: Counter[str] = Counter()
        self._startups = 0
        self._completed: dict[Events, list[int]] = {}
        self.names: list[tuple[int, str]] = []
        """Its name at each commit that has one, with the commit's index, ascending."""

    def put(self, sha: str, current: WorkflowCommit) -> WorkflowCommit | None:
        """Store its current state at a commit; return the earlier one."""
        before = self._commits.get(sha)
        self._commits[sha] = current
        self._startups += bool(current.startup_failures)
        self._events.update(current.events)
        if before is not None:
            self._startups -= bool(before.startup_failures)
            self._events.subtract(before.events)
        for commit_index in {each.commit_index for each in (before, current) if each}:
            if commit_index is not None:
                counts = commit_index == current.commit_index
                self._put_at(commit_index, current if counts else None)
        return before

    def get(self, sha: str) -> WorkflowCommit | None:
        """Return its state at a commit; None where it has no rows."""
        return self._commits.get(sha)

    def at(self, shas: Collection[str] | None) -> Collection[WorkflowCommit]:
        """Return its state at those of some commits where it has rows; None for all commits."""
        if shas is None:
            return self._commits.values()
        return [self._commits[sha] for sha in shas if sha in self._commits]

    @property
    def failed_to_start(self) -> bool:
        """Whether any of its runs failed to start."""
        return self._startups > 0

    @property
    def name(self) -> str | None:
        """Its newest name; None where it never had one."""
        return self.names[-1][1] if self.names else None

    @property
    def run_name(self) -> str | None:
        """The name of its newest run, which may be a file; None where it never counted."""
        return self._at[self._indexes[-1]].run_name if self._indexes else None

    @property
    def newest(self) -> int:
        """The index of the newest commit at which it counts; -1 where it never counted."""
        return self._indexes[-1] if self._indexes else -1

    @property
    def events(self) -> frozenset[str]:
        """The events of its runs that count."""
        return frozenset(+self._events)

    @property
    def widest_gap(self) -> int:
        """The largest distance of two commits that follow each other; 0 with fewer than two."""
        return max(self._gaps, default=0)

    def name_at(self, commit_index: int) -> str:
        """Return its newest name at a commit or before it, else its oldest name."""
        place = bisect_right(self.names, commit_index, key=lambda each: each[0])
        return self.names[max(0, place - 1)][1]

    def completed(self, events: Events = ALL_EVENTS) -> Sequence[int]:
        """Return the indexes of the commits at which its runs of some events completed, ascending.

        Args:
            events: of the runs.
        """
        if events not in self._completed:
            self._completed[events] = [
                commit_index
                for commit_index in self._indexes
                if self._at[commit_index].completed(events)
            ]
        return self._completed[events]

    def _put_at(self, commit_index: int, current: WorkflowCommit | None) -> None:
        before = self._at.pop(commit_index, None)
        if current is not None:
            self._at[commit_index] = current
        if (before is None) != (current is None):
            self._list(commit_index, listed=current is not None)
        place = bisect_left(self.names, commit_index, key=lambda each: each[0])
        if before is not None and before.name is not None:
            del self.names[place]
        if current is not None and current.name is not None:
            self.names.insert(place, (commit_index, current.name))
        for events, indexes in self._completed.items():
            set_member(
                indexes, commit_index, present=current is not None and current.completed(events)
            )

    def _list(self, commit_index: int, *, listed: bool) -> None:
        """Add a commit to the sorted indexes or remove it, with the gaps beside it."""
        place = bisect_left(self._indexes, commit_index)
        older = self._indexes[place - 1] if place else None
        following = place if listed else place + 1
        newer = self._indexes[following] if following < len(self._indexes) else None
        set_member(self._indexes, commit_index, present=listed)
        change = 1 if listed else -1
        if older is not None:
            self._count_gap(commit_index - older, change)
        if newer is not None:
            self._count_gap(newer - commit_index, change)
        if older is not None and newer is not None:
            self._count_gap(newer - older, -change)

    def _count_gap(self, gap: int, change: int) -> None:
        self._gaps[gap] += change
        if not self._gaps[gap]:
            del self._gaps[gap]


def set_member(indexes: list[int], member: int, *, present: bool) -> None:
    """Add a number to a sorted list, or remove it."""
    place = bisect_left(indexes, member)
    is_listed = place < len(indexes) and indexes[place] == member
    if present and not is_listed:
        indexes.insert(place, member)
    elif is_listed and not present:
        del indexes[place]


class Reported(NamedTuple):
    """Whether a commit has results that count.

    Attributes:
        counts: whether it has.
        at: when the first one was reported (seconds since the epoch); None where that is unknown.
    """

    counts: bool
    at: float | None


class WorkflowHistories:
    """Every workflow of a trunk, by identity."""

    def __init__(self) -> None:
        self._workflows: dict[str, WorkflowHistory] = {}
        self._skips: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._completed: Counter[int] = Counter()
        self._busy: list[int] = []
        self._ignored_runs: Counter[str] = Counter()
        self._unknown_words: Counter[str] = Counter()
        self._expiries: ExpiryQueue[tuple[str, str]] = ExpiryQueue()
        self._reported: dict[int, Reported] = {}
        self._gone: frozenset[str] = frozenset()

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
                sha = commits[commit_index].sha
                self._reported[commit_index] = _reported(each.get(sha) for each in present)
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
            for each in history.at(None):
                for reason, values in each.ignored_from.items():
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
                present=self._completed[commit.commit_index] > 0,
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


def _reported(found: Iterable[WorkflowCommit | None]) -> Reported:
    counting = [each for each in found if each is not None and each.commit_index is not None]
    return Reported(bool(counting), earliest(each.reported_at for each in counting))
