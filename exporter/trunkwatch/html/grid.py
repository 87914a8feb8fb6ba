"""The grid of a trunk: a row for each job, a cell for each commit."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from trunkwatch.addresses import job_path
from trunkwatch.domain.branch import GroupState
from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, JobKey, TrunkOrder, Verdict
from trunkwatch.engine.cells import CELLS_LIMIT, MEANINGS, NO_ROW, cells
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.html.filters import JOBS_PER_PAGE, Choice
from trunkwatch.report.order import by_urgency

SHA_DIGITS = 12
"""Digits of a hash in the address of a cell, if they differ on the trunk."""


class Marks(NamedTuple):
    """The outage, open or just closed, or the streak of a job, as indexes of commits.

    Attributes:
        first_bad: the commit at which it began.
        last_good: the commit of the pass before it, None where unknown.
        ended_by: the commit that closed the outage, None while it is open.
        is_outage: whether it opened an outage.
    """

    first_bad: int
    last_good: int | None
    ended_by: int | None
    is_outage: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A job.

    Attributes:
        job: its state.
        path: of its page.
        classes: of its row: `broken`, `known`, and `marked` where a cell has a place in an outage.
        cells: the cells, newest commit first.
    """

    job: JobState
    path: str
    classes: str
    cells: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """The jobs of one group.

    Attributes:
        state: of the group.
        jobs: those on this page, the worst first.
    """

    state: GroupState
    jobs: Sequence[JobState]


@dataclass(frozen=True, slots=True)
class Grid:
    """The part of a trunk that a page shows.

    Attributes:
        commits: the columns, newest first.
        sections: by group, the worst first.
        chosen: number of jobs that the filters leave on all pages.
        pages: number of pages.
        first_bad: hashes of the first bad commits of open outages.
        untested: hashes of the other suspects of open outages.
    """

    commits: Sequence[Commit]
    sections: Sequence[Section]
    chosen: int
    pages: int
    first_bad: frozenset[str]
    untested: frozenset[str]


