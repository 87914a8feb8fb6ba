"""The outputs of a snapshot: metrics, JSON, page and text."""

import io
import json
from typing import Any
from urllib.parse import quote

from rich.console import Console
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.report.text import print_snapshot
from trunkwatch.web.pages import Pages
from trunkwatch.web.view import View


def answer(pages: Any, path: str, **environ: Any) -> tuple[str, bytes]:
    """Return the status and the body of a request to a WSGI application."""
    status = []

    def start_response(line: str, headers: Any, exc_info: Any = None) -> None:
        del exc_info
        status.append(line)
        for name, value in headers:
            f"{name}: {value}".encode("latin-1")

    target = {"PATH_INFO": path, "REQUEST_URI": path, "QUERY_STRING": ""}
    request = {"REQUEST_METHOD": "GET", **target, **environ}
    body = b"".join(pages(request, start_response))
    return status[-1], body


def render(snapshot: Snapshot, counters: Counters, now: float) -> None:
    """Assert that the metrics, the page and the JSON of a snapshot can be made."""
    exposition = Exposition(lambda: snapshot, counters.totals, "1.2.3")
    exposition.update()
    pages = Pages(lambda: View(lambda: snapshot), exposition, lambda: now, "1.2.3")
    paths = [f"/api/v1/trunk/{trunk.trunk.repo}/{trunk.trunk.branch}" for trunk in snapshot.trunks]
    for path in ("/", "/metrics", *map(quote, paths)):
        status, body = answer(pages, path)
        assert status == "200 OK", (path, status)
        body.decode()
        if path not in ("/", "/metrics"):
            json.loads(body)


def render_text(snapshot: Snapshot, now: float) -> None:
    """Print a snapshot as `check` does."""
    print_snapshot(snapshot, {}, Console(file=io.StringIO(), width=120), now)
