"""What every source keeps to; a new one needs a case here, and is then tried with all of it."""

import ast
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
import requests
import yaml
from click.testing import CliRunner
from trunkwatch import __version__
from trunkwatch.app import refresh_all
from trunkwatch.app.parts import build_sources
from trunkwatch.cli.main import main
from trunkwatch.config import SourceConfig, parse_config
from trunkwatch.domain.model import Observation, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE, AddedCommits, Cursor, Fact
from trunkwatch.errors import SourceError
from trunkwatch.metrics.exposition import PLAIN, Exposition
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.shards import Shard
from trunkwatch.sources import SOURCES, SourceContext, WebhookSource, build_source
from trunkwatch.sources.recorded import recorded_lines
from trunkwatch.store import SqliteStore

from tests.clickhouse.fake import FakeClickHouse, section
from tests.gitea.fake import FakeGitea
from tests.github.fake import FakeGitHub
from tests.github.server import serving_github
from tests.github.workflows import Job, Workflow, skipped
from tests.gitlab.fake import FakeGitLab
from tests.sources.one_failure import OneFailure
from tests.sources.one_history import PLAYERS
from tests.sources.reading import REPO, Reader, State, sha, state_of
from tests.sources.scenarios import NONE, SCENARIOS
from tests.support.fakehttp import Answer, FakeBuildbot, serving
from tests.support.gitrepo import GitRepo

ROOT = Path(__file__).resolve().parents[2]
NAME = "a source"
SECRET = "hunter2"
NOW = 1_700_000_000


@dataclass(frozen=True)
class Case:
    """A source that can be read.

    Attributes:
        section: of the configuration, without the name.
        more: makes new results.
        spoil: makes every later refresh fail.
        secret: whether SECRET is in the section.
    """

    section: Mapping[str, object]
    more: Callable[[], None]
    spoil: Callable[[], None]
    secret: bool

    @property
    def text(self) -> str:
        """The configuration with this source alone."""
        return yaml.safe_dump({"sources": [{"name": NAME, **self.section}]})

    @property
    def config(self) -> SourceConfig:
        """Its checked section."""
        return parse_config(self.text, "trunkwatch.yml").sources[0]


@contextmanager
def _recorded(folder: Path) -> Iterator[Case]:
    path = folder / "results.ndjson"
    head = f'"repo":"{REPO}","branch":"main","sha":"{sha(1)}"'
    run = f'{{"kind":"run",{head},"workflow":"ci","job_name":"test ≥ 3"'
    lines = [
        f'{{"kind":"commit",{head},"author":"author-a","title":"\\u00bb 1","committed_at":'
        '"2025-12-09T16:02:11+01:00"}',
        run
        + ',"status":"completed","conclusion":"failure","run_id":1,"failed_step":"Test"'
        + ',"annotations":["killed","out of memory"]}',
        run + ',"status":"completed","run_id":1,"attempt":2,"infra":true}',
        run + ',"status":"completed","conclusion":"new word","run_id":"1","job_id":"x","url":"u"}',
        run + ',"status":"queued","run_id":2,"created_at":"2025-12-09T16:02:11.000001Z"}',
        run + ',"status":"completed","conclusion":"success","event":"pull_request"}',
        run + ',"status":"completed","conclusion":"success","head_repo":"fork/r","run_number":0}',
        run + ',"status":"completed","conclusion":"success","workflow_path":"ci.yml"}',
    ]

    def write(*more: str) -> None:
        path.write_text("".join(f"{line}\n" for line in [*lines, *more]), encoding="utf-8")

    write()
    section = {"type": "recorded", "path": str(path)}
    more = run + ',"status":"completed","conclusion":"success","run_id":3}'
    yield Case(section, lambda: write(more), path.unlink, secret=False)


