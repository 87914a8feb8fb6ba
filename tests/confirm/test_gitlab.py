"""The runner of GitLab: what may be retried, what runs after it, and what GitLab refuses."""

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
import yaml
from trunkwatch.confirm.gitlab import GitlabRunner
from trunkwatch.confirm.gitlab_configuration import ConfiguredJob, read_configuration
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.domain.model import Evidence
from trunkwatch.errors import BadAnswerError, NotFoundError, RateLimitedError, RequestError
from trunkwatch.patterns import Pattern
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.attempts import Attempt

from tests.confirm.builders import CI, HOUR, NAME
from tests.confirm.hostile import BOMB, HOSTILE, replaced
from tests.confirm.stage import MINUTE, REPO
from tests.github.direct import DirectSession
from tests.github.exporter import TOKEN_VARIABLE
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.workflows import Job, skipped, superseded
from tests.gitlab.pipelines import (
    CONFIGURATION,
    GitlabPipelines,
    configuration,
    serving_pipelines,
)
from tests.gitlab.world import Row

FAILS = Job(NAME, conclusion="failure")


class Lab:
    """A project with one cancelled pipeline, and the runner that may retry its jobs."""

    def __init__(self) -> None:
        self.fake = FakeGitHub()
        self.repo = self.fake.repo(REPO)
        self.server = serving_pipelines(self.fake)
        assert isinstance(self.server.reruns, GitlabPipelines)
        self.pipelines = self.server.reruns
        self.change: Callable[[HttpRequest, HttpResponse], HttpResponse] = lambda _, sent: sent
        self.runner = self.runner_of("(?i).*deploy.*", "ci / lint")
        self.again([superseded(NAME)])

    def runner_of(self, *never: str) -> GitlabRunner:
        """Return a runner that never repeats the jobs of some patterns."""
        return GitlabRunner(
            self.server.url,
            HttpContext(lambda: DirectSession(self._respond), clock=lambda: self.fake.now),
            EnvToken(TOKEN_VARIABLE),
            events=("push", "pull_request"),
            never=[Pattern(each) for each in never],
        )

    def again(self, jobs: Sequence[Job], **keys: Row) -> None:
        """Replace the pipeline by one of other jobs, with further keys of their configuration."""
        at = self.fake.now - HOUR
        commit = self.repo.commit(f"change {len(self.repo.commits)}", at=at)
        self.run = self.repo.run(commit, CI, jobs, at=at)
        self.repo.workflow_texts[CONFIGURATION] = configuration(jobs, **keys)
        self.runner = self.runner_of("(?i).*deploy.*", "ci / lint")
        self.target = self.target_of(NAME)

    def target_of(self, name: str | None) -> Target:
        """Return the pipeline, with a job alone or with all that did not pass."""
        latest = self.pipelines.latest(self.run)
        job_id = None if name is None else latest[name].id
        return Target(REPO, "main", self.run.commit.sha, self.run.id, 1, job_id, name or NAME,
                      CI.name, None, False, 5.0)  # fmt: skip

    def statuses(self) -> dict[str, str]:
        """Return the status of each job."""
        latest = self.pipelines.latest(self.run)
        return {name: listed.status for name, listed in latest.items()}

    def refusal(self, target: Target | None = None) -> NotRepeatable:
        """Return the error of an examination."""
        with pytest.raises(NotRepeatable) as raised:
            self.runner.examine(target or self.target)
        return raised.value

    def _respond(self, request: HttpRequest) -> HttpResponse:
        return self.change(request, self.server.respond(request))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Return the stand-in; an unexpected request fails the test."""
    with mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}):
        made = Lab()
        yield made
    made.server.stop()
    assert made.server.unexpected == []


def test_a_job_is_repeated_alone(lab: Lab) -> None:
    """One request after four retries it, and its new row shows that."""
    examined = lab.runner.examine(lab.target)
    assert not lab.runner.was_repeated(examined.target)
    del lab.server.log[4:]
    lab.runner.run(examined.target)
    assert (examined.jobs, len(lab.server.log)) == (1, 5)
    assert lab.pipelines.accepted == [f"POST /projects/o%2Fr/jobs/{lab.target.job_id}/retry"]
    assert lab.runner.was_repeated(examined.target)
    lab.fake.now += HOUR
    assert lab.statuses() == {NAME: "success"}


def test_the_configuration_of_a_commit_is_read_once(lab: Lab) -> None:
    """It is the largest answer, and does not change."""
    for _ in range(2):
        lab.runner.examine(lab.target)
    assert [each.path for each in lab.server.log].count("/projects/o%2Fr/ci/lint") == 1


# ---------------------------------------------------------------------- what may deploy


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"environment": "prod"}, "has an environment"),
        ({"environment": {"name": "prod", "action": "stop"}}, "has an environment"),
        ({"when": "manual"}, "waits for a person"),
        ({"when": "delayed", "start_in": "1 day"}, "waits for a person"),
        ({"rules": [{"if": "$CI"}, {"when": "manual"}]}, "waits for a person"),
        ({"rules": [[{"if": "$CI", "when": "delayed"}]]}, "waits for a person"),
        ({"rules": [{"if": "$CI"}] * 1001}, "more than 1000 rules"),
        ({"release": {"tag_name": "v1"}}, "makes a release"),
        ({"pages": True}, "publishes pages"),
    ],
)
@pytest.mark.parametrize("is_after", [False, True])
def test_what_may_deploy_is_never_started(lab: Lab, keys: Row, reason: str, is_after: bool) -> None:
    """Neither the job itself, nor one that was skipped and may run when the job passes."""
    if is_after:
        lab.again([FAILS, skipped("after", 400, (NAME,))], after=keys)
    else:
        lab.again([superseded(NAME)], test=keys)
    refusal = lab.refusal()
    assert reason in str(refusal)
    assert refusal.is_final


@pytest.mark.parametrize("name", ["deploy it", "lint", "pages", "test 2/3", "unknown"])
def test_names_that_must_not_run(lab: Lab, name: str) -> None:
    """A pattern of `never`, the job that publishes pages, and one that no key makes."""
    lab.again([FAILS, skipped(name, 400, (NAME,))])
    if name == "unknown":
        lab.repo.workflow_texts[CONFIGURATION] = configuration([FAILS])
    if name == "test 2/3":
        lab.runner = lab.runner_of("ci / test 2/3")
    assert f"its job {name} would run, which " in str(lab.refusal())


@pytest.mark.parametrize("status", ["skipped", "created"])
def test_a_trigger_job_is_never_started(lab: Lab, status: str) -> None:
    """Neither after the job, nor with all of a pipeline that did not pass."""
    trigger = {"trigger": {"include": "child.yml"}}
    gate = [Job("gate", conclusion="manual")] if status == "created" else []
    lab.again([FAILS, *gate, Job("below", 400, 400, status, needs=(NAME,))], below=trigger)
    assert "its job below would run, which starts another pipeline" in str(lab.refusal())
    lab.again([FAILS, Job("below", conclusion="failure")], below=trigger)
    assert "starts another pipeline" in str(lab.refusal(lab.target_of(None)))
    assert "does not list the job" in str(lab.refusal(lab.target_of("below")))


def test_what_has_ended_does_not_start_again(lab: Lab) -> None:
    """Of a pipeline that was cancelled, or passed, a retry of one job starts that job alone."""
    deploy = {"environment": "prod"}
    for last in (superseded(NAME), Job(NAME)):
        for conclusion in ("cancelled", "success", "failure", "manual"):
            lab.again([last, Job("deploy", 400, 400, conclusion, needs=(NAME,))], deploy=deploy)
            examined = lab.runner.examine(lab.target)
            lab.runner.run(examined.target)
            lab.fake.now += HOUR
            assert examined.jobs == 1
            assert lab.statuses()[NAME] == "success"
            assert lab.fake.now - HOUR > lab.pipelines.latest(lab.run)["deploy"].row.ends_at


def test_jobs_that_may_run_after_it_cost_minutes(lab: Lab) -> None:
    """They were skipped, and run when it passes."""
    lab.again([FAILS, skipped("report", 400, (NAME,)), Job("other", conclusion="failure")])
    examined = lab.runner.examine(lab.target)
    assert examined.jobs == 2
    lab.runner.run(examined.target)
    lab.fake.now += HOUR
    assert lab.statuses() == {NAME: "success", "report": "success", "other": "failed"}
    assert lab.runner.examine(lab.target_of(None)).jobs == 1


@pytest.mark.parametrize("source", ["push", "web", "schedule", "parent_pipeline", "pipeline"])
def test_what_started_a_pipeline_must_be_allowed(lab: Lab, source: str) -> None:
    """By default a push; never another pipeline, which may go on after it."""
    lab.pipelines.sources[lab.run.id] = source
    if source == "push":
        lab.runner.examine(lab.target)
        return
    reason = "another pipeline" if "pipeline" in source else rf"{source} \(confirm.events\)"
    with pytest.raises(NotRepeatable, match=reason) as raised:
        lab.runner.examine(lab.target)
    assert raised.value.is_final


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "GitLab finds it invalid"),
        ("a: [", "GitLab finds it invalid"),
        ("[1]", "GitLab finds it invalid"),
        ("other: {script: x}", "is not in the CI configuration of its commit"),
        ("'test 1/2': {script: x}", "is not in the CI configuration of its commit"),
    ],
)
def test_a_configuration_that_does_not_show_the_job_is_refused(
    lab: Lab, text: str, reason: str
) -> None:
    """An `include` that is gone, or a job that a policy adds."""
    lab.repo.workflow_texts[CONFIGURATION] = text or " "
    refusal = lab.refusal()
    assert reason in str(refusal)
    assert refusal.is_final


@pytest.mark.parametrize("name", ["test 1/3", "test: [a, 1/2]", "test: [a]"])
def test_parts_of_parallel_jobs_are_found(lab: Lab, name: str) -> None:
    """GitLab adds the number, or the values of the matrix, to the name."""
    lab.again([superseded(NAME), superseded(name)])
    for key, value in (("stage", "x"), ("environment", "prod")):
        lab.repo.workflow_texts[CONFIGURATION] = yaml.safe_dump({NAME: {key: value}})
        lab.runner = lab.runner_of()
        if key == "stage":
            lab.runner.examine(lab.target_of(name))
        else:
            assert "has an environment" in str(lab.refusal(lab.target_of(name)))


# ---------------------------------------------------------------------- what runs again


def test_a_job_whose_build_was_cancelled_is_repeated_with_it(lab: Lab) -> None:
    """Alone it would be skipped: all jobs that did not pass run again, by one request."""
    lab.again([superseded("build"), Job(NAME, 400, 400, "cancelled", needs=("build",))])
    examined = lab.runner.examine(lab.target)
    assert (examined.target.job_id, examined.jobs) == (None, 2)
    lab.runner.run(examined.target)
    assert lab.pipelines.accepted == [f"POST /projects/o%2Fr/pipelines/{lab.run.id}/retry"]
    assert lab.runner.was_repeated(examined.target)
    lab.fake.now += HOUR
    assert lab.statuses() == {"build": "success", NAME: "success"}


@pytest.mark.parametrize("needs", [None, [], ["other"]])
@pytest.mark.parametrize("conclusion", ["failure", "success"])
def test_a_job_alone_runs_if_those_before_it_passed(
    lab: Lab, needs: list[str] | None, conclusion: str
) -> None:
    """Those that it needs, or, without `needs`, all of earlier stages."""
    first = Job("build", conclusion=conclusion)
    lab.again([first, Job("other"), superseded(NAME)])
    document = yaml.safe_load(configuration([first, Job("other")]))
    document["stages"].append("late")
    document[NAME] = {"stage": "late", **({} if needs is None else {"needs": needs})}
    lab.repo.workflow_texts[CONFIGURATION] = yaml.safe_dump(document, sort_keys=False)
    is_alone = lab.runner.examine(lab.target).target.job_id is not None
    assert is_alone is (needs is not None or conclusion == "success")


def test_a_job_that_passed_is_not_skipped_in_vain(lab: Lab) -> None:
    """A retry of its pipeline would leave it out."""
    build = Job("build")
    lab.again([build, Job(NAME, needs=("build",))])
    lab.runner.examine(lab.target)
    lab.run.rerun(lab.fake.now, [superseded("build", 5, 10)])
    lab.fake.now += HOUR
    refusal = lab.refusal()
    assert "a job before it did not pass" in str(refusal)
    assert not refusal.is_final


def test_a_failure_that_is_allowed_stops_nothing(lab: Lab) -> None:
    """As `allow_failure` promises."""
    build = Job("build", conclusion="failure", continue_on_error=True)
    lab.again([build, superseded(NAME)])
    document = yaml.safe_load(configuration([build]))
    document["stages"].append("late")
    document[NAME] = {"stage": "late"}
    lab.repo.workflow_texts[CONFIGURATION] = yaml.safe_dump(document, sort_keys=False)
    assert lab.runner.examine(lab.target).target.job_id is not None


def is_running(lab: Lab) -> None:
    lab.run.rerun(lab.fake.now, [Job(NAME)])
    lab.fake.now += MINUTE


def was_repeated(lab: Lab) -> None:
    lab.run.rerun(lab.fake.now, [superseded(NAME)])
    lab.fake.now += HOUR


def is_deleted(lab: Lab) -> None:
    lab.run.delete(lab.fake.now)


def has_no_job(lab: Lab) -> None:
    lab.run = lab.repo.run(lab.run.commit, CI, [], at=lab.fake.now - HOUR)
    lab.target = lab.target_of(None)


def is_unlisted(lab: Lab) -> None:
    lab.target = lab.target._replace(job_id=1)


def is_skipped(lab: Lab) -> None:
    lab.target = lab.target_of(None)._replace(is_skipped=True)


def waits_for_a_person(lab: Lab) -> None:
    lab.again([Job(NAME, conclusion="manual")])


@pytest.mark.parametrize(
    ("change", "reason", "is_final"),
    [
        (is_running, "has not ended", False),
        (was_repeated, "the exporter has not read the result", False),
        (is_deleted, "was deleted", True),
        (has_no_job, "has no jobs", True),
        (is_unlisted, "does not list the job", True),
        (is_skipped, "the job did not run", True),
        (waits_for_a_person, "the job has not ended", False),
    ],
)
def test_what_is_not_repeated(
    lab: Lab, change: Callable[[Lab], None], reason: str, is_final: bool
) -> None:
    """A refusal is final where nothing but another configuration would change it."""
    change(lab)
    refusal = lab.refusal(lab.target)
    assert reason in str(refusal)
    assert refusal.is_final is is_final


@pytest.mark.parametrize(("minutes", "waits"), [(9, True), (11, False)])
def test_all_of_a_pipeline_wait_for_a_retry_to_be_read(
    lab: Lab, minutes: float, waits: bool
) -> None:
    """The exporter reads the result within ten minutes."""
    lab.again([superseded(NAME), superseded("other")])
    lab.run.rerun(lab.fake.now, [Job("other", 30, 60, "failure")])
    lab.fake.now += MINUTE + minutes * MINUTE
    target = lab.target_of(None)
    if waits:
        assert "was repeated just now" in str(lab.refusal(target))
    else:
        lab.runner.examine(target)


# ---------------------------------------------------------------------- what GitLab refuses


def lacks_the_right(lab: Lab) -> None:
    lab.fake.rights = lab.fake.rights.without("actions")


def lacks_the_scope(lab: Lab) -> None:
    lab.pipelines.scope = "read_api"


def is_archived(lab: Lab) -> None:
    lab.repo.archived = True


def never_ran(lab: Lab) -> None:
    lab.again([skipped(NAME)])


@pytest.mark.parametrize(
    ("change", "is_final"),
    [
        (lacks_the_right, False),
        (lacks_the_scope, False),
        (is_archived, True),
        (never_ran, True),
        (was_repeated, False),
        (is_deleted, False),
    ],
)
def test_what_gitlab_refuses(lab: Lab, change: Callable[[Lab], None], is_final: bool) -> None:
    """It waits if the token lacks the right, or somebody was faster; else the refusal is final."""
    target = lab.runner.examine(lab.target).target
    change(lab)
    if change is never_ran:
        target = lab.target._replace(attempt=lab.target.job_id or 0)
    with pytest.raises(NotRepeatable, match=r"GitLab refuses it: .*HTTP 40[34]") as raised:
        lab.runner.run(target)
    assert raised.value.is_final is is_final
    assert lab.pipelines.accepted == []


def test_a_conflict_waits(lab: Lab) -> None:
    """Another request changed the pipeline at the same time."""

    def change(request: HttpRequest, sent: HttpResponse) -> HttpResponse:
        is_retry = request.method == "POST"
        return HttpResponse(409, b'{"message": "409 Conflict"}', {}) if is_retry else sent

    lab.change = change
    with pytest.raises(NotRepeatable, match="HTTP 409") as raised:
        lab.runner.run(lab.target)
    assert not raised.value.is_final


@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.HANG, Kind.RESET, Kind.TOO_MANY])
@pytest.mark.parametrize("is_sent", [False, True])
def test_an_error_of_gitlab_is_no_refusal(lab: Lab, kind: Kind, is_sent: bool) -> None:
    """A request without an answer may have taken effect."""
    lab.server.fail_next(kind, "POST .*/retry" if is_sent else "/pipelines/")
    ask: Callable[[Target], object] = lab.runner.run if is_sent else lab.runner.examine
    with pytest.raises(RateLimitedError if kind is Kind.TOO_MANY else RequestError):
        ask(lab.target)


def test_a_project_that_the_token_cannot_see_is_no_deleted_pipeline(lab: Lab) -> None:
    """It waits: the token may be replaced."""
    target = lab.target._replace(repo="o/other")
    for ask in (lab.runner.examine, lab.runner.was_repeated):
        with pytest.raises(NotFoundError):
            ask(target)


@pytest.mark.parametrize("version", ["16.10.0", "17.0.1-ee", "18.6.0-pre"])
def test_a_version_that_shows_configurations_is_usable(lab: Lab, version: str) -> None:
    """From the first one on that has `content_ref`."""
    lab.pipelines.version = version
    lab.runner.check()


@pytest.mark.parametrize("version", ["16.9.11-ee", "9.5.0", "", "x"])
def test_an_older_version_is_named(lab: Lab, version: str) -> None:
    """It would show the configuration of the newest commit in place of the one asked for."""
    lab.pipelines.version = version
    with pytest.raises(BadAnswerError, match=r"older than 16\.10"):
        lab.runner.check()


# ---------------------------------------------------------------------- which row is new


def test_a_newer_row_of_the_pipeline_is_a_repetition(lab: Lab) -> None:
    """Attempts are counted for each job, so that only the ids of rows show which came later."""
    target = lab.target._replace(attempt=50)

    def row(job_id: int | None, run_id: int = lab.run.id) -> Attempt:
        return Attempt(NAME, None, run_id, job_id, 7, Evidence.PASS, None, None)

    found = [row(51), row(50), row(49), row(None), row(51, run_id=1)]
    assert [lab.runner.is_repetition(target, each) for each in found] == [True, *[False] * 4]


def test_a_retry_of_another_job_is_no_answer(lab: Lab) -> None:
    """Somebody retried another job of the pipeline."""
    lab.again([superseded(NAME), superseded("other")])
    target = lab.runner.examine(lab.target).target
    lab.run.rerun(lab.fake.now, [Job("other")])
    assert not lab.runner.was_repeated(target)
    assert lab.runner.was_repeated(target._replace(job_id=None))


@pytest.mark.parametrize("key", ["status", "source", "id", "name", "allow_failure", "finished_at",
                                 "valid", "merged_yaml", "jobs", "stage", "environment", "needs",
                                 "when", "version"])  # fmt: skip
def test_hostile_values(lab: Lab, key: str) -> None:
    """Whatever a key of an answer holds, a job may be retried, waits or is refused."""
    lab.again([Job("build"), Job(NAME, conclusion="failure", needs=("build",))])
    for value in HOSTILE:

        def change(request: HttpRequest, sent: HttpResponse, value: object = value) -> HttpResponse:
            del request
            document = replaced(json.loads(sent.body), key, value)
            return HttpResponse(sent.status, json.dumps(document).encode(), {})

        lab.change = change
        for target in (lab.target, lab.target_of(None)):
            lab.runner = lab.runner_of()
            with suppress(NotRepeatable, RequestError):
                lab.runner.examine(target)
            with suppress(RequestError):
                lab.runner.check()


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("when: *i", None),
        ("rules: [{when: *i}]", None),
        (f"rules: &r [{','.join(['*r'] * 5_000)}]", "has more than 1000 rules"),
    ],
)
def test_aliases_of_a_configuration_fill_no_memory(job: str, reason: str | None) -> None:
    """Neither as the text of a value, nor as rules that contain themselves."""
    text = f"{BOMB}test: {{{job}}}"
    rows = [{"name": "test", "stage": "test"}]
    tracemalloc.start()
    try:
        found = read_configuration({"valid": True, "merged_yaml": text, "jobs": rows})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.find("test") == ConfiguredJob(0, None, reason)
    assert peak < 20_000_000


def test_a_row_that_cannot_be_read_could_deploy(lab: Lab) -> None:
    """The pipeline waits as a whole."""

    def change(request: HttpRequest, sent: HttpResponse) -> HttpResponse:
        if not request.path.endswith("/jobs"):
            return sent
        rows: list[dict[str, Any]] = json.loads(sent.body)
        return HttpResponse(200, json.dumps([*rows, {"id": 1}]).encode(), {})

    lab.change = change
    with pytest.raises(BadAnswerError, match="not the list"):
        lab.runner.examine(lab.target)
