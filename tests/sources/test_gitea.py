"""The Gitea source against a server that answers as Gitea 1.26 did, and against others."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from trunkwatch.config import GiteaSource, parse_config
from trunkwatch.domain.evidence import EvidenceRules, evidence_of, unknown_word
from trunkwatch.domain.model import Evidence, Trunk
from trunkwatch.engine.facts import EMPTY_STATE, TrunkRemoved
from trunkwatch.errors import (
    BadAnswerError,
    BadDelivery,
    BadSignature,
    CredentialsError,
    NotFoundError,
    RateLimitedError,
    UnsignedDelivery,
)
from trunkwatch.sources import SourceContext, WebhookSource, build_source
from trunkwatch.store import StoredRows

from tests.domain.builders import evaluate, job_named
from tests.gitea.fake import NO_TIME, NOT_FOUND, RECORDED, TOKEN, FakeGitea, Repo, Run, time_text
from tests.sources.reading import Reader
from tests.support.clock import Clock
from tests.support.fakehttp import Answer, HttpServer, Request, as_json, serving

NOW = 1_700_000_000.0
HOUR = 3600.0
NAME = "o/r"
TRUNK = Trunk(NAME, "main")
SECRET = "of the webhook"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def ci() -> FakeGitea:
    return FakeGitea(prefix="/git")


@pytest.fixture
def repo(ci: FakeGitea) -> Repo:
    return ci.repo(NAME)


@pytest.fixture
def server(ci: FakeGitea) -> Iterator[HttpServer]:
    with serving(ci) as running:
        yield running


Configure = Callable[..., GiteaSource]


@pytest.fixture
def configure(server: HttpServer, tmp_path: Path) -> Configure:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")

    def make(**keys: object) -> GiteaSource:
        section = {
            "name": "tea",
            "type": "gitea",
            "url": f"{server.url}/git",
            "repos": [NAME],
            "token_file": str(tmp_path / "token"),
            "webhook_secret_file": str(tmp_path / "secret"),
            **keys,
        }
        config = parse_config(json.dumps({"sources": [section]}), "trunkwatch.yml").sources[0]
        assert isinstance(config, GiteaSource)
        return config

    return make


@pytest.fixture
def reader(configure: Configure, clock: Clock) -> Reader:
    return Reader(configure(), clock)


def asked_by_refresh(reader: Reader, server: HttpServer) -> list[str]:
    """Refresh once and return the last part of the path of each of its requests."""
    server.requests.clear()
    reader.refresh()
    return [path.rpartition("/")[2] for path in server.paths()]


def names(reader: Reader) -> list[tuple[str, str, int]]:
    """Return the name, conclusion or status, and attempt of every stored row."""
    return sorted(
        (row.job.job_name, row.conclusion or row.status, row.attempt) for row in reader.rows()
    )


def verdicts(reader: Reader, name: str) -> str:
    """Return the verdicts of a job on the trunk, oldest first."""
    order = reader.store.load().orders[TRUNK]
    state = evaluate(StoredRows(reader.store, TRUNK), order, now=NOW)
    return " ".join(job_named(state, name, "ci.yml").verdicts)


def pushed(repo: Repo, *, at: float = NOW - 90) -> Run:
    """Return the run of a new commit."""
    return repo.run(repo.push("a", at=at), at=at)


@pytest.mark.parametrize("path", ["/jobs", "/runs"])
def test_jobs_that_are_refused_are_read_later(
    repo: Repo, reader: Reader, server: HttpServer, path: str
) -> None:
    """The trunk has the error; a server without such lists answers 404."""
    pushed(repo).job("test", "success", at=NOW - 80)
    answer = server.handler
    server.handler = lambda request: (
        as_json({}, 403) if request.path.endswith(path) else answer(request)
    )
    with suppress(NotFoundError):
        reader.refresh()
        assert isinstance(reader.report.trunks[TRUNK].error, NotFoundError)
    server.handler = answer
    reader.refresh()
    assert reader.report.trunks[TRUNK].error is None
    assert reader.report.limitations == ()
    assert names(reader) == [("test", "success", 1)]


# ---------------------------------------------------------------------- attempts and their words


@pytest.mark.parametrize(
    ("status", "evidence"),
    [
        ("success", Evidence.PASS),
        ("failure", Evidence.FAIL),
        ("cancelled", Evidence.UNKNOWN),
        ("skipped", Evidence.SKIP),
        ("waiting", Evidence.PENDING),
        ("blocked", Evidence.PENDING),
        ("running", Evidence.PENDING),
    ],
)
def test_each_status_has_one_evidence(
    repo: Repo, reader: Reader, status: str, evidence: Evidence
) -> None:
    """A job has one row of the evidence table, whether it began or not, and no sentinel time."""
    pushed(repo).job("test", status, at=NOW - 80)
    reader.refresh()
    row = reader.only_row()
    assert evidence_of(row, EvidenceRules(), None, NOW) == evidence
    assert unknown_word(row) is None
    began = status in ("success", "failure", "cancelled", "running")
    ended = began and status != "running"
    assert (row.started_at, row.completed_at) == (
        NOW - 80 if began else None,
        NOW - 70 if ended else None,
    )


def test_a_row_has_all_that_gitea_reports(repo: Repo, reader: Reader) -> None:
    """A workflow is its file, a run its number, and the page is that of the job."""
    job = pushed(repo).job("test", "hibernating", at=NOW - 80)
    repo.runs[0].row["event"] = repo.tasks[0]["event"] = "schedule"
    reader.refresh()
    row = reader.only_row()
    assert (row.job.workflow_name, row.job.workflow_path) == ("ci.yml", "ci.yml")
    assert (row.run_id, row.run_number, row.event, row.url) == (1, 1, "schedule", job["html_url"])
    assert (row.head_repo, row.head_branch, row.attempt) == (NAME, "main", 1)
    assert unknown_word(row) == "hibernating"
    commit = reader.store.load().orders[TRUNK].commits[0]
    assert (commit.title, commit.author, commit.committed_at) == ("a", "author-a", NOW - 90)


@pytest.mark.parametrize(
    ("ends", "failed"),
    [
        (["success", "failure", "skipped"], "step 1"),
        (["failure", "skipped", "skipped"], "step 0"),
        (["failure", "failure", "failure"], None),
        ([], None),
    ],
)
def test_a_failed_step_is_one_that_differs(
    repo: Repo, reader: Reader, ends: list[str], failed: str | None
) -> None:
    """Gitea 1.26 has the conclusion of the job at each step, which names none."""
    run = pushed(repo)
    job = run.job("test", "failure", at=NOW - 80)
    run.attempt(job, "failure", at=NOW - 40)
    job["steps"] = [{"name": f"step {place}", "conclusion": end} for place, end in enumerate(ends)]
    reader.refresh()
    assert [row.failed_step for row in sorted(reader.rows(), key=lambda row: row.attempt)] == [
        None,
        failed,
    ]


def test_a_task_may_change_after_its_end(repo: Repo, reader: Reader) -> None:
    """The end of the newest attempt is that of its job: a late log changes the task's time."""
    run = pushed(repo)
    job = run.job("test", "failure", at=NOW - 80)
    run.attempt(job, "failure", at=NOW - 40)
    for task in repo.tasks:
        task["updated_at"] = time_text(NOW - 5)
    reader.refresh()
    ends = {row.attempt: row.completed_at for row in reader.rows()}
    assert ends == {1: NOW - 5, 2: NOW - 30}


