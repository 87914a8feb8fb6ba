"""Answers, stored state and deliveries of GitLab, spoiled."""

import json
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from trunkwatch.config.sources import GitlabSource
from trunkwatch.engine.facts import EMPTY_STATE, SourceState, StateEntry
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import Source, SourceContext, WebhookSource, build_source

from tests.fuzz.texts import json_texts
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse
from tests.gitlab.fake import FakeGitLab
from tests.support.fakehttp import Request

NOW = 1_700_000_000.0
PATHS = {
    "project": "projects/1",
    "commits": "projects/1/repository/commits",
    "pipelines": "projects/1/pipelines",
    "101": "projects/1/pipelines/101",
    "102": "projects/1/pipelines/102",
    "jobs": "projects/1/pipelines/101/jobs",
    "bridges": "projects/1/pipelines/101/bridges",
}
"""The addresses whose answers are spoiled, by the last part of the path."""

FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
SECRET = Path(FOLDER.name) / "secret"
SECRET.write_text("secret", encoding="utf-8")


def _server() -> FakeGitLab:
    server = FakeGitLab(tokens={"": "read_api"})
    project = server.project("group/project")
    first = project.pipeline(project.push("a", at=NOW - 90), "failed", at=NOW - 60)
    first.job("test", "failed", at=NOW - 80)
    first.job("test", "running", at=NOW - 70)
    project.pipeline(project.push("b", at=NOW - 80), "failed", at=NOW - 50)
    child = project.pipeline(first.row["sha"], at=NOW - 50, source="parent_pipeline")
    child.job("unit", at=NOW - 50)
    first.bridge("below", "success", child, at=NOW - 50)
    return server


SERVER = _server()


def _source(path: str, body: bytes) -> Source:
    def respond(request: HttpRequest) -> HttpResponse:
        sent = SERVER(Request(request.path, request.query, request.headers))
        is_spoiled = path != "" and request.path.replace("%2F", "/").endswith(f"/{path}")
        return HttpResponse(sent.status, body if is_spoiled else sent.body)

    section = GitlabSource(
        name="lab",
        type="gitlab",
        url="http://127.0.0.1:9",
        repos=("group/project",),
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
        body = SERVER(Request(f"/api/v4/{PATHS[path]}", [], {})).body
        return json_texts(json.loads(body)).map(lambda text: (path, text))

    return st.sampled_from(list(PATHS)).flatmap(of)


def states() -> st.SearchStrategy[bytes]:
    """Return spoiled entries of the state, as one object."""
    entries = read("", b"").entries
    return json_texts({key: json.loads(text) for key, text in entries.items()})


def continue_from(text: bytes) -> None:
    """Continue at a stored state that is damaged."""
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        stored = None
    values = list(stored.values()) if isinstance(stored, dict) else [stored]
    keys = ("repos group/project", "trunk group/project main")
    entries = {key: json.dumps(value) for key, value in zip(keys, values * 2, strict=False)}
    read("", b"", SourceState(entries=entries))


def deliveries() -> st.SearchStrategy[bytes]:
    """Return spoiled bodies of a pipeline event."""
    own = {"path_with_namespace": "group/project", "default_branch": "main"}
    attributes = {"ref": "main", "tag": False, "id": 101}
    return json_texts({"object_kind": "pipeline", "project": own, "object_attributes": attributes})


def deliver(body: bytes) -> None:
    """Parse a delivery whose token is right."""
    source = _source("", b"")
    assert isinstance(source, WebhookSource)
    source.parse_delivery({"x-gitlab-token": "secret"}, body)
