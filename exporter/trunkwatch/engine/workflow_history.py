"""One workflow of a trunk over all commits."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from trunkwatch.domain.doubt import RECENT_COMMITS
from trunkwatch.domain.groups import ALL_EVENTS, Events
from trunkwatch.domain.model import Observation
from trunkwatch.engine.bases import NO_WORKFLOW, Completed, Skipped, WorkflowBase
from trunkwatch.engine.workflow_commit import WorkflowCommit


class Reported(NamedTuple):
    """Whether a commit has results that count.

    Attributes:
        counts: whether it has.
        at: when the first one was reported (seconds since the epoch); None where that is unknown.
    """

    counts: bool
    at: float | None


class WorkflowHistory:
    """One workflow over all commits, kept up to date commit by commit."""

    def __init__(self, base: WorkflowBase = NO_WORKFLOW) -> None:
        """Args:
        base: the facts of its dropped commits.
        """
        self.base = base
        self._commits: dict[str, WorkflowCommit] = {}
        self._at: dict[int, WorkflowCommit] = {}
        self._indexes: list[int] = []
        self._gaps: Counter[int] = Counter()
        self._events: Counter[str] = Counter()
        self._startups = 0
        self._completed: dict[Events, list[int]] = {}
        self.names: list[tuple[int, str]] = list(base.names)
        """Its name at each commit that has one, with the commit's index, ascending.

        Of the commits before `base.since` only the oldest and the newest one."""

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

    def forget(self, sha: str) -> WorkflowCommit | None:
        """Forget a commit outside the trunk; return its state there, None if it has none."""
        return self._commits.pop(sha, None)

    @property
    def shas(self) -> Collection[str]:
        """The hashes of the commits at which it has rows, also outside the trunk."""
        return self._commits.keys()

    def at(self, shas: Collection[str] | None) -> Collection[WorkflowCommit]:
        """Return its state at those of some commits where it has rows; None for all commits.

        Commits before `base.since` have no state.
        """
        if shas is None:
            return self._commits.values()
        return [self._commits[sha] for sha in shas if sha in self._commits]

    @property
    def failed_to_start(self) -> bool:
        """Whether any of its runs failed to start."""
        return self._startups > 0 or self.base.failed_to_start

    @property
    def name(self) -> str | None:
        """Its newest name; None where it never had one."""
        return self.names[-1][1] if self.names else None

    @property
    def run_name(self) -> str | None:
        """The name of its newest run, which may be a file; None where it never counted."""
        return self._at[self._indexes[-1]].run_name if self._indexes else self.base.run_name

    @property
    def newest(self) -> int:
        """The index of the newest commit at which it counts; -1 where it never counted."""
        return self._indexes[-1] if self._indexes else self.base.newest

    @property
    def events(self) -> frozenset[str]:
        """The events of its runs that count."""
        return self.base.events.union(+self._events)

    @property
    def widest_gap(self) -> int:
        """The largest distance of two commits that follow each other; 0 with fewer than two."""
        gaps = [self.base.widest_gap, max(self._gaps, default=0)]
        if self._indexes and self.base.newest >= 0:
            gaps.append(self._indexes[0] - self.base.newest)
        return max(gaps)

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
            own = (index for index in self._indexes if self._at[index].completed(events))
            self._completed[events] = [*self.base.completed_by(events), *own]
        return self._completed[events]

    def reported_at(self, commit_index: int) -> Reported:
        """Return whether it has results that count at a commit."""
        commit = self._at.get(commit_index)
        if commit is not None:
            return Reported(True, commit.reported_at)
        earlier = dict(self.base.reported)
        return Reported(commit_index in earlier, earlier.get(commit_index))

    # ------------------------------------------------------------------ retention

    def final_before(self, commit_index: int, most: int) -> int:
        """Return up to which commit `close_before` may be called, at most that of an index.

        Args:
            commit_index: the index.
            most: commits to close at once.
        """
        first = bisect_left(self._indexes, commit_index)
        for place in self._indexes[:first][:most]:
            if self._at[place].changes_at is not None:
                return place
        return self._indexes[most] if first > most else commit_index

    def close_before(
        self,
        since: int,
        retire_after: int,
        skips: tuple[Skipped, ...],
        index: Mapping[str, int],
        events: Collection[Events],
    ) -> list[tuple[str, WorkflowCommit]]:
        """Keep only the facts in `base` of all commits before another.

        Args:
            since: the index of the oldest commit that is kept.
            retire_after: number of completed commits that retire a job.
            skips: the newest skips before it.
            index: of each commit of the trunk, by its hash.
            events: of its jobs, also of those that need `completed` only once it comes back.

        Returns:
            The dropped commits.
        """
        for needed in {ALL_EVENTS, *events, *(known.events for known in self.base.completed)}:
            self.completed(needed)
        places = self._indexes[: bisect_left(self._indexes, since)]
        closed = {place: self._at[place] for place in places}
        # Also those at which no run counts.
        dropped = [each for each in self._commits.items() if index.get(each[0], since) < since]
        self.base = self._base_before(
            since, closed, [each for _, each in dropped], retire_after, skips
        )
        for sha, each in dropped:
            del self._commits[sha]
            self._startups -= bool(each.startup_failures)
            self._events.subtract(each.events)
        for place in places:
            del self._at[place]
            self._list(place, listed=False)
        kept = bisect_left(self.names, since, key=lambda each: each[0])
        self.names[:kept] = self.base.names
        for covered, indexes in self._completed.items():
            indexes[: bisect_left(indexes, since)] = self.base.completed_by(covered)
        return dropped

    def _base_before(
        self,
        since: int,
        closed: Mapping[int, WorkflowCommit],
        commits: Sequence[WorkflowCommit],
        retire_after: int,
        skips: tuple[Skipped, ...],
    ) -> WorkflowBase:
        base = self.base
        places = ([base.newest] if base.newest >= 0 else []) + list(closed)
        names = self.names[: bisect_left(self.names, since, key=lambda each: each[0])]
        habits_from = self.newest + 1 - RECENT_COMMITS
        reported = (*base.reported, *((n, each.reported_at) for n, each in closed.items()))
        return WorkflowBase(
            since=since,
            newest=places[-1] if places else -1,
            run_name=closed[places[-1]].run_name if closed else base.run_name,
            names=tuple(names if len(names) < 2 else (names[0], names[-1])),
            widest_gap=max([base.widest_gap, *(b - a for a, b in pairwise(places))]),
            events=base.events.union(*(each.events for each in commits)),
            failed_to_start=base.failed_to_start or any(c.startup_failures for c in commits),
            starts=_newest_starts([base.starts, *map(_starts, closed.values())]),
            completed=tuple(
                Completed(events, tuple(indexes[: bisect_left(indexes, since)][-retire_after:]))
                for events, indexes in self._completed.items()
            ),
            skips=skips,
            reported=tuple(each for each in reported if each[0] >= habits_from),
            ignored_runs=_sum([base.ignored_runs, *(each.ignored_runs for each in commits)]),
            ignored_from=_union([base.ignored_from, *(each.ignored_from for each in commits)]),
            unknown_words=_sum([base.unknown_words, *(each.unknown_words for each in commits)]),
        )

    # ------------------------------------------------------------------ one commit

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


def _starts(commit: WorkflowCommit) -> list[Observation]:
    """Return the first rows of a commit's runs with the numbers of the runs."""
    return [commit.numbered(row) for row in commit.first_rows]


def _newest_starts(starts: Iterable[Sequence[Observation]]) -> tuple[Observation, ...]:
    """Return the rows of each event's newest commit.

    Args:
        starts: rows of each commit, oldest first.
    """
    newest: dict[str, list[Observation]] = {}
    for rows in starts:
        events: dict[str, list[Observation]] = {}
        for row in rows:
            events.setdefault(row.event, []).append(row)
        newest.update(events)
    return tuple(row for rows in newest.values() for row in rows)


def _sum(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _union(sets: Iterable[Mapping[str, frozenset[str]]]) -> Mapping[str, frozenset[str]]:
    total: dict[str, frozenset[str]] = {}
    for each in sets:
        for key, members in each.items():
            total[key] = total.get(key, frozenset()) | members
    return total


def set_member(indexes: list[int], member: int, *, present: bool) -> None:
    """Add a number to a sorted list, or remove it."""
    place = bisect_left(indexes, member)
    is_listed = place < len(indexes) and indexes[place] == member
    if present and not is_listed:
        indexes.insert(place, member)
    elif is_listed and not present:
        del indexes[place]
