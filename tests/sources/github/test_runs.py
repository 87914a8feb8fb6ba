"""Which runs count for the source github, and what it notices of the list of them."""

from unittest.mock import Mock

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.rest.lists import ListClient, Page
from trunkwatch.sources.github.rights import Rights
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.runs.run_list import RECHECK_SECONDS, RunList
from trunkwatch.sources.github.state import Kind as StateKind
from trunkwatch.sources.github.state import StateStore, TrunkContext

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import T0
from tests.github.server import LogEntry
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    CI,
    HOUR,
    LINT,
    MINUTE,
    Story,
    check_truth,
    counted,
    sent,
)

FAILS = Job("test", conclusion="failure")


def numbered(number: int) -> Workflow:
    return Workflow(f"w{number}", f".github/workflows/{number}.yml")


def lists_of_runs(exporter: SimulatedExporter) -> list[LogEntry]:
    return [entry for entry in exporter.server.log if entry.path.endswith("/actions/runs")]


# ---------------------------------------------------------------------- which runs count


@pytest.mark.parametrize(
    ("event", "head_branch", "head_repo", "counts"),
    [
        ("push", "main", "o/r", True),
        ("schedule", "main", "o/r", True),
        ("workflow_dispatch", "main", "o/r", True),
        pytest.param("pull_request", "main", "fork/r", False, id="fork's own main"),
        pytest.param("workflow_dispatch", "topic", "o/r", False, id="dispatched elsewhere"),
        pytest.param("pull_request", "main", "o/r", False, id="pull request of main"),
        pytest.param("merge_group", "main", "o/r", False, id="merge queue"),
        pytest.param("push", "topic", "o/r", False, id="other branch"),
    ],
)
def test_only_runs_of_the_trunk_count(
    event: str, head_branch: str, head_repo: str, counts: bool, graphql: bool
) -> None:
    """Event, head branch and head repository decide, all three."""
    story = Story("P F F")
    commit = story.push()
    story.repo.run(commit, CI, [FAILS], event=event, head_branch=head_branch, head_repo=head_repo)
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken is counts
        check_truth(exporter)


