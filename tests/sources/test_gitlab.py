"""The GitLab source against a server that answers as GitLab documents, and against others."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from trunkwatch.config import GitlabSource, parse_config
from trunkwatch.domain.evidence import EvidenceRules, evidence_of, unknown_word
from trunkwatch.domain.model import Evidence, Trunk
from trunkwatch.domain.names import PRESETS, Naming
from trunkwatch.engine.facts import EMPTY_STATE, StateEntry, TrunkRemoved
from trunkwatch.errors import (
    BadAnswerError,
    BadDelivery,
    BadSignature,
    CredentialsError,
    LimitExceededError,
    NotFoundError,
    RateLimitedError,
    SourceError,
    UnsignedDelivery,
)
from trunkwatch.rest.lists import ListClient
from trunkwatch.shards import Shard
from trunkwatch.sources import SourceContext, WebhookSource, build_source
from trunkwatch.sources.gitlab.position import SLACK_SECONDS
from trunkwatch.store import StoredRows

from tests.domain.builders import evaluate, job_named
from tests.gitlab.fake import TOKEN, FakeGitLab
from tests.gitlab.webhooks import job_event, pipeline_event, push_event, tag_event
from tests.gitlab.world import Pipeline, Project, time_text
from tests.sources.reading import Reader, sha
from tests.support.clock import Clock
from tests.support.fakehttp import Answer, HttpServer, Request, as_json, serving

NOW = 1_700_000_000.0
HOUR = 3600.0
PATH = "group/sub/project"
TRUNK = Trunk(PATH, "main")
SECRET = "of the webhook"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def ci() -> FakeGitLab:
    return FakeGitLab(prefix="/gitlab")


@pytest.fixture
def project(ci: FakeGitLab) -> Project:
    return ci.project(PATH)


@pytest.fixture
def server(ci: FakeGitLab) -> Iterator[HttpServer]:
    with serving(ci) as running:
        yield running


Configure = Callable[..., GitlabSource]


@pytest.fixture
def configure(server: HttpServer, tmp_path: Path) -> Configure:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")

    def make(**keys: object) -> GitlabSource:
        section = {
            "name": "lab",
            "type": "gitlab",
            "url": f"{server.url}/gitlab",
            "repos": [PATH],
            "token_file": str(tmp_path / "token"),
            "webhook_secret_file": str(tmp_path / "secret"),
            **keys,
        }
        config = parse_config(json.dumps({"sources": [section]}), "trunkwatch.yml").sources[0]
        assert isinstance(config, GitlabSource)
        return config

    return make


@pytest.fixture
def reader(configure: Configure, clock: Clock) -> Reader:
    return Reader(configure(), clock)


def asked(server: HttpServer) -> list[str]:
    """Return the last part of the path of each request since the last call, and forget them."""
    paths = [path.rpartition("/")[2] for path in server.paths()]
    server.requests.clear()
    return paths


def asked_by_refresh(reader: Reader, server: HttpServer) -> list[str]:
    """Refresh once and return the last part of the path of each of its requests."""
    asked(server)
    reader.refresh()
    return asked(server)


def names(reader: Reader) -> list[tuple[str, str | None, int]]:
    """Return the name, conclusion and attempt of every stored row."""
    return sorted((row.job.job_name, row.conclusion, row.attempt) for row in reader.rows())


def verdicts(reader: Reader, name: str) -> str:
    """Return the verdicts of a job on the trunk, oldest first."""
    order = reader.store.load().orders[TRUNK]
    state = evaluate(StoredRows(reader.store, TRUNK), order, now=NOW)
    return " ".join(job_named(state, name, "lab").verdicts)


# ---------------------------------------------------------------------- jobs and their words


@pytest.mark.parametrize(
    ("fields", "evidence", "infra"),
    [
        ({"status": "success"}, Evidence.PASS, False),
        ({"status": "failed"}, Evidence.FAIL, False),
        ({"status": "failed", "failure_reason": None}, Evidence.FAIL, False),
        ({"status": "failed", "failure_reason": "a_new_reason"}, Evidence.FAIL, False),
        ({"status": "failed", "failure_reason": "job_execution_timeout"}, Evidence.FAIL, False),
        ({"status": "failed", "failure_reason": "runner_system_failure"}, Evidence.FAIL, True),
        (
            {"status": "failed", "failure_reason": "failed_outdated_deployment_job"},
            Evidence.UNKNOWN,
            False,
        ),
        ({"status": "failed", "allow_failure": True}, Evidence.SKIP, False),
        ({"status": "success", "allow_failure": True}, Evidence.PASS, False),
        ({"status": "canceled"}, Evidence.UNKNOWN, False),
        ({"status": "canceling"}, Evidence.UNKNOWN, False),
        ({"status": "skipped"}, Evidence.SKIP, False),
        ({"status": "manual"}, Evidence.SKIP, False),
        ({"status": "scheduled"}, Evidence.SKIP, False),
        *(
            ({"status": status}, Evidence.PENDING, False)
            for status in (
                "created",
                "waiting_for_resource",
                "waiting_for_callback",
                "preparing",
                "pending",
                "running",
            )
        ),
    ],
)
def test_each_status_has_one_evidence(
    project: Project, reader: Reader, fields: Mapping[str, Any], evidence: Evidence, infra: bool
) -> None:
    """Every documented status is a row of the evidence table."""
    run = project.pipeline(project.push("a", at=NOW - 60), "running", at=NOW - 60)
    run.job("test", at=NOW - 50, **fields)
    reader.refresh()
    row = reader.only_row()
    assert (evidence_of(row, EvidenceRules(), None, NOW), row.infra) == (evidence, infra)
    assert unknown_word(row) is None


def test_a_new_status_is_unknown_and_named(project: Project, reader: Reader) -> None:
    """A status that GitLab does not document is passed on, so that it is counted."""
    run = project.pipeline(project.push("a", at=NOW - 60), "running", at=NOW - 60)
    run.job("test", "hibernating", at=NOW - 50)
    reader.refresh()
    assert unknown_word(reader.only_row()) == "hibernating"


def test_a_failure_that_is_allowed_may_count(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """With `allow_failure: fail` it is a failure like any other."""
    run = project.pipeline(project.push("a", at=NOW - 60), "success", at=NOW - 60)
    run.job("test", "failed", at=NOW - 50, allow_failure=True)
    reader = Reader(configure(allow_failure="fail"), clock)
    reader.refresh()
    assert reader.only_row().conclusion == "failure"


@pytest.mark.parametrize(("status", "word"), [("manual", "completed"), ("pending", "queued")])
def test_a_job_behind_a_manual_one_waits_for_a_person(
    project: Project, reader: Reader, status: str, word: str
) -> None:
    """A job that is not begun is skipped while its pipeline is blocked, and pending else."""
    run = project.pipeline(project.push("a", at=NOW - 60), status, at=NOW - 60)
    run.job("later", "created", at=NOW - 50)
    reader.refresh()
    assert reader.only_row().status == word
    run.jobs[0]["status"] = "success"
    run.set("success", NOW - 10)
    reader.refresh()
    assert verdicts(reader, "later") == "PASS"


def test_a_row_has_all_that_gitlab_reports(project: Project, reader: Reader) -> None:
    """Times, page, reason, run and event arrive; sentinel times are none."""
    run = project.pipeline(project.push("a", at=NOW - 60), "failed", at=NOW - 60, source="web")
    job = run.job("test", "failed", at=NOW - 50, failure_reason="runner_system_failure")
    job |= {"created_at": "0001-01-01T00:00:00Z", "started_at": "1970-01-01T00:00:00.000Z"}
    reader.refresh()
    row = reader.only_row()
    assert (row.created_at, row.started_at, row.completed_at) == (None, None, NOW - 30)
    assert (row.run_id, row.job_id, row.event) == (run.id, job["id"], "workflow_dispatch")
    assert (row.url, row.annotations) == (job["web_url"], ("runner_system_failure",))
    assert (row.job.workflow_name, row.head_repo, row.head_branch) == ("lab", PATH, "main")


# ---------------------------------------------------------------------- attempts


def test_a_retried_job_is_a_flake(project: Project, reader: Reader) -> None:
    """Red, and green when it was retried, polled only afterwards: both attempts are read."""
    run = project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60)
    run.job("test", "failed", at=NOW - 80)
    run.job("test", "success", at=NOW - 70)
    reader.refresh()
    assert names(reader) == [("test", "failure", 1), ("test", "success", 2)]
    assert verdicts(reader, "test") == "FLAKY"


def test_a_retry_after_the_end_is_seen(project: Project, reader: Reader) -> None:
    """A pipeline that changes again is read again, with rows that changed in place."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    run.job("test", "failed", at=NOW - 80)
    skipped = run.job("deploy", "skipped", at=NOW - 80)
    reader.refresh()
    run.job("test", "success", at=NOW - 40)
    skipped |= {"status": "success", "finished_at": time_text(NOW - 20)}
    run.set("success", NOW - 20)
    reader.restart()
    reader.refresh()
    assert (verdicts(reader, "test"), verdicts(reader, "deploy")) == ("FLAKY", "PASS")


