"""The source github reads runs and jobs through GraphQL: the truth, the cost, and the ways out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count, repeat
from typing import Any
from unittest import mock

import pytest
from trunkwatch.domain.model import WorkflowReport, WorkflowState
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.runs.run_list import REPLICA_LAG_SECONDS
from trunkwatch.sources.github.suites import MAX_UNANSWERED

from tests.github.checks import ACTIONS
from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import FakeGitHub
from tests.github.faults import Faults, Kind
from tests.github.graphql_schema import require_schema
from tests.github.limits import GRAPHQL
from tests.github.rights import APP, CLASSIC, FINE_GRAINED, Rights
from tests.github.search_index import SearchIndex
from tests.github.server import LogEntry
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    CI,
    HOUR,
    LINT,
    MINUTE,
    REPO,
    Story,
    asked,
    check_truth,
    counted,
    reading,
    rewrites,
    sent,
    spoilt,
)

pytestmark = pytest.mark.slow  # all together; the other files read in both ways, and are not
QUERY = "/graphql"
TOKEN = "token_env: STANDIN_TOKEN"
OTHER = Job("other")
FAILS = Job("test", conclusion="failure")
WAITS = Job("approval", start=float("inf"), end=None)
"""A job that no runner ever takes."""


@pytest.fixture(autouse=True)
def _schema() -> None:
    require_schema()


def jobs_by_rest(exporter: SimulatedExporter, since: int = 0) -> list[LogEntry]:
    """Return the requests for the jobs of a run or the check runs of a commit."""
    found = (*asked(exporter, "/jobs", since), *asked(exporter, "/check-runs", since))
    return [entry for entry in found if not entry.path.endswith("/annotations")]


def limitations(exporter: SimulatedExporter) -> dict[str, str]:
    """Return the limitations that the last refresh reported."""
    return dict(exporter.engine.snapshot.sources[0].limitations)


def numbered(number: int) -> Workflow:
    return Workflow(f"w{number}", f".github/workflows/{number}.yml")


# ---------------------------------------------------------------------- results over time


def test_a_cold_start_needs_no_request_for_jobs() -> None:
    """Suites and jobs of all commits come with a few queries."""
    with running_exporter(Story("P F F K S F . F").fake) as exporter:
        done = exporter.refresh_until_idle()
        check_truth(exporter)
        (rerun,) = jobs_by_rest(exporter)
        assert rerun.path.endswith("/jobs"), "the run of which a name occurs twice"
        assert len(asked(exporter, QUERY)) <= 3
        assert counted(done) <= 10


def test_a_new_commit_is_seen_with_its_results() -> None:
    """Its run is in flight first, and its job counts once it has ended."""
    story = Story("P F F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.run(story.push(), "F")
        exporter.advance(2 * MINUTE)
        assert (exporter.job("test").consecutive_failures, exporter.job("test").pending) == (2, 1)
        check_truth(exporter)
        exporter.advance(5 * MINUTE)
        assert exporter.job("test").broken
        check_truth(exporter)
        assert jobs_by_rest(exporter) == []


def test_commits_in_flight_cost_some_points_and_no_request_each() -> None:
    """Ten commits of five runs each are read with one query a refresh."""
    story = Story("P")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        for _ in range(10):
            commit = story.push()
            for place in range(5):
                story.jobs(commit, [Job(f"t{place}", end=2 * HOUR)], numbered(place))
            story.fake.now += MINUTE
        exporter.refresh()
        since = len(exporter.server.log)
        done = exporter.advance(20 * MINUTE)
        assert jobs_by_rest(exporter, since) == []
        assert max(refreshed.counted for refreshed in done) <= 4
        check_truth(exporter)


@pytest.mark.parametrize("copies", [False, True])
def test_a_second_attempt_is_read_through_rest_once(copies: bool) -> None:
    """GraphQL has no attempt: a name that occurs twice may be a retry or two jobs."""
    story = Story("F F")
    run = story.jobs(story.push(), [FAILS, OTHER])
    story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        run.rerun(story.fake.now + 5, [Job("test")], copies=copies)
        exporter.advance(10 * MINUTE)
        assert (exporter.job("test").flaky, exporter.job("test").broken) == (1, False)
        check_truth(exporter)
        since = len(exporter.server.log)
        assert counted(exporter.advance(HOUR)) == 0
        assert jobs_by_rest(exporter, since) == []


@pytest.mark.parametrize("place", [0, 12, 29])
def test_a_retry_of_any_commit_is_noticed_within_half_an_hour(place: int) -> None:
    """The list of runs shows it for free while nothing else happens."""
    story = Story("F" + " P" * 28 + " F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.runs[place].rerun(story.fake.now + 5, [FAILS])
        exporter.advance(36 * MINUTE)
        check_truth(exporter)


def test_a_retry_that_the_list_of_runs_shows_is_read_at_once() -> None:
    """Its commit may be any; one page of the list has the retries of the newest hundred runs."""
    story = Story("F P P P P P")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        story.runs[0].rerun(story.fake.now - 400, [Job("test")])
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def test_a_retry_is_noticed_while_other_runs_are_in_flight() -> None:
    """A trunk may be busy all day."""
    story = Story("F P P P P P")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.jobs(story.push(), [Job("other", end=2 * HOUR)])
        story.runs[0].rerun(story.fake.now + 5, [Job("test")])
        exporter.advance(36 * MINUTE)
        check_truth(exporter)


@pytest.mark.parametrize("jobs", [99, 100, 101, 250])
def test_a_run_with_more_jobs_than_a_page_is_read_as_a_whole(jobs: int) -> None:
    """The red one is the last."""
    story = Story("P")
    for _ in range(3):
        rows = [Job(f"t{number}") for number in range(jobs - 1)]
        story.jobs(story.push(), [*rows, Job("last", conclusion="failure")])
        story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("last").broken
        assert jobs_by_rest(exporter) == []
        check_truth(exporter)


@pytest.mark.parametrize("runs", [99, 100, 101, 210])
def test_a_commit_with_more_suites_than_a_page_is_read_as_a_whole(runs: int) -> None:
    """Each run and each other app has a suite."""
    story = Story("P")
    commit = story.push()
    for number in range(runs):
        story.jobs(commit, [Job(f"t{number}")], numbered(number))
        story.repo.suite(commit, "other-app")
    story.run(commit, "F")
    story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert len(exporter.jobs()) == runs + 1
        check_truth(exporter)


@pytest.mark.parametrize("read_before", [True, False])
def test_a_deleted_run_keeps_its_stored_results_only(read_before: bool) -> None:
    """A run that is deleted while it is in flight is not waited for."""
    story = Story("P F F")
    run = story.run(story.push(), "F")
    with running_exporter(story.fake) as exporter:
        exporter.fake.now += 2 * MINUTE
        if read_before:
            exporter.refresh_until_idle()
        run.delete(exporter.fake.now + 1)
        exporter.advance(5 * MINUTE)
        assert exporter.job("test").consecutive_failures == 2
        assert counted(exporter.advance(30 * MINUTE)) <= 1
        assert exporter.engine.snapshot.sources[0].up


@pytest.mark.parametrize("rows", [(), (FAILS,)], ids=["without rows", "with rows"])
def test_a_run_that_does_not_start_is_a_failure_of_the_startup(rows: tuple[Job, ...]) -> None:
    """Rows that it has all the same are not read: they would count as its pass."""
    story = Story("P P")
    for _ in range(3):
        story.repo.run(story.push(), CI, rows, startup_failure=True, at=story.fake.now + 5)
        story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("(startup)").broken
        assert exporter.job("test").consecutive_failures == 0
        assert counted(exporter.advance(30 * MINUTE)) == 0


def test_a_failed_run_without_jobs_is_a_failure_of_the_startup() -> None:
    """GitHub reports an invalid workflow file as a plain `failure`."""
    story = Story("P P")
    for _ in range(3):
        run = story.repo.run(story.push(), CI, at=story.fake.now + 5)
        run.conclusion = lambda now: "failure"  # type: ignore[method-assign]  # noqa: ARG005
        story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("(startup)").broken
        assert counted(exporter.advance(30 * MINUTE)) == 0


def test_check_runs_that_are_no_jobs_are_left_out() -> None:
    """Neither those of other apps nor one that a step made in the suite of a run."""
    story = Story("P")
    for _ in range(3):
        commit = story.push()
        run = story.run(commit, "P")
        story.repo.check(commit, "codecov", "coverage", "failure")
        story.repo.check(commit, ACTIONS, "test report", "failure", within=run)
        story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert [key.job_name for key in exporter.jobs()] == ["test"]
        assert exporter.job("test").consecutive_failures == 0


def test_details_of_failures_come_with_one_query() -> None:
    """Steps, annotations and the decision about hangs need no request each."""
    story = Story("P")
    jobs = [Job(f"t{n}", conclusion="failure", annotations=(f"why {n}",)) for n in range(10)]
    hang = Job("hang", 30, 3630, "cancelled", hang=True)
    for _ in range(3):
        story.jobs(story.push(), [*jobs, hang])
        story.fake.now += 2 * HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        for number in range(10):
            blame = exporter.job(f"t{number}").blame
            assert blame is not None
            assert (blame.annotations, blame.failed_step) == (
                (f"why {number}",),
                f"Run t{number}",
            )
        assert exporter.job("hang").broken
        assert asked(exporter, "/annotations") == []
        assert jobs_by_rest(exporter) == []
        check_truth(exporter)


# ---------------------------------------------------------------------- runs of other events


def test_runs_of_the_merge_queue_count_where_that_event_does() -> None:
    """They test the commit that lands, on a branch that is gone afterwards."""
    story = Story("P")
    for number in range(3):
        branch = f"gh-readonly-queue/main/pr-{number}-0123"
        story.repo.run(
            story.push(), CI, [FAILS], event="merge_group", head_branch=branch,
            at=story.fake.now + 5,
        )  # fmt: skip
        story.fake.now += HOUR
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").consecutive_failures == 0
    with running_exporter(story.fake, jobs="events: [push, merge_group]") as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken


def of_events(story: Story, *events: str) -> None:
    """Add a failing run of each event to each of three new commits."""
    for _ in range(3):
        commit = story.push()
        story.run(commit, "P")
        for event in events:
            story.repo.run(commit, LINT, [Job("lint", conclusion="failure")], event=event)
        story.fake.now += HOUR


def test_runs_of_events_that_do_not_count_cost_nothing() -> None:
    """Comments, reviews and other workflows start runs at the tip of a trunk, often hundreds."""
    story = Story("P")
    of_events(story, "pull_request", "issue_comment", "workflow_run", "release")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        assert [key.job_name for key in exporter.jobs()] == ["test"]
        check_truth(exporter)
        story.run(story.push(), "P")
        exporter.advance(10 * MINUTE)
        single = [entry for entry in exporter.server.log if _is_of_one_run(entry)]
        assert single == []


def test_a_run_whose_repository_graphql_does_not_report_is_asked_for_once() -> None:
    """A pull request's run may be of a fork: where that event counts, REST is asked."""
    story = Story("P")
    of_events(story, "pull_request")
    fork = story.repo.run(
        story.commits[-1], LINT, [Job("fork", conclusion="failure")],
        event="pull_request", head_repo="fork/r", at=story.fake.now - 60,
    )  # fmt: skip
    with running_exporter(story.fake, jobs="events: [push, pull_request]") as exporter:
        exporter.refresh_until_idle()
        assert sorted(key.job_name for key in exporter.jobs()) == ["lint", "test"]
        story.jobs(story.push(), [Job("test", end=HOUR)])
        exporter.advance(20 * MINUTE)
        assert exporter.job("lint").broken
        times = [entry for entry in exporter.server.log if entry.path.endswith(f"/{fork.id}")]
        assert len(times) <= 1


