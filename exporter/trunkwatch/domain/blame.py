"""Where a job broke, with its first failing run as a hint at the cause."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.domain.columns import Column
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.model import Commit, Evidence, Observation, TrunkOrder, oldest_first
from trunkwatch.domain.verdict import distinct_attempts

CONFIRMED_BY = 2
"""Failed attempts of one CI job at one commit that rule out a flake."""


class FirstBad(NamedTuple):
    """The first FAIL of a streak or an outage, with the FAILs from it on.

    Attributes:
        commit_index: of its commit in the trunk's order.
        last_good: the index of the commit of the PASS before it; None where unknown.
        run: the earliest failing run at it.
        confirmed: whether at least `CONFIRMED_BY` attempts of one CI job failed at its commit.
        failures: number of FAILs from it on.
        steps: the steps at which they failed; not all of them once there are two.
    """

    commit_index: int
    last_good: int | None
    run: Observation
    confirmed: bool
    failures: int
    steps: frozenset[str | None]

    def moved(self, by: int) -> "FirstBad":
        """Return it with the indexes of its commits moved."""
        good = None if self.last_good is None else self.last_good + by
        return self._replace(commit_index=self.commit_index + by, last_good=good)

    def with_failure(self, column: Column) -> "FirstBad":
        """Return it with one more FAIL."""
        steps = self.steps
        if len(steps) == 1:
            steps |= _steps(column)
        return self._replace(failures=self.failures + 1, steps=steps)


def first_bad_at(columns: Sequence[Column], last_good: int | None) -> FirstBad:
    """Return a first FAIL.

    Args:
        columns: those of its commit, from its own on.
        last_good: the index of the commit of the PASS before it; None where unknown.
    """
    failed = columns[0].rows(Evidence.FAIL)
    return FirstBad(
        commit_index=columns[0].commit_index,
        last_good=last_good,
        run=min(failed, key=oldest_first),
        confirmed=_confirmed(row for column in columns for row in column.rows(Evidence.FAIL)),
        failures=1,
        steps=_steps(columns[0]),
    )


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


def blame_of(first_bad: FirstBad, order: TrunkOrder, rules: EvidenceRules) -> Blame:
    """Return where an outage or a streak began.

    Args:
        first_bad: of the open outage, else of the streak.
        order: the trunk.
        rules: which steps indicate an infrastructure failure.
    """
    commits, last_good, run = order.commits, first_bad.last_good, first_bad.run
    suspects = None if last_good is None else commits[last_good + 1 : first_bad.commit_index + 1]
    return Blame(
        first_bad=commits[first_bad.commit_index],
        commit_index=first_bad.commit_index,
        last_good=commits[last_good] if last_good is not None else None,
        suspects=suspects,
        # No column between last good and first bad has a verdict: it would be one of them, or
        # a FLAKY, after which last good is unknown.
        tested=None if suspects is None else min(len(suspects), 1),
        run=run,
        broken_since=run.ended_at,
        url=run.url,
        failed_step=run.failed_step,
        annotations=run.annotations,
        infra=run.infra or rules.is_infra_step(run.failed_step),
        confirmed=first_bad.confirmed,
        same_step=next(iter(first_bad.steps)) if len(first_bad.steps) == 1 else None,
    )


def _steps(column: Column) -> frozenset[str | None]:
    return frozenset(row.failed_step for row in column.rows(Evidence.FAIL))


def _confirmed(failed: Iterable[Observation]) -> bool:
    """Return whether any CI job failed repeatedly; shards that fail once each do not add up."""
    by_name: dict[str, list[Observation]] = defaultdict(list)
    for row in failed:
        by_name[row.job.job_name].append(row)
    return any(
        len({(row.run_id, row.attempt) for row in distinct_attempts(rows)}) >= CONFIRMED_BY
        for rows in by_name.values()
    )
