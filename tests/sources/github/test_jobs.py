"""What the source github makes of jobs: attempts, odd rows, and the endpoint that costs less."""

import pytest
from trunkwatch.sources.github.jobs.failure_details import MAX_ANNOTATED_JOBS

from tests.github.exporter import running_exporter
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    CI,
    HOUR,
    LINT,
    MINUTE,
    Story,
    asked,
    check_truth,
    counted,
)

ANNOTATIONS = "/annotations"
OTHER = Job("other")
FAILS = Job("test", conclusion="failure")


def verdicts(story: Story, name: str = "test", *, graphql: bool) -> list[str]:
    """Read a story, check every job, and return the conclusions of one, oldest first."""
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        return [verdict.name for verdict in exporter.job(name).verdicts]


# ---------------------------------------------------------------------- attempts


@pytest.mark.parametrize("copies", [False, True], ids=["only what failed", "copies too"])
def test_a_rerun_of_what_failed_makes_it_flaky_and_leaves_the_rest(
    copies: bool, graphql: bool
) -> None:
    """Finished jobs that are listed again under new ids change nothing."""
    story = Story("F F")
    run = story.jobs(story.push(), [FAILS, OTHER, Job("broken", conclusion="failure")])
    again = [Job("test"), Job("broken", conclusion="failure")]
    run.rerun(story.fake.now + 600, again, copies=copies)
    story.fake.now += HOUR
    assert verdicts(story, graphql=graphql) == ["FAIL", "FAIL", "FLAKY"]
    assert verdicts(story, "other", graphql=graphql) == ["PASS"]
    assert verdicts(story, "broken", graphql=graphql) == ["FAIL"]


