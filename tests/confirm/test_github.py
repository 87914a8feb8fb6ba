"""The runner of GitHub: what may run again, and what GitHub refuses."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from unittest import mock

import pytest
from trunkwatch.confirm.github import GithubRunner
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.errors import NotFoundError, RateLimitedError, RequestError
from trunkwatch.patterns import Pattern
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import HttpContext

from tests.confirm.builders import CI, HOUR, NAME, history
from tests.confirm.hostile import BOMB, HOSTILE, replaced
from tests.confirm.stage import REPO
from tests.github.direct import DirectSession
from tests.github.exporter import TOKEN_VARIABLE
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.server import GitHubServer
from tests.github.workflows import Job, Workflow, superseded

JOBS = "jobs: {test: {runs-on: x}}\n"
CALLED = ".github/workflows/called.yml"
CALLER = "jobs: {test: {uses: %s}}"
TO_CALLED = CALLER % f"./{CALLED}"


class GitHub:
    """A repository with one cancelled run, and the runner that may repeat it."""

    def __init__(self) -> None:
        self.fake = FakeGitHub()
        self.repo = self.fake.repo(REPO)
        self.server = GitHubServer(self.fake)
        (self.run,) = history(self.repo, "C")
        self.change: Callable[[HttpRequest, HttpResponse], HttpResponse] = lambda _, sent: sent
        self.target = self.target_of(NAME)
        self.runner = self.runner_of("(?i).*deploy.*", "ci / lint")

    def runner_of(self, *never: str) -> GithubRunner:
        """Return a runner that never repeats the jobs of some patterns."""
        return GithubRunner(
            self.server.url,
            HttpContext(lambda: DirectSession(self._respond), clock=lambda: self.fake.now),
            EnvToken(TOKEN_VARIABLE),
            events=("push", "pull_request"),
            called_workflows=[Pattern("o/known/.*")],
            never=[Pattern(each) for each in never],
        )

    def target_of(self, name: str | None) -> Target:
        """Return the run, with a job alone or with all that did not pass."""
        rows = {row.name: row for row in self.run.latest_rows(self.fake.now)}
        job_id = None if name is None else rows[name].id
        attempt = self.run.attempt(self.fake.now).number
        return Target(REPO, "main", self.run.commit.sha, self.run.id, attempt, job_id,
                      name or NAME, CI.name, CI.path, False, 5.0)  # fmt: skip

    def again(self, jobs: list[Job]) -> None:
        """Replace the run by one of other jobs."""
        self.run = self.repo.run(self.run.commit, CI, jobs, at=self.fake.now - HOUR)
        self.target = self.target_of(NAME)

    def _respond(self, request: HttpRequest) -> HttpResponse:
        return self.change(request, self.server.respond(request))


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Return the stand-in; an unexpected request fails the test."""
    with mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}):
        made = GitHub()
        yield made
    made.server.stop()
    assert made.server.unexpected == []


def test_a_job_is_repeated_alone(github: GitHub) -> None:
    """A job that needs none, and that none needs, is repeated by one request after two."""
    examined = github.runner.examine(github.target)
    github.runner.run(examined.target)
    assert (examined.jobs, len(github.server.log)) == (1, 3)
    assert github.server.reruns.accepted == [
        f"POST /repos/{REPO}/actions/jobs/{github.target.job_id}/rerun"
    ]
    assert github.runner.was_repeated(github.target)


