"""The evaluation of one job from its rows (docs/policy.md, section 3)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.domain.blame import Blame, blame_of
from trunkwatch.domain.columns import Column, build_columns
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group
from trunkwatch.domain.model import (
    DECIDED,
    Evidence,
    JobKey,
    Observation,
    TrunkOrder,
    Verdict,
)
from trunkwatch.domain.outage import Thresholds, open_outage
from trunkwatch.domain.streak import StoppedBy, streak_of

DECISIVE = (Evidence.PASS, Evidence.FAIL)
"""The evidence that decides whether a job is broken."""


class EventStreak(NamedTuple):
    """The failures in a row of the runs of one event."""

    event: str
    consecutive_failures: int


@dataclass(frozen=True, slots=True)
class JobState:
    """The current state of one job.

    Attributes:
        key: the job.
        group: its group.
        failures_to_open: N for this job.
        consecutive_failures: number of consecutive FAIL columns up to the newest verdict.
        stopped_by: the reason why the streak is not longer.
        truncated: whether the streak may be longer, since older trunk commits were not read.
        broken: whether an outage is open.
        failures_in_outage: number of FAILs from first bad on; 0 when no outage is open.
        blame: of the open outage, else of the streak; None without either.
        pending: number of PENDING columns newer than the newest PASS.
        flaky: number of FLAKY columns newer than the newest PASS.
        last_verdict: the newest of PASS, FAIL and FLAKY.
        last_verdict_at: when its last run ended (seconds since the epoch).
        last_success_at: when the newest PASS's last run ended (seconds since the epoch).
        duration: run time of the newest verdict's longest shard (seconds).
        commit_indexes: of each column in the trunk's order, oldest first.
        verdicts: of each column, oldest first.
        hidden: the events whose runs alone would have opened an outage, with their streak; empty
            while one is open.
        known_broken: the reason and the end of an exemption that holds now.
        changes_at: when time alone will change it (seconds since the epoch), or None.
    """

    key: JobKey
    group: Group
    failures_to_open: int
    consecutive_failures: int
    stopped_by: StoppedBy
    truncated: bool
    broken: bool
    failures_in_outage: int
    blame: Blame | None
    pending: int
    flaky: int
    last_verdict: Verdict | None
    last_verdict_at: float | None
    last_success_at: float | None
    duration: float | None
    commit_indexes: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    hidden: tuple[EventStreak, ...]
    known_broken: tuple[str, float | None] | None
    changes_at: float | None

    @property
    def alerting(self) -> bool:
        """Whether it counts towards its group's threshold."""
        return self.broken and self.known_broken is None


def evaluate_job(
    key: JobKey,
    rows: Iterable[Observation],
    group: Group,
    order: TrunkOrder,
    rules: EvidenceRules,
    now: float,
) -> JobState:
    """Evaluate one job from all of its rows that count for the trunk.

    Args:
        key: the job.
        rows: in any order; repetitions are allowed; each must count for the trunk.
        group: the job's group.
        order: the trunk.
        rules: the evidence table.
        now: seconds since the epoch.
    """
    rows = list(rows)
    columns = build_columns(rows, order, rules, group.count, now)
    verdicts = tuple(column.verdict for column in columns)
    thresholds: Thresholds = group.thresholds_of(key.job_name)
    streak = streak_of(verdicts)
    outage = open_outage(verdicts, thresholds)
    newest_pass = _newest(verdicts, Verdict.PASS)
    newer = verdicts[newest_pass + 1 :] if newest_pass is not None else verdicts
    newest = _newest(verdicts, *DECIDED)
    return JobState(
        key=key,
        group=group,
        failures_to_open=thresholds.failures_to_open,
        consecutive_failures=streak.length,
        stopped_by=streak.stopped_by,
        truncated=streak.stopped_by is StoppedBy.WINDOW
        and streak.length > 0
        and order.older_unread,
        broken=outage is not None,
        failures_in_outage=outage.failures_in_outage if outage else 0,
        blame=blame_of(columns, order, rules, outage or streak),
        pending=newer.count(Verdict.PENDING),
        flaky=newer.count(Verdict.FLAKY),
        last_verdict=verdicts[newest] if newest is not None else None,
        last_verdict_at=ended_at(columns[newest], order) if newest is not None else None,
        last_success_at=ended_at(columns[newest_pass], order) if newest_pass is not None else None,
        duration=_duration(columns[newest]) if newest is not None else None,
        commit_indexes=tuple(column.commit_index for column in columns),
        verdicts=verdicts,
        hidden=()
        if outage or len({row.event for row in rows}) < 2
        else tuple(_hidden(columns, order, rules, group, thresholds, now)),
        known_broken=None,
        changes_at=earliest(column.changes_at for column in columns),
    )


def _hidden(
    columns: Sequence[Column],
    order: TrunkOrder,
    rules: EvidenceRules,
    group: Group,
    thresholds: Thresholds,
    now: float,
) -> Iterator[EventStreak]:
    """Yield the streaks of single events that results of other events hide.

    Only events with enough failures are evaluated: it costs as much as evaluating the job.
    """
    least = thresholds.failures_to_open
    failures = Counter(row.event for column in columns for row in column.rows(Evidence.FAIL))
    for event in sorted(event for event, number in failures.items() if number >= least):
        rows = [row for column in columns for row in column.rows(*Evidence) if row.event == event]
        own = build_columns(rows, order, rules, group.count, now)
        length = streak_of([column.verdict for column in own]).length
        if length >= least:
            yield EventStreak(event, length)


def earliest(moments: Iterable[float | None]) -> float | None:
    """Return the earliest of some times (seconds since the epoch), where None is never."""
    return min((moment for moment in moments if moment is not None), default=None)


def _newest(verdicts: Sequence[Verdict], *wanted: Verdict) -> int | None:
    for column in range(len(verdicts) - 1, -1, -1):
        if verdicts[column] in wanted:
            return column
    return None


def ended_at(column: Column, order: TrunkOrder) -> float | None:
    """Return when the last result that decides a column ended (seconds since the epoch).

    Without any such time it is the commit's time; None where that is unknown too.
    """
    ends = [row.ended_at for row in column.rows(*DECISIVE)]
    times = [time for time in ends if time is not None]
    return max(times) if times else order.commits[column.commit_index].committed_at


def _duration(column: Column) -> float | None:
    spans = [
        row.completed_at - row.started_at
        for row in column.rows(*DECISIVE)
        if row.completed_at is not None and row.started_at is not None
    ]
    return max((span for span in spans if span >= 0), default=None)