@pytest.mark.parametrize("copies", [False, True])
def test_a_rerun_that_is_seen_as_it_happens_says_the_same(copies: bool, graphql: bool) -> None:
    """Attempts are read while they run, whichever list they come from."""
    story = Story("P F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        commit = story.push()
        runs = [
            story.jobs(commit, [FAILS, OTHER], CI),
            story.jobs(commit, [Job("lint", conclusion="failure")], LINT),
        ]
        for run in runs:
            names = [row.name for row in run.rows(story.fake.now + 5)][:1]
            run.rerun(story.fake.now + 600, [Job(name) for name in names], copies=copies)
        for _ in range(20):
            exporter.advance(MINUTE)
            assert not exporter.job("test").broken
        check_truth(exporter)
        assert exporter.job("test").last_verdict is not None
        assert exporter.job("test").flaky == exporter.job("lint").flaky == 1


@pytest.mark.slow
def test_a_retry_that_runs_leaves_the_failure_standing(graphql: bool) -> None:
    """It is a failure until the retry passes, and no flake before that."""
    story = Story("F F")
    run = story.jobs(story.push(), [FAILS, OTHER])
    run.rerun(story.fake.now + 600, [Job("test", end=3000)])
    with running_exporter(story.fake, graphql=graphql) as exporter:
        story.fake.now += 900
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 3
        check_truth(exporter)
        exporter.advance(HOUR)
        assert exporter.job("test").consecutive_failures == 0
        check_truth(exporter)


def test_a_third_attempt_counts_once(graphql: bool) -> None:
    """However often a commit fails, it is one commit."""
    story = Story("P F")
    run = story.jobs(story.push(), [FAILS, OTHER])
    for number in (1, 2, 3):
        run.rerun(story.fake.now + 600 * number, [FAILS], copies=number == 2)
    story.fake.now += HOUR
    assert verdicts(story, graphql=graphql) == ["PASS", "FAIL", "FAIL"]


def test_of_two_jobs_of_one_name_the_worse_counts(graphql: bool) -> None:
    """A matrix under a fixed name makes such; through GraphQL it is ambiguous."""
    story = Story("P")
    for answer in ("success", "failure"):
        story.jobs(story.push(), [Job("test"), Job("test", conclusion=answer), OTHER])
        story.fake.now += HOUR
    assert verdicts(story, graphql=graphql) == ["PASS", "PASS", "FAIL"]


# ---------------------------------------------------------------------- runs without jobs


def test_runs_that_do_not_start_are_failures_of_the_startup(graphql: bool) -> None:
    """Three in a row fire; the first row of any job of that workflow is its pass."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        for streak in (1, 2, 3):
            story.repo.run(story.push(), CI, startup_failure=True)
            exporter.advance(5 * MINUTE)
            assert exporter.job("(startup)").consecutive_failures == streak
            assert exporter.job("(startup)").broken is (streak == 3)
            check_truth(exporter)
        story.then("F")
        exporter.refresh_until_idle()
        assert not exporter.job("(startup)").broken
        check_truth(exporter)


def test_an_invalid_workflow_file_is_a_failure_without_jobs(graphql: bool) -> None:
    """GitHub reports such a run as a plain `failure` without jobs."""
    story = Story("P P")
    runs = [story.repo.run(story.push(), CI) for _ in range(3)]
    for run in runs:
        run.conclusion = lambda now: "failure"  # type: ignore[method-assign]  # noqa: ARG005
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("(startup)").broken
        assert exporter.job("test").consecutive_failures == 0
        assert counted(exporter.advance(10 * MINUTE)) == 0


def test_a_run_without_jobs_that_did_not_fail_says_nothing(graphql: bool) -> None:
    """All of its jobs may have been left out by conditions."""
    story = Story("P P")
    for _ in range(3):
        story.repo.run(story.push(), CI)
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert [key.job_name for key in exporter.jobs()] == ["test"]


# ---------------------------------------------------------------------- what it costs


def wide(workflows: int, jobs: int, conclusion: str = "success") -> Story:
    """A trunk with one commit of many workflows."""
    story = Story()
    commit = story.push()
    for number in range(workflows):
        name = Workflow(f"w{number}", f".github/workflows/{number}.yml")
        story.jobs(commit, [Job(f"{number} {n}", conclusion=conclusion) for n in range(jobs)], name)
    story.fake.now += HOUR
    return story


@pytest.mark.parametrize(
    ("workflows", "jobs", "path", "requests"),
    [
        (1, 1, "/jobs", 1),
        (2, 1, "/check-runs", 1),
        (1, 150, "/jobs", 2),
        (20, 10, "/check-runs", 2),
    ],
)
def test_jobs_are_read_whichever_way_costs_less(
    workflows: int, jobs: int, path: str, requests: int
) -> None:
    """Check runs come a hundred a page whatever workflow they are of; jobs run by run."""
    with running_exporter(wide(workflows, jobs).fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert len(asked(exporter, path)) == requests
        assert len(asked(exporter, "/jobs")) + len(asked(exporter, "/check-runs")) == requests
        check_truth(exporter)


def test_the_failed_step_is_asked_for_once() -> None:
    """The step is read for the first failure of a streak alone, since check runs lack it."""
    story = Story()
    for letter in "PFFF":
        commit = story.push()
        story.run(commit, letter)
        story.run(commit, "P", LINT, "lint")
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        blame = exporter.job("test").blame
        assert blame is not None
        assert blame.failed_step == "Run test"
        assert len(asked(exporter, "/actions/jobs/")) == 1
        check_truth(exporter)


def test_a_failed_step_that_is_known_is_not_asked_for() -> None:
    """The jobs of a run carry their steps."""
    with running_exporter(Story("P F F").fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        blame = exporter.job("test").blame
        assert blame is not None
        assert blame.failed_step == "Run test"
        assert asked(exporter, "/actions/jobs/") == []


@pytest.mark.slow
def test_a_commit_that_breaks_everything_does_not_spend_the_budget_on_steps() -> None:
    """The steps of many jobs come a hundred a page, too; only twenty jobs are asked for more."""
    with running_exporter(wide(5, 90, "failure").fake, graphql=False) as exporter:
        done = exporter.refresh_until_idle()
        done += exporter.advance(20 * MINUTE)
        check_truth(exporter)
        assert all(job.blame and job.blame.failed_step for job in exporter.trunk.jobs)
        assert len(asked(exporter, ANNOTATIONS)) == MAX_ANNOTATED_JOBS
        assert counted(done) <= 20 + MAX_ANNOTATED_JOBS