@pytest.mark.parametrize(
    ("text", "called", "reason"),
    [
        ("jobs: {test: {environment: prod}}", "", "its job test has an environment"),
        ("permissions: {deployments: write}\n" + JOBS, "", "permissions include deployments"),
        ("permissions: write-all\n" + JOBS, "", "permissions include deployments"),
        ("jobs: {test: {}, b: {permissions: write-all}}", "", "permissions of its job b include"),
        ("jobs: {test: {}, b: {permissions: {deployments: write}}}", "", "its job b include"),
        (TO_CALLED, "jobs: {a: {environment: {name: x}}}", f"{CALLED}: its job a has an environ"),
        (TO_CALLED, "", f"{CALLED} cannot be read"),
        (CALLER % "./.github/workflows/none.yml", "", "none.yml is not there"),
        (CALLER % "o/b/.github/workflows/c.yml@v1", "", r"calls o/b/.*\(confirm.called_workflows"),
        (TO_CALLED, CALLER % "o/b/c.yml@v1", f"{CALLED} calls o/b/c.yml@v1, which may deploy"),
        (TO_CALLED, CALLER % f"./{CALLED}", "more than 500 calls"),
        (f"jobs: {{test: {{name: {'x' * 10_000}, uses: ./{CALLED}}}}}", JOBS, "name is too long"),
        ("jobs: [", "", "ci.yml cannot be read: not YAML"),
        ("jobs: {test: {<<: {a: 1}}}", "", "cannot be read: not YAML"),
        ("", "", "cannot be read: it has no jobs"),
        # What needs the job runs after it, whatever its own result was.
        ("jobs: {test: {}, deploy: {needs: test}}", "", r"its job deploy would run too"),
        ("jobs: {test: {}, a: {needs: [test]}, deploy: {needs: a}}", "", "deploy would run too"),
        ("jobs: {test: {}, b: {name: Deploy it, needs: test}}", "", "job Deploy it would run too"),
        ("jobs: {test: {}, lint: {needs: test}}", "", r"lint would run too \(confirm.never"),
        (TO_CALLED, "jobs: {deploy: {}}", f"{CALLED}: its job deploy would run too"),
        ("jobs: {a: {name: '${{ matrix.x }}'}, deploy: {needs: a}}", "", "deploy would run too"),
        # A name that the file does not show may be that of any job.
        ("jobs: {other: {}, deploy: {}}", "", "deploy would run too"),
    ],
)  # fmt: skip
def test_what_may_deploy_is_never_repeated(
    github: GitHub, text: str, called: str, reason: str
) -> None:
    """An environment, a permission, an unknown workflow, or a job that must not run and would."""
    github.repo.workflow_texts.update({CI.path: text, CALLED: called})
    with pytest.raises(NotRepeatable, match=reason) as raised:
        github.runner.examine(github.target)
    assert raised.value.is_final


@pytest.mark.parametrize(
    ("text", "called"),
    [
        (CALLER % "o/known/.github/workflows/c.yml@v1", ""),
        (TO_CALLED, JOBS),
        ("jobs: {test: {}, deploy: {}}", ""),
        ("jobs: {test: {needs: build}, build: {}, deploy: {needs: build}}", ""),
        ("permissions: {deployments: read, contents: write}\n" + JOBS, ""),
        ("permissions: read-all\n" + JOBS, ""),
    ],
)
def test_what_does_not_deploy_may_be_repeated(github: GitHub, text: str, called: str) -> None:
    """A named or harmless reusable workflow, and a job that runs without the one that deploys."""
    github.repo.workflow_texts.update({CI.path: text, CALLED: called})
    assert github.runner.examine(github.target).target.job_id == github.target.job_id


def test_a_whole_run_is_not_repeated_with_a_job_that_never_may(github: GitHub) -> None:
    """If all jobs are repeated, none of the workflow may match `confirm.never`."""
    github.repo.workflow_texts[CI.path] = "jobs: {test: {}, deploy: {}}"
    with pytest.raises(NotRepeatable, match="deploy would run too"):
        github.runner.examine(github.target._replace(job_id=None))


def test_each_call_of_one_file_is_checked(github: GitHub) -> None:
    """A job of a reusable workflow has another name in each call, and one of them may match."""
    calls = ", ".join(f"{name}: {{uses: ./{CALLED}}}" for name in ("a", "b", "c"))
    for name in ("a", "b", "c"):
        github.runner = github.runner_of(f"ci / {name} / x")
        github.repo.workflow_texts.update({CI.path: f"jobs: {{{calls}}}", CALLED: "jobs: {x: {}}"})
        with pytest.raises(NotRepeatable, match="its job x would run too"):
            github.runner.examine(github.target._replace(job_id=None))


@pytest.mark.parametrize(("number", "is_refused"), [(20, False), (21, True)])
def test_a_workflow_may_call_twenty_others(github: GitHub, number: int, is_refused: bool) -> None:
    """Each costs a request."""
    paths = [f".github/workflows/{index}.yml" for index in range(number)]
    calls = ", ".join(f"a{index}: {{uses: ./{path}}}" for index, path in enumerate(paths))
    github.repo.workflow_texts.update(dict.fromkeys(paths, JOBS))
    github.repo.workflow_texts[CI.path] = f"jobs: {{test: {{}}, {calls}}}"
    if not is_refused:
        github.runner.examine(github.target)
        return
    with pytest.raises(NotRepeatable, match="calls more than 20 others"):
        github.runner.examine(github.target)


def test_jobs_that_need_it_cost_minutes(github: GitHub) -> None:
    """The estimate counts every job that runs again."""
    jobs = [superseded(NAME), Job("report", 400, 400, "skipped", needs=(NAME,)), Job("lint x")]
    github.again(jobs)
    github.repo.workflow_texts[CI.path] = (
        "jobs: {test: {}, report: {needs: test}, other: {name: lint x}}"
    )
    assert github.runner.examine(github.target).jobs == 2
    assert github.runner.examine(github.target_of(None)).jobs == 2


