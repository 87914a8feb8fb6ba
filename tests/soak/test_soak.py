"""The short forms of `make soak`: some kills under load, some simulated hours with faults."""

import pytest

from tests.soak.kills import kill_run
from tests.soak.weeks import Report, Usage, soak
from tests.soak.world import Size

KILLS = 8


@pytest.mark.live
def test_kills_under_load_lose_nothing() -> None:
    """After SIGKILLs at any moment nothing accepted is lost, no storage is corrupt, no outage ends
    falsely, and /metrics is that of an exporter that was never killed.
    """
    with kill_run(seed=3, deliveries_wanted=2000) as run:
        report = run.run(KILLS)
    print(report)
    assert report.kills >= KILLS
    assert report.results > 0
    assert report.wrong == 0


@pytest.mark.slow
def test_hours_with_faults_leak_nothing_and_show_no_wrong_streak() -> None:
    """No streak is wrong at any minute, and files, threads and series stay as many as they were."""
    size = Size(workflows=4, jobs=40)
    *usage, report = soak(0.3, size, periods=3, keep_days=0.1)
    print(*usage, report, sep="\n")
    assert isinstance(report, Report)
    assert report.wrong == []
    assert report.late == 0
    assert report.streaks > 500
    first, *_, last = [each for each in usage if isinstance(each, Usage)]
    assert (first.descriptors, first.threads) == (last.descriptors, last.threads)
    assert last.series <= first.series * 1.1