def grid_of(state: TrunkState, choice: Choice) -> Grid:
    """Return the chosen part of a trunk."""
    order = state.order
    groups = {group.group.name: group for group in state.groups}
    jobs = worst_first(choice.of(state.jobs))
    begin = (choice.page - 1) * JOBS_PER_PAGE
    shown = jobs[begin : begin + JOBS_PER_PAGE]
    sections = [
        Section(groups[name], list(members))
        for name, members in groupby(shown, key=lambda job: job.group.name)
    ]
    pages = max(1, -(-len(jobs) // JOBS_PER_PAGE))
    blames = [job.blame for job in shown if job.broken and job.blame]
    first_bad = frozenset(blame.first_bad.sha for blame in blames)
    suspects = frozenset(each.sha for blame in blames for each in blame.suspects or ())
    commits = order.commits[: -choice.commits - 1 : -1]
    return Grid(commits, sections, len(jobs), pages, first_bad, suspects - first_bad)


def worst_first(jobs: Iterable[JobState]) -> list[JobState]:
    """Return jobs by group, the group of the worst job first."""
    ranked = by_urgency(jobs)
    first: dict[str, int] = {}
    for place, job in enumerate(ranked):
        first.setdefault(job.group.name, place)
    return sorted(ranked, key=lambda job: first[job.group.name])


@lru_cache(maxsize=100_000)
def job_id(key: JobKey) -> str:
    """Return a short name of a job, for the addresses of its cells."""
    return hashlib.blake2b("\0".join(key).encode(), digest_size=5).hexdigest()


def digits_of(order: TrunkOrder) -> int | None:
    """Return the number of digits by which a trunk's commits are named in cells; None for all."""
    beginnings = {commit.sha[:SHA_DIGITS] for commit in order.commits}
    return SHA_DIGITS if len(beginnings) == len(order.commits) else None


class CellWriter:
    """Writes the cells of jobs over the newest commits of a trunk.

    They are half a page of markup for each job and consist of hashes and letters alone, so that
    they are written here and not by a template.
    """

    def __init__(self, order: TrunkOrder, commits: int) -> None:
        """Args:
        order: the trunk.
        commits: number of commits, at most.
        """
        self._order = order
        self._shown = min(commits, len(order.commits))
        self._newest = len(order.commits) - 1
        newest, digits = order.commits[: -self._shown - 1 : -1], digits_of(order)
        self._refs = [quote(commit.sha[:digits], safe="") for commit in newest]

    def row(self, job: JobState) -> Row:
        """Return the row of a job."""
        classes = ["broken"] if job.broken else []
        classes += ["known"] if job.broken and job.known_broken else []
        marks = marks_of(job, self._order)
        oldest = self._newest - self._shown + 1
        is_marked = marks is not None and (
            marks.first_bad >= oldest or marks.ended_by is None or marks.ended_by > oldest
        )
        classes += ["marked"] if is_marked else []
        cells_of = self.cells(job, marks if is_marked else None)
        return Row(job, job_path(job.key), " ".join(classes), cells_of)

    def cells(self, job: JobState, marks: Marks | None) -> Markup:
        """Return the cells of a job.

        Args:
            job: its state.
            marks: its outage, if it is in sight.
        """
        letters = cells(job.history, len(self._order.commits), self._shown)
        link = f"<a href=?cell={job_id(job.key)}."
        if marks is None:
            written = [
                "<td>" if letter == NO_ROW else f"<td class={letter}>{link}{ref}>{letter}</a>"
                for letter, ref in zip(letters, self._refs, strict=True)
            ]
        else:
            written = [
                self._marked(letter, ref, link, self._newest - position, marks)
                for position, (letter, ref) in enumerate(zip(letters, self._refs, strict=True))
            ]
        return Markup("".join(written))  # noqa: S704 — letters and hexadecimal digits

    def _marked(self, letter: str, ref: str, link: str, index: int, marks: Marks) -> str:
        """Return one cell with its place in an outage."""
        classes, words = place_in(index, marks, letter, self._newest)
        if classes and not 2 <= self._newest - index < self._shown - 2:
            classes.append("n")  # narrow: a label would be cut off at the edge
        name = " ".join([letter, *classes] if letter != NO_ROW else classes)
        cell = f'<td class="{name}">' if name else "<td>"
        label = f' aria-label="{letter}, {", ".join(words)}"' if words else ""
        if letter != NO_ROW:
            return f"{cell}{link}{ref}{label}>{letter}</a>"
        return f"{cell}<span role=img{label}>?</span>" if words else cell


def marks_of(job: JobState, order: TrunkOrder) -> Marks | None:
    """Return the open outage of a job, else its streak, else its newest closed outage."""
    blame = job.blame
    if blame is not None:
        good = order.index[blame.last_good.sha] if blame.last_good else None
        return Marks(blame.commit_index, good, None, job.broken)
    if job.ended is not None:
        first_bad, ended_by, _ = job.ended
        return Marks(first_bad, _pass_before(job.history, first_bad), ended_by, True)
    return None


def _pass_before(history: ColumnHistory, commit_index: int) -> int | None:
    """Return the commit of the newest verdict before a commit if it is a PASS near enough."""
    for index in range(commit_index - 1, max(-1, commit_index - CELLS_LIMIT), -1):
        for verdict in reversed(list(history.at(index))):
            if verdict.decided:
                return index if verdict is Verdict.PASS else None
    return None


def place_in(index: int, marks: Marks, letter: str, newest: int) -> tuple[list[str], list[str]]:
    """Return the classes and the words of one cell's place in an outage.

    Args:
        index: of its commit.
        marks: the outage.
        letter: of the cell.
        newest: index of the newest commit.
    """
    end = newest if marks.ended_by is None else marks.ended_by - 1
    classes, words = [], []
    if marks.is_outage and marks.first_bad <= index <= end:
        classes.append("o")
        classes += ["e"] if index == end else []
    if index == marks.first_bad:
        classes.append("b")
        words.append("first bad")
    if index == marks.last_good:
        classes.append("g")
        words.append("last good")
    if marks.last_good is not None and marks.last_good < index <= marks.first_bad:
        classes.append("s")
        words.append("suspect")
        classes += ["z"] if index == marks.last_good + 1 else []
        if letter in (NO_ROW, "C", "S", "R"):
            classes.append("u")
            words.append("not tested")
    return classes, [MEANINGS[letter], *words] if words else []


def commit_by_digits(order: TrunkOrder, digits: str) -> Commit | None:
    """Return the commit that a cell names by the first digits of its hash, None without one."""
    length = digits_of(order)
    return next((each for each in order.commits[::-1] if each.sha[:length] == digits), None)


def job_by_id(state: TrunkState, wanted: str) -> JobState | None:
    """Return the job whose cells have an id, None where there is none."""
    return next((job for job in state.jobs if job_id(job.key) == wanted), None)