@contextmanager
def _late_run(times: int, kind: str) -> Iterator[tuple[SimulatedExporter, str]]:
    """Push a commit in flight, with a run of another event whose first answers are wrong.

    Args:
        times: how many answers about that run are wrong.
        kind: `missing` for 404, `failed` for 500, `unnamed` for an answer without its branch,
            `unreadable` for one that is no run.

    Yields:
        The exporter, and the path of that run.
    """
    story = Story("P")
    with running_exporter(story.fake, jobs="events: [push, pull_request]") as exporter:
        exporter.refresh_until_idle()
        commit = story.push()
        story.jobs(commit, [Job("test", end=2 * HOUR)])
        late = story.repo.run(
            commit, LINT, [Job("lint", conclusion="failure")],
            event="pull_request", at=story.fake.now + 5,
        )  # fmt: skip
        path = f"/actions/runs/{late.id}"
        faults = {"missing": Kind.DELETED_RUN, "failed": Kind.SERVER_ERROR}
        values = {"unnamed": {"head_branch": None}, "unreadable": {"created_at": 7, "status": []}}
        if kind in faults:
            exporter.server.fail_next(faults[kind], f"{path}$", times)
            yield exporter, path
        else:
            with spoilt(exporter, f"{path}$", lambda run: run.update(values[kind]), times):
                yield exporter, path