@contextmanager
def _buildbot(folder: Path) -> Iterator[Case]:
    repo, ci = GitRepo(folder), FakeBuildbot()
    commits = [repo.commit(title) for title in ("base", "break it · ≥ 3", "", "fix it")]
    repo.push()
    repo.checkout("release", commits[0])
    repo.push("release")
    for place, commit in enumerate(commits):
        ci.build(place + 1, commit, (0, 2, 4, 3)[place], at=NOW + place)
        ci.steps[place + 1] = [("checkout", 0), ("test", (0, 2, 4, 3)[place])]
    ci.build(11, commits[1], 5, request=1002, at=NOW + 10)
    ci.build(12, commits[1], 6, request=1002, at=NOW + 20)
    ci.build(13, commits[1], 1, request=1900, at=NOW + 30)
    ci.build(14, commits[0], 0, branch="release", builder=2)
    ci.build(15, commits[0], 2, branch="topic", builder=2)
    ci.build(16, sha(99), 0, builder=2)
    ci.build(17, commits[3], None, builder=2)
    ci.build(18, None, None, revision="HEAD")
    with serving(ci) as server:
        section = {
            "type": "buildbot",
            "url": f"http://user:{SECRET}@{server.address}",
            "repo": REPO,
            "branches": ["main", "release"],
            "git": str(repo.bare),
        }

        def more() -> None:
            ci.build(17, commits[3], 2, builder=2, at=NOW + 40)

        def spoil() -> None:
            server.handler = lambda _request: Answer(500, b"")

        yield Case(section, more, spoil, secret=True)


@contextmanager
def _github(folder: Path) -> Iterator[Case]:
    fake = FakeGitHub(time.time() - 40_000.0)
    fake.tokens = {SECRET: "user-1"}
    repo = fake.repo(REPO)
    ci = Workflow("ci ≥ 3", ".github/workflows/ci.yml")
    lint = Workflow("lint", ".github/workflows/lint.yml")
    for number, conclusion in enumerate(("success", "failure", "failure", "cancelled")):
        at = fake.now + 3600 * number
        commit = repo.commit(f"change · {number}", at=at)
        jobs = [Job("test (a)", conclusion=conclusion, end=900), Job("test (b)"), skipped("docs")]
        run = repo.run(commit, ci, jobs, at=at + 1)
        if conclusion == "success":
            # Two runs: read as check runs. The failures are read with their steps, at once.
            repo.run(commit, lint, [Job("lint")], at=at + 2)
        elif number == 2:
            repo.run(commit, lint, startup_failure=True, at=at + 2)
        repo.run(commit, ci, [Job("fork")], event="pull_request", head_repo="fork/r", at=at + 3)
    run.rerun(at + 1200, [Job("test (a)", conclusion="failure")], copies=True)
    repo.run(commit, lint, [Job("lint", end=None)], event="schedule", at=at + 4)
    repo.check(commit, "buildkite", "linux", at=at + 5)
    repo.status(commit, "jenkins/build", "pending", at=at + 6)
    fake.now = time.time()
    token = folder / "token"
    token.write_text(f"{SECRET}\n", encoding="utf-8")
    with serving_github(fake) as server:
        section = {
            "type": "github",
            "api_url": server.url,
            "repo": REPO,
            "branches": ["main"],
            "token_file": str(token),
            "checks": ["buildkite"],
            "statuses": ["jenkins/.*"],
        }

        def more() -> None:
            begun = fake.now
            fake.now += 600
            news = repo.commit("change it again", at=begun)
            repo.run(news, lint, [Job("lint", conclusion="failure")], at=begun)

        yield Case(section, more, fake.tokens.clear, secret=True)


@contextmanager
def _gitlab(folder: Path) -> Iterator[Case]:
    fake = FakeGitLab(prefix="/gitlab", tokens={SECRET: "read_api"})
    project = fake.project("group/sub/project")
    for number, status in enumerate(("success", "failed", "canceled", "new word")):
        at = NOW + 600 * number
        commit = project.push(f"change · {number}", at=at)
        run = project.pipeline(commit, "failed" if number else "success", at=at + 60)
        run.job("test ≥ 1/2", "failed", at=at, failure_reason="runner_system_failure")
        run.job("test ≥ 1/2", status, at=at + 10)
        run.job("lint: [a, b]", "failed", at=at + 10, allow_failure=True)
        run.job("deploy", "manual", at=at + 10)
    child = project.pipeline(commit, "failed", at=at, source="parent_pipeline")
    child.job("unit", "failed", at=at)
    run.bridge("below", "failed", child, at=at)
    broken = project.pipeline(commit, "failed", at=at + 70, source="web")
    broken.yaml_errors = "jobs:test config contains unknown keys: scirpt"
    project.pipeline(commit, "running", at=at + 80, source="schedule").job(
        "nightly", "running", at=at
    )
    project.pipeline(commit, at=at + 90, source="merge_request_event").job("review", at=at)
    token = folder / "token"
    token.write_text(f"{SECRET}\n", encoding="utf-8")
    with serving(fake) as server:
        section = {
            "type": "gitlab",
            "url": f"{server.url}/gitlab",
            "repos": ["group/**"],
            "token_file": str(token),
        }

        def more() -> None:
            news = project.push("change it again", at=at + 300)
            project.pipeline(news, "failed", at=at + 300).job("lint", "failed", at=at + 300)

        yield Case(section, more, fake.tokens.clear, secret=True)