def test_a_job_whose_build_was_cancelled_is_repeated_with_it(github: GitHub) -> None:
    """Alone it would be skipped: all jobs that did not pass run again."""
    github.again([superseded("build"), Job(NAME, 400, 400, "cancelled", needs=("build",))])
    github.repo.workflow_texts[CI.path] = "jobs: {build: {}, test: {needs: build}}"
    examined = github.runner.examine(github.target)
    assert (examined.target.job_id, examined.jobs) == (None, 2)


def is_old(github: GitHub) -> None:
    github.fake.now += 30 * 86_400


def has_attempts(github: GitHub) -> None:
    for _ in range(49):
        github.run.rerun(github.fake.now, [superseded(NAME)])
        github.fake.now += HOUR


def is_running(github: GitHub) -> None:
    github.run.rerun(github.fake.now, [Job(NAME)])
    github.fake.now += 60


def was_repeated(github: GitHub) -> None:
    is_running(github)
    github.fake.now += 300


def is_deleted(github: GitHub) -> None:
    github.run.delete(github.fake.now)


def is_shared_by_a_called_file(github: GitHub) -> None:
    is_shared(github)
    texts = {CI.path: TO_CALLED, CALLED: "jobs: {a: {concurrency: gpu}}"}
    github.repo.workflow_texts.update(texts)


def is_shared(github: GitHub) -> None:
    github.repo.workflow_texts[CI.path] = "concurrency: ci\n" + JOBS
    github.repo.run(github.run.commit, CI, [Job(NAME)])
    github.fake.now += 60


def cannot_be_read(github: GitHub) -> None:
    github.repo.private = True
    github.fake.rights = github.fake.rights.without("contents")


@pytest.mark.parametrize(
    ("change", "reason", "is_final"),
    [
        (is_old, "older than 30 days", True),
        (has_attempts, "has 50 attempts", True),
        (is_running, "has not ended", False),
        (was_repeated, "was repeated just now", False),
        (is_deleted, "was deleted", True),
        (is_shared, "another run of its concurrency group", False),
        (is_shared_by_a_called_file, "another run of its concurrency group", False),
        (cannot_be_read, r"may not be read \(Contents: read\)", False),
    ],
)
def test_what_is_not_repeated(
    github: GitHub, change: Callable[[GitHub], None], reason: str, is_final: bool
) -> None:
    """A refusal is final where nothing but another configuration would change it."""
    change(github)
    with pytest.raises(NotRepeatable, match=reason) as raised:
        github.runner.examine(github.target)
    assert raised.value.is_final is is_final


def test_what_started_a_run_must_be_allowed(github: GitHub) -> None:
    """By default a push or a pull request."""
    for event, may in (("pull_request", True), ("schedule", False), ("workflow_dispatch", False)):
        github.run.event = event
        if may:
            github.runner.examine(github.target)
            continue
        with pytest.raises(
            NotRepeatable, match=rf"started by {event} \(confirm.events\)"
        ) as raised:
            github.runner.examine(github.target)
        assert raised.value.is_final


def test_a_suspect_that_was_skipped_by_its_own_condition_would_be_again(github: GitHub) -> None:
    """One that was skipped because its run was cancelled is repeated."""
    skipped = Job(NAME, 5, 5, "skipped")
    github.again([skipped, Job("other")])
    target = github.target_of(None)._replace(is_skipped=True)
    with pytest.raises(NotRepeatable, match="its own condition") as raised:
        github.runner.examine(target)
    assert raised.value.is_final
    github.again([skipped, superseded("other")])
    github.runner.examine(github.target_of(None)._replace(is_skipped=True))


def lacks_the_right(github: GitHub) -> None:
    github.fake.rights = github.fake.rights.without("actions")
    github.repo.private = False


def is_archived(github: GitHub) -> None:
    github.repo.archived = True


def is_disabled(github: GitHub) -> None:
    github.repo.workflow_states[CI.path] = "disabled_manually"


@pytest.mark.parametrize(
    ("change", "is_final"),
    [
        (lacks_the_right, False),
        (is_archived, True),
        (is_disabled, True),
        (is_running, False),
        (is_deleted, False),
    ],
)
def test_what_github_refuses(
    github: GitHub, change: Callable[[GitHub], None], is_final: bool
) -> None:
    """It waits if the token lacks the right, or somebody was faster; else the refusal is final."""
    target = github.runner.examine(github.target).target
    change(github)
    with pytest.raises(NotRepeatable, match=r"GitHub refuses it: .*HTTP 40[34]") as raised:
        github.runner.run(target)
    assert raised.value.is_final is is_final
    assert github.server.reruns.accepted == []