@pytest.mark.parametrize("kind", ["missing", "unnamed", "unreadable"])
def test_a_run_that_a_replica_lacks_is_asked_for_again(kind: str) -> None:
    """Its jobs count with the next refresh that finds it; until then the data gets older."""
    with _late_run(2, kind) as (exporter, _):
        begun = exporter.fake.now
        exporter.advance(2 * MINUTE)
        assert "lint" not in [key.job_name for key in exporter.jobs()]
        assert exporter.trunk.data_at == begun
        exporter.advance(6 * MINUTE)
        assert exporter.job("lint").consecutive_failures == 1
        assert exporter.trunk.data_at == exporter.fake.now


@pytest.mark.parametrize("kind", ["failed", "unreadable"])
def test_a_run_that_cannot_be_read_costs_no_other(kind: str) -> None:
    """The answers about all other runs count; the one is counted as dropped, or is the error."""
    with _late_run(1000, kind) as (exporter, _):
        exporter.fake.now += MINUTE
        result = exporter.refresh()
        assert exporter.job("test").pending == 1
        dropped = exporter.engine.snapshot.sources[0].dropped
        assert dropped == ({"workflow_runs": 1} if kind == "unreadable" else {})
        assert bool(exporter.trunk.problems) is (kind == "failed")
        assert result.state.up is (kind == "unreadable")


