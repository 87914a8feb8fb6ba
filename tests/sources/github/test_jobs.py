"""What the source github makes of jobs: attempts, odd rows, and the endpoint that costs less."""

import pytest
from trunkwatch.sources.github.jobs.annotations import MAX_ANNOTATED_JOBS

from tests.github.plan import Job, Workflow
from tests.github.player import playing
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


def verdicts(story: Story, name: str = "test") -> list[str]:
    """Read a story, check that all of it is true, and return what a job says, oldest first."""
    with playing(story.world) as player:
        player.refresh_to_the_end()
        check_truth(player)
        return [verdict.name for verdict in player.job(name).verdicts]


# ---------------------------------------------------------------------- attempts


@pytest.mark.parametrize("copies", [False, True], ids=["only what failed", "copies too"])
def test_a_rerun_of_what_failed_makes_it_flaky_and_leaves_the_rest(copies: bool) -> None:
    """Finished jobs may be listed again under new ids; they say nothing new."""
    story = Story("F F")
    run = story.jobs(story.push(), [FAILS, OTHER, Job("broken", conclusion="failure")])
    again = [Job("test"), Job("broken", conclusion="failure")]
    run.rerun(story.world.now + 600, again, copies=copies)
    story.world.now += HOUR
    assert verdicts(story) == ["FAIL", "FAIL", "FLAKY"]
    assert verdicts(story, "other") == ["PASS"]
    assert verdicts(story, "broken") == ["FAIL"]


@pytest.mark.parametrize("copies", [False, True])
def test_a_rerun_that_is_seen_as_it_happens_says_the_same(copies: bool) -> None:
    """Attempts are read while they run, whichever list they come from."""
    story = Story("P F")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        commit = story.push()
        runs = [
            story.jobs(commit, [FAILS, OTHER], CI),
            story.jobs(commit, [Job("lint", conclusion="failure")], LINT),
        ]
        for run in runs:
            names = [row.name for row in run.rows(story.world.now + 5)][:1]
            run.rerun(story.world.now + 600, [Job(name) for name in names], copies=copies)
        for _ in range(20):
            player.pass_time(MINUTE)
            assert not player.job("test").broken
        check_truth(player)
        assert player.job("test").last_verdict is not None
        assert player.job("test").flaky == player.job("lint").flaky == 1


def test_a_retry_that_runs_leaves_the_failure_standing() -> None:
    """It is a failure until the retry passes, and no flake before that."""
    story = Story("F F")
    run = story.jobs(story.push(), [FAILS, OTHER])
    run.rerun(story.world.now + 600, [Job("test", end=3000)])
    with playing(story.world) as player:
        story.world.now += 900
        player.refresh_to_the_end()
        assert player.job("test").consecutive_failures == 3
        check_truth(player)
        player.pass_time(HOUR)
        assert player.job("test").consecutive_failures == 0
        check_truth(player)


def test_a_third_attempt_counts_once() -> None:
    """However often a commit fails, it is one commit."""
    story = Story("P F")
    run = story.jobs(story.push(), [FAILS, OTHER])
    for number in (1, 2, 3):
        run.rerun(story.world.now + 600 * number, [FAILS], copies=number == 2)
    story.world.now += HOUR
    assert verdicts(story) == ["PASS", "FAIL", "FAIL"]


def test_two_jobs_of_one_name_in_a_run_are_one_job() -> None:
    """Reusable workflows make such; both rows count."""
    story = Story("P")
    for answer in ("success", "failure"):
        story.jobs(story.push(), [Job("test"), Job("test", conclusion=answer), OTHER])
        story.world.now += HOUR
    assert verdicts(story) == ["PASS", "PASS", "FLAKY"]


# ---------------------------------------------------------------------- runs without jobs


