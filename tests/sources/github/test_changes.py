"""Runs that are run again, deleted, never end, or are listed wrongly."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github import trunk_reader

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.faults import Kind
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    HOUR,
    MINUTE,
    Story,
    check_truth,
    counted,
    sent,
    spoilt,
)

FAILS = Job("test", conclusion="failure")


def numbered(number: int) -> Workflow:
    return Workflow(f"w{number}", f".github/workflows/{number}.yml")


def minutes_until(
    exporter: SimulatedExporter, happened: Callable[[], bool], at_most: int = 60
) -> int:
    """Let time go by until something is noticed; return the minutes."""
    for minutes in range(1, at_most + 1):
        exporter.advance(MINUTE)
        if happened():
            return minutes
    raise AssertionError(f"not noticed within {at_most} minutes")


# ---------------------------------------------------------------------- runs that change


def long_history(broken: bool) -> Story:
    """A trunk of 48 commits, whose oldest three failed; `broken` ever since, or passing."""
    story = Story()
    for number in range(48):
        commit = story.push()
        if number < 3 or not broken:
            story.runs[number] = story.run(commit, "F" if number < 3 else "P")
        for place in range(3):
            story.run(commit, "P", numbered(place), f"t{place}")
        story.fake.now += HOUR
    return story


@pytest.mark.slow
def test_a_rerun_of_a_commit_of_long_ago_is_noticed_within_half_an_hour(graphql: bool) -> None:
    """A re-run keeps `created_at`, so each closed range of the list is checked in turn."""
    story = long_history(broken=False)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR + 7 * MINUTE)
        story.runs[4].rerun(story.fake.now + 5, [FAILS])
        noticed = minutes_until(exporter, lambda: exporter.job("test").verdicts[4].name == "FLAKY")
        assert noticed <= 30
        check_truth(exporter)


@pytest.mark.slow
def test_without_quota_the_data_ages_when_older_runs_are_due(
    graphql: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is in flight and the newest runs are read for free, but not a re-run of long ago."""
    monkeypatch.setattr(trunk_reader, "MAX_LISTED_PAGES", 1)
    story = long_history(broken=False)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        begin = story.fake.now
        story.runs[4].rerun(begin + 5, [FAILS])
        with monkeypatch.context() as spent:
            spent.setattr(RefreshBudget, "for_news", lambda _self: False)
            assert exporter.advance(HOUR)[-1].state.up
        known = exporter.trunk.data_at
        assert known is not None
        assert begin <= known <= begin + 26 * MINUTE
        exporter.advance(30 * MINUTE)
        assert exporter.trunk.data_at == story.fake.now
        check_truth(exporter)


def test_without_quota_the_data_ages_while_jobs_end(
    graphql: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each job the run changes anew, so that its last change is no measure."""
    story = Story("P F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        jobs = [Job(f"t{minute}", end=minute * MINUTE) for minute in range(1, 30)]
        story.jobs(story.push(), [replace(FAILS, end=MINUTE), *jobs])
        begin = story.fake.now
        with monkeypatch.context() as spent:
            spent.setattr(RefreshBudget, "for_news", lambda _self: False)
            exporter.advance(20 * MINUTE)
        assert exporter.job("test").consecutive_failures == 1
        known = exporter.trunk.data_at
        assert known is not None
        assert begin <= known <= begin + MINUTE
        exporter.advance(2 * MINUTE)
        assert exporter.job("test").consecutive_failures == 2


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0, 7])
def test_a_rerun_of_an_open_outage_is_noticed_sooner(wait: int, graphql: bool) -> None:
    """Commits of open outages are where people press the button."""
    story = long_history(broken=True)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR + wait * MINUTE)
        assert exporter.job("test").broken
        story.runs[1].rerun(story.fake.now + 5, [Job("test")])
        noticed = minutes_until(exporter, lambda: exporter.job("test").flaky == 1)
        assert noticed <= 10 + 6 + 2
        check_truth(exporter)


def test_a_rerun_in_the_newest_part_is_noticed_at_once(graphql: bool) -> None:
    """It is asked for at each refresh."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.runs[3].rerun(story.fake.now + 5, [Job("test")])
        story.fake.now += 6 * MINUTE
        exporter.refresh()
        check_truth(exporter)
        assert exporter.job("test").flaky == 1


def test_a_deleted_run_keeps_what_it_said(graphql: bool) -> None:
    """Deleting a run is no fix, and costs nothing again and again."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(2 * MINUTE)
        story.runs[2].delete(story.fake.now)
        done = exporter.advance(HOUR)
        assert exporter.job("test").consecutive_failures == 3
        assert counted(done) <= 1
        check_truth(exporter)


def test_a_run_that_is_deleted_before_its_jobs_were_read_is_no_trouble() -> None:
    """The list still has it for a moment, and its jobs are not there."""
    story = Story("P F F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.server.fail_next(Kind.DELETED_RUN, f"runs/{story.runs[1].id}/jobs")
        refreshed = exporter.refresh()
        assert refreshed.state.up
        assert exporter.job("test").consecutive_failures == 1
        assert [v.name for v in exporter.job("test").verdicts] == ["PASS", "FAIL"]


@pytest.mark.slow
def test_a_dead_twin_is_pending_for_a_day_and_a_half_and_then_unknown(graphql: bool) -> None:
    """A run that stays queued for ever neither hides a streak nor costs anything."""
    story = Story("P ? F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").pending == 1
        exporter.advance(32 * HOUR, every=HOUR)
        assert exporter.job("test").pending == 1
        exporter.advance(2 * HOUR, every=HOUR)
        exporter.poller.expire_once()
        assert exporter.job("test").pending == 0
        check_truth(exporter)
        done = exporter.advance(HOUR)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)


# ---------------------------------------------------------------------- lists that lie


NULLS = ["id", "name", "head_branch", "head_sha", "path", "event", "status", "conclusion",
         "run_number", "run_attempt", "created_at", "updated_at", "head_repository",
         "check_suite_id"]  # fmt: skip


@pytest.mark.parametrize("key", NULLS)
def test_a_run_with_a_null_field_changes_nothing_for_long(key: str) -> None:
    """Any field may be null for a moment; the row is read again, and no job fires."""
    story = Story("P F F P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        story.then("F F")

        def null(document: Any) -> None:
            for row in document["workflow_runs"]:
                row[key] = None

        with spoilt(exporter, "/actions/runs$", null, times=3):
            exporter.refresh()
            assert not exporter.job("test").broken
            exporter.advance(3 * MINUTE)
        check_truth(exporter)


@pytest.mark.parametrize("kind", [Kind.MISSING_ROW, Kind.DUPLICATED_ROW, Kind.NULL_FIELD])
def test_a_list_that_contradicts_itself_is_read_again(kind: Kind) -> None:
    """The second answer is taken in the same refresh."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.server.fail_next(kind, "/actions/runs$")
        exporter.refresh_until_idle()
        check_truth(exporter)