@pytest.mark.parametrize("kind", ["missing", "unnamed"])
def test_a_run_that_stays_away_is_deleted(kind: str) -> None:
    """It is asked for during three minutes; results that were there stay current."""
    with _late_run(1000, kind) as (exporter, path):
        exporter.advance(HOUR)
        assert len(asked(exporter, path)) == REPLICA_LAG_SECONDS / MINUTE + 1
        assert exporter.trunk.data_at == exporter.fake.now
        assert exporter.refresh().state.up


def _is_of_one_run(entry: LogEntry) -> bool:
    return entry.path.rpartition("/")[0].endswith("/actions/runs")


def _refresh_with_limited_second(exporter: SimulatedExporter) -> int:
    """Refresh, while the second request for jobs is limited; return their number."""
    queries = count()

    def limit_second(path: str, _response: object) -> Kind | None:
        is_query = path.endswith((QUERY, "/jobs", "/check-runs"))
        return Kind.TOO_MANY if is_query and next(queries) == 1 else None

    with mock.patch.object(exporter.server.faults, "pick", limit_second):
        exporter.refresh()
    return next(queries)


@pytest.mark.parametrize("first", ["older", "newer"])
@pytest.mark.parametrize("in_flight", [False, True])
def test_a_refresh_that_ends_early_shows_no_streak_that_never_was(
    first: str, in_flight: bool, graphql: bool
) -> None:
    """A pass that came before the failure of an older commit is not answered, or the reverse."""
    story = Story("P F")
    more = [Job("slow", end=2 * HOUR)] if in_flight else []
    late, early = (40 * MINUTE, 10 * MINUTE) if first == "newer" else (10 * MINUTE, 40 * MINUTE)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.jobs(story.push(), [replace(FAILS, end=late), *more])
        exporter.advance(2 * MINUTE)
        story.jobs(story.push(), [Job("test", end=early), *more])
        if first == "newer" and not graphql:
            exporter.advance(3 * MINUTE)  # a commit that was never read comes first
        story.fake.now += HOUR
        assert _refresh_with_limited_second(exporter) == 2
        assert exporter.job("test").consecutive_failures in (1, 2 if first == "older" else 0)
        exporter.advance(3 * MINUTE)
        check_truth(exporter)


def test_jobs_that_are_never_answered_hold_back_others_for_an_hour_at_most() -> None:
    """Not even the first of them has another result: how long it lasts must be stored anyway."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        silent = []
        for _ in range(2):
            silent.append(story.jobs(story.push(), [Job("test", end=5 * HOUR)]))
            exporter.advance(2 * MINUTE)
        parts = [part for run in silent for part in (f"/{run.id}/jobs", f"/{run.commit.sha}/check")]

        def fail(path: str, _response: object) -> Kind | None:
            return Kind.RESET if any(part in path for part in parts) else None

        with mock.patch.object(exporter.server.faults, "pick", fail):
            for _ in range(3):
                story.jobs(story.push(), [FAILS])
                exporter.advance(25 * MINUTE)
        assert exporter.job("test").consecutive_failures == 3


def test_a_result_that_is_taken_back_lets_the_data_age() -> None:
    """A budget ends between an older commit and a newer one of its workflow."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(MINUTE)
        known = story.fake.now
        story.jobs(story.push(), [FAILS])
        story.fake.now += 40 * MINUTE
        story.jobs(story.push(), [Job("test")])
        story.fake.now += 10 * MINUTE
        once = chain([True], repeat(False))
        with mock.patch.object(RefreshBudget, "for_news", side_effect=once):
            exporter.refresh()
        assert exporter.job("test").consecutive_failures == 0
        assert exporter.trunk.data_at is not None
        assert exporter.trunk.data_at <= known + MINUTE


def test_a_late_conclusion_that_is_taken_back_is_read_again() -> None:
    """Its run has ended long ago, and the wait that an error asks for is longer than the rest."""
    story = Story("P P")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        run = story.jobs(story.push(), [Job("lint"), replace(FAILS, conclusion=None)])
        exporter.advance(40 * MINUTE)
        story.jobs(story.push(), [Job("test", end=5 * HOUR)])
        exporter.advance(15 * MINUTE)
        (attempt,) = run.attempts
        rows = [
            replace(row, final_conclusion="failure") if row.name == "test" else row
            for row in attempt.rows
        ]
        run.attempts[0] = replace(attempt, rows=tuple(rows))
        story.fake.now += 5 * MINUTE
        exporter.server.faults.retry_after = 1200
        assert _refresh_with_limited_second(exporter) == 2
        exporter.advance(HOUR)
        assert exporter.job("test").consecutive_failures == 1
        check_truth(exporter)


# ---------------------------------------------------------------------- queries that are too large


