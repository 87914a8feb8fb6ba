"""Jobs that exceeded their time limit, which GitHub reports as cancelled."""

from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs

from tests.github.exporter import running_exporter
from tests.github.faults import Kind
from tests.github.workflows import SUPERSEDED, Job
from tests.sources.github.stories import (
    HOUR,
    LINT,
    MINUTE,
    Story,
    asked,
    check_truth,
    counted,
    spoilt,
)

FAILS = Job("test", conclusion="failure")
ANNOTATIONS = "/annotations"
FAIL_FAST = 'The strategy configuration was canceled because "test" failed'


def cancelled(seconds: float, *, hang: bool = True) -> Job:
    """Return a job that was cancelled after some time, by its own limit or by a push."""
    said = () if hang else (SUPERSEDED.format(branch="main"),)
    return Job("test", 30.0, 30.0 + seconds, "cancelled", hang=hang, annotations=said)


def push(story: Story, job: Job) -> None:
    story.jobs(story.push(), [job, Job("other")])
    story.fake.now += HOUR


@pytest.mark.parametrize(("letters", "streak", "broken"), [
    ("P H H", 2, False),
    ("P H H H", 3, True),
    ("P C C C", 0, False),
    ("P c c c", 0, False),
    ("P H C H C H", 3, True),
    ("P F H C F", 3, True),
    ("P H H H C", 3, True),
    ("P H H P H", 1, False),
])  # fmt: skip
def test_hangs_count_and_cancellations_do_not(
    letters: str, streak: int, broken: bool, graphql: bool
) -> None:
    """Three timed-out jobs in a row fire, two do not; a job that a push cancelled is no result."""
    with running_exporter(Story(letters).fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert (exporter.job("test").consecutive_failures, exporter.job("test").broken) == (
            streak,
            broken,
        )
        check_truth(exporter)


def test_a_workflow_waits_for_the_annotations_that_an_error_cut_off() -> None:
    """Without the older hang, the failure after it would give a streak that never was."""
    story = Story("P F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        known = exporter.trunk.data_at
        hang, failure = replace(cancelled(600), end=1200.0), replace(FAILS, end=1200.0)
        story.jobs(story.push(), [hang])
        story.jobs(story.push(), [failure])
        story.fake.now += 25 * MINUTE
        exporter.server.fail_next(Kind.TOO_MANY, ANNOTATIONS)
        exporter.refresh()
        assert exporter.job("test").consecutive_failures == 1
        assert exporter.trunk.data_at == known
        exporter.advance(3 * MINUTE)
        assert exporter.job("test").consecutive_failures == 3
        check_truth(exporter)


def test_a_workflow_waits_for_annotations_for_half_an_hour() -> None:
    """They are never answered, and with each commit another job is cancelled."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.server.fail_next(Kind.RESET, ANNOTATIONS, times=10_000)
        for _ in range(6):
            jobs = [FAILS, Job("long", 30.0, 500.0, "cancelled")]
            story.jobs(story.push(), jobs)
            exporter.advance(10 * MINUTE)
        assert exporter.job("test").consecutive_failures == 6


def test_annotations_that_were_taken_back_are_read_again() -> None:
    """They came after those of a cancelled job that failed, and before an error."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        failing = [replace(FAILS, name=name, annotations=("boom",)) for name in "ab"]
        hang, slow = Job("long", 30.0, 700.0, "cancelled", hang=True), Job("slow", end=4 * HOUR)
        story.jobs(story.push(), [*failing, hang, slow])
        story.jobs(story.commits[-1], [Job("lint", end=16 * MINUTE - 20)], LINT)
        story.fake.now += 15 * MINUTE
        exporter.server.fail_next(Kind.SERVER_ERROR, ANNOTATIONS, times=3)
        exporter.refresh()
        story.fake.now += MINUTE
        first = len(exporter.server.log)
        kinds = iter([Kind.SERVER_ERROR] * 3 + [None, Kind.TOO_MANY])

        def fail(path: str, _response: object) -> Kind | None:
            return next(kinds, None) if path.endswith(ANNOTATIONS) else None

        with mock.patch.object(exporter.server.faults, "pick", fail):
            exporter.refresh()
        assert len(asked(exporter, ANNOTATIONS, first)) == 5
        exporter.advance(HOUR)
        for name in "ab":
            blame = exporter.job(name).blame
            assert blame is not None
            assert blame.annotations == ("boom",)


@pytest.mark.parametrize(("seconds", "asks"), [(299, 0), (300, 1), (3000, 1)])
def test_a_job_that_was_cancelled_soon_is_not_asked(seconds: float, asks: int) -> None:
    """Five minutes are the border: no sensible limit is shorter."""
    story = Story("P")
    push(story, cancelled(seconds, hang=False))
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert len(asked(exporter, ANNOTATIONS)) == asks
        check_truth(exporter)


@pytest.mark.parametrize("field", ["started_at", "completed_at"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", None])
def test_a_job_of_unknown_duration_is_asked(field: str, time: str | None) -> None:
    """A placeholder for a time is no time: only the annotations can then decide."""
    story = Story("P")
    for _ in range(3):
        push(story, cancelled(60))
    with running_exporter(story.fake, graphql=False) as exporter:
        with spoilt(exporter, "/jobs$|/check-runs$", lambda rows: blur(rows, field, time), 9):
            exporter.refresh_until_idle()
        assert exporter.job("test").broken


def blur(rows: Any, field: str, time: str | None) -> None:
    """Replace a time of each cancelled row."""
    for row in rows.get("jobs") or rows["check_runs"]:
        if row["conclusion"] == "cancelled":
            row[field] = time


@pytest.mark.slow
def test_each_job_is_asked_once() -> None:
    """Also over restarts, and whatever else happens to the run."""
    story = Story("P H H H C C")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert len(asked(exporter, ANNOTATIONS)) == 5
        exporter.advance(HOUR)
        exporter.restart()
        exporter.advance(HOUR)
        story.runs[2].rerun(story.fake.now + 5, [Job("later")])
        exporter.advance(HOUR)
        assert len(asked(exporter, ANNOTATIONS)) == 5
        check_truth(exporter)


def test_it_is_pending_until_it_has_been_asked() -> None:
    """An undecided job is pending, and the next refresh reads its annotations."""
    with running_exporter(Story("P H H H").fake, graphql=False) as exporter:
        exporter.server.fail_next(Kind.SERVER_ERROR, ANNOTATIONS, times=9)
        refreshed = exporter.refresh()
        assert not refreshed.state.up
        assert "annotations" in (refreshed.state.problem or "")
        assert (exporter.job("test").consecutive_failures, exporter.job("test").pending) == (0, 3)
        exporter.advance(MINUTE)
        assert exporter.job("test").broken
        check_truth(exporter)


def test_the_data_ages_while_one_is_undecided() -> None:
    """The streaks are those of the time when the oldest undecided job ended."""
    story = Story("P H H")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        story.then("H")
        with mock.patch.object(TimedOutJobs, "read", return_value=()):
            exporter.advance(2 * HOUR)
            assert exporter.job("test").pending == 1
            (row, *_) = story.runs[3].rows(story.fake.now)
            assert exporter.trunk.data_at == row.completed_at(story.fake.now)
        exporter.advance(MINUTE)
        assert exporter.trunk.data_at == exporter.fake.now
        check_truth(exporter)


def test_one_that_cannot_be_asked_leaves_the_others() -> None:
    """Each is asked by itself."""
    story = Story("P H H H")
    with running_exporter(story.fake, graphql=False) as exporter:
        row = next(iter(story.runs[2].rows(story.fake.now)))
        exporter.server.fail_next(Kind.SERVER_ERROR, f"{row.id}{ANNOTATIONS}", times=3)
        exporter.refresh()
        assert (exporter.job("test").consecutive_failures, exporter.job("test").pending) == (2, 1)
        exporter.advance(MINUTE)
        check_truth(exporter)


def test_annotations_that_are_gone_say_that_it_did_not_hang() -> None:
    """404 is an answer of the one that was asked: it stays cancelled, and is not asked again."""
    with running_exporter(Story("P H H H").fake, graphql=False) as exporter:
        for run in exporter.fake.repos["o/r"].runs:
            for row in run.rows(exporter.fake.now):
                exporter.fake.repos["o/r"].rows.pop(row.id)
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 0
        assert [entry.status for entry in asked(exporter, ANNOTATIONS)] == [404] * 3
        assert counted(exporter.advance(30 * MINUTE)) <= 1


def test_an_annotation_without_a_message_is_asked_for_again() -> None:
    """An answer that is not whole must not be the one that counts."""

    def no_message(rows: list[Any]) -> None:
        for row in rows:
            row["message"] = None

    with running_exporter(Story("P H H H").fake, graphql=False) as exporter:
        with spoilt(exporter, ANNOTATIONS, no_message, times=3):
            assert not exporter.refresh().state.up
        assert exporter.job("test").consecutive_failures == 0
        exporter.advance(2 * MINUTE)
        assert exporter.job("test").broken
        check_truth(exporter)


def test_annotations_of_other_kinds_are_no_hang(graphql: bool) -> None:
    """Warnings of the runner, deprecations and the like stand there too."""
    story = Story("P")
    for _ in range(3):
        push(story, Job("test", 30, 3630, "cancelled", annotations=("Node 16 is deprecated.",)))
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 0
        check_truth(exporter)


def test_a_hang_that_passes_when_it_is_run_again_is_flaky(graphql: bool) -> None:
    """A hang is a failure like any other."""
    story = Story("P H H")
    story.runs[2].rerun(story.fake.now - 600, [Job("test")])
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert [verdict.name for verdict in exporter.job("test").verdicts] == [
            "PASS",
            "FAIL",
            "FLAKY",
        ]
        check_truth(exporter)


def test_a_run_that_a_push_cancelled_is_asked_once_for_all_of_its_jobs() -> None:
    """They end at one moment; where one of them did not hang, none did."""
    story = Story("P")
    said = (SUPERSEDED.format(branch="main"),)
    jobs = [Job(f"t{n}", 30, 900, "cancelled", annotations=said) for n in range(40)]
    story.jobs(story.push(), jobs)
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert len(asked(exporter, ANNOTATIONS)) == 1
        check_truth(exporter)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(2000, SUPERSEDED.format(branch="main"), id="a-push-cancels-the-rest-later"),
        pytest.param(1840, FAIL_FAST, id="the-matrix-gives-up-at-that-moment"),
    ],
)
def test_a_hang_among_other_cancelled_jobs_counts(seconds: int, said: str, graphql: bool) -> None:
    """The message of the other jobs does not apply to the job that reached its limit."""
    story = Story("P")
    for _ in range(3):
        rest = [Job(f"t{n}", 30, seconds, "cancelled", annotations=(said,)) for n in range(3)]
        story.jobs(story.push(), [Job("test", 30, 1830, "cancelled", hang=True), *rest])
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        check_truth(exporter)


def test_a_hang_that_is_copied_by_a_rerun_is_still_one(graphql: bool) -> None:
    """A re-run of another job may list it again under a new id."""
    story = Story("P")
    for _ in range(3):
        run = story.jobs(story.push(), [cancelled(600), Job("other", conclusion="failure")])
        run.rerun(story.fake.now + 1200, [Job("other")], copies=True)
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        check_truth(exporter)


@pytest.mark.slow
def test_a_hang_of_long_ago_is_not_asked_about_for_ever() -> None:
    """An outage that is older than the window costs nothing."""
    story = Story("P H H H", every=10 * MINUTE)
    with running_exporter(story.fake, more=", window: 4", graphql=False) as exporter:
        exporter.refresh_until_idle()
        story.fake.now += HOUR
        for _ in range(8):
            story.jobs(story.push(), [Job("other")])
            exporter.advance(10 * MINUTE)
        assert exporter.job("test").broken
        assert counted(exporter.advance(30 * MINUTE)) == 0
        assert len(asked(exporter, "/actions/jobs/")) == 1, "its step, once"