def test_a_clock_of_a_runner_is_bounded_by_the_server(repo: Repo, reader: Reader) -> None:
    """No job ends before it began, nor after its task changed for the last time."""
    run = pushed(repo)
    slow, fast = (run.job(name, "failure", at=NOW - 80) for name in ("slow", "fast"))
    slow["completed_at"], fast["completed_at"] = time_text(NOW - HOUR), time_text(NOW + HOUR)
    reader.refresh()
    ends = {row.job.job_name: row.completed_at for row in reader.rows()}
    assert ends == {"slow": NOW - 80, "fast": NOW - 70}


def test_a_scheduled_run_is_one(repo: Repo, reader: Reader) -> None:
    """Gitea's list of runs shows the push that registered the schedule, the tasks the schedule."""
    pushed(repo).job("test", "failure", at=NOW - 80)
    repo.tasks[0]["event"] = "schedule"
    reader.refresh()
    assert reader.only_row().event == "schedule"


def test_a_rerun_is_a_flake(repo: Repo, reader: Reader) -> None:
    """Red, and green when it was run again, polled only afterwards: both attempts are read."""
    run = pushed(repo)
    job = run.job("test", "failure", at=NOW - 80)
    run.attempt(job, "success", at=NOW - 40)
    assert job["conclusion"] == "success", "the row itself looks like a pass"
    reader.refresh()
    assert names(reader) == [("test", "failure", 1), ("test", "success", 2)]
    assert verdicts(reader, "test") == "FLAKY"