@contextmanager
def _gitea(folder: Path) -> Iterator[Case]:
    fake = FakeGitea(prefix="/git", tokens={SECRET}, page_limit=10)
    repo = fake.repo(REPO)
    for number, status in enumerate(("success", "failure", "cancelled", "new word")):
        at = NOW + 600 * number
        run = repo.run(repo.push(f"change · {number}", at=at), at=at + 60)
        job = run.job("test ≥ 1/2", "failure", at=at + 70)
        run.attempt(job, status, at=at + 90)
        run.job("grid (3.11)", at=at + 70)
        run.job("deploy", "skipped", at=at + 70)
        run.job("twins", at=at + 70)
        run.job("twins", "failure", at=at + 70)
    run.job("waits", "blocked", at=at + 70)
    run.job("runs", "running", at=at + 80)
    review = repo.run(repo.branches["main"], at=at + 90, event="pull_request")
    review.job("review", at=at + 90)
    token = folder / "token"
    token.write_text(f"{SECRET}\n", encoding="utf-8")
    with serving(fake) as server:
        section = {
            "type": "gitea",
            "url": f"{server.url}/git",
            "repos": ["o/*"],
            "token_file": str(token),
        }

        def more() -> None:
            news = repo.run(repo.push("change it again", at=at + 300), at=at + 300)
            news.job("lint", "failure", at=at + 300)

        yield Case(section, more, fake.tokens.clear, secret=True)


@contextmanager
def _clickhouse(folder: Path) -> Iterator[Case]:
    repo, fake = GitRepo(folder), FakeClickHouse()
    fake.password = SECRET
    commits = [repo.commit(title) for title in ("base", "break it · ≥ 3", "fix it")]
    repo.push()
    at = int(time.time()) - 3600
    fake.add(commits[0], written=at, job_name="test ≥ 3", started_at=at - 60, completed_at=at)
    fake.add(commits[1], "failure", written=at, failed_step="Test", infra=True, completed_at=0)
    fake.add(commits[1], written=at + 1, attempt=2, url="https://ci/1", event="schedule")
    fake.add(commits[1], "failure", written=at + 1, job_name="advisory", allow_failure=True)
    fake.add(commits[2], "", written=at + 2, job_id="b-1", workflow=None, created_at=at)
    fake.add(commits[2], "new word", written=at + 2, run_id="2-x", job_name="it's")
    fake.add(commits[2], written=at + 3, branch="topic")
    password = folder / "password"
    password.write_text(f"{SECRET}\n", encoding="utf-8")
    with serving(fake) as server:
        made = section(server.url, user="reader", password_file=str(password), git=str(repo.bare))

        def more() -> None:
            fake.add(commits[2], "failure", written=at + 4, job_id="b-1", workflow=None)

        def spoil() -> None:
            fake.password = "another"

        yield Case(made, more, spoil, secret=True)


CASES: Mapping[str, Callable[[Path], AbstractContextManager[Case]]] = MappingProxyType(
    {
        "buildbot": _buildbot,
        "clickhouse": _clickhouse,
        "gitea": _gitea,
        "github": _github,
        "gitlab": _gitlab,
        "recorded": _recorded,
    }
)


@pytest.fixture(params=sorted(SOURCES))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    with CASES[request.param](tmp_path) as made:
        yield made


def test_every_source_has_a_case() -> None:
    """Every source has a case here, plays the history, and names the tests of its scenarios."""
    assert set(CASES) == set(PLAYERS) == set(SCENARIOS) == set(SOURCES)


