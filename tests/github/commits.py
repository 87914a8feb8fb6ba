"""Commits, and the heads of branches over time."""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CommitNode:
    """One commit.

    Attributes:
        sha: the full hash.
        title: the first line of its message.
        date: the committer date (seconds since the epoch).
        author: a handle.
        parents: the first one is the trunk's previous commit.
    """

    sha: str
    title: str
    date: float
    author: str
    parents: tuple["CommitNode", ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that a commit changes.

    Attributes:
        name: the path in the repository.
        status: `added`, `removed`, `modified` or `renamed`.
        previous: the former path of a renamed file.
    """

    name: str
    status: str = "modified"
    previous: str | None = None


def net_changes(changes: Iterable[ChangedFile]) -> list[ChangedFile]:
    """Return the changes of some commits together, oldest commit first, by path."""
    net: dict[str, ChangedFile] = {}
    for change in changes:
        before = net.pop(change.previous or change.name, None)
        match (before.status if before else None, change.status):
            case ("added", "removed"):
                continue
            case ("added", _):
                net[change.name] = replace(change, status="added", previous=None)
            case ("removed", "added"):
                net[change.name] = replace(change, status="modified")
            case _:
                net[change.name] = change
    return [net[name] for name in sorted(net)]


def sha_of(*parts: object) -> str:
    """Return a hash of `parts`, the same in every run."""
    text = "\0".join(map(str, parts))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Branch:
    """The heads of a branch over time."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._heads: list[CommitNode] = []

    def move(self, at: float, head: CommitNode) -> None:
        """Plan a new head from a time on; moves must be planned in order."""
        if self._moments and at < self._moments[-1]:
            raise ValueError(f"a move at {at} is planned after one at {self._moments[-1]}")
        self._moments.append(at)
        self._heads.append(head)

    def head(self, now: float) -> CommitNode | None:
        place = bisect_right(self._moments, now)
        return self._heads[place - 1] if place else None

    def newest(self) -> CommitNode | None:
        """Return the head after all planned moves."""
        return self._heads[-1] if self._heads else None

    def moves(self) -> Iterator[tuple[float, CommitNode | None, CommitNode]]:
        """Yield the time, the old head and the new head of each move."""
        before: CommitNode | None = None
        for at, head in zip(self._moments, self._heads, strict=True):
            yield at, before, head
            before = head


def first_parents(head: CommitNode | None) -> Iterator[CommitNode]:
    """Yield the first-parent chain, newest first."""
    while head is not None:
        yield head
        head = head.parents[0] if head.parents else None


def reachable(head: CommitNode | None) -> list[CommitNode]:
    """Return a commit and its ancestors, newest date first, each child before its parents.

    GitHub lists commits in this order of `git log`; it is not the first-parent chain.
    """
    if head is None:
        return []
    found: list[CommitNode] = []
    seen = {head.sha}
    waiting = [(-head.date, 0, head)]
    while waiting:
        _, _, commit = heapq.heappop(waiting)
        found.append(commit)
        for parent in commit.parents:
            if parent.sha not in seen:
                seen.add(parent.sha)
                heapq.heappush(waiting, (-parent.date, len(seen), parent))
    return found