def wide(fake: FakeGitHub | None = None) -> Story:
    """A trunk of 12 commits with 12 runs of 12 jobs each."""
    story = Story(fake=fake)
    for commit_number in range(12):
        commit = story.push()
        for place in range(12):
            red = place == commit_number % 3
            jobs = [
                Job(f"{place} {n}", conclusion="failure" if red else "success") for n in range(12)
            ]
            story.jobs(commit, jobs, numbered(place))
        story.fake.now += HOUR
    return story


@pytest.mark.parametrize("times_out", [True, False], ids=["502", "RESOURCE_LIMITS_EXCEEDED"])
@pytest.mark.parametrize("rows", [100, 1000])
def test_a_query_that_is_too_large_is_halved(times_out: bool, rows: int) -> None:
    """Smaller ones are answered; nothing is read through REST, and nothing is missed."""
    story = wide()
    story.fake.graphql_rows_limit = rows
    story.fake.graphql_times_out = times_out
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert jobs_by_rest(exporter) == []
        assert len(asked(exporter, QUERY)) <= 12 + 8 * 1728 / rows


@pytest.mark.parametrize("kind", [Kind.BAD_GATEWAY, Kind.RESOURCE_LIMITS, Kind.RESET,
                                  Kind.TRUNCATED, Kind.SERVER_ERROR])  # fmt: skip
def test_a_query_that_fails_once_loses_nothing(kind: Kind) -> None:
    """It is repeated, smaller, in the same refresh or the next one."""
    story = wide()
    with running_exporter(story.fake) as exporter:
        exporter.server.fail_next(kind, QUERY)
        exporter.refresh()
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def test_a_run_that_is_too_large_by_itself_is_read_through_rest() -> None:
    """Smaller than one suite no query can be."""
    story = Story("P F F F")
    for place in range(6):
        jobs = [Job(f"t{place} {number}") for number in range(100)]
        story.jobs(story.commits[-1], jobs, numbered(place))
    story.fake.now += HOUR
    story.fake.graphql_rows_limit = 60
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert len(asked(exporter, QUERY)) <= 40
        assert exporter.source.refresh(exporter.engine.state("gh")).report.error is None


def test_graphql_that_never_answers_is_not_asked_on_and_on() -> None:
    """GitHub ends each query after ten seconds: some smaller ones are tried, no more."""
    story = wide()
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        for place in range(5):
            story.run(story.commits[-1], "F", numbered(20 + place), f"new {place}")
        story.push()
        exporter.advance(2 * MINUTE)
        exporter.server.fail_next(Kind.BAD_GATEWAY, QUERY, times=1000)
        for _ in range(MAX_UNANSWERED - 1):
            since = len(exporter.server.log)
            refreshed = exporter.refresh()
            assert len(asked(exporter, QUERY, since)) <= 5
            assert not refreshed.state.up


# ---------------------------------------------------------------------- limits and rights