def test_a_rerun_after_the_end_is_seen(repo: Repo, reader: Reader, server: HttpServer) -> None:
    """Rows that change in place are read again when a task shows it, until all jobs ended."""
    run = pushed(repo)
    job, needs = run.job("test", "failure", at=NOW - 80), run.job("deploy", "skipped", at=NOW - 80)
    reader.refresh()
    assert verdicts(reader, "deploy") == "NONE"
    run.attempt(job, "success", at=NOW - 40)
    run.wait(needs)
    reader.restart()
    assert "jobs" in asked_by_refresh(reader, server)
    assert verdicts(reader, "test") == "FLAKY"
    run.attempt(needs, "failure", at=NOW - 20)
    reader.refresh()
    assert verdicts(reader, "deploy") == "FAIL"
    assert "jobs" not in asked_by_refresh(reader, server)


def test_a_task_changes_in_place(repo: Repo, reader: Reader, server: HttpServer) -> None:
    """A task that runs is read again, however many newer ones have ended, for 36 hours."""
    run, others = pushed(repo), ci_pages(repo)
    job = run.job("test", "running", at=NOW - 80)
    for number in range(120):
        others.job(f"job {number}", at=NOW - 70)
    reader.refresh()
    assert asked_by_refresh(reader, server).count("tasks") == 3
    run.end(job, repo.tasks[0], "failure", at=NOW - 10)
    reader.refresh()
    assert verdicts(reader, "test") == "FAIL"
    assert asked_by_refresh(reader, server).count("tasks") == 1


def ci_pages(repo: Repo) -> Run:
    """Return a run of another branch, whose tasks are in the same list."""
    return repo.run(repo.push("b", at=NOW - 90, branch="topic"), at=NOW - 80, branch="topic")


def test_an_attempt_that_never_ends_is_given_up(
    repo: Repo, reader: Reader, server: HttpServer, clock: Clock
) -> None:
    """A job that runs or waits costs no request 36 hours after it was seen."""
    run = pushed(repo)
    run.job("hangs", "running", at=NOW - 80)
    run.job("waits", "waiting", at=NOW - 80)
    reader.refresh()
    clock.now += 37 * HOUR
    reader.refresh()
    assert asked_by_refresh(reader, server) == ["commits", "tasks", "runs"]


def test_rows_of_a_slow_transaction_are_seen_late(repo: Repo, reader: Reader) -> None:
    """A task and a run that appear after others with greater ids are read all the same."""
    first, second = pushed(repo), pushed(repo)
    job = first.job("test", "failure", at=NOW - 80)
    second.job("other", at=NOW - 80)
    second.job("late", "skipped", at=NOW - 80)
    third = pushed(repo)
    third.job("other", at=NOW - 80)
    repo.runs.remove(second)
    reader.refresh()
    first.attempt(job, "success", at=NOW - 40)
    slow = repo.tasks.pop()
    third.job("more", at=NOW - 40)
    reader.refresh()
    assert verdicts(reader, "test").split()[0] == "FAIL"
    repo.tasks.insert(-1, slow)
    repo.runs.insert(1, second)
    reader.refresh()
    assert verdicts(reader, "test").split()[0] == "FLAKY"
    assert ("late", "skipped", 1) in names(reader)


def test_a_rerun_that_is_cancelled_before_it_begins_leaves_nothing_pending(
    repo: Repo, reader: Reader
) -> None:
    """The job's own row is the only one that shows the second attempt."""
    run = pushed(repo)
    job = run.job("test", "cancelled", at=NOW - 80)
    other = run.job("other", "failure", at=NOW - 80)
    run.wait(job)
    run.attempt(other, "running", at=NOW - 40)
    reader.refresh()
    assert verdicts(reader, "test") == "PENDING"
    job |= {"status": "completed", "conclusion": "cancelled"}
    reader.refresh()
    assert names(reader).count(("test", "cancelled", 2)) == 1
    assert verdicts(reader, "test") == "NONE"


def test_a_job_that_waited_has_a_row_for_each_attempt(repo: Repo, reader: Reader) -> None:
    """Waiting is no attempt of its own, whether the begin of the attempt was seen or not."""
    run = pushed(repo)
    seen, unseen = (run.job(name, "waiting", at=NOW - 80) for name in ("seen", "unseen"))
    reader.refresh()
    task = run.attempt(seen, "running", at=NOW - 60)
    reader.refresh()
    run.end(seen, task, "failure", at=NOW - 50)
    run.attempt(unseen, "failure", at=NOW - 60)
    reader.refresh()
    run.wait(unseen)
    run.wait(seen)
    run.job("third", at=NOW - 40)
    reader.refresh()
    for job in (seen, unseen):
        run.attempt(job, "success", at=NOW - 20)
    reader.refresh()
    assert names(reader)[:2] == [("seen", "failure", 1), ("seen", "success", 2)]
    assert names(reader)[2:-1] == [("third", "success", 1), ("unseen", "failure", 1)]
    assert names(reader)[-1] == ("unseen", "success", 2)


