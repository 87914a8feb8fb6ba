"""Many repositories: their heads decide which are read, and nothing new is lost by that."""

from collections.abc import Iterable

import pytest
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact
from trunkwatch.sources.github import source
from trunkwatch.sources.github.discovery import refresh, rounds
from trunkwatch.sources.github.discovery.idle import RECHECK_SECONDS

from tests.github.exporter import POLL, SimulatedExporter, expected_jobs, job_differences
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import Kind
from tests.github.graphql_schema import require_schema
from tests.github.repo import PlannedRun, Repo
from tests.github.rights import FINE_GRAINED
from tests.github.workflows import Job
from tests.sources.github.stories import CI, HOUR, reading

REPOS = 4
SECTION = 'repos: ["acme/*"], token_env: STANDIN_TOKEN, poll_interval: 60s'
FAILURE = [Job("test", 0, 30, "failure")]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeGitHub:
    """Return an organization with so many repositories that their heads are read."""
    require_schema()
    for module in (refresh, rounds):
        monkeypatch.setattr(module, "MAX_PLAIN_REPOS", REPOS - 1)
    fake = FakeGitHub()
    for number in range(REPOS):
        repo = fake.repo(f"acme/r{number:02}")
        for title in ("first", "second"):
            repo.run(repo.commit(title, at=T0 - HOUR), CI, FAILURE, at=T0 - HOUR)
    return fake


def idle(exporter: SimulatedExporter) -> None:
    """Refresh until a refresh asks for nothing but the heads."""
    for _ in range(8):
        (refreshed,) = exporter.advance(POLL)
        assert refreshed.ok
        if refreshed.sent == 1:
            return
    raise AssertionError("repositories without news are still read")


def runs(repo: Repo) -> list[PlannedRun]:
    """Return the runs of a repository, oldest first."""
    return [run for run in repo.runs if isinstance(run, PlannedRun)]


def is_true(exporter: SimulatedExporter, name: str) -> bool:
    """Return whether the jobs of a repository are as they are in truth."""
    (state,) = [s for s in exporter.engine.snapshot.trunks if s.trunk.repo == name]
    found = {job.key: job for job in state.jobs}
    return job_differences(found, expected_jobs(exporter, name)) == {}


def test_repositories_without_news_cost_no_request_of_their_own(fake: FakeGitHub) -> None:
    """A point is the price of fifty repositories; their data are fresh all the same, also after a
    restart.
    """
    with reading(fake, SECTION) as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        exporter.restart()
        (refreshed,) = exporter.advance(POLL)
        assert (refreshed.sent, refreshed.points) == (1, 1)
        states = exporter.engine.snapshot.trunks
        assert len(states) == REPOS
        assert {state.data_at for state in states} == {fake.now}


@pytest.mark.parametrize("what", ["commit", "schedule", "re-run", "branch"])
def test_news_of_a_tip_are_read_in_the_same_refresh(fake: FakeGitHub, what: str) -> None:
    """New commits and runs, runs of the same commit, and runs that are run again are news."""
    repo = fake.repos["acme/r02"]
    with reading(fake, SECTION) as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        head = repo.head("main", fake.now)
        assert head is not None
        if what == "commit":
            repo.run(repo.commit("third"), CI, FAILURE)
        elif what == "schedule":
            repo.run(head, CI, [Job("nightly", 0, 30, "failure")], event="schedule")
        elif what == "re-run":
            runs(repo)[-1].rerun(fake.now, [Job("test", 0, 30)])
        else:
            repo.rename_branch("main", "trunk")
        (refreshed,) = exporter.advance(POLL)
        assert 1 < refreshed.sent < 12
        if what == "branch":
            shown = {s.trunk for s in exporter.engine.snapshot.trunks if s.trunk.repo == "acme/r02"}
            assert shown == {Trunk("acme/r02", "trunk")}
        else:
            assert is_true(exporter, "acme/r02")


@pytest.mark.slow
def test_a_run_in_flight_is_read_in_each_refresh(fake: FakeGitHub) -> None:
    """The jobs of a run that goes on are read as for one repository."""
    repo = fake.repos["acme/r02"]
    with reading(fake, SECTION) as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        repo.run(repo.commit("third"), CI, [Job(f"j{n}", 0, 300.0 * n + 60) for n in range(3)])
        for _ in range(20):
            exporter.advance(POLL)
            assert is_true(exporter, "acme/r02")
        idle(exporter)


@pytest.mark.slow
def test_a_re_run_of_an_older_commit_is_seen_in_time(fake: FakeGitHub) -> None:
    """It changes no head; each repository is read now and then, several in each refresh."""
    with reading(fake, SECTION) as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        names = ("acme/r00", "acme/r03")
        for name in names:
            runs(fake.repos[name])[0].rerun(fake.now, [Job("test", 0, 30)])
        exporter.advance(RECHECK_SECONDS + REPOS * POLL)
        assert all(is_true(exporter, name) for name in names)


