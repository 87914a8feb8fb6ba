"""Whether the newest commits lack results that they should have (docs/policy.md, section 3.14)."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from trunkwatch.domain.model import Commit

RECENT_COMMITS = 100
"""The commits up to the newest result that show a trunk's habits, which change: path filters."""

MIN_MISSING_COMMITS = 3
"""Fewer newest commits without results are never doubtful."""

MAX_CHANCE = 1 / 3000
"""The chance of so many commits without results from which on it is no chance. On trunks with path
filters and pushes of several commits, below 2 in 1,000 pushes are doubtful by mistake (a test
counts them); the bound that is promised is 5 in 1,000."""

MIN_AGE_SECONDS = 600.0
"""Seconds after which a commit should have a result: runs are created within minutes of a push."""

MAX_AGE_SECONDS = 86_400.0
"""The same for a CI with long queues: no trunk waits longer."""

LATE_SHARE, LATE_FACTOR = 0.9, 2.0
"""A commit is late at twice the time in which nine of ten commits had their first result."""

NO_CI = re.compile(
    r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|\*\*\*NO_CI\*\*\*", re.IGNORECASE
)
"""Words in a title by which a commit asks not to be built."""


def missing_results(
    commits: Sequence[Commit],
    reported: Mapping[str, float | None],
    seen: Mapping[str, float],
    as_of: float,
) -> int:
    """Return the number of newest commits that lack results they should have; 0 without doubt.

    Doubtful is a gap that is improbably long by the gaps before it: see `_chance`.

    Args:
        commits: of the trunk, oldest first.
        reported: each commit with a result that counts, and the time at which the first one was
            reported (seconds since the epoch), or None where that is unknown.
        seen: when a commit was first seen, which may be long after it was made; a commit that is
            absent has been there from the start.
        as_of: the time up to which results have been read (seconds since the epoch).
    """
    if not reported or any(c.sha in reported for c in commits[-MIN_MISSING_COMMITS:]):
        return 0  # Nearly always: this is asked of every trunk at every refresh.
    recent = _since_habits(commits, reported)
    due_at = as_of - _patience(recent, reported)
    answered = [
        commit.sha in reported
        for commit in recent
        if commit.sha in reported or _is_due(commit, seen.get(commit.sha), due_at)
    ]
    places = [place for place, has_result in enumerate(answered) if has_result]
    if not places:
        return 0
    missing = len(answered) - 1 - places[-1]
    gaps = [newer - older for older, newer in pairwise(places)]
    if missing < MIN_MISSING_COMMITS or _chance(gaps, missing) > MAX_CHANCE:
        return 0
    return missing


def _since_habits(commits: Sequence[Commit], reported: Collection[str]) -> Sequence[Commit]:
    """Return the commits that show the habits, and all newer ones.

    The window ends at the newest result, not at the tip: else a long doubt would push the results
    out of it and end.
    """
    newest = len(commits) - 1
    while newest > 0 and commits[newest].sha not in reported:
        newest -= 1
    return commits[max(0, newest + 1 - RECENT_COMMITS) :]


def _chance(gaps: Sequence[int], missing: int) -> float:
    """Return the chance that a gap is longer than `missing`, judged by the earlier gaps.

    If gaps are exponential, the chance that one exceeds c times the longest of m others is
    1/C(m+c, c), whatever their mean is. A run for every commit, a path filter that drops each
    commit with some chance, and pushes of several commits give such gaps, or shorter tails.

    Args:
        gaps: distances between neighbours that have results; 1 where each commit has one.
        missing: newest commits without results.
    """
    if not gaps:
        return 1.0
    ratio = missing / max(gaps)
    return math.prod(n / (n + ratio) for n in range(1, len(gaps) + 1))


def _patience(commits: Sequence[Commit], reported: Mapping[str, float | None]) -> float:
    """Return the seconds after which a commit without results is late."""
    delays = sorted(
        at - commit.committed_at
        for commit in commits
        if (at := reported.get(commit.sha)) is not None and commit.committed_at is not None
    )
    usual = delays[math.ceil(LATE_SHARE * len(delays)) - 1] if delays else 0.0
    return min(max(LATE_FACTOR * usual, MIN_AGE_SECONDS), MAX_AGE_SECONDS)


def _is_due(commit: Commit, seen: float | None, due_at: float) -> bool:
    """Return whether a commit should have a result; one without any time never has to."""
    if NO_CI.search(commit.title or ""):
        return False
    times = [at for at in (commit.committed_at, seen) if at is not None]
    return bool(times) and max(times) <= due_at