def test_every_scenario_has_its_test() -> None:
    """The named tests exist; where there is none, the reason is not empty."""
    for name in (name for scenarios in SCENARIOS.values() for name in astuple(scenarios)):
        file, _, test = name.partition("::")
        if name.startswith(NONE):
            assert name.removeprefix(NONE)
        else:
            assert test.startswith("test_")
            body = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8")).body
            assert test in {getattr(node, "name", None) for node in body}, name


def test_a_source_is_what_its_section_says(case: Case) -> None:
    """`type:` alone decides which source is built."""
    assert build_source(case.config, SourceContext()) is not None
    assert case.config.type in SOURCES


def test_a_source_says_rows_orders_and_one_cursor_at_most(case: Case) -> None:
    """There is nothing else that a store would understand."""
    facts = list(build_source(case.config, SourceContext()).refresh(EMPTY_STATE).facts)
    assert any(isinstance(fact, Observation) for fact in facts)
    assert any(isinstance(fact, TrunkOrder | AddedCommits) for fact in facts)
    assert all(isinstance(fact, Fact) for fact in facts)
    assert sum(isinstance(fact, Cursor) for fact in facts) <= 1


def test_a_source_tells_what_it_declares(case: Case) -> None:
    """Attempts, failed steps and webhooks are as in docs/sources.md."""
    traits, source = SOURCES[case.config.type].traits, build_source(case.config, SourceContext())
    assert isinstance(source, WebhookSource) == bool(traits.webhooks)
    assert (ROOT / "docs" / traits.document.partition("#")[0]).exists()
    reader = Reader(case.config)
    reader.refresh()
    rows = reader.rows()
    results = Counter((row.sha, row.run_id, row.job) for row in rows)
    assert (max(results.values()) > 1) == traits.attempts.startswith("yes")
    if traits.failed_step.startswith("no"):
        assert not any(row.failed_step for row in rows)


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_nothing_new_costs_what_is_declared(kind: str, tmp_path: Path) -> None:
    """When every job has ended and was read, a refresh sends the declared requests and no other."""
    traits = SOURCES[kind].traits
    with PLAYERS[kind](tmp_path) as (section, _):
        text = yaml.safe_dump({"sources": [{"name": NAME, **section}]})
        reader = Reader(parse_config(text, "trunkwatch.yml").sources[0])
        reader.refresh()
        for _ in range(2):
            reader.codes.clear()
            reader.refresh()
            # An answer that has not changed is free where the source declares free trunks.
            counted = [code for code in reader.codes if code != "304"]
            assert len(counted) == (0 if traits.free_trunks else traits.requests)


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 500])
def test_every_failed_request_is_made_up_for(case: Case, status: int) -> None:
    """Whichever request fails, and the exporter restarts then, the next refresh has everything."""
    network = OneFailure()
    whole = Reader(case.config, session=network)
    whole.refresh()
    assert network.sent or case.config.type == "recorded"
    for place in range(len(network.sent)):
        reader = Reader(case.config, session=OneFailure(place, status))
        with suppress(SourceError):
            reader.refresh()
        reader.restart(session=requests.Session)
        reader.refresh()
        assert reader.report.failure is None
        assert reader.state() == whole.state(), f"after a failure of {network.sent[place]}"


def test_reading_twice_changes_nothing(case: Case) -> None:
    """A second refresh, by the same source or after a restart, leaves the state as it is."""
    reader = Reader(case.config)
    reader.refresh()
    once = reader.state()
    assert once.rows
    reader.refresh()
    assert reader.state() == once
    reader.restart()
    reader.refresh()
    assert reader.state() == once


def test_reading_in_steps_is_reading_at_once(case: Case) -> None:
    """Two refreshes with a restart between them give the same state as one refresh."""
    steps = Reader(case.config)
    steps.refresh()
    before = steps.state()
    case.more()
    steps.restart()
    steps.refresh()
    assert steps.state() != before
    at_once = Reader(case.config)
    at_once.refresh()
    assert steps.state() == at_once.state()


def test_recording_loses_nothing(case: Case, tmp_path: Path) -> None:
    """A recorded file reads back as the commits and rows that it was written from."""
    reader = Reader(case.config)
    reader.refresh()
    path = tmp_path / "written.ndjson"
    lines = [
        line
        for trunk, order in reader.store.load().orders.items()
        for line in recorded_lines(order, reader.store.observations(trunk), {})
    ]
    path.write_text("".join(lines), encoding="utf-8")
    assert _read_back(path) == reader.state()


