"""Where a job broke, with its first failing run as a hint at the cause."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from trunkwatch.domain.columns import Column
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.model import Commit, Evidence, Observation, TrunkOrder, Verdict, oldest_first
from trunkwatch.domain.outage import Outage
from trunkwatch.domain.streak import Streak
from trunkwatch.domain.verdict import distinct_attempts

CONFIRMED_BY = 2
"""Failed attempts of one CI job at one commit that rule out a flake."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Where a job broke.

    Attributes:
        first_bad: the commit of the first FAIL of the outage, else of the streak.
        commit_index: of first bad in the trunk's order.
        last_good: the commit of the PASS before it; None where unknown.
        suspects: commits after last good up to and including first bad, oldest first, also
            untested ones; None where last good is unknown.
        tested: number of suspects with a verdict of this job; None where they are unknown.
        run: the earliest failing run at first bad.
        broken_since: when that run ended, else when it began (seconds since the epoch); None if
            neither is reported.
        url: of that run.
        failed_step: of that run.
        annotations: of that run: the CI's messages about the failure.
        infra: the run looks like an infrastructure failure: the CI reports it, or its failed step
            is one of `EvidenceRules.infra_steps`.
        confirmed: whether at least `CONFIRMED_BY` attempts of one CI job failed at first bad.
        same_step: the step at which every failure from first bad on failed; None where they
            differ, or where one of them is unknown.
    """

    first_bad: Commit
    commit_index: int
    last_good: Commit | None
    suspects: tuple[Commit, ...] | None
    tested: int | None
    run: Observation
    broken_since: float | None
    url: str | None
    failed_step: str | None
    annotations: tuple[str, ...]
    infra: bool
    confirmed: bool
    same_step: str | None


def blame_of(
    columns: Sequence[Column], order: TrunkOrder, rules: EvidenceRules, broken: Outage | Streak
) -> Blame | None:
    """Return where an outage or a streak began; None where nothing fails.

    Args:
        columns: of the job, oldest first.
        order: the trunk.
        rules: which steps indicate an infrastructure failure.
        broken: the open outage, else the streak.
    """
    first_bad = broken.first_bad if isinstance(broken, Outage) else broken.oldest
    if first_bad is None:
        return None
    last_good, column = broken.last_good, columns[first_bad]
    suspects = _suspects(columns, order, first_bad, last_good)
    run = min(column.rows(Evidence.FAIL), key=oldest_first)
    return Blame(
        first_bad=order.commits[column.commit_index],
        commit_index=column.commit_index,
        last_good=order.commits[columns[last_good].commit_index] if last_good is not None else None,
        suspects=suspects,
        tested=None if suspects is None else _tested(columns, order, suspects),
        run=run,
        broken_since=run.ended_at,
        url=run.url,
        failed_step=run.failed_step,
        annotations=run.annotations,
        infra=run.infra or rules.is_infra_step(run.failed_step),
        confirmed=_confirmed(columns[first_bad:], column.commit_index),
        same_step=_same_step(columns[first_bad:]),
    )


def _suspects(
    columns: Sequence[Column], order: TrunkOrder, first_bad: int, last_good: int | None
) -> tuple[Commit, ...] | None:
    if last_good is None:
        return None
    return order.commits[columns[last_good].commit_index + 1 : columns[first_bad].commit_index + 1]


def _tested(columns: Sequence[Column], order: TrunkOrder, suspects: Sequence[Commit]) -> int:
    answered = {
        order.commits[column.commit_index].sha for column in columns if column.verdict.decided
    }
    return sum(commit.sha in answered for commit in suspects)


def _confirmed(columns: Sequence[Column], commit_index: int) -> bool:
    """Return whether any CI job failed repeatedly; shards that fail once each do not add up."""
    failed: dict[str, list[Observation]] = defaultdict(list)
    for column in columns:
        if column.commit_index == commit_index:
            for row in column.rows(Evidence.FAIL):
                failed[row.job.job_name].append(row)
    return any(
        len({(row.run_id, row.attempt) for row in distinct_attempts(rows)}) >= CONFIRMED_BY
        for rows in failed.values()
    )


def _same_step(columns: Sequence[Column]) -> str | None:
    steps = {
        row.failed_step
        for column in columns
        if column.verdict is Verdict.FAIL
        for row in column.rows(Evidence.FAIL)
    }
    return steps.pop() if len(steps) == 1 else None
