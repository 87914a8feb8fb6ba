"""Limits and refusals: what the source github does when it may not ask."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.snapshot import MIN_STALE_SECONDS

from tests.github.exporter import running_exporter
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Faults, Kind
from tests.github.server import LogEntry
from tests.github.workflows import Job, Workflow
from tests.sources.github.stories import (
    HOUR,
    LINT,
    MINUTE,
    REPO,
    Story,
    asked,
    check_truth,
    counted,
    order_of,
    reading,
    sent,
)


def most_in_an_hour(log: Sequence[LogEntry]) -> int:
    """Return the most counted requests of any sixty minutes."""
    times = [entry.at for entry in log if entry.counted]
    return max((sum(at - HOUR < other <= at for other in times) for at in times), default=0)


def busy(fake: FakeGitHub, commits: int, workflows: int = 6) -> Story:
    """A trunk that gets a commit every ten minutes, each with results for an hour."""
    story = Story(fake=fake)
    for _ in range(commits):
        commit = story.push()
        for place in range(workflows):
            name = Workflow(f"w{place}", f".github/workflows/{place}.yml")
            jobs = [
                Job(
                    f"{place} {n}",
                    end=600.0 * (n + 1),
                    conclusion="failure" if n == 1 else "success",
                )
                for n in range(6)
            ]
            story.jobs(commit, jobs, name)
        story.fake.now += 10 * MINUTE
    return story


# ---------------------------------------------------------------------- the budget


@pytest.mark.slow
def test_the_budget_is_kept_in_any_sixty_minutes() -> None:
    """Requests stay within the share and are spread, and all results arrive in the end."""
    limit, share = 400, 0.25
    fake = FakeGitHub(limit=limit)
    story = busy(fake, 6)
    with running_exporter(fake, more=f", quota_share: {share}", graphql=False) as exporter:
        for _ in range(6):
            exporter.advance(10 * MINUTE)
            commit = story.push()
            story.run(commit, "P")
        exporter.advance(2 * HOUR)
        assert most_in_an_hour(exporter.server.log) <= limit * share
        check_truth(exporter)


@pytest.mark.slow
def test_what_the_budget_leaves_out_shows_in_the_age_of_the_data() -> None:
    """Slower is not silent: the data is as old as the oldest thing that is due."""
    fake = FakeGitHub(limit=40)
    story = Story("P F F", fake=fake)
    with running_exporter(fake, graphql=False) as exporter:
        exporter.advance(HOUR + 5 * MINUTE)
        assert exporter.trunk.data_at == fake.now
        story.then("P " * 30)
        begun = fake.now
        exporter.advance(10 * MINUTE)
        assert exporter.trunk.data_at is not None
        assert exporter.trunk.data_at < begun
        exporter.advance(4 * HOUR, every=5 * MINUTE)
        assert exporter.trunk.data_at > begun + 3 * HOUR
        check_truth(exporter)


def test_commits_in_flight_are_read_less_often_and_failed_runs_at_once() -> None:
    """A failure never counts before an older pass of its workflow; the data is never stale."""
    story = Story("P F F", fake=FakeGitHub(limit=200))
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        for job in (Job("test", end=220), Job("test", end=240, conclusion="failure")):
            commit = story.push()
            story.jobs(commit, [job])
            story.jobs(commit, [Job("slow", end=HOUR)], LINT)
            story.fake.now += 10
        streaks = []
        for _ in range(10):
            exporter.advance(MINUTE)
            streaks.append(exporter.job("test").consecutive_failures)
            assert exporter.trunk.data_at is not None
            assert story.fake.now - exporter.trunk.data_at <= MIN_STALE_SECONDS
        assert streaks == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
        assert len(asked(exporter, "/check-runs")) <= 3 + 2 * 4
        check_truth(exporter)


def test_a_hole_that_the_budget_leaves_shows_in_the_age_of_the_data() -> None:
    """While the list of runs cannot be read on, the data's timestamp stays old."""
    fake = FakeGitHub(limit=1000)
    story = Story("P F F", fake=fake)
    with running_exporter(fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        known = exporter.trunk.data_at
        for _ in range(4):
            commit = story.push()
            for place in range(110):
                workflow = Workflow(f"w{place}", f".github/workflows/{place}.yml")
                story.run(commit, "P", workflow, f"t{place}")
            story.fake.now += MINUTE
        exporter.server._access.bucket("user-1").used = 995
        refreshed = exporter.refresh()
        assert "quota_share" in (refreshed.state.problem or "")
        assert exporter.trunk.data_at == known


@pytest.mark.slow
def test_what_others_use_of_the_token_is_left_to_them() -> None:
    """The share also applies to the remaining requests."""
    fake = FakeGitHub(limit=1000)
    busy(fake, 10)
    with running_exporter(fake, graphql=False) as exporter:
        exporter.server._access.bucket("user-1").used = 960
        exporter.advance(30 * MINUTE)
        assert exporter.server.counted() <= 20


def test_a_spent_window_is_waited_for(graphql: bool) -> None:
    """Nothing is asked before the reset that GitHub names, and everything after it."""
    fake = FakeGitHub(limit=1000)
    Story("P F F F", fake=fake)
    with running_exporter(fake, more=", quota_share: 1.0", graphql=graphql) as exporter:
        bucket = exporter.server._access.bucket("user-1")
        bucket.used = 1000
        refreshed = exporter.refresh()
        assert not refreshed.ok
        assert "rate limit" in (refreshed.state.problem or "")
        assert refreshed.sent == 1
        fake.now += 59 * MINUTE
        assert exporter.refresh().sent == 0
        fake.now = bucket.reset + 1
        exporter.refresh_until_idle()
        check_truth(exporter)


@pytest.mark.slow
def test_a_server_without_limits_holds_nothing_back() -> None:
    """GitHub Enterprise Server sends no such headers; its API is below /api/v3."""
    fake = FakeGitHub(limited=False)
    story = Story("P F F F" + " P F" * 60, every=10 * MINUTE, fake=fake)
    section = "repo: o/r, branches: [main], token_env: STANDIN_TOKEN, window: 200, graphql: false"
    with reading(fake, section, prefix="/api/v3") as exporter:
        done = exporter.refresh_until_idle()
        check_truth(exporter)
        assert done[-1].state.quota_remaining is None
        assert sent(done) > 120
        story.then("F")
        exporter.refresh()
        check_truth(exporter)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize("kind", [Kind.SECONDARY_LIMIT, Kind.TOO_MANY])
def test_retry_after_is_obeyed(kind: Kind, graphql: bool) -> None:
    """Nothing is sent before it is over, whatever the poll interval; then all goes on."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.server.faults = Faults(retry_after=300)
        exporter.server.fail_next(kind)
        first = exporter.refresh()
        assert (first.ok, first.sent) == (False, 1)
        assert "rate limited for 300 s" in (first.state.problem or "")
        assert sent(exporter.advance(4 * MINUTE)) == 0
        exporter.advance(2 * MINUTE)
        check_truth(exporter)


@pytest.mark.parametrize("kind", [Kind.SECONDARY_LIMIT, Kind.TOO_MANY])
def test_a_limit_that_names_no_time_is_left_alone_for_a_minute(kind: Kind, graphql: bool) -> None:
    """GitHub's rules ask for a minute at least."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.server.faults = Faults(retry_after=None)
        exporter.server.fail_next(kind)
        assert exporter.refresh().sent == 1
        assert sent(exporter.advance(50, every=10)) == 0
        exporter.advance(MINUTE)
        check_truth(exporter)


def test_a_short_retry_after_is_waited_for_within_the_refresh(graphql: bool) -> None:
    """Some seconds are no reason to give up; they are slept, and little is lost."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.server.faults = Faults(retry_after=5)
        exporter.server.fail_next(Kind.TOO_MANY)
        assert exporter.refresh().state.up
        assert exporter.slept >= 5
        check_truth(exporter)


def test_a_limit_in_the_middle_loses_nothing() -> None:
    """Results before the limit count; the rest is read after it."""
    story = Story("P F F F P F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.server.fail_next(Kind.TOO_MANY, f"{story.runs[2].id}/jobs")
        first = exporter.refresh()
        assert not first.state.up
        assert exporter.job("test").consecutive_failures == 1
        exporter.advance(3 * MINUTE)
        check_truth(exporter)
        assert len(asked(exporter, "/jobs")) == 7


# ---------------------------------------------------------------------- tokens


def test_a_bad_token_is_tried_ever_less_often_and_reported(graphql: bool) -> None:
    """A server may refuse a good token for a moment; one that stays bad costs next to nothing."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        story.fake.tokens.clear()
        first = exporter.refresh()
        assert (first.ok, first.sent) == (False, 1)
        assert "STANDIN_TOKEN" in (first.state.problem or "")
        assert TOKEN not in (first.state.problem or "")
        done = exporter.advance(58 * MINUTE)
        assert 3 <= sent(done) <= 7
        assert not any(refreshed.state.up for refreshed in done)
        story.fake.tokens[TOKEN] = "user-1"
        exporter.advance(HOUR)
        check_truth(exporter)


def test_a_token_that_is_refused_once_costs_one_refresh(graphql: bool) -> None:
    """The next poll tries it again."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.server.fail_next(Kind.UNAUTHORIZED)
        assert not exporter.refresh().state.up
        assert exporter.advance(MINUTE)[0].state.up
        check_truth(exporter)


def test_a_token_that_is_revoked_keeps_what_was_known(graphql: bool) -> None:
    """No alert resolves because of it."""
    story = Story("P F F F")
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.fake.tokens.clear()
        story.then("P")
        done = exporter.advance(10 * MINUTE)
        assert sent(done) <= 6
        assert exporter.job("test").broken
        assert exporter.trunk.data_at is not None
        assert exporter.trunk.data_at < story.fake.now - HOUR


def test_a_new_token_in_the_file_is_used_at_once(tmp_path: Path) -> None:
    """Secrets are rotated while the exporter runs; the ETags of the old one are not sent."""
    story = Story("P F F F")
    file = tmp_path / "token"
    file.write_text("old\n")
    story.fake.tokens = {"old": "user-1"}
    section = f"repo: o/r, branches: [main], token_file: '{file}'"
    with reading(story.fake, section) as exporter:
        exporter.refresh_until_idle()
        story.fake.tokens = {"new": "user-2"}
        story.then("F")
        assert not exporter.advance(MINUTE)[-1].ok
        file.write_text("new\n")
        exporter.advance(MINUTE)
        check_truth(exporter)
        assert {entry.who for entry in exporter.server.log[-2:]} == {"user-2"}
        exporter.advance(5 * MINUTE)
        assert counted(exporter.advance(10 * MINUTE)) == 0


def test_without_a_token_sixty_requests_an_hour_are_shared() -> None:
    """A small public repository can be read; even an unchanged list counts then."""
    story = Story("P F F F P P F")
    with reading(story.fake, "repo: o/r, branches: [main]") as exporter:
        exporter.refresh_until_idle()
        check_truth(exporter)
        story.then("F F")
        exporter.advance(3 * HOUR, every=3 * MINUTE)
        check_truth(exporter)
        assert most_in_an_hour(exporter.server.log) <= 30
        assert {entry.who for entry in exporter.server.log} == {"anonymous"}


def test_a_private_repository_without_a_token_is_said_to_be_missing() -> None:
    """GitHub answers 404, so the error names both causes."""
    fake = FakeGitHub()
    Story("P", fake=fake)
    fake.repos["o/r"].private = True
    with reading(fake, "repo: o/r, branches: [main]") as exporter:
        refreshed = exporter.refresh()
        assert "the name is wrong, or the token may not read it" in (refreshed.state.problem or "")


def test_one_repository_that_is_missing_does_not_stop_the_other() -> None:
    """It is reported, and the other one's data is new."""
    story = Story("P F F F")
    section = "repos: [o/gone, o/r], branches: [main], token_env: STANDIN_TOKEN"
    with reading(story.fake, section) as exporter:
        for _ in range(3):
            report = exporter.source.refresh(exporter.engine.state("gh")).report
            gone, well = (report.trunks[Trunk(repo, "main")] for repo in ("o/gone", REPO))
            assert "o/gone" in str(gone.error)
            assert (well.error, report.error) == (None, None)
            assert exporter.refresh().state.up
            story.fake.now += MINUTE
        assert exporter.job("test").broken
        story.then("P")
        exporter.advance(2 * MINUTE)
        check_truth(exporter)
        assert exporter.trunk.data_at == story.fake.now
        assert order_of(exporter)[-1] == "Change 4"


def test_what_is_left_of_the_quota_is_told() -> None:
    """The remaining quota is that of GitHub's last answer."""
    with running_exporter(Story("P F").fake, graphql=False) as exporter:
        done = exporter.refresh_until_idle()
        assert done[-1].state.quota_remaining == 5000 - exporter.server.counted()
