"""The parsers of `trunkwatch confirm`: the exporter's JSON, and the runs and files of each CI."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hypothesis import strategies as st
from trunkwatch.confirm.buildbot import BuildbotRunner
from trunkwatch.confirm.github import GithubRunner
from trunkwatch.confirm.gitlab import GitlabRunner
from trunkwatch.confirm.gitlab_configuration import read_configuration
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import Runner
from trunkwatch.confirm.workflow_file import read_workflow
from trunkwatch.patterns import Pattern
from trunkwatch.rest.credentials import NoToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import decode_json
from trunkwatch.status.attempts import parse_attempts
from trunkwatch.status.client import parse_failing_jobs

from tests.confirm.master import FakeMaster
from tests.fuzz.texts import json_texts, yaml_texts
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse

SHA = "a" * 40
PATH = ".github/workflows/ci.yml"

ATTEMPTS = {
    "commits": [
        {
            "sha": SHA,
            "state": "F",
            "attempts": [
                {
                    "workflow": "ci",
                    "workflow_path": PATH,
                    "job_name": "test",
                    "event": "push",
                    "run_id": 7,
                    "job_id": 9,
                    "attempt": 1,
                    "run_number": 3,
                    "status": "completed",
                    "conclusion": "failure",
                    "evidence": "fail",
                    "created_at": None,
                    "started_at": "2026-09-21T00:00:00Z",
                    "completed_at": "2026-09-21T00:10:00Z",
                    "url": None,
                    "failed_step": None,
                    "infra": False,
                }
            ],
        }
    ]
}
TRUNKS = {"as_of": "2026-09-21T00:00:00Z",
          "trunks": [{"repo": "o/r", "branch": "main", "streaks": 1}]}  # fmt: skip

WORKFLOW = b"on: push\njobs: {test: {runs-on: linux, steps: []}}\n"
RUN = {"id": 7, "run_attempt": 1, "status": "completed", "conclusion": "cancelled", "event": "push",
       "created_at": "2026-09-20T00:00:00Z", "updated_at": "2026-09-20T01:00:00Z", "path": PATH,
       "workflow_id": 5, "head_branch": "main"}  # fmt: skip
JOBS = {"total_count": 1, "jobs": [
    {"id": 9, "name": "test", "conclusion": "cancelled", "status": "completed",
     "started_at": "2026-09-20T00:00:00Z", "completed_at": "2026-09-20T00:10:00Z"}]}  # fmt: skip
RUNS = {"total_count": 1, "workflow_runs": [RUN]}
ANSWERS: dict[str, Any] = {
    "/jobs": JOBS,
    "/runs": RUNS,
    ".yml": {"content": base64.b64encode(WORKFLOW).decode()},
}
"""By the end of the path; a run for any other one."""

LAB_JOBS = [
    {"id": 9, "name": "test", "status": "failed", "allow_failure": False,
     "finished_at": "2026-09-20T00:10:00Z"},
    {"id": 10, "name": "report", "status": "skipped", "allow_failure": False, "finished_at": None},
]  # fmt: skip
BRIDGES = [{"id": 8, "name": "below", "status": "success", "allow_failure": False}]
LINTED = {
    "valid": True,
    "merged_yaml": "test: {script: make}\nreport: {stage: late, needs: [test], rules: [{if: a}]}\n",
    "jobs": [
        {"name": "test", "stage": "test", "environment": None, "when": "on_success", "needs": None},
        {"name": "report", "stage": "late", "environment": None, "when": "on_success",
         "needs": [{"name": "test"}]},
    ],
}  # fmt: skip
PIPELINE = {"id": 7, "status": "failed", "source": "push"}
LAB_ANSWERS: dict[str, Any] = {"/jobs": LAB_JOBS, "/bridges": BRIDGES, "/ci/lint": LINTED}
"""Of GitLab, by the end of the path; a pipeline for any other one."""

MASTER = FakeMaster()
MASTER.build(7, SHA)
MASTER_ANSWERS = {
    f"/{key}": {"builds" if key == "triggered_builds" else key: rows}
    for key, rows in (
        ("builders", [{"builderid": 1, "name": "unit"}]),
        ("buildrequests", MASTER.requests),
        ("buildsets", MASTER.sets),
        ("builds", MASTER.builds),
        ("triggered_builds", MASTER.builds),
        ("forceschedulers", [MASTER.scheduler]),
    )
}
"""Of Buildbot, by the end of the path, as if nothing was asked for."""

TARGETS = tuple(
    Target("o/r", "main", SHA, 7, attempt, job_id, "test", "ci", PATH, is_skipped, 10.0)
    for attempt in (1, 0)
    for job_id, is_skipped in ((9, False), (None, True))
)
NOW = 1_790_000_000.0
URL = "http://127.0.0.1:9"
NEVER = (Pattern(".*deploy.*"),)

KEYS = ("jobs", "permissions", "deployments", "environment", "concurrency", "group", "uses",
        "needs", "name", "on", "test", "steps")  # fmt: skip
WORDS = ("push", "write", "write-all", "./.github/workflows/b.yml", "o/r/x.yml@v1",
         "${{ github.sha }}", "prod")  # fmt: skip


def read_attempts(body: bytes) -> None:
    """Read the attempts of a job."""
    for column in parse_attempts(decode_json(body)).values():
        for attempt in column.attempts:
            assert attempt.minutes is None or attempt.minutes >= 0


def read_trunks(body: bytes) -> None:
    """Read the list of trunks."""
    parse_failing_jobs(decode_json(body))


def answers() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return one poisoned answer of GitHub, with the end of its path."""
    return _poisoned({**ANSWERS, "": RUN})


