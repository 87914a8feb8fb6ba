"""`trunkwatch explain`: the walk over one job's commits, with the reason for its streak."""

from collections.abc import Iterator, Sequence

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.columns import Column, Count, Shard
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Observation, TrunkOrder, Verdict, newest_first
from trunkwatch.domain.verdict import distinct_attempts
from trunkwatch.domain.walk import StoppedBy
from trunkwatch.report.hints import exemption, hints
from trunkwatch.report.words import by_line, failures_phrase, plain, result, short
from trunkwatch.times import format_minute, format_time

_EFFECT = {
    Verdict.FAIL: "counts",
    Verdict.PASS: "ends the streak",
    Verdict.FLAKY: "ends the streak, does not close the outage",
    Verdict.PENDING: "no result yet: skipped",
    Verdict.NONE: "no result: skipped",
}


def walk(
    state: JobState,
    columns: Sequence[Column],
    order: TrunkOrder,
    broken_with: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the lines of the walk, newest column first.

    Args:
        state: the job.
        columns: its columns, oldest first.
        order: its trunk.
        broken_with: broken jobs of other groups with the same first bad.
    """
    yield from (plain(line) for line in _walk(state, columns, order, broken_with))


def _walk(
    state: JobState, columns: Sequence[Column], order: TrunkOrder, broken_with: Sequence[str]
) -> Iterator[str]:
    group = state.group
    yield state.key.display_name
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
    yield from _conclusion(state, order, broken_with)


def _column(column: Column, commit: Commit, count: Count, *, stopped: bool) -> Iterator[str]:
    run = f" run {column.run_id}" if count is Count.RUNS else ""
    effect = "" if stopped else f"  {_EFFECT[column.verdict]}"
    title = f"  {commit.title}" if commit.title else ""
    yield f"{column.verdict:8}{short(commit.sha)}{run}{effect}{title}"
    for shard in column.shards:
        yield from _shard(shard, alone=len(column.shards) == 1)


def _shard(shard: Shard, *, alone: bool) -> Iterator[str]:
    indent = "          "
    if not alone:
        yield f"{indent}{shard.result.verdict} {shard.name}"
        indent += "  "
    evidence_of_row = {id(row): evidence for row, evidence in shard.rows}
    for row in newest_first(distinct_attempts(row for row, _ in shard.rows)):
        yield f"{indent}{evidence_of_row[id(row)]:8}{_attempt(row)}"
        yield from (f"{indent}{'message':8}{line}" for line in row.annotations)


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


def _conclusion(state: JobState, order: TrunkOrder, broken_with: Sequence[str]) -> Iterator[str]:
    more = ", and may be longer: older commits were not read" if state.truncated else ""
    yield f"Streak {state.consecutive_failures}: {_STOPS[state.stopped_by]}{more}."
    if state.broken:
        yield f"An outage is open: {failures_phrase(state)}."
    else:
        yield "No outage is open."
        yield from _last_outage(state, order)
    if state.blame is not None:
        yield from _blame(state.blame)
    for name in broken_with:
        yield f"Also broken since then, in another group: {name}"
    if state.known_broken is not None:
        yield exemption(*state.known_broken)


def _last_outage(state: JobState, order: TrunkOrder) -> Iterator[str]:
    if state.ended is not None:
        first, last = order.commits[state.ended.first_bad], order.commits[state.ended.ended_by]
        ended = f"{short(last.sha)} {by_line(last.author, last.title)}".rstrip()
        yield f"The last outage began at {short(first.sha)}, and ended at {ended}."


def _blame(blame: Blame) -> Iterator[str]:
    good = blame.last_good
    if blame.broken_since is not None:
        yield f"Occurred at {format_minute(blame.broken_since)}"
    yield f"First bad {blame.first_bad.sha}"
    yield f"Last good {good.sha if good else 'unknown: no pass found directly before it'}"
    for commit in blame.suspects or ():
        yield f"Suspect   {commit.sha}  {by_line(commit.author, commit.title)}".rstrip()
    yield from (f"{note[0].upper()}{note[1:]}." for note in hints(blame))