@pytest.mark.parametrize(
    ("kind", "timeout"),
    [
        (Kind.BAD_GATEWAY, "30s"),
        (Kind.RESOURCE_LIMITS, "30s"),
        # Long enough for an answer of a busy machine, so that it takes several seconds.
        pytest.param(Kind.HANG, "1s", marks=pytest.mark.slow),
    ],
)
def test_heads_that_are_not_answered_lose_nothing(
    fake: FakeGitHub, kind: Kind, timeout: str
) -> None:
    """A repository whose heads are uncertain is read as if it were the only one."""
    repo = fake.repos["acme/r02"]
    with reading(fake, f"{SECTION}, timeout: {timeout}") as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        repo.run(repo.commit("third"), CI, FAILURE)
        exporter.server.fail_next(kind, "/graphql", times=4)
        exporter.advance(3 * POLL)
        assert is_true(exporter, "acme/r02")


def test_a_token_without_checks_reads_all_through_rest(fake: FakeGitHub) -> None:
    """Where the suites are refused, each repository is asked for by itself, for free."""
    for repo in fake.repos.values():
        repo.private = True
    fake.rights = FINE_GRAINED
    with reading(fake, SECTION) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(5 * POLL)
        repo = fake.repos["acme/r02"]
        repo.run(repo.commit("third"), CI, FAILURE)
        (refreshed,) = exporter.advance(POLL)
        assert refreshed.sent >= 2 * REPOS
        assert is_true(exporter, "acme/r02")


def test_one_repository_that_fails_stops_no_other(fake: FakeGitHub) -> None:
    """A trunk whose repository is forbidden has an error of its own."""
    with reading(fake, SECTION) as exporter:
        exporter.server.fail_next(Kind.SERVER_ERROR, "/repos/acme/r02/", times=100)
        assert exporter.refresh().ok
        shown = {s.trunk.repo: s for s in exporter.engine.snapshot.trunks}
        assert len(shown) == REPOS
        failed = {name for name, s in shown.items() if any(x.problem for x in s.sources)}
        assert failed == {"acme/r02"}


def test_each_repository_is_stored_when_it_was_read(fake: FakeGitHub) -> None:
    """A refresh that ends halfway keeps what it has read."""
    stored: list[Trunk] = []

    with reading(fake, SECTION) as exporter:
        ingest = exporter.engine.ingest_part

        def store(source: str, facts: Iterable[Fact]) -> None:
            listed = list(facts)
            stored.extend(fact.trunk for fact in listed if isinstance(fact, TrunkOrder))
            ingest(source, listed)
            if len(stored) == 2:
                raise RuntimeError("the process ends")

        exporter.engine.ingest_part = store  # type: ignore[method-assign]
        exporter.restart_with(exporter.engine)
        assert not exporter.refresh().ok
        exporter.engine.evaluate_pending()
        assert {state.trunk for state in exporter.engine.snapshot.trunks} == set(stored)


def test_repositories_without_the_branch_or_a_commit_cost_nothing(fake: FakeGitHub) -> None:
    """The heads show it; a first commit is seen by them."""
    fake.repos["acme/r03"].rename_branch("main", "master")
    empty = fake.repo("acme/empty")
    with reading(fake, f"{SECTION}, branches: [main]") as exporter:
        exporter.refresh_until_idle()
        idle(exporter)
        assert len(exporter.engine.snapshot.trunks) == REPOS - 1
        assert "acme/r03 main" in exporter.engine.snapshot.sources[0].limitations["branches"]
        empty.run(empty.commit("first"), CI, FAILURE)
        exporter.advance(POLL)
        assert is_true(exporter, "acme/empty")


def test_repositories_that_wait_for_their_turn_are_named(
    fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cold start that the limit of a minute interrupts is named until it has ended."""
    monkeypatch.setattr(source, "REST_PER_MINUTE", 10)
    monkeypatch.setattr(refresh, "THREADS", 1)
    with reading(fake, f"{SECTION}, graphql: false") as exporter:
        refreshed = exporter.refresh()
        assert " of 4 repositories" in refreshed.state.limitations["unread_repositories"]
        assert 0 < (exporter.engine.retry_after("gh") or 0) <= 60
        exporter.advance(10 * POLL)
        assert exporter.server.refused_for_now == 0
        assert "unread_repositories" not in exporter.engine.snapshot.sources[0].limitations
        assert all(is_true(exporter, name) for name in fake.repos)


def test_rounds_that_the_points_do_not_allow_are_stretched_and_shown(fake: FakeGitHub) -> None:
    """The interval grows, and a limitation gives the reason."""
    fake.graphql_limit = 60
    with reading(fake, SECTION) as exporter:
        exporter.refresh()
        fake.now += POLL
        refreshed = exporter.refresh()
        assert f"{REPOS} repositories" in refreshed.state.limitations["interval"]
        assert exporter.engine.retry_after("gh") == pytest.approx(3600 / (0.5 * 30))
