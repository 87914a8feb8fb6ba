"""What the policy would have told of a history: outages, notifications, and what it kept quiet.

A replay from the oldest commit to the newest. Results are taken as final, and as known in the
order of the commits: what a column says now is what it said then (docs/policy.md, section 4.4).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, TrunkOrder, Verdict
from trunkwatch.domain.outage import Thresholds, episodes
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.outage_history import JobHistory, Moment, OutageHistory, PastOutage

Step = tuple[int, int]
"""A place on the trunk, see `Moment.step`."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One change of the set of broken jobs that a group is told of.

    Attributes:
        group: the group.
        moment: when the last result that brought it was there.
        broken: jobs that came to the set, sorted.
        ended: jobs that left it, sorted.
    """

    group: Group
    moment: Moment
    broken: tuple[JobKey, ...]
    ended: tuple[JobKey, ...]


@dataclass(frozen=True, slots=True)
class TeamTotal:
    """What one team would have heard, and what not.

    Attributes:
        team: its name.
        jobs: that it answers for.
        outages: that its jobs had.
        notifications: that it would have got.
        one_off: FAIL columns that belong to no outage.
        flaky: FLAKY columns.
    """

    team: str
    jobs: int
    outages: int
    notifications: int
    one_off: int
    flaky: int


@dataclass(frozen=True, slots=True)
class BackTest:
    """One trunk's replay.

    Attributes:
        order: the trunk.
        failures_to_open: N that was tried for every job; None for the configuration's.
        outages: by where they opened, then by job.
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
        jobs: all watched jobs of it, removed ones too.
        history: of a job; is asked only of jobs that had an outage, since it costs a reading.
        policy: what the configuration decides.
        now: seconds since the epoch; an exemption that ends later has not ended.
        failures_to_open: N to try for every job in place of the configuration's.
    """
    states = sorted(jobs, key=lambda job: job.key)
    outages: list[PastOutage] = []
    for state in states:
        thresholds = _thresholds(state, failures_to_open)
        if next(episodes(state.verdicts, thresholds), None) is not None:
            outages += OutageHistory(history(state), thresholds, order, policy, now).outages()
    told = sorted(_notifications(outages), key=lambda n: (n.moment.step, n.group.name))
    return BackTest(
        order=order,
        failures_to_open=failures_to_open,
        outages=tuple(sorted(_counted(outages, told), key=lambda o: (o.opened.step, o.key))),
        notifications=tuple(told),
        teams=tuple(_teams(states, outages, told, failures_to_open)),
    )


def _thresholds(state: JobState, failures_to_open: int | None) -> Thresholds:
    configured = state.group.thresholds_of(state.key.job_name)
    return (
        configured
        if failures_to_open is None
        else replace(configured, failures_to_open=failures_to_open)
    )


# ---------------------------------------------------------------------- notifications


@dataclass(frozen=True, slots=True)
class _Change:
    """One job that becomes loud, or is no longer so."""

    moment: Moment
    key: JobKey
    loud: bool


def _notifications(outages: Iterable[PastOutage]) -> Iterator[Notification]:
    by_group: dict[Group, list[_Change]] = defaultdict(list)
    for outage in outages:
        by_group[outage.group].extend(_changes(outage))
    for group, changes in by_group.items():
        yield from _of_group(group, sorted(changes, key=_step))


def _changes(outage: PastOutage) -> Iterator[_Change]:
    if outage.loud is not None:
        yield _Change(outage.loud, outage.key, loud=True)
        if outage.closed is not None:
            yield _Change(outage.closed, outage.key, loud=False)


def _step(change: _Change) -> Step:
    return change.moment.step


def _of_group(group: Group, changes: Sequence[_Change]) -> Iterator[Notification]:
    """Tell of each commit that changes which jobs the group is told of.

    What one commit breaks is told together, however its results come in: so does Alertmanager,
    which waits for more of a group before it sends.
    """
    loud: set[JobKey] = set()
    told: frozenset[JobKey] = frozenset()
    for _, members in groupby(changes, key=_step):
        together = list(members)
        for change in together:
            (loud.add if change.loud else loud.discard)(change.key)
        shown = frozenset(loud) if len(loud) >= group.failure_threshold else frozenset()
        if shown != told:
            moment = max((change.moment for change in together), key=_time)
            yield Notification(
                group, moment, tuple(sorted(shown - told)), tuple(sorted(told - shown))
            )
        told = shown


def _time(moment: Moment) -> float:
    return moment.at if moment.at is not None else float("-inf")


def _counted(outages: Iterable[PastOutage], told: Iterable[Notification]) -> Iterator[PastOutage]:
    """Give each outage the number of notifications that named its job while it lasted."""
    named: dict[JobKey, list[Step]] = defaultdict(list)
    for each in told:
        for key in (*each.broken, *each.ended):
            named[key].append(each.moment.step)
    for outage in outages:
        end = outage.closed.step if outage.closed is not None else None
        steps = [
            step
            for step in named[outage.key]
            if step >= outage.opened.step and (end is None or step <= end)
        ]
        yield replace(outage, notifications=len(steps))


# ---------------------------------------------------------------------- teams


def _teams(
    jobs: Iterable[JobState],
    outages: Iterable[PastOutage],
    told: Iterable[Notification],
    failures_to_open: int | None,
) -> Iterator[TeamTotal]:
    answers_for: Counter[str] = Counter()
    one_off: Counter[str] = Counter()
    flaky: Counter[str] = Counter()
    for job in jobs:
        answers_for[job.group.team] += 1
        one_off[job.group.team] += _one_off(job, _thresholds(job, failures_to_open))
        flaky[job.group.team] += job.verdicts.count(Verdict.FLAKY)
    broke = Counter(outage.group.team for outage in outages)
    heard = Counter(each.group.team for each in told)
    for team in sorted(answers_for):
        yield TeamTotal(
            team, answers_for[team], broke[team], heard[team], one_off[team], flaky[team]
        )


def _one_off(job: JobState, thresholds: Thresholds) -> int:
    """Count the failures of a job that belong to no outage."""
    fails = job.verdicts.count(Verdict.FAIL)
    for episode in episodes(job.verdicts, thresholds):
        fails -= job.verdicts[episode.first_bad : episode.closed].count(Verdict.FAIL)
    return fails


def all_teams(tests: Iterable[BackTest]) -> tuple[TeamTotal, ...]:
    """Add up the teams of several trunks, by name."""
    by_name: dict[str, TeamTotal] = {}
    for total in (team for test in tests for team in test.teams):
        known = by_name.get(total.team, TeamTotal(total.team, 0, 0, 0, 0, 0))
        by_name[total.team] = TeamTotal(
            total.team,
            known.jobs + total.jobs,
            known.outages + total.outages,
            known.notifications + total.notifications,
            known.one_off + total.one_off,
            known.flaky + total.flaky,
        )
    return tuple(total for _, total in sorted(by_name.items()))
