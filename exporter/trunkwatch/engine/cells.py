"""A job's result at each commit as a letter: the same on the page, in the JSON and in metrics."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from types import MappingProxyType

from trunkwatch.domain.columns import Column
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Verdict

NO_ROW = "."
"""The letter of a commit at which a job has no result."""

PENDING = "R"
"""The letter of a commit at which a job is running or queued."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "F": "failed",
        "K": "flaky: failed and passed",
        PENDING: "running or queued",
        "P": "passed",
        "C": "cancelled, or no result",
        "S": "skipped",
        NO_ROW: "did not run",
    }
)
"""What each letter means. Of several runs at one commit, the first of this order is shown."""

CELLS_LIMIT = 200
"""Commits that a page or a JSON object shows at most."""

_LETTERS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "P",
        Verdict.FAIL: "F",
        Verdict.FLAKY: "K",
        Verdict.PENDING: PENDING,
        Verdict.NONE: "C",
    }
)
_RANK = {letter: rank for rank, letter in enumerate(MEANINGS)}


def cells(history: ColumnHistory, commits: int, shown: int) -> str:
    """Return a letter for each of a trunk's newest commits, newest first.

    Args:
        history: of a job.
        commits: number of commits of the trunk.
        shown: number of letters, at most.
    """
    return _letters(history, max(0, commits - shown), commits)[::-1]


def letter_at(history: ColumnHistory, commit_index: int) -> str:
    """Return the letter of one commit.

    Args:
        history: of a job.
        commit_index: of the commit in the trunk's order; 0 is the oldest.
    """
    return _letters(history, commit_index, commit_index + 1)


def letter_of_columns(columns: Iterable[Column]) -> str:
    """Return the letter of the columns that a job has at one commit."""
    places = [Place(0, column.verdict, column.result.skipped) for column in columns]
    return letter_at(ColumnHistory(places), 0)


def columns_by_sha(columns: Iterable[Column]) -> dict[str, list[Column]]:
    """Return the columns of a job by the hash of their commit.

    Columns that were read after a snapshot may be of a newer order, with other indexes.
    """
    found: dict[str, list[Column]] = {}
    for column in columns:
        found.setdefault(column.shards[0].rows[0][0].sha, []).append(column)
    return found


def suspect_letters(job: JobState, limit: int | None = None) -> Iterator[tuple[Commit, str]]:
    """Return the suspects of a job's outage or streak with their letters, oldest first.

    Args:
        job: its state.
        limit: number of suspects, at most; None for all.
    """
    if job.blame is None or not job.blame.suspects:
        return iter(())
    suspects = job.blame.suspects[:limit]
    first = job.blame.commit_index + 1 - len(job.blame.suspects)
    return zip(suspects, _letters(job.history, first, first + len(suspects)), strict=True)


def _letter_of(place: Place) -> str:
    """Return the letter of one column."""
    return "S" if place.skipped else _LETTERS[place.verdict]


def _letters(history: ColumnHistory, first: int, end: int) -> str:
    """Return a letter for each commit of a part of the trunk, oldest first.

    Args:
        history: of a job.
        first: index of the oldest commit.
        end: index after that of the newest one.
    """
    letters = [NO_ROW] * (end - first)
    for place in takewhile(lambda place: place.commit_index < end, history.since(first)):
        position, letter = place.commit_index - first, _letter_of(place)
        before = letters[position]
        if before == NO_ROW or _RANK[letter] < _RANK[before]:
            letters[position] = letter
    return "".join(letters)
