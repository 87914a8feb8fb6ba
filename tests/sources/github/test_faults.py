"""An unreadable part leaves the rest, is reported, and lets no job fire."""

from typing import Any

import pytest
from trunkwatch.poller import TrunkEngine
from trunkwatch.sources.github.outcome import UNREADABLE_COMMIT_TIMEOUT_SECONDS

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import FakeGitHub
from tests.github.faults import ALL, Faults, Kind
from tests.github.workflows import Job, Workflow
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


def break_commit(exporter: SimulatedExporter, story: Story, place: int, times: int = 1000) -> None:
    """Let every answer about the jobs of one commit be an error."""
    exporter.server.fail_next(Kind.SERVER_ERROR, f"runs/{story.runs[place].id}/jobs", times)
    exporter.server.fail_next(Kind.SERVER_ERROR, f"{story.commits[place].sha}/check-runs", times)


@pytest.mark.parametrize("is_reload", [False, True])
@pytest.mark.parametrize("graphql", [False, True])
def test_data_is_no_newer_after_a_restart_that_cannot_read(graphql: bool, is_reload: bool) -> None:
    """A start reads nothing: the data is as old as before, until a refresh has read it."""
    story = Story("P F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        known = exporter.trunk.data_at
        exporter.fake.now += HOUR
        if is_reload:
            before, counters = exporter.engine.snapshot, exporter.counters
            exporter.restart_with(
                TrunkEngine(
                    exporter.config, exporter.store, counters, lambda: story.fake.now, before=before
                )
            )
        else:
            exporter.restart()
        exporter.server.fail_next(Kind.TOO_MANY, "/commits", 1000)
        for _ in range(2):
            assert exporter.refresh().state.problem
            assert exporter.trunk.data_at == known
            exporter.fake.now += MINUTE
        exporter.server.faults = Faults()
        exporter.advance(10 * MINUTE)
        assert exporter.trunk.data_at == exporter.fake.now


def test_one_commit_that_cannot_be_read_leaves_those_before_it() -> None:
    """It is reported, and the data is as old as it was."""
    story = Story("P F F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        known = exporter.trunk.data_at
        story.then("F P")
        break_commit(exporter, story, 4)
        exporter.fake.now += MINUTE
        refreshed = exporter.refresh()
        assert not refreshed.state.up
        assert "HTTP 500" in (refreshed.state.problem or "")
        assert exporter.trunk.data_at == known
        assert exporter.job("test").broken
        exporter.server.faults = Faults()
        exporter.advance(MINUTE)
        assert exporter.trunk.data_at == exporter.fake.now
        check_truth(exporter)


@pytest.mark.parametrize(("letters", "graphql"), [("F P F F", False), ("F K F F", True)])
def test_a_pass_that_cannot_be_read_lets_nothing_newer_fire(letters: str, graphql: bool) -> None:
    """The failures behind it wait for it, also if it is a second attempt beside GraphQL."""
    story = Story("P P P")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then(letters)
        break_commit(exporter, story, 4)
        for _ in range(10):
            exporter.refresh()
            exporter.fake.now += MINUTE
            assert not exporter.job("test").broken
            assert exporter.job("test").consecutive_failures == 1
        exporter.server.faults = Faults()
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def test_one_that_can_never_be_read_is_given_up_after_a_while() -> None:
    """A trunk must not go blind for one list that the server fails to make."""
    story = Story("P P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        story.then("P P F F F")
        break_commit(exporter, story, 4)
        exporter.advance(UNREADABLE_COMMIT_TIMEOUT_SECONDS)
        assert not exporter.job("test").broken
        refreshed = exporter.advance(3 * MINUTE)[-1]
        assert exporter.job("test").broken
        assert not refreshed.state.up
        exporter.server.faults = Faults()
        exporter.advance(3 * MINUTE)
        check_truth(exporter)


def test_one_address_that_never_answers_does_not_keep_others_from_being_read() -> None:
    """The older commits are read all the same; a server that is gone is not asked for each."""
    story = Story("P F F F P")
    with running_exporter(story.fake, graphql=False) as exporter:
        path = f"runs/{story.runs[4].id}/jobs"
        exporter.server.fail_next(Kind.RESET, path, 1000)
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        assert len(asked(exporter, f"{story.runs[0].id}/jobs")) == 1
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.server.fail_next(Kind.RESET, "jobs", 1000)
        exporter.refresh()
        assert len({entry.path for entry in asked(exporter, "/jobs")}) == 2


@pytest.mark.parametrize("fails", [0, 1])
@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.TOO_MANY, Kind.TRUNCATED])
def test_what_was_read_of_a_commit_before_a_fault_is_not_lost(
    kind: Kind, fails: int, graphql: bool
) -> None:
    """A run is stored as read only once all of its jobs have been read."""
    story = Story("P P P")
    commit = story.push()
    runs = [
        story.jobs(commit, [FAILS]),
        story.jobs(commit, [Job("lint", conclusion="failure")], LINT),
    ]
    for run, name in zip(runs, ("test", "lint"), strict=True):
        run.rerun(story.fake.now + 600, [Job(name, conclusion="failure")])
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.server.fail_next(kind, f"runs/{runs[fails].id}/jobs", times=3)
        assert not exporter.refresh().state.up
        exporter.advance(5 * MINUTE)
        check_truth(exporter)


def busy_hours(story: Story, letters: str) -> None:
    """Let commits come, each with 21 runs: a list of several pages."""
    for letter in letters:
        commit = story.push()
        story.runs[len(story.commits) - 1] = story.run(commit, letter)
        for place in range(20):
            workflow = Workflow(f"w{place}", f".github/workflows/{place}.yml")
            story.jobs(commit, [Job(f"t{place}")], workflow)
        story.fake.now += HOUR


@pytest.mark.parametrize("kind", [Kind.MISSING_ROW, Kind.DUPLICATED_ROW])
def test_a_hole_in_the_list_of_runs_is_filled_in_the_same_refresh(kind: Kind) -> None:
    """Runs that are missing may be the passes between the failures."""
    story = Story("P P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        busy_hours(story, "FPFFPFPFF")
        exporter.server.fail_next(kind, "/actions/runs$", times=2)
        exporter.refresh()
        assert len(exporter.server.faults.happened) == 2
        check_truth(exporter)


def test_a_total_that_is_never_right_is_accepted() -> None:
    """No document promises that the list has as many rows as it claims; then it is free again."""

    def one_more(document: Any) -> None:
        document["total_count"] += 1

    story = Story("P F F F")
    with (
        running_exporter(story.fake, graphql=False) as exporter,
        spoilt(exporter, "/actions/runs$", one_more, times=1000),
    ):
        assert exporter.refresh().state.up
        check_truth(exporter)
        story.then("P")
        exporter.advance(5 * MINUTE)
        check_truth(exporter)
        assert counted(exporter.advance(10 * MINUTE)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_each_fault_alone_only_delays(kind: Kind) -> None:
    """With a third of the answers wrong in one way, no job is ever wrong or left unread."""
    story = Story("P F F P F", fake=FakeGitHub(limit=50_000))
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.server.faults = Faults(0.33, seed=7, kinds=[kind], retry_after=20)
        for letter in "FPFFPFFP":
            commit = story.push()
            story.run(commit, letter)
            story.run(commit, "P", LINT, "lint")
            for _ in range(8):
                exporter.advance(MINUTE)
                for state in exporter.engine.snapshot.trunks:
                    assert not any(job.broken for job in state.jobs)
        exporter.server.faults = Faults()
        exporter.advance(35 * MINUTE)
        check_truth(exporter)


@pytest.mark.slow
def test_no_alert_ends_because_of_faults(graphql: bool) -> None:
    """A job that is broken stays so, whatever goes wrong."""
    story = Story("P F F F", fake=FakeGitHub(limit=50_000))
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.server.faults = Faults(0.3, seed=1, retry_after=20)
        for letter in "FCFSF":
            commit = story.push()
            story.run(commit, letter)
            story.run(commit, "P", LINT, "lint")
            for _ in range(8):
                exporter.advance(MINUTE)
                assert exporter.job("test").broken
        exporter.server.faults = Faults()
        exporter.advance(35 * MINUTE)
        check_truth(exporter)