def test_runs_that_do_not_start_are_failures_of_the_startup() -> None:
    """Three in a row fire; the first row of any job of that workflow is its pass."""
    story = Story("P P")
    with playing(story.world) as player:
        player.refresh_to_the_end()
        for streak in (1, 2, 3):
            story.repo.run(story.push(), CI, startup_failure=True)
            player.pass_time(5 * MINUTE)
            assert player.job("(startup)").consecutive_failures == streak
            assert player.job("(startup)").broken is (streak == 3)
            check_truth(player)
        story.then("F")
        player.refresh_to_the_end()
        assert not player.job("(startup)").broken
        check_truth(player)


def test_an_invalid_workflow_file_is_a_failure_without_jobs() -> None:
    """GitHub says a plain `failure` of such a run, and lists no job of it."""
    story = Story("P P")
    runs = [story.repo.run(story.push(), CI) for _ in range(3)]
    for run in runs:
        run.conclusion = lambda now: "failure"  # type: ignore[method-assign]  # noqa: ARG005
    story.world.now += HOUR
    with playing(story.world) as player:
        player.refresh_to_the_end()
        assert player.job("(startup)").broken
        assert player.job("test").consecutive_failures == 0
        assert counted(player.pass_time(10 * MINUTE)) == 0


def test_a_run_without_jobs_that_did_not_fail_says_nothing() -> None:
    """All of its jobs may have been left out by conditions."""
    story = Story("P P")
    for _ in range(3):
        story.repo.run(story.push(), CI)
    story.world.now += HOUR
    with playing(story.world) as player:
        player.refresh_to_the_end()
        assert [key.job_name for key in player.jobs()] == ["test"]


# ---------------------------------------------------------------------- what it costs


def wide(workflows: int, jobs: int, conclusion: str = "success") -> Story:
    """A trunk with one commit of many workflows."""
    story = Story()
    commit = story.push()
    for number in range(workflows):
        name = Workflow(f"w{number}", f".github/workflows/{number}.yml")
        story.jobs(commit, [Job(f"{number} {n}", conclusion=conclusion) for n in range(jobs)], name)
    story.world.now += HOUR
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
    with playing(wide(workflows, jobs).world) as player:
        player.refresh_to_the_end()
        assert [entry.path.rpartition("/")[2] for entry in player.server.log[2:]] == [
            path.removeprefix("/")
        ] * requests
        check_truth(player)


def test_the_failed_step_is_asked_for_once() -> None:
    """Check runs do not tell it; the first failure of a streak is asked, and no other."""
    story = Story()
    for letter in "PFFF":
        commit = story.push()
        story.run(commit, letter)
        story.run(commit, "P", LINT, "lint")
        story.world.now += HOUR
    with playing(story.world) as player:
        player.refresh_to_the_end()
        player.pass_time(HOUR)
        blame = player.job("test").blame
        assert blame is not None
        assert blame.failed_step == "Run test"
        assert len(asked(player, "/actions/jobs/")) == 1
        check_truth(player)


def test_a_failed_step_that_is_known_is_not_asked_for() -> None:
    """The jobs of a run carry their steps."""
    with playing(Story("P F F").world) as player:
        player.refresh_to_the_end()
        player.pass_time(10 * MINUTE)
        blame = player.job("test").blame
        assert blame is not None
        assert blame.failed_step == "Run test"
        assert asked(player, "/actions/jobs/") == []


def test_a_commit_that_breaks_everything_does_not_spend_the_budget_on_steps() -> None:
    """The steps of many jobs come a hundred a page, too; only twenty jobs are asked for more."""
    with playing(wide(5, 90, "failure").world) as player:
        done = player.refresh_to_the_end()
        done += player.pass_time(20 * MINUTE)
        check_truth(player)
        assert all(job.blame and job.blame.failed_step for job in player.trunk.jobs)
        assert len(asked(player, ANNOTATIONS)) == MAX_ANNOTATED_JOBS
        assert counted(done) <= 20 + MAX_ANNOTATED_JOBS
