"""A job's history as columns, oldest first: one per commit, or one per run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from trunkwatch.domain.evidence import EvidenceRules, evidence_of, expires_at
from trunkwatch.domain.model import Evidence, Observation, RunId, TrunkOrder, Verdict, run_id_order
from trunkwatch.domain.verdict import (
    CommitResult,
    drop_superseded,
    exact_job,
    folded_job,
    shard_result,
)
from trunkwatch.times import earliest

_OF_ONE: Mapping[Evidence, CommitResult] = {each: exact_job((each,)) for each in Evidence}
"""The result of one row by its evidence."""


class Count(StrEnum):
    """The unit of a column. Runs are for nightly jobs on a branch with few commits."""

    COMMITS = "commits"
    RUNS = "runs"


class Shard(Struct, frozen=True, gc=False):
    """One CI job within a column, with its rows and the evidence of each."""

    name: str
    result: CommitResult
    rows: tuple[tuple[Observation, Evidence], ...]


class Column(Struct, frozen=True, gc=False):
    """One column of a job's history.

    Attributes:
        commit_index: of its commit in the trunk's order; 0 is the oldest.
        run_id: the run, where columns are runs.
        result: of all shards together.
        shards: the CI jobs that are folded into the job.
        changes_at: when time alone will change it (seconds since the epoch), or None.
    """

    commit_index: int
    run_id: RunId | None
    result: CommitResult
    shards: tuple[Shard, ...]
    changes_at: float | None

    @property
    def verdict(self) -> Verdict:
        """The verdict of all shards together."""
        return self.result.verdict

    def rows(self, *kinds: Evidence) -> list[Observation]:
        """Return the rows whose evidence is one of `kinds`, in no particular order."""
        return [row for shard in self.shards for row, evidence in shard.rows if evidence in kinds]


class _Slot(NamedTuple):
    """The sort key of columns that are runs: by commit, then run number, then run id."""

    commit_index: int
    run_number: int
    run: tuple[bool, RunId]


def build_columns(
    rows: Iterable[Observation],
    order: TrunkOrder,
    rules: EvidenceRules,
    count: Count,
    now: float,
) -> list[Column]:
    """Return one job's columns, oldest first, from its rows that count for the trunk."""
    if count is Count.COMMITS:
        by_commit: dict[int, list[Observation]] = defaultdict(list)
        for row in rows:
            by_commit[order.index[row.sha]].append(row)
        return [
            _column(commit_index, None, by_commit[commit_index], order, rules, now)
            for commit_index in sorted(by_commit)
        ]
    slots = _by_run(rows, order)
    return [
        _column(slot.commit_index, slots[slot][0].run_id, slots[slot], order, rules, now)
        for slot in sorted(slots)
    ]


def event_verdicts(
    columns: Sequence[Column],
    order: TrunkOrder,
    rules: EvidenceRules,
    count: Count,
    now: float,
) -> Mapping[str, Sequence[Verdict]]:
    """Return the verdicts that columns have by the runs of each event alone, oldest first.

    Args:
        columns: of a job.
        order: the trunk.
        rules: the evidence table.
        count: the unit of columns.
        now: seconds since the epoch.
    """
    every = [row for column in columns for shard in column.shards for row, _ in shard.rows]
    first = every[0].event
    if all(row.event == first for row in every):
        return {first: [column.verdict for column in columns]}
    by_event: dict[str, list[Observation]] = defaultdict(list)
    for row in every:
        by_event[row.event].append(row)
    return {
        event: [column.verdict for column in build_columns(rows_of, order, rules, count, now)]
        for event, rows_of in by_event.items()
    }


def _by_run(rows: Iterable[Observation], order: TrunkOrder) -> dict[_Slot, list[Observation]]:
    runs: dict[tuple[int, tuple[bool, RunId]], list[Observation]] = defaultdict(list)
    for row in rows:
        runs[order.index[row.sha], run_id_order(row.run_id)].append(row)
    return {
        _Slot(commit_index, max(_number(row) for row in members), run): members
        for (commit_index, run), members in runs.items()
    }


def _number(row: Observation) -> int:
    return row.run_number if row.run_number is not None else -1


def _column(
    commit_index: int,
    run_id: RunId | None,
    rows: Sequence[Observation],
    order: TrunkOrder,
    rules: EvidenceRules,
    now: float,
) -> Column:
    committed_at = order.commits[commit_index].committed_at
    if len(rows) == 1:  # Most columns: the general way gives the same and takes thrice the time.
        row = rows[0]
        evidence = evidence_of(row, rules, committed_at, now)
        result = _OF_ONE[evidence]
        shard = Shard(row.job.job_name, result, ((row, evidence),))
        limit = expires_at(row, committed_at) if evidence is Evidence.PENDING else None
        return Column(commit_index, run_id, result, (shard,), limit)
    by_name: dict[str, list[Observation]] = defaultdict(list)
    for row in rows:
        by_name[row.job.job_name].append(row)
    shards = tuple(
        _shard(name, by_name[name], rules, committed_at, now) for name in sorted(by_name)
    )
    return Column(
        commit_index,
        run_id,
        folded_job({shard.result for shard in shards}),
        shards,
        _next_expiry(shards, committed_at),
    )


def _shard(
    name: str,
    reports: Sequence[Observation],
    rules: EvidenceRules,
    committed_at: float | None,
    now: float,
) -> Shard:
    rows = tuple(
        (row, evidence_of(row, rules, committed_at, now)) for row in drop_superseded(reports)
    )
    return Shard(name, shard_result(rows), rows)


def _next_expiry(shards: Iterable[Shard], committed_at: float | None) -> float | None:
    """Return when the first pending row of the column expires (seconds since the epoch)."""
    return earliest(
        expires_at(row, committed_at)
        for shard in shards
        for row, evidence in shard.rows
        if evidence is Evidence.PENDING
    )
