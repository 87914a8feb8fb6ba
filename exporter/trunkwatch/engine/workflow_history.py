"""The workflows of a trunk, at each commit and over all commits."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.groups import ALL_EVENTS, Events
from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import Commit
from trunkwatch.domain.retirement import has_left, is_expected_on_pushes
from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_commit import WorkflowCommit


@dataclass(frozen=True, slots=True)
class WorkflowHistory:
    """One workflow over all commits.

    Attributes:
        commits: the commits at which it counts, with their indexes, ascending.
        failed_to_start: whether any of its runs failed to start.
    """

    commits: tuple[tuple[int, WorkflowCommit], ...]
    failed_to_start: bool
    _completed: dict[Events, tuple[int, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """Its newest name; None where it never had one."""
        names = (each.name for _, each in reversed(self.commits))
        return next((name for name in names if name is not None), None)

    @property
    def names(self) -> tuple[tuple[int, str], ...]:
        """Its name at each commit that has one, with the commit's index, ascending."""
        return tuple((index, each.name) for index, each in self.commits if each.name is not None)

    @property
    def run_name(self) -> str | None:
        """The name of its newest run, which may be a file; None where it never counted."""
        return self.commits[-1][1].run_name if self.commits else None

    @property
    def newest(self) -> int:
        """The index of the newest commit at which it counts; -1 where it never counted."""
        return self.commits[-1][0] if self.commits else -1

    @property
    def events(self) -> frozenset[str]:
        """The events of its runs."""
        return frozenset(event for _, each in self.commits for event in each.events)

    @property
    def widest_gap(self) -> int:
        """The largest distance of two commits that follow each other; 0 with fewer than two."""
        indexes = (commit_index for commit_index, _ in self.commits)
        return max((later - earlier for earlier, later in pairwise(indexes)), default=0)

    def name_at(self, commit_index: int) -> str:
        """Return its newest name at a commit or before it, else its oldest name."""
        names = self.names
        place = bisect_right(names, commit_index, key=lambda each: each[0])
        return names[max(0, place - 1)][1]

    def completed(self, events: Events = ALL_EVENTS) -> Sequence[int]:
        """Return the indexes of the commits at which its runs of some events completed, ascending.

        Args:
            events: of the runs.
        """
        if events not in self._completed:
            every = events == ALL_EVENTS
            self._completed[events] = tuple(
                commit_index
                for commit_index, each in self.commits
                if (each.complete if every else each.completed(events))
            )
        return self._completed[events]


class WorkflowHistories:
    """Every workflow of a trunk by identity and commit; a history is computed on first use."""

    def __init__(self) -> None:
        self._commits: dict[str, dict[str, WorkflowCommit]] = {}
        self._histories: dict[str, WorkflowHistory] = {}
        self._skips: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._completed: Counter[int] = Counter()
        self._busy: list[int] = []
        self._ignored_runs: Counter[str] = Counter()
        self._unknown_words: Counter[str] = Counter()
        self._expiries: ExpiryQueue[tuple[str, str]] = ExpiryQueue()

    def put(self, workflow: str, sha: str, current: WorkflowCommit) -> Collection[str]:
        """Store the current state of a workflow at a commit, replacing the earlier one.

        Returns:
            The names of the jobs of which a skipped row is new.
        """
        commits = self._commits.setdefault(workflow, {})
        before = commits.get(sha)
        if before is not None:
            self._ignored_runs.subtract(before.ignored_runs)
            self._unknown_words.subtract(before.unknown_words)
        commits[sha] = current
        self._ignored_runs.update(current.ignored_runs)
        self._unknown_words.update(current.unknown_words)
        self._expiries.put((sha, workflow), current.changes_at)
        self._histories.pop(workflow, None)
        self._put_completed(before, current)
        return self._put_skips(workflow, before, current)

    def get(self, workflow: str, sha: str) -> WorkflowCommit | None:
        """Return a workflow at a commit; None where it has no rows."""
        return self._commits.get(workflow, {}).get(sha)

    def commits_of(self, workflow: str) -> Collection[WorkflowCommit]:
        """Return a workflow at each commit where it has rows."""
        return self._commits.get(workflow, {}).values()

    def history(self, workflow: str) -> WorkflowHistory:
        """Return a workflow's history over all commits."""
        if workflow not in self._histories:
            self._histories[workflow] = _history(self.commits_of(workflow))
        return self._histories[workflow]

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
        present = [flow for flow in self._commits if not is_gone(flow)]
        newest = max((self.history(flow).newest for flow in present), default=-1)
        found: dict[str, float | None] = {}
        for commit in commits[max(0, newest + 1 - RECENT_COMMITS) : newest + 1]:
            counting = [
                each
                for flow in present
                if (each := self.get(flow, commit.sha)) is not None
                and each.commit_index is not None
            ]
            if counting:
                found[commit.sha] = earliest(each.reported_at for each in counting)
        return found

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
        for commits in self._commits.values():
            for each in commits.values():
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
            self._list_busy(commit.commit_index)

    def _list_busy(self, commit_index: int) -> None:
        place = bisect_left(self._busy, commit_index)
        listed = place < len(self._busy) and self._busy[place] == commit_index
        if self._completed[commit_index] and not listed:
            self._busy.insert(place, commit_index)
        elif listed and not self._completed[commit_index]:
            del self._busy[place]

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


def _history(commits: Collection[WorkflowCommit]) -> WorkflowHistory:
    counting = [(each.commit_index, each) for each in commits if each.commit_index is not None]
    counting.sort(key=lambda pair: pair[0])
    return WorkflowHistory(
        commits=tuple(counting),
        failed_to_start=any(each.startup_failures for each in commits),
    )
