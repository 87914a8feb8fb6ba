"""Faults of requests, storage or process delay results, and never open or close an outage."""

import random
from collections.abc import Iterable, Iterator

import pytest
from trunkwatch.domain.model import Verdict
from trunkwatch.engine.facts import Fact
from trunkwatch.errors import StoreError
from trunkwatch.store import SqliteStore
from trunkwatch.store.port import Applied

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import T0, FakeGitHub
from tests.github.faults import ALL, Faults, Kind
from tests.github.outage_check import SOURCE_OPTIONS, differences_after_settling, run_scenario
from tests.github.scenario import REPO, scenario
from tests.github.workflows import Job, Workflow

pytestmark = pytest.mark.slow

LARGE = pytest.mark.large
SHORT = 14
"""Commits of a shorter scenario; four of them are pushed while it runs."""


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=LARGE) for n in (2, 3))])
def test_faults_of_every_kind_delay_but_never_open_an_outage(seed: int) -> None:
    """With one request of twenty failing for hours, no outage opens or closes wrongly, and all jobs
    end in the same state as without faults.
    """
    plan = scenario()
    with running_exporter(plan.fake, REPO, SOURCE_OPTIONS) as exporter:
        exporter.server.faults = faults = Faults(0.05, seed)
        checker = run_scenario(exporter, plan.end, exporter.refresh)
        assert len({kind for kind, _ in faults.happened}) >= 6
        assert checker.outages >= 12
        assert checker.wrong == []
        assert rewrites(exporter) <= 1, "the scenario has one force push"
        assert differences_after_settling(exporter) == {}


def rewrites(exporter: SimulatedExporter) -> float:
    """Return how many rewrites of the trunk were counted."""
    counts = exporter.counters.totals().counts
    return counts.get(("trunkwatch_trunk_rewrites_total", REPO, "main"), 0.0)


# Each kind on a short trunk: tests/sources/github/test_faults.py.
@LARGE
@pytest.mark.parametrize("kind", ALL)
def test_each_kind_of_fault_delays_but_never_opens_an_outage(kind: Kind) -> None:
    """With one request of five failing in one way, no outage opens or closes wrongly."""
    plan = scenario(SHORT)
    with running_exporter(plan.fake, REPO, SOURCE_OPTIONS) as exporter:
        exporter.server.faults = faults = Faults(0.2, 1, [kind])
        checker = run_scenario(exporter, plan.end, exporter.refresh)
        assert faults.happened
        assert checker.wrong == []
        assert rewrites(exporter) == 0
        assert differences_after_settling(exporter) == {}


# ---------------------------------------------------------------------- one fault at one moment

CI = Workflow("ci", ".github/workflows/ci.yml")


@pytest.fixture
def one_commit() -> Iterator[SimulatedExporter]:
    """Return an exporter of one commit, whose run failed, was read, and was then re-run."""
    fake = FakeGitHub()
    repo = fake.repo(REPO)
    jobs = [Job("good", end=100), Job("bad", end=100, conclusion="failure")]
    run = repo.run(repo.commit("Change", at=T0), CI, jobs, at=T0 + 5)
    run.rerun(T0 + 1000, [Job("bad", end=100)])
    fake.now = T0 + 300
    with running_exporter(fake, REPO) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("bad").last_verdict is Verdict.FAIL
        fake.now = T0 + 1300
        yield exporter


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_is_not_found_for_a_moment_is_not_lost(
    one_commit: SimulatedExporter, times: int
) -> None:
    """After a 404 for the jobs of a listed run the data ages, and the next refresh reads them."""
    data_at = one_commit.trunk.data_at
    one_commit.server.fail_next(Kind.DELETED_RUN, r"/runs/\d+/jobs", times)
    for _ in range(times):
        one_commit.refresh()
        assert one_commit.job("bad").last_verdict is Verdict.FAIL
        assert one_commit.trunk.data_at == data_at
    one_commit.advance(600)
    assert one_commit.trunk.data_at == one_commit.fake.now
    assert one_commit.job("bad").last_verdict is Verdict.FLAKY


class MissingConclusion(Faults):
    """Faults that remove the conclusion of the first passing job."""

    def corrupt_document(self, text: str) -> str:
        """Replace the first `success` of a document with null."""
        return text.replace('"conclusion":"success"', '"conclusion":null', 1)


@pytest.mark.parametrize(("times", "pending"), [(1, 0), (2, 0), (1000, 0)])
def test_a_missing_conclusion_is_read_again(times: int, pending: int) -> None:
    """A completed job without a conclusion is read again at once, even in an old run; if it stays
    so, it never has a result, and the other jobs of the list count.
    """
    fake = FakeGitHub()
    repo = fake.repo(REPO)
    jobs = [Job("good", end=100), Job("bad", end=100, conclusion="failure")]
    repo.run(repo.commit("Change", at=T0), CI, jobs, at=T0 + 5)
    fake.now = T0 + 20_000
    with running_exporter(fake, REPO) as exporter:
        exporter.server.faults = MissingConclusion()
        exporter.server.fail_next(Kind.NULL_FIELD, "check-runs|/jobs", times)
        exporter.refresh_until_idle()
        assert exporter.job("bad").last_verdict is Verdict.FAIL
        assert exporter.job("good").pending == pending


# ---------------------------------------------------------------------- storage and process


class FailingStore(SqliteStore):
    """A storage whose writes sometimes fail in the middle of a refresh."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.rate = 0.2
        self.failed = 0

    def apply(self, source: str, facts: Iterable[Fact], now: float | None) -> Applied:
        """Fail before the first fact, in the middle, or after the last one."""
        if self.chance.random() >= self.rate:
            return super().apply(source, facts, now)
        self.failed += 1
        return super().apply(source, self._some_of(list(facts)), now)

    def _some_of(self, facts: list[Fact]) -> Iterator[Fact]:
        yield from facts[: self.chance.randint(0, len(facts))]
        raise StoreError("results.db", "cannot be written (disk full)")


def test_a_storage_that_fails_delays_but_never_opens_an_outage() -> None:
    """A refresh that cannot be stored has no effect, and its results are read again."""
    plan = scenario(SHORT)
    with running_exporter(plan.fake, REPO, SOURCE_OPTIONS) as exporter:
        exporter.store = store = FailingStore(random.Random(1))
        exporter.restart()
        checker = run_scenario(exporter, plan.end, exporter.refresh)
        assert store.failed >= 10
        assert checker.wrong == []
        store.rate = 0.0
        assert differences_after_settling(exporter) == {}


def test_a_process_that_is_killed_delays_but_never_opens_an_outage() -> None:
    """An exporter killed before a refresh, between reading and storing, or after it resumes from
    its storage.
    """
    plan = scenario(SHORT)
    chance = random.Random(1)
    with running_exporter(plan.fake, REPO, SOURCE_OPTIONS) as exporter:

        def refresh() -> None:
            match chance.randrange(5):
                case 0:
                    exporter.restart()
                case 1:
                    # The results were read but are lost with the process.
                    exporter.source.refresh(exporter.engine.state("gh"))
                    exporter.restart()
                case 2:
                    exporter.refresh()
                    exporter.restart()
                case _:
                    exporter.refresh()

        checker = run_scenario(exporter, plan.end, refresh)
        assert checker.wrong == []
        assert differences_after_settling(exporter) == {}
