"""The back-test: the outages and notifications that the policy gives for a stored history.

The history is replayed from the oldest commit to the newest. Results count as final, and as
reported in the order of the commits: the replay uses each column's current verdict
(docs/policy.md, section 4.4).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, TrunkOrder, Verdict
from trunkwatch.domain.outage import Thresholds, episodes
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.outage_history import JobHistory, Moment, OutageHistory, PastOutage

Position = tuple[int, int]
"""A position on the trunk, see `Moment.position`."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One change of the set of broken jobs that a group is notified of.

    Attributes:
        group: the group.
        moment: when the last result that caused it was reported.
        broken: jobs that joined the set, sorted.
        ended: jobs that left the set, sorted.
    """

    group: Group
    moment: Moment
    broken: tuple[JobKey, ...]
    ended: tuple[JobKey, ...]


@dataclass(frozen=True, slots=True)
class TeamTotal:
    """One team's totals of a replay.

    Attributes:
        team: its name.
        jobs: number of its jobs.
        outages: number of its jobs' outages.
        notifications: number of its notifications.
        one_off: number of FAIL columns outside any outage.
        flaky: number of FLAKY columns.
    """

    team: str
    jobs: int
    outages: int
    notifications: int
    one_off: int
    flaky: int


@dataclass(frozen=True, slots=True)
class BackTest:
    """The replay of one trunk.

    Attributes:
        order: the trunk.
        failures_to_open: N that replaced every job's own; None for the configured ones.
        outages: sorted by the position at which they opened, then by job.
        notifications: in the order of the trunk.
        teams: by name.
    """

    order: TrunkOrder
    failures_to_open: int | None
    outages: tuple[PastOutage, ...]
    notifications: tuple[Notification, ...]
    teams: tuple[TeamTotal, ...]


def back_test(
    order: TrunkOrder,
    jobs: Iterable[JobState],
    history: Callable[[JobState], JobHistory],
    policy: Policy,
    now: float,
    failures_to_open: int | None = None,
) -> BackTest:
    """Replay a trunk's history.

    Args:
        order: the trunk.
        jobs: all its watched jobs, also retired ones.
        history: returns a job's history; called only for jobs with an outage, since it reads rows.
        policy: the configured policy.
        now: seconds since the epoch; an exemption that ends later still holds.
        failures_to_open: N to use for every job instead of the configured one.
    """
    states = sorted(jobs, key=lambda job: job.key)
    outages: list[PastOutage] = []
    for state in states:
        thresholds = _thresholds(state, failures_to_open)
        if next(episodes(state.verdicts, thresholds), None) is not None:
            outages += OutageHistory(history(state), thresholds, order, policy, now).outages()
    notifications = sorted(
        _notifications(outages), key=lambda each: (each.moment.position, each.group.name)
    )
    counted = _with_notifications(outages, notifications)
    return BackTest(
        order=order,
        failures_to_open=failures_to_open,
        outages=tuple(sorted(counted, key=lambda each: (each.opened.position, each.key))),
        notifications=tuple(notifications),
        teams=tuple(_teams(states, outages, notifications, failures_to_open)),
    )


def _thresholds(state: JobState, failures_to_open: int | None) -> Thresholds:
    configured = state.group.thresholds_of(state.key.job_name)
    if failures_to_open is None:
        return configured
    return replace(configured, failures_to_open=failures_to_open)


# ---------------------------------------------------------------------- notifications


@dataclass(frozen=True, slots=True)
class _Change:
    """One job that starts or stops alerting."""

    moment: Moment
    key: JobKey
    alerting: bool


def _notifications(outages: Iterable[PastOutage]) -> Iterator[Notification]:
    for group, changes in _by_group(outages).items():
        yield from _of_group(group, sorted(changes, key=_position))


def _by_group(outages: Iterable[PastOutage]) -> Mapping[Group, list[_Change]]:
    by_group: dict[Group, list[_Change]] = defaultdict(list)
    for outage in outages:
        for change in _changes(outage):
            by_group[outage.group].append(change)
    return by_group


def alerting_jobs(outages: Iterable[PastOutage]) -> frozenset[JobKey]:
    """Return the jobs that alert after the last of all outages of some groups."""
    found: set[JobKey] = set()
    for group, changes in _by_group(outages).items():
        *_, (_, firing) = _firing(group, sorted(changes, key=_position))
        found |= firing
    return frozenset(found)


def _changes(outage: PastOutage) -> Iterator[_Change]:
    if outage.alerting_from is not None:
        yield _Change(outage.alerting_from, outage.key, alerting=True)
        if outage.closed is not None:
            yield _Change(outage.closed, outage.key, alerting=False)


def _position(change: _Change) -> Position:
    return change.moment.position


def _of_group(group: Group, changes: Sequence[_Change]) -> Iterator[Notification]:
    """Yield a notification for each position at which the group's firing jobs change.

    All changes of one commit are one notification, whatever the order of its results:
    Alertmanager's `group_wait` joins them in the same way.
    """
    notified: frozenset[JobKey] = frozenset()
    for together, firing in _firing(group, changes):
        if firing != notified:
            moment = max((change.moment for change in together), key=_time)
            yield Notification(
                group, moment, tuple(sorted(firing - notified)), tuple(sorted(notified - firing))
            )
        notified = firing


def _firing(
    group: Group, changes: Sequence[_Change]
) -> Iterator[tuple[Sequence[_Change], frozenset[JobKey]]]:
    """Yield the changes at each position with the jobs that alert after it.

    `failure_threshold` is a condition of the beginning: a job alerts until its own outage ends.
    """
    failing: set[JobKey] = set()
    firing: frozenset[JobKey] = frozenset()
    for _, members in groupby(changes, key=_position):
        together = list(members)
        for change in together:
            (failing.add if change.alerting else failing.discard)(change.key)
        has_enough = len(failing) >= group.failure_threshold
        firing = frozenset(failing) if has_enough else firing & failing
        yield together, firing


def _time(moment: Moment) -> float:
    return moment.at if moment.at is not None else float("-inf")


def _with_notifications(
    outages: Iterable[PastOutage], notifications: Iterable[Notification]
) -> Iterator[PastOutage]:
    """Yield each outage with the number of notifications that named its job while it was open."""
    named: dict[JobKey, list[Position]] = defaultdict(list)
    for each in notifications:
        for key in (*each.broken, *each.ended):
            named[key].append(each.moment.position)
    for outage in outages:
        end = outage.closed.position if outage.closed is not None else None
        positions = [
            position
            for position in named[outage.key]
            if position >= outage.opened.position and (end is None or position <= end)
        ]
        yield replace(outage, notifications=len(positions))


# ---------------------------------------------------------------------- teams


def _teams(
    jobs: Iterable[JobState],
    outages: Iterable[PastOutage],
    notifications: Iterable[Notification],
    failures_to_open: int | None,
) -> Iterator[TeamTotal]:
    job_counts: Counter[str] = Counter()
    one_off: Counter[str] = Counter()
    flaky: Counter[str] = Counter()
    for job in jobs:
        job_counts[job.group.team] += 1
        one_off[job.group.team] += _one_off(job, _thresholds(job, failures_to_open))
        flaky[job.group.team] += job.verdicts.count(Verdict.FLAKY)
    outage_counts = Counter(outage.group.team for outage in outages)
    sent = Counter(each.group.team for each in notifications)
    for team in sorted(job_counts):
        yield TeamTotal(
            team, job_counts[team], outage_counts[team], sent[team], one_off[team], flaky[team]
        )


def _one_off(job: JobState, thresholds: Thresholds) -> int:
    """Return the number of a job's failures outside any outage."""
    fails = job.verdicts.count(Verdict.FAIL)
    for episode in episodes(job.verdicts, thresholds):
        fails -= job.verdicts[episode.first_bad : episode.closed].count(Verdict.FAIL)
    return fails


def all_teams(tests: Iterable[BackTest]) -> tuple[TeamTotal, ...]:
    """Return the teams' totals over several trunks, sorted by name."""
    by_name: dict[str, TeamTotal] = {}
    for total in (team for test in tests for team in test.teams):
        before = by_name.get(total.team, TeamTotal(total.team, 0, 0, 0, 0, 0))
        by_name[total.team] = TeamTotal(
            total.team,
            before.jobs + total.jobs,
            before.outages + total.outages,
            before.notifications + total.notifications,
            before.one_off + total.one_off,
            before.flaky + total.flaky,
        )
    return tuple(total for _, total in sorted(by_name.items()))
