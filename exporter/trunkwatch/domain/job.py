"""The evaluation of one job from its rows (docs/policy.md, section 3)."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from trunkwatch.domain.blame import Blame, blame_of
from trunkwatch.domain.columns import Column, build_columns, event_verdicts
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.model import JobKey, Observation, TrunkOrder, Verdict
from trunkwatch.domain.walk import EndedOutage, JobWalk, StoppedBy

FLAKY_WINDOW = 20
"""The newest verdicts of a job that decide whether it is mostly flaky."""

FLAKY_COLUMNS = 1_000
"""The newest columns in which they are looked for: a job that is skipped in most runs has a long
history with few verdicts."""


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
        history: its columns.
        ended: the newest outage that was closed, if any.
        hidden: the events whose runs alone would have opened an outage, with their streak; empty
            while one is open.
        known_broken: the reason and the end of an exemption that holds now.
        changes_at: when time alone will change it (seconds since the epoch), or None.
        is_gated: its outage does not alert: its group has had too few at once (docs/policy.md,
            section 3.17).
        evaluated_at: when it was evaluated last (seconds since the epoch); no part of the state.
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
    history: ColumnHistory
    ended: EndedOutage | None
    hidden: tuple[EventStreak, ...]
    known_broken: tuple[str, float | None] | None
    changes_at: float | None
    is_gated: bool = False
    evaluated_at: float = field(default=0.0, compare=False)

    @property
    def commit_indexes(self) -> tuple[int, ...]:
        """The index of each column's commit in the trunk's order, oldest first."""
        return self.history.commit_indexes

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of each column, oldest first."""
        return self.history.verdicts

    @property
    def mostly_flaky(self) -> bool:
        """Whether most of its newest 20 verdicts are FLAKY: such a job may never alert."""
        newest = self.history.newest_decided(FLAKY_WINDOW, FLAKY_COLUMNS)
        return newest.count(Verdict.FLAKY) * 2 > FLAKY_WINDOW

    @property
    def failing(self) -> bool:
        """Whether it counts towards its group's threshold."""
        return self.broken and self.known_broken is None

    @property
    def alerting(self) -> bool:
        """Whether its team is notified."""
        return self.failing and not self.is_gated


@dataclass(frozen=True, slots=True)
class JobRules:
    """What a job is evaluated by.

    Attributes:
        group: the job's group.
        order: the trunk.
        evidence: the evidence table.
        now: seconds since the epoch.
        is_cut: older results of the job were dropped without a base.
    """

    group: Group
    order: TrunkOrder
    evidence: EvidenceRules
    now: float
    is_cut: bool = False

    def columns(self, rows: Iterable[Observation]) -> list[Column]:
        """Return the columns of some rows, oldest first; each row must count for the trunk."""
        return build_columns(rows, self.order, self.evidence, self.group.count, self.now)


def by_commit(columns: Iterable[Column]) -> list[list[Column]]:
    """Return the columns of each commit.

    Args:
        columns: oldest first.
    """
    return [list(group) for _, group in groupby(columns, key=attrgetter("commit_index"))]


def walk_commits(
    walk: JobWalk, commits: Sequence[list[Column]], job_name: str, rules: JobRules
) -> None:
    """Add the columns of the next commits to the walk of a job.

    Args:
        walk: the job as of the commit before.
        commits: the columns of each, oldest first.
        job_name: of the job.
        rules: what it is evaluated by.
    """
    order, thresholds = rules.order, rules.group.thresholds_of(job_name)
    rest = deque(commits)
    while rest:
        passes = list(_first_passes(rest)) if walk.is_green else []
        if passes:
            walk.add_passes(passes, order)
            continue
        columns = rest.popleft()
        events = event_verdicts(columns, order, rules.evidence, rules.group.count, rules.now)
        walk.add(columns, events, order, thresholds)


def _first_passes(commits: deque[list[Column]]) -> Iterator[Column]:
    """Take the commits before the first that has more than one PASS."""
    while commits and len(commits[0]) == 1 and commits[0][0].verdict is Verdict.PASS:
        yield from commits.popleft()


def state_of(key: JobKey, walk: JobWalk, history: ColumnHistory, rules: JobRules) -> JobState:
    """Return the state of a job as of the end of its walk.

    Args:
        key: the job.
        walk: over all of its commits.
        history: its columns.
        rules: what it is evaluated by.
    """
    group, order, decision = rules.group, rules.order, walk.decision
    failures_to_open = group.thresholds_of(key.job_name).failures_to_open
    streak, first_bad = walk.outages.fails, walk.outage or walk.streak
    older_unread = order.older_unread or rules.is_cut
    return JobState(
        key=key,
        group=group,
        failures_to_open=failures_to_open,
        consecutive_failures=streak,
        stopped_by=walk.stopped_by,
        truncated=walk.stopped_by is StoppedBy.WINDOW and streak > 0 and older_unread,
        broken=walk.outage is not None,
        failures_in_outage=walk.outage.failures if walk.outage else 0,
        blame=blame_of(first_bad, order, rules.evidence) if first_bad else None,
        pending=walk.pending,
        flaky=walk.flaky,
        last_verdict=decision.verdict if decision else None,
        last_verdict_at=decision.ended_at if decision else None,
        last_success_at=walk.last_success_at,
        duration=decision.duration if decision else None,
        history=history,
        ended=walk.ended,
        hidden=()
        if walk.outage
        else tuple(
            EventStreak(event, length)
            for event, length in sorted(walk.events.items())
            if length >= failures_to_open
        ),
        known_broken=None,
        changes_at=walk.changes_at,
        evaluated_at=rules.now,
    )


def evaluate_job(key: JobKey, rows: Iterable[Observation], rules: JobRules) -> JobState:
    """Evaluate one job from all of its rows that count for the trunk.

    Args:
        key: the job.
        rows: in any order; repetitions are allowed; each must count for the trunk.
        rules: what it is evaluated by.
    """
    walk, columns = JobWalk(), rules.columns(rows)
    walk_commits(walk, by_commit(columns), key.job_name, rules)
    return state_of(key, walk, ColumnHistory(map(place_of, columns)), rules)


def place_of(column: Column) -> Place:
    """Return the verdict of a column with its commit."""
    return Place(column.commit_index, column.verdict, column.result.skipped)