def test_the_command_record_loses_nothing(case: Case, tmp_path: Path) -> None:
    """The same holds for the file that `trunkwatch record` writes."""
    (tmp_path / "trunkwatch.yml").write_text(case.text, encoding="utf-8")
    path = tmp_path / "written.ndjson"
    arguments = ["--config.file", str(tmp_path / "trunkwatch.yml"), "--output", str(path)]
    done = CliRunner().invoke(main, ["record", *arguments])
    assert done.exit_code == 0, done.output
    reader = Reader(case.config)
    reader.refresh()
    assert _without_details(_read_back(path)) == _without_details(reader.state())


def test_two_shards_are_one_exporter(case: Case) -> None:
    """One shard reads what a single exporter reads; the other lists at most, and stores nothing."""
    (whole, _), *shards = map(partial(_read, case), (None, Shard(1, 2), Shard(2, 2)))
    assert whole.rows
    (owner, sent), (other, listed) = sorted(shards, key=lambda each: -len(each[0].rows))
    assert _without_details(owner) == _without_details(whole)
    assert other == State([], [])
    assert listed <= 3  # requests for the list of an owner's repositories
    assert sent > listed or case.config.type == "recorded"


def _read(case: Case, shard: Shard | None) -> tuple[State, float]:
    """Return all that one exporter stores, and the number of its requests."""
    config, counters = parse_config(case.text, "trunkwatch.yml"), Counters()
    with closing(SqliteStore()) as store:
        engine = TrunkEngine(config, store, counters, time.time, shard=shard)
        poller = Poller(engine, [], Timing(time.monotonic))
        ((section, source),) = build_sources(config, counters, engine, shard)
        assert poller.refresh_once(section, source) or case.config.type == "recorded"
        sent = counters.totals().by_last_label("trunkwatch_source_requests_total")
        return state_of(store), sum(sent.values())


def _without_details(state: State) -> State:
    """Return the rows without what `record` reads of failures once they are evaluated."""
    rows = [row.changed(failed_step=None, annotations=()) for row in state.rows]
    return state._replace(rows=rows)


def _read_back(path: Path) -> State:
    text = yaml.safe_dump({"sources": [{"name": "back", "type": "recorded", "path": str(path)}]})
    reader = Reader(parse_config(text, "trunkwatch.yml").sources[0])
    reader.refresh()
    return reader.state()


def test_an_error_names_its_source_and_changes_nothing(case: Case) -> None:
    """The error is a SourceError of one line, and the stored results stay."""
    reader = Reader(case.config)
    reader.refresh()
    before = reader.state()
    case.spoil()
    with pytest.raises(SourceError) as caught:
        reader.refresh()
    error = caught.value
    assert error.of(NAME) == f"source {NAME}: {error}"
    assert len(str(error).splitlines()) == 1
    assert error.reason != SourceError.reason, "a word for the metric that says what went wrong"
    assert reader.state() == before


@pytest.mark.slow
def test_no_secret_is_shown(case: Case, tmp_path: Path) -> None:
    """Neither output nor log, at any level, nor metrics hold what opens the server."""
    (tmp_path / "trunkwatch.yml").write_text(case.text, encoding="utf-8")
    flags = ["--config.file", str(tmp_path / "trunkwatch.yml")]
    shown = [_shown("check", *flags), _shown("check", "--format", "json", *flags)]
    shown += [_shown("record", *flags), _shown("check-config", *flags)]
    shown.append(_metrics(case))
    case.spoil()
    shown += [_shown("check", *flags), _shown("record", *flags), _metrics(case)]
    assert all(shown)
    assert not any(SECRET in text for text in shown)


def _shown(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["--log.level", "debug", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


def _metrics(case: Case) -> str:
    once = refresh_all(parse_config(case.text, "trunkwatch.yml"), ":memory:", None)
    snapshot = once.engine.snapshot
    exposition = Exposition(lambda: snapshot, Counters().totals, __version__)
    once.store.close()
    return exposition.body(PLAIN, zipped=False).decode()