def test_points_that_are_used_up_are_waited_for() -> None:
    """Nothing is wrong meanwhile, the data is as old as it is, and all is read afterwards."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(2 * MINUTE)
        known = exporter.trunk.data_at
        since = len(exporter.server.log)
        bucket = exporter.server._access.bucket("user-1", GRAPHQL)
        bucket.used = bucket.limit
        story.run(story.push(), "P")
        refreshed = exporter.advance(10 * MINUTE)[-1]
        assert exporter.job("test").broken
        assert refreshed.state.unread or not refreshed.state.up
        assert exporter.trunk.data_at == known
        assert jobs_by_rest(exporter, since) == []
        assert len(asked(exporter, QUERY, since)) <= 10
        story.fake.now = bucket.reset + 1
        exporter.advance(5 * MINUTE)
        check_truth(exporter)


def test_without_points_the_data_ages_while_a_run_is_in_flight() -> None:
    """A job ends in a run that has not changed itself, so nothing but the jobs would show it."""
    story = Story("P F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.jobs(story.push(), [replace(FAILS, end=6 * MINUTE), Job("slow", end=40 * MINUTE)])
        exporter.advance(2 * MINUTE)
        known = exporter.trunk.data_at
        bucket = exporter.server._access.bucket("user-1", GRAPHQL)
        bucket.used = bucket.limit
        exporter.advance(10 * MINUTE)
        assert exporter.job("test").consecutive_failures == 1
        assert exporter.trunk.data_at == known
        story.fake.now = bucket.reset + 1
        exporter.advance(5 * MINUTE)
        check_truth(exporter)


@pytest.mark.parametrize("rights", [FINE_GRAINED, APP.without("checks")])
def test_where_graphql_is_refused_rest_is_read_in_the_same_refresh(rights: Rights) -> None:
    """It is reported which right is missing, and the jobs are there."""
    story = Story("P F F F")
    story.repo.private = True
    story.fake.rights = rights
    with running_exporter(story.fake) as exporter:
        refreshed = exporter.refresh()
        assert refreshed.state.up
        check_truth(exporter)
        exporter.advance(5 * MINUTE)
        assert "graphql" in limitations(exporter)
        assert "o/r" in limitations(exporter)["graphql"]
        assert len(asked(exporter, QUERY)) == 1
        assert counted(exporter.advance(30 * MINUTE)) == 0


def test_a_right_that_is_given_later_is_used() -> None:
    """After an hour GraphQL is asked again, and the limitation ends."""
    story = Story("P F F F")
    story.repo.private = True
    story.fake.rights = FINE_GRAINED
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.fake.rights = CLASSIC
        exporter.advance(HOUR + MINUTE)
        story.then("P")
        exporter.advance(2 * MINUTE)
        check_truth(exporter)
        assert len(asked(exporter, QUERY)) >= 2
        assert "graphql" not in limitations(exporter)


def test_the_configuration_may_forbid_graphql() -> None:
    """`graphql: false` is for those who allow the addresses one by one."""
    with running_exporter(Story("P F F F").fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert asked(exporter, QUERY) == []
        assert limitations(exporter) == {}


def test_without_a_token_rest_is_read() -> None:
    """GraphQL answers no anonymous request."""
    with reading(Story("P F F F").fake, "repo: o/r, branches: [main]") as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert asked(exporter, QUERY) == []


def test_an_enterprise_server_has_an_address_of_its_own() -> None:
    """Its REST API is at `/api/v3`, its GraphQL API at `/api/graphql`."""
    story = Story("P F F F", fake=FakeGitHub(limited=False))
    section = f"repo: o/r, branches: [main], {TOKEN}"
    with reading(story.fake, section, prefix="/api/v3") as exporter:
        assert exporter.server.graphql_url.endswith("/api/graphql")
        exporter.refresh_until_idle()
        check_truth(exporter)
        assert asked(exporter, QUERY)
        assert jobs_by_rest(exporter) == []


# ---------------------------------------------------------------------- nothing new


def test_nothing_new_costs_nothing() -> None:
    """The ETags of two lists decide whether GraphQL is asked."""
    with running_exporter(Story("P F K F F . S H").fake) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(2 * HOUR)
        since = len(exporter.server.log)
        done = exporter.advance(2 * HOUR)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)
        assert asked(exporter, QUERY, since) == []


def test_runs_of_commits_before_the_window_cost_nothing() -> None:
    """The list of runs has them, and nothing of them is ever read."""
    with running_exporter(Story("P " * 20, every=10 * MINUTE).fake, more=", window: 5") as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        assert counted(exporter.advance(HOUR)) == 0


def test_runs_of_commits_that_left_the_trunk_cost_nothing() -> None:
    """A run may be in flight while its commit is pushed away."""
    story = Story("P F F")
    story.jobs(story.push(), [Job("test", end=HOUR)])
    with running_exporter(story.fake) as exporter:
        exporter.fake.now += MINUTE
        exporter.refresh_until_idle()
        story.repo.force_push(story.commits[2])
        exporter.advance(30 * MINUTE)
        assert counted(exporter.advance(20 * MINUTE)) == 0
        check_truth(exporter)


def test_runs_that_wait_cost_nothing() -> None:
    """Forty runs wait for an approval or a runner, on old and new commits."""
    story = Story("P P P P")
    for number in range(40):
        commit = story.commits[number % 4]
        story.jobs(commit, [WAITS], numbered(number))
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        done = exporter.advance(HOUR)
        assert counted(done) == 0
        assert sent(done) <= 3 * len(done)
        check_truth(exporter)


# ---------------------------------------------------------------------- names, branches, workflows


def workflow_reports(exporter: SimulatedExporter) -> Iterator[tuple[str, WorkflowState]]:
    """Yield the states of workflows that a refresh reports, without storing them."""
    for fact in exporter.source.refresh(exporter.engine.state("gh")).facts:
        if isinstance(fact, WorkflowReport):
            yield fact.workflow_key, fact.state


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        ("deleted", WorkflowState.DELETED),
        ("disabled_manually", WorkflowState.DISABLED),
        ("disabled_fork", WorkflowState.DISABLED),
        ("disabled_inactivity", WorkflowState.INACTIVE),
    ],
)
def test_a_workflow_that_does_not_run_any_more_is_reported(
    state: str, reported: WorkflowState
) -> None:
    """Its state is read every ten minutes, and reported once; it may come back."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:
        assert dict(workflow_reports(exporter)) == {CI.path: WorkflowState.ACTIVE}
        exporter.refresh_until_idle()
        assert list(workflow_reports(exporter)) == []
        story.repo.workflow_states[CI.path] = state
        exporter.fake.now += 11 * MINUTE
        assert dict(workflow_reports(exporter)) == {CI.path: reported}
        exporter.refresh()
        exporter.fake.now += 11 * MINUTE
        assert list(workflow_reports(exporter)) == []
        broken = [job.key.job_name for job in exporter.trunk.jobs if job.broken]
        assert broken == (["test"] if reported is WorkflowState.INACTIVE else [])
        del story.repo.workflow_states[CI.path]
        story.then("F F F")
        exporter.advance(MINUTE)
        assert exporter.job("test").broken


