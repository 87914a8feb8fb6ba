"""`trunkwatch explain`: the walk over one job's commits, with the reason for its streak."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.columns import Column, Count, Shard
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Observation, TrunkOrder, Verdict, newest_first
from trunkwatch.domain.suspects import (
    NO_FILES,
    ChangedFiles,
    RankedSuspect,
    Span,
    SuspectEvidence,
    ranked_suspects,
)
from trunkwatch.domain.verdict import distinct_attempts
from trunkwatch.domain.walk import StoppedBy
from trunkwatch.report.hints import exemption, hints
from trunkwatch.report.words import by_line, failures_phrase, plain, result, short, suspect_reason
from trunkwatch.times import format_minute, format_time

_EFFECT = {
    Verdict.FAIL: "counts",
    Verdict.PASS: "ends the streak",
    Verdict.FLAKY: "ends the streak, does not close the outage",
    Verdict.PENDING: "no result yet: skipped",
    Verdict.NONE: "no result: skipped",
}


COMMIT_COLUMN = 8
"""The column of a commit, behind its verdict; those of its attempts follow."""

RESULT_COLUMN = 18
"""The column of a result, behind its evidence."""

FACT_COLUMN = 10
"""The column of a hash or a time, behind its caption."""


class _Line(NamedTuple):
    """A line that continues in a column where it is wider than the terminal.

    Attributes:
        text: wrapped at its spaces.
        column: in which it continues.
        name: at the end of the line, and never wrapped.
    """

    text: str
    column: int = 0
    name: str = ""


def walk(
    state: JobState,
    columns: Sequence[Column],
    order: TrunkOrder,
    broken_with: Sequence[str] = (),
    width: int | None = None,
    files: Mapping[Span, ChangedFiles] = NO_FILES,
) -> Iterator[str]:
    """Yield the lines of the walk, newest column first.

    Args:
        state: the job.
        columns: its columns, oldest first.
        order: its trunk.
        broken_with: broken jobs of other groups with the same first bad.
        width: columns of the terminal; None for a pipe, where no line is wrapped.
        files: the changed files of the trunk's commits.
    """
    suspects = ranked_suspects(state.blame, files) if state.blame else []
    for line in _walk(state, columns, order, broken_with, suspects):
        shown = line if isinstance(line, _Line) else _Line(line)
        yield from _wrapped(shown, width)


def _wrapped(line: _Line, width: int | None) -> Iterator[str]:
    """Yield a line in parts that fit; a word that is too wide has a part of its own."""
    text, name = plain(line.text), plain(line.name)
    whole = f"{text} {name}" if text and name else text or name
    if width is None or cell_len(whole) <= width:
        yield whole
        return
    part = ""
    words = list(_words(text))
    if name:
        words.append((" " if text else "", name))
    for gap, word in words:
        if part and cell_len(part + gap + word) > width:
            yield part
            fits = line.column + cell_len(word) <= width
            part = " " * line.column * fits + word
        else:
            part += gap + word
    yield part


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Yield the spaces before each word, and the word."""
    end = 0
    for word in re.finditer(r"[^ ]+", text):
        yield text[end : word.start()], word[0]
        end = word.end()


def _walk(
    state: JobState,
    columns: Sequence[Column],
    order: TrunkOrder,
    broken_with: Sequence[str],
    suspects: Sequence[RankedSuspect],
) -> Iterator[str | _Line]:
    group = state.group
    yield _Line("", name=state.key.display_name)
    yield (
        f"on {state.key.repo} {state.key.branch}; group {group.name}, team {group.team},"
        f" {group.priority}; an outage opens at {state.failures_to_open} in a row"
    )
    yield ""
    stopped = False
    for column in reversed(columns):
        yield from _column(column, order.commits[column.commit_index], group.count, stopped=stopped)
        stopped = stopped or column.verdict in (Verdict.PASS, Verdict.FLAKY)
    yield ""
    yield from _conclusion(state, order, broken_with, suspects)


