"""What a CI's server puts into its errors is on no page; the log has it as harmless text."""

import json
import logging
import socketserver
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from trunkwatch.app import once, parts
from trunkwatch.cli.logs import FORMATS
from trunkwatch.config import parse_config
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.rest.http import HttpContext
from trunkwatch.web import Pages
from trunkwatch.web.view import View

WORD = "pwned"
EVIL = f'{WORD}"<script>\x1b]0;{WORD}\x07\u202e'
HEADER = WORD.encode() + b"<script>"
CONFIG = """
sources:
  - {name: rec, type: recorded, path: nowhere.ndjson}
  - {name: bb, type: buildbot, url: 'http://%s', repo: o/b, branches: [main], builders: [x]}
  - {name: rest, type: github, api_url: 'http://%s', repo: o/r, branches: [main], graphql: false}
  - {name: graph, type: github, api_url: 'http://%s', repo: o/g, branches: [main], token_env: EVIL}
  - {name: head, type: github, api_url: 'http://%s', repos: [o/h], token_env: EVIL}
"""


def answer(status: int, body: object, *headers: bytes) -> bytes:
    """Return the bytes of an answer; its reason phrase is hostile too."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [b"HTTP/1.1 %d %b" % (status, HEADER), b"Content-Length: %d" % len(content), *headers]
    return b"\r\n".join([*lines, b"Connection: close", b"", content])


MESSAGE = {"message": EVIL, "documentation_url": EVIL}
ERRORS = [{"message": EVIL, "type": EVIL}]
NONE_LEFT = b"x-ratelimit-remaining: 0"
LIMIT: dict[str, object] = {"rateLimit": {"cost": 1}}
ROW = {EVIL: EVIL, "id": EVIL, "sha": EVIL, "name": EVIL, "commit": EVIL, "object": EVIL}
ANSWERS: dict[str, bytes] = {
    **{f"HTTP {code}": answer(code, MESSAGE) for code in (401, 403, 404, 409, 418, 422, 500, 599)},
    "a limit": answer(429, MESSAGE, b"Retry-After: " + HEADER),
    "a limit of its own": answer(403, MESSAGE, NONE_LEFT, b"x-ratelimit-reset: " + HEADER),
    "no JSON": answer(200, EVIL.encode()),
    "a text": answer(200, EVIL),
    "rows of another shape": answer(200, [ROW]),
    "a row": answer(200, {**ROW, "full_name": EVIL}),
    "lists": answer(200, {"builds": [ROW], "workflow_runs": [ROW], "total_count": EVIL}),
    "texts for rows": answer(200, {"builds": [EVIL], "workflow_runs": [EVIL], "total_count": 1}),
    "errors of GraphQL": answer(200, {"errors": ERRORS}),
    "an error beside data": answer(200, {"data": LIMIT | {"repository": None}, "errors": ERRORS}),
    "a limit of GraphQL": answer(200, {"errors": [{"message": EVIL, "type": "RATE_LIMITED"}]}),
    "data of another shape": answer(200, {"data": LIMIT | {"repository": {"c0": EVIL}}}),
    "a redirect to no address": answer(302, b"", b"Location: http://[" + HEADER),
    "a redirect to a strange scheme": answer(302, b"", b"Location: %b://x" % WORD.encode()),
    "a redirect to no host": answer(302, b"", b"Location: http://%b.invalid/" % WORD.encode()),
    "a redirect in a circle": answer(302, b"", b"Location: /" + HEADER),
    "a strange coding": answer(200, b"{}", b"Content-Encoding: " + HEADER),
    "a broken coding": answer(200, EVIL.encode(), b"Content-Encoding: gzip"),
    "no HTTP": EVIL.encode() + b"\r\n\r\n",
    "a strange chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n" % HEADER,
    "a header of its own": b"HTTP/1.1 200 OK\r\n" + HEADER + b"\r\n\r\n",
    "a length of its own": b"HTTP/1.1 200 OK\r\nContent-Length: " + HEADER + b"\r\n\r\n{}",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[dict[str, bytes], str]]:
    """Run a server that answers every request with the bytes in a mapping; yield both."""
    current = {"answer": b""}

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.rfile.read(length)
            self.wfile.write(current["answer"])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that have closed."""

    with Server(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True).start()
        yield current, f"127.0.0.1:{found.server_address[1]}"
        found.shutdown()


def pages(state: once.Once) -> str:
    """Return the text of every page."""
    snapshot = lambda: state.engine.snapshot  # noqa: E731 — one line reads better
    exposition = Exposition(snapshot, Counters().totals, "0")
    shown = Pages(lambda: View(snapshot), exposition, time.time, "0")
    found = ""
    trunks = ("o/b/main", "o/r/main", "o/g/main", "o/h/HEAD", "o/h/none")
    for path in (
        "/",
        "/metrics",
        "/-/ready",
        "/-/healthy",
        *(f"/api/v1/trunk/{t}" for t in trunks),
    ):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REQUEST_URI": path}
        found += b"".join(shown(environ, lambda *_: lambda _: None)).decode()
    return found


@pytest.mark.parametrize("case", ANSWERS)
def test_no_page_repeats_an_error_of_a_server(
    server: tuple[dict[str, bytes], str],
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each source fails or warns; the pages have our own words, the log one printable line each."""
    current, address = server
    current["answer"] = ANSWERS[case]
    monkeypatch.setenv("EVIL", "hunter2")
    monkeypatch.setattr(parts, "HttpContext", partial(HttpContext, sleep=lambda _: None))
    caplog.set_level(logging.INFO)
    state = once.refresh_all(parse_config(CONFIG % ((address,) * 4), "x.yml"), ":memory:", None)
    state.store.close()
    text = pages(state)
    assert WORD not in text
    assert "source bb: GET http" in text
    for record in caplog.records:
        for formatter in FORMATS.values():
            assert formatter().format(record).isprintable()
