"""The CI server of the demonstration: pages of the recorded runs, which can be repeated.

The recorded incident is invented, so that its addresses lead nowhere; here they open.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trunkwatch.demo.reruns import Reruns, as_body
from trunkwatch.demo.server import BackgroundServer

RECORDED = "https://ci.example.org"
"""The beginning of the addresses in the recording."""

COMPARE = "/compare/"

STYLE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}dt{opacity:.7}dd{margin:0 0 .5rem}
pre{white-space:pre-wrap;border-left:3px solid;padding-left:1rem}
</style>"""


RERUN_SECONDS = 3.0
"""How long a run takes that is repeated: an hour in real life."""


class RunPages(BackgroundServer):
    """An HTTP server with the pages of a recording; runs until it is stopped.

    Attributes:
        report: called with the results of runs that were repeated; may be replaced.
    """

    def __init__(self, recording: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        """Args:
        recording: the recorded file.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        """
        records = [json.loads(line) for line in recording.read_text("utf-8").splitlines()]
        self.reruns = reruns = Reruns(records, self._report, RERUN_SECONDS)
        self.report: Callable[[Sequence[dict[str, Any]]], None] = lambda _results: None
        commits = [record for record in records if record["kind"] == "commit"]
        self._commits = {commit["sha"]: commit for commit in commits}
        self._pages = pages = {
            urlsplit(run["url"]).path: _run(run, self._commits[run["sha"]])
            for run in records
            if run.get("url")
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply = reruns.get(self.path)
                if reply is not None:
                    self._send(reply.status, "application/json", as_body(reply))
                    return
                page = pages.get(self.path) or _comparison(self.path, commits)
                text = page or "no such run"
                self._send(404 if page is None else 200, "text/html; charset=utf-8", text.encode())

            def do_POST(self) -> None:
                reply = reruns.post(self.path)
                self._send(reply.status, "application/json", as_body(reply))

            def _send(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log no requests: they are none of the demonstration."""

        super().__init__(ThreadingHTTPServer((host, port), Handler))

    def _report(self, results: Sequence[dict[str, Any]]) -> None:
        """Make the pages of repeated runs, and pass their results on."""
        for run in results:
            run["url"] = run["url"].replace(RECORDED, self.address)
            self._pages[urlsplit(run["url"]).path] = _run(run, self._commits[run["sha"]])
        self.report(results)

    @property
    def address(self) -> str:
        """The address of the server, without a slash at its end."""
        return f"http://localhost:{self.port}"

    def copied(self, recording: Path, target: Path) -> Path:
        """Copy a recording, whose addresses lead here; return the copy."""
        text = recording.read_text("utf-8").replace(RECORDED, self.address)
        target.write_text(text, encoding="utf-8")
        return target


def _run(run: Mapping[str, Any], commit: Mapping[str, Any]) -> str:
    facts = {
        "Workflow": run["workflow"],
        "Result": run["conclusion"],
        "Failed step": run.get("failed_step"),
        "Attempt": run.get("attempt"),
        "Commit": f"{run['sha'][:10]} {commit['author']}: {commit['title']}",
    }
    rows = "".join(f"<dt>{name}<dd>{escape(str(fact))}" for name, fact in facts.items() if fact)
    said = "\n".join(run.get("annotations") or ())
    log = f"<pre>{escape(said)}</pre>" if said else ""
    return _page(run["job_name"], f"<dl>{rows}</dl>{log}")


def _comparison(path: str, commits: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the page of the commits between two."""
    if not path.startswith(COMPARE):
        return None
    last_good, _, first_bad = path.removeprefix(COMPARE).partition("...")
    places = {commit["sha"]: place for place, commit in enumerate(commits)}
    if not {last_good, first_bad} <= places.keys():
        return None
    between = commits[places[last_good] + 1 : places[first_bad] + 1]
    return _page(f"{last_good[:10]}…{first_bad[:10]}", f"<ol>{''.join(_items(between))}</ol>")


def _items(commits: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for commit in commits:
        yield f"<li>{commit['sha'][:10]} {escape(commit['author'])}: {escape(commit['title'])}"


def _page(heading: str, content: str) -> str:
    note = "A recorded incident: this page stands for that of the CI server."
    title = escape(heading)
    return f"{STYLE}<title>{title}</title><h1>{title}</h1>{content}<p><small>{note}</small></p>"