def lab_answers() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return one poisoned answer of GitLab, with the end of its path."""
    return _poisoned({**LAB_ANSWERS, "": PIPELINE})


def master_answers() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return one poisoned answer of Buildbot, with the end of its path."""
    return _poisoned(MASTER_ANSWERS)


def _poisoned(documents: Mapping[str, Any]) -> st.SearchStrategy[tuple[str, bytes]]:
    return st.one_of(
        *(st.tuples(st.just(end), json_texts(document)) for end, document in documents.items())
    )


def examine(given: tuple[str, bytes]) -> None:
    """Look at a run of GitHub of which one answer is poisoned."""
    http = _answering(given, {**ANSWERS, "": RUN})
    _examine(GithubRunner(URL, http, NoToken(), events=("push",), never=NEVER), TARGETS)


def examine_pipeline(given: tuple[str, bytes]) -> None:
    """Look at a pipeline of GitLab of which one answer is poisoned."""
    http = _answering(given, {**LAB_ANSWERS, "": PIPELINE})
    # GitLab retries no skipped job.
    targets = [each for each in TARGETS if not each.is_skipped]
    _examine(GitlabRunner(URL, http, NoToken(), events=("push",), never=NEVER), targets)


def examine_builds(given: tuple[str, bytes]) -> None:
    """Look at the builds of a commit of which one answer is poisoned, and for newer requests."""
    end, body = given

    def answer(request: HttpRequest) -> HttpResponse:
        is_poisoned = request.path.removesuffix("/commit").endswith(end)
        return HttpResponse(200, body) if is_poisoned else MASTER.respond(request)

    target = TARGETS[0]._replace(job_name="unit")
    for scheduler in (None, "commit"):
        runner = BuildbotRunner(
            f"{URL}/api/v2", _http(answer), builders=(Pattern("unit"),), force_scheduler=scheduler
        )
        runner.was_left_out(target)
        runner.examine(target)


def _answering(given: tuple[str, bytes], documents: Mapping[str, Any]) -> HttpContext:
    end, body = given

    def answer(request: HttpRequest) -> HttpResponse:
        found = next(each for each in documents if request.path.endswith(each))
        sound = json.dumps(documents[found]).encode()
        return HttpResponse(200, body if found == end else sound)

    return _http(answer)


def _http(answer: Callable[[HttpRequest], HttpResponse]) -> HttpContext:
    return HttpContext(
        lambda: DirectSession(answer), clock=lambda: NOW, sleep=lambda _seconds: None
    )


def _examine(runner: Runner, targets: Iterable[Target]) -> None:
    for target in targets:
        runner.examine(target)


def workflow_files() -> st.SearchStrategy[str]:
    """Return workflow files with arbitrary values."""
    return yaml_texts(KEYS, WORDS, lambda values: st.fixed_dictionaries(
        {"jobs": st.dictionaries(st.sampled_from(("a", "b")), values, max_size=2)},
        optional={"permissions": values, "concurrency": values},
    ))  # fmt: skip


def read_file(text: str) -> None:
    """Read a workflow file, and compare its jobs with a name."""
    file = read_workflow(text.encode("utf-8", "surrogatepass"))
    for job in file.jobs.values():
        job.may_be("test (a, 1)")


def configurations() -> st.SearchStrategy[str]:
    """Return CI configurations of GitLab with arbitrary values."""
    keys = ("script", "rules", "when", "environment", "needs", "trigger", "job", "if")
    return yaml_texts(keys, ("manual", "delayed", "test", "prod"), lambda values: (
        st.dictionaries(st.sampled_from(("test", ":report", "stages")), values, max_size=3)
    ))  # fmt: skip


def read_lint(text: str) -> None:
    """Read a configuration, and search it for a job."""
    found = read_configuration({**LINTED, "merged_yaml": text})
    assert list(found.waits_for("report", ("test 1/2", "report"))) in ([], ["test 1/2"])
