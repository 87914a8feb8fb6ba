"""The alerts that each of several numbers of failures would have caused, and their delays."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from trunkwatch.domain.model import JobKey
from trunkwatch.engine.backtest import BackTest, all_teams
from trunkwatch.engine.outage_history import Moment, PastOutage


@dataclass(frozen=True, slots=True)
class Trial:
    """One team under one number of failures.

    Attributes:
        team: its name.
        failures_to_open: N of every job.
        outages: number of its outages.
        alerts: number of notifications that named a job as newly broken.
        delays: seconds from the failure to the alert of each outage that had one, sorted.
        fixed_themselves: outages that ended before the next larger N; None for the largest.
    """

    team: str
    failures_to_open: int
    outages: int
    alerts: int
    delays: tuple[float, ...]
    fixed_themselves: int | None

    @property
    def median_delay(self) -> float | None:
        """The median of the delays (seconds), or None."""
        return median(self.delays) if self.delays else None

    @property
    def longest_delay(self) -> float | None:
        """The longest delay (seconds), or None."""
        return self.delays[-1] if self.delays else None


Replays = Mapping[int, Sequence[BackTest]]
"""The back-tests of the same trunks, by the number of failures of every job."""


class _Replay:
    """The outages and alerts of one number, by job.

    Attributes:
        tests: per trunk.
        outages: of each job, in the order of opening.
    """

    def __init__(self, tests: Sequence[BackTest]) -> None:
        self.tests = tests
        self.outages: dict[JobKey, list[PastOutage]] = defaultdict(list)
        self._alerts: dict[JobKey, list[Moment]] = defaultdict(list)
        for test in tests:
            for outage in test.outages:
                self.outages[outage.key].append(outage)
            for each in test.notifications:
                for key in each.broken:
                    self._alerts[key].append(each.moment)

    def delay(self, outage: PastOutage) -> float | None:
        """Return the seconds from a failure to its alert; None if unknown, or without one."""
        for moment in self._alerts.get(outage.key, ()):
            if _is_within(moment, outage):
                if moment.at is None or outage.broken_since is None:
                    return None
                return max(0.0, moment.at - outage.broken_since)
        return None

    def within(self, outage: PastOutage) -> PastOutage | None:
        """Return the first outage that opened while one of another number was open."""
        others = self.outages.get(outage.key, ())
        return next((other for other in others if _is_within(other.opened, outage)), None)


def _is_within(moment: Moment, outage: PastOutage) -> bool:
    is_before_end = outage.closed is None or moment.position < outage.closed.position
    return outage.opened.position <= moment.position and is_before_end


class Comparison:
    """The replays of one history with several numbers of failures.

    Attributes:
        numbers: ascending.
    """

    def __init__(self, replays: Replays) -> None:
        """Args:
        replays: at least one.
        """
        self.numbers = sorted(replays)
        self._replays = {number: _Replay(replays[number]) for number in self.numbers}

    @property
    def smallest(self) -> Sequence[BackTest]:
        """The replays of the smallest number, which have every failure that some number sees."""
        return self._replays[self.numbers[0]].tests

    def delays_of(self, outage: PastOutage) -> Iterator[float | None]:
        """Yield the delay of the alert of an outage under each number (seconds); None for none.

        Args:
            outage: of the smallest number.
        """
        for replay in self._replays.values():
            other = replay.within(outage)
            yield None if other is None else replay.delay(other)

    def trials(self) -> Iterator[Trial]:
        """Yield each team under each number, by team and then by number."""
        for total in all_teams(self.smallest):
            for number, larger in zip(self.numbers, [*self.numbers[1:], None], strict=True):
                yield self._trial(total.team, number, larger)

    def _trial(self, team: str, number: int, larger: int | None) -> Trial:
        replay = self._replays[number]
        outages = [
            outage for test in replay.tests for outage in test.outages if outage.group.team == team
        ]
        delays = (replay.delay(outage) for outage in outages)
        fixed = larger and sum(
            outage.closed is not None and self._replays[larger].within(outage) is None
            for outage in outages
        )
        return Trial(
            team=team,
            failures_to_open=number,
            outages=len(outages),
            alerts=sum(
                bool(each.broken) and each.group.team == team
                for test in replay.tests
                for each in test.notifications
            ),
            delays=tuple(sorted(delay for delay in delays if delay is not None)),
            fixed_themselves=fixed,
        )