def test_jobs_end_while_their_pipeline_does_not_change(
    project: Project, reader: Reader, server: HttpServer, clock: Clock
) -> None:
    """A running pipeline is read at each refresh, and no more 36 hours after it began."""
    run = project.pipeline(project.push("a", at=NOW - 90), "running", at=NOW - 60)
    job = run.job("test", "running", at=NOW - 50)
    reader.refresh()
    job |= {"status": "failed", "finished_at": time_text(NOW)}
    reader.refresh()
    assert verdicts(reader, "test") == "FAIL"
    clock.now += 37 * HOUR
    reader.refresh()
    assert "jobs" not in asked_by_refresh(reader, server)


def test_a_pipeline_that_ends_before_its_jobs_is_read_again(
    project: Project, reader: Reader
) -> None:
    """A job that is unfinished in a pipeline that has ended is waited for."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    job = run.job("late", "running", at=NOW - 50)
    reader.refresh()
    job["status"] = "success"
    reader.refresh()
    assert verdicts(reader, "late") == "PASS"


# ---------------------------------------------------------------------- pipelines


TRAIN = "refs/merge-requests/7/train"
"""The ref of a merge train's pipelines, whose source is that of other merge request pipelines:
https://docs.gitlab.com/ci/jobs/job_rules/#ci_pipeline_source-predefined-variable"""


@pytest.mark.parametrize(
    ("source", "ref", "counts"),
    [
        *((each, "main", True) for each in ("push", "schedule", "web", "api", "trigger")),
        ("pipeline", "main", True),
        *((each, "main", False) for each in ("merge_request_event", "external", "a_new_source")),
        ("external_pull_request_event", "main", False),
        *((each, TRAIN, False) for each in ("merge_request_event", "api", "parent_pipeline")),
    ],
)
def test_pipelines_count_by_what_started_them(
    project: Project, reader: Reader, server: HttpServer, source: str, ref: str, counts: bool
) -> None:
    """A pipeline of a merge request or train is not of the trunk; its jobs are not asked for."""
    commit = project.push("a", at=NOW - 60)
    run = project.pipeline(commit, at=NOW - 60, source=source, ref=ref)
    run.job("test", at=NOW - 50)
    reader.refresh()
    assert (len(reader.rows()), "jobs" in asked(server)) == (int(counts), counts)


def test_a_schedule_is_a_workflow_of_its_own(project: Project, reader: Reader) -> None:
    """A green push does not hide a red nightly run of the same commit."""
    commit = project.push("a", at=NOW - 60)
    project.pipeline(commit, at=NOW - 60).job("test", at=NOW - 50)
    nightly = project.pipeline(commit, "failed", at=NOW - 40, source="schedule")
    nightly.job("test", "failed", at=NOW - 30)
    reader.refresh()
    found = {(row.job.workflow_name, row.conclusion) for row in reader.rows()}
    assert found == {("lab", "success"), ("lab (schedule)", "failure")}


def test_an_invalid_configuration_is_a_startup_failure(project: Project, reader: Reader) -> None:
    """A pipeline that failed without jobs fails `(startup)`, with the reason."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 80)
    run.yaml_errors = "jobs:test config contains unknown keys: scirpt\nand more"
    project.pipeline(project.push("b", at=NOW - 70), "skipped", at=NOW - 60)
    project.pipeline(project.push("c", at=NOW - 50), at=NOW - 40).job("test", at=NOW - 40)
    reader.refresh()
    row = next(row for row in reader.rows() if row.conclusion == "startup_failure")
    assert row.annotations == ("jobs:test config contains unknown keys: scirpt", "and more")
    assert verdicts(reader, "(startup)") == "FAIL PASS"


def below(project: Project, parent: Pipeline, status: str, *, at: float) -> Pipeline:
    """Return a child pipeline of the trigger job `below`, with the job `unit`."""
    child = project.pipeline(parent.row["sha"], status, at=at, source="parent_pipeline")
    child.job("unit", status, at=at)
    parent.bridge("below", status, child, at=at)
    return child


def test_the_jobs_of_child_pipelines_are_named_after_the_trigger_job(
    ci: FakeGitLab, project: Project, reader: Reader
) -> None:
    """The trigger job repeats its child only; one without a child counts."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    run.job("test", at=NOW - 80)
    child = below(project, run, "failed", at=NOW - 80)
    below(project, child, "success", at=NOW - 80)
    other = ci.project("other/project").pipeline(sha(9), "failed", at=NOW - 80)
    run.bridge("elsewhere", "failed", other, at=NOW - 80)
    reason = "downstream_pipeline_creation_failed"
    run.bridge("not started", "failed", None, at=NOW - 80, failure_reason=reason)
    reader.refresh()
    assert {(name, conclusion) for name, conclusion, _ in names(reader)} == {
        ("test", "success"),
        ("below", "success"),
        ("below / unit", "failure"),
        ("below / below", "success"),
        ("below / below / unit", "success"),
        ("elsewhere", "failure"),
        ("not started", "failure"),
    }