def test_a_renamed_default_branch_is_followed() -> None:
    """The old trunk is removed, with its jobs; the new one has the same commits."""
    story = Story("P F F F")
    with reading(story.fake, f"repo: o/r, {TOKEN}") as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        story.repo.rename_branch("main", "trunk")
        exporter.advance(HOUR + MINUTE)
        assert exporter.trunk.trunk.branch == "trunk"
        assert len(exporter.trunk.order.commits) == 4
        story.then("P")
        exporter.advance(2 * MINUTE)
        assert exporter.job("test").last_verdict is not None
        assert not any("main" in key for key in exporter.engine.state("gh").entries)


def test_a_renamed_repository_goes_on_under_the_name_that_is_configured() -> None:
    """REST redirects and GraphQL follows; the runs carry the new name."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.fake.rename(story.repo, "new/name")
        story.then("F P")
        exporter.advance(2 * MINUTE)
        job = exporter.job("test")
        assert [verdict.name for verdict in job.verdicts[-2:]] == ["FAIL", "PASS"]
        assert not job.broken
        assert exporter.engine.snapshot.sources[0].up


def test_a_force_push_is_one_rewrite() -> None:
    """Suites of the new commits are read, those of the old ones are not missed."""
    story = Story("P P F F F")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.repo.force_push(story.commits[2])
        story.fake.now += 1
        story.then("F P")
        exporter.advance(5 * MINUTE)
        assert rewrites(exporter) == 1
        check_truth(exporter)


@pytest.mark.parametrize(
    "index",
    [
        lambda now: SearchIndex(frozen_at=now - 2 * HOUR),
        lambda now: SearchIndex(lag=6 * 24 * HOUR),  # noqa: ARG005 — the same for every time
        lambda now: SearchIndex(kept=0),  # noqa: ARG005 — the same for every time
    ],
    ids=["frozen", "days behind", "empty"],
)
def test_a_stale_search_index_makes_nothing_wrong(
    index: Callable[[float], SearchIndex], graphql: bool
) -> None:
    """No filtered list is believed, at a cold start or later."""
    story = Story("P F F F P F")
    story.fake.index = index(story.fake.now)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        story.then("F F P")
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


# ---------------------------------------------------------------------- odd answers


def objects_with(value: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield every object of an answer that has a member."""
    if isinstance(value, dict):
        if key in value:
            yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from objects_with(inner, key)


FIELDS = ["app", "slug", "id", "url", "status", "conclusion", "createdAt", "branch",
          "workflowRun", "runNumber", "event", "updatedAt", "workflow", "name", "resourcePath",
          "file", "path", "startedAt", "completedAt", "detailsUrl", "checkRuns", "checkSuites",
          "nodes", "pageInfo", "hasNextPage", "repository", "c0", "s0"]  # fmt: skip


@pytest.mark.parametrize("key", FIELDS)
@pytest.mark.parametrize("which", [slice(1), slice(-1, None), slice(None)],
                         ids=["first", "last", "all"])  # fmt: skip
def test_a_field_that_is_null_once_delays_results_by_one_refresh(key: str, which: slice) -> None:
    """A null makes no job broken, even in a field that the schema calls non-nullable."""
    story = Story("P F F")
    story.jobs(story.push(), [Job("slow", end=None)], LINT)  # so that the list of runs is not read
    story.fake.now += MINUTE
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.then("P F F . .")

        def null(document: Any) -> None:
            for found in list(objects_with(document.get("data"), key))[which]:
                found[key] = None

        with spoilt(exporter, QUERY, null, times=10):
            exporter.refresh()
            assert not exporter.job("test").broken
        exporter.server.faults = Faults()
        exporter.fake.now += MINUTE
        exporter.refresh()
        check_truth(exporter)


HUGE = f"https://github.com/o/r/actions/runs/{'9' * 5000}/job/{'9' * 5000}?check_suite_id=9"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in ("status", "conclusion", "detailsUrl", "name", "url", "event")),
        ("detailsUrl", HUGE),
        ("url", HUGE),
        ("url", HUGE.replace("9" * 5000, "9" * 19)),
    ],
)
def test_a_field_that_stays_unreadable_in_one_row_hides_no_other_row(
    key: str, value: str | None
) -> None:
    """The other jobs and commits are read, whatever one row has instead of a text or an id."""
    story = Story("P")
    for _ in range(4):
        commit = story.push()
        story.jobs(commit, [FAILS, OTHER])
        story.run(commit, "F", LINT, "lint")
        story.fake.now += HOUR

    def null(document: Any) -> None:
        for found in objects_with(document.get("data"), key):
            if str(found.get("name") or found.get("url")).endswith(("other", "/0")):
                found[key] = value

    with running_exporter(story.fake) as exporter, spoilt(exporter, QUERY, null, times=1000):
        exporter.advance(5 * MINUTE)
        assert exporter.job("test").broken
        assert exporter.job("lint").broken


