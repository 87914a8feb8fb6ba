"""The program takes GitLab's webhooks, and answers them without waiting for GitLab."""

import json
import threading
import time
from pathlib import Path

import requests
import yaml

from tests.cli.program import serving as serving_program
from tests.gitlab.fake import TOKEN, FakeGitLab
from tests.gitlab.webhooks import job_event, pipeline_event, push_event
from tests.gitlab.world import Row
from tests.support.fakehttp import serving
from tests.support.waiting import eventually

SECRET = "secret-of-the-webhooks"
ANSWER_SECONDS = 5.0
"""Less than GitLab waits for an answer, which is ten seconds."""


def test_a_delivery_is_answered_before_gitlab_is_asked(tmp_path: Path) -> None:
    """Deliveries are taken while GitLab does not answer, and their result is shown afterwards."""
    fake, answers = FakeGitLab(), threading.Event()
    answers.set()
    fake.before = lambda _request: _wait(answers)
    project, at = fake.project("group/project"), time.time() - 600
    run = project.pipeline(project.push("a", at=at), "running", at=at)
    job = run.job("test", "running", at=at)
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    with serving(fake) as ci:
        source = {"name": "lab", "type": "gitlab", "url": ci.url, "repos": ["group/project"]}
        source |= {"token_file": "token", "webhook_secret_file": "secret", "poll_interval": "10m"}
        text = yaml.safe_dump({"sources": [source]})
        (tmp_path / "trunkwatch.yml").write_text(text, encoding="utf-8")
        with serving_program(tmp_path) as served:
            failures = "ci_job_consecutive_failures"
            eventually(lambda: 0.0 in served.samples(failures).values(), "the job runs")
            answers.clear()
            ci.requests.clear()
            job["status"] = "failed"
            run.set("failed", time.time())
            url = f"http://127.0.0.1:{served.port}/webhook/lab"
            for body in (push_event(project), pipeline_event(run), job_event(run, job)):
                assert _post(url, body) == requests.codes.accepted
            eventually(lambda: ci.requests, "the refresh that they make due", seconds=30)
            assert (
                _post(url, {**job_event(run, job), "retries_count": 1}) == requests.codes.accepted
            )
            assert served.samples(failures)
            answers.set()
            eventually(lambda: 1.0 in served.samples(failures).values(), "the failure", seconds=30)
            assert _post(url, push_event(project), SECRET[1:]) == requests.codes.unauthorized


def _wait(event: threading.Event) -> None:
    event.wait(60)


def _post(url: str, body: Row, token: str = SECRET) -> int:
    headers = {"X-Gitlab-Token": token, "X-Gitlab-Event": body["object_kind"]}
    headers["Content-Type"] = "application/json"
    return requests.post(
        url, data=json.dumps(body), headers=headers, timeout=ANSWER_SECONDS
    ).status_code