def test_jobs_that_share_a_name_are_no_attempts(repo: Repo, reader: Reader) -> None:
    """A failure and a pass of two jobs of one name are a failure."""
    run = pushed(repo)
    run.job("test", "failure", at=NOW - 80)
    run.job("test", "success", at=NOW - 80)
    reader.refresh()
    assert verdicts(reader, "test") == "FAIL"


def test_globs_select_branches(
    repo: Repo, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """The newest by date are read; a deleted one ends when its list is read again."""
    for number, branch in enumerate(("main", "release/1", "release/2", "release/3", "r/4")):
        repo.push("a", at=NOW - 90 + number, branch=branch)
    entry = {"name": "release/*", "newest": 2}
    reader = Reader(configure(branches=["HEAD", entry, "release/*x"]), clock)
    reader.refresh()
    assert {trunk.branch for trunk in reader.report.trunks} == {"main", "release/2", "release/3"}
    (limitation,) = reader.report.limitations
    assert limitation.text == "release/*x: no project has such a branch"
    assert "branches" not in asked_by_refresh(reader, server)
    del repo.branches["release/3"]
    clock.now += 600.0
    assert TrunkRemoved(Trunk(NAME, "release/3")) in reader.refresh()
    assert {trunk.branch for trunk in reader.report.trunks} == {"main", "release/1", "release/2"}


def test_other_branches_and_events_do_not_count(
    repo: Repo, reader: Reader, server: HttpServer
) -> None:
    """The server filters no task: their rows do, and their jobs are not asked for."""
    ci_pages(repo).job("topic", "failure", at=NOW - 80)
    repo.run(repo.push("a", at=NOW - 70), at=NOW - 60, event="pull_request").job("pr", at=NOW - 60)
    assert "jobs" not in asked_by_refresh(reader, server)
    assert reader.rows() == []


# ---------------------------------------------------------------------- the trunk


def test_the_order_follows_first_parents(
    ci: FakeGitea, repo: Repo, reader: Reader, server: HttpServer
) -> None:
    """Merged commits are listed among those of the trunk, and a parent may be pages away."""
    ci.page_limit = 5
    first = repo.push("first", at=NOW - 900)
    repo.branches["topic"] = first
    side = [
        repo.push(f"side {number}", at=NOW - 800 + number, branch="topic") for number in range(20)
    ]
    merge = repo.push("merge", at=NOW - 100, merges=side[-1])
    asked = asked_by_refresh(reader, server)
    assert (reader.order(), asked.count("commits")) == ([first, merge], 2)
    assert not reader.store.load().orders[TRUNK].older_unread
    early = repo.push("of a wrong clock", at=NOW - 1000)
    assert asked_by_refresh(reader, server).count("commits") == 1
    assert reader.order() == [first, merge, early]
    repo.branches["main"] = first
    forced = repo.push("forced", at=NOW - 50)
    reader.refresh()
    assert reader.order() == [first, forced]


def test_the_window_bounds_a_cold_start(
    ci: FakeGitea, repo: Repo, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """Rows before the newest commits are not paged, although each page has a run without begin."""
    for hours in range(240, 0, -2):
        run = pushed(repo, at=NOW - hours * HOUR)
        run.job("test", at=NOW - hours * HOUR)
        if hours % 10 == 0:
            run.row["started_at"] = NO_TIME
    ci.page_limit = 10
    reader = Reader(configure(window=20), clock)
    asked = asked_by_refresh(reader, server)
    assert (asked.count("commits"), asked.count("tasks"), asked.count("runs")) == (2, 5, 5)
    assert len(reader.order()) == 20
    assert reader.store.load().orders[TRUNK].older_unread
    assert verdicts(reader, "test").split() == ["PASS"] * 20


def test_a_commit_that_cannot_be_read_leaves_the_order(
    ci: FakeGitea, repo: Repo, reader: Reader, server: HttpServer
) -> None:
    """Its neighbours never seem adjacent; results are read on."""
    pushed(repo).job("test", at=NOW - 80)
    reader.refresh()
    before = reader.order()
    bad = repo.push("bad", at=NOW - 60)
    pushed(repo, at=NOW - 50).job("test", "failure", at=NOW - 50)
    server.handler = lambda request: spoilt(ci(request), bad)
    reader.refresh()
    assert isinstance(reader.report.trunks[TRUNK].error, BadAnswerError)
    assert (reader.order(), len(reader.rows())) == (before, 2)
    server.handler = ci
    reader.refresh()
    assert len(reader.order()) == 3


def spoilt(answer: Answer, text: str) -> Answer:
    """Return an answer in which a text is another one."""
    return answer._replace(body=answer.body.replace(text.encode(), b"x"), length=None)


def test_repositories_of_an_owner(ci: FakeGitea, configure: Configure, clock: Clock) -> None:
    """A glob selects those of a person that are not archived; one without commits is named."""
    for name in ("o/a", "o/b", "o/old", "other/c"):
        made = ci.repo(name)
        made.push("a", at=NOW - 90)
        made.row["archived"] = name == "o/old"
    ci.repo("o/empty")
    reader = Reader(configure(repos=["o/*"], exclude=["o/b"]), clock)
    reader.refresh()
    assert list(reader.report.trunks) == [Trunk("o/a", "main")]
    named = Reader(configure(repos=["o/empty", "o/a", "o/z*"]), clock)
    named.refresh()
    texts = {each.name: each.text.partition(":")[0] for each in named.report.limitations}
    assert texts == {"empty": "o/empty", "repositories": "o/z*"}


@pytest.mark.parametrize("status", [403, 404])
def test_a_token_that_loses_an_owner_ends_no_trunk(
    ci: FakeGitea, configure: Configure, clock: Clock, server: HttpServer, status: int
) -> None:
    """A list without any repository that was in it, or one that is forbidden, is not believed."""
    for name in ("o/a", "o/b"):
        ci.repo(name).push("a", at=NOW - 90)
    reader = Reader(configure(repos=["o/*"]), clock)
    reader.refresh()
    answer, shown = server.handler, [ci.repos[2].row] if status == 403 else []
    server.handler = lambda request: (
        as_json(shown if request.one("page") == "1" else [])
        if request.path.endswith("/o/repos")
        else as_json({}, status)
    )
    for _ in range(2):
        clock.now += HOUR
        with pytest.raises(NotFoundError):
            reader.refresh()
    server.handler = answer
    del ci.repos[1]
    clock.now += HOUR
    assert TrunkRemoved(Trunk("o/a", "main")) in reader.refresh()


# ---------------------------------------------------------------------- cost, paging, positions


def test_nothing_new_costs_three_requests(repo: Repo, reader: Reader, server: HttpServer) -> None:
    """Commits, tasks and runs are asked for, also by another process."""
    pushed(repo).job("test", "failure", at=NOW - 80)
    assert asked_by_refresh(reader, server) == ["r", "commits", "tasks", "runs", "jobs"]
    assert asked_by_refresh(reader, server) == ["commits", "tasks", "runs"]
    reader.restart()
    assert asked_by_refresh(reader, server) == ["commits", "tasks", "runs"]


@pytest.mark.parametrize("move", ["added", "deleted", "deleted for ever"])
def test_rows_move_while_they_are_paged(
    ci: FakeGitea, repo: Repo, reader: Reader, move: str
) -> None:
    """Pages are smaller than asked for, and shift between two requests; no row is lost."""
    ci.page_limit = 3
    run = pushed(repo)
    for number in range(8):
        run.job(f"job {number}", at=NOW - 80)
    later = pushed(repo, at=NOW - 60)
    for number in range(3):
        later.job(f"newest {number}", at=NOW - 50)
    left = [1] if move != "deleted for ever" else [1] * 3

    def shift(request: Request) -> None:
        if request.path.endswith("/tasks") and request.one("page") == "2" and left:
            left.pop()
            later.job("new", at=NOW - 40) if move == "added" else repo.tasks.pop()

    ci.before = shift
    reader.refresh()
    error = reader.report.trunks[TRUNK].error
    if move == "deleted for ever":
        assert "rows were deleted each of the 3 times" in str(error)
        reader.refresh()
        error = reader.report.trunks[TRUNK].error
    assert error is None
    tasks = json.loads(reader.store.load().sources["tea"].state.entries[f"trunk {NAME} main"])
    assert len(tasks["runs"]["1"]["tasks"]) == 8


def test_many_runs_are_read_over_several_refreshes(
    repo: Repo, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that stay open do not keep the others from being read."""
    monkeypatch.setattr("trunkwatch.sources.gitea.trunk_reader.MAX_RUNS", 2)
    for number in range(5):
        run = pushed(repo, at=NOW - 500 + 60 * number)
        run.job("test", at=NOW - 80)
        run.job("hangs", "running", at=NOW - 80)
    left = []
    for _ in range(3):
        reader.refresh()
        left.append((reader.report.unread, reader.report.retry_after))
    assert left == [(3, 0.0), (1, 0.0), (0, None)]
    assert verdicts(reader, "test").split() == ["PASS"] * 5


def test_a_server_that_begins_anew_is_read_anew(ci: FakeGitea, repo: Repo, reader: Reader) -> None:
    """A position of the future, such as that of a server before its restore, hides nothing."""
    ci._ids = 10_000
    pushed(repo).job("test", "failure", at=NOW - 80)
    reader.refresh()
    ci._ids = 100
    repo.tasks.clear()
    repo.runs.clear()
    run = repo.run(repo.branches["main"], at=NOW - 50)
    run.job("later", "failure", at=NOW - 50)
    reader.restart()
    reader.refresh()
    assert verdicts(reader, "later") == "FAIL"


@pytest.mark.parametrize("text", ["", "{}", "null", '{"scope": 1}', "\x00"])
def test_a_damaged_position_begins_anew(repo: Repo, reader: Reader, text: str) -> None:
    """An entry that cannot be read does not end a refresh."""
    pushed(repo).job("test", at=NOW - 80)
    state = type(EMPTY_STATE)(None, dict.fromkeys([f"trunk {NAME} main", f"repos {NAME}"], text))
    assert reader._source.refresh(state).report.error is None


# ---------------------------------------------------------------------- bad rows, rights, others


@pytest.mark.parametrize("values", [{"id": "7"}, {"name": None}, {"head_sha": "a"}, {"status": 5}])
@pytest.mark.parametrize("kind", ["task", "job"])
def test_a_row_that_cannot_be_read_may_be_the_pass_between_two_failures(
    repo: Repo, reader: Reader, kind: str, values: Mapping[str, Any]
) -> None:
    """Newer results wait half an hour for it, which is counted, and read once it can be."""
    run = pushed(repo)
    row = run.job("test", "success", at=NOW - 80)
    bad = repo.tasks[0] if kind == "task" else row
    good = dict(bad)
    bad |= values
    pushed(repo, at=NOW - 50).job("test", "failure", at=NOW - 40)
    reader.refresh()
    assert isinstance(reader.report.trunks[TRUNK].error, BadAnswerError)
    assert (reader.rows(), sum(reader.dropped.values())) == ([], 1)
    bad |= good
    reader.refresh()
    assert verdicts(reader, "test") == "PASS FAIL"
    assert reader.report.trunks[TRUNK].error is None


def test_newer_results_do_not_wait_for_ever(repo: Repo, reader: Reader, clock: Clock) -> None:
    """After half an hour the others count without the row."""
    pushed(repo).job("bad", at=NOW - 80)
    repo.tasks[0]["name"] = repo.runs[0].jobs[0]["name"] = None
    pushed(repo, at=NOW - 50).job("test", "failure", at=NOW - 40)
    reader.refresh()
    clock.now += 1790
    reader.refresh()
    assert reader.rows() == []
    clock.now += 20
    reader.refresh()
    assert verdicts(reader, "test") == "FAIL"
    assert reader.report.trunks[TRUNK].error is None


def test_a_repository_that_is_gone_keeps_its_results(
    ci: FakeGitea, repo: Repo, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """Its trunk fails with the reason, and the other repositories are read, at their usual cost."""
    pushed(repo).job("test", "failure", at=NOW - 80)
    ci.repo("o/other").push("a", at=NOW - 90)
    reader = Reader(configure(repos=[NAME, "o/other"]), clock)
    reader.refresh()
    del ci.repos[1]
    reader.refresh()
    error = reader.report.trunks[TRUNK].error
    assert isinstance(error, NotFoundError)
    assert "read:repository" in str(error)
    assert reader.report.trunks[Trunk("o/other", "main")].error is None
    assert len(reader.rows()) == 1
    assert asked_by_refresh(reader, server) == ["r", "commits", "tasks", "runs"]


def test_a_token_without_rights_is_named(ci: FakeGitea, repo: Repo, reader: Reader) -> None:
    """The error of a token that lacks the scope names it; a refused one is not sent again."""
    pushed(repo)
    ci.weak, ci.tokens = {TOKEN}, set()
    with pytest.raises(NotFoundError, match="scope read:repository; for a glob also read:user"):
        reader.refresh()
    ci.weak = set()
    with pytest.raises(CredentialsError):
        reader.refresh()


def test_runs_are_listed_with_a_token_only(
    ci: FakeGitea, repo: Repo, configure: Configure, clock: Clock
) -> None:
    """Gitea shows a public repository and its tasks without one; the trunk's error asks for it."""
    ci.tokens = {""}
    pushed(repo).job("test", "success", at=NOW - 80)
    reader = Reader(configure(token_file=None), clock)
    reader.refresh()
    error = reader.report.trunks[TRUNK].error
    assert isinstance(error, CredentialsError)
    assert "asks for a token" in str(error)


def test_a_server_that_asks_to_wait_is_left_alone(
    repo: Repo, reader: Reader, server: HttpServer
) -> None:
    """Gitea has no limit of its own; a proxy before it may have one."""
    pushed(repo)
    reader.refresh()
    server.handler = lambda _request: Answer(429, b"", headers={"Retry-After": "90"})
    with pytest.raises(RateLimitedError, match="90 s"):
        reader.refresh()
    server.requests.clear()
    with pytest.raises(RateLimitedError):
        reader.refresh()
    assert server.requests == []


def test_a_limit_between_two_runs_keeps_the_first(
    ci: FakeGitea, repo: Repo, reader: Reader, server: HttpServer, clock: Clock
) -> None:
    """Runs that could not be read are counted as unread, and read when the wait is over."""
    for at in (NOW - 90, NOW - 60):
        pushed(repo, at=at).job("test", "failure", at=at)
    last = f"/{repo.runs[1].row['id']}/jobs"
    limited = Answer(429, b"", headers={"Retry-After": "90"})
    server.handler = lambda request: limited if request.path.endswith(last) else ci(request)
    reader.refresh()
    assert (len(reader.rows()), reader.report.unread) == (1, 1)
    assert isinstance(reader.report.trunks[TRUNK].error, RateLimitedError)
    assert reader.report.retry_after == 90
    server.handler = ci
    clock.now += 91
    reader.refresh()
    assert verdicts(reader, "test") == "FAIL FAIL"


def test_another_source_may_give_the_order(
    repo: Repo, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """With `order: false` the commits are read once, for the time at which reading begins."""
    pushed(repo).job("test", "failure", at=NOW - 80)
    config = configure().model_copy(update={"order": False})
    reader = Reader(config, clock)
    assert "commits" in asked_by_refresh(reader, server)
    assert asked_by_refresh(reader, server) == ["tasks", "runs"]
    assert (len(reader.rows()), reader.store.load().orders) == (1, {})


@pytest.mark.parametrize("lists_runs", [False, True])
def test_a_forgejo_without_jobs_of_runs_is_read_by_its_tasks(
    ci: FakeGitea, repo: Repo, reader: Reader, server: HttpServer, lists_runs: bool
) -> None:
    """The list of tasks has every attempt that began; the lack is reported."""
    ci.lists_runs, ci.lists_jobs = lists_runs, False
    run = pushed(repo)
    run.attempt(run.job("test", "failure", at=NOW - 80), "success", at=NOW - 40)
    reader.refresh()
    assert verdicts(reader, "test") == "FLAKY"
    assert [each.name for each in reader.report.limitations] == ["jobs"]
    assert asked_by_refresh(reader, server) == ["commits", "tasks"]


def test_a_run_that_is_deleted_costs_no_other(
    ci: FakeGitea, repo: Repo, reader: Reader, server: HttpServer
) -> None:
    """A run may go between the list and its jobs; the server has the jobs of runs all the same."""
    gone, kept = pushed(repo), pushed(repo, at=NOW - 60)
    gone.job("test", "failure", at=NOW - 80)
    kept.job("lint", "skipped", at=NOW - 50)
    path = f"/actions/runs/{gone.row['id']}"
    server.handler = lambda request: NOT_FOUND if path in request.path else ci(request)
    reader.refresh()
    assert [name for name, _, _ in names(reader)] == ["lint", "test"]
    assert reader.report.limitations == ()
    # The whole repository may go after its tasks were read.
    server.handler = lambda request: NOT_FOUND if "/runs" in request.path else ci(request)
    with pytest.raises(NotFoundError):
        reader.refresh()
    assert reader.report.limitations == ()


@pytest.mark.parametrize("path", ["", "/git", "/git/api/v3"])
@pytest.mark.parametrize(
    "answer",
    [
        None,
        Answer(200, b"<!DOCTYPE html><title>Sign In - Forgejo: Beyond coding</title>", "text/html"),
        Answer(404, b"404", "text/html", headers={"Set-Cookie": "i_like_gitea=5; Path=/"}),
        as_json({"message": "not found", "url": "https://git.example/api/swagger"}, 404),
    ],
    ids=["line", "login", "cookie", "API"],
)
def test_a_source_of_github_names_gitea(
    ci: FakeGitea, server: HttpServer, path: str, answer: Answer | None
) -> None:
    """The error of a `github` source with the address of a Gitea names the type that reads it."""
    server.handler = lambda request: ci(request) if answer is None else answer
    section = {"name": "hub", "type": "github", "repo": NAME, "api_url": f"{server.url}{path}"}
    text = json.dumps({"sources": [section]})
    with pytest.raises((BadAnswerError, NotFoundError), match="which type: gitea reads"):
        Reader(parse_config(text, "trunkwatch.yml").sources[0]).refresh()


def test_other_servers_are_named(configure: Configure, clock: Clock, server: HttpServer) -> None:
    """An answer of another server names the address."""
    server.handler = lambda _request: as_json({"hello": "world"})
    with pytest.raises(BadAnswerError, match="is it a Gitea"):
        Reader(configure(), clock).refresh()


# ---------------------------------------------------------------------- webhooks


def signed(event: str, body: bytes, **further: str) -> dict[str, str]:
    """Return the headers of a delivery as Gitea 1.26 sent them, by lower-case name."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "x-gitea-event": event,
        "x-github-event": event,
        "x-gitea-delivery": "an-id",
        "x-gitea-signature": digest,
        "x-hub-signature-256": f"sha256={digest}",
        **further,
    }


def delivery(event: str, **fields: object) -> bytes:
    """Return the body of a recorded event with other values."""
    return json.dumps({**RECORDED["deliveries"][event], **fields}).encode()


@pytest.fixture
def hook(configure: Configure) -> WebhookSource:
    source = build_source(configure(), SourceContext())
    assert isinstance(source, WebhookSource)
    assert source.webhook_enabled
    return source


@pytest.mark.parametrize("event", ["push", "workflow_run", "workflow_job"])
def test_a_delivery_makes_a_refresh_due(hook: WebhookSource, event: str) -> None:
    """An event of a watched trunk adds no row, and either signature opens."""
    body = delivery(event)
    headers = signed(event, body)
    for missing in ("x-gitea-signature", "x-hub-signature-256"):
        one = {name: value for name, value in headers.items() if name != missing}
        hook.check_headers(one)
        found = hook.parse_delivery(one, body)
        assert found.id == "an-id"
        assert found.update is not None
        assert found.update.needs_refresh
        assert list(found.update.facts(EMPTY_STATE)) == []


@pytest.mark.parametrize(
    "body",
    [
        delivery("push", ref="refs/heads/topic"),
        delivery("push", ref="refs/tags/v1"),
        delivery("push", ref=5),
        delivery("push", repository={"full_name": "other/r", "default_branch": "main"}),
        delivery("workflow_job", workflow_job=[]),
        delivery("workflow_run", workflow_run={"head_branch": None}),
        b"{}",
    ],
)
def test_other_deliveries_are_accepted(hook: WebhookSource, body: bytes) -> None:
    """What concerns nothing watched has no news, and is no error."""
    assert hook.parse_delivery(signed("push", body), body).update is None


def test_only_the_secret_opens(hook: WebhookSource, configure: Configure) -> None:
    """A delivery without signature, with another one, or while webhooks are off is refused."""
    with pytest.raises(UnsignedDelivery, match="X-Gitea-Signature"):
        hook.check_headers({})
    body = delivery("push")
    for wrong in ({"x-hub-signature-256": "sha256=00"}, {"x-hub-signature-256": "é"}):
        with pytest.raises(BadSignature):
            hook.parse_delivery(signed("push", body, **wrong), body)
    with pytest.raises(BadSignature):
        hook.parse_delivery(signed("push", body), body + b" ")
    with pytest.raises(BadDelivery, match="JSON object"):
        hook.parse_delivery(signed("push", b"[]"), b"[]")
    off = build_source(configure(webhook_secret_file=None), SourceContext())
    assert isinstance(off, WebhookSource)
    assert not off.webhook_enabled
    with pytest.raises(BadSignature):
        off.parse_delivery(signed("push", body), body)


def test_recorded_rows_are_read() -> None:
    """The sentinel times of the recorded rows are those that the stand-in sends."""
    assert RECORDED["skipped_job"]["started_at"] == NO_TIME
    assert time_text(0) == NO_TIME
