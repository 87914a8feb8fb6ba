"""Answers, stored state and deliveries of Gitea, spoiled."""

import hashlib
import hmac
import json
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from trunkwatch.config.sources import GiteaSource
from trunkwatch.engine.facts import EMPTY_STATE, SourceState, StateEntry
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import Source, SourceContext, WebhookSource, build_source

from tests.fuzz.texts import json_texts
from tests.gitea.fake import FIRST_RUN_ID, RECORDED, TOKEN, FakeGitea
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse
from tests.support.fakehttp import Request

NOW = 1_700_000_000.0
REPO = "repos/o/r"
PATHS = (
    REPO,
    f"{REPO}/commits",
    f"{REPO}/actions/tasks",
    f"{REPO}/actions/runs",
    f"{REPO}/actions/runs/{FIRST_RUN_ID + 1}/jobs",
)
"""The addresses whose answers are spoiled."""

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
SECRET = Path(FOLDER.name) / "secret"
SECRET.write_text("secret", encoding="utf-8")


def _server() -> FakeGitea:
    server = FakeGitea()
    repo = server.repo("o/r")
    first = repo.run(repo.push("a", at=NOW - 90), at=NOW - 80)
    first.attempt(first.job("test", "failure", at=NOW - 80), "running", at=NOW - 70)
    first.job("deploy", "blocked", at=NOW - 80)
    repo.run(repo.push("b", at=NOW - 60), at=NOW - 50).job("test", "skipped", at=NOW - 50)
    return server


SERVER = _server()


def _source(path: str, body: bytes) -> Source:
    def respond(request: HttpRequest) -> HttpResponse:
        sent = SERVER(Request(request.path, request.query, HEADERS))
        is_spoiled = request.path == f"/api/v1/{path}"
        return HttpResponse(sent.status, body if is_spoiled else sent.body)

    section = GiteaSource(
        name="tea",
        type="gitea",
        url="http://127.0.0.1:9",
        repos=("o/r",),
        webhook_secret_file=str(SECRET),
    )
    http = HttpContext(
        lambda: DirectSession(respond), clock=lambda: NOW, sleep=lambda _seconds: None
    )
    return build_source(section, SourceContext(http=http))


def read(path: str, body: bytes, state: SourceState = EMPTY_STATE) -> SourceState:
    """Read a server whose answers at one path have a body; return the new state."""
    facts = list(_source(path, body).refresh(state).facts)
    entries = {fact.key: fact.text for fact in facts if isinstance(fact, StateEntry)}
    return SourceState(entries={key: text for key, text in entries.items() if text is not None})


def answers() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return spoiled answers with their paths."""

    def of(path: str) -> st.SearchStrategy[tuple[str, bytes]]:
        query = [("sha", "main"), ("branch", "main")]
        body = SERVER(Request(f"/api/v1/{path}", query, {})).body
        return json_texts(json.loads(body)).map(lambda text: (path, text))

    return st.sampled_from(PATHS).flatmap(of)


def states() -> st.SearchStrategy[bytes]:
    """Return spoiled positions of the trunk."""
    return json_texts(json.loads(read("", b"").entries["trunk o/r main"]))


def continue_from(text: bytes) -> None:
    """Continue at a stored position that is damaged."""
    entries = {"trunk o/r main": text.decode(errors="replace")}
    read("", b"", SourceState(entries=entries))


def deliveries() -> st.SearchStrategy[bytes]:
    """Return spoiled bodies of an event about a job."""
    return json_texts(RECORDED["deliveries"]["workflow_job"])


def deliver(body: bytes) -> None:
    """Parse a delivery whose signature is right."""
    source = _source("", b"")
    assert isinstance(source, WebhookSource)
    digest = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    source.parse_delivery({"x-gitea-delivery": "a", "x-gitea-signature": digest}, body)