def failed_part(path: list[Any], kind: str | None = None) -> dict[str, Any]:
    """Return an error as GraphQL adds it for a part that it could not answer."""
    error = {"path": path, "message": "Something went wrong while executing your query."}
    return error if kind is None else {**error, "type": kind}


@pytest.mark.parametrize("kind", [None, "SERVICE_UNAVAILABLE"])
def test_a_suite_that_could_not_be_answered_is_not_a_deleted_one(kind: str | None) -> None:
    """Only NOT_FOUND is a deletion; the jobs are read again, and no pass is missed."""
    story = Story("P F F P F F")

    def fail(document: Any) -> None:
        data = document.get("data") or {}
        for group in [key for key in data if key.startswith("s") and key[1:].isdecimal()]:
            for place, node in enumerate(data[group]):
                if node is not None:
                    data[group][place] = None
                    document.setdefault("errors", []).append(failed_part([group, place], kind))

    with running_exporter(story.fake) as exporter:
        with spoilt(exporter, QUERY, fail, times=3):
            for _ in range(3):
                refreshed = exporter.refresh()
                trunks = exporter.engine.snapshot.trunks
                assert not any(job.broken for trunk in trunks for job in trunk.jobs)
                assert not refreshed.state.up or refreshed.state.unread
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def test_commits_that_could_not_be_answered_are_unread() -> None:
    """They are not commits on which nothing ran."""
    story = Story("P F F P F F")

    def fail(document: Any) -> None:
        repository = (document.get("data") or {}).get("repository") or {}
        for alias in [key for key in repository if key.startswith("c")]:
            repository[alias] = None
            document.setdefault("errors", []).append(failed_part(["repository", alias]))

    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.then("F P F F")
        with spoilt(exporter, QUERY, fail, times=1000):
            for _ in range(3):
                refreshed = exporter.refresh()
                assert not exporter.job("test").broken
                assert refreshed.state.unread
        exporter.server.faults = Faults()
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


def test_a_run_that_rest_cannot_read_leaves_all_others() -> None:
    """One retried run, whose jobs GraphQL does not suffice for, is an error of its own."""
    story = Story("P K F F F")
    with running_exporter(story.fake) as exporter:
        exporter.server.fail_next(Kind.SERVER_ERROR, f"runs/{story.runs[1].id}/jobs", times=1000)
        refreshed = exporter.advance(5 * MINUTE)[-1]
        assert "HTTP 500" in (refreshed.state.problem or "")
        assert exporter.job("test").broken
        story.then("P")
        exporter.advance(2 * MINUTE)
        assert not exporter.job("test").broken


def test_annotations_that_fail_leave_the_results() -> None:
    """The query for details is one of its own."""
    story = Story("P F F F")
    with running_exporter(story.fake) as exporter:

        def fail(document: Any) -> None:
            for node in objects_with(document.get("data"), "annotations"):
                node["annotations"] = None

        with spoilt(exporter, QUERY, fail, times=1000):
            exporter.advance(3 * MINUTE)
        assert exporter.job("test").broken
        check_truth(exporter)


def test_two_repositories_share_points_and_not_faults() -> None:
    """One is refused, the other one is read through GraphQL."""
    one = Story("P F F F")
    other = Story("P P F", fake=one.fake, repo="o/s")
    other.repo.private = True
    one.fake.rights = FINE_GRAINED
    section = f"repos: [{REPO}, o/s], branches: [main], {TOKEN}"
    with reading(one.fake, section) as exporter:
        exporter.refresh_until_idle()
        states = {
            each.trunk.repo: each.jobs[0].consecutive_failures
            for each in exporter.engine.snapshot.trunks
        }
        assert states == {"o/r": 3, "o/s": 1}
        assert {entry.path.split("/")[3] for entry in jobs_by_rest(exporter)} == {"s"}
        assert "o/r" not in limitations(exporter)["graphql"]


# ---------------------------------------------------------------------- what cannot be read


def test_a_server_whose_graphql_never_answers_is_read_through_rest() -> None:
    """After three refreshes without an answer REST reads the trunk, and the limitation is named."""
    story = Story("P P P")
    with running_exporter(story.fake) as exporter:
        exporter.refresh_until_idle()
        story.then("F F F")
        exporter.server.fail_next(Kind.BAD_GATEWAY, QUERY, times=10_000)
        done = exporter.advance(4 * MINUTE)
        assert not done[0].state.up
        assert done[-1].state.up
        assert "graphql" in done[-1].state.limitations
        check_truth(exporter)