@pytest.mark.parametrize("relists", [True, False])
def test_another_job_of_the_run_was_repeated(github: GitHub, relists: bool) -> None:
    """The job has another id in the newest attempt; without one, GitHub repeats no other."""
    github.again([superseded(NAME), superseded("other")])
    github.run.rerun(github.fake.now, [Job("other")], copies=relists)
    github.fake.now += HOUR
    if not relists:
        with pytest.raises(NotRepeatable, match="does not list the job"):
            github.runner.examine(github.target)
        return
    target = github.runner.examine(github.target).target
    assert target.job_id != github.target.job_id
    github.runner.run(target)


@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.HANG, Kind.RESET, Kind.TOO_MANY])
@pytest.mark.parametrize("is_sent", [False, True])
def test_an_error_of_github_is_no_refusal(github: GitHub, kind: Kind, is_sent: bool) -> None:
    """A request without an answer may have taken effect."""
    github.server.fail_next(kind, "POST .*/rerun" if is_sent else "/actions/runs/")
    ask: Callable[[Target], object] = github.runner.run if is_sent else github.runner.examine
    with pytest.raises(RateLimitedError if kind is Kind.TOO_MANY else RequestError):
        ask(github.target)


def test_a_repository_that_the_token_cannot_see_is_no_deleted_run(github: GitHub) -> None:
    """It waits: the token may be replaced."""
    github.repo.private = True
    github.fake.rights = github.fake.rights.without("metadata")
    for ask in (github.runner.examine, github.runner.was_repeated):
        with pytest.raises(NotFoundError):
            ask(github.target)


MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 9)}]}}\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("key", ["status", "run_attempt", "created_at", "updated_at", "event",
                                 "path", "name", "conclusion", "workflow_id", "id", "jobs",
                                 "workflow_runs", "content"])  # fmt: skip
def test_hostile_values(github: GitHub, key: str) -> None:
    """Whatever a key of an answer holds, a run may be repeated, waits or is refused."""
    github.repo.workflow_texts[CI.path] = "concurrency: ci\njobs: {test: {}, report: {needs: test}}"
    for value in HOSTILE:

        def change(request: HttpRequest, sent: HttpResponse, value: object = value) -> HttpResponse:
            del request
            document = replaced(json.loads(sent.body), key, value)
            return HttpResponse(sent.status, json.dumps(document).encode(), {})

        github.change = change
        for target in (github.target, github.target._replace(attempt=2, is_skipped=True)):
            with suppress(NotRepeatable, RequestError):
                github.runner.examine(target)
    github.server.unexpected.clear()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00", b"\x80jobs: {}", b"jobs: " + b"[" * 1000, b"!!timestamp x", b"!!int ''",
        b"!!bool x: 1", b"jobs: {a: !!timestamp x}", b"? [a]\n: b", BOMB.encode() + b"jobs: 2",
        MERGES.encode() + JOBS.encode(), b"jobs: *a", b"--- a\n--- b", b"!!python/object:os.x {}",
    ],
)  # fmt: skip
def test_a_file_that_is_no_workflow_is_refused(github: GitHub, content: bytes) -> None:
    """Bytes that are no text, no YAML, or that would fill the memory."""

    def change(request: HttpRequest, sent: HttpResponse) -> HttpResponse:
        if "/contents/" not in request.path:
            return sent
        body = json.dumps({"content": base64.b64encode(content).decode()}).encode()
        return HttpResponse(200, body, {})

    github.change = change
    with pytest.raises(NotRepeatable, match=r"cannot be read: (not YAML|it has no jobs)") as raised:
        github.runner.examine(github.target)
    assert raised.value.is_final


def test_a_group_whose_text_would_fill_the_memory_is_shared(github: GitHub) -> None:
    """A concurrency group is not written out unless it is a text."""
    github.repo.workflow_texts[CI.path] = f"{BOMB}concurrency: *i\n{JOBS}"
    github.repo.run(github.run.commit, CI, [Job(NAME)])
    github.fake.now += 60
    with pytest.raises(NotRepeatable, match="concurrency group"):
        github.runner.examine(github.target)


def test_another_workflow_does_not_share_the_group(github: GitHub) -> None:
    """Only the runs of the same workflow are waited for."""
    github.repo.workflow_texts[CI.path] = "concurrency: ci\n" + JOBS
    other = Workflow("other", ".github/workflows/other.yml")
    github.repo.run(github.run.commit, other, [Job(NAME)])
    github.fake.now += 60
    github.runner.examine(github.target)