def test_a_trigger_job_that_was_retried_is_a_flake(project: Project, reader: Reader) -> None:
    """Its earlier attempt is not listed any more, and was read before."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    run.bridge("below", "failed", None, at=NOW - 80, failure_reason="api_failure")
    reader.refresh()
    child = below(project, run, "success", at=NOW - 30)
    run.set("success", NOW - 20)
    reader.refresh()
    assert verdicts(reader, "below") == "FLAKY"
    assert verdicts(reader, "below / unit") == "PASS"
    assert child.id in {row.run_id for row in reader.rows()}


def test_a_child_that_changes_after_its_parent_is_seen(
    project: Project, reader: Reader, server: HttpServer
) -> None:
    """The list of child pipelines shows it, and its parent gives the name; once."""
    run = project.pipeline(project.push("a", at=NOW - 90), "success", at=NOW - 60)
    child = below(project, run, "running", at=NOW - 80)
    run.bridges[0]["status"] = "success"
    reader.refresh()
    child.jobs[0] |= {"status": "failed", "finished_at": time_text(NOW - 10)}
    child.set("failed", NOW - 10)
    reader.refresh()
    assert verdicts(reader, "below / unit") == "FAIL"
    child.job("unit", "success", at=NOW - 5)
    child.set("success", NOW - 1)
    reader.restart()
    reader.refresh()
    assert verdicts(reader, "below / unit") == "FLAKY"
    assert asked_by_refresh(reader, server) == ["commits", "pipelines", "pipelines"]


def test_a_child_without_parent_is_asked_for_once(
    project: Project, reader: Reader, server: HttpServer
) -> None:
    """The pipeline that started it may be deleted."""
    run = project.pipeline(project.push("a", at=NOW - 90), "success", at=NOW - 60)
    child = below(project, run, "success", at=NOW - 80)
    reader.refresh()
    project.pipelines.remove(run)
    child.set("failed", NOW - 10)
    reader.refresh()
    assert asked_by_refresh(reader, server) == ["commits", "pipelines", "pipelines"]


def test_an_ended_child_is_not_read_again_while_its_parent_runs(
    project: Project, reader: Reader, server: HttpServer
) -> None:
    """Each refresh of a running pipeline asks for what may have changed."""
    run = project.pipeline(project.push("a", at=NOW - 90), "running", at=NOW - 60)
    below(project, run, "success", at=NOW - 80)
    first = project.pipeline(run.row["sha"], at=NOW - 50)
    below(project, first, "success", at=NOW - 50)
    reader.refresh()
    reader.refresh()
    assert asked_by_refresh(reader, server) == [
        "commits",
        "pipelines",
        "pipelines",
        "jobs",
        "bridges",
    ]


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("test 1/3", "test"),
        ("below / test 12/30", "below / test"),
        ("test: [a, b]", "test: [a, b]"),
        ("a 1/2 b", "a 1/2 b"),
        ("1/2", "1/2"),
    ],
)
def test_the_preset_folds_the_parts_of_parallel_jobs(name: str, folded: str) -> None:
    """The parts of a job become one; the legs of a matrix are jobs of their own."""
    preset = PRESETS["gitlab"]
    assert Naming(preset.ignore, preset.fold).resolve("lab", name) == folded


# ---------------------------------------------------------------------- the trunk


def test_merged_commits_are_not_of_the_trunk(project: Project, reader: Reader) -> None:
    """The chain follows first parents, even of a server that lists every commit."""
    side = project.push("side", at=NOW - 95, branch="side")
    first, second = (project.push(title, at=NOW - 90) for title in ("a", "b"))
    project.commits[second]["parent_ids"].append(side)
    project.branches["main"].insert(1, side)
    reader.refresh()
    assert reader.order(TRUNK) == [first, second]
    assert not reader.store.load().orders[TRUNK].older_unread


def test_pages_of_commits_are_read_as_far_as_needed(
    project: Project, configure: Configure, server: HttpServer, clock: Clock
) -> None:
    """A cold start reads the window, a later refresh the pages with new commits."""
    for number in range(250):
        project.push(f"c{number}", at=NOW - 1000 + number)
    reader = Reader(configure(window=220), clock)
    reader.refresh()
    assert asked(server).count("commits") == 3
    reader.refresh()
    assert asked(server).count("commits") == 1
    for number in range(150):
        project.push(f"d{number}", at=NOW - 500 + number)
    reader.restart()
    reader.refresh()
    assert asked(server).count("commits") == 2
    assert len(reader.order(TRUNK)) == 220 + 150
    assert reader.store.load().orders[TRUNK].older_unread


def test_a_push_between_two_pages_loses_no_commit(
    ci: FakeGitLab, project: Project, configure: Configure, clock: Clock
) -> None:
    """A row that is listed twice is one."""
    for number in range(150):
        project.push(f"c{number}", at=NOW - 1000 + number)

    def push(request: Request) -> None:
        if request.path.endswith("/commits") and request.one("page") == "2":
            project.push("new", at=NOW)

    ci.before = push
    reader = Reader(configure(window=150), clock)
    reader.refresh()
    assert list(reader.order(TRUNK)) == project.branches["main"][:150]


def test_the_default_branch_may_change(project: Project, reader: Reader, clock: Clock) -> None:
    """Within the hour the new one is watched, and the old one ends."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    project.push("b", at=NOW - 50, branch="trunk")
    project.row["default_branch"] = "trunk"
    reader.restart()
    reader.refresh()
    assert set(reader.report.trunks) == {TRUNK}
    clock.now += HOUR
    facts = reader.refresh()
    assert TrunkRemoved(TRUNK) in facts
    assert set(reader.report.trunks) == {Trunk(PATH, "trunk")}


