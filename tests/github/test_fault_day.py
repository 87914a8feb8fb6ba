"""The day with faults is reproducible, and its report separates right from wrong streaks."""

import pytest

from tests.github.exporter import running_exporter
from tests.github.fault_day import (
    SOURCE_OPTIONS,
    DayReport,
    Minute,
    day,
    index_at,
    measure_day,
    wrong_streaks,
)
from tests.github.large_trunk import REPO
from tests.github.scenario import ExpectedOverTime

HOURS_BEFORE_STALE_INDEX = 3


@pytest.mark.slow
def test_a_day_is_reproducible() -> None:
    """The seed determines commits, results and re-runs."""
    one, two, other = (day(seed) for seed in (1, 1, 2))
    for made in (one, two, other):
        made.fake.now += 86400
    facts = [made.fake.expected_facts(made.repo) for made in (one, two, other)]
    assert facts[0] == facts[1] != facts[2]
    assert {row.conclusion for row in facts[0][1]} >= {"success", "failure", "timed_out"}
    assert any(row.attempt > 1 for row in facts[0][1])


def test_hours_of_the_index_are_stale_or_incomplete() -> None:
    """At least a quarter of the day has an index that differs from the database."""
    indexes = [index_at(hour * 3600.0, 0.0) for hour in range(24)]
    assert sum(index != index_at(0.0, 0.0) for index in indexes) >= 6
    assert indexes[0].time(60.0) == 60.0
    assert indexes[3].time(4 * 3600.0) == 3 * 3600.0


def test_a_streak_is_right_if_it_was_expected_lately() -> None:
    """A former state is right among all states since then, and wrong beside the last one."""
    made = day()
    expected = ExpectedOverTime(made.fake, made.repo)
    before = expected.now()
    made.fake.now += 6 * 3600
    after = expected.now()
    assert list(wrong_streaks(before, [before, after])) == []
    wrong = list(wrong_streaks(before, [after]))
    assert wrong
    assert all(found != right for _, found, right in wrong)
    assert list(wrong_streaks({}, [after]))


def test_the_report_adds_up() -> None:
    """A marked wrong minute is not silent, and a marked right one is needless doubt."""
    report = DayReport()
    wrong = (("job", 1, 2),)
    for number, (found, doubtful) in enumerate(
        [((), False), ((), True), (wrong, True), (wrong, False), ((), False)]
    ):
        report.add(Minute(number, 5, found, doubtful))
    assert (report.minutes, report.wrong, report.silently_wrong) == (5, 2, 1)
    assert report.needless_doubt == pytest.approx(1 / 3)


@pytest.mark.large
@pytest.mark.slow
def test_single_faults_make_no_streak_wrong() -> None:
    """While the index is complete, one failing request of twenty makes no streak wrong."""
    made, report = day(), DayReport()
    with running_exporter(made.fake, REPO, SOURCE_OPTIONS) as exporter:
        for minute in measure_day(exporter, made, hours=HOURS_BEFORE_STALE_INDEX):
            report.add(minute)
        assert len({kind for kind, _ in exporter.server.faults.happened}) >= 6
    assert (report.wrong, report.minutes) == (0, 180)
