"""Rows of jobs that are odd, late, null or missing."""

from typing import Any

import pytest

from tests.github.exporter import running_exporter
from tests.github.faults import Faults, Kind
from tests.github.workflows import Job, skipped
from tests.sources.github.stories import (
    HOUR,
    LINT,
    MINUTE,
    Story,
    asked,
    check_truth,
    spoilt,
)

OTHER = Job("other")


# ---------------------------------------------------------------------- odd rows


def test_a_matrix_that_was_skipped_as_a_whole_is_no_job(graphql: bool) -> None:
    """Its one row may have a literal expression for a name; its children keep their streaks."""
    story = Story()
    for conclusion in ("success", "failure", "failure"):
        story.jobs(story.push(), [Job("build (a)", conclusion=conclusion), Job("build (b)")])
        story.fake.now += HOUR
    for name in ("build (${{ matrix.os }})", "build"):
        story.jobs(story.push(), [skipped(name)])
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert sorted(key.job_name for key in exporter.jobs()) == ["build (a)", "build (b)"]
        assert exporter.job("build (a)").consecutive_failures == 2


def test_the_children_of_a_skipped_matrix_are_not_retired(graphql: bool) -> None:
    """They are present as long as their matrix is skipped, and gone when nothing speaks of them."""
    story = Story()
    story.jobs(story.push(), [Job("build (a)", conclusion="failure"), Job("gone (a)"), OTHER])
    story.fake.now += HOUR
    for _ in range(6):
        story.jobs(story.push(), [skipped("build (${{ matrix.os }})"), OTHER])
        story.fake.now += HOUR
    with running_exporter(story.fake, jobs="retire_after: 5", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert sorted(key.job_name for key in exporter.jobs()) == ["build (a)", "other"]
        check_truth(exporter)


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "requested", "pending"])
def test_what_is_not_over_is_never_a_failure(status: str) -> None:
    """Whatever conclusion it seems to have."""
    story = Story("P F F F")

    def unfinished(document: Any) -> None:
        for row in document["jobs"]:
            row.update(status=status, conclusion="failure")

    with (
        running_exporter(story.fake, graphql=False) as exporter,
        spoilt(exporter, "/jobs$", unfinished, times=9),
    ):
        exporter.refresh()
        assert exporter.job("test").consecutive_failures == 0
        assert exporter.job("test").pending == 4


def test_a_job_that_is_late_in_a_run_that_is_over_is_read_again() -> None:
    """GitHub's answers come from several places, some of them behind."""
    story = Story("P F F F", every=10 * MINUTE)

    def behind(document: Any) -> None:
        for row in document["jobs"]:
            row.update(status="in_progress", conclusion=None, completed_at=None)

    with running_exporter(story.fake, graphql=False) as exporter:
        with spoilt(exporter, f"{story.runs[3].id}/jobs$", behind):
            exporter.refresh()
        assert (exporter.job("test").consecutive_failures, exporter.job("test").pending) == (2, 1)
        exporter.advance(3 * MINUTE)
        check_truth(exporter)


NULLS = ["id", "name", "status", "conclusion", "started_at", "completed_at", "created_at",
         "run_attempt", "run_id", "steps", "html_url", "head_sha", "runner_name", "labels",
         "workflow_name", "head_branch"]  # fmt: skip


@pytest.mark.parametrize("key", NULLS)
def test_a_job_with_a_null_field_is_read_again_or_does_not_need_it(key: str) -> None:
    """No streak is longer for it at any time, and in the end it is what it should be."""
    story = Story("P F F P F F", every=20 * MINUTE)

    def null(document: Any) -> None:
        for row in document["jobs"]:
            row[key] = None

    with running_exporter(story.fake, graphql=False) as exporter:
        with spoilt(exporter, "/jobs$", null, times=3):
            for _ in range(4):
                exporter.refresh()
                assert not any(job.broken for job in exporter.trunk.jobs)
                exporter.fake.now += MINUTE
        exporter.advance(5 * MINUTE)
        check_truth(exporter)


CHECK_NULLS = ["id", "name", "status", "conclusion", "started_at", "completed_at", "html_url",
               "check_suite", "app", "output", "details_url"]  # fmt: skip


@pytest.mark.parametrize("key", CHECK_NULLS)
def test_a_check_run_with_a_null_field_is_read_again_or_does_not_need_it(key: str) -> None:
    """The same for the check runs of a commit."""
    story = Story()
    for letter in "PFFPFF":
        commit = story.push()
        story.run(commit, letter)
        story.run(commit, "P", LINT, "lint")
        story.fake.now += 20 * MINUTE

    def null(document: Any) -> None:
        for row in document["check_runs"]:
            row[key] = None

    with running_exporter(story.fake, graphql=False) as exporter:
        with spoilt(exporter, "/check-runs$", null, times=3):
            for _ in range(4):
                exporter.refresh()
                assert not any(job.broken for job in exporter.trunk.jobs)
                exporter.fake.now += MINUTE
        exporter.advance(5 * MINUTE)
        assert asked(exporter, "/check-runs")
        check_truth(exporter)


# ---------------------------------------------------------------------- shards and pages


def shards(red: int) -> list[Job]:
    return [
        Job(f"linux / test (default, {n}, 120, runner)",
            conclusion="failure" if n == red else "success")
        for n in range(1, 121)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.MISSING_ROW, Kind.DUPLICATED_ROW, Kind.SHIFTED_PAGE,
                                  Kind.SERVER_ERROR, Kind.TRUNCATED, Kind.NULL_FIELD])  # fmt: skip
@pytest.mark.parametrize("red", [1, 120])
def test_a_page_that_is_missing_does_not_turn_a_red_shard_into_a_pass(kind: Kind, red: int) -> None:
    """A list of jobs is taken whole or not at all."""
    story = Story()
    for _ in range(3):
        story.jobs(story.push(), shards(red))
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("linux / test (default)").broken
        story.jobs(story.push(), shards(red))
        exporter.server.fail_next(kind, "/(jobs|check-runs)$", times=40)
        for _ in range(10):
            exporter.advance(MINUTE)
            assert exporter.job("linux / test (default)").broken
        exporter.server.faults = Faults()
        exporter.advance(10 * MINUTE)
        check_truth(exporter)
        assert exporter.job("linux / test (default)").consecutive_failures == 4