def test_another_source_may_give_the_order(
    project: Project, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """With `order: false` a refresh after the first one asks for no commits."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader = Reader(configure(order=False), clock)
    reader.refresh()
    assert reader.store.load().orders == {}
    assert asked_by_refresh(reader, server) == ["pipelines"]


# ---------------------------------------------------------------------- paging and cursor


def test_nothing_new_costs_two_requests(
    project: Project, reader: Reader, server: HttpServer
) -> None:
    """The commits and the changed pipelines, after a restart too; the position stays."""
    for number in range(3):
        run = project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60 + number)
        run.job("test", at=NOW - 80)
    reader.refresh()
    assert asked(server) == [PATH.replace("/", "%2F"), "commits", "pipelines"] + 3 * [
        "jobs",
        "bridges",
    ]
    reader.refresh()
    reader.restart()
    stored = reader.store.load().sources
    reader.refresh()
    assert reader.store.load().sources == stored
    assert asked(server) == 2 * ["commits", "pipelines"]


def test_pipelines_that_move_while_they_are_listed_are_read(
    ci: FakeGitLab, project: Project, reader: Reader
) -> None:
    """A pipeline that changes moves to the end of the list; no other is lost by that."""
    commit = project.push("a", at=NOW - 3 * HOUR)
    for number in range(240):
        source = "merge_request_event" if number % 6 else "push"
        run = project.pipeline(commit, at=NOW - 2 * HOUR + 10 * number, source=source)
        run.job(f"job {number}", at=NOW - 2 * HOUR)
    moved = iter([run for run in project.pipelines if run.row["source"] != "push"])

    def move(request: Request) -> None:
        if request.path.endswith("/pipelines"):
            for _ in range(4):
                next(moved).set("success", NOW - 1)

    ci.before = move
    reader.refresh()
    assert len(reader.rows()) == 40


@pytest.mark.slow
def test_many_pipelines_of_one_second_are_read(project: Project, reader: Reader) -> None:
    """More changes at one time than a page holds are read by offset."""
    commit = project.push("a", at=NOW - HOUR)
    for number in range(230):
        project.pipeline(commit, at=NOW - 1800).job(f"job {number}", at=NOW - 1800)
    reader.refresh()
    assert reader.report.retry_after == 0.0
    while reader.report.unread:
        reader.refresh()
    assert len(reader.rows()) == 230


@pytest.mark.parametrize(("pages", "pipelines"), [(2, 50), (300, 3)])
def test_more_changes_than_one_refresh_lists_are_read_by_several(
    project: Project,
    reader: Reader,
    server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    pages: int,
    pipelines: int,
) -> None:
    """Each refresh goes on where the last one stopped, in the list of child pipelines too."""
    monkeypatch.setattr(ListClient, "per_page", 5)
    monkeypatch.setattr(ListClient, "max_list_pages", pages)
    monkeypatch.setattr("trunkwatch.sources.gitlab.trunk_reader.MAX_CHANGED_PIPELINES", pipelines)
    children = []
    for number in range(12):
        at = NOW - 4 * HOUR + 400 * number
        run = project.pipeline(project.push("a", at=at), at=at)
        children.append(below(project, run, "success", at=at))

    def catch_up() -> None:
        for _ in range(12):
            reader.refresh()
            assert reader.report.trunks[TRUNK].error is None
            if not reader.report.unread:
                return

    catch_up()
    for number, child in enumerate(children):
        child.job("unit", "failed", at=NOW - HOUR)
        child.set("failed", NOW - 2 * HOUR + 400 * number)
    catch_up()
    assert verdicts(reader, "below / unit") == " ".join(["FLAKY"] * 12)
    assert asked_by_refresh(reader, server) == ["commits", "pipelines", "pipelines"]


def test_a_list_that_shows_nothing_new_is_an_error(
    project: Project, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More changes at one time than may be listed: those that were listed count."""
    monkeypatch.setattr(ListClient, "per_page", 5)
    monkeypatch.setattr(ListClient, "max_list_pages", 3)
    commit = project.push("a", at=NOW - HOUR)
    for number in range(12):
        project.pipeline(commit, at=NOW - 1800).job(f"job {number}", at=NOW - 1800)
    reader.refresh()
    with pytest.raises(LimitExceededError, match="more than 3 pages"):
        reader.refresh()
    assert len(reader.rows()) == 10


def test_a_pipeline_that_is_seen_late_is_read(project: Project, reader: Reader) -> None:
    """A change that becomes visible after a newer one is within the slack."""
    commit = project.push("a", at=NOW - HOUR)
    project.pipeline(commit, at=NOW - 60).job("early", at=NOW - 60)
    reader.refresh()
    late = project.pipeline(commit, at=NOW - 60 - SLACK_SECONDS + 2)
    late.job("late", at=NOW - 300)
    reader.refresh()
    assert [name for name, _, _ in names(reader)] == ["early", "late"]


def test_a_cursor_of_the_future_loses_nothing(
    project: Project, reader: Reader, clock: Clock
) -> None:
    """A pipeline with a date of the future does not keep later ones from being read."""
    commit = project.push("a", at=NOW - HOUR)
    project.pipeline(commit, at=NOW + 900 * HOUR).job("future", at=NOW)
    reader.refresh()
    project.pipeline(commit, at=NOW + 10).job("present", at=NOW)
    clock.now += 60
    reader.restart()
    reader.refresh()
    assert [name for name, _, _ in names(reader)] == ["future", "present"]
    clock.now -= 500 * HOUR
    project.pipeline(commit, at=NOW + 100).job("clock was set back", at=NOW)
    reader.refresh()
    assert len(reader.rows()) == 3


@pytest.mark.parametrize("text", ["", "{}", "null", '{"site": 1}', "\x00"])
def test_a_damaged_position_begins_anew(project: Project, reader: Reader, text: str) -> None:
    """An entry that cannot be read does not end a refresh."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    keys = [f"trunk {PATH} main", f"repos {PATH}"]
    state = type(EMPTY_STATE)(None, dict.fromkeys(keys, text))
    assert reader._source.refresh(state).report.error is None


# ---------------------------------------------------------------------- bad rows, rights, limits


@pytest.mark.parametrize(
    "values",
    [{"id": "7"}, {"id": True}, {"id": 2**70}, {"name": None}, {"name": "x" * 5000}],
)
def test_a_job_that_cannot_be_read_costs_no_other(
    project: Project, reader: Reader, values: dict[str, Any]
) -> None:
    """It is counted once, and the pipeline did not fail without jobs."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    run.job("good", "failed", at=NOW - 80)
    run.job("bad", "failed", at=NOW - 80).update(values)
    reader.refresh()
    reader.refresh()
    assert [name for name, _, _ in names(reader)] == ["good"]
    assert sum(reader.dropped.values()) == 1


@pytest.mark.parametrize("values", [{"name": None}, {"status": 5}])
def test_a_job_that_cannot_be_read_may_be_the_pass_between_two_failures(
    project: Project, reader: Reader, clock: Clock, values: dict[str, Any]
) -> None:
    """Newer pipelines wait half an hour for it, which is read as soon as it can be."""
    bad = project.pipeline(project.push("a", at=NOW - 90), "success", at=NOW - 60)
    job = bad.job("test", "success", at=NOW - 80)
    good = dict(job)
    job.update(values)
    project.pipeline(project.push("b", at=NOW - 50), at=NOW - 40).job("other", at=NOW - 40)
    reader.refresh()
    assert isinstance(reader.report.trunks[TRUNK].error, BadAnswerError)
    assert not any(row.finished for row in reader.rows())
    clock.now += 1730
    reader.refresh()
    assert "other" not in {name for name, _, _ in names(reader)}
    clock.now += 10
    reader.refresh()
    assert verdicts(reader, "other") == "PASS"
    job.update(good)
    bad.set("success", NOW + 1800)
    reader.refresh()
    assert verdicts(reader, "test") == "PASS"
    assert reader.report.trunks[TRUNK].error is None


@pytest.mark.parametrize(
    "values", [{"sha": "abc"}, {"updated_at": "soon"}, {"status": None}, {"source": []}, {"id": -1}]
)
def test_a_pipeline_that_cannot_be_read_costs_no_other(
    ci: FakeGitLab, project: Project, server: HttpServer, reader: Reader, values: dict[str, Any]
) -> None:
    """A pipeline without identity or time is counted; the others are read."""
    commit = project.push("a", at=NOW - 90)
    project.pipeline(commit, at=NOW - 60).job("good", at=NOW - 80)
    project.pipeline(commit, at=NOW - 50).job("bad", at=NOW - 80)

    def spoilt(request: Request) -> Answer:
        answer = ci(request)
        if not request.path.endswith("/pipelines"):
            return answer
        *rows, last = json.loads(answer.body)
        return as_json([*rows, {**last, **values}])

    server.handler = spoilt
    reader.refresh()
    reader.refresh()
    assert [name for name, _, _ in names(reader)] == ["good"]
    assert sum(reader.dropped.values()) == 1


def test_a_commit_that_cannot_be_read_leaves_the_order_as_it_is(
    project: Project, reader: Reader
) -> None:
    """Without it its neighbours would be adjacent; the pipelines are read all the same."""
    first = project.push("a", at=NOW - 90)
    project.pipeline(first, at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    second = project.push("b", at=NOW - 50)
    project.pipeline(second, at=NOW - 40).job("test", at=NOW - 40)
    project.commits[second] = {**project.commits[second], "parent_ids": "none"}
    reader.refresh()
    assert reader.order(TRUNK) == [first]
    assert len(reader.rows()) == 2
    assert isinstance(reader.report.trunks[TRUNK].error, BadAnswerError)


def test_a_pipeline_that_was_deleted_costs_no_other(project: Project, reader: Reader) -> None:
    """Its rows stay, and it is not asked for again."""
    commit = project.push("a", at=NOW - 90)
    run = project.pipeline(commit, "running", at=NOW - 60)
    run.job("gone", "running", at=NOW - 80)
    reader.refresh()
    project.pipelines.remove(run)
    project.pipeline(commit, at=NOW - 30).job("test", at=NOW - 30)
    reader.refresh()
    assert reader.report.trunks[TRUNK].error is None
    assert [name for name, _, _ in names(reader)] == ["gone", "test"]


def test_a_pipeline_whose_jobs_are_refused_is_read_later(
    project: Project, reader: Reader, server: HttpServer
) -> None:
    """The trunk has the error, and the results count once the token may read them."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    answer = server.handler
    server.handler = lambda request: (
        as_json({}, 403) if request.path.endswith("/jobs") else answer(request)
    )
    reader.refresh()
    assert isinstance(reader.report.trunks[TRUNK].error, NotFoundError)
    server.handler = answer
    reader.refresh()
    assert reader.report.trunks[TRUNK].error is None
    assert len(reader.rows()) == 1


def test_a_pipeline_that_can_never_be_read_is_given_up(
    project: Project, reader: Reader, server: HttpServer, clock: Clock
) -> None:
    """It is asked for and named for a day and a half, however old it is."""
    commit, long_ago = project.push("a", at=NOW - 90), NOW - 90 * HOUR
    project.pipeline(commit, at=NOW - 60, created_at=time_text(long_ago)).job("test", at=long_ago)
    answer = server.handler
    server.handler = lambda request: (
        as_json({}, 400) if request.path.endswith("/jobs") else answer(request)
    )
    for hours, asks in ((0, True), (35, True), (2, True), (1, False)):
        clock.now += hours * HOUR
        assert ("jobs" in asked_by_refresh(reader, server)) == asks
        assert (reader.report.trunks[TRUNK].error is not None) == asks


@pytest.mark.parametrize("lost", ["jobs", "bridges"])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_child_that_is_deleted_meanwhile_costs_no_other(
    ci: FakeGitLab, project: Project, reader: Reader, server: HttpServer, depth: int, lost: str
) -> None:
    """A child is gone between two requests: the pipelines above and beside it are read."""
    run = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    run.job("test", "failed", at=NOW - 80)
    child = below(project, run, "success", at=NOW - 80)
    gone = below(project, child, "failed", at=NOW - 80) if depth else child
    other = project.pipeline(run.row["sha"], "success", at=NOW - 70, source="parent_pipeline")
    other.job("unit", at=NOW - 70)
    run.bridge("beside", "success", other, at=NOW - 70)

    def delete(request: Request) -> None:
        if request.path.endswith(f"/{gone.id}/{lost}"):
            project.pipelines.remove(gone)

    ci.before = delete
    reader.refresh()
    found = {name for name, _, _ in names(reader)}
    one = {"below / unit", "below / below"} if depth else set()
    assert found == {"test", "below", "beside", "beside / unit"} | one
    assert {(name, word) for name, word, _ in names(reader) if name == "below / below"} == {
        ("below / below", "failure") for _ in range(depth)
    }
    assert reader.report.trunks[TRUNK].error is None
    assert "jobs" not in asked_by_refresh(reader, server)


def test_a_project_that_is_gone_is_named(ci: FakeGitLab, project: Project, reader: Reader) -> None:
    """A project that GitLab does not show any more is an error; its results stay."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    ci.closed.add(1)
    for address in ("/projects/1/repository", "/projects/group%2Fsub%2Fproject: HTTP 404"):
        with pytest.raises(NotFoundError, match=f"{address}.*scope read_api"):
            reader.refresh()
    assert len(reader.rows()) == 1


def test_one_project_that_is_gone_costs_no_other(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """Its trunk has the error, the others are read."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader = Reader(configure(repos=[PATH, "group/gone"], branches=["main"]), clock)
    reader.refresh()
    errors = {trunk: report.error for trunk, report in reader.report.trunks.items()}
    assert errors[TRUNK] is None
    assert isinstance(errors[Trunk("group/gone", "main")], NotFoundError)
    assert len(reader.rows()) == 1


def test_a_renamed_project_is_read_on_and_named(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """GitLab redirects to its id; the results keep the configured name."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    project.former, project.row["path_with_namespace"] = PATH, "group/new"
    reader = Reader(configure(), clock)
    reader.refresh()
    assert reader.only_row().trunk == TRUNK
    (limitation,) = reader.report.limitations
    assert limitation.name == "renamed"
    assert f"{PATH} is now group/new" in limitation.text


def test_a_named_project_without_pipelines_is_named(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """An empty project, or one with its CI off, has nothing to watch, which is no error."""
    project.row["default_branch"] = None
    reader = Reader(configure(), clock)
    reader.refresh()
    assert [limitation.name for limitation in reader.report.limitations] == ["empty"]
    assert reader.report.failure is None


@pytest.mark.parametrize("repos", [PATH, "group/**"])
def test_a_token_that_loses_the_right_to_the_code_ends_no_trunk(
    project: Project, configure: Configure, clock: Clock, server: HttpServer, repos: str
) -> None:
    """GitLab leaves out the default branch then, as for a guest; the trunk has the error."""
    reader = Reader(configure(repos=[repos]), clock)
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    del project.row["default_branch"]
    answer = server.handler
    server.handler = lambda request: (
        as_json({}, 403) if "/repository/" in request.path else answer(request)
    )
    for _ in range(2):
        clock.now += 2 * HOUR
        assert not any(isinstance(fact, TrunkRemoved) for fact in reader.refresh())
        assert isinstance(reader.report.trunks[TRUNK].error, NotFoundError)
    fresh = Reader(configure(repos=[PATH]), clock)
    fresh.refresh()
    assert "may not read its code" in fresh.report.limitations[0].text


def test_a_server_that_does_not_answer_is_asked_once(
    configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """However many projects are named, one refused token is one request."""
    reader = Reader(configure(repos=[f"group/{number}" for number in range(20)]), clock)
    server.handler = lambda _request: as_json({}, 401)
    with pytest.raises(CredentialsError):
        reader.refresh()
    assert len(server.requests) == 1


def test_globs_select_projects_of_a_group(
    ci: FakeGitLab, project: Project, configure: Configure, clock: Clock
) -> None:
    """Subgroups by `**`; not archived, empty or excluded projects, and none without CI."""
    for path in ("group/a", "group/old", "group/archived", "group/off", "group/empty", "else/b"):
        ci.project(path).push("a", at=NOW - 90)
    for each in ci.projects.values():
        each.row["archived"] = each.path == "group/archived"
        if each.path == "group/off":
            each.row["builds_access_level"] = "disabled"
        if each.path == "group/empty":
            each.row["default_branch"] = None
    project.push("a", at=NOW - 90)
    deep = Reader(configure(repos=["group/**"], exclude=["group/old"]), clock)
    deep.refresh()
    assert {trunk.repo for trunk in deep.report.trunks} == {"group/a", PATH}
    flat = Reader(configure(repos=["group/*"], exclude=["group/old"]), clock)
    flat.refresh()
    assert {trunk.repo for trunk in flat.report.trunks} == {"group/a"}


def test_shards_divide_what_is_named_and_what_globs_select(
    ci: FakeGitLab, project: Project, server: HttpServer, configure: Configure, clock: Clock
) -> None:
    """A project is requested and heard of by one shard, and stays when it is another's now."""
    paths = {"group/a", "group/b", "group/c", PATH}
    for path in sorted(paths - {PATH}):
        ci.project(path).push("a", at=NOW - 90)
    project.push("a", at=NOW - 90)
    config = configure(repos=["group/*", PATH])
    reader = Reader(config, clock)
    reader.refresh()
    for shard in (Shard(1, 2), Shard(2, 2)):
        clock.now += HOUR
        reader.owns = shard.owns
        reader.restart()
        server.requests.clear()
        facts = reader.refresh()
        own = set(filter(shard.owns, paths))
        assert own
        assert {trunk.repo for trunk in reader.report.trunks} == own
        assert not any(isinstance(fact, TrunkRemoved) for fact in facts)
        ids = {number for number, each in ci.projects.items() if each.path in own}
        asked = re.findall(r"/projects/(\d+)/", " ".join(server.paths()))
        assert set(map(int, asked)) == ids
        assert (PATH in own) == any("sub%2Fproject" in path for path in server.paths())
        hook = build_source(config, SourceContext(owns=shard.owns))
        assert isinstance(hook, WebhookSource)
        heard = hook.parse_delivery(headers(), delivery(push_event(project))).update
        assert (heard is not None) == shard.owns(PATH)


def test_globs_select_branches(
    project: Project, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """The newest of them by date; another one joins, and a deleted one ends, in ten minutes."""
    for number, branch in enumerate(("main", "release/1", "release/2", "release/3", "r/4", "Re/5")):
        project.push("a", at=NOW - 90 + number, branch=branch)
    entry = {"name": "release/*", "newest": 2}
    reader = Reader(configure(branches=["HEAD", entry, "release/2"]), clock)
    reader.refresh()
    assert branches(reader) == {"main", "release/2", "release/3"}
    assert "branches" not in asked_by_refresh(reader, server)
    del project.branches["release/2"]
    assert "branches" not in asked_by_refresh(reader, server)
    assert "branches" in asked_by_refresh(reader, server), "at once after a branch is not found"
    project.push("a", at=NOW - 88, branch="release/2")
    project.push("b", at=NOW, branch="release/1")
    project.push("b", at=NOW, branch="release/x/y")
    del project.branches["release/3"]
    clock.now += 600.0
    facts = reader.refresh()
    assert TrunkRemoved(Trunk(PATH, "release/3")) in facts
    assert branches(reader) == {"main", "release/1", "release/2"}


def branches(reader: Reader) -> set[str]:
    """Return the branches that are watched."""
    return {trunk.branch for trunk in reader.report.trunks}


def test_a_branch_ends_only_if_its_own_address_confirms_it(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """A list of which a page has shifted, or that is refused, ends no trunk."""
    for branch in ("main", "release/1", "release/2"):
        project.push("a", at=NOW - 90, branch=branch)
    reader = Reader(configure(branches=["main", "release/**"]), clock)
    shifted = as_json([project.branch_row("release/1")])
    refused = as_json({"message": "403 Forbidden"}, 403)
    wanted = {"main", "release/1", "release/2"}
    for answer, watched in ((refused, {"main"}), (None, wanted), (shifted, wanted)):
        with answered(answer) if answer else nullcontext():
            facts = reader.refresh()
        assert branches(reader) == watched
        assert isinstance(reader.report.error, NotFoundError) is (answer is refused)
        assert reader.report.limitations == ()
        assert not [fact for fact in facts if isinstance(fact, TrunkRemoved)]
        clock.now += 600.0
    with answered(refused):
        facts = reader.refresh()
    assert branches(reader) == wanted
    assert not [fact for fact in facts if isinstance(fact, TrunkRemoved)]


def answered(answer: Answer) -> AbstractContextManager[object]:
    """Return a context in which each list of branches is an answer."""
    return patch.object(FakeGitLab, "_branches", lambda *_: answer)


def test_a_glob_of_branches_that_matches_none_is_named(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """The other branches are read, and its stored list is deleted with the glob."""
    project.push("a", at=NOW - 90)
    reader = Reader(configure(branches=["HEAD", "release/*"]), clock)
    reader.refresh()
    (limitation,) = reader.report.limitations
    assert limitation.name == "branches"
    assert "release/*: no project has such a branch" in limitation.text
    reader.restart(configure(branches=["HEAD"]))
    assert StateEntry("branches 1 release/*", None) in reader.refresh()
    assert list(reader.report.limitations) == []


def test_a_project_that_is_named_twice_is_one(
    project: Project, configure: Configure, clock: Clock
) -> None:
    """Its own entry names it, whatever globs match it, in any case of letters."""
    project.push("a", at=NOW - 90)
    reader = Reader(configure(repos=["group/**", PATH.upper(), PATH]), clock)
    reader.refresh()
    assert list(reader.report.trunks) == [Trunk(PATH.upper(), "main")]


def test_a_project_that_was_made_anew_is_read(
    ci: FakeGitLab, project: Project, reader: Reader
) -> None:
    """Its id is another one, and it is looked up at once when the old one is gone."""
    project.push("a", at=NOW - 90)
    reader.refresh()
    ci.closed.add(1)
    anew = ci.project(PATH)
    anew.pipeline(anew.push("b", at=NOW - 50), at=NOW - 40).job("test", at=NOW - 40)
    with pytest.raises(NotFoundError):
        reader.refresh()
    reader.refresh()
    assert len(reader.rows()) == 1


@pytest.mark.parametrize(
    "keys", [{"window": 150}, {"allow_failure": "fail"}, {"workflow": "other"}]
)
def test_another_selection_begins_anew(
    project: Project,
    configure: Configure,
    reader: Reader,
    server: HttpServer,
    keys: dict[str, object],
) -> None:
    """A key that changes what rows mean makes them due again."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    asked(server)
    reader.restart(configure(**keys))
    reader.refresh()
    assert "jobs" in asked(server)


def test_a_person_has_projects_too(ci: FakeGitLab, configure: Configure, clock: Clock) -> None:
    """A glob below a name that is no group's is of a person's projects."""
    own = ci.project("author-a/tool")
    own.row["namespace"]["kind"] = "user"
    own.push("a", at=NOW - 90)
    reader = Reader(configure(repos=["author-a/*"]), clock)
    reader.refresh()
    assert list(reader.report.trunks) == [Trunk("author-a/tool", "main")]
    with pytest.raises(NotFoundError, match="/groups/nobody/projects"):
        Reader(configure(repos=["nobody/*"]), clock).refresh()


def test_projects_of_a_group_come_and_go(
    ci: FakeGitLab, project: Project, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """Every ten minutes the list is read again; one that only a shifted page lacks stays."""
    for path in (PATH, "group/archived", "group/lost"):
        each = project if path == PATH else ci.project(path)
        each.push("a", at=NOW - 90)
    reader = Reader(configure(repos=["group/**"]), clock)
    reader.refresh()
    ci.project("group/new").push("a", at=NOW - 90)
    ci.projects[2].row["archived"] = True
    del ci.projects[1]

    def without_the_lost(request: Request) -> Answer:
        answer = ci(request)
        if "/groups/" not in request.path:
            return answer
        rows = json.loads(answer.body)
        return as_json([row for row in rows if row["path"] != "lost"])

    server.handler = without_the_lost
    clock.now += 600
    facts = reader.refresh()
    assert {trunk.repo for trunk in reader.report.trunks} == {"group/new", "group/lost"}
    removed = {fact.trunk.repo for fact in facts if isinstance(fact, TrunkRemoved)}
    assert removed == {PATH, "group/archived"}


def test_a_list_of_projects_that_fails_keeps_them(
    ci: FakeGitLab, project: Project, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """The projects that were listed before are read on."""
    project.push("a", at=NOW - 90)
    reader = Reader(configure(repos=["group/**"]), clock)
    reader.refresh()
    server.handler = lambda request: as_json({}, 400) if "/groups/" in request.path else ci(request)
    clock.now += 600
    reader.refresh()
    assert reader.report.trunks[TRUNK].error is None


@pytest.mark.parametrize(
    ("scope", "error"),
    [(None, CredentialsError), ("read_repository", NotFoundError)],
    ids=["refused", "without scope"],
)
def test_a_token_without_rights_is_named(
    ci: FakeGitLab, project: Project, reader: Reader, scope: str | None, error: type[SourceError]
) -> None:
    """401 and 403 name what to do, and nothing that was read is lost."""
    project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60).job("test", at=NOW - 80)
    reader.refresh()
    ci.tokens = {} if scope is None else {TOKEN: scope}
    with pytest.raises(error) as caught:
        reader.refresh()
    assert TOKEN not in f"{caught.value} {caught.value.detail}"
    assert len(reader.rows()) == 1


def test_the_rate_limit_of_a_minute_is_kept(
    ci: FakeGitLab, project: Project, configure: Configure, clock: Clock
) -> None:
    """At most the share is used; the results count, and the rest follows in a minute."""
    ci.limit, ci.remaining = 20, 20
    for number in range(10):
        run = project.pipeline(project.push("a", at=NOW - 90), at=NOW - 60 + number)
        run.job("test", at=NOW - 80)
    reader = Reader(configure(), clock)
    reader.refresh()
    assert ci.remaining >= 10
    assert 0 < len(reader.rows()) < 10
    error = reader.report.trunks[TRUNK].error
    assert isinstance(error, RateLimitedError)
    assert reader.report.quota_remaining == ci.remaining
    assert reader.report.unread == 10 - len({row.sha for row in reader.rows()})
    assert 0 < (reader.report.retry_after or 0) <= 60
    for _ in range(3):
        clock.now += 61
        ci.remaining = 20
        reader.refresh()
    assert len(reader.rows()) == 10


def test_a_server_that_asks_to_wait_is_left_alone(
    ci: FakeGitLab, project: Project, reader: Reader, server: HttpServer
) -> None:
    """After a 429 nothing is sent for as long as Retry-After asks."""
    project.push("a", at=NOW - 90)
    reader.refresh()
    ci.limit, ci.remaining = 2000, 0
    with pytest.raises(RateLimitedError, match="30 s"):
        reader.refresh()
    asked(server)
    with pytest.raises(RateLimitedError):
        reader.refresh()
    assert asked(server) == []


def test_another_server_is_no_gitlab(
    configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """An answer that GitLab does not give names the address."""
    server.handler = lambda _request: as_json({"hello": "world"})
    with pytest.raises(BadAnswerError, match="is it a GitLab"):
        Reader(configure(), clock).refresh()


# ---------------------------------------------------------------------- webhooks


def delivery(event: Mapping[str, Any], **fields: Any) -> bytes:
    """Return the body of an event, some fields of which may differ."""
    return json.dumps({**event, **fields}).encode()


@pytest.fixture
def run(project: Project) -> Pipeline:
    """Return a running pipeline of the newest commit, with a job."""
    run = project.pipeline(project.push("a", at=NOW - 90), "running", at=NOW - 60)
    run.job("test", "running", at=NOW - 60)
    return run


def headers(token: str = SECRET, **further: str) -> dict[str, str]:
    """Return the headers of a delivery, by lower-case name."""
    return {"x-gitlab-token": token, "x-gitlab-event": "Pipeline Hook", **further}


@pytest.fixture
def hook(configure: Configure) -> WebhookSource:
    source = build_source(configure(), SourceContext())
    assert isinstance(source, WebhookSource)
    assert source.webhook_enabled
    return source


def test_a_delivery_makes_a_refresh_due(hook: WebhookSource, run: Pipeline) -> None:
    """An event of a watched trunk adds no row, and asks for a refresh."""
    for event in (push_event(run.project), pipeline_event(run), job_event(run, run.jobs[0])):
        update = hook.parse_delivery(headers(), delivery(event)).update
        assert update is not None
        assert update.needs_refresh
        assert list(update.facts(EMPTY_STATE)) == []


def test_other_deliveries_are_accepted(ci: FakeGitLab, hook: WebhookSource, run: Pipeline) -> None:
    """What concerns nothing watched is no error: GitLab switches a webhook off after four."""
    project, job = run.project, job_event(run, run.jobs[0])
    project.push("b", at=NOW, branch="topic")
    other = ci.project("other/one")
    elsewhere = other.pipeline(other.push("a", at=NOW), at=NOW)
    pipeline = pipeline_event(run)
    tagged = {**pipeline["object_attributes"], "tag": True}
    for body in (
        delivery(push_event(project, "topic")),
        delivery(tag_event(project, "main")),
        delivery(pipeline, object_attributes=tagged),
        delivery(pipeline_event(elsewhere)),
        delivery(job, ref=5),
        delivery(job, object_kind="note"),
        b"{}",
        b'{"object_kind": "push", "project": []}',
    ):
        assert hook.parse_delivery(headers(), body).update is None


def test_only_the_secret_token_opens(
    hook: WebhookSource, configure: Configure, run: Pipeline
) -> None:
    """A delivery without token, or with another one, is refused."""
    push = delivery(push_event(run.project))
    with pytest.raises(UnsignedDelivery, match="X-Gitlab-Token"):
        hook.check_headers({})
    hook.check_headers(headers())
    for token in ("", "another", SECRET + "x", "é"):
        with pytest.raises(BadSignature):
            hook.parse_delivery(headers(token), push)
    off = build_source(configure(webhook_secret_file=None), SourceContext())
    assert isinstance(off, WebhookSource)
    assert not off.webhook_enabled
    with pytest.raises(BadSignature):
        off.parse_delivery(headers(), push)
    with pytest.raises(BadDelivery, match="JSON object"):
        hook.parse_delivery(headers(), b"[]")


def test_a_repeated_delivery_has_the_same_id(hook: WebhookSource, run: Pipeline) -> None:
    """GitLab's key decides, or before 17.4 the body."""
    push, job = delivery(push_event(run.project)), delivery(job_event(run, run.jobs[0]))
    keyed = hook.parse_delivery(headers(**{"idempotency-key": "a-key"}), push)
    assert keyed.id == "a-key"
    ids = [hook.parse_delivery(headers(), body).id for body in (push, push, job)]
    assert ids[0] == ids[1] != ids[2]


def test_a_delivery_is_read_without_the_other_trunks(
    ci: FakeGitLab, run: Pipeline, configure: Configure, clock: Clock, server: HttpServer
) -> None:
    """Only its trunk is read, every ten seconds at most, and the others keep their interval."""
    ci.project("group/other").push("a", at=NOW - 90)
    reader = Reader(configure(repos=["group/**"]), clock)
    reader.refresh()
    hook = reader._source
    assert isinstance(hook, WebhookSource)
    run.jobs[0]["status"] = "failed"
    job = delivery(job_event(run, run.jobs[0]))
    clock.now += 4
    hook.parse_delivery(headers(), job)
    assert asked_by_refresh(reader, server) == []
    assert reader.report.retry_after == 6
    clock.now += 6
    reader.refresh()
    assert asked(server) == ["commits", "pipelines", "jobs"]
    assert reader.rows()[0].conclusion == "failure"
    assert reader.report.retry_after == 50
    assert len(reader.report.trunks) == 2
    clock.now += 50
    hook.parse_delivery(headers(), job)
    reader.refresh()
    assert asked(server).count("commits") == 2