def _column(column: Column, commit: Commit, count: Count, *, stopped: bool) -> Iterator[_Line]:
    run = f" run {column.run_id}" if count is Count.RUNS else ""
    effect = "" if stopped else f"  {_EFFECT[column.verdict]}"
    title = f"  {commit.title}" if commit.title else ""
    line = f"{column.verdict:{COMMIT_COLUMN}}{short(commit.sha)}{run}{effect}{title}"
    yield _Line(line, COMMIT_COLUMN)
    for shard in column.shards:
        yield from _shard(shard, alone=len(column.shards) == 1)


def _shard(shard: Shard, *, alone: bool) -> Iterator[_Line]:
    indent, column = "          ", RESULT_COLUMN
    if not alone:
        yield _Line(f"{indent}{shard.result.verdict}", len(indent), shard.name)
        indent, column = f"{indent}  ", column + 2
    evidence_of_row = {id(row): evidence for row, evidence in shard.rows}
    for row in newest_first(distinct_attempts(row for row, _ in shard.rows)):
        yield _Line(f"{indent}{evidence_of_row[id(row)]:8}{_attempt(row)}", column)
        yield from (_Line(f"{indent}{'message':8}{line}", column) for line in row.annotations)


def _attempt(row: Observation) -> str:
    when = f" at {format_time(row.ended_at)}" if row.ended_at is not None else ""
    run = f"run {row.run_id}, " if row.run_id is not None else ""
    step = f", step {row.failed_step!r}" if row.failed_step else ""
    infra = ", infrastructure" if row.infra else ""
    url = f"  {row.url}" if row.url else ""
    return f"{result(row)} ({run}attempt {row.attempt}{step}{infra}){when}{url}"


_STOPS = {
    StoppedBy.PASS: "the commit before them passed",
    StoppedBy.FLAKY: "the commit before them is flaky",
    StoppedBy.WINDOW: "no older result was read",
}


def _conclusion(
    state: JobState,
    order: TrunkOrder,
    broken_with: Sequence[str],
    suspects: Sequence[RankedSuspect],
) -> Iterator[str | _Line]:
    more = ", and may be longer: older commits were not read" if state.truncated else ""
    yield f"Streak {state.consecutive_failures}: {_STOPS[state.stopped_by]}{more}."
    if state.broken:
        yield f"An outage is open: {failures_phrase(state)}."
    else:
        yield "No outage is open."
        yield from _last_outage(state, order)
    if state.blame is not None:
        yield from _blame(state.blame, suspects)
        yield from (f"{note[0].upper()}{note[1:]}." for note in hints(state))
    for name in broken_with:
        yield _Line("Also broken since then, in another group:", name=name)
    if state.known_broken is not None:
        yield exemption(*state.known_broken)


def _last_outage(state: JobState, order: TrunkOrder) -> Iterator[str]:
    if state.ended is not None:
        first, last = order.commits[state.ended.first_bad], order.commits[state.ended.ended_by]
        ended = f"{short(last.sha)} {by_line(last.author, last.title)}".rstrip()
        yield f"The last outage began at {short(first.sha)}, and ended at {ended}."


def _blame(blame: Blame, suspects: Sequence[RankedSuspect]) -> Iterator[_Line]:
    good = blame.last_good
    if blame.broken_since is not None:
        yield _Line(f"Occurred at {format_minute(blame.broken_since)}")
    yield _Line(f"First bad {blame.first_bad.sha}", FACT_COLUMN)
    unknown = "unknown: no pass found directly before it"
    yield _Line(f"Last good {good.sha if good else unknown}", FACT_COLUMN)
    is_ranked = any(each.files.kind is not SuspectEvidence.UNKNOWN for each in suspects)
    for each in suspects if is_ranked else reversed(suspects):
        commit, reason = each.commit, suspect_reason(each) if is_ranked else None
        suspect = f"Suspect   {commit.sha}  {by_line(commit.author, commit.title)}".rstrip()
        yield _Line(suspect, FACT_COLUMN)
        if reason is not None:
            yield _Line(f"{'':{FACT_COLUMN}}{reason}", FACT_COLUMN)
