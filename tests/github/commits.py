"""Commits, and what each branch pointed to at which moment."""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class CommitNode:
    """One commit.

    Attributes:
        sha: the full hash.
        title: the first line of its message.
        date: what the commit says of itself (seconds since the epoch).
        author: a handle.
        parents: the first is the trunk's own.
    """

    sha: str
    title: str
    date: float
    author: str
    parents: tuple["CommitNode", ...] = ()


def sha_of(*parts: object) -> str:
    """Return a hash that depends on nothing but `parts`."""
    text = "\0".join(map(str, parts))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Branch:
    """What a branch points to, moment by moment."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._heads: list[CommitNode] = []

    def move(self, at: float, head: CommitNode) -> None:
        """Let it point to a commit from a moment on; moves are planned in their order."""
        if self._moments and at < self._moments[-1]:
            raise ValueError(f"the branch has moved at {self._moments[-1]} already, after {at}")
        self._moments.append(at)
        self._heads.append(head)

    def head(self, now: float) -> CommitNode | None:
        place = bisect_right(self._moments, now)
        return self._heads[place - 1] if place else None

    def newest(self) -> CommitNode | None:
        """Return what it points to after all that is planned."""
        return self._heads[-1] if self._heads else None

    def moves(self) -> Iterator[tuple[float, CommitNode | None, CommitNode]]:
        """Yield each move: when, from where and to where."""
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
    """Return all that a commit leads to, the newest by date first, a child before its parents.

    That is the order of `git log`, which GitHub's list has: it is not the first-parent chain.
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