def test_the_events_that_count_are_configured(graphql: bool) -> None:
    """Only runs of the events of `jobs.events` count; the list is never filtered by them."""
    story = Story("F F F")
    for commit in story.commits:
        story.repo.run(commit, LINT, [Job("nightly", conclusion="failure")], event="schedule")
    story.fake.now += HOUR
    with running_exporter(story.fake, jobs="events: [schedule]", graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert [key.job_name for key in exporter.jobs()] == ["nightly"]
        assert exporter.job("nightly").broken
        names = {name for entry in lists_of_runs(exporter) for name, _ in entry.query}
        assert names == {"exclude_pull_requests", "per_page", "page"}


def test_two_events_may_count(graphql: bool) -> None:
    """Each run is of one of them, or does not count."""
    story = Story("F F F")
    for commit in story.commits:
        story.repo.run(commit, LINT, [Job("nightly", conclusion="failure")], event="schedule")
    story.fake.now += HOUR
    with running_exporter(
        story.fake, jobs="events: [schedule, merge_group]", graphql=graphql
    ) as exporter:
        exporter.refresh_until_idle()
        assert [key.job_name for key in exporter.jobs()] == ["nightly"]


def test_a_late_run_of_an_older_commit_counts_there(graphql: bool) -> None:
    """A nightly that is dispatched for an old commit is a result of that commit."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        story.run(story.commits[2], "P")
        story.fake.now += 10 * MINUTE
        exporter.advance(2 * MINUTE)
        assert exporter.job("test").flaky == 1
        check_truth(exporter)


def test_runs_of_a_commit_that_left_the_trunk_are_ignored(graphql: bool) -> None:
    """Runs of commits off the chain do not count, though their head branch is `main`."""
    story = Story("P F F")
    gone = story.push()
    story.repo.force_push(story.commits[2], at=story.fake.now + 1)
    story.run(gone, "F")
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 2
        check_truth(exporter)


def test_a_renamed_workflow_keeps_its_history(graphql: bool) -> None:
    """The file is the workflow; a name takes the place of another one while no job fails."""
    story = Story("P F F")
    story.then("F", workflow=Workflow("CI of today", CI.path))
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 3
        # GraphQL gives every run the name that its workflow has now.
        assert exporter.job("test").key.workflow == ("CI of today" if graphql else CI.name)
        story.then("P", workflow=Workflow("CI of today", CI.path))
        exporter.refresh_until_idle()
        assert exporter.job("test").key.workflow == "CI of today"
        check_truth(exporter)


def test_two_workflows_of_one_name_are_two(graphql: bool) -> None:
    """A failure of the one is no failure of the other."""
    story = Story("F F F")
    for commit in story.commits:
        story.run(commit, "P", Workflow("ci", ".github/workflows/other.yml"))
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert sorted(job.consecutive_failures for job in exporter.trunk.jobs) == [0, 3]
        check_truth(exporter)


# ---------------------------------------------------------------------- many runs


@pytest.mark.parametrize(
    ("workflows", "commits"), [(25, 4), (26, 4), pytest.param(50, 5, marks=pytest.mark.slow)]
)
def test_lists_of_more_than_a_page_are_read(workflows: int, commits: int, graphql: bool) -> None:
    """Exactly a page of runs, one more, and several pages."""
    story = Story()
    for number in range(commits):
        commit = story.push()
        for place in range(workflows):
            letter = "F" if place == number else "P"
            story.run(commit, letter, numbered(place), f"t{place}")
        story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert len(exporter.jobs()) == workflows
        check_truth(exporter)


@pytest.mark.slow
def test_more_than_a_thousand_runs_of_the_window_are_read(graphql: bool) -> None:
    """GitHub's filtered list ends there; the unfiltered one does not."""
    story = Story()
    for number in range(51):
        commit = story.push()
        for place in range(21):
            story.run(commit, "FP"[(number + place) % 7 > 2], numbered(place), f"t{place}")
        story.fake.now += 20 * MINUTE
    with running_exporter(story.fake, graphql=graphql) as exporter:
        done = exporter.refresh_until_idle()
        check_truth(exporter)
        assert len(exporter.trunk.order.commits) == 51
        assert counted(done) < 51 + 40 + 21, "a commit, the list, and what failed jobs say"
        exporter.refresh()
        assert counted(exporter.advance(30 * MINUTE)) == 0


def many_at_once() -> Story:
    """A trunk on whose third commit 120 workflows begin within one second."""
    story = Story("P P")
    commit = story.push()
    for place in range(120):
        story.run(commit, "F", numbered(place), f"t{place}")
    story.fake.now += HOUR
    return story


@pytest.mark.slow
def test_more_than_a_page_of_runs_in_one_second_is_read(graphql: bool) -> None:
    """Nothing depends on the times of runs being different."""
    story = many_at_once()
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert len(exporter.jobs()) == 121
        story.then("P F")
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


@pytest.mark.slow
def test_pages_of_runs_that_are_over_stay_free(graphql: bool) -> None:
    """However many commits come, a run that has ended costs nothing any more."""
    story = Story()
    with running_exporter(story.fake, graphql=graphql) as exporter:
        costs = []
        for _ in range(20):
            commit = story.push()
            for place in range(10):
                story.run(commit, "P", numbered(place), f"t{place}")
            story.fake.now += 10 * MINUTE
            costs.append(counted(exporter.refresh_until_idle()))
        check_truth(exporter)
        assert max(costs[1:]) <= 5, costs
        assert sum(costs) <= 20 * 4
        exporter.refresh()
        done = exporter.advance(HOUR)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)


@pytest.mark.parametrize("pages", [2, 3, 13, 15])
@pytest.mark.parametrize("every", [MINUTE, 95.0])
def test_every_page_is_read_again_within_half_an_hour(pages: int, every: float) -> None:
    """Also where no refresh falls on the moment at which a page is due; none is read twice."""
    numbers: list[int] = []

    def read_page(_path: str, _query: object, number: int, _rows: object) -> Page[Run]:
        numbers.append(number)
        return Page(None, None, ())

    client = Mock(spec=ListClient)
    client.cached_page.side_effect = read_page
    trunk = Trunk("o/r", "main")
    state = StateStore(trunk, {})
    state.put(StateKind.RUN_LIST, {"page": pages + 1, "covered": 0.0})
    for number in range(int(4 * HOUR / every)):
        context = TrunkContext(trunk, client, state, frozenset(), T0 + number * every, Rights())
        runs = RunList(context)
        if runs.is_recheck_due():
            runs.recheck()
    older = range(2, pages + 1)
    assert numbers == [older[place % len(older)] for place in range(len(numbers))]
    rounds = len(numbers) / len(older)
    assert 4 * HOUR / (30 * MINUTE) <= rounds <= 4 * HOUR / RECHECK_SECONDS + 1
